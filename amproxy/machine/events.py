"""What can happen to an incident: from alerts, from time, from people, from channels."""

from __future__ import annotations

from typing import Literal

import msgspec

from amproxy.config.structs import NotifyStep, Policy
from amproxy.model import MergedGroup, NotificationReason


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events."""


# ------------------------------------------------------------------------------------------------------ from alerts


class Opened(Event, frozen=True, kw_only=True):
    """A new incident begins its policy."""

    reason: str  # "first notification", "paged by hand by alice"
    by: str = ""


class AlertsChanged(Event, frozen=True, kw_only=True):
    """A group's alerts are not as they were when last told."""

    reason: NotificationReason
    firing: int
    resolved: int
    fresh: int = 0  # firing alerts that were not known before
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    ended_by: Literal["source", "expired", "moved"] = "source"  # what resolves it when nothing fires
    group: str = ""  # Group.id: an incident may have those of several


class Returned(Event, frozen=True, kw_only=True):
    """The alerts of a resolved incident fire again, soon enough to be the same incident."""

    alerts: AlertsChanged


# -------------------------------------------------------------------------------------------------------- from time


class TimerTick(Event, frozen=True, kw_only=True):
    """Time has passed; whatever is due is done."""

    heard: float | None = None  # Unix seconds: when its alerts were pushed last, where that is known


class Hold(Event, frozen=True, kw_only=True):
    """Time has passed as with Tick, but all its alerts are muted: nothing of the plan runs before `until` (Unix seconds)."""

    reason: str  # "silenced by alice until 2026-01-05 09:00 UTC"
    until: float
    heard: float | None = None  # as Tick's


# ------------------------------------------------------------------------------------------------------ from people


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


class Reopen(Act, frozen=True, kw_only=True):
    pass


class Snooze(Act, frozen=True, kw_only=True):
    until: float


class Escalate(Act, frozen=True, kw_only=True):
    pass


class Note(Act, frozen=True, kw_only=True):
    text: str


class Reassign(Act, frozen=True, kw_only=True):
    """Somebody else answers for it from now on: people (a step that names them) or another policy."""

    to: NotifyStep | Policy


class AddResponders(Act, frozen=True, kw_only=True):
    """More people are asked to join, whoever has acknowledged."""

    to: NotifyStep


class Merge(Act, frozen=True, kw_only=True):
    """It becomes part of another incident, to which `Absorb` happens in the same commit."""

    into: str  # Incident.id
    number: int


class Absorb(Act, frozen=True, kw_only=True):
    """Another incident becomes part of this one."""

    number: int
    title: str
    parts: dict[str, MergedGroup]  # Group.id → its alerts


# ---------------------------------------------------------------------------------------------------- from channels


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
