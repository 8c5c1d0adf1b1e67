"""The card, which is the content of a message before a channel renders it, and button presses.

All text of a card is data: each channel escapes it for its own format.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from amproxy.model import Alert

Action = Literal["acknowledge", "unacknowledge", "resolve", "snooze", "escalate"]


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """A button of a card; a press of it comes back as `value`.

    value: "acknowledge:INCIDENT:EPOCH", "snooze:INCIDENT:EPOCH:3600"; ASCII, at most 64 bytes.
    """

    action: Action
    text: str  # "Acknowledge", "Snooze 1h"
    value: str
    # Signed link to a page with the same button, for channels that cannot carry presses.
    url: str = ""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    url: str  # http or https, checked


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of an alert, such as the panel that it is about; nobody here has looked at it."""

    url: str  # http or https, checked
    text: str  # what it shows, for those who cannot see it; not shortened yet


class BundleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One incident of a bundle."""

    incident: str
    number: int
    state: str
    title: str  # not shortened yet
    severity: str = ""
    url: str  # its page


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An incident, a group of alerts that nobody is paged for, a bundle, or a plain notice."""

    kind: Literal["incident", "group", "bundle", "notice"]
    title: str  # "HighCPU on eu1"; not shortened yet
    # For the heading, where the title does not say it; not shortened yet.
    severity: str = ""  # "critical"
    place: str = ""  # "prod/web-1", "web-1, web-2 and 28 more"
    number: int = 0  # of the incident; 0 = none
    state: Literal["triggered", "acknowledged", "snoozed", "resolved", "firing", "notice"] = (
        "notice"
    )
    state_text: str = ""  # "Acknowledged by Bob Birch at 14:03 UTC"
    since: str = ""  # "since 13:55 UTC", on the reader's clock: of the first alert that fires
    began: dict[str, str] = {}  # fingerprint → the same, of alerts that began later
    why: str = ""  # "You are on call for platform (layer weekly)"
    text: str = ""  # summary and description, may have several lines
    labels: dict[str, str] = {}  # common to all alerts
    alerts: list[Alert] = []  # at most `compose.MAX_CARD_ALERTS`, firing ones first
    firing: int = 0
    resolved: int = 0
    left_out: int = 0  # alerts that the sender cut off its last push; not among those counted
    links: list[Link] = []
    pictures: list[Picture] = []  # of its alerts, firing ones first, at most `compose.MAX_PICTURES`
    plot: bytes = b""  # PNG of the metric, for channels that take it along
    buttons: list[Button] = []
    url: str = ""  # the incident's page
    news: str = ""  # of an update: the last change, for channels that keep a thread
    # Names the message, the same at each attempt to send it: Page.id, or the outbox entry's id.
    key: str = ""
    at: float  # now, Unix seconds
    incident: str = ""
    entries: list[BundleEntry] = []  # of a bundle: its incidents in order, each to be named
    # the fields of Alertmanager's webhook
    receiver: str = ""
    group_key: str = ""
    group_labels: dict[str, str] = {}
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    route_labels: dict[str, str] = {}
    external_url: str = ""
    truncated: int = 0
    repeats_every: float = 0.0  # seconds after which an unchanged group is notified again
    reason: str = ""


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """A button pressed in a chat.

    All of it comes from outside: neither the person nor the value is checked yet.
    """

    value: str  # of the card's button, as the client sent it back
    channel: str  # "telegram", "slack": the key of the person's contacts
    account: str  # the person's id there, as text
    name: str = ""  # the person's name there, for messages only
    reply_to: str = ""  # Slack's response_url; Telegram is answered at once


# Takes a press, acts on it and returns the answer to the person who pressed.
# The same press may come twice.
OnPress = Callable[[Press], Awaitable[str]]
