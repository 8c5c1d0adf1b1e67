"""One schedule's layers and overrides put together, with the periods that were found. Pure.

Pages, notices and metrics ask again and again for the days ahead. A plan never changes, so what was
found of it is kept, as far as it was asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

from amproxy.oncall.layers import Assignment, Cover
from amproxy.text import Phrase, phrase
from amproxy.times import LATEST

NO_LAYER: Final = phrase("on_call.no_layer")
MAX_KEPT_PERIODS: Final = 400  # of one schedule: weeks of a busy one, years of most

_start_of = attrgetter("start")


def nobody_reason(why: Phrase) -> Phrase:
    """The reason of a period with nobody on call."""
    return phrase("on_call.nobody", why=why)


class TimelinePeriod(NamedTuple):
    """A period (end exclusive) in which nothing changes. Neighbours may be equal."""

    start: datetime
    end: datetime
    assignment: Assignment


class ScheduleTimeline:
    """The layers of one schedule, lowest first, and its overrides, highest first. In UTC."""

    def __init__(
        self,
        layers: Sequence[Cover],
        overrides: Sequence[Cover],
        nobody: Phrase = NO_LAYER,
    ) -> None:
        """nobody: the reason where no layer is active."""
        self.covers: Sequence[Cover] = [*overrides, *reversed(layers)]  # the highest first
        self._nobody = nobody
        self._kept = _KeptPeriods(self.covers, nobody, LATEST)

    def periods(
        self, start: datetime, end: datetime, *, keep: bool = True
    ) -> Iterator[TimelinePeriod]:
        """From `start` to `end` without gap or overlap; every change of who or why is an edge.

        keep: the next questions are likely to be about the same time.
        """
        if start >= end:
            return
        kept = self._kept
        if keep and not kept.is_near(start):
            kept = self._kept = _KeptPeriods(self.covers, self._nobody, start)
        for period in kept.since(start) if kept.is_near(start) else ():
            yield TimelinePeriod(max(start, period.start), min(end, period.end), period.assignment)
            if period.end >= end:
                return
            start = period.end
        search = _PeriodSearch(self.covers, self._nobody)
        while start < end:
            period = search.period_at(start)
            yield period._replace(end=min(end, period.end))
            start = period.end


class _KeptPeriods:
    """The periods of a timeline from one time on, found as far as needed, MAX_KEPT_PERIODS of them.

    Threads may share it without a lock: two that find the same period find equal ones, and the
    second takes the place of the first.
    """

    def __init__(self, covers: Sequence[Cover], nobody: Phrase, start: datetime) -> None:
        self._covers, self._nobody, self._start = covers, nobody, start
        self._periods: list[TimelinePeriod] = []

    def is_near(self, at: datetime) -> bool:
        """False where a time is before all periods, or behind the first half of all that fit."""
        if at < self._start or at >= LATEST:
            return False
        if not self._periods:
            return at == self._start
        half = min(len(self._periods), MAX_KEPT_PERIODS // 2)
        return at <= self._periods[half - 1].end

    def since(self, at: datetime) -> Iterator[TimelinePeriod]:
        """The periods from the one at a time that `is_near` on, whole."""
        place = max(0, bisect_right(self._periods, at, key=_start_of) - 1)
        if place < len(self._periods) and self._periods[place].end <= at:
            place += 1
        search = _PeriodSearch(self._covers, self._nobody)
        while place < MAX_KEPT_PERIODS:
            if place == len(self._periods):
                start = self._periods[place - 1].end if place else self._start
                if start >= LATEST:
                    return
                self._periods[place : place + 1] = [search.period_at(start)]
            yield self._periods[place]
            place += 1


class _PeriodSearch:
    """The look for one period after the other."""

    def __init__(self, covers: Sequence[Cover], nobody: Phrase) -> None:
        self._covers, self._nobody = covers, nobody
        # An answer stays valid while other covers change: most are needed again.
        self._answers: list[Assignment | None] = [None] * len(covers)

    def period_at(self, start: datetime) -> TimelinePeriod:
        """The period that begins at a time, not before that of the last question."""
        until, why = LATEST, None
        for position, cover in enumerate(self._covers):
            found = self._answers[position]
            if found is None or found.end <= start:
                found = self._answers[position] = cover.assignment_at(start)
            until, why = min(until, found.end), why or found.reason
            if found.users:
                return TimelinePeriod(start, until, found)
            if found.nobody:
                reason = nobody_reason(found.reason or self._nobody)
                nobody = Assignment(until, (), reason, override=found.override)
                return TimelinePeriod(start, until, nobody)
        return TimelinePeriod(
            start, until, Assignment(until, (), nobody_reason(why or self._nobody))
        )
