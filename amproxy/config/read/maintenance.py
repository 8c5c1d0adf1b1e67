"""`maintenance_windows`: alerts that are expected, once or again and again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from amproxy.config.read.conditions import matchers
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.moments import moment, timezone, wall
from amproxy.config.read.people import intervals
from amproxy.config.read.values import name, text
from amproxy.config.structs import Maintenance

_WINDOW: Final[dict[str, Reader]] = {
    "name": name,
    "matchers": matchers,
    "start": moment,
    "end": moment,
    "timezone": timezone,
    "active_time_intervals": intervals,
    "comment": text,
}


def maintenance_window(at: Cursor) -> Maintenance:
    """One window: from `start` to `end`, or by time intervals, or both."""
    section = at.section(_WINDOW)
    section.require("name")
    section.require("matchers", why="which alerts are expected?")
    if section.get("matchers") == []:
        section.error("matchers", "names no alerts: a window without matchers would hold back everything")
    if not section.get("active_time_intervals"):
        for key in ("start", "end"):
            section.require(key, why="or active_time_intervals, for a window that recurs")
    zone = section.get("timezone", "UTC")
    start, end = _bound(section, "start", zone), _bound(section, "end", zone)
    if start and end and end <= start:
        section.error("end", "the end must lie after the start")
    return Maintenance(
        name=section.get("name", ""),
        matchers=tuple(section.get("matchers", ())),
        start=start,
        end=end,
        timezone=zone,
        active_time_intervals=tuple(section.get("active_time_intervals", ())),
        comment=section.get("comment", ""),
        place=at.place,
    )


def _bound(section: Section, key: str, zone: str) -> datetime | None:
    return wall(section[key], zone) if key in section else None
