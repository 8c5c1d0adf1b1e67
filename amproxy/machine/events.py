"""What can happen to an incident: from alerts, from time, from people, from channels."""

from __future__ import annotations

from typing import Literal

import msgspec

from amproxy.model import Reason


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events."""


class Opened(Event, frozen=True, kw_only=True):
    """A new incident begins its policy."""

    reason: str  # "first notification", "paged by hand by alice"
    by: str = ""


class AlertsChanged(Event, frozen=True, kw_only=True):
    """The group's alerts are not as they were when last told."""

    reason: Reason
    firing: int
    resolved: int
    fresh: int = 0  # firing alerts that were not known before
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    ended_by: Literal["source", "expired", "moved"] = "source"  # what resolves it when nothing fires


class Tick(Event, frozen=True, kw_only=True):
    """Time has passed; whatever is due is done."""


class Act(Event, frozen=True, kw_only=True):
    """A person's action."""

    user: str  # name in the file; "" = unknown
    via: str  # "web", "telegram", "slack", "email", "api"
    epoch: int | None = None  # of the button that was pressed; None = does not come from a button


class Acknowledge(Act, frozen=True, kw_only=True):
    pass


class Unacknowledge(Act, frozen=True, kw_only=True):
    pass


class Resolve(Act, frozen=True, kw_only=True):
    pass


class Snooze(Act, frozen=True, kw_only=True):
    until: float


class Escalate(Act, frozen=True, kw_only=True):
    pass


class Note(Act, frozen=True, kw_only=True):
    text: str


class Sent(Event, frozen=True, kw_only=True):
    """A channel accepted a page."""

    page: str
    ref: dict[str, str] = {}
    look: int
    attempt: int
    bundle: str = ""  # id of the message that told of other incidents too; "" = one of its own
    others: int = 0  # how many other incidents that message named


class Failed(Event, frozen=True, kw_only=True):
    """A page will not arrive over this channel."""

    page: str
    error: str
    attempt: int


class Skipped(Event, frozen=True, kw_only=True):
    """A page was not sent, because the state forbids it by now."""

    page: str
    reason: str


class Updated(Event, frozen=True, kw_only=True):
    """A message shows the incident as it was at `look`; ref = None: it cannot be changed any more."""

    page: str
    ref: dict[str, str] | None
    look: int
