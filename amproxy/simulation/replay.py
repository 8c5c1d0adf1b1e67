"""Which of a lane's pages belong to which record: the incidents of one group follow each other, and may have become one.

One recorded incident beside what would have become of it: whose pages are the same, and whose are not.

`amproxy replay`: whom a changed file would have paged differently over an exported history.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Config
from amproxy.model import Page
from amproxy.oncall.hours import night
from amproxy.oncall.roster import Roster
from amproxy.simulation.group import Lane
from amproxy.simulation.history import NEAR, TURN, History
from amproxy.simulation.recorded import Broken, PastPage, Record

_PUNCTUAL = 1.0  # seconds between what a record says of its beginning and its first page


class Shares:
    """Of a history that has run."""

    def __init__(self, history: History) -> None:
        records: defaultdict[int, list[Record]] = defaultdict(list)  # id of the lane → in order of their beginning
        self._shares: dict[int, _Share] = {}
        for record, lanes in zip(history.records, history.lanes, strict=True):
            for lane in lanes:
                records[id(lane)].append(record)
        for lane in {id(lane): lane for lanes in history.lanes for lane in lanes}.values():
            self._shares[id(lane)] = _Share(lane, records[id(lane)])

    def pages(self, lane: Lane, record: Record) -> list[Page]:
        """Those that the record's incident would have caused."""
        return self._shares[id(lane)].pages.get(record.incident.id, [])

    def part_of(self, lane: Lane, record: Record) -> int:
        """Number of the incident that its alerts would have become part of; 0 = they would have had one of their own."""
        return self._shares[id(lane)].part_of.get(record.incident.id, 0)

    def policy(self, lane: Lane, record: Record) -> str:
        """The policy that the record's incident would have followed last."""
        return self._shares[id(lane)].policies.get(record.incident.id) or str(lane.integration.settings.escalation_policy)


class _Share:
    """Of one lane, by id of the record's incident."""

    def __init__(self, lane: Lane, records: list[Record]) -> None:
        self.pages: defaultdict[str, list[Page]] = defaultdict(list)
        self.part_of: dict[str, int] = {}
        self.policies: dict[str, str] = {}
        firsts = [max(1, bisect_right(records, course.incident.started_at + _PUNCTUAL, key=_start)) - 1 for course in lane.courses]
        for number, (course, first) in enumerate(zip(lane.courses, firsts, strict=True)):
            # Up to the record that the next incident begins with; the first also has what began while nothing could be opened.
            last = max(first + 1, firsts[number + 1]) if number + 1 < len(firsts) else len(records)
            own = records[first if number else 0 : last]
            for record in own:
                self.policies[record.incident.id] = course.incident.policy
                speaker = _speaker(own, record.start)
                self.part_of[record.incident.id] = 0 if speaker is record else speaker.incident.number
            for page in course.pages:
                self.pages[_speaker(own, page.due).incident.id].append(page)


def _speaker(records: list[Record], at: float) -> Record:
    """The record that was open longest at a moment; where none was, the last that had begun."""
    begun = records[: max(1, bisect_right(records, at + _PUNCTUAL, key=_start))]
    return next((record for record in begun if record.over > at), begun[-1])


def _start(record: Record) -> float:
    return record.start


_AT_THE_SAME_TIME = 2.0  # seconds: a page that comes so shortly before an answer may have come after it in truth
_BY_HAND = {
    "escalate": "somebody ran the next step by hand",
    "reassign": "somebody reassigned it by hand",
    "add_responders": "more people were asked to join by hand",
    "merge": "another incident was merged into it",
}
_UNKNOWN_END = {"policy": "a step of its policy", "silent": "the lack of news", "merged": "a merge", "moved": "a change of the file"}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A page that arrived, or would have."""

    at: float  # Unix seconds
    kind: str  # page, reminder
    user: str  # "" = a receiver
    receiver: str
    channel: str
    policy: str
    step: int
    round: int
    reason: str

    @property
    def whom(self) -> tuple[str, str, str, str]:
        return self.kind, self.user, self.receiver, self.channel


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Where an incident went."""

    receiver: str
    policy: str


class Compared(msgspec.Struct, kw_only=True):
    """One incident, as it was and as it would have been."""

    record: Record
    before: Way
    now: list[Way]
    only_before: list[Call]
    only_now: list[Call]
    same: list[Call]  # as they were
    uncertain: list[str]  # why this may be wrong
    part_of: int = 0  # number of the incident that its alerts would have been part of; 0 = none

    @property
    def different(self) -> bool:
        return bool(self.only_before or self.only_now)

    @property
    def lost(self) -> bool:
        """Whether it would have reached no person, and did."""
        return not self.part_of and any(one.user for one in (*self.only_before, *self.same)) and not any(
            one.user for one in (*self.only_now, *self.same)
        )  # fmt: skip


def compare(record: Record, lanes: Sequence[Lane], shares: Shares, joined: int, end: float) -> Compared:
    """joined: number of the incident that speaks for its alerts where it has no lane; 0 = none does. end: of all that is recorded."""
    before = [_past(page) for page in record.pages if page.state == "sent"]
    not_sent = [_past(page) for page in record.pages if page.state not in ("sent", "failed")]
    now = [_foreseen(page) for lane in lanes for page in shares.pages(lane, record)]
    same, only_before, only_now = _pair(before, now)
    # What was on its way when somebody answered was not sent; so close to it nobody can say.
    _, _, only_now = _pair(not_sent, only_now)
    only_now = [call for call in only_now if call.at <= end and not _close_to_an_answer(record, call)]
    busy = [number for lane in lanes if (number := shares.part_of(lane, record))]
    compared = Compared(
        record=record,
        before=Way(receiver=record.labels.receiver or "", policy=record.incident.policy),
        now=[Way(receiver=lane.group.receiver, policy=shares.policy(lane, record)) for lane in lanes],
        only_before=only_before,
        only_now=only_now,
        same=same,
        uncertain=[],
        part_of=busy[0] if lanes and len(busy) == len(lanes) else joined if not lanes else 0,
    )
    compared.uncertain = list(dict.fromkeys(_doubts(compared, lanes)))
    return compared


def _past(page: PastPage) -> Call:
    return Call(
        at=page.due.timestamp(), kind=page.kind, user=page.user or "", receiver=page.receiver or "", channel=page.channel,
        policy=page.policy, step=page.step, round=page.round, reason=page.reason,
    )  # fmt: skip


def _foreseen(page: Page) -> Call:
    return Call(
        at=page.due, kind=page.kind, user=page.user, receiver=page.receiver, channel=page.channel, policy=page.policy, step=page.step,
        round=page.round, reason=page.reason,
    )  # fmt: skip


def _pair(before: Iterable[Call], now: Iterable[Call]) -> tuple[list[Call], list[Call], list[Call]]:
    """Those that are the same (as they were), those only before, those only now: pairs in order of time, no further apart than NEAR."""
    waiting: defaultdict[tuple[str, ...], deque[Call]] = defaultdict(deque)
    for call in sorted(now, key=lambda call: call.at):
        waiting[call.whom].append(call)
    same, only_before, only_now = [], [], []
    for call in sorted(before, key=lambda call: call.at):
        others = waiting[call.whom]
        while others and others[0].at < call.at - NEAR:
            only_now.append(others.popleft())
        if others and others[0].at <= call.at + NEAR:
            others.popleft()
            same.append(call)
        else:
            only_before.append(call)
    only_now += [call for others in waiting.values() for call in others]
    return same, only_before, sorted(only_now, key=lambda call: call.at)


def _close_to_an_answer(record: Record, call: Call) -> bool:
    return any(
        0 <= event.at.timestamp() - call.at <= _AT_THE_SAME_TIME and event.kind in ("acknowledge", "resolve", "snooze")
        for event in record.events
    )


def _doubts(found: Compared, lanes: Sequence[Lane]) -> Iterator[str]:
    record = found.record
    if record.by_hand:
        yield "it was opened by hand"
    for event in record.events:
        if event.kind in _BY_HAND and event.user is not None:
            yield _BY_HAND[event.kind]
    if not found.different:
        return
    if any(call.reason.startswith(TURN) for call in (*found.only_before, *found.only_now)):
        yield "whose turn it is in a round robin hangs on what came before"
    ends = [event.ended_by for event in record.events if event.kind == "resolve"]
    if ends and ends[-1] in _UNKNOWN_END:
        yield f"how long its alerts fired is not known, because {_UNKNOWN_END[ends[-1]]} ended it"
    if any(page.state == "failed" for page in record.pages):
        yield "a page of it failed then; when, is not recorded"
    several = any((event.firing or 0) + (event.resolved or 0) > 1 for event in record.events)
    if several and any(lane.group.labels != record.labels.group_labels for lane in lanes):
        yield "its alerts may fall into several groups now"


_UTC = ZoneInfo("UTC")


class Load(msgspec.Struct, kw_only=True):
    """A person's pages."""

    before: int = 0
    now: int = 0
    night_before: int = 0
    night_now: int = 0


class Replay:
    """Runs when made."""

    def __init__(self, records: Sequence[Record], roster: Roster) -> None:
        """records: in order of their beginning."""
        history = History(records, roster)
        shares = Shares(history)
        self.config, self.turns = roster.config, bool(history.turns)
        self.incidents = [
            compare(record, lanes, shares, joined, history.end)
            for record, lanes, joined in zip(records, history.lanes, history.joined, strict=True)
        ]
        self.people = _people(roster.config, self.incidents)

    @property
    def different(self) -> list[Compared]:
        return [one for one in self.incidents if one.different]


def _people(config: Config, incidents: Iterable[Compared]) -> dict[str, Load]:
    loads: defaultdict[str, Load] = defaultdict(Load)
    zones = {name: ZoneInfo(user.timezone) for name, user in config.users.items()}
    for one in incidents:
        for call in (*one.same, *one.only_before):
            if call.user:
                loads[call.user].before += 1
                loads[call.user].night_before += _at_night(call, zones)
        for call in (*one.same, *one.only_now):
            if call.user:
                loads[call.user].now += 1
                loads[call.user].night_now += _at_night(call, zones)
    return {name: loads[name] for name in sorted(loads)}


def _at_night(call: Call, zones: Mapping[str, ZoneInfo]) -> bool:
    return night(utc(call.at), zones.get(call.user, _UTC)) is not None


def document(found: Replay, broken: Sequence[Broken]) -> dict[str, Any]:
    """The JSON of the command."""
    return {
        "incidents": [_shown(one) for one in found.incidents],
        "people": {name: msgspec.to_builtins(load) for name, load in found.people.items()},
        "differences": len(found.different),
        "broken": [msgspec.to_builtins(one) for one in broken],
    }


def _shown(one: Compared) -> dict[str, Any]:
    seen = one.record.incident
    return {
        "id": seen.id,
        "number": seen.number,
        "title": seen.title,
        "started_at": rfc3339(one.record.start),
        "before": msgspec.to_builtins(one.before),
        "now": [msgspec.to_builtins(way) for way in one.now],
        "part_of": one.part_of or None,
        "different": one.different,
        "reaches_nobody": one.lost,
        "only_before": [_call(call) for call in one.only_before],
        "only_now": [_call(call) for call in one.only_now],
        "same": [_call(call) for call in one.same],
        "uncertain": one.uncertain,
    }


def _call(call: Call) -> dict[str, Any]:
    return {**msgspec.to_builtins(call), "at": rfc3339(call.at)}
