"""`amproxy replay`: whom a changed file would have paged differently over an exported history.

Each record stands beside what would have become of it: the same pages, and those that differ.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Config, Policy
from amproxy.machine.recipients import TURN_REASONS
from amproxy.model import EndReason, Page
from amproxy.oncall.hours import night_start_date
from amproxy.oncall.roster import Roster
from amproxy.simulation.group import SimulatedGroup
from amproxy.simulation.history import SAME_PAGE_SECONDS, HistorySimulation
from amproxy.simulation.recorded import BrokenHistoryLine, RecordedIncident, RecordedPage
from amproxy.text.render import code_of, in_english

# Seconds between the beginning that a record has and its first page.
_START_TOLERANCE: Final = 1.0
# Seconds: a page that comes so shortly before an answer may have come after it in truth.
_ANSWER_TOLERANCE: Final = 2.0
_MANUAL_ACTIONS: Final = {
    "escalate": "somebody ran the next step by hand",
    "reassign": "somebody reassigned it by hand",
    "add_responders": "more people were asked to join by hand",
    "merge": "another incident was merged into it",
    "unmerge": "it was part of another incident for a while",
}
# Ends of an incident that leave open for how long its alerts fired.
_UNKNOWN_END: Final[dict[EndReason | None, str]] = {
    "policy": "a step of its policy",
    "silent": "the lack of news",
    "merged": "a merge",
    "moved": "a change of the file",
}
_UTC: Final = ZoneInfo("UTC")


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
    in_turn: bool  # by round robin

    @property
    def contact(self) -> tuple[str, str, str, str]:
        return self.kind, self.user, self.receiver, self.channel


class IncidentDestination(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver and policy that an incident went to."""

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
    uncertain: list[str]  # reasons why this may be wrong
    part_of: int = 0  # number of the incident that its alerts would have been part of; 0 = none

    @property
    def different(self) -> bool:
        return bool(self.only_before or self.only_now)

    @property
    def reaches_nobody(self) -> bool:
        """True where it did reach a person, and would have reached none."""
        reached = any(page.user for page in (*self.only_before, *self.same))
        reaches = any(page.user for page in (*self.only_now, *self.same))
        return reached and not reaches and not self.part_of


class ReplayedPageCounts(msgspec.Struct, kw_only=True):
    """Numbers of a person's pages."""

    before: int = 0
    now: int = 0
    night_before: int = 0
    night_now: int = 0


class Replay:
    """A replay of records, run when made."""

    def __init__(self, records: Sequence[RecordedIncident], roster: Roster) -> None:
        """records: in order of their beginning."""
        history = HistorySimulation(records, roster)
        attribution = PageAttribution(history)
        self.config, self.turns = roster.config, bool(history.turns)
        self.incidents = [
            compare_incident(record, groups, attribution, joined_to, history.end)
            for record, groups, joined_to in zip(
                records, history.groups, history.joined_to, strict=True
            )
        ]
        self.people = _count_by_person(roster.config, self.incidents)

    @property
    def different(self) -> list[ComparedIncident]:
        return [incident for incident in self.incidents if incident.different]


def replay_document(replay: Replay, broken: Sequence[BrokenHistoryLine]) -> dict[str, Any]:
    """Return the JSON of the command."""
    return {
        "incidents": [_incident_document(incident) for incident in replay.incidents],
        "people": {name: msgspec.to_builtins(counts) for name, counts in replay.people.items()},
        "differences": len(replay.different),
        "broken": [msgspec.to_builtins(line) for line in broken],
    }


def _incident_document(compared: ComparedIncident) -> dict[str, Any]:
    incident = compared.record.incident
    return {
        "id": incident.id,
        "number": incident.number,
        "title": incident.title,
        "started_at": rfc3339(compared.record.start),
        "before": msgspec.to_builtins(compared.before),
        "now": [msgspec.to_builtins(destination) for destination in compared.now],
        "part_of": compared.part_of or None,
        "different": compared.different,
        "reaches_nobody": compared.reaches_nobody,
        "only_before": [_page_document(page) for page in compared.only_before],
        "only_now": [_page_document(page) for page in compared.only_now],
        "same": [_page_document(page) for page in compared.same],
        "uncertain": compared.uncertain,
    }


def _page_document(page: ComparedPage) -> dict[str, Any]:
    return {**msgspec.to_builtins(page), "at": rfc3339(page.at)}


def _count_by_person(
    config: Config, incidents: Iterable[ComparedIncident]
) -> dict[str, ReplayedPageCounts]:
    counts: defaultdict[str, ReplayedPageCounts] = defaultdict(ReplayedPageCounts)
    zones = {name: ZoneInfo(user.timezone) for name, user in config.users.items()}
    for compared in incidents:
        for page in (*compared.same, *compared.only_before):
            if page.user:
                counts[page.user].before += 1
                counts[page.user].night_before += _is_at_night(page, zones)
        for page in (*compared.same, *compared.only_now):
            if page.user:
                counts[page.user].now += 1
                counts[page.user].night_now += _is_at_night(page, zones)
    return {name: counts[name] for name in sorted(counts)}


def _is_at_night(page: ComparedPage, zones: Mapping[str, ZoneInfo]) -> bool:
    return night_start_date(utc(page.at), zones.get(page.user, _UTC)) is not None


def compare_incident(
    record: RecordedIncident,
    groups: Sequence[SimulatedGroup],
    attribution: PageAttribution,
    joined_to: int,
    end: float,
) -> ComparedIncident:
    """Compare a record with what became of its alerts in the simulation.

    joined_to: number of the incident that stands for its alerts where it has no group; 0 = none
    does. end: of all that is recorded, Unix seconds.
    """
    before = [_from_recorded(page, record.plan) for page in record.pages if page.state == "sent"]
    unsent = [
        _from_recorded(page, record.plan)
        for page in record.pages
        if page.state not in ("sent", "failed")
    ]
    now = [_from_simulated(page) for group in groups for page in attribution.pages(group, record)]
    pairs = _pair_pages(before, now)
    # A page that was under way when somebody answered was not sent: that is no difference.
    only_now = _pair_pages(unsent, pairs.only_now).only_now
    joined = [number for group in groups if (number := attribution.part_of(group, record))]
    compared = ComparedIncident(
        record=record,
        before=IncidentDestination(
            receiver=record.labels.receiver or "", policy=record.incident.policy
        ),
        now=[
            IncidentDestination(
                receiver=group.group.receiver, policy=attribution.policy(group, record)
            )
            for group in groups
        ],
        only_before=pairs.only_before,
        only_now=[
            page for page in only_now if page.at <= end and not _is_close_to_answer(record, page)
        ],
        same=pairs.same,
        uncertain=[],
        part_of=joined_to if not groups else joined[0] if len(joined) == len(groups) else 0,
    )
    compared.uncertain = list(dict.fromkeys(_describe_doubts(compared, groups)))
    return compared


def _from_recorded(page: RecordedPage, plan: Policy) -> ComparedPage:
    return ComparedPage(
        at=page.due.timestamp(),
        kind=page.kind,
        user=page.user or "",
        receiver=page.receiver or "",
        channel=page.channel,
        policy=page.policy,
        step=page.step,
        round=page.round,
        reason=page.reason,
        in_turn=page.in_turn(plan),
    )


def _from_simulated(page: Page) -> ComparedPage:
    return ComparedPage(
        at=page.due,
        kind=page.kind,
        user=page.user,
        receiver=page.receiver,
        channel=page.channel,
        policy=page.policy,
        step=page.step,
        round=page.round,
        reason=in_english(page.reason),
        in_turn=code_of(page.reason) in TURN_REASONS,
    )


class _PagePairs(NamedTuple):
    same: list[ComparedPage]  # as they were
    only_before: list[ComparedPage]
    only_now: list[ComparedPage]


def _pair_pages(before: Iterable[ComparedPage], now: Iterable[ComparedPage]) -> _PagePairs:
    """Pair pages to the same contact in order of time, at most SAME_PAGE_SECONDS apart."""
    waiting: defaultdict[tuple[str, ...], deque[ComparedPage]] = defaultdict(deque)
    for page in sorted(now, key=lambda page: page.at):
        waiting[page.contact].append(page)
    pairs = _PagePairs([], [], [])
    for page in sorted(before, key=lambda page: page.at):
        others = waiting[page.contact]
        while others and others[0].at < page.at - SAME_PAGE_SECONDS:
            pairs.only_now.append(others.popleft())
        if others and others[0].at <= page.at + SAME_PAGE_SECONDS:
            others.popleft()
            pairs.same.append(page)
        else:
            pairs.only_before.append(page)
    pairs.only_now.extend(page for others in waiting.values() for page in others)
    pairs.only_now.sort(key=lambda page: page.at)
    return pairs


def _is_close_to_answer(record: RecordedIncident, page: ComparedPage) -> bool:
    return any(
        0 <= event.at.timestamp() - page.at <= _ANSWER_TOLERANCE
        and event.kind in ("acknowledge", "resolve", "snooze")
        for event in record.events
    )


def _describe_doubts(compared: ComparedIncident, groups: Sequence[SimulatedGroup]) -> Iterator[str]:
    record = compared.record
    if record.by_hand:
        yield "it was opened by hand"
    if record.holds:
        yield "its alerts were muted for a while, and are taken to be muted again"
    for event in record.events:
        if event.kind in _MANUAL_ACTIONS and event.user is not None:
            yield _MANUAL_ACTIONS[event.kind]
    if not compared.different:
        return
    differing = (*compared.only_before, *compared.only_now)
    if any(page.in_turn for page in differing):
        yield "whose turn it is in a round robin hangs on what came before"
    ends = [event.end_reason for event in record.events if event.kind == "resolve"]
    if ends and (cause := _UNKNOWN_END.get(ends[-1])):
        yield f"how long its alerts fired is not known, because {cause} ended it"
    if any(page.state == "failed" for page in record.pages):
        yield "a page of it failed then; when, is not recorded"
    several = any((event.firing or 0) + (event.resolved or 0) > 1 for event in record.events)
    if several and any(group.group.labels != record.labels.group_labels for group in groups):
        yield "its alerts may fall into several groups now"


class PageAttribution:
    """The records that the pages of a simulated history belong to.

    The incidents of one group follow each other, and those of several records may have become one.
    """

    def __init__(self, history: HistorySimulation) -> None:
        groups: dict[int, SimulatedGroup] = {}  # by their id()
        records: defaultdict[int, list[RecordedIncident]] = defaultdict(list)  # by beginning
        for record, its_groups in zip(history.records, history.groups, strict=True):
            for group in its_groups:
                groups[id(group)] = group
                records[id(group)].append(record)
        self._by_group = {
            key: _GroupAttribution(group, records[key]) for key, group in groups.items()
        }

    def pages(self, group: SimulatedGroup, record: RecordedIncident) -> list[Page]:
        """Return the pages that the record's incident would have caused."""
        return self._by_group[id(group)].pages.get(record.incident.id, [])

    def part_of(self, group: SimulatedGroup, record: RecordedIncident) -> int:
        """Return the number of the incident that its alerts would have joined; 0 = none."""
        return self._by_group[id(group)].part_of.get(record.incident.id, 0)

    def policy(self, group: SimulatedGroup, record: RecordedIncident) -> str:
        """Return the policy that the record's incident would have followed last."""
        followed = self._by_group[id(group)].policies.get(record.incident.id)
        return followed or str(group.integration.settings.escalation_policy)


class _GroupAttribution:
    """The attribution in one group, by id of the record's incident."""

    def __init__(self, group: SimulatedGroup, records: list[RecordedIncident]) -> None:
        self.pages: defaultdict[str, list[Page]] = defaultdict(list)
        self.part_of: dict[str, int] = {}
        self.policies: dict[str, str] = {}
        # For each simulated incident the index of the record that it begins with.
        firsts = [
            max(0, _count_begun(records, simulated.incident.started_at) - 1)
            for simulated in group.incidents
        ]
        for number, (simulated, first) in enumerate(zip(group.incidents, firsts, strict=True)):
            # Up to the record that the next incident begins with. The first one also has the
            # records from before it, which began while the group was muted.
            last = max(first + 1, firsts[number + 1]) if number + 1 < len(firsts) else len(records)
            own = records[first if number else 0 : last]
            for record in own:
                self.policies[record.incident.id] = simulated.incident.policy
                joined = _incident_open_at(own, record.start)
                joined_to = 0 if joined is record else joined.incident.number
                self.part_of[record.incident.id] = joined_to
            for page in simulated.pages:
                self.pages[_incident_open_at(own, page.due).incident.id].append(page)


def _incident_open_at(records: list[RecordedIncident], at: float) -> RecordedIncident:
    """Return the record that was open longest at a time; else the last that had begun."""
    begun = records[: max(1, _count_begun(records, at))]
    return next((record for record in begun if record.over > at), begun[-1])


def _count_begun(records: list[RecordedIncident], at: float) -> int:
    return bisect_right(records, at + _START_TOLERANCE, key=lambda record: record.start)
