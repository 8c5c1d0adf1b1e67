"""Whom a text means: the people of the file by their name, full name, or an address of theirs.

What a calendar says, as far as it is worked out: its events between two moments, each with the words that name people.

A calendar's text is parsed, and its repetitions are worked out, before it comes here (amproxy.calendars); who is meant by the
words is decided here, because that changes with the file.

A schedule's calendars in the place of its layers: who is on call by them at a moment.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from amproxy.config.structs import User
from amproxy.oncall.layers import AbsencesByUser, Assignment
from amproxy.times import EARLIEST, LATEST

_CHANNELS_WITHOUT_ADDRESS = ("console", "webhook")  # contacts that are no address of a person: any word may stand there
_SEPARATOR = re.compile(r"[,;/&+\n]|\band\b")


class PeopleIndex:
    """Upper and lower case are the same everywhere. A name that belongs to several people means all of them."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._meant: dict[str, tuple[str, ...]] = {}
        for words in (_names, _full_names, _addresses):  # a word that is somebody's name is nobody else's address
            found: dict[str, list[str]] = {}
            for user, word in words(users.values()):
                if word and word not in self._meant:
                    found.setdefault(word, []).append(user)
            self._meant |= {word: tuple(dict.fromkeys(meant)) for word, meant in found.items()}
        longest_first = sorted(map(re.escape, self._meant), key=len, reverse=True)
        # Whole words, and no parts of addresses or of names with dots or hyphens: ann-maria and ann@example.org are not "ann".
        self._word = re.compile(rf"(?<![\w@])(?<!\w[.-])(?:{'|'.join(longest_first)})(?![\w@])(?![.-]\w)") if self._meant else None

    def named(self, text: str) -> tuple[str, ...]:
        """The first one named, and all that follow behind a comma, semicolon, slash, "&", "+", new line or "and"."""
        text, found, end = _fold_case(text), dict[str, None](), None
        for match in self._word.finditer(text) if self._word else ():
            if end is None or _SEPARATOR.search(text, end, match.start()):
                found |= dict.fromkeys(self._meant[match[0]])
            end = match.end()
        return tuple(found)

    def addressed(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those whose address is among these."""
        return tuple(dict.fromkeys(user for address in addresses for user in self._meant.get(_fold_case(address), ())))


def _fold_case(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).strip(" \t")


def _names(users: Iterable[User]) -> Iterator[tuple[str, str]]:
    return ((user.name, _fold_case(user.name)) for user in users)


def _full_names(users: Iterable[User]) -> Iterator[tuple[str, str]]:
    return ((user.name, _fold_case(user.full_name)) for user in users)


def _addresses(users: Iterable[User]) -> Iterator[tuple[str, str]]:
    return (
        (user.name, _fold_case(address))
        for user in users
        for channel, address in user.contacts.items()
        if channel not in _CHANNELS_WITHOUT_ADDRESS
    )


NOT_LOADED = "calendar not loaded"
PRIMARY_CALENDAR, OVERRIDES_CALENDAR = "calendar", "overrides calendar"
_PRIORITY = re.compile(r"\s*\[L([0-9]{1,4})\]", re.IGNORECASE)


class CalendarEventText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The words of an event that may name people."""

    summary: str = ""
    attendees: tuple[str, ...] = ()  # e-mail addresses
    description: str = ""


class CalendarEvent(msgspec.Struct, frozen=True, array_like=True):
    """One occurrence; `words` is its place in Calendar.words, because occurrences of one event share them."""

    start: datetime  # UTC
    end: datetime  # exclusive, after start
    words: int


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """All occurrences that touch the time from `start` to `end` (UTC), in the order in which they begin. Outside of it nothing is known."""

    start: datetime
    end: datetime
    words: tuple[CalendarEventText, ...]
    events: tuple[CalendarEvent, ...]


class CalendarShift(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a schedule's calendars. Of two at the same time the one with the higher rank counts; equal ones count together."""

    start: datetime
    end: datetime  # exclusive
    rank: tuple[bool, int]  # (whether it is of the overrides calendar, the priority that a leading [L2] gives)
    users: tuple[str, ...]  # () = an empty shift: nobody who is known is named
    summary: str


class CalendarLevel(NamedTuple):
    """What shifts of one rank say together."""

    layer: str
    users: tuple[str, ...]  # () = empty shifts


class ResolvedCalendars(NamedTuple):
    """What a schedule's calendars say about the people of a file."""

    shifts: list[CalendarShift]
    edges: list[datetime]  # moments at which something changes, in order
    levels: list[tuple[CalendarLevel, ...]]  # what holds from each of them on, from the highest rank down


class ScheduleCalendars:
    """The calendars of one schedule: shifts, and what beats them. None = never loaded."""

    def __init__(self, primary: Calendar | None, overrides: Calendar | None = None, missing: str = NOT_LOADED) -> None:
        """`missing`: why the primary one is not there, for people."""
        self.primary, self.overrides, self.missing = primary, overrides, missing
        self._users: Mapping[str, User] | None = None
        self._told = ResolvedCalendars([], [], [])

    def told(self, users: Mapping[str, User]) -> ResolvedCalendars:
        """Remembered, so that a new roster for the same people does not begin anew."""
        if self._users is not users:
            people = PeopleIndex(users)
            shifts = [
                *(_calendar_shifts(self.primary, people, is_override=False) if self.primary else ()),
                *(_calendar_shifts(self.overrides, people, is_override=True) if self.overrides else ()),
            ]
            self._users, self._told = users, ResolvedCalendars(shifts, *_edges_and_levels(shifts))
        return self._told


def _calendar_shifts(calendar: Calendar, people: PeopleIndex, *, is_override: bool) -> list[CalendarShift]:
    named = [_match_priority_and_people(words, people) for words in calendar.words]
    shifts = []
    for event in calendar.events:
        priority, users = named[event.words]
        summary = calendar.words[event.words].summary
        shifts.append(CalendarShift(start=event.start, end=event.end, rank=(is_override, priority), users=users, summary=summary))
    return shifts


def _match_priority_and_people(words: CalendarEventText, people: PeopleIndex) -> tuple[int, tuple[str, ...]]:
    """The priority, and the people of the first part that names any: SUMMARY, ATTENDEE, DESCRIPTION."""
    leading = _PRIORITY.match(words.summary)
    priority, summary = (int(leading[1]), words.summary[leading.end() :]) if leading else (0, words.summary)
    return priority, people.named(summary) or people.addressed(words.attendees) or people.named(words.description)


def _edges_and_levels(shifts: Sequence[CalendarShift]) -> tuple[list[datetime], list[tuple[CalendarLevel, ...]]]:
    """The edges and levels of Told."""
    bounds = sorted(
        [(shift.start, number, True) for number, shift in enumerate(shifts)]
        + [(shift.end, number, False) for number, shift in enumerate(shifts)]
    )
    edges, held, holding = list[datetime](), list[tuple[CalendarLevel, ...]](), set[int]()
    for at, group in groupby(bounds, key=lambda bound: bound[0]):
        for _, number, begins in group:
            if begins:
                holding.add(number)
            else:
                holding.remove(number)
        levels = _levels_at([shifts[number] for number in sorted(holding)])
        if not held or held[-1] != levels:
            edges.append(at)
            held.append(levels)
    return edges, held


def _levels_at(shifts: Sequence[CalendarShift]) -> tuple[CalendarLevel, ...]:
    ranks: dict[tuple[bool, int], dict[str, None]] = {}
    for shift in shifts:
        ranks.setdefault(shift.rank, {}).update(dict.fromkeys(shift.users))
    return tuple(
        CalendarLevel(OVERRIDES_CALENDAR if rank[0] else PRIMARY_CALENDAR, tuple(ranks[rank])) for rank in sorted(ranks, reverse=True)
    )


class CalendarCover:
    """The overrides calendar beats the primary one, within each a higher priority beats a lower one, and equal ones hold together.

    Where nobody of a rank is known or present, the one below shows through.
    """

    def __init__(self, calendars: ScheduleCalendars, users: Mapping[str, User], absences: AbsencesByUser) -> None:
        self._missing, self._absences = calendars.missing if calendars.primary is None else "", absences
        known = calendars.primary or calendars.overrides
        self._start, self._end = (known.start, known.end) if known else (EARLIEST, LATEST)
        self._edges, self._levels = calendars.told(users).edges, calendars.told(users).levels

    def stretch(self, at: datetime) -> Assignment:
        """The answer for a moment in UTC."""
        if not self._start <= at < self._end:
            edge, end = (self._start, self._start) if at < self._start else (self._end, LATEST)
            return Assignment(end, (), f"the calendar is worked out {'from' if at < edge else 'until'} {edge:%Y-%m-%d} only")
        place = bisect_right(self._edges, at)
        until = min(self._edges[place] if place < len(self._edges) else LATEST, self._end)
        why = self._missing
        for level in self._levels[place - 1] if place else ():
            present, absent, until = self._present(level, at, until)
            if present:
                reason = f"{level.layer}, {', '.join(absent)} absent" if absent else level.layer
                return Assignment(until, present, reason, level.layer)
            why = f"everyone in the {level.layer} is absent" if absent else why or f"the {level.layer} names nobody who is known"
        return Assignment(until, (), why)

    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        """The next people who are on call after those of a moment (UTC) and are not the same; () = nobody then, or nobody else follows."""
        now = here = self.stretch(at)
        first: tuple[str, ...] = ()
        while now.users and here.end < LATEST:
            here = self.stretch(here.end)
            if here.users and set(here.users) != set(now.users):
                if not set(here.users).issubset(besides):
                    return here.users
                first = first or here.users
        return first

    def _present(self, level: CalendarLevel, at: datetime, until: datetime) -> tuple[tuple[str, ...], list[str], datetime]:
        """Who of a level is there and who is absent, and up to when that is known."""
        absent = []
        for name in level.users:
            if name in self._absences:
                away, edge = self._absences[name].at(at)
                until = min(until, edge)
                if away is not None:
                    absent.append(name)
        return tuple(name for name in level.users if name not in absent), absent, until
