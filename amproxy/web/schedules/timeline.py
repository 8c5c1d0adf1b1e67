"""The geometry of timelines: what lies between two moments, laid out in bands from left to right. Pure.

A place in a band is a percentage of its width, and time flows evenly: a day on which the clock is changed is as wide as its 23 or
25 hours. Bars of one lane never overlap, and those that follow each other share an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.zones import moment

Kind = Literal["shift", "gap", "idle", "override", "swap"]
Size = Literal["tiny", "small", "day", "wide"]  # what has room in a bar: nothing, a mark, a name on a wide page, a name

_DAY = timedelta(days=1)


class Entry(NamedTuple):
    """What holds from `start` to `end` (exclusive, aware)."""

    start: datetime
    end: datetime
    people: tuple[str, ...] = ()
    why: str = ""
    kind: Kind = "shift"
    state: str = ""  # of a swap
    id: str = ""  # of what was made by hand


class Bar(NamedTuple):
    """An entry, or the part of it that lies in a band."""

    x: float  # per cent
    width: float  # per cent
    entry: Entry
    size: Size
    begins: bool  # here, and not before the band
    ends: bool


class Row(NamedTuple):
    """What is shown one beneath the other. label: "" = the kind says it all."""

    kind: Literal["final", "layer", "overrides", "swaps"]
    label: str
    lanes: list[list[Bar]]


class Tick(NamedTuple):
    """The beginning of a day, or of an hour in the view of one day."""

    x: float
    width: float  # up to the next
    at: datetime  # on the clock of the zone
    is_today: bool


class Span(NamedTuple):
    start: datetime
    end: datetime


class Track(NamedTuple):
    """All entries of one row."""

    kind: Literal["final", "layer", "overrides", "swaps"]
    label: str
    entries: Sequence[Entry]


class Band(NamedTuple):
    """A stretch of time as wide as the page."""

    start: datetime
    end: datetime
    ticks: list[Tick]
    rows: list[Row]
    outside: list[tuple[float, float]]  # x and width of what does not belong to what is shown: days of other months
    now: float | None  # per cent; None = not in this band


def place(at: datetime, span: Span) -> float:
    """Where a moment lies, in per cent; what lies outside is moved to the edge."""
    share = (at - span.start) / (span.end - span.start)
    return round(min(max(share, 0.0), 1.0) * 100, 3)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins, in UTC."""
    return moment(datetime.combine(day, time()), zone)


def bands(shown: Span, tracks: Sequence[Track], zone: ZoneInfo, now: datetime) -> list[Band]:
    """One band for each week, from Monday on where more than two weeks are shown; or a single one for less than a week.

    Rows that have nothing in a band are left out of it, except the final one.
    """
    return [_band(span, shown, tracks, zone, now) for span in _weeks(shown, zone)]


def lanes(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Entries one beneath the other where they overlap; each in the first lane that is free."""
    found: list[list[Entry]] = []
    for entry in sorted(entries, key=lambda one: (one.start, one.end)):
        for lane in found:
            if lane[-1].end <= entry.start:
                lane.append(entry)
                break
        else:
            found.append([entry])
    return found


def _weeks(shown: Span, zone: ZoneInfo) -> list[Span]:
    first, last = shown.start.astimezone(zone).date(), shown.end.astimezone(zone).date()
    days = (last - first).days
    if days < 7:
        return [shown]
    if days > 14:
        first -= _DAY * first.weekday()
    found = []
    while (start := midnight(first, zone)) < shown.end:
        first += _DAY * 7
        found.append(Span(start, midnight(first, zone)))
    return found


def _band(span: Span, shown: Span, tracks: Sequence[Track], zone: ZoneInfo, now: datetime) -> Band:
    rows = []
    for track in tracks:
        inside = [one for one in track.entries if one.start < span.end and span.start < one.end]
        if inside or track.kind == "final":
            rows.append(Row(track.kind, track.label, [[_bar(one, span) for one in lane] for lane in lanes(inside)]))
    outside = []
    if span.start < shown.start:
        outside.append((0.0, place(shown.start, span)))
    if shown.end < span.end:
        x = place(shown.end, span)
        outside.append((x, round(100 - x, 3)))
    line = place(now, span) if span.start <= now < span.end else None
    return Band(span.start, span.end, _ticks(span, zone, now), rows, outside, line)


def _bar(entry: Entry, span: Span) -> Bar:
    x = place(entry.start, span)
    width = round(place(entry.end, span) - x, 3)
    size: Size = "tiny" if width < 2.2 else "small" if width < 12 else "day" if width < 25 else "wide"
    return Bar(x, width, entry, size, span.start <= entry.start, entry.end <= span.end)


def _ticks(span: Span, zone: ZoneInfo, now: datetime) -> list[Tick]:
    first, last = span.start.astimezone(zone), span.end.astimezone(zone)
    if span.end - span.start <= timedelta(hours=30):
        edges = [span.start + timedelta(hours=n) for n in range(round((span.end - span.start) / timedelta(hours=1)))]
    else:
        edges = [midnight(first.date() + _DAY * n, zone) for n in range((last.date() - first.date()).days + 1)]
        edges = [span.start, *(edge for edge in edges if span.start < edge < span.end)]
    today = now.astimezone(zone).date()
    places = [*(place(edge, span) for edge in edges), 100.0]
    return [
        Tick(places[n], round(places[n + 1] - places[n], 3), edge.astimezone(zone), edge.astimezone(zone).date() == today)
        for n, edge in enumerate(edges)
    ]
