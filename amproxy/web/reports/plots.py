"""Numbers as shapes: what templates draw as SVG. Pure; all lengths are in units of the drawing, 100 or the number of steps wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

HEIGHT = 40.0  # of bars over time
SINGLE = 62  # days up to which each has a bar of its own; beyond, seven share one
WEEK = 7
LEVELS = 5  # of a heat map, above none


class Bar(NamedTuple):
    """Some days."""

    day: date  # the first
    incidents: int
    pages: int
    height: float  # of the incidents


class Days(NamedTuple):
    """Incidents as bars and pages as a line, over time, on one scale."""

    bars: list[Bar]
    line: str  # points of a polyline
    top: int  # the number at the top
    each: int  # days of a bar


class Cell(NamedTuple):
    """An hour of the week."""

    weekday: int  # 0 = Monday
    hour: int
    incidents: int
    level: int  # 0 = none, up to LEVELS


def days(rows: Sequence[Mapping[str, Any]], first: date, last: date) -> Days:
    """rows: the table of days; days that are missing had nothing. last is included."""
    known = {date.fromisoformat(row["day"]): row for row in rows}
    count = (last - first).days + 1
    each = 1 if count <= SINGLE else WEEK
    sums = list[tuple[date, int, int]]()
    for begin in range(0, count, each):
        found = [known[day] for n in range(begin, min(begin + each, count)) if (day := first + timedelta(days=n)) in known]
        sums.append((first + timedelta(days=begin), sum(row["incidents"] for row in found), sum(row["pages"] for row in found)))
    top = max([1, *(max(incidents, pages) for _, incidents, pages in sums)])
    bars = [Bar(day, incidents, pages, round(HEIGHT * incidents / top, 2)) for day, incidents, pages in sums]
    line = " ".join(f"{n + 0.5:g},{HEIGHT - HEIGHT * bar.pages / top:.2f}" for n, bar in enumerate(bars))
    return Days(bars, line, top, each)


def week(rows: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """rows: the table of hours, Monday first."""
    most = max((row[f"{hour:02}"] for row in rows for hour in range(24)), default=0)
    return [
        Cell(weekday, hour, n, -(-n * LEVELS // most) if n else 0)
        for weekday, row in enumerate(rows)
        for hour in range(24)
        for n in (row[f"{hour:02}"],)
    ]


def widest(rows: Sequence[Mapping[str, Any]], *path: str) -> float:
    """The largest of the values that lie under these keys, for a scale that rows share; never 0."""
    return max([1e-9, *(value for row in rows if (value := _at(row, path)) is not None)])


def _at(row: Any, path: Sequence[str]) -> float | None:
    for name in path:
        row = row[name]
    return None if row is None else float(row)
