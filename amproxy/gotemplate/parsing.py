"""Texts into times by Go's reference layouts."""

from __future__ import annotations

import re

from amproxy.gotemplate.durations import SECOND
from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.layouts import MONTHS, WEEKDAYS, elements
from amproxy.gotemplate.quoting import quote_bytes
from amproxy.gotemplate.times import GO_UTC, GoLocation, GoTime, days_of, local_time

_DIGITS = {
    "06": r"\d\d",
    "2006": r"\d{4}",
    "01": r"\d\d",
    "1": r"\d\d?",
    "02": r"\d\d",
    "2": r"\d\d?",
    "_2": r" ?\d\d?",
    "002": r"\d{3}",
    "__2": r" {0,2}\d{1,3}",
    "15": r"\d\d?",
    "03": r"\d\d",
    "3": r"\d\d?",
    "04": r"\d\d",
    "4": r"\d\d?",
    "05": r"\d\d",
    "5": r"\d\d?",
}
_FIELDS = {
    "06": "year",
    "2006": "year",
    "01": "month",
    "1": "month",
    "02": "day",
    "2": "day",
    "_2": "day",
    "002": "day of year",
    "__2": "day of year",
    "15": "hour",
    "03": "hour",
    "3": "hour",
    "04": "minute",
    "4": "minute",
    "05": "second",
    "5": "second",
}
_RANGES = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}
_OFFSETS = {
    "0700": r"([+-])(\d\d)(\d\d)()",
    "07:00": r"([+-])(\d\d):(\d\d)()",
    "07": r"([+-])(\d\d)()()",
    "070000": r"([+-])(\d\d)(\d\d)(\d\d)",
    "07:00:00": r"([+-])(\d\d):(\d\d):(\d\d)",
}
# Names of zones in the form that Go takes: "CET", "CEST", "+03", "GMT-8".
_ABBREVIATION = (
    r"UTC|ChST|MeST|GMT(?:[+-](?:0*(?:1?\d|2[0-3]))(?!\d))?|[+-]0*(?:1?\d|2[0-3])(?!\d)"
    r"|(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])"
)
_FRACTION = re.compile(r"[.,]\d+")


class _Reader:
    """A text on its way through a layout, and the parts of the time found in it."""

    def __init__(self, layout: str, text: str) -> None:
        self.layout = layout
        self.text = text
        self.at = 0
        self.found: dict[str, int] = {}
        self.nanoseconds = 0
        self.half = ""
        self.offset: int | None = None
        self.is_utc = False
        self.abbreviation = ""

    def bad(self, element: str) -> GoCallError:
        return GoCallError(
            f"parsing time {quote_bytes(self.text)} as {quote_bytes(self.layout)}: cannot parse"
            f" {quote_bytes(self.text[self.at :])} as {quote_bytes(element)}"
        )

    def outside(self, what: str) -> GoCallError:
        return GoCallError(f"parsing time {quote_bytes(self.text)}: {what} out of range")

    def run(self) -> GoTime:
        for literal, element in elements(self.layout):
            self._literal(literal)
            if element:
                self._element(element)
        if self.at < len(self.text):
            rest = quote_bytes(self.text[self.at :])
            raise GoCallError(f"parsing time {quote_bytes(self.text)}: extra text: {rest}")
        return self._time()

    def _literal(self, literal: str) -> None:
        """Text of the layout; a run of spaces stands for any number of them."""
        whole = literal
        while literal:
            char = self.text[self.at : self.at + 1]
            if literal[0] == " ":
                if char not in ("", " "):
                    raise self.bad(whole)
                literal = literal.lstrip(" ")
                while self.text[self.at : self.at + 1] == " ":
                    self.at += 1
            elif char != literal[0]:
                raise self.bad(whole)
            else:
                literal = literal[1:]
                self.at += 1

    def _take(self, pattern: str, element: str) -> re.Match[str]:
        found = re.compile(pattern, re.ASCII).match(self.text, self.at)
        if found is None:
            raise self.bad(element)
        self.at = found.end()
        return found

    def _element(self, element: str) -> None:
        if element in _FIELDS:
            self._number(element)
        elif element in ("January", "Jan"):
            self.found["month"] = self._name(MONTHS, element) + 1
        elif element in ("Monday", "Mon"):
            self._name(WEEKDAYS, element)
        elif element in ("PM", "pm"):
            choices = "AM|PM" if element == "PM" else "am|pm"
            self.half = self._take(choices, element)[0].upper()
        elif element == "MST":
            self.abbreviation = self._take(_ABBREVIATION, element)[0]
            self.is_utc |= self.abbreviation == "UTC"
        elif element[0] in "-Z":
            self._zone(element)
        else:
            self._fraction(element)

    def _number(self, element: str) -> None:
        field = _FIELDS[element]
        number = int(self._take(_DIGITS[element], element)[0])
        if element == "06":
            number += 1900 if number >= 69 else 2000
        low, high = _RANGES.get(field, (number, number))
        if element in ("03", "3"):
            high = 12
        if not low <= number <= high:
            raise self.outside(field)
        self.found[field] = number
        if field == "second":
            self._loose_fraction()

    def _loose_fraction(self) -> None:
        """A fraction after the seconds is taken even where the layout has none."""
        following = [name for _, name in elements(self.layout)]
        if any(name[:1] in (".", ",") for name in following if name):
            return
        found = _FRACTION.match(self.text, self.at)
        if found:
            self.nanoseconds = int(found[0][1:10].ljust(9, "0"))
            self.at = found.end()

    def _fraction(self, element: str) -> None:
        if element[1] == "9":
            found = _FRACTION.match(self.text, self.at)
            if found is None:
                return
            digits = found[0][1:]
            self.at = found.end()
        else:
            digits = self._take(rf"[.,]\d{{{len(element) - 1}}}", element)[0][1:]
        self.nanoseconds = int(digits[:9].ljust(9, "0"))

    def _name(self, names: tuple[str, ...], element: str) -> int:
        length = 3 if len(element) == 3 else None
        rest = self.text[self.at :].lower()
        for number, name in enumerate(names):
            if rest.startswith(name[:length].lower()):
                self.at += len(name[:length])
                return number
        raise self.bad(element)

    def _zone(self, element: str) -> None:
        if element[0] == "Z" and self.text.startswith("Z", self.at):
            self.at += 1
            self.is_utc = True
            return
        found = self._take(_OFFSETS[element[1:]], element)
        hours, minutes, seconds = (int(found[number] or 0) for number in (2, 3, 4))
        if hours > 24 or minutes > 60 or seconds > 60:
            raise self.outside("time zone offset hour" if hours > 24 else "time zone offset minute")
        total = hours * 3600 + minutes * 60 + seconds
        self.offset = -total if found[1] == "-" else total

    def _time(self) -> GoTime:
        found = self.found
        year = found.get("year", 0)
        month, day = found.get("month"), found.get("day")
        first = days_of(year, 1, 1)
        if "day of year" in found:
            days = found["day of year"]
            if not 1 <= days <= days_of(year + 1, 1, 1) - first:
                raise self.outside("day-of-year")
            days += first - 1
            self._agree(days, month, day)
        else:
            month, day = month or 1, 1 if day is None else day
            length = days_of(year, month + 1, 1) - days_of(year, month, 1)
            if not 1 <= day <= length:
                raise self.outside("day")
            days = days_of(year, month, day)
        hour = found.get("hour", 0)
        if self.half == "PM" and hour < 12:
            hour += 12
        elif self.half == "AM" and hour == 12:
            hour = 0
        clock = hour * 3600 + found.get("minute", 0) * 60 + found.get("second", 0)
        return local_time(days, clock, self.nanoseconds, self._place())

    def _agree(self, days: int, month: int | None, day: int | None) -> None:
        """Refuse a month or day that is not the one of the day of the year."""
        found = GoTime(days * 86_400 * SECOND)
        for name, written, real in (("day", day, found.day), ("month", month, found.month)):
            if written is not None and written != real:
                raise GoCallError(
                    f"parsing time {quote_bytes(self.text)}: day-of-year does not match {name}"
                )

    def _place(self) -> GoLocation:
        name, offset = self.abbreviation, self.offset
        if self.is_utc or (not offset and not name):
            return GO_UTC
        if offset is None:
            # A name that nobody defined is kept, with no offset, as Go does.
            offset = int(name[3:]) * 3600 if name.startswith("GMT") and name[3:] else 0
        return GoLocation(name, None, name, offset)


def parse_time(layout: str, text: str) -> GoTime:
    """The time of a text in a layout, in UTC where it names no place. Raises GoCallError."""
    return _Reader(layout, text).run()
