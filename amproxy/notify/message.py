"""What a message says, before a channel gives it its form. All text in it is data: each channel escapes it its own way.

A button pressed in a chat.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from amproxy.model import Alert

Action = Literal["acknowledge", "unacknowledge", "resolve", "snooze", "escalate"]


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """A press of it comes back as `value` ("acknowledge:INCIDENT:EPOCH", "snooze:INCIDENT:EPOCH:3600"): ASCII, at most 64 bytes."""

    action: Action
    text: str  # "Acknowledge", "Snooze 1h"
    value: str
    url: str = ""  # signed link that leads to a page with the same button, for channels that cannot carry presses


class Link(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    url: str  # http or https, checked


class BundleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One incident of a bundle."""

    incident: str
    number: int
    state: str
    title: str  # not shortened yet
    url: str  # its page


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """An incident, a group of alerts that nobody is paged for, many incidents at once, or a plain notice."""

    kind: Literal["incident", "group", "bundle", "notice"]
    title: str  # "HighCPU on eu1"; not shortened yet
    number: int = 0  # of the incident; 0 = none
    state: Literal["triggered", "acknowledged", "snoozed", "resolved", "firing", "notice"] = "notice"
    state_text: str = ""  # "Acknowledged by Bob Birch at 14:03 UTC"
    why: str = ""  # "You are on call for platform (layer weekly)"
    text: str = ""  # summary and description, may have several lines
    labels: dict[str, str] = {}  # what all alerts share
    alerts: list[Alert] = []  # at most `compose.SHOWN_ALERTS`, firing ones first
    firing: int = 0
    resolved: int = 0
    links: list[Link] = []
    buttons: list[Button] = []
    url: str = ""  # the incident's page
    news: str = ""  # on an update: what has just happened, for channels that keep a thread
    key: str = ""  # names the message: the same at each attempt to send it (Page.id, or the outbox entry's id)
    at: float  # now, Unix seconds
    incident: str = ""
    entries: list[BundleEntry] = []  # of a bundle: its incidents in order, each to be named
    # the webhook's fields
    receiver: str = ""
    group_key: str = ""
    group_labels: dict[str, str] = {}
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    route_labels: dict[str, str] = {}
    external_url: str = ""
    truncated: int = 0
    repeats_every: float = 0.0  # seconds after which a group is told again though nothing has changed
    reason: str = ""


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """All of it comes from outside: who presses must still be known, and what for must still be checked."""

    value: str  # of the card's button, as the client sent it back
    channel: str  # "telegram", "slack": the key of the person's contacts
    account: str  # the person's id there, as text
    name: str = ""  # how the person is called there, for messages only
    reply_to: str = ""  # Slack's response_url; Telegram is answered at once


# Takes a press, does what it asks for and returns what to tell the one who pressed. May get the same press twice.
OnPress = Callable[[Press], Awaitable[str]]
