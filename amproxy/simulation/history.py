"""What the record of an incident says of things that the file does not decide: which contacts failed, whose turn it was.

Many recorded incidents under one configuration and one virtual clock: whom it pages when over what.

The alerts come and go, and people do what they did, at the recorded times. All that incidents share is shared: the pointers of
round robin, groups that come back, schedules.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from amproxy.config.structs import Integration, NotifyStep, OncallSettings, Policy
from amproxy.grouping.placement import Placer, SenderGroup
from amproxy.machine.draft import new_id
from amproxy.machine.events import Acknowledge, Act, AddResponders, Escalate, Reassign, Reopen, Resolve, Snooze, Unacknowledge
from amproxy.model import Group, Incident, Page
from amproxy.oncall.roster import Roster
from amproxy.simulation.group import ANSWER_RANK, FLUSH_RANK, SimulatedFiring, SimulatedGroup
from amproxy.simulation.incident import RoundRobinTurns, SimulatedIncident, SimulationAssumptions
from amproxy.simulation.recorded import RecordedEvent, RecordedIncident, RecordedPage
from amproxy.simulation.simulate import VirtualClock

SAME_PAGE_SECONDS = 60.0  # seconds: pages to the same person over the same channel that lie no further apart are the same page
_MAX_STEP_LATENESS = 20.0  # seconds that a step may be late; less than the pause between two rounds
_RESTARTING_EVENTS = ("unacknowledge", "reopen", "snooze_over", "escalate", "reassign")  # events after which the rounds are counted from 1
TURN_REASON_PREFIX = "next in turn of "  # how the reason of a page by round robin begins


class RecordedAssumptions(SimulationAssumptions):
    """Of all records whose alerts come into one group."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._near: defaultdict[tuple[str, str, int], list[tuple[float, bool]]] = defaultdict(list)  # whom, channel, slot → due, failed
        self._failed: set[tuple[str, str]] = set()  # (whom, channel)
        self._arrived: set[tuple[str, str]] = set()
        self._turns: defaultdict[int, list[RecordedPage]] = defaultdict(list)  # by slot
        self._meant: dict[str, RecordedPage] = {}  # pointer → the page whose turn it was set to

    def add(self, record: RecordedIncident) -> None:
        for page in record.pages:
            whom, due = page.user or page.receiver or "", page.due.timestamp()
            if page.state in ("sent", "failed"):
                failed = page.state == "failed"
                (self._failed if failed else self._arrived).add((whom, page.channel))
                self._near[whom, page.channel, _slot_of(due)].append((due, failed))

        for page in _first_pages_of_turns(record):
            self._turns[_slot_of(page.due.timestamp())].append(page)

    def refuse(self, page: Page) -> str:
        """A page fails that failed then; so does one over a channel over which nothing arrived then."""
        whom = page.user or page.receiver
        known = (one for slot in _nearby_slots(page.due) for one in self._near.get((whom, page.channel, slot), ()))
        near = [failed for due, failed in known if abs(due - page.due) <= SAME_PAGE_SECONDS]
        never = (whom, page.channel) in self._failed and (whom, page.channel) not in self._arrived
        return "it failed then" if (any(near) if near else never) else ""

    def turns(self, incident: Incident, now: float) -> RoundRobinTurns:
        """The turns that were taken, where the same step of the same policy took one at about this time."""
        if not self._turns:
            return {}
        near = [
            page
            for slot in _nearby_slots(now)
            for page in self._turns.get(slot, ())
            if abs(page.due.timestamp() - now) <= _MAX_STEP_LATENESS
        ]
        return {key: turn for page in reversed(near) for key, turn in self._pointer(incident, page)}

    def took(self, pointers: Iterable[str]) -> None:
        """Each of them is taken once."""
        for key in pointers:
            page = self._meant.pop(key, None)
            if page:
                self._turns[_slot_of(page.due.timestamp())].remove(page)

    def _pointer(self, incident: Incident, page: RecordedPage) -> Iterator[tuple[str, int]]:
        plan = incident.plan if incident.policy == page.policy else self._roster.config.policies.get(page.policy)
        step = plan.steps[page.step - 1] if plan and 0 < page.step <= len(plan.steps) else None
        if not isinstance(step, NotifyStep) or step.pick != "round_robin":
            return
        team = self._roster.config.teams.get(step.team)
        people = team.members if team else step.users
        if page.user in people:
            key = f"{page.policy}/{page.step}/{step.team or ','.join(people)}"
            self._meant[key] = page
            yield key, people.index(page.user)


def _first_pages_of_turns(record: RecordedIncident) -> Iterable[RecordedPage]:
    """The first page of each turn: the next contacts of the same person follow it."""
    begun = [event.at for event in record.events if event.kind in _RESTARTING_EVENTS]
    first: dict[object, RecordedPage] = {}
    for page in record.pages:
        if page.reason.startswith(TURN_REASON_PREFIX) and page.kind == "page":
            first.setdefault((bisect_right(begun, page.due), page.policy, page.step, page.round), page)
    return first.values()


def _slot_of(at: float) -> int:
    return int(at // SAME_PAGE_SECONDS)


def _nearby_slots(at: float) -> tuple[int, int, int]:
    """All in which something near may lie."""
    slot = _slot_of(at)
    return slot - 1, slot, slot + 1


_SAME_ALERTS_SECONDS = 60.0  # seconds by which two groups that one alert opens may be told of it at different times
_ACT_TYPES: dict[str, type[Act]] = {"acknowledge": Acknowledge, "unacknowledge": Unacknowledge, "escalate": Escalate, "reopen": Reopen}


class HistorySimulation:
    """Runs when made, up to the last moment that is recorded; then `lanes` are what became of each incident."""

    def __init__(self, records: Sequence[RecordedIncident], roster: Roster) -> None:
        """records: in order of their beginning."""
        self.records, self.roster = records, roster
        self.turns: RoundRobinTurns = {}
        self.end = max((record.end for record in records), default=0.0)
        self.lanes: list[list[SimulatedGroup]] = []  # for each record the groups in which its alerts land now
        self.joined: list[int] = []  # for each record the number of another that speaks for such a group in its place; 0 = none
        self._clock, self._placer = VirtualClock(), Placer(roster.config)
        self._known: dict[tuple[str, int], SimulatedGroup] = {}
        self._echoes: dict[int, RecordedAssumptions] = {}
        placed = [self._place(record) for record in records]
        own: defaultdict[str, list[RecordedIncident]] = defaultdict(list)  # Group.id → those that were its receiver's before too
        for record, groups in zip(records, placed, strict=True):
            for group in groups:
                if group.receiver == record.labels.receiver:
                    own[group.id].append(record)
        for record, groups in zip(records, placed, strict=True):
            self.joined.append(0)
            lanes = [self._by_hand(record)] if record.by_hand else list(self._lanes(record, groups, own))
            self.lanes.append(lanes)
        self._plan()
        self._clock.run(self.end)

    def _place(self, record: RecordedIncident) -> tuple[Group, ...]:
        if record.by_hand:
            return ()
        sender = SenderGroup(source="", key=record.labels.group_key or "", labels=record.labels.group_labels)
        return self._placer.place_in(record.alert_labels, "", sender).groups

    def _lanes(
        self, record: RecordedIncident, groups: tuple[Group, ...], own: dict[str, list[RecordedIncident]]
    ) -> Iterator[SimulatedGroup]:
        """Its own receiver's group, and those of others that no other recorded incident speaks for."""
        for group in groups:
            if group.receiver != record.labels.receiver:
                speaks = next((other for other in own.get(group.id, ()) if _overlap(record, other)), None)
                if speaks:
                    self.joined[-1] = speaks.incident.number
                    continue
            for integration in self.roster.config.receivers[group.receiver].integrations:
                if integration.kind == "oncall":
                    yield self._lane(record, group, integration)

    def _lane(self, record: RecordedIncident, group: Group, integration: Integration) -> SimulatedGroup:
        key = group.id, integration.index
        lane = self._known.get(key)
        if lane is None:
            echo = RecordedAssumptions(self.roster)
            lane = self._known[key] = SimulatedGroup(group, integration, self.roster, self.turns, echo)
            self._echoes[id(lane)] = echo
        self._echoes[id(lane)].add(record)
        return lane

    def _by_hand(self, record: RecordedIncident) -> SimulatedGroup:
        """A lane of its own, without alerts."""
        policy = self.roster.config.policies.get(record.incident.policy, record.plan)
        settings = OncallSettings(escalation_policy=policy.name, urgency=record.urgency)
        echo = RecordedAssumptions(self.roster)
        echo.add(record)
        group = Group(id="", key="", receiver="", route_key="")
        lane = SimulatedGroup(
            group, Integration(kind="oncall", index=0, send_resolved=True, settings=settings), self.roster, self.turns, echo
        )
        self._clock.plan(record.start, FLUSH_RANK, lane, partial(self._open, lane, record, policy, echo))
        return lane

    def _open(self, lane: SimulatedGroup, record: RecordedIncident, policy: Policy, echo: RecordedAssumptions, now: float) -> None:
        incident = Incident(
            id=new_id(), title=record.incident.title, policy=policy.name, plan=policy, urgency=record.urgency, started_at=now, pushed_at=now
        )
        lane.courses.append(SimulatedIncident(incident, self.roster, self.turns, echo))

    def _plan(self) -> None:
        pairs = [(record, lane) for record, lanes in zip(self.records, self.lanes, strict=True) for lane in lanes]
        following: dict[int, float] = {}  # id of the lane → when its next record begins
        ends = []
        for record, lane in reversed(pairs):
            ends.append(following.get(id(lane), math.inf))
            following[id(lane)] = record.start
        for (record, lane), end in zip(pairs, reversed(ends), strict=True):
            alerts = _RecordedAlerts(record, lane, self.roster.config.policies, end)
            for event in record.events:
                rank, do = alerts.what(event)
                if do is not None:
                    self._clock.plan(event.at.timestamp(), rank, lane, do)


class _RecordedAlerts:
    """What a recorded event means to a lane."""

    def __init__(self, record: RecordedIncident, lane: SimulatedGroup, policies: Mapping[str, Policy], following: float) -> None:
        """following: when the lane's next record begins, Unix seconds."""
        self._policies = policies
        self._record, self._lane, self._following = record, lane, following
        self._name = record.incident.id
        self._firing = 0 if record.by_hand else 1

    def what(self, event: RecordedEvent) -> tuple[int, Callable[[float], object] | None]:
        """Its rank at its moment and what it does; None = nothing. Events are asked for in order."""
        by_alerts = not self._record.by_hand and not event.user
        if by_alerts and event.kind in ("opened", "reopen"):
            return FLUSH_RANK, partial(self._fire, self._count(event), None)
        if by_alerts and event.kind == "alerts":
            before, now = self._firing, self._count(event)
            return FLUSH_RANK, partial(self._fire, now, max(0, now - before) if event.fresh is None else event.fresh)
        if event.kind == "resolve" and event.ended_by and not self._record.by_hand:
            self._firing = 0
            return FLUSH_RANK, self._end
        act = self._act(event)
        return ANSWER_RANK, partial(self._person, act, self._firing) if act else None

    def _count(self, event: RecordedEvent) -> int:
        self._firing = self._firing if event.firing is None else event.firing
        return self._firing

    def _heard(self, now: float) -> float:
        """Where the lack of news ended it next, the last news had come so long before."""
        ends = ((event.at.timestamp(), event.ended_by) for event in self._record.events if event.kind == "resolve")
        end, by = next((end for end in ends if end[0] >= now), (math.inf, ""))
        return end - self._record.plan.auto_resolve if by == "silent" else math.inf

    def _fire(self, alerts: int, fresh: int | None, now: float) -> None:
        firing = SimulatedFiring(self._record.alert_labels, max(1, alerts), heard=self._heard(now))
        self._lane.alerts = {**self._lane.alerts, self._name: firing}
        self._lane.flush(now, fresh)

    def _end(self, now: float) -> None:
        """They are over; of an incident that something else than its alerts ended, nobody knows when, so that they count as over too."""
        if self._name not in self._lane.alerts:
            self._lane.recall(self._name, SimulatedFiring(self._record.alert_labels))  # they fired, though it had been resolved before
        self._lane.alerts = {**self._lane.alerts, self._name: self._lane.alerts[self._name]._replace(ends=now)}
        self._lane.flush(now)

    def _act(self, event: RecordedEvent) -> Act | None:
        user = event.user or ""
        if event.kind == "snooze" and event.until:
            return Snooze(user=user, via="history", until=event.until.timestamp())
        if event.kind == "resolve":
            return Resolve(user=user, via="history")
        if event.kind == "reassign":
            to = NotifyStep(users=event.to) if event.to else self._policies.get(event.policy or "")
            return Reassign(user=user, via="history", to=to) if to else None
        if event.kind == "add_responders" and event.to:
            return AddResponders(user=user, via="history", to=NotifyStep(users=event.to))
        made = _ACT_TYPES.get(event.kind) if event.user else None
        return made(user=user, via="history") if made else None

    def _person(self, event: Act, firing: int, now: float) -> None:
        self._lane.act(event, now, self._following)
        if isinstance(event, Reopen) and firing:
            self._lane.recall(self._name, SimulatedFiring(self._record.alert_labels, firing, heard=self._heard(now)))
        if isinstance(event, Resolve):  # what became of its alerts after that is not recorded, or is an incident of its own
            self._lane.forget(self._name)


def _overlap(one: RecordedIncident, other: RecordedIncident) -> bool:
    return one.start <= other.end + _SAME_ALERTS_SECONDS and other.start <= one.end + _SAME_ALERTS_SECONDS
