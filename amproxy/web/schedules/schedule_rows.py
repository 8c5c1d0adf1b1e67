"""What the rows of a schedule's timeline hold: what is final, what each layer wants, overrides and swaps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.model import Swap
from amproxy.oncall.layers import Cover
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.swaps import state
from amproxy.shifts.final import FinalShift
from amproxy.web.schedules.timeline import Entry, Span, Track
from amproxy.zones import happens, instant

_OVERRIDES = 2  # covers of a roster that are none of its layers: overrides by hand, and those of the file
CALENDAR = "calendar"  # the row of a schedule that comes from one


def tracks(roster: Roster, schedule: Schedule, final: Sequence[FinalShift], span: Span, now: float) -> list[Track]:
    """The upper rows from top to bottom: what is final, and what lies over the layers.

    now: Unix seconds; decides what has become of swaps.
    """
    asked = roster.swaps.get(schedule.name, ())
    return [
        Track("final", "", final_entries(final)),
        Track("swaps", "", [entry for swap in asked if (entry := _swap(swap, now)).start < span.end and span.start < entry.end]),
        Track("overrides", "", list(_overrides(roster, schedule, span))),
    ]


def final_entries(final: Iterable[FinalShift]) -> list[Entry]:
    """Shifts as they are, or were written down."""
    return [
        Entry(
            one.start, one.end, tuple(person.user for person in one.people), one.reason, "shift" if one.people else "gap", id=one.override
        )
        for one in final
    ]


def planned(shifts: Iterable[Shift]) -> list[Entry]:
    """Shifts that a roster plans."""
    return [Entry(one.start, one.end, one.users, one.reason, "shift" if one.users else "gap", id=one.override) for one in shifts]


def layers(roster: Roster, schedule: Schedule, span: Span) -> list[Track]:
    """A row for each layer, the highest first: whom it wants, whether or not something lies over it."""
    covers = roster.covers(schedule.name)[_OVERRIDES:]
    names = [layer.name for layer in reversed(schedule.layers)] or [CALENDAR] * len(covers)
    return [Track("layer", name, _wanted(cover, span)) for name, cover in zip(names, covers, strict=True)]


def _wanted(cover: Cover, span: Span) -> list[Entry]:
    """A layer that is not active has no entry; one that is and has nobody left has an idle one."""
    found: list[Entry] = []
    at, end = instant(span.start), instant(span.end)
    while at < end:
        stretch = cover.stretch(at)
        until = min(stretch.end, end)
        if stretch.users or stretch.reason:
            entry = Entry(at, until, stretch.users, stretch.reason, "shift" if stretch.users else "idle")
            if found and found[-1]._replace(start=at, end=until) == entry and found[-1].end == at:
                found[-1] = found[-1]._replace(end=until)
            else:
                found.append(entry)
        at = until
    return found


def _overrides(roster: Roster, schedule: Schedule, span: Span) -> Iterable[Entry]:
    zone = ZoneInfo(schedule.timezone)
    for one in (*schedule.overrides, *roster.overrides.get(schedule.name, ())):
        start, end = happens(one.start, zone), happens(one.end, zone)
        if start < span.end and span.start < end:
            text = "override by hand" if one.id else "override"
            yield Entry(start, end, one.users, f"{text}: {one.reason}" if one.reason else text, "override", id=one.id)


def _swap(swap: Swap, now: float) -> Entry:
    """Open ones show whose shifts they are about, those that are taken who took them."""
    person = swap.taken_by or swap.user
    return Entry(utc(swap.start), utc(swap.end), (person,), swap.reason, "swap", state(swap, now), swap.id)
