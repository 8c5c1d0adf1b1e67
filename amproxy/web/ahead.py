"""What will happen to an incident by itself, in words: the next step, and all that is still ahead. Pure.

It is what the plan says as of now. People are looked up again when a step runs, so an override may still change who is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.config.structs import Notify, NotifyStep, Wait, WaitUntilStep
from amproxy.decide import people
from amproxy.decide.roster import Roster
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
    match incident.state:
        case "triggered":
            return [*(_rules(chain, roster) for chain in incident.chains), _plan(incident, roster)]
        case "acknowledged":
            return [_once(incident.acknowledge_due, "acknowledgement runs out")]
        case "snoozed":
            return [_once(incident.snoozed_until, "snooze ends")]
        case _:
            return []


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
        if isinstance(step, Wait):
            at += step.seconds
        elif isinstance(step, NotifyStep):
            yield Coming(at, f"step {number}: {_notify(step, roster, at)}")
        elif isinstance(step, WaitUntilStep) and step.interval in roster.config.time_intervals:
            opens = roster.opens(step.interval, utc(at))
            at = max(at, opens.timestamp()) if opens else at
    if incident.round <= plan.repeat:
        yield Coming(at, f"the steps run again (round {incident.round + 1} of {plan.repeat + 1})")
    else:
        yield Coming(at, "the policy has no further step")


def _notify(step: NotifyStep, roster: Roster, at: float) -> str:
    return f"notify {_whom(step, roster, at)}{_condition(step)}"


def _whom(step: NotifyStep, roster: Roster, at: float) -> str:
    if step.receiver:
        return f"receiver {step.receiver}"
    if step.users:
        return f"{', '.join(step.users)} (users)"
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


def _condition(step: NotifyStep) -> str:
    conditions = [f"if {matcher}" for matcher in step.matchers]
    if step.active_time_intervals:
        conditions.append(f"only in {' or '.join(step.active_time_intervals)}")
    if step.mute_time_intervals:
        conditions.append(f"not in {' or '.join(step.mute_time_intervals)}")
    return f", {', '.join(conditions)}" if conditions else ""
