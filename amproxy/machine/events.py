"""The events of an incident: from alerts, from time, from people, from channels."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

import msgspec

from amproxy.config.structs import NotifyStep, Policy
from amproxy.model import AlertRepair, Group, Incident, MergedGroup, NotificationReason
from amproxy.text import Phrase, Words


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events."""


class Opened(Event, frozen=True, kw_only=True):
    """A new incident begins its policy."""

    reason: Phrase  # "first notification", "paged by hand by alice"
    by: str = ""
    repairs: tuple[AlertRepair, ...] = ()  # of its alerts


class AlertsChanged(Event, frozen=True, kw_only=True):
    """A group's alerts differ from those of its last notification."""

    reason: NotificationReason
    firing: int
    resolved: int
    fresh: int = 0  # firing alerts that were not known before
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    severity: str = ""  # of the gravest firing alert
    # A new alert that pages anew although somebody has answered: why, and its labels. Those of one
    # that is graver than all are here also where the policy has it page nobody.
    reopens: Phrase | None = None
    joined: dict[str, str] = {}
    # resolves it when nothing fires
    ended_by: Literal["source", "expired", "unnamed", "moved"] = "source"
    unnamed: int = 0  # alerts that ended since because their sender no longer named them
    group: str = ""  # Group.id: an incident may have several groups
    repairs: tuple[AlertRepair, ...] = ()  # of the alerts that began or ended


class Returned(Event, frozen=True, kw_only=True):
    """The alerts of a resolved incident fire again, soon enough to be the same incident."""

    alerts: AlertsChanged


class TimerTick(Event, frozen=True, kw_only=True):
    """Time has passed: do whatever is due."""

    pushed_at: float | None = None  # Unix seconds: last push of its alerts; None = not known


class Hold(Event, frozen=True, kw_only=True):
    """Time has passed, as with TimerTick, but all alerts are muted."""

    reason: Phrase  # "silenced by alice until 2026-01-05 09:00 UTC"
    until: float  # Unix seconds: nothing of the policy runs before this
    pushed_at: float | None = None  # as TimerTick's


def time_event(hold: tuple[Phrase, float] | None, pushed_at: float | None) -> TimerTick | Hold:
    """The event of an incident whose timer is due. hold: reason and until; None = it may page."""
    if hold is None:
        return TimerTick(pushed_at=pushed_at)
    reason, until = hold
    return Hold(reason=reason, until=until, pushed_at=pushed_at)


class Regrouped(Event, frozen=True, kw_only=True):
    """The alerts of an answered incident belong to other groups since the file changed."""

    left: str  # Group.id
    groups: dict[str, MergedGroup]  # Group.id → those of its alerts that are there now
    only: Group | None = None  # where all of them are in one


class Renamed(Event, frozen=True, kw_only=True):
    """A schedule or a policy has got another name in the file."""

    section: Literal["schedules", "escalation_policies"]
    old: str
    new: str


class Act(Event, frozen=True, kw_only=True):
    """A person's action."""

    user: str  # name in the file; "" = unknown
    via: str  # "web", "telegram", "slack", "email", "api"
    epoch: int | None = None  # of the button that was pressed; None = not from a button


class Acknowledge(Act, frozen=True, kw_only=True):
    pass


class Unacknowledge(Act, frozen=True, kw_only=True):
    pass


class Resolve(Act, frozen=True, kw_only=True):
    """quiet_until: when what still fires then pages anew, Unix seconds; None = nothing would."""

    quiet_until: float | None = None


class Reopen(Act, frozen=True, kw_only=True):
    pass


class Snooze(Act, frozen=True, kw_only=True):
    until: float  # Unix seconds


class Escalate(Act, frozen=True, kw_only=True):
    pass


class Note(Act, frozen=True, kw_only=True):
    text: str


class Reassign(Act, frozen=True, kw_only=True):
    """Page others from now on: people (a step that names them) or another policy."""

    to: NotifyStep | Policy


class AddResponders(Act, frozen=True, kw_only=True):
    """Page more people, whoever has acknowledged."""

    to: NotifyStep


class Merge(Act, frozen=True, kw_only=True):
    """It becomes part of another incident, which gets an `Absorb` in the same commit."""

    into: str  # Incident.id
    number: int


class Absorb(Act, frozen=True, kw_only=True):
    """Another incident becomes part of this one."""

    id: str  # Incident.id
    number: int
    title: str
    groups: dict[str, MergedGroup]  # Group.id → its alerts


class Unmerge(Act, frozen=True, kw_only=True):
    """It is an incident of its own again; the other one gets a `TakeOut` in the same commit."""

    root: Incident  # whose part it was, as that is
    groups: dict[str, MergedGroup]  # Group.id → its alerts, as the other one has them
    hold: Hold | None = None  # what mutes all of these alerts


class TakeOut(Act, frozen=True, kw_only=True):
    """An incident that was merged into this one is its own again."""

    number: int
    title: str
    groups: Set[str]  # Group.id: none of this one any more


class Sent(Event, frozen=True, kw_only=True):
    """A channel accepted a page."""

    page: str  # Page.id
    ref: dict[str, str] = {}
    look: int  # Incident.look that the message shows
    attempt: int
    bundle: str = ""  # id of a message about several incidents; "" = about this one alone
    others: int = 0  # number of other incidents in that message


class Failed(Event, frozen=True, kw_only=True):
    """A page will not arrive over this channel."""

    page: str
    error: Words
    attempt: int


class Skipped(Event, frozen=True, kw_only=True):
    """A page was not sent, because the incident's state forbids it by now."""

    page: str
    reason: Phrase


class Updated(Event, frozen=True, kw_only=True):
    """A message was updated, or cannot be any more."""

    page: str
    ref: dict[str, str] | None  # None = it cannot be updated any more
    look: int
