"""Groups, their incidents, merging and its undoing, in any order: no alert is without somebody who answers for it."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Config, NotifyStep, Policy, Wait
from amproxy.errors import Conflict
from amproxy.grouping.flush import incident_event
from amproxy.machine import merging
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    AlertsChanged,
    Event,
    Merge,
    Opened,
    Resolve,
    Snooze,
    TakeOut,
    TimerTick,
    Unmerge,
)
from amproxy.machine.transition import next_due, transition
from amproxy.model import Incident, NotificationReason
from amproxy.oncall.roster import Roster
from tests.support.machine.incidents import START, people
from tests.support.words import FIRST_NOTIFICATION

GROUPS = ("a", "b", "c", "d")
HAPPENINGS = (
    *("push",) * 4,
    *("merge",) * 2,
    *("unmerge",) * 2,
    *("answer", "wait", "by hand"),
)
PLAN = Policy(
    name="main", steps=(NotifyStep(users=("bob",)), Wait(seconds=600), NotifyStep(users=("eve",)))
)
ROSTER = Roster(Config(**people(), policies={"main": PLAN}))


class World:
    """Groups with their logs, and all incidents, under one clock."""

    def __init__(self, reopen_within: float) -> None:
        self.now, self.plan = START, replace(PLAN, reopen_within=reopen_within)
        self.incidents: dict[str, Incident] = {}
        self.firing = dict.fromkeys(GROUPS, 0)
        self.log: dict[str, str] = {}  # group → the incident that it opened
        self.triggered: dict[str, float] = {}  # incident → when it was triggered last

    def do(self, *events: tuple[Incident, Event]) -> list[Incident]:
        """All of it or, where one is refused, nothing, as one commit has it."""
        changed = [
            transition(incident, event, self.now, ROSTER).incident for incident, event in events
        ]
        for after in changed:
            before = self.incidents.get(after.id)
            if after.state == "triggered" and (before is None or before.epoch < after.epoch):
                self.triggered[after.id] = self.now
            self.incidents[after.id] = after
        return changed

    def open(self, **fields: Any) -> Incident:
        number = len(self.incidents)
        return Incident(
            id=f"i{number}",
            number=number,
            policy="main",
            plan=self.plan,
            started_at=self.now,
            **fields,
        )

    def line(self, name: str) -> list[str]:
        found = [name]
        while into := self.incidents[found[-1]].merged_into:
            found.append(into)
        return found

    def push(self, group: str, firing: int) -> None:
        """The group's alerts are so many now, and it is flushed."""
        before, self.firing[group] = self.firing[group], firing
        if before == firing:
            return
        reason: NotificationReason = "some alerts resolved" if firing else "all alerts resolved"
        if firing > before:
            reason = "new alerts added" if before else "first notification"
        changed = AlertsChanged(
            reason=reason,
            firing=firing,
            resolved=max(0, before - firing),
            fresh=max(0, firing - before),
            group=group,
            common_labels={"group": group},
        )
        known = self.log.get(group)
        incident = self.incidents[self.line(known)[-1]] if known else None
        event = incident_event(incident, changed, pushed_at=self.now, now=self.now)
        if isinstance(event, Opened):
            incident = self.open(group=group, firing=firing, common_labels={"group": group})
            self.log[group] = incident.id
        if event is not None and incident is not None:
            self.do((incident, event))

    def merge(self, one: Incident, into: Incident) -> None:
        groups = merging.incident_groups(one)
        self.do(
            (one, Merge(user="eve", via="web", into=into.id, number=into.number)),
            (
                into,
                Absorb(user="eve", via="web", id=one.id, number=0, title="", groups=groups),
            ),
        )

    def unmerge(self, one: Incident) -> None:
        root = self.incidents[self.line(one.id)[-1]]
        named = {group: [name] for group, name in self.log.items()}
        lines = {name: self.line(name) for name in self.incidents}
        taken, left = merging.divide_groups(one, root, named, lines)
        lost = root.parts.keys() - left
        self.do(
            (one, Unmerge(user="eve", via="web", root=root, groups=taken)),
            (root, TakeOut(user="eve", via="web", number=0, title="", groups=lost)),
        )

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            timers = {name: next_due(one) for name, one in self.incidents.items()}
            due = {name: at for name, at in timers.items() if at is not None and at <= end}
            if not due:
                break
            name = min(due, key=lambda one: due[one])
            self.now = max(self.now, due[name])
            self.do((self.incidents[name], TimerTick()))
        self.now = end

    def check(self) -> None:
        """Each alert that fires is counted by one open incident, which paged or was answered."""
        owners = dict[str, list[str]]()
        for one in self.incidents.values():
            if one.state == "resolved":
                continue
            assert not one.merged_into, "open, and part of another"
            assert one.firing or not one.group, "open for what is over"
            groups = merging.incident_groups(one)
            assert one.firing == sum(part.firing for part in groups.values())
            for group in (group for group, part in groups.items() if part.firing):
                assert groups[group].firing == self.firing[group], "a count of another time"
                owners.setdefault(group, []).append(one.id)
            if one.state == "triggered":
                assert any(page.due >= self.triggered[one.id] for page in one.pages), "no page"
            elif one.state == "snoozed":
                assert one.snoozed_by == "bob" and (one.snoozed_until or 0.0) > self.now
            else:
                assert one.acknowledged_by == "bob"
        for group, firing in self.firing.items():
            current = self.incidents[self.line(self.log[group])[-1]] if firing else None
            if current is None or current.state == "resolved":
                assert owners.get(group, []) == [], "open for what is over"
                # only a person ends what fires, and hears of it again in time
                assert current is None or current.ended == "person"
            else:
                assert owners[group] == [current.id]


def happen(world: World, data: st.DataObject) -> None:
    """One thing that may happen."""
    what = data.draw(st.sampled_from(HAPPENINGS))
    open_ones = [one for one in world.incidents.values() if one.state != "resolved"]
    merged = [one for one in world.incidents.values() if one.merged_into]
    if what == "push":
        world.push(data.draw(st.sampled_from(GROUPS)), data.draw(st.integers(0, 2)))
    elif what == "wait":
        world.wait(data.draw(st.sampled_from((10.0, 700.0, 4000.0))))
    elif what == "by hand":
        world.do((world.open(), Opened(reason=FIRST_NOTIFICATION)))
    elif what == "merge" and open_ones:
        one, into = (data.draw(st.sampled_from(open_ones)) for _ in range(2))
        world.merge(one, into)
    elif what == "unmerge" and merged:
        world.unmerge(data.draw(st.sampled_from(merged)))
    elif what == "answer" and open_ones:
        acts = (
            Acknowledge(user="bob", via="web"),
            Snooze(user="bob", via="web", until=world.now + 600),
            Resolve(user="bob", via="web"),
        )
        world.do((data.draw(st.sampled_from(open_ones)), data.draw(st.sampled_from(acts))))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(reopen_within=st.sampled_from((0.0, 3600.0)), data=st.data())
def test_whatever_is_merged_and_taken_out_each_alert_has_one_incident_that_somebody_hears_of(
    reopen_within: float, data: st.DataObject
) -> None:
    world = World(reopen_within)
    for _ in range(data.draw(st.integers(1, 25))):
        with contextlib.suppress(Conflict):
            happen(world, data)
        world.check()
    for group in GROUPS:
        world.push(group, 0)
    world.check()
    assert not [one for one in world.incidents.values() if one.firing and one.state != "resolved"]
