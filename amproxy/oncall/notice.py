"""Notices, which people subscribe to besides pages: who gets them, and names and times in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from amproxy.config.channels import notification_rules
from amproxy.config.structs import Config, NoticeKind, Notify, User
from amproxy.oncall.roster import Roster
from amproxy.text import Words

# Kind → the kinds whose channels serve where a person names none for it.
_INSTEAD: Final[dict[NoticeKind, tuple[NoticeKind, ...]]] = {
    "shift_moved": ("going_on_call",),
    "calendar_trouble": ("gap_ahead", "empty_shift", "going_on_call"),
}
_CALENDAR_AHEAD = timedelta(days=28)  # people of a calendar are those on call within this time


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Plain text for one person; channels escape it."""

    kind: NoticeKind
    user: str
    subject: Words  # the log of deliveries keeps it
    text: str


def notice_recipients(roster: Roster, schedule: str, kind: NoticeKind, at: datetime) -> list[str]:
    """The people of a schedule who subscribed to a kind of notice.

    They are those of its layers, overrides and calendar (in the weeks after `at`); where it has
    none of them, the members of its team.
    """
    known, config = roster.config.schedules[schedule], roster.config
    names = dict.fromkeys(name for layer in known.layers for turn in layer.users for name in turn)
    for override in (*known.overrides, *roster.overrides.get(schedule, ())):
        names |= dict.fromkeys(override.users)
    if known.ical:
        shifts = roster.shifts(schedule, at, at + _CALENDAR_AHEAD)
        names |= dict.fromkeys(name for shift in shifts for name in shift.users)
    if not names and known.team in config.teams:
        names = dict.fromkeys(config.teams[known.team].members)
    return filter_subscribed(roster, names, kind)


def filter_subscribed(roster: Roster, names: Iterable[str], kind: NoticeKind) -> list[str]:
    """Those of these people who subscribed to a kind of notice."""
    config = roster.config
    return [
        name
        for name in names
        if (user := config.users.get(name)) and notice_channels(config, user, kind)
    ]


def notice_channels(config: Config, user: User, kind: NoticeKind) -> tuple[str, ...]:
    """The channels of a kind of notice; () = the person has not asked for it.

    Trouble with a calendar is told to those who asked for nothing too, as their first page would
    be: they are on call by it.
    """
    for one in (kind, *_INSTEAD.get(kind, ())):
        if channels := user.notices.get(one, ()):
            return channels
    if kind != "calendar_trouble":
        return ()
    rules = notification_rules(config, user, "default")
    return next((rule.channels for rule in rules if isinstance(rule, Notify)), ())


def join_full_names(roster: Roster, names: Iterable[str]) -> str:
    """A list of people as text: "Alice Ash and Bob"; "nobody" if it is empty."""
    full = [roster.config.full_name(name) for name in names]
    return " and ".join([", ".join(full[:-1]), full[-1]] if len(full) > 1 else full) or "nobody"


def format_local_time(roster: Roster, at: datetime | None, user: str) -> str:
    """A time on a person's own clock: "Mon 12 Jan 09:00 (Europe/Berlin)"."""
    if at is None:
        return "further notice"
    zone = roster.config.users[user].timezone
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %H:%M} ({zone})"
