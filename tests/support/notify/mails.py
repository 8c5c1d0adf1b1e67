"""Settings and a card for the tests of email."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.channels.email.channel import EmailChannel
from amproxy.notify.channels.email.settings import EmailSettings
from amproxy.notify.message import Button, Card, Link
from tests.support.standins.smtp import SmtpServer

NOW = 1_800_000_000.0


def settings(server: SmtpServer | str = "127.0.0.1:1", **changes: Any) -> EmailSettings:
    host = server if isinstance(server, str) else server.smarthost
    fields = {
        "smarthost": host,
        "from_": "On call <oncall@example.org>",
        "to": "alice@example.org",
        "require_tls": False,
    }
    return EmailSettings(**(fields | changes))


def card(**changes: Any) -> Card:
    fields = {
        "kind": "incident",
        "incident": "i1",
        "key": "p1",
        "number": 42,
        "state": "triggered",
        "title": "HighCPU on eu1",
        "state_text": "Triggered at 14:00 UTC",
        "why": "You are on call for platform (layer weekly)",
        "text": "CPU above 90% <b>&\nsince 13:55",
        "labels": {"severity": "critical"},
        "alerts": [
            Alert(
                fingerprint="f", labels={"severity": "critical", "instance": "web-1"}, starts_ns=1
            )
        ],
        "firing": 1,
        "buttons": [
            Button(
                action="acknowledge",
                text="Acknowledge",
                value="acknowledge:i1:1",
                url="http://127.0.0.1/act/a?x=1&y=2",
            ),
            Button(action="resolve", text="Resolve", value="resolve:i1:1"),
        ],
        "links": [Link(text="Runbook", url="https://runbooks.example.org/cpu")],
        "url": "http://127.0.0.1/incidents/i1",
        "at": NOW,
    }
    return Card(**(fields | changes))


async def refusal(settings: EmailSettings, card: Card) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await EmailChannel().send(settings, card)
    return caught.value
