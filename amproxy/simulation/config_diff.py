"""What another configuration would change for people: whose shifts, how many hours, which steps, and whom alerts would page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from amproxy.config.structs import Config, FilePlace, Policy
from amproxy.model import Page
from amproxy.oncall.calendars import ScheduleCalendars
from amproxy.oncall.roster import Roster, Shift
from amproxy.simulation.simulate import Simulation, SimulationRequest
from amproxy.store.schedule_changes import ManualScheduleChanges

AlertLabels = Mapping[str, str]


class ShiftChange(NamedTuple):
    """Who is on call for one schedule from `start` to `end` (exclusive, UTC), before and after; () = nobody."""

    start: datetime
    end: datetime
    schedule: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class PolicyChangeExample(NamedTuple):
    """Whom an alert with these labels would page, if nobody answers: seconds after it, and the page."""

    labels: AlertLabels
    before: list[tuple[float, Page]]
    after: list[tuple[float, Page]]


class PolicyChange(NamedTuple):
    """A policy that is another one; None where there is none."""

    name: str
    before: Policy | None
    after: Policy | None
    examples: list[PolicyChangeExample]


class ConfigDifference(NamedTuple):
    shifts: list[ShiftChange]
    hours: dict[str, tuple[float, float]]  # person → hours on call before and after, where they differ
    policies: list[PolicyChange]


def compare_configs(
    old: Config, new: Config, by_hand: ManualScheduleChanges, now: datetime, days: int, recent: Mapping[str, Sequence[AlertLabels]] | None = None,
    calendars: Mapping[str, ScheduleCalendars] | None = None,
) -> ConfigDifference:  # fmt: skip
    """What changes in the `days` from `now` (aware). recent: policy → labels of its latest incidents, by which it is tried out.

    calendars: what they say now, by schedule.
    """
    before, after = (
        Roster(config, by_hand.overrides, absences=by_hand.absences, swaps=by_hand.swaps, calendars=calendars) for config in (old, new)
    )
    end = now + timedelta(days=days)
    names = dict.fromkeys([*old.schedules, *new.schedules])
    shifts = {name: (_shifts_of(before, name, now, end), _shifts_of(after, name, now, end)) for name in names}
    return ConfigDifference(
        [change for name, (one, other) in shifts.items() for change in _shift_changes(name, one, other)],
        _changed_hours([pair for pair in shifts.values() if pair[0] != pair[1]]),
        [
            PolicyChange(name, *pair, [_policy_example(labels, before, after, now) for labels in (recent or {}).get(name, ())])
            for name, pair in changed_policies(old, new).items()
        ],
    )


def changed_policies(old: Config, new: Config) -> dict[str, tuple[Policy | None, Policy | None]]:
    """Name → the policy before and after, where it says something else; None where there is none."""
    pairs = {name: (old.policies.get(name), new.policies.get(name)) for name in dict.fromkeys([*old.policies, *new.policies])}
    return {name: pair for name, pair in pairs.items() if _without_places(pair[0]) != _without_places(pair[1])}


def _without_places(policy: Policy | None) -> Policy | None:
    if policy is None:
        return None
    steps = tuple(msgspec.structs.replace(step, place=FilePlace()) for step in policy.steps)
    return msgspec.structs.replace(policy, steps=steps, place=FilePlace())


def _shifts_of(roster: Roster, name: str, start: datetime, end: datetime) -> list[Shift]:
    return roster.shifts(name, start, end) if name in roster.config.schedules else [Shift(start=start, end=end, users=(), reason="")]


def _shift_changes(name: str, old: list[Shift], new: list[Shift]) -> list[ShiftChange]:
    """Where two plans of the same span put other people on call."""
    found: list[ShiftChange] = []
    one = other = 0
    while one < len(old) and other < len(new):
        start, end = max(old[one].start, new[other].start), min(old[one].end, new[other].end)
        before, after = old[one].users, new[other].users
        if set(before) != set(after):
            last = found[-1] if found else None
            if last and (last.end, set(last.before), set(last.after)) == (start, set(before), set(after)):
                found[-1] = last._replace(end=end)
            else:
                found.append(ShiftChange(start, end, name, before, after))
        one, other = one + (old[one].end <= end), other + (new[other].end <= end)
    return found


def _changed_hours(plans: list[tuple[list[Shift], list[Shift]]]) -> dict[str, tuple[float, float]]:
    totals: dict[str, list[float]] = {}
    for pair in plans:
        for which, plan in enumerate(pair):
            for shift in plan:
                for user in shift.users:
                    totals.setdefault(user, [0.0, 0.0])[which] += (shift.end - shift.start).total_seconds() / 3600
    return {user: (before, after) for user, (before, after) in sorted(totals.items()) if abs(before - after) >= 1 / 3600}


def _policy_example(labels: AlertLabels, before: Roster, after: Roster, now: datetime) -> PolicyChangeExample:
    return PolicyChangeExample(labels, _simulate_pages(labels, before, now), _simulate_pages(labels, after, now))


def _simulate_pages(labels: AlertLabels, roster: Roster, now: datetime) -> list[tuple[float, Page]]:
    done = Simulation(SimulationRequest(labels=labels, at=now), roster)
    pages = [page for lane in done.lanes for course in lane.courses for page in course.pages]
    return [(page.due - done.start, page) for page in sorted(pages, key=lambda page: page.due)]
