"""Cards of groups that nobody is paged for, as an alertmanager.yml makes them, for tests of receivers' channels."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from amproxy.config.loader import load_text
from amproxy.config.structs import Integration
from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.channels import Channel
from amproxy.notify.message import Card
from tests.support.standins.services import ServiceStandIn
from tests.support.standins.serving import Response

GROUP_KEY = '{}/{team="db"}:{alertname="DiskFull"}'
DIGEST = hashlib.sha256(GROUP_KEY.encode()).hexdigest()
AT = 1_800_000_000.0


def group_card(*, over: bool = False, **changes: Any) -> Card:
    """A group of one alert, `over` where it is resolved."""
    labels = {"alertname": "DiskFull", "instance": "db-1", "team": "db"}
    alert = Alert(
        fingerprint="f",
        labels=labels,
        annotations={"summary": "sda1 is full"},
        starts_ns=int((AT - 600) * 1e9),
        ends_ns=int((AT - 60) * 1e9) if over else 0,
    )
    values: dict[str, Any] = {
        "kind": "group",
        "title": "DiskFull",
        "text": "sda1 is full",
        "state": "resolved" if over else "firing",
        "alerts": [alert],
        "firing": 0 if over else 1,
        "resolved": 1 if over else 0,
        "receiver": "db",
        "group_key": GROUP_KEY,
        "group_labels": {"alertname": "DiskFull"},
        "common_labels": labels,
        "common_annotations": alert.annotations,
        "external_url": "http://am.example.org",
        "url": "http://am.example.org",
        "at": AT,
    }
    return Card(**values | changes)


async def verdict(
    channel: Channel, settings: Any, service: ServiceStandIn, response: Response
) -> tuple[str, str, float | None]:
    """Send to a service that answers so: "temporary" or "permanent", the reason, the wait asked for."""
    service.answers = [response]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings, group_card())
    error = caught.value
    return "permanent" if error.permanent else "temporary", error.reason, error.retry_after


def integration(text: str, before: str = "") -> Integration:
    """The first integration of a file with one receiver whose `*_configs` the text is; it must be deliverable.

    before: other sections of the file.
    """
    file = f"{before}route: {{receiver: r}}\nreceivers: [{{name: r, {text}}}]\n"
    (found,) = load_text(file, env={}).config.receivers["r"].integrations
    assert found.undeliverable is None, found.undeliverable
    return found
