"""What is left of the steps of an incident's policy, with the time of each if nobody does anything. Pure.

What will happen to an incident by itself, in words: the next step, and all that is still ahead. Pure.

It is what the plan says as of now. People are looked up again when a step runs, so an override may still change who is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.config import contacts
from amproxy.config.structs import (
    Condition,
    ForwardStep,
    Notify,
    NotifyStep,
    Policy,
    ResolveStep,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.machine import chains, holds
from amproxy.machine.policy import skip_reason
from amproxy.machine.steps import SHIFT_RETRY_SECONDS
from amproxy.model import Chain, Incident
from amproxy.oncall.roster import Roster
from amproxy.text import PeopleNames, Phrase, PhraseValue
from amproxy.times import format_duration

_INSTANT = timedelta(seconds=1)
ActionStep = NotifyStep | WebhookStep | ForwardStep | ResolveStep


class UpcomingIncidentStep(NamedTuple):
    """Something that is due."""

    at: float  # Unix seconds
    what: Phrase  # "step 3: notify bob (users)"
    ends: bool = False  # the incident: nothing comes after it


def upcoming_steps(incident: Incident, roster: Roster) -> Iterator[UpcomingIncidentStep]:
    """Up to the end of the round, through the policies that others hand over to; a circle of them is walked once."""
    if incident.step_due is None:
        return
    walk = _StepsForecast(incident, roster, incident.step_due)
    yield from walk.policy(incident.plan, incident.position, incident.round)
    while walk.forward is not None:
        yield from walk.policy(walk.forward, 0, 1)


class _StepsForecast:
    """Where the walk is: its time, and the policy that takes over next."""

    def __init__(self, incident: Incident, roster: Roster, at: float) -> None:
        self._incident, self._roster = incident, roster
        self._walked = set[str]()  # policies that were walked
        self.at = at
        self.forward: Policy | None = None

    def policy(self, plan: Policy, position: int, round_: int) -> Iterator[UpcomingIncidentStep]:
        """The steps of one policy from a position on."""
        self._walked.add(plan.name)
        self.forward = None
        for number, step in enumerate(plan.steps[position:], position + 1):
            match step:
                case Wait() | WaitUntilStep():
                    self.at = _wait_end(step, self._roster, self.at)
                    continue
                case WaitForAlertsStep():
                    enough: dict[str, PhraseValue] = {"step": number, "count": step.more_than, "span": format_duration(step.within)}
                    yield UpcomingIncidentStep(self.at, Phrase("ahead.waits_for_alerts", enough))
                    return
            if skipped := skip_reason(step, self._incident, self._roster, self.at):
                yield self._coming(step, number, skipped)
                continue
            if isinstance(step, NotifyStep):
                yield from self._shifts(plan, step, number)
            to = self._incident.forwards.get(step.policy) if isinstance(step, ForwardStep) else None
            yield self._coming(step, number)
            if to or isinstance(step, ResolveStep):
                self.forward = to if to and to.name not in self._walked else None
                return
        yield self._end(plan, round_)

    def _coming(self, step: ActionStep, number: int, skipped: str = "") -> UpcomingIncidentStep:
        what = Phrase("ahead.step", {"step": number, "deed": _describe_action(step, self._roster, self.at)})
        if conditions := _describe_conditions(step):
            what = Phrase("ahead.conditional", {"what": what, "conditions": conditions})
        if skipped:
            what = Phrase("ahead.skipped", {"what": what, "reason": skipped})
        return UpcomingIncidentStep(self.at, what, ends=isinstance(step, ResolveStep) and not skipped)

    def _shifts(self, plan: Policy, step: NotifyStep, number: int) -> Iterator[UpcomingIncidentStep]:
        """The waits of a step that finds nobody on call."""
        rule, roster = step.if_nobody or plan.if_nobody, self._roster
        if rule.kind != "wait_for_shift" or step.schedule not in roster.config.schedules:
            return
        while not _describe_on_call(step, roster, self.at):
            yield UpcomingIncidentStep(self.at, Phrase("ahead.waits_for_shift", {"step": number, "schedule": step.schedule}))
            until = roster.on_call(step.schedule, utc(self.at)).until
            self.at = until.timestamp() if until else self.at + SHIFT_RETRY_SECONDS

    def _end(self, plan: Policy, round_: int) -> UpcomingIncidentStep:
        if round_ > plan.repeat or not plan.steps:
            return UpcomingIncidentStep(self.at, Phrase("ahead.no_more"))
        return UpcomingIncidentStep(self.at, Phrase("ahead.again", {"round": round_ + 1, "rounds": plan.repeat + 1}))


def _wait_end(step: Wait | WaitUntilStep, roster: Roster, at: float) -> float:
    """When the wait is over that begins at `at`."""
    if isinstance(step, Wait):
        return at + step.seconds
    opens = roster.opens(step.interval, utc(at)) if step.interval in roster.config.time_intervals else None
    return max(at, opens.timestamp()) if opens else at


def _describe_action(step: ActionStep, roster: Roster, at: float) -> Phrase:
    match step:
        case NotifyStep():
            return Phrase("ahead.notify", {"whom": _describe_recipients(step, roster, at)})
        case WebhookStep():
            return Phrase("ahead.webhooks", {"receiver": step.receiver})
        case ForwardStep():
            return Phrase("ahead.forward", {"policy": step.policy})
        case _:
            return Phrase("ahead.resolve")


def _describe_recipients(step: NotifyStep, roster: Roster, at: float) -> Phrase:
    if step.receiver:
        return Phrase("ahead.receiver", {"receiver": step.receiver})
    if step.users:
        found = Phrase("ahead.users", {"people": PeopleNames(step.users)})
    elif step.team:
        team = roster.config.teams.get(step.team)
        found = Phrase("ahead.team", {"people": PeopleNames(tuple(team.members) if team else ()), "team": step.team})
    elif step.schedule not in roster.config.schedules:
        return Phrase("ahead.gone", {"schedule": step.schedule})
    else:
        values: dict[str, PhraseValue] = {"people": PeopleNames(_describe_on_call(step, roster, at)), "schedule": step.schedule}
        return Phrase("ahead.next_after" if step.position == "next" else "ahead.schedule", values)
    return Phrase("ahead.one_of", {"whom": found}) if step.pick == "round_robin" else found


def _describe_on_call(step: NotifyStep, roster: Roster, at: float) -> tuple[str, ...]:
    moment = utc(at)
    if step.position == "next":
        return roster.turn_after(step.schedule, moment).users
    # one moment's shift, because on_call looks a year ahead for a change that nobody asks for here
    return roster.shifts(step.schedule, moment, moment + _INSTANT)[0].users


def _describe_conditions(step: Condition) -> tuple[Phrase, ...]:
    conditions = [Phrase("ahead.if", {"matcher": str(matcher)}) for matcher in step.matchers]
    if step.active_time_intervals:
        conditions.append(Phrase("ahead.only_in", {"intervals": _join_with_or(step.active_time_intervals)}))
    if step.mute_time_intervals:
        conditions.append(Phrase("ahead.not_in", {"intervals": _join_with_or(step.mute_time_intervals)}))
    return tuple(conditions)


def _join_with_or(names: Sequence[str]) -> Phrase | str:
    """ "a or b or c" """
    *others, last = names
    return Phrase("ahead.either", {"one": _join_with_or(others), "other": last}) if others else last


__all__ = ["UpcomingIncidentStep", "list_upcoming", "find_next_step"]

MAX_UPCOMING = 40  # steps shown


def find_next_step(incident: Incident, roster: Roster) -> UpcomingIncidentStep | None:
    """What happens next if nobody does anything; None = nothing."""
    return min(
        (first for path in _upcoming_by_clock(incident, roster) if (first := next(path, None))), key=lambda coming: coming.at, default=None
    )


def list_upcoming(incident: Incident, roster: Roster) -> list[UpcomingIncidentStep]:
    """Everything up to the end of this round, or of the incident, in order."""
    found = sorted(
        (coming for path in _upcoming_by_clock(incident, roster) for coming in islice(path, MAX_UPCOMING)), key=lambda coming: coming.at
    )
    end = min((coming.at for coming in found if coming.ends), default=None)
    return list(takewhile(lambda coming: end is None or coming.at <= end, found))[:MAX_UPCOMING]


def _upcoming_by_clock(incident: Incident, roster: Roster) -> list[Iterator[UpcomingIncidentStep]]:
    """Each thing that runs on its own clock; what comes first in the list goes first at the same moment."""
    if incident.state == "resolved":
        return []
    rules = [_upcoming_rules(chain, incident, roster) for chain in incident.chains if chains.is_running(incident, chain)]
    silence = _single_event(holds.auto_resolve_due(incident), Phrase("ahead.silent"))
    match incident.state:
        case "triggered" if incident.held_until is not None:
            return [*rules, _single_event(incident.held_until, Phrase("ahead.held", {"reason": incident.held_by})), silence]
        case "triggered":
            return [*rules, upcoming_steps(incident, roster), silence]
        case "acknowledged":
            reminder = _single_event(incident.reminder_due, Phrase("ahead.reminded", {"person": PeopleNames((incident.acknowledged_by,))}))
            return [*rules, reminder, _single_event(incident.acknowledge_due, Phrase("ahead.runs_out")), silence]
        case _:
            return [_single_event(incident.snoozed_until, Phrase("ahead.snooze_ends"))]


def _single_event(at: float | None, what: Phrase) -> Iterator[UpcomingIncidentStep]:
    if at is not None:
        yield UpcomingIncidentStep(at, what)


def _upcoming_rules(chain: Chain, incident: Incident, roster: Roster) -> Iterator[UpcomingIncidentStep]:
    """What is left of one person's notification rules."""
    user, at = roster.config.users.get(chain.user), chain.due
    if user is None or at is None:
        return
    waits, wakes = True, chains.ignores_quiet_hours(incident, chain)  # after a rule that reaches nothing the next one does not wait
    for rule in contacts.notification_rules(user, chain.urgency)[chain.position :]:
        if not isinstance(rule, Notify):
            at += rule.seconds if waits else 0.0
            continue
        quiet = None if wakes else roster.quiet_until(chain.user, utc(at))
        at = quiet.timestamp() if quiet else at
        if waits := any(contacts.contact_address(user, channel) is not None for channel in rule.channels):
            yield UpcomingIncidentStep(
                at, Phrase("ahead.rule", {"person": PeopleNames((chain.user,)), "channels": ", ".join(rule.channels)})
            )
