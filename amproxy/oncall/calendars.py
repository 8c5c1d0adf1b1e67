"""What a calendar says, as far as it is worked out: its events between two moments, each with the words that name people.

A calendar's text is parsed, and its repetitions are worked out, before it comes here (amproxy.calendars); who is meant by the
words is decided here, because that changes with the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from amproxy.config.structs import User
from amproxy.oncall.calendar_people import People

NOT_LOADED = "calendar not loaded"
PRIMARY, OVERRIDES = "calendar", "overrides calendar"
_PRIORITY = re.compile(r"\s*\[L([0-9]{1,4})\]", re.IGNORECASE)


class Words(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The words of an event that may name people."""

    summary: str = ""
    attendees: tuple[str, ...] = ()  # e-mail addresses
    description: str = ""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One occurrence; `words` is its place in Calendar.words, because occurrences of one event share them."""

    start: datetime  # UTC
    end: datetime  # exclusive, after start
    words: int


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """All occurrences that touch the time from `start` to `end` (UTC), in the order in which they begin. Outside of it nothing is known."""

    start: datetime
    end: datetime
    words: tuple[Words, ...]
    events: tuple[Event, ...]


class CalendarShift(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a schedule's calendars. Of two at the same time the one with the higher rank counts; equal ones count together."""

    start: datetime
    end: datetime  # exclusive
    rank: tuple[bool, int]  # (whether it is of the overrides calendar, the priority that a leading [L2] gives)
    users: tuple[str, ...]  # () = an empty shift: nobody who is known is named
    summary: str


class Level(NamedTuple):
    """What shifts of one rank say together."""

    layer: str
    users: tuple[str, ...]  # () = empty shifts


class Told(NamedTuple):
    """What a schedule's calendars say about the people of a file."""

    shifts: list[CalendarShift]
    edges: list[datetime]  # moments at which something changes, in order
    levels: list[tuple[Level, ...]]  # what holds from each of them on, from the highest rank down


class Calendars:
    """The calendars of one schedule: shifts, and what beats them. None = never loaded."""

    def __init__(self, primary: Calendar | None, overrides: Calendar | None = None, missing: str = NOT_LOADED) -> None:
        """`missing`: why the primary one is not there, for people."""
        self.primary, self.overrides, self.missing = primary, overrides, missing
        self._users: Mapping[str, User] | None = None
        self._told = Told([], [], [])

    def told(self, users: Mapping[str, User]) -> Told:
        """Remembered, so that a new roster for the same people does not begin anew."""
        if self._users is not users:
            people = People(users)
            shifts = [
                *(_shifts(self.primary, people, is_override=False) if self.primary else ()),
                *(_shifts(self.overrides, people, is_override=True) if self.overrides else ()),
            ]
            self._users, self._told = users, Told(shifts, *_sweep(shifts))
        return self._told


def _shifts(calendar: Calendar, people: People, *, is_override: bool) -> list[CalendarShift]:
    named = [_named(words, people) for words in calendar.words]
    shifts = []
    for event in calendar.events:
        priority, users = named[event.words]
        summary = calendar.words[event.words].summary
        shifts.append(CalendarShift(start=event.start, end=event.end, rank=(is_override, priority), users=users, summary=summary))
    return shifts


def _named(words: Words, people: People) -> tuple[int, tuple[str, ...]]:
    """The priority, and the people of the first part that names any: SUMMARY, ATTENDEE, DESCRIPTION."""
    leading = _PRIORITY.match(words.summary)
    priority, summary = (int(leading[1]), words.summary[leading.end() :]) if leading else (0, words.summary)
    return priority, people.named(summary) or people.addressed(words.attendees) or people.named(words.description)


def _sweep(shifts: Sequence[CalendarShift]) -> tuple[list[datetime], list[tuple[Level, ...]]]:
    """The edges and levels of Told."""
    bounds = sorted(
        [(shift.start, number, True) for number, shift in enumerate(shifts)]
        + [(shift.end, number, False) for number, shift in enumerate(shifts)]
    )
    edges, held, holding = list[datetime](), list[tuple[Level, ...]](), set[int]()
    for at, group in groupby(bounds, key=lambda bound: bound[0]):
        for _, number, begins in group:
            if begins:
                holding.add(number)
            else:
                holding.remove(number)
        levels = _levels([shifts[number] for number in sorted(holding)])
        if not held or held[-1] != levels:
            edges.append(at)
            held.append(levels)
    return edges, held


def _levels(shifts: Sequence[CalendarShift]) -> tuple[Level, ...]:
    ranks: dict[tuple[bool, int], dict[str, None]] = {}
    for shift in shifts:
        ranks.setdefault(shift.rank, {}).update(dict.fromkeys(shift.users))
    return tuple(Level(OVERRIDES if rank[0] else PRIMARY, tuple(ranks[rank])) for rank in sorted(ranks, reverse=True))
