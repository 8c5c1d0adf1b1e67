"""The difference that another configuration makes for people: shifts, hours, steps, pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from amproxy.config.structs import Config, FilePlace, Policy
from amproxy.model import Page
from amproxy.oncall.calendars import ScheduleCalendars
from amproxy.oncall.roster import Roster, Shift
from amproxy.oncall.timeline import NO_LAYER
from amproxy.simulation.simulate import Simulation, SimulationRequest, simulated_pages
from amproxy.store.schedule_changes import ManualScheduleChanges

AlertLabels = Mapping[str, str]

_MIN_HOURS: Final = 1 / 3600  # a smaller difference is only the error of floats


class ShiftChange(NamedTuple):
    """Other people on call for one schedule, from `start` to `end` (UTC); () = nobody."""

    start: datetime
    end: datetime  # exclusive
    schedule: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class PolicyChangeExample(NamedTuple):
    """The pages of an alert, if nobody answers, each with the seconds after the alert."""

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
    # Person → hours on call before and after, where they differ.
    hours: dict[str, tuple[float, float]]
    policies: list[PolicyChange]


def compare_configs(
    old: Config,
    new: Config,
    by_hand: ManualScheduleChanges,
    now: datetime,
    days: int,
    recent: Mapping[str, Sequence[AlertLabels]] | None = None,
    calendars: Mapping[str, ScheduleCalendars] | None = None,
) -> ConfigDifference:
    """Compare two configurations over the `days` from `now` (aware).

    recent: policy → labels of its latest incidents, as examples. calendars: their present events,
    by schedule.
    """
    before, after = (
        Roster(
            config,
            by_hand.overrides,
            absences=by_hand.absences,
            swaps=by_hand.swaps,
            calendars=calendars,
        )
        for config in (old, new)
    )
    end = now + timedelta(days=days)
    shifts = {
        name: (_shifts_of(before, name, now, end), _shifts_of(after, name, now, end))
        for name in dict.fromkeys([*old.schedules, *new.schedules])
    }
    return ConfigDifference(
        [change for name, plans in shifts.items() for change in _shift_changes(name, *plans)],
        # Schedules that say the same are left out: nobody's hours differ by them.
        _changed_hours([plans for plans in shifts.values() if plans[0] != plans[1]]),
        _policy_changes(before, after, now, recent or {}),
    )


def changed_policies(old: Config, new: Config) -> dict[str, tuple[Policy | None, Policy | None]]:
    """Return name → the policy before and after, where they differ; None where there is none."""
    pairs = {
        name: (old.policies.get(name), new.policies.get(name))
        for name in dict.fromkeys([*old.policies, *new.policies])
    }
    return {
        name: pair
        for name, pair in pairs.items()
        if _without_places(pair[0]) != _without_places(pair[1])
    }


def _without_places(policy: Policy | None) -> Policy | None:
    # A line that moves in the file is no change of a policy.
    if policy is None:
        return None
    steps = tuple(msgspec.structs.replace(step, place=FilePlace()) for step in policy.steps)
    return msgspec.structs.replace(policy, steps=steps, place=FilePlace())


def _shifts_of(roster: Roster, name: str, start: datetime, end: datetime) -> list[Shift]:
    if name in roster.config.schedules:
        return roster.shifts(name, start, end)
    return [Shift(start=start, end=end, users=(), reason=NO_LAYER)]


def _shift_changes(name: str, old: list[Shift], new: list[Shift]) -> list[ShiftChange]:
    """Return where two plans of the same period put other people on call."""
    changes: list[ShiftChange] = []
    one = other = 0
    while one < len(old) and other < len(new):
        start, end = max(old[one].start, new[other].start), min(old[one].end, new[other].end)
        before, after = old[one].users, new[other].users
        if set(before) != set(after):
            change = ShiftChange(start, end, name, before, after)
            if changes and _continues(changes[-1], change):
                changes[-1] = changes[-1]._replace(end=end)
            else:
                changes.append(change)
        one, other = one + (old[one].end <= end), other + (new[other].end <= end)
    return changes


def _continues(last: ShiftChange, change: ShiftChange) -> bool:
    """Check whether a change follows another with the same people."""
    return (
        last.end == change.start
        and set(last.before) == set(change.before)
        and set(last.after) == set(change.after)
    )


def _changed_hours(plans: list[tuple[list[Shift], list[Shift]]]) -> dict[str, tuple[float, float]]:
    totals: dict[str, list[float]] = {}
    for pair in plans:
        for which, plan in enumerate(pair):
            for shift in plan:
                hours = (shift.end - shift.start).total_seconds() / 3600
                for user in shift.users:
                    totals.setdefault(user, [0.0, 0.0])[which] += hours
    return {
        user: (before, after)
        for user, (before, after) in sorted(totals.items())
        if abs(before - after) >= _MIN_HOURS
    }


def _policy_changes(
    before: Roster, after: Roster, now: datetime, recent: Mapping[str, Sequence[AlertLabels]]
) -> list[PolicyChange]:
    changed = changed_policies(before.config, after.config)
    return [
        PolicyChange(
            name,
            *policies,
            [
                PolicyChangeExample(
                    labels,
                    _simulate_pages(labels, before, now),
                    _simulate_pages(labels, after, now),
                )
                for labels in recent.get(name, ())
            ],
        )
        for name, policies in changed.items()
    ]


def _simulate_pages(labels: AlertLabels, roster: Roster, now: datetime) -> list[tuple[float, Page]]:
    simulation = Simulation(SimulationRequest(labels=labels, at=now), roster)
    return [(page.due - simulation.start, page) for page in simulated_pages(simulation)]
