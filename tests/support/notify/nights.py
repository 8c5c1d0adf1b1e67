"""Payloads as senders push them, and the messages that a person in Berlin gets of them at 4 a.m."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from amproxy.accept.webhook import parse_webhook
from amproxy.clock import rfc3339
from amproxy.config.structs import (
    Config,
    Integration,
    NotifyStep,
    OncallSettings,
    Policy,
    Receiver,
    Route,
    Source,
    User,
)
from amproxy.grouping.flush import new_incident
from amproxy.grouping.placement import Placer
from amproxy.model import Alert, Group, Incident, Page
from amproxy.notify.channels.console import ConsoleChannel
from amproxy.notify.channels.email.message import mail_subject, render_plain_text
from amproxy.notify.channels.slack.blocks import fallback_text, render_blocks
from amproxy.notify.channels.telegram.text import render_card
from amproxy.notify.compose import incident_card
from amproxy.notify.message import Card
from amproxy.notify.templates import incident_title
from amproxy.text import phrase
from tests.support.standins.telegram_html import parse

NOW = 1_767_668_400.0  # 2026-01-06 03:00 UTC, 04:00 in Berlin
INTEGRATION = Integration(
    kind="oncall", index=0, send_resolved=True, settings=OncallSettings(escalation_policy="main")
)
CONFIG = Config(
    route=Route(receiver="pager", key="{}", group_by=("alertname",), group_by_given=True),
    receivers={"pager": Receiver(name="pager", integrations=(INTEGRATION,))},
    users={"ann": User(name="ann", full_name="Ann Ash", timezone="Europe/Berlin")},
    policies={"main": Policy(name="main", steps=(NotifyStep(users=("ann",)),))},
)


def fire(
    labels: dict[str, str],
    annotations: dict[str, str] | None = None,
    *,
    minutes: float = 5,
    over: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """An alert that began so many minutes ago; over: it has ended a minute ago."""
    return {
        "status": "resolved" if over else "firing",
        "labels": labels,
        "annotations": annotations or {},
        "startsAt": rfc3339(NOW - minutes * 60),
        "endsAt": rfc3339(NOW - 60) if over else "0001-01-01T00:00:00Z",
        **more,
    }


def page_of(
    alerts: list[dict[str, Any]],
    group_labels: dict[str, str],
    change: Callable[[Incident], Incident] = lambda incident: incident,
    **payload: Any,
) -> Card:
    """The card of Ann's page about a payload. change: what became of the incident."""
    body = {
        "version": "4",
        "groupKey": "k",
        "groupLabels": group_labels,
        "alerts": alerts,
        **payload,
    }
    push = parse_webhook(
        json.dumps(body).encode(), Source(name="am"), Placer(CONFIG), int(NOW * 10**9)
    )
    made: list[Alert] = [incoming.make() for incoming in push.alerts]
    for alert in made:
        alert.updated_ns = int(NOW * 10**9)
    group = Group(id="g", key="k", receiver="pager", route_key="{}", labels=group_labels)
    now_ns = int(NOW * 10**9)
    firing = [alert for alert in made if not alert.resolved(now_ns)]
    title = incident_title("", group, made)
    incident = replace(
        new_incident(CONFIG, group, INTEGRATION, firing or made, NOW - 60, number=42, title=title),
        id="INC",
        firing=len(firing),
        resolved=len(made) - len(firing),
    )
    reason = phrase("reason.named")
    page = Page(id="p", user="ann", channel="telegram", due=NOW, reason=reason)
    return incident_card(
        CONFIG,
        change(incident),
        made,
        page,
        now=NOW,
        external_url="https://oncall.example.org",
        sign=lambda incident, action, *rest: f"https://oncall.example.org/act/{action}",
    )


async def shown(card: Card) -> str:
    """A card as each channel shows it, one below the other."""
    marked, _ = render_card(card)
    telegram, _ = parse(marked)
    printed: list[str] = []
    console = ConsoleChannel(printed.append, colours=False)
    await console.send("", card)
    parts = {
        "Telegram": telegram,
        "Slack, lock screen": fallback_text(card),
        "Slack": "\n\n".join(filter(None, map(_block_text, render_blocks(card)))),
        "E-mail": f"Subject: {mail_subject(card)}\n\n{render_plain_text(card)}",
        "Console": "".join(printed).replace("\a", ""),
    }
    return "".join(f"===== {name}\n{text.rstrip()}\n\n" for name, text in parts.items())


def _block_text(block: dict[str, Any]) -> str:
    match block["type"]:
        case "header" | "section" if "text" in block:
            return str(block["text"]["text"])
        case "section":
            fields = (field["text"].replace("\n", ": ") for field in block["fields"])
            return "\n".join(fields)
        case "context":
            return " · ".join(element["text"] for element in block["elements"])
        case "image":
            return f"[{block['alt_text']}] {block['image_url']}"
        case _:
            return " ".join(f"[{element['text']['text']}]" for element in block["elements"])
