"""Timelines of schedules: their entries, and the geometry that lays these out in bands. Pure.

A place in a band is a percentage of its width, and time flows evenly: a day on which the clock is
changed is as wide as its 23 or 25 hours. Bars of one line never overlap, and those that follow
each other share an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.model import Swap
from amproxy.oncall.layers import Cover, override_reason
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.swaps import swap_state
from amproxy.shifts.final import FinalShift
from amproxy.text import Words
from amproxy.times import local_to_utc, to_utc, wall_to_utc

TimelineKind = Literal["shift", "gap", "idle", "override", "swap", "absence", "holiday"]
RowKind = Literal["final", "layer", "overrides", "swaps", "absences", "holidays"]
BarSize = Literal["tiny", "thin", "narrow", "small", "day", "wide"]

CALENDAR_ROW = "calendar"  # label of the row of a schedule that comes from a calendar

# Widest bar of each size, in per cent of the band. A tiny one has room for nothing, a small one
# for a mark, a day for a name on a wide page; anything wider has room for a name. A narrow one has
# a mark whose letters stand beneath each other where the page is narrow; a thin one on wide pages.
_BAR_SIZES: tuple[tuple[float, BarSize], ...] = (
    *((2.2, "tiny"), (3.4, "thin"), (7.5, "narrow")),
    *((12, "small"), (25, "day")),
)

# The highest covers of a roster are no layers: overrides by hand, and those of the file.
_OVERRIDE_COVERS = 2
_DAY = timedelta(days=1)
_HOURLY = timedelta(hours=30)  # up to this length a band has a tick for each hour


class ScheduleTimelineEntry(NamedTuple):
    """One entry of a row, from `start` to `end` (exclusive, aware)."""

    start: datetime
    end: datetime
    people: tuple[str, ...] = ()
    reason: Words = ""
    kind: TimelineKind = "shift"
    state: str = ""  # of a swap; of a holiday its countries
    id: str = ""  # of an override or swap made by hand


class TimelineTrack(NamedTuple):
    """All entries of one row. label: "" = the kind says it all."""

    kind: RowKind
    label: str
    entries: Sequence[ScheduleTimelineEntry]


class BandPeriod(NamedTuple):
    start: datetime
    end: datetime


class TimelineBar(NamedTuple):
    """An entry, as far as it lies in a band."""

    x: float  # per cent
    width: float  # per cent
    entry: ScheduleTimelineEntry
    size: BarSize
    begins: bool  # here, and not before the band
    ends: bool


class BandRow(NamedTuple):
    """One row of a band: lines of bars, one beneath the other."""

    kind: RowKind
    label: str
    lines: list[list[TimelineBar]]


class TimelineTick(NamedTuple):
    """The beginning of a day, or of an hour in the view of one day."""

    x: float
    width: float  # up to the next
    at: datetime  # on the clock of the zone
    is_today: bool


class TimelineBand(NamedTuple):
    """A period as wide as the page."""

    start: datetime
    end: datetime
    ticks: Sequence[TimelineTick]
    rows: list[BandRow]
    outside: list[tuple[float, float]]  # x and width of days that are not of the shown period
    now: float | None  # per cent; None = not in this band


def layout_bands(
    period: BandPeriod, tracks: Sequence[TimelineTrack], zone: ZoneInfo, now: datetime
) -> list[TimelineBand]:
    """One band for less than a week, else one a week; from Mondays on beyond two weeks.

    Rows that have nothing in a band are left out of it, except the final one.
    """
    return [_layout_band(band, period, tracks, zone, now) for band in _split_weeks(period, zone)]


def stack_entries(entries: Iterable[ScheduleTimelineEntry]) -> list[list[ScheduleTimelineEntry]]:
    """Entries in lines, one beneath the other where they overlap; each in the first free line."""
    lines: list[list[ScheduleTimelineEntry]] = []
    for entry in sorted(entries, key=lambda one: (one.start, one.end)):
        for line in lines:
            if line[-1].end <= entry.start:
                line.append(entry)
                break
        else:
            lines.append([entry])
    return lines


def position_of(at: datetime, band: BandPeriod) -> float:
    """The place of a moment in per cent; outside the band that of the nearer edge."""
    share = (at - band.start) / (band.end - band.start)
    return round(min(max(share, 0.0), 1.0) * 100, 3)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a day, in UTC."""
    return wall_to_utc(datetime.combine(day, time()), zone)


def _split_weeks(period: BandPeriod, zone: ZoneInfo) -> list[BandPeriod]:
    first, last = (at.astimezone(zone).date() for at in period)
    days = (last - first).days
    if days < 7:
        return [period]
    if days > 14:
        first -= _DAY * first.weekday()
    weeks = []
    while (start := midnight(first, zone)) < period.end:
        first += _DAY * 7
        weeks.append(BandPeriod(start, midnight(first, zone)))
    return weeks


def _layout_band(
    band: BandPeriod,
    period: BandPeriod,
    tracks: Sequence[TimelineTrack],
    zone: ZoneInfo,
    now: datetime,
) -> TimelineBand:
    rows = []
    for track in tracks:
        entries = [one for one in track.entries if one.start < band.end and band.start < one.end]
        if entries or track.kind == "final":
            lines = [[_layout_bar(one, band) for one in line] for line in stack_entries(entries)]
            rows.append(BandRow(track.kind, track.label, lines))
    outside = []
    if band.start < period.start:
        outside.append((0.0, position_of(period.start, band)))
    if period.end < band.end:
        x = position_of(period.end, band)
        outside.append((x, round(100 - x, 3)))
    now_x = position_of(now, band) if band.start <= now < band.end else None
    ticks = _layout_ticks(band, zone, now.astimezone(zone).date())
    return TimelineBand(*band, ticks, rows, outside, now_x)


def _layout_bar(entry: ScheduleTimelineEntry, band: BandPeriod) -> TimelineBar:
    x = position_of(entry.start, band)
    width = round(position_of(entry.end, band) - x, 3)
    size: BarSize = next((size for limit, size in _BAR_SIZES if width < limit), "wide")
    return TimelineBar(x, width, entry, size, band.start <= entry.start, entry.end <= band.end)


@lru_cache(maxsize=64)  # all schedules of a list have the same
def _layout_ticks(band: BandPeriod, zone: ZoneInfo, today: date) -> Sequence[TimelineTick]:
    length = band.end - band.start
    if length <= _HOURLY:
        hours = round(length / timedelta(hours=1))
        edges = [band.start + timedelta(hours=n) for n in range(hours)]
    else:
        first, last = (at.astimezone(zone).date() for at in band)
        days = [midnight(first + _DAY * n, zone) for n in range((last - first).days + 1)]
        edges = [band.start, *(edge for edge in days if band.start < edge < band.end)]
    places = [*(position_of(edge, band) for edge in edges), 100.0]
    ticks = []
    for n, edge in enumerate(edges):
        x, local = places[n], edge.astimezone(zone)
        ticks.append(TimelineTick(x, round(places[n + 1] - x, 3), local, local.date() == today))
    return ticks


def upper_tracks(
    roster: Roster, schedule: Schedule, final: Sequence[FinalShift], period: BandPeriod, now: float
) -> list[TimelineTrack]:
    """The rows above the layers: final shifts, swaps, overrides.

    now: Unix seconds; decides the state of swaps.
    """
    swaps = [_swap_entry(swap, now) for swap in roster.swaps.get(schedule.name, ())]
    shown = [one for one in swaps if one.start < period.end and period.start < one.end]
    return [
        TimelineTrack("final", "", final_entries(final)),
        TimelineTrack("swaps", "", shown),
        TimelineTrack("overrides", "", list(_override_entries(roster, schedule, period))),
    ]


def final_entries(final: Iterable[FinalShift]) -> list[ScheduleTimelineEntry]:
    """Shifts as they are, or were recorded."""
    return [_shift_entry(one, tuple(person.user for person in one.people)) for one in final]


def planned_entries(shifts: Iterable[Shift]) -> list[ScheduleTimelineEntry]:
    """Shifts as a roster plans them."""
    return [_shift_entry(one, one.users) for one in shifts]


def layer_tracks(roster: Roster, schedule: Schedule, period: BandPeriod) -> list[TimelineTrack]:
    """A row for each layer, the highest first: its own people, whatever lies over it."""
    covers = roster.covers(schedule.name)[_OVERRIDE_COVERS:]
    names = [layer.name for layer in reversed(schedule.layers)] or [CALENDAR_ROW] * len(covers)
    return [
        TimelineTrack("layer", name, _layer_entries(cover, period))
        for name, cover in zip(names, covers, strict=True)
    ]


def _shift_entry(shift: FinalShift | Shift, people: tuple[str, ...]) -> ScheduleTimelineEntry:
    kind: TimelineKind = "shift" if people else "gap"
    return ScheduleTimelineEntry(
        shift.start, shift.end, people, shift.reason, kind, id=shift.override
    )


def _layer_entries(cover: Cover, period: BandPeriod) -> list[ScheduleTimelineEntry]:
    """Nothing while the layer is not active; "idle" while it is and has nobody left."""
    entries: list[ScheduleTimelineEntry] = []
    at, end = (to_utc(edge) for edge in period)
    while at < end:
        found = cover.assignment_at(at)
        until = min(found.end, end)
        if found.users or found.reason:
            kind: TimelineKind = "shift" if found.users else "idle"
            entry = ScheduleTimelineEntry(at, until, found.users, found.reason or "", kind)
            # A cover may end where nothing changes: what goes on unchanged is one bar.
            last = entries[-1] if entries else None
            if last and last.end == at and last._replace(start=at, end=until) == entry:
                entries[-1] = last._replace(end=until)
            else:
                entries.append(entry)
        at = until
    return entries


def _override_entries(
    roster: Roster, schedule: Schedule, period: BandPeriod
) -> Iterable[ScheduleTimelineEntry]:
    zone = ZoneInfo(schedule.timezone)
    for one in (*schedule.overrides, *roster.overrides.get(schedule.name, ())):
        start, end = local_to_utc(one.start, zone), local_to_utc(one.end, zone)
        if start < period.end and period.start < end:
            reason = override_reason(one, by_hand=bool(one.id))
            yield ScheduleTimelineEntry(start, end, one.users, reason, "override", id=one.id)


def _swap_entry(swap: Swap, now: float) -> ScheduleTimelineEntry:
    """An entry for the person whose shifts an open swap is about, or who took them."""
    people, state = (swap.taken_by or swap.user,), swap_state(swap, now)
    return ScheduleTimelineEntry(
        utc(swap.start), utc(swap.end), people, swap.reason, "swap", state, swap.id
    )
