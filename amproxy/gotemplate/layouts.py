"""Go's reference layouts of times: Mon Jan 2 15:04:05 MST 2006."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amproxy.gotemplate.times import GoTime

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07"
    r"|[.,](?:0+|9+)(?![0-9])"
)


# A longer layout is no layout of a person, and is not worth the memory.
_LONGEST_KEPT = 200


def elements(layout: str) -> tuple[tuple[str, str], ...]:
    """The layout as pairs of the text before an element and the element; the last has none."""
    if len(layout) > _LONGEST_KEPT:
        return tuple(_elements(layout))
    return _kept_elements(layout)


@lru_cache(maxsize=256)
def _kept_elements(layout: str) -> tuple[tuple[str, str], ...]:
    return tuple(_elements(layout))


def _elements(layout: str) -> Iterator[tuple[str, str]]:
    at = 0
    for found in ELEMENT.finditer(layout):
        yield layout[at : found.start()], found[0]
        at = found.end()
    yield layout[at:], ""


def format_time(moment: GoTime, layout: str) -> str:
    """A time in a layout."""
    parts = []
    for text, name in elements(layout):
        parts.append(text)
        if name:
            parts.append(_element(moment, name))
    return "".join(parts)


def _element(moment: GoTime, name: str) -> str:
    if name[0] in ".,":
        return _fraction(moment.nanosecond, name)
    if name == "MST":
        return moment.abbreviation or _offset(moment.offset, "-0700")
    if name[0] in "-Z":
        return "Z" if name[0] == "Z" and not moment.offset else _offset(moment.offset, name)
    if name in ("PM", "pm"):
        half = "PM" if moment.hour >= 12 else "AM"
        return half if name == "PM" else half.lower()
    if name in _DATES:
        return _DATES[name](moment)
    return _CLOCK[name](moment)


def _fraction(nanosecond: int, name: str) -> str:
    wanted = min(len(name) - 1, 9)
    digits = f"{nanosecond:09d}"[:wanted].ljust(wanted, "0")
    if name[1] == "0":
        return name[0] + digits
    digits = f"{nanosecond:09d}"[:wanted].rstrip("0")
    return name[0] + digits if digits else ""


def _offset(offset: int, name: str) -> str:
    sign = "-" if offset <= -60 else "+"
    minutes, seconds = divmod(abs(offset), 60)
    colon = ":" if ":" in name else ""
    text = f"{sign}{minutes // 60:02d}"
    if len(name) > 3:
        text += f"{colon}{minutes % 60:02d}"
    if len(name) in (7, 9):
        text += f"{colon}{seconds:02d}"
    return text


def _year(moment: GoTime) -> str:
    year = moment.year
    return f"-{-year:04d}" if year < 0 else f"{year:04d}"


_DATES: dict[str, Callable[[GoTime], str]] = {
    "2006": _year,
    "06": lambda moment: f"{abs(moment.year) % 100:02d}",
    "January": lambda moment: MONTHS[moment.month - 1],
    "Jan": lambda moment: MONTHS[moment.month - 1][:3],
    "01": lambda moment: f"{moment.month:02d}",
    "1": lambda moment: str(moment.month),
    "Monday": lambda moment: WEEKDAYS[moment.weekday],
    "Mon": lambda moment: WEEKDAYS[moment.weekday][:3],
    "02": lambda moment: f"{moment.day:02d}",
    "_2": lambda moment: f"{moment.day:2d}",
    "2": lambda moment: str(moment.day),
    "002": lambda moment: f"{moment.year_day:03d}",
    "__2": lambda moment: f"{moment.year_day:3d}",
}
_CLOCK: dict[str, Callable[[GoTime], str]] = {
    "15": lambda moment: f"{moment.hour:02d}",
    "03": lambda moment: f"{moment.hour % 12 or 12:02d}",
    "3": lambda moment: str(moment.hour % 12 or 12),
    "04": lambda moment: f"{moment.minute:02d}",
    "4": lambda moment: str(moment.minute),
    "05": lambda moment: f"{moment.second:02d}",
    "5": lambda moment: str(moment.second),
}
