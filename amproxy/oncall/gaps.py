"""Gaps in the coming days of a schedule, and the notices about them. Pure.

A gap is a time with nobody on call, or an empty shift: a layer should have somebody, and all its
people are absent or unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from amproxy.config.structs import Override, User
from amproxy.model import GapWarning, NoticeLog
from amproxy.oncall.layers import Assignment, Cover, override_reason
from amproxy.oncall.notice import Notice, format_local_time, notice_recipients
from amproxy.oncall.roster import Roster, gap_reason
from amproxy.oncall.timeline import NO_LAYER
from amproxy.text import ScheduleName, Words, phrase
from amproxy.text.render import english
from amproxy.times import LATEST, to_utc, wall_to_utc

GapKind = Literal["gap_ahead", "empty_shift"]

GAPS_AHEAD = timedelta(days=7)
URGENT_WITHIN = timedelta(days=1)
MAX_GAPS_LISTED = 5  # in one notice


class CoverageGap(NamedTuple):
    start: datetime
    end: datetime  # within the period that was searched
    kind: GapKind
    reason: Words
    layer: str = ""


def gap_notices(
    roster: Roster, schedule: str, now: datetime, log: NoticeLog
) -> tuple[list[Notice], tuple[GapWarning, ...]]:
    """The notices due about the next 7 days, and all warnings given once they are sent.

    People are warned of a gap when it comes into sight and again a day before it begins, of an
    empty shift once, and of one that was filled and opens again anew. One notice a person and kind
    lists all.
    """
    notices: list[Notice] = []
    warned: list[GapWarning] = []
    for kind, find in _FINDERS.items():
        recipients = notice_recipients(roster, schedule, kind, now)
        # Searching is expensive, and most schedules have no recipients.
        gaps = find(roster, schedule, now, now + GAPS_AHEAD) if recipients else []
        warned += _still_ahead(log.warned, gaps)
        for user in recipients:
            warnings = [(gap, _gap_warning(gap, user, now)) for gap in gaps]
            new = [(gap, warning) for gap, warning in warnings if not _was_warned(warned, warning)]
            if new:
                warned += [warning for _, warning in new]
                notices.append(_gap_notice(roster, schedule, user, [gap for gap, _ in new], now))
    return notices, tuple(warned)


def find_gaps(roster: Roster, schedule: str, start: datetime, end: datetime) -> list[CoverageGap]:
    """The periods with nobody on call; those that follow each other count as one."""
    found: list[CoverageGap] = []
    for shift in roster.shifts(schedule, start, end):
        if not shift.users:
            reason = gap_reason(shift.reason)
            _add_gap(found, CoverageGap(shift.start, shift.end, "gap_ahead", reason))
    return found


def find_empty_shifts(
    roster: Roster, schedule: str, start: datetime, end: datetime
) -> list[CoverageGap]:
    """The periods in which a layer should have somebody, and everybody is absent or unknown."""
    layers: dict[str, list[CoverageGap]] = {}
    for period in candidate_periods(roster, schedule, start, end):
        for one in period.empty_assignments():
            reason = one.reason or NO_LAYER
            gap = CoverageGap(period.start, period.end, "empty_shift", reason, one.layer)
            _add_gap(layers.setdefault(one.layer, []), gap)
    return [gap for found in layers.values() for gap in found]


_FINDERS: Final[dict[GapKind, Callable[[Roster, str, datetime, datetime], list[CoverageGap]]]] = {
    "gap_ahead": find_gaps,
    "empty_shift": find_empty_shifts,
}


def _add_gap(found: list[CoverageGap], gap: CoverageGap) -> None:
    """Add a gap, or extend the last one where this follows it: the first reason counts for all."""
    if found and found[-1].end == gap.start:
        found[-1] = found[-1]._replace(end=gap.end)
    else:
        found.append(gap)


def _gap_warning(gap: CoverageGap, user: str, now: datetime) -> GapWarning:
    return GapWarning(
        kind=gap.kind,
        user=user,
        layer=gap.layer,
        soon=gap.kind == "gap_ahead" and gap.start <= now + URGENT_WITHIN,
        start=gap.start.timestamp(),
        end=gap.end.timestamp(),
    )


def _still_ahead(warned: Sequence[GapWarning], gaps: Sequence[CoverageGap]) -> list[GapWarning]:
    """The warnings of gaps that still exist, with their ends as known now.

    A long gap comes into sight bit by bit, and must not cause a warning each time.
    """
    found = []
    for warning in warned:
        same = [gap for gap in gaps if _is_same_gap(warning, gap)]
        if same:
            end = max(warning.end, *(gap.end.timestamp() for gap in same))
            found.append(replace(warning, end=end))
    return found


def _is_same_gap(warning: GapWarning, gap: CoverageGap) -> bool:
    return (
        (warning.kind, warning.layer) == (gap.kind, gap.layer)
        and warning.start < gap.end.timestamp()
        and gap.start.timestamp() < warning.end
    )


def _was_warned(warned: Sequence[GapWarning], wanted: GapWarning) -> bool:
    """True where the person was warned of it, and at least as urgently."""
    return any(
        (one.kind, one.user, one.layer) == (wanted.kind, wanted.user, wanted.layer)
        and one.soon >= wanted.soon
        and one.start < wanted.end
        and wanted.start < one.end
        for one in warned
    )


def _gap_notice(
    roster: Roster, schedule: str, user: str, gaps: Sequence[CoverageGap], now: datetime
) -> Notice:
    """The notice about gaps of one kind."""
    kind = gaps[0].kind
    lines = [_gap_line(roster, schedule, user, gap, now) for gap in gaps[:MAX_GAPS_LISTED]]
    if len(gaps) > MAX_GAPS_LISTED:
        lines.append(f"And {len(gaps) - MAX_GAPS_LISTED} more in the next {GAPS_AHEAD.days} days.")
    subject = phrase(f"notice.{kind}", schedule=ScheduleName(schedule))
    return Notice(kind=kind, user=user, subject=subject, text="\n".join(lines))


def _gap_line(roster: Roster, schedule: str, user: str, gap: CoverageGap, now: datetime) -> str:
    why = english(roster.config.full_name).text(gap.reason)
    start = "now on" if gap.start <= now else format_local_time(roster, gap.start, user)
    if gap.kind == "empty_shift":
        return f"Nobody is left for a shift of {schedule} from {start}: {why}."
    # A gap that reaches the end of the search may go on behind it.
    goes_on = gap.end >= now + GAPS_AHEAD
    end = roster.on_call(schedule, gap.start).until if goes_on else gap.end
    until = format_local_time(roster, end, user)
    return f"Nobody is on call for {schedule} from {start} until {until}: {why}."


class CandidatePeriod(NamedTuple):
    """A period (end exclusive, UTC) in which nothing changes, also among what others hide."""

    start: datetime
    end: datetime
    on_call: tuple[str, ...]
    # Of each override and layer by itself, the highest first: with people; or without, where
    # somebody should be on call and nobody is left.
    assignments: tuple[Assignment, ...]

    def hidden_assignments(self) -> list[Assignment]:
        """Those with people who are not on call."""
        return [one for one in self.assignments if not set(one.users) <= set(self.on_call)]

    def empty_assignments(self) -> list[Assignment]:
        """Those that are active and have nobody left."""
        return [one for one in self.assignments if not one.users]


def candidate_periods(
    roster: Roster, schedule: str, start: datetime, end: datetime
) -> Iterator[CandidatePeriod]:
    """From `start` to `end` (aware) without gap or overlap.

    Raises KeyError for an unknown schedule.
    """
    at, end = to_utc(start), to_utc(end)
    covers = roster.covers(schedule)
    everything: list[Cover] = [*covers, *_single_overrides(roster, schedule)]
    answers = [cover.assignment_at(at) for cover in everything]
    while at < end:
        answers = [
            one if one.end > at else cover.assignment_at(at)
            for one, cover in zip(answers, everything, strict=True)
        ]
        until = min(end, *(one.end for one in answers))
        shown = answers[: len(covers)]
        # The last single override is the one that the covers show already.
        hidden = [one for one in answers[len(covers) :] if one.users or one.nobody][:-1]
        on_call = next((one.users for one in shown if one.users or one.nobody), ())
        distinct = {
            (one.users, one.reason, one.override): one
            for one in (*shown, *hidden)
            if one.users or (one.reason and not one.nobody)
        }
        yield CandidatePeriod(at, until, on_call, tuple(distinct.values()))
        at = until


def _single_overrides(roster: Roster, name: str) -> list[_SingleOverride]:
    """Each override by itself, the one that wins last; as a cover they show only that one."""
    schedule, users = roster.config.schedules[name], roster.config.users
    zone = ZoneInfo(schedule.timezone)
    found = [_SingleOverride(one, zone, users, by_hand=False) for one in schedule.overrides]
    by_hand = roster.overrides.get(name, ())
    return [*found, *(_SingleOverride(one, zone, users, by_hand=True) for one in by_hand)]


class _SingleOverride:
    """One override as a cover, even if another hides it."""

    def __init__(
        self, override: Override, zone: ZoneInfo, users: Mapping[str, User], *, by_hand: bool
    ) -> None:
        self._start, self._end = (
            to_utc(at) if at.tzinfo else wall_to_utc(at, zone)
            for at in (override.start, override.end)
        )
        people = tuple(name for name in dict.fromkeys(override.users) if name in users)
        self._assignment = Assignment(
            self._end,
            people,
            override_reason(override, by_hand=by_hand),
            override=override.id,
            nobody=not override.users,
        )

    def people(self) -> Collection[str]:
        return self._assignment.users

    def assignment_at(self, at: datetime) -> Assignment:
        if self._start <= at < self._end:
            return self._assignment
        return Assignment(self._start if at < self._start else LATEST, ())
