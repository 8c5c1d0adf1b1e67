"""What every override and every layer of a schedule wants by itself, also where another hides it. Pure.

Holes in a schedule's next days, told before they come: nobody on call, or a turn with nobody left in it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy.config.structs import Override, User
from amproxy.model import GapWarning, NoticeLog
from amproxy.oncall.layers import Assignment
from amproxy.oncall.notice import Notice, format_local_time, notice_recipients
from amproxy.oncall.roster import Roster
from amproxy.times import LATEST, to_utc, wall_to_utc


class CandidatePeriod(NamedTuple):
    """From `start` to `end` (exclusive, UTC) nothing changes."""

    start: datetime
    end: datetime
    on_call: tuple[str, ...]
    wanted: tuple[Assignment, ...]  # from the highest to the lowest: with people; or without, where somebody should be and nobody is left

    def hidden(self) -> list[Assignment]:
        """Those that want people who are not on call."""
        return [one for one in self.wanted if not set(one.users) <= set(self.on_call)]

    def empty(self) -> list[Assignment]:
        """Those that are active and have nobody left."""
        return [one for one in self.wanted if not one.users]


def candidate_periods(roster: Roster, schedule: str, start: datetime, end: datetime) -> Iterator[CandidatePeriod]:
    """From `start` to `end` (aware) without gap or overlap. Raises KeyError for an unknown schedule."""
    at, end = to_utc(start), to_utc(end)
    covers, single = roster.covers(schedule), _single_overrides(roster, schedule)
    held: list[Assignment] = [cover.stretch(at) for cover in (*covers, *single)]
    while at < end:
        held = [one if one.end > at else cover.stretch(at) for one, cover in zip(held, (*covers, *single), strict=True)]
        until = min(end, *(one.end for one in held))
        shown, beneath = held[: len(covers)], [one for one in held[len(covers) :] if one.users][:-1]
        on_call = next((one.users for one in shown if one.users), ())
        wanted = {(one.users, one.reason, one.override): one for one in (*shown, *beneath) if one.users or one.reason}
        yield CandidatePeriod(at, until, on_call, tuple(wanted.values()))
        at = until


def _single_overrides(roster: Roster, name: str) -> list[_SingleOverride]:
    """Each override by itself, the one that wins last: together they show only that one."""
    schedule, users = roster.config.schedules[name], roster.config.users
    zone = ZoneInfo(schedule.timezone)
    texts = [(one, "override") for one in schedule.overrides] + [(one, "override by hand") for one in roster.overrides.get(name, ())]
    return [_SingleOverride(one, text, zone, users) for one, text in texts]


class _SingleOverride:
    """One override, whether or not another hides it."""

    def __init__(self, override: Override, text: str, zone: ZoneInfo, users: Mapping[str, User]) -> None:
        self._start, self._end = (to_utc(at) if at.tzinfo else wall_to_utc(at, zone) for at in (override.start, override.end))
        people = tuple(name for name in dict.fromkeys(override.users) if name in users)
        self._stretch = Assignment(self._end, people, f"{text}: {override.reason}" if override.reason else text, "", override.id)

    def stretch(self, at: datetime) -> Assignment:
        """As a cover's."""
        if self._start <= at < self._end:
            return self._stretch
        return Assignment(self._start if at < self._start else LATEST, ())


GAPS_AHEAD = timedelta(days=7)
URGENT_WITHIN = timedelta(days=1)
MAX_GAPS_LISTED = 5  # holes that one notice names


GapKind = Literal["gap_ahead", "empty_shift"]


class CoverageGap(NamedTuple):
    start: datetime
    end: datetime  # as far as it is seen
    kind: GapKind
    reason: str
    layer: str = ""


def gap_notices(roster: Roster, schedule: str, now: datetime, told: NoticeLog) -> tuple[list[Notice], tuple[GapWarning, ...]]:
    """What is to be told of the next 7 days, and what has been told then.

    A gap is told when it comes into sight, and again a day before it begins; an empty shift once. What one person is to be told of
    one schedule at one moment stands in one notice. A hole that was filled and opens again is told anew.
    """
    notices: list[Notice] = []
    warned: list[GapWarning] = []
    for kind, look in _FINDERS.items():
        audience = notice_recipients(roster, schedule, kind, now)
        seen = look(roster, schedule, now, now + GAPS_AHEAD) if audience else []
        warned += _still_ahead(told.warned, seen)
        for user in audience:
            new = [(hole, mark) for hole in seen if not _was_warned(warned, mark := _gap_warning(hole, user, now))]
            if new:
                warned += [mark for _, mark in new]
                notices.append(_gap_notice(roster, schedule, user, [hole for hole, _ in new], now))
    return notices, tuple(warned)


def find_gaps(roster: Roster, schedule: str, start: datetime, end: datetime) -> list[CoverageGap]:
    """When nobody is on call; nobody for one reason and then for another is one gap."""
    found: list[CoverageGap] = []
    for shift in roster.shifts(schedule, start, end):
        if not shift.users:
            _add_gap(found, CoverageGap(shift.start, shift.end, "gap_ahead", shift.reason.removeprefix("nobody: ")))
    return found


def find_empty_shifts(roster: Roster, schedule: str, start: datetime, end: datetime) -> list[CoverageGap]:
    """When a layer should have somebody, and everybody is absent or unknown."""
    layers: dict[str, list[CoverageGap]] = {}
    for piece in candidate_periods(roster, schedule, start, end):
        for one in piece.empty():
            _add_gap(layers.setdefault(one.layer, []), CoverageGap(piece.start, piece.end, "empty_shift", one.reason, one.layer))
    return [hole for found in layers.values() for hole in found]


_FINDERS: Final[dict[GapKind, Callable[[Roster, str, datetime, datetime], list[CoverageGap]]]] = {
    "gap_ahead": find_gaps,
    "empty_shift": find_empty_shifts,
}


def _add_gap(found: list[CoverageGap], hole: CoverageGap) -> None:
    """Add a hole, or prolong the last one where this begins with its end: the first reason stands for all."""
    if found and found[-1].end == hole.start:
        found[-1] = found[-1]._replace(end=hole.end)
    else:
        found.append(hole)


def _gap_warning(hole: CoverageGap, user: str, now: datetime) -> GapWarning:
    soon = hole.kind == "gap_ahead" and hole.start <= now + URGENT_WITHIN
    return GapWarning(
        kind=hole.kind, user=user, layer=hole.layer, soon=soon, start=hole.start.timestamp(), end=hole.end.timestamp()
    )  # fmt: skip


def _still_ahead(warned: Sequence[GapWarning], seen: Sequence[CoverageGap]) -> list[GapWarning]:
    """What was told of holes that are still there, each as far as it is seen now: a long one comes into sight bit by bit."""
    kept = []
    for mark in warned:
        same = [hole for hole in seen if _is_same_gap(mark, hole)]
        if same:
            end = max(mark.end, *(hole.end.timestamp() for hole in same))
            kept.append(msgspec.structs.replace(mark, end=end))
    return kept


def _is_same_gap(mark: GapWarning, hole: CoverageGap) -> bool:
    return (mark.kind, mark.layer) == (hole.kind, hole.layer) and mark.start < hole.end.timestamp() and hole.start.timestamp() < mark.end


def _was_warned(warned: Sequence[GapWarning], wanted: GapWarning) -> bool:
    """Whether the person was told, as urgently as that."""
    return any(
        (one.kind, one.user, one.layer) == (wanted.kind, wanted.user, wanted.layer)
        and one.soon >= wanted.soon
        and one.start < wanted.end
        and wanted.start < one.end
        for one in warned
    )


def _gap_notice(roster: Roster, schedule: str, user: str, found: Sequence[CoverageGap], now: datetime) -> Notice:
    kind = found[0].kind
    lines = [_gap_line(roster, schedule, user, hole, now) for hole in found[:MAX_GAPS_LISTED]]
    if len(found) > MAX_GAPS_LISTED:
        lines.append(f"And {len(found) - MAX_GAPS_LISTED} more in the next {GAPS_AHEAD.days} days.")
    subject = f"Nobody is on call for {schedule}" if kind == "gap_ahead" else f"A shift of {schedule} is empty"
    return Notice(kind=kind, user=user, subject=subject, text="\n".join(lines))


def _gap_line(roster: Roster, schedule: str, user: str, hole: CoverageGap, now: datetime) -> str:
    end: datetime | None = hole.end
    if hole.end >= now + GAPS_AHEAD and hole.kind == "gap_ahead":  # it goes on beyond what was looked at
        end = roster.on_call(schedule, hole.start).until
    start = "now on" if hole.start <= now else format_local_time(roster, hole.start, user)
    if hole.kind == "gap_ahead":
        return f"Nobody is on call for {schedule} from {start} until {format_local_time(roster, end, user)}: {hole.reason}."
    return f"Nobody is left for a shift of {schedule} from {start}: {hole.reason}."
