"""Calendars in the place of a schedule's layers: who is on call by the events at a time.

amproxy.calendars parses a calendar and expands its repetitions. Its texts are matched with people
here, because the result changes with the file.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from amproxy.config.channels import addresses_people
from amproxy.config.structs import User
from amproxy.oncall.layers import AbsencesByUser, Assignment, without_absent
from amproxy.text import Phrase, phrase
from amproxy.times import EARLIEST, LATEST

NOT_LOADED: Final = phrase("on_call.not_loaded")
PRIMARY_CALENDAR, OVERRIDES_CALENDAR = "calendar", "overrides calendar"
# Contacts that are no address of a person: any text may be there.
_PRIORITY = re.compile(r"\s*\[L([0-9]{1,4})\]", re.IGNORECASE)
_SEPARATOR = re.compile(r"[,;/&+|\n，、；／＆＋｜]|\b(?:and|und|et|y|и)\b")


class CalendarEventText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The texts of an event that may name people."""

    summary: str = ""
    attendees: tuple[str, ...] = ()  # e-mail addresses
    description: str = ""
    problem: Phrase | None = None  # why the event cannot be read: it names nobody then


class CalendarProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Something of an event that cannot be read."""

    event: Phrase  # its words, for people
    reason: Phrase
    start: datetime | None  # UTC, of its first time; None = unknown

    @property
    def phrase(self) -> Phrase:
        return phrase("calendar.event", event=self.event, said=self.reason)


class CalendarEvent(msgspec.Struct, frozen=True, array_like=True):
    """One occurrence of an event."""

    start: datetime  # UTC
    end: datetime  # exclusive, after start
    text: int  # index in Calendar.texts: occurrences of one event share their texts


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """All occurrences that touch a period (UTC), by start. Outside the period nothing is known."""

    start: datetime
    end: datetime
    texts: tuple[CalendarEventText, ...]
    events: tuple[CalendarEvent, ...]
    problems: tuple[CalendarProblem, ...] = ()


class CalendarShift(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a schedule's calendars."""

    start: datetime
    end: datetime  # exclusive
    # (is of the overrides calendar, priority by a leading [L2]): of several at one time the highest
    # rank counts, and equal ones count together.
    rank: tuple[bool, int]
    users: tuple[str, ...]  # () = an empty shift: it names nobody of the file
    summary: str
    problem: Phrase | None = None  # of an empty shift: why its event cannot be read


class _LevelReasons(NamedTuple):
    """The reasons that one of a schedule's calendars gives."""

    names: Phrase  # those on call
    all_absent: Phrase
    names_nobody: Phrase


_LEVEL_REASONS: Final = {
    PRIMARY_CALENDAR: _LevelReasons(
        phrase("on_call.calendar"),
        phrase("on_call.calendar_absent"),
        phrase("on_call.calendar_names_nobody"),
    ),
    OVERRIDES_CALENDAR: _LevelReasons(
        phrase("on_call.overrides_calendar"),
        phrase("on_call.overrides_absent"),
        phrase("on_call.overrides_name_nobody"),
    ),
}


class CalendarLevel(NamedTuple):
    """The shifts of one rank together."""

    layer: str
    users: tuple[str, ...]  # () = empty shifts


class ResolvedCalendars(NamedTuple):
    """A schedule's calendars with the people of a file."""

    shifts: list[CalendarShift]
    edges: list[datetime]  # times at which something changes, in order
    levels: list[tuple[CalendarLevel, ...]]  # from each edge on, the highest rank first


class ScheduleCalendars:
    """The calendars of one schedule. None = never loaded."""

    def __init__(
        self,
        primary: Calendar | None,
        overrides: Calendar | None = None,
        missing: Phrase | None = NOT_LOADED,
    ) -> None:
        """missing: why there is no primary one; None = there is one."""
        self.primary, self.overrides, self.missing = primary, overrides, missing
        self._users: Mapping[str, User] | None = None
        self._resolved = ResolvedCalendars([], [], [])

    @property
    def problems(self) -> tuple[CalendarProblem, ...]:
        """All that cannot be read of either."""
        known = (calendar for calendar in (self.primary, self.overrides) if calendar)
        return tuple(problem for calendar in known for problem in calendar.problems)

    def resolve(self, users: Mapping[str, User]) -> ResolvedCalendars:
        """Find the people of all events. Cached, because a new roster often has the same people."""
        if self._users is not users:
            people = PeopleIndex(users)
            shifts: list[CalendarShift] = []
            if self.primary:
                shifts += _calendar_shifts(self.primary, people, is_override=False)
            if self.overrides:
                shifts += _calendar_shifts(self.overrides, people, is_override=True)
            self._resolved = ResolvedCalendars(shifts, *_edges_and_levels(shifts))
            self._users = users
        return self._resolved


def _calendar_shifts(
    calendar: Calendar, people: PeopleIndex, *, is_override: bool
) -> list[CalendarShift]:
    named = [_match_priority_and_people(text, people) for text in calendar.texts]
    shifts = []
    for event in calendar.events:
        priority, users = named[event.text]
        shift = CalendarShift(
            start=event.start,
            end=event.end,
            rank=(is_override, priority),
            users=users,
            summary=calendar.texts[event.text].summary,
            problem=calendar.texts[event.text].problem,
        )
        shifts.append(shift)
    return shifts


def _match_priority_and_people(
    text: CalendarEventText, people: PeopleIndex
) -> tuple[int, tuple[str, ...]]:
    """The priority, and the people of the first that names any: SUMMARY, ATTENDEE, DESCRIPTION."""
    priority, summary = 0, text.summary
    if leading := _PRIORITY.match(summary):
        priority, summary = int(leading[1]), summary[leading.end() :]
    if text.problem:
        return priority, ()
    users = people.named(summary) or people.addressed(text.attendees)
    return priority, users or people.named(text.description)


def _edges_and_levels(
    shifts: Sequence[CalendarShift],
) -> tuple[list[datetime], list[tuple[CalendarLevel, ...]]]:
    """The edges and levels of ResolvedCalendars."""
    bounds = sorted(
        [(shift.start, number, True) for number, shift in enumerate(shifts)]
        + [(shift.end, number, False) for number, shift in enumerate(shifts)]
    )
    edges, levels, active = list[datetime](), list[tuple[CalendarLevel, ...]](), set[int]()
    for at, group in groupby(bounds, key=lambda bound: bound[0]):
        for _, number, begins in group:
            if begins:
                active.add(number)
            else:
                active.remove(number)
        now = _levels_of([shifts[number] for number in sorted(active)])
        if not levels or levels[-1] != now:
            edges.append(at)
            levels.append(now)
    return edges, levels


def _levels_of(shifts: Sequence[CalendarShift]) -> tuple[CalendarLevel, ...]:
    ranks: dict[tuple[bool, int], dict[str, None]] = {}
    for shift in shifts:
        ranks.setdefault(shift.rank, {}).update(dict.fromkeys(shift.users))
    return tuple(
        CalendarLevel(OVERRIDES_CALENDAR if rank[0] else PRIMARY_CALENDAR, tuple(ranks[rank]))
        for rank in sorted(ranks, reverse=True)
    )


class CalendarCover:
    """The calendars of a schedule as its only layer.

    The overrides calendar precedes the primary one, and within each a higher priority a lower one.
    Where nobody of a rank is known or present, the next lower rank counts.
    """

    def __init__(
        self, calendars: ScheduleCalendars, users: Mapping[str, User], absences: AbsencesByUser
    ) -> None:
        self._missing = calendars.missing if calendars.primary is None else None
        self._absences = absences
        known = calendars.primary or calendars.overrides
        self._start, self._end = (known.start, known.end) if known else (EARLIEST, LATEST)
        _, self._edges, self._levels = calendars.resolve(users)

    def assignment_at(self, at: datetime) -> Assignment:
        """The answer for a time in UTC."""
        if not self._start <= at < self._end:
            return self._outside(at)
        place = bisect_right(self._edges, at)
        until = min(self._edges[place] if place < len(self._edges) else LATEST, self._end)
        why = self._missing
        for level in self._levels[place - 1] if place else ():
            present, absent, until = self._present(level, at, until)
            reasons = _LEVEL_REASONS[level.layer]
            if present:
                reason = reasons.names
                reason = without_absent(reason, absent) if absent else reason
                return Assignment(until, present, reason, level.layer)
            why = reasons.all_absent if absent else why or reasons.names_nobody
        return Assignment(until, (), why)

    def _outside(self, at: datetime) -> Assignment:
        if at < self._start:
            day = f"{self._start:%Y-%m-%d}"
            return Assignment(self._start, (), phrase("on_call.known_from", day=day))
        day = f"{self._end:%Y-%m-%d}"
        return Assignment(LATEST, (), phrase("on_call.known_until", day=day))

    def people(self) -> Collection[str]:
        return {user for levels in self._levels for level in levels for user in level.users}

    def _present(
        self, level: CalendarLevel, at: datetime, until: datetime
    ) -> tuple[tuple[str, ...], list[str], datetime]:
        """The people of a level who are present, those who are absent, and until when."""
        absent = []
        for name in level.users:
            if name in self._absences:
                reason, edge = self._absences[name].at(at)
                until = min(until, edge)
                if reason is not None:
                    absent.append(name)
        return tuple(name for name in level.users if name not in absent), absent, until


class PeopleIndex:
    """The people of the file by name, full name and address, in upper or lower case.

    A full name or address that several people have means all of them.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        self._meant: dict[str, tuple[str, ...]] = {}
        # In this order: what is somebody's name is nobody else's address.
        for keys in (_names, _full_names, _addresses):
            found: dict[str, list[str]] = {}
            for user, key in keys(users.values()):
                if key and key not in self._meant:
                    found.setdefault(key, []).append(user)
            self._meant |= {key: tuple(dict.fromkeys(meant)) for key, meant in found.items()}
        longest_first = sorted(map(re.escape, self._meant), key=len, reverse=True)
        # Whole words, and no parts of addresses or of names with dots or hyphens: ann-maria and
        # ann@example.org are not "ann".
        self._word = (
            re.compile(rf"(?<![\w@])(?<!\w[.-])(?:{'|'.join(longest_first)})(?![\w@])(?![.-]\w)")
            if self._meant
            else None
        )

    def named(self, text: str) -> tuple[str, ...]:
        """The first one named, and all after a sign that divides, a line end or "and"."""
        text, found, end = _fold_case(text), dict[str, None](), None
        for match in self._word.finditer(text) if self._word else ():
            if end is None or _SEPARATOR.search(text, end, match.start()):
                found |= dict.fromkeys(self._meant[match[0]])
            end = match.end()
        return tuple(found)

    def addressed(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """The people whose address is among these."""
        found = (self._meant.get(_fold_case(address), ()) for address in addresses)
        return tuple(dict.fromkeys(user for users in found for user in users))


def _fold_case(text: str) -> str:
    # Folding may undo the normal form, so that it is needed before and after.
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
        if addresses_people(channel)
    )
