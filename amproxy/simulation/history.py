"""Recorded incidents under one configuration and one virtual clock: whom it would have paged.

The alerts come and go, and people act, at the recorded times. All that incidents share is shared
here too: the turns of round robin, groups that come back, schedules.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from amproxy.config.structs import Integration, NotifyStep, OncallSettings, Policy
from amproxy.grouping.placement import Placer, SenderGroup
from amproxy.labels.severity import severity_of
from amproxy.machine.draft import new_id
from amproxy.machine.events import (
    Acknowledge,
    Act,
    AddResponders,
    Escalate,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    Unacknowledge,
)
from amproxy.model import Group, Incident, Page
from amproxy.oncall.roster import Roster
from amproxy.simulation.group import SimulatedFiring, SimulatedGroup
from amproxy.simulation.incident import RoundRobinTurns, SimulationAssumptions
from amproxy.simulation.recorded import RecordedEvent, RecordedIncident, RecordedPage
from amproxy.simulation.surroundings import ANSWER_RANK, FLUSH_RANK, SimulatedSurroundings
from amproxy.text import Phrase, Words, phrase

# Seconds: pages to one person over one channel that are no further apart count as the same page.
SAME_PAGE_SECONDS: Final = 60.0
# Seconds that a step may have been late; less than the pause between two rounds.
_MAX_STEP_LATENESS: Final = 20.0
# Seconds by which two groups of one alert may have been notified at different times.
_SAME_ALERTS_SECONDS: Final = 60.0
# Events after which the rounds are counted from 1.
_RESTARTING_EVENTS: Final = (
    "unacknowledge",
    "reopen",
    "unmerge",
    "snooze_over",
    "escalate",
    "reassign",
)
_ACT_TYPES: Final[dict[str, type[Act]]] = {
    "acknowledge": Acknowledge,
    "unacknowledge": Unacknowledge,
    "escalate": Escalate,
    "reopen": Reopen,
}


class HistorySimulation:
    """A simulation of records, run when made, up to the last time that is recorded.

    `groups`, for each record: those in which its alerts land now. `joined_to`, for each record: the
    number of another that stands for such a group in its place; 0 = none does.
    """

    def __init__(self, records: Sequence[RecordedIncident], roster: Roster) -> None:
        """records: in order of their beginning."""
        self.records, self.roster = records, roster
        self._surroundings = SimulatedSurroundings(roster)
        self.turns = self._surroundings.turns
        self.end = max((record.end for record in records), default=0.0)
        self.groups: list[list[SimulatedGroup]] = []
        self.joined_to: list[int] = []
        self._clock, self._placer = self._surroundings.clock, Placer(roster.config)
        self._known: dict[tuple[str, int], SimulatedGroup] = {}
        self._assumptions: dict[int, RecordedAssumptions] = {}  # by id() of the group
        self._place_records()
        self._schedule_events()
        followers = {id(one): one for groups in self.groups for one in groups}
        start = min((record.start for record in records), default=0.0)
        self._surroundings.run(list(followers.values()), start, self.end)

    def _place_records(self) -> None:
        placed = [self._place(record) for record in self.records]
        # Group.id → the records whose receiver it was before as well.
        own: defaultdict[str, list[RecordedIncident]] = defaultdict(list)
        for record, groups in zip(self.records, placed, strict=True):
            for group in groups:
                if group.receiver == record.labels.receiver:
                    own[group.id].append(record)
        for record, groups in zip(self.records, placed, strict=True):
            self.joined_to.append(0)
            simulated = (
                [self._open_by_hand(record)]
                if record.by_hand
                else list(self._groups_of(record, groups, own))
            )
            self.groups.append(simulated)

    def _place(self, record: RecordedIncident) -> tuple[Group, ...]:
        if record.by_hand:
            return ()
        labels = record.labels
        sender = SenderGroup(source="", key=labels.group_key or "", labels=labels.group_labels)
        return self._placer.place_in(record.alert_labels, "", sender).groups

    def _groups_of(
        self,
        record: RecordedIncident,
        groups: tuple[Group, ...],
        own: Mapping[str, list[RecordedIncident]],
    ) -> Iterator[SimulatedGroup]:
        """Its own receiver's group, and those of others that no other record stands for.

        The history has one record for each receiver of an alert: were all of them to go through
        all groups, each page would be counted as often.
        """
        for group in groups:
            if group.receiver != record.labels.receiver:
                others = (other for other in own.get(group.id, ()) if _overlap(record, other))
                if other := next(others, None):
                    self.joined_to[-1] = other.incident.number
                    continue
            for integration in self.roster.config.receivers[group.receiver].integrations:
                if integration.kind == "oncall":
                    yield self._group(record, group, integration)

    def _group(
        self, record: RecordedIncident, group: Group, integration: Integration
    ) -> SimulatedGroup:
        key = group.id, integration.index
        simulated = self._known.get(key)
        if simulated is None:
            assumptions = RecordedAssumptions(self.roster)
            simulated = self._known[key] = SimulatedGroup(
                group, integration, self._surroundings, assumptions
            )
            self._assumptions[id(simulated)] = assumptions
        self._assumptions[id(simulated)].add(record)
        return simulated

    def _open_by_hand(self, record: RecordedIncident) -> SimulatedGroup:
        """Return a group of its own, without alerts."""
        policy = self.roster.config.policies.get(record.incident.policy, record.plan)
        settings = OncallSettings(escalation_policy=policy.name, urgency=record.urgency)
        assumptions = RecordedAssumptions(self.roster)
        assumptions.add(record)
        simulated = SimulatedGroup(
            Group(id="", key="", receiver="", route_key=""),
            Integration(kind="oncall", index=0, send_resolved=True, settings=settings),
            self._surroundings,
            assumptions,
        )
        open_it = partial(self._open, simulated, record, policy)
        self._clock.schedule(record.start, FLUSH_RANK, simulated, open_it)
        return simulated

    def _open(
        self,
        group: SimulatedGroup,
        record: RecordedIncident,
        policy: Policy,
        now: float,
    ) -> None:
        incident = Incident(
            id=new_id(),
            title=record.incident.title,
            policy=policy.name,
            plan=policy,
            urgency=record.urgency,
            started_at=now,
            pushed_at=now,
        )
        group.begin(incident).open()

    def _schedule_events(self) -> None:
        pairs = [
            (record, group)
            for record, groups in zip(self.records, self.groups, strict=True)
            for group in groups
        ]
        # Backwards: a record's actions are for incidents from before its group's next record.
        following: dict[int, float] = {}  # id() of the group → when its next record begins
        next_starts = []
        for record, group in reversed(pairs):
            next_starts.append(following.get(id(group), math.inf))
            following[id(group)] = record.start
        for (record, group), next_start in zip(pairs, reversed(next_starts), strict=True):
            alerts = _RecordedAlerts(record, group, self.roster.config.policies, next_start)
            for event in record.events:
                rank, call = alerts.replay(event)
                if call is not None:
                    self._clock.schedule(event.at.timestamp(), rank, group, call)


def _overlap(one: RecordedIncident, other: RecordedIncident) -> bool:
    return (
        one.start <= other.end + _SAME_ALERTS_SECONDS
        and other.start <= one.end + _SAME_ALERTS_SECONDS
    )


class _RecordedAlerts:
    """The events of one record as calls that change its group."""

    def __init__(
        self,
        record: RecordedIncident,
        group: SimulatedGroup,
        policies: Mapping[str, Policy],
        next_start: float,
    ) -> None:
        """next_start: of the group's next record, Unix seconds."""
        self._policies = policies
        self._record, self._group, self._next_start = record, group, next_start
        self._name = record.incident.id
        self._firing = 0 if record.by_hand else 1
        self._labels = record.alert_labels
        self._joined: list[str] = []  # names of alerts with labels of their own

    def replay(self, event: RecordedEvent) -> tuple[int, Callable[[float], object] | None]:
        """Return the rank and the call of an event; None = nothing to do. Wants them in order."""
        by_alerts = not self._record.by_hand and not event.user
        came_back = event.kind == "unmerge" and event.firing and not self._record.by_hand
        if came_back or (by_alerts and event.kind in ("opened", "reopen")):
            return FLUSH_RANK, partial(self._fire, self._count(event), None, event)
        if by_alerts and event.kind == "alerts":
            before, now = self._firing, self._count(event)
            fresh = max(0, now - before) if event.fresh is None else event.fresh
            return FLUSH_RANK, partial(self._fire, now, fresh, event)
        if event.kind == "resolve" and event.end_reason and not self._record.by_hand:
            self._firing = 0
            return FLUSH_RANK, self._end
        action = self._action(event)
        return ANSWER_RANK, partial(self._act, action, self._firing) if action else None

    def _begin_with(self, severity: str | None) -> None:
        """Take the severity that its alerts began with: the labels are those of its end."""
        if severity and severity != severity_of(self._labels):
            self._labels = {**self._labels, "severity": severity}

    def _count(self, event: RecordedEvent) -> int:
        self._firing = self._firing if event.firing is None else event.firing
        return self._firing

    def _last_push(self, now: float) -> float:
        """Return the last push if its absence resolves the incident next; else inf."""
        for event in self._record.events:
            if event.kind == "resolve" and event.at.timestamp() >= now:
                if event.end_reason == "silent":
                    return event.at.timestamp() - self._record.plan.auto_resolve
                break
        return math.inf

    def _fire(self, alerts: int, fresh: int | None, event: RecordedEvent, now: float) -> None:
        before = self._group.alerts.get(self._name)
        if before is None:
            self._begin_with(event.severity)
        elif event.joined and fresh:
            fresh -= 1
            self._join(event.joined)
        alerts -= len(self._joined)
        firing, ended = self._alerts(max(1, alerts), self._last_push(now)), 0
        if before is not None:
            # Of those that were known so many are still there: the rest ended, or is new.
            fresh = max(0, alerts - before.alerts) if fresh is None else fresh
            ended = before.alerts - max(0, min(before.alerts, firing.alerts - fresh))
            firing = firing._replace(first=before.first + ended)
        self._group.alerts = {**self._group.alerts, self._name: firing}
        if before is not None and ended:
            over = before._replace(alerts=ended, ends=now)
            self._group.alerts = {**self._group.alerts, f"{self._name} ended": over}
        self._group.flush(now)

    def _join(self, labels: dict[str, str]) -> None:
        """Let one alert with labels of its own fire besides the others, until all are over."""
        name = f"{self._name} joined {len(self._joined) + 1}"
        self._joined.append(name)
        firing = SimulatedFiring({**self._labels, **labels}, sender=name)
        self._group.alerts = {**self._group.alerts, name: firing}

    def _alerts(self, number: int, last_push: float = math.inf) -> SimulatedFiring:
        return SimulatedFiring(self._labels, number, last_push=last_push, sender=self._name)

    def _end(self, now: float) -> None:
        """End its alerts; also where something else resolved it, for then their end is unknown."""
        if self._name not in self._group.alerts:
            # They fired, though a person had resolved the incident before.
            self._group.recall(self._name, self._alerts(1))
        for name in (self._name, *self._joined):
            if name in self._group.alerts:
                ended = self._group.alerts[name]._replace(ends=now)
                self._group.alerts = {**self._group.alerts, name: ended}
        self._joined = []
        self._group.flush(now)

    def _action(self, event: RecordedEvent) -> Act | None:
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
        act_type = _ACT_TYPES.get(event.kind) if event.user else None
        return act_type(user=user, via="history") if act_type else None

    def _act(self, event: Act, firing: int, now: float) -> None:
        self._group.apply_action(event, now, self._next_start)
        if isinstance(event, Reopen) and firing:
            self._group.recall(self._name, self._alerts(firing, self._last_push(now)))
        # The further course of its alerts is not recorded, or is an incident of its own.
        if isinstance(event, Resolve):
            for name in (self._name, *self._joined):
                self._group.forget(name)
            self._joined = []


class RecordedAssumptions(SimulationAssumptions):
    """Assumptions from the records of one group: the contacts that failed, and the turns taken.

    Pages and turns are looked up by the minute that they were due in, since the changed file may
    shift them by some seconds.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        # (recipient, channel, minute) → (due, failed) of each page
        self._nearby: defaultdict[tuple[str, str, int], list[tuple[float, bool]]]
        self._nearby = defaultdict(list)
        self._failed: set[tuple[str, str]] = set()  # (recipient, channel)
        self._arrived: set[tuple[str, str]] = set()
        self._turns: defaultdict[int, list[RecordedPage]] = defaultdict(list)  # by minute
        self._pages_of_turns: dict[str, RecordedPage] = {}  # by key of the round robin
        self._holds: list[tuple[float, float]] = []  # Unix seconds

    def add(self, record: RecordedIncident) -> None:
        for page in record.pages:
            if page.state not in ("sent", "failed"):
                continue
            recipient, due = page.user or page.receiver or "", page.due.timestamp()
            failed = page.state == "failed"
            (self._failed if failed else self._arrived).add((recipient, page.channel))
            self._nearby[recipient, page.channel, _minute_of(due)].append((due, failed))
        self._holds += record.holds
        for page in _first_pages_of_turns(record):
            self._turns[_minute_of(page.due.timestamp())].append(page)

    def refuse(self, page: Page) -> Words:
        """Refuse a page that failed then, or whose channel never worked then."""
        contact = page.user or page.receiver, page.channel
        near = [
            failed
            for minute in _nearby_minutes(page.due)
            for due, failed in self._nearby.get((*contact, minute), ())
            if abs(due - page.due) <= SAME_PAGE_SECONDS
        ]
        never = contact in self._failed and contact not in self._arrived
        return phrase("simulation.failed_then") if (any(near) if near else never) else ""

    def hold(self, now: float) -> tuple[Phrase, float] | None:
        """Hold an incident as it was held: what muted its alerts is not recorded otherwise."""
        ends = [end for start, end in self._holds if start - _MAX_STEP_LATENESS <= now < end]
        return (phrase("simulation.held_then"), max(ends)) if ends else None

    def turns(self, incident: Incident, now: float) -> RoundRobinTurns:
        """Return the turns that the same steps of the same policies took at about this time."""
        if not self._turns:
            return {}
        near = [
            page
            for minute in _nearby_minutes(now)
            for page in self._turns.get(minute, ())
            if abs(page.due.timestamp() - now) <= _MAX_STEP_LATENESS
        ]
        # Reversed, so that of several for one round robin the first is left.
        return {key: turn for page in reversed(near) for key, turn in self._turn(incident, page)}

    def record_turns(self, keys: Iterable[str]) -> None:
        """Use up the recorded turns: each is taken once."""
        for key in keys:
            page = self._pages_of_turns.pop(key, None)
            if page:
                self._turns[_minute_of(page.due.timestamp())].remove(page)

    def _turn(self, incident: Incident, page: RecordedPage) -> Iterator[tuple[str, int]]:
        """The key of the page's round robin and the turn that it took, where it still exists."""
        in_force = incident.policy == page.policy
        policy = incident.plan if in_force else self._roster.config.policies.get(page.policy)
        step = (
            policy.steps[page.step - 1] if policy and 0 < page.step <= len(policy.steps) else None
        )
        if not isinstance(step, NotifyStep) or step.pick != "round_robin":
            return
        team = self._roster.config.teams.get(step.team)
        people = team.members if team else step.users
        if page.user in people:
            key = f"{page.policy}/{page.step}/{step.team or ','.join(people)}"
            self._pages_of_turns[key] = page
            yield key, people.index(page.user)


def _first_pages_of_turns(record: RecordedIncident) -> Iterable[RecordedPage]:
    """The first page of each turn: the next contacts of the same person follow it."""
    restarts = [event.at for event in record.events if event.kind in _RESTARTING_EVENTS]
    first: dict[object, RecordedPage] = {}
    for page in record.pages:
        if page.in_turn(record.plan) and page.kind == "page":
            run = bisect_right(restarts, page.due)
            first.setdefault((run, page.policy, page.step, page.round), page)
    return first.values()


def _minute_of(at: float) -> int:
    return int(at // SAME_PAGE_SECONDS)


def _nearby_minutes(at: float) -> tuple[int, int, int]:
    """Return the minutes that pages within SAME_PAGE_SECONDS of a time may lie in."""
    minute = _minute_of(at)
    return minute - 1, minute, minute + 1
