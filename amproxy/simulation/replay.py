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
from amproxy.oncall.hours import night_start_date
from amproxy.oncall.roster import Roster
from amproxy.simulation.group import SimulatedGroup
from amproxy.simulation.history import SAME_PAGE_SECONDS, TURN_REASON_PREFIX, HistorySimulation
from amproxy.simulation.recorded import BrokenHistoryLine, RecordedIncident, RecordedPage

_START_TOLERANCE = 1.0  # seconds between what a record says of its beginning and its first page


class PageAttribution:
    """Of a history that has run."""

    def __init__(self, history: HistorySimulation) -> None:
        records: defaultdict[int, list[RecordedIncident]] = defaultdict(list)  # id of the lane → in order of their beginning
        self._shares: dict[int, _GroupAttribution] = {}
        for record, lanes in zip(history.records, history.lanes, strict=True):
            for lane in lanes:
                records[id(lane)].append(record)
        for lane in {id(lane): lane for lanes in history.lanes for lane in lanes}.values():
            self._shares[id(lane)] = _GroupAttribution(lane, records[id(lane)])

    def pages(self, lane: SimulatedGroup, record: RecordedIncident) -> list[Page]:
        """Those that the record's incident would have caused."""
        return self._shares[id(lane)].pages.get(record.incident.id, [])

    def part_of(self, lane: SimulatedGroup, record: RecordedIncident) -> int:
        """Number of the incident that its alerts would have become part of; 0 = they would have had one of their own."""
        return self._shares[id(lane)].part_of.get(record.incident.id, 0)

    def policy(self, lane: SimulatedGroup, record: RecordedIncident) -> str:
        """The policy that the record's incident would have followed last."""
        return self._shares[id(lane)].policies.get(record.incident.id) or str(lane.integration.settings.escalation_policy)


class _GroupAttribution:
    """Of one lane, by id of the record's incident."""

    def __init__(self, lane: SimulatedGroup, records: list[RecordedIncident]) -> None:
        self.pages: defaultdict[str, list[Page]] = defaultdict(list)
        self.part_of: dict[str, int] = {}
        self.policies: dict[str, str] = {}
        firsts = [
            max(1, bisect_right(records, course.incident.started_at + _START_TOLERANCE, key=_start_of)) - 1 for course in lane.courses
        ]
        for number, (course, first) in enumerate(zip(lane.courses, firsts, strict=True)):
            # Up to the record that the next incident begins with; the first also has what began while nothing could be opened.
            last = max(first + 1, firsts[number + 1]) if number + 1 < len(firsts) else len(records)
            own = records[first if number else 0 : last]
            for record in own:
                self.policies[record.incident.id] = course.incident.policy
                speaker = _incident_open_at(own, record.start)
                self.part_of[record.incident.id] = 0 if speaker is record else speaker.incident.number
            for page in course.pages:
                self.pages[_incident_open_at(own, page.due).incident.id].append(page)


def _incident_open_at(records: list[RecordedIncident], at: float) -> RecordedIncident:
    """The record that was open longest at a moment; where none was, the last that had begun."""
    begun = records[: max(1, bisect_right(records, at + _START_TOLERANCE, key=_start_of))]
    return next((record for record in begun if record.over > at), begun[-1])


def _start_of(record: RecordedIncident) -> float:
    return record.start


_ANSWER_TOLERANCE = 2.0  # seconds: a page that comes so shortly before an answer may have come after it in truth
_MANUAL_ACTIONS = {
    "escalate": "somebody ran the next step by hand",
    "reassign": "somebody reassigned it by hand",
    "add_responders": "more people were asked to join by hand",
    "merge": "another incident was merged into it",
}
_UNKNOWN_END = {"policy": "a step of its policy", "silent": "the lack of news", "merged": "a merge", "moved": "a change of the file"}


class ComparedPage(msgspec.Struct, frozen=True, kw_only=True):
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


class IncidentDestination(msgspec.Struct, frozen=True, kw_only=True):
    """Where an incident went."""

    receiver: str
    policy: str


class ComparedIncident(msgspec.Struct, kw_only=True):
    """One incident, as it was and as it would have been."""

    record: RecordedIncident
    before: IncidentDestination
    now: list[IncidentDestination]
    only_before: list[ComparedPage]
    only_now: list[ComparedPage]
    same: list[ComparedPage]  # as they were
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


def compare_incident(
    record: RecordedIncident, lanes: Sequence[SimulatedGroup], shares: PageAttribution, joined: int, end: float
) -> ComparedIncident:
    """joined: number of the incident that speaks for its alerts where it has no lane; 0 = none does. end: of all that is recorded."""
    before = [_from_recorded(page) for page in record.pages if page.state == "sent"]
    not_sent = [_from_recorded(page) for page in record.pages if page.state not in ("sent", "failed")]
    now = [_from_simulated(page) for lane in lanes for page in shares.pages(lane, record)]
    same, only_before, only_now = _pair_pages(before, now)
    # What was on its way when somebody answered was not sent; so close to it nobody can say.
    _, _, only_now = _pair_pages(not_sent, only_now)
    only_now = [call for call in only_now if call.at <= end and not _is_close_to_answer(record, call)]
    busy = [number for lane in lanes if (number := shares.part_of(lane, record))]
    compared = ComparedIncident(
        record=record,
        before=IncidentDestination(receiver=record.labels.receiver or "", policy=record.incident.policy),
        now=[IncidentDestination(receiver=lane.group.receiver, policy=shares.policy(lane, record)) for lane in lanes],
        only_before=only_before,
        only_now=only_now,
        same=same,
        uncertain=[],
        part_of=busy[0] if lanes and len(busy) == len(lanes) else joined if not lanes else 0,
    )
    compared.uncertain = list(dict.fromkeys(_describe_doubts(compared, lanes)))
    return compared


def _from_recorded(page: RecordedPage) -> ComparedPage:
    return ComparedPage(
        at=page.due.timestamp(), kind=page.kind, user=page.user or "", receiver=page.receiver or "", channel=page.channel,
        policy=page.policy, step=page.step, round=page.round, reason=page.reason,
    )  # fmt: skip


def _from_simulated(page: Page) -> ComparedPage:
    return ComparedPage(
        at=page.due, kind=page.kind, user=page.user, receiver=page.receiver, channel=page.channel, policy=page.policy, step=page.step,
        round=page.round, reason=page.reason,
    )  # fmt: skip


def _pair_pages(
    before: Iterable[ComparedPage], now: Iterable[ComparedPage]
) -> tuple[list[ComparedPage], list[ComparedPage], list[ComparedPage]]:
    """Those that are the same (as they were), those only before, those only now: pairs in order of time, no further apart than NEAR."""
    waiting: defaultdict[tuple[str, ...], deque[ComparedPage]] = defaultdict(deque)
    for call in sorted(now, key=lambda call: call.at):
        waiting[call.whom].append(call)
    same, only_before, only_now = [], [], []
    for call in sorted(before, key=lambda call: call.at):
        others = waiting[call.whom]
        while others and others[0].at < call.at - SAME_PAGE_SECONDS:
            only_now.append(others.popleft())
        if others and others[0].at <= call.at + SAME_PAGE_SECONDS:
            others.popleft()
            same.append(call)
        else:
            only_before.append(call)
    only_now += [call for others in waiting.values() for call in others]
    return same, only_before, sorted(only_now, key=lambda call: call.at)


def _is_close_to_answer(record: RecordedIncident, call: ComparedPage) -> bool:
    return any(
        0 <= event.at.timestamp() - call.at <= _ANSWER_TOLERANCE and event.kind in ("acknowledge", "resolve", "snooze")
        for event in record.events
    )


def _describe_doubts(found: ComparedIncident, lanes: Sequence[SimulatedGroup]) -> Iterator[str]:
    record = found.record
    if record.by_hand:
        yield "it was opened by hand"
    for event in record.events:
        if event.kind in _MANUAL_ACTIONS and event.user is not None:
            yield _MANUAL_ACTIONS[event.kind]
    if not found.different:
        return
    if any(call.reason.startswith(TURN_REASON_PREFIX) for call in (*found.only_before, *found.only_now)):
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


class ReplayedPageCounts(msgspec.Struct, kw_only=True):
    """A person's pages."""

    before: int = 0
    now: int = 0
    night_before: int = 0
    night_now: int = 0


class Replay:
    """Runs when made."""

    def __init__(self, records: Sequence[RecordedIncident], roster: Roster) -> None:
        """records: in order of their beginning."""
        history = HistorySimulation(records, roster)
        shares = PageAttribution(history)
        self.config, self.turns = roster.config, bool(history.turns)
        self.incidents = [
            compare_incident(record, lanes, shares, joined, history.end)
            for record, lanes, joined in zip(records, history.lanes, history.joined, strict=True)
        ]
        self.people = _count_by_person(roster.config, self.incidents)

    @property
    def different(self) -> list[ComparedIncident]:
        return [one for one in self.incidents if one.different]


def _count_by_person(config: Config, incidents: Iterable[ComparedIncident]) -> dict[str, ReplayedPageCounts]:
    loads: defaultdict[str, ReplayedPageCounts] = defaultdict(ReplayedPageCounts)
    zones = {name: ZoneInfo(user.timezone) for name, user in config.users.items()}
    for one in incidents:
        for call in (*one.same, *one.only_before):
            if call.user:
                loads[call.user].before += 1
                loads[call.user].night_before += _is_at_night(call, zones)
        for call in (*one.same, *one.only_now):
            if call.user:
                loads[call.user].now += 1
                loads[call.user].night_now += _is_at_night(call, zones)
    return {name: loads[name] for name in sorted(loads)}


def _is_at_night(call: ComparedPage, zones: Mapping[str, ZoneInfo]) -> bool:
    return night_start_date(utc(call.at), zones.get(call.user, _UTC)) is not None


def replay_document(found: Replay, broken: Sequence[BrokenHistoryLine]) -> dict[str, Any]:
    """The JSON of the command."""
    return {
        "incidents": [_incident_document(one) for one in found.incidents],
        "people": {name: msgspec.to_builtins(load) for name, load in found.people.items()},
        "differences": len(found.different),
        "broken": [msgspec.to_builtins(one) for one in broken],
    }


def _incident_document(one: ComparedIncident) -> dict[str, Any]:
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
        "only_before": [_page_document(call) for call in one.only_before],
        "only_now": [_page_document(call) for call in one.only_now],
        "same": [_page_document(call) for call in one.same],
        "uncertain": one.uncertain,
    }


def _page_document(call: ComparedPage) -> dict[str, Any]:
    return {**msgspec.to_builtins(call), "at": rfc3339(call.at)}
