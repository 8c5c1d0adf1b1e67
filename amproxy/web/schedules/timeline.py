"""The geometry of timelines: what lies between two moments, laid out in bands from left to right. Pure.

A place in a band is a percentage of its width, and time flows evenly: a day on which the clock is changed is as wide as its 23 or
25 hours. Bars of one lane never overlap, and those that follow each other share an edge.

What the rows of a schedule's timeline hold: what is final, what each layer wants, overrides and swaps. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.model import Swap
from amproxy.oncall.layers import Cover
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.swaps import swap_state
from amproxy.shifts.final import FinalShift
from amproxy.times import local_to_utc, to_utc, wall_to_utc

TimelineKind = Literal["shift", "gap", "idle", "override", "swap"]
BarSize = Literal["tiny", "small", "day", "wide"]  # what has room in a bar: nothing, a mark, a name on a wide page, a name

_DAY = timedelta(days=1)


class ScheduleTimelineEntry(NamedTuple):
    """What holds from `start` to `end` (exclusive, aware)."""

    start: datetime
    end: datetime
    people: tuple[str, ...] = ()
    why: str = ""
    kind: TimelineKind = "shift"
    state: str = ""  # of a swap
    id: str = ""  # of what was made by hand


class TimelineBar(NamedTuple):
    """An entry, or the part of it that lies in a band."""

    x: float  # per cent
    width: float  # per cent
    entry: ScheduleTimelineEntry
    size: BarSize
    begins: bool  # here, and not before the band
    ends: bool


class BandRow(NamedTuple):
    """What is shown one beneath the other. label: "" = the kind says it all."""

    kind: Literal["final", "layer", "overrides", "swaps"]
    label: str
    lanes: list[list[TimelineBar]]


class TimelineTick(NamedTuple):
    """The beginning of a day, or of an hour in the view of one day."""

    x: float
    width: float  # up to the next
    at: datetime  # on the clock of the zone
    is_today: bool


class BandPeriod(NamedTuple):
    start: datetime
    end: datetime


class TimelineTrack(NamedTuple):
    """All entries of one row."""

    kind: Literal["final", "layer", "overrides", "swaps"]
    label: str
    entries: Sequence[ScheduleTimelineEntry]


class TimelineBand(NamedTuple):
    """A stretch of time as wide as the page."""

    start: datetime
    end: datetime
    ticks: list[TimelineTick]
    rows: list[BandRow]
    outside: list[tuple[float, float]]  # x and width of what does not belong to what is shown: days of other months
    now: float | None  # per cent; None = not in this band


def position_of(at: datetime, span: BandPeriod) -> float:
    """Where a moment lies, in per cent; what lies outside is moved to the edge."""
    share = (at - span.start) / (span.end - span.start)
    return round(min(max(share, 0.0), 1.0) * 100, 3)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins, in UTC."""
    return wall_to_utc(datetime.combine(day, time()), zone)


def layout_bands(shown: BandPeriod, tracks: Sequence[TimelineTrack], zone: ZoneInfo, now: datetime) -> list[TimelineBand]:
    """One band for each week, from Monday on where more than two weeks are shown; or a single one for less than a week.

    Rows that have nothing in a band are left out of it, except the final one.
    """
    return [_layout_band(span, shown, tracks, zone, now) for span in _band_periods(shown, zone)]


def stack_entries(entries: Iterable[ScheduleTimelineEntry]) -> list[list[ScheduleTimelineEntry]]:
    """Entries one beneath the other where they overlap; each in the first lane that is free."""
    found: list[list[ScheduleTimelineEntry]] = []
    for entry in sorted(entries, key=lambda one: (one.start, one.end)):
        for lane in found:
            if lane[-1].end <= entry.start:
                lane.append(entry)
                break
        else:
            found.append([entry])
    return found


def _band_periods(shown: BandPeriod, zone: ZoneInfo) -> list[BandPeriod]:
    first, last = shown.start.astimezone(zone).date(), shown.end.astimezone(zone).date()
    days = (last - first).days
    if days < 7:
        return [shown]
    if days > 14:
        first -= _DAY * first.weekday()
    found = []
    while (start := midnight(first, zone)) < shown.end:
        first += _DAY * 7
        found.append(BandPeriod(start, midnight(first, zone)))
    return found


def _layout_band(span: BandPeriod, shown: BandPeriod, tracks: Sequence[TimelineTrack], zone: ZoneInfo, now: datetime) -> TimelineBand:
    rows = []
    for track in tracks:
        inside = [one for one in track.entries if one.start < span.end and span.start < one.end]
        if inside or track.kind == "final":
            rows.append(BandRow(track.kind, track.label, [[_layout_bar(one, span) for one in lane] for lane in stack_entries(inside)]))
    outside = []
    if span.start < shown.start:
        outside.append((0.0, position_of(shown.start, span)))
    if shown.end < span.end:
        x = position_of(shown.end, span)
        outside.append((x, round(100 - x, 3)))
    line = position_of(now, span) if span.start <= now < span.end else None
    return TimelineBand(span.start, span.end, _layout_ticks(span, zone, now), rows, outside, line)


def _layout_bar(entry: ScheduleTimelineEntry, span: BandPeriod) -> TimelineBar:
    x = position_of(entry.start, span)
    width = round(position_of(entry.end, span) - x, 3)
    size: BarSize = "tiny" if width < 2.2 else "small" if width < 12 else "day" if width < 25 else "wide"
    return TimelineBar(x, width, entry, size, span.start <= entry.start, entry.end <= span.end)


def _layout_ticks(span: BandPeriod, zone: ZoneInfo, now: datetime) -> list[TimelineTick]:
    first, last = span.start.astimezone(zone), span.end.astimezone(zone)
    if span.end - span.start <= timedelta(hours=30):
        edges = [span.start + timedelta(hours=n) for n in range(round((span.end - span.start) / timedelta(hours=1)))]
    else:
        edges = [midnight(first.date() + _DAY * n, zone) for n in range((last.date() - first.date()).days + 1)]
        edges = [span.start, *(edge for edge in edges if span.start < edge < span.end)]
    today = now.astimezone(zone).date()
    places = [*(position_of(edge, span) for edge in edges), 100.0]
    return [
        TimelineTick(places[n], round(places[n + 1] - places[n], 3), edge.astimezone(zone), edge.astimezone(zone).date() == today)
        for n, edge in enumerate(edges)
    ]


_OVERRIDE_COVERS = 2  # covers of a roster that are none of its layers: overrides by hand, and those of the file
CALENDAR_ROW = "calendar"  # the row of a schedule that comes from one


def upper_tracks(roster: Roster, schedule: Schedule, final: Sequence[FinalShift], span: BandPeriod, now: float) -> list[TimelineTrack]:
    """The upper rows from top to bottom: what is final, and what lies over the layers.

    now: Unix seconds; decides what has become of swaps.
    """
    asked = roster.swaps.get(schedule.name, ())
    return [
        TimelineTrack("final", "", final_entries(final)),
        TimelineTrack(
            "swaps", "", [entry for swap in asked if (entry := _swap_entry(swap, now)).start < span.end and span.start < entry.end]
        ),
        TimelineTrack("overrides", "", list(_override_entries(roster, schedule, span))),
    ]


def final_entries(final: Iterable[FinalShift]) -> list[ScheduleTimelineEntry]:
    """Shifts as they are, or were written down."""
    return [
        ScheduleTimelineEntry(
            one.start, one.end, tuple(person.user for person in one.people), one.reason, "shift" if one.people else "gap", id=one.override
        )
        for one in final
    ]


def planned_entries(shifts: Iterable[Shift]) -> list[ScheduleTimelineEntry]:
    """Shifts that a roster plans."""
    return [
        ScheduleTimelineEntry(one.start, one.end, one.users, one.reason, "shift" if one.users else "gap", id=one.override) for one in shifts
    ]


def layer_tracks(roster: Roster, schedule: Schedule, span: BandPeriod) -> list[TimelineTrack]:
    """A row for each layer, the highest first: whom it wants, whether or not something lies over it."""
    covers = roster.covers(schedule.name)[_OVERRIDE_COVERS:]
    names = [layer.name for layer in reversed(schedule.layers)] or [CALENDAR_ROW] * len(covers)
    return [TimelineTrack("layer", name, _layer_entries(cover, span)) for name, cover in zip(names, covers, strict=True)]


def _layer_entries(cover: Cover, span: BandPeriod) -> list[ScheduleTimelineEntry]:
    """A layer that is not active has no entry; one that is and has nobody left has an idle one."""
    found: list[ScheduleTimelineEntry] = []
    at, end = to_utc(span.start), to_utc(span.end)
    while at < end:
        stretch = cover.stretch(at)
        until = min(stretch.end, end)
        if stretch.users or stretch.reason:
            entry = ScheduleTimelineEntry(at, until, stretch.users, stretch.reason, "shift" if stretch.users else "idle")
            if found and found[-1]._replace(start=at, end=until) == entry and found[-1].end == at:
                found[-1] = found[-1]._replace(end=until)
            else:
                found.append(entry)
        at = until
    return found


def _override_entries(roster: Roster, schedule: Schedule, span: BandPeriod) -> Iterable[ScheduleTimelineEntry]:
    zone = ZoneInfo(schedule.timezone)
    for one in (*schedule.overrides, *roster.overrides.get(schedule.name, ())):
        start, end = local_to_utc(one.start, zone), local_to_utc(one.end, zone)
        if start < span.end and span.start < end:
            text = "override by hand" if one.id else "override"
            yield ScheduleTimelineEntry(start, end, one.users, f"{text}: {one.reason}" if one.reason else text, "override", id=one.id)


def _swap_entry(swap: Swap, now: float) -> ScheduleTimelineEntry:
    """Open ones show whose shifts they are about, those that are taken who took them."""
    person = swap.taken_by or swap.user
    return ScheduleTimelineEntry(utc(swap.start), utc(swap.end), (person,), swap.reason, "swap", swap_state(swap, now), swap.id)
