"""An entry of a time interval written back as Alertmanager writes it: names in lower case, months as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from amproxy.labels.interval_entry import Entry

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def written(entry: Entry) -> dict[str, Any]:
    """The fields that are given, as texts."""
    fields: dict[str, Any] = {}
    if entry.times is not None:
        fields["times"] = [{"start_time": _clock(start), "end_time": _clock(end)} for start, end in entry.times]
    if entry.weekdays is not None:
        fields["weekdays"] = _ranges(entry.weekdays, _WEEKDAYS.__getitem__)
    for key in ("days_of_month", "months", "years"):
        ranges = getattr(entry, key)
        if ranges is not None:
            fields[key] = _ranges(ranges, str)
    if entry.location:
        fields["location"] = entry.location
    return fields


def _ranges(ranges: tuple[tuple[int, int], ...], name: Callable[[int], str]) -> list[str]:
    return [name(start) if start == end else f"{name(start)}:{name(end)}" for start, end in ranges]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
