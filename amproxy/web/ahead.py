"""What will happen to an incident by itself, in words: the next step, and all that is still ahead. Pure.

It is what the plan says as of now. People are looked up again when a step runs, so an override may still change who is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.config.structs import (
    Condition,
    ForwardStep,
    Notify,
    NotifyStep,
    ResolveStep,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.decide import people
from amproxy.decide.roster import Roster
from amproxy.durations import format_duration
from amproxy.machine import chains, silent
from amproxy.model import Chain, Incident

MOST = 40  # steps shown
_INSTANT = timedelta(seconds=1)


class Coming(NamedTuple):
    """Something that is due."""

    at: float  # Unix seconds
    what: str  # "step 3: notify bob (users)"


def next_step(incident: Incident, roster: Roster) -> Coming | None:
    """What happens next if nobody does anything; None = nothing."""
    return min((first for path in _paths(incident, roster) if (first := next(path, None))), key=lambda coming: coming.at, default=None)


def ahead(incident: Incident, roster: Roster) -> list[Coming]:
    """Everything up to the end of this round, in order."""
    found = [coming for path in _paths(incident, roster) for coming in islice(path, MOST)]
    return sorted(found, key=lambda coming: coming.at)[:MOST]


def _paths(incident: Incident, roster: Roster) -> list[Iterator[Coming]]:
    """Each thing that runs on its own clock; what comes first in the list goes first at the same moment."""
    if incident.state == "resolved":
        return []
    rules = [_rules(chain, roster) for chain in incident.chains if chains.runs(incident, chain)]
    ends = _once(silent.due(incident), "resolved, if there is no news until then")
    match incident.state:
        case "triggered" if incident.held_until is not None:
            return [*rules, _once(incident.held_until, f"looked at again: {incident.held_by}"), ends]
        case "triggered":
            return [*rules, _plan(incident, roster), ends]
        case "acknowledged":
            reminder = _once(incident.reminder_due, f"{incident.acknowledged_by or 'somebody'} is reminded")
            return [*rules, reminder, _once(incident.acknowledge_due, "acknowledgement runs out"), ends]
        case _:
            return [*rules, _once(incident.snoozed_until, "snooze ends")]


def _once(at: float | None, what: str) -> Iterator[Coming]:
    if at is not None:
        yield Coming(at, what)


def _rules(chain: Chain, roster: Roster) -> Iterator[Coming]:
    """What is left of one person's notification rules."""
    user, at = roster.config.users.get(chain.user), chain.due
    if user is None or at is None:
        return
    for rule in people.rules(user, chain.urgency)[chain.position :]:
        if isinstance(rule, Notify):
            yield Coming(at, f"{chain.user}'s next rule: {', '.join(rule.channels)}")
        else:
            at += rule.seconds


def _plan(incident: Incident, roster: Roster) -> Iterator[Coming]:
    """What is left of this round of the policy's steps."""
    at, plan = incident.step_due, incident.plan
    if at is None:
        return
    for number, step in enumerate(plan.steps[incident.position :], incident.position + 1):
        match step:
            case Wait():
                at += step.seconds
            case WaitUntilStep():
                opens = roster.opens(step.interval, utc(at)) if step.interval in roster.config.time_intervals else None
                at = max(at, opens.timestamp()) if opens else at
            case WaitForAlertsStep():
                yield Coming(at, f"step {number}: goes on after more than {step.more_than} alerts within {format_duration(step.within)}")
                return
            case _:
                yield Coming(at, f"step {number}: {_deed(step, roster, at)}{_condition(step)}")
        if isinstance(step, ResolveStep | ForwardStep) and not _condition(step):
            return
    if incident.round <= plan.repeat:
        yield Coming(at, f"the steps run again (round {incident.round + 1} of {plan.repeat + 1})")
    else:
        yield Coming(at, "the policy has no further step")


def _deed(step: NotifyStep | WebhookStep | ForwardStep | ResolveStep, roster: Roster, at: float) -> str:
    match step:
        case NotifyStep():
            return f"notify {_whom(step, roster, at)}"
        case WebhookStep():
            return f"call the webhooks of receiver {step.receiver}"
        case ForwardStep():
            return f"policy {step.policy} takes over"
        case _:
            return "resolve"


def _whom(step: NotifyStep, roster: Roster, at: float) -> str:
    if step.receiver:
        return f"receiver {step.receiver}"
    if step.users:
        return f"{'one of ' if step.pick == 'round_robin' else ''}{', '.join(step.users)} (users)"
    if step.team:
        team = roster.config.teams.get(step.team)
        members = ", ".join(team.members) if team and team.members else "nobody"
        return f"{'one of ' if step.pick == 'round_robin' else ''}{members} (team {step.team})"
    if step.schedule not in roster.config.schedules:
        return f"nobody (schedule {step.schedule} is not in the file any more)"
    moment = utc(at)
    if step.position == "next":
        return f"{', '.join(roster.turn_after(step.schedule, moment).users) or 'nobody'} (next after schedule {step.schedule})"
    # one moment's shift, because on_call looks a year ahead for a change that nobody asks for here
    shift = roster.shifts(step.schedule, moment, moment + _INSTANT)[0]
    return f"{', '.join(shift.users) or 'nobody'} (schedule {step.schedule})"


def _condition(step: Condition) -> str:
    conditions = [f"if {matcher}" for matcher in step.matchers]
    if step.active_time_intervals:
        conditions.append(f"only in {' or '.join(step.active_time_intervals)}")
    if step.mute_time_intervals:
        conditions.append(f"not in {' or '.join(step.mute_time_intervals)}")
    return f", {', '.join(conditions)}" if conditions else ""
