"""The forecast of an incident: its coming steps, with the time of each if nobody acts. Pure.

It follows the plan as of now. People are looked up again when a step runs, so an override may
still change who is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.config import channels
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
from amproxy.machine.steps import SHIFT_RETRY_SECONDS, skip_reason
from amproxy.model import Chain, Incident
from amproxy.oncall.roster import Roster
from amproxy.text import PeopleNames, Phrase, PhraseValue
from amproxy.times import format_duration

MAX_UPCOMING = 40  # steps shown
_INSTANT = timedelta(seconds=1)

ActionStep = NotifyStep | WebhookStep | ForwardStep | ResolveStep


class UpcomingIncidentStep(NamedTuple):
    """Something that is due."""

    at: float  # Unix seconds
    what: Phrase  # "step 3: notify bob (users)"
    ends: bool = False  # the incident: nothing comes after it


def find_next_step(incident: Incident, roster: Roster) -> UpcomingIncidentStep | None:
    """The first thing that happens if nobody acts; None = nothing."""
    return min(
        (first for events in _forecasts(incident, roster) if (first := next(events, None))),
        key=lambda coming: coming.at,
        default=None,
    )


def list_upcoming(incident: Incident, roster: Roster) -> list[UpcomingIncidentStep]:
    """Everything up to the end of this round, or of the incident, in order."""
    # Each forecast is cut before they are sorted: rules or a wait for a shift may go on for long.
    merged = sorted(
        (
            coming
            for events in _forecasts(incident, roster)
            for coming in islice(events, MAX_UPCOMING)
        ),
        key=lambda coming: coming.at,
    )
    end = min((coming.at for coming in merged if coming.ends), default=None)
    return list(takewhile(lambda coming: end is None or coming.at <= end, merged))[:MAX_UPCOMING]


def _forecasts(incident: Incident, roster: Roster) -> list[Iterator[UpcomingIncidentStep]]:
    """One forecast for each timer of the incident; at the same moment the earlier goes first."""
    if incident.state == "resolved":
        return []
    rules = [
        _upcoming_rules(chain, incident, roster)
        for chain in incident.chains
        if chains.is_running(incident, chain)
    ]
    auto_resolve = _single_event(holds.auto_resolve_due(incident), Phrase("forecast.auto_resolve"))
    match incident.state:
        case "triggered" if incident.held_until is not None:
            end = Phrase("forecast.held", {"reason": incident.held_by})
            return [*rules, _single_event(incident.held_until, end), auto_resolve]
        case "triggered":
            return [*rules, upcoming_steps(incident, roster), auto_resolve]
        case "acknowledged":
            person = PeopleNames((incident.acknowledged_by,))
            return [
                *rules,
                _single_event(
                    incident.reminder_due, Phrase("forecast.reminded", {"person": person})
                ),
                _single_event(
                    incident.acknowledge_due, Phrase("forecast.acknowledgement_runs_out")
                ),
                auto_resolve,
            ]
        case _:
            return [_single_event(incident.snoozed_until, Phrase("forecast.snooze_ends"))]


def _single_event(at: float | None, what: Phrase) -> Iterator[UpcomingIncidentStep]:
    if at is not None:
        yield UpcomingIncidentStep(at, what)


def _upcoming_rules(
    chain: Chain, incident: Incident, roster: Roster
) -> Iterator[UpcomingIncidentStep]:
    """The remaining notification rules of one person."""
    user, at = roster.config.users.get(chain.user), chain.due
    if user is None or at is None:
        return
    through_quiet_hours = chains.ignores_quiet_hours(incident, chain)
    waits = True  # after a rule that reaches nothing the next one does not wait
    for rule in channels.notification_rules(user, chain.urgency)[chain.position :]:
        if not isinstance(rule, Notify):
            at += rule.seconds if waits else 0.0
            continue
        quiet = None if through_quiet_hours else roster.quiet_until(chain.user, utc(at))
        at = quiet.timestamp() if quiet else at
        waits = any(channels.contact_address(user, name) is not None for name in rule.channels)
        if waits:
            values: dict[str, PhraseValue] = {
                "person": PeopleNames((chain.user,)),
                "channels": ", ".join(rule.channels),
            }
            yield UpcomingIncidentStep(at, Phrase("forecast.rule", values))


def upcoming_steps(incident: Incident, roster: Roster) -> Iterator[UpcomingIncidentStep]:
    """The steps up to the end of the round, and those of the policies that take over.

    Policies that hand over to each other in a circle are followed once.
    """
    if incident.step_due is None:
        return
    steps = _StepsForecast(incident, roster, incident.step_due)
    yield from steps.follow(incident.plan, incident.position, incident.round)
    while steps.forward is not None:
        yield from steps.follow(steps.forward, 0, 1)


class _StepsForecast:
    """The time that the steps so far have reached, and the policy that takes over next."""

    def __init__(self, incident: Incident, roster: Roster, at: float) -> None:
        self._incident, self._roster = incident, roster
        self._followed = set[str]()  # names of policies
        self.at = at  # Unix seconds
        self.forward: Policy | None = None

    def follow(self, plan: Policy, position: int, round_: int) -> Iterator[UpcomingIncidentStep]:
        """The steps of one policy from a position on."""
        self._followed.add(plan.name)
        self.forward = None
        for number, step in enumerate(plan.steps[position:], position + 1):
            match step:
                case Wait() | WaitUntilStep():
                    self.at = _wait_end(step, self._roster, self.at)
                    continue
                case WaitForAlertsStep():
                    # alerts cannot be foreseen, so the forecast ends here
                    yield UpcomingIncidentStep(self.at, _describe_wait_for_alerts(step, number))
                    return
            if skipped := skip_reason(step, self._incident, self._roster, self.at):
                yield self._upcoming(step, number, skipped)
                continue
            if isinstance(step, NotifyStep):
                yield from self._waits_for_shift(plan, step, number)
            to = self._incident.forwards.get(step.policy) if isinstance(step, ForwardStep) else None
            yield self._upcoming(step, number)
            if to or isinstance(step, ResolveStep):
                self.forward = to if to and to.name not in self._followed else None
                return
        yield self._round_end(plan, round_)

    def _upcoming(self, step: ActionStep, number: int, skipped: str = "") -> UpcomingIncidentStep:
        action = _describe_action(step, self._roster, self.at)
        what = Phrase("forecast.step", {"step": number, "action": action})
        if conditions := _describe_conditions(step):
            what = Phrase("forecast.conditional", {"what": what, "conditions": conditions})
        if skipped:
            what = Phrase("forecast.skipped", {"what": what, "reason": skipped})
        ends = isinstance(step, ResolveStep) and not skipped
        return UpcomingIncidentStep(self.at, what, ends)

    def _waits_for_shift(
        self, plan: Policy, step: NotifyStep, number: int
    ) -> Iterator[UpcomingIncidentStep]:
        """The waits of a step that finds nobody on call."""
        rule, roster = step.if_nobody or plan.if_nobody, self._roster
        if rule.kind != "wait_for_shift" or step.schedule not in roster.config.schedules:
            return
        what = Phrase("forecast.waits_for_shift", {"step": number, "schedule": step.schedule})
        while not _users_on_call(step, roster, self.at):
            yield UpcomingIncidentStep(self.at, what)
            until = roster.on_call(step.schedule, utc(self.at)).until
            self.at = until.timestamp() if until else self.at + SHIFT_RETRY_SECONDS

    def _round_end(self, plan: Policy, round_: int) -> UpcomingIncidentStep:
        if round_ > plan.repeat or not plan.steps:
            return UpcomingIncidentStep(self.at, Phrase("forecast.no_more"))
        values: dict[str, PhraseValue] = {"round": round_ + 1, "rounds": plan.repeat + 1}
        return UpcomingIncidentStep(self.at, Phrase("forecast.again", values))


def _wait_end(step: Wait | WaitUntilStep, roster: Roster, at: float) -> float:
    """The end of a wait that begins at `at`; both Unix seconds."""
    if isinstance(step, Wait):
        return at + step.seconds
    if step.interval not in roster.config.time_intervals:
        return at
    opens = roster.opens(step.interval, utc(at))
    return max(at, opens.timestamp()) if opens else at


def _describe_wait_for_alerts(step: WaitForAlertsStep, number: int) -> Phrase:
    values: dict[str, PhraseValue] = {
        "step": number,
        "count": step.more_than,
        "period": format_duration(step.within),
    }
    return Phrase("forecast.waits_for_alerts", values)


def _describe_action(step: ActionStep, roster: Roster, at: float) -> Phrase:
    match step:
        case NotifyStep():
            return Phrase("forecast.notify", {"whom": _describe_recipients(step, roster, at)})
        case WebhookStep():
            return Phrase("forecast.webhooks", {"receiver": step.receiver})
        case ForwardStep():
            return Phrase("forecast.forward", {"policy": step.policy})
        case _:
            return Phrase("forecast.resolve")


def _describe_recipients(step: NotifyStep, roster: Roster, at: float) -> Phrase:
    if step.receiver:
        return Phrase("forecast.receiver", {"receiver": step.receiver})
    if step.users or step.team:
        people = _describe_group(step, roster)
        return Phrase("forecast.one_of", {"whom": people}) if step.pick == "round_robin" else people
    if step.schedule not in roster.config.schedules:
        return Phrase("forecast.schedule_gone", {"schedule": step.schedule})
    values: dict[str, PhraseValue] = {
        "people": PeopleNames(_users_on_call(step, roster, at)),
        "schedule": step.schedule,
    }
    return Phrase("forecast.next_after" if step.position == "next" else "forecast.schedule", values)


def _describe_group(step: NotifyStep, roster: Roster) -> Phrase:
    """The users or the team of a step."""
    if step.users:
        return Phrase("forecast.users", {"people": PeopleNames(step.users)})
    team = roster.config.teams.get(step.team)
    people = PeopleNames(tuple(team.members) if team else ())
    return Phrase("forecast.team", {"people": people, "team": step.team})


def _users_on_call(step: NotifyStep, roster: Roster, at: float) -> tuple[str, ...]:
    moment = utc(at)
    if step.position == "next":
        return roster.turn_after(step.schedule, moment).users
    # one moment's shift, because on_call searches a year for a change that is not needed here
    return roster.shifts(step.schedule, moment, moment + _INSTANT)[0].users


def _describe_conditions(step: Condition) -> tuple[Phrase, ...]:
    conditions = [Phrase("forecast.if", {"matcher": str(matcher)}) for matcher in step.matchers]
    if active := step.active_time_intervals:
        conditions.append(Phrase("forecast.only_in", {"intervals": _join_with_or(active)}))
    if muted := step.mute_time_intervals:
        conditions.append(Phrase("forecast.not_in", {"intervals": _join_with_or(muted)}))
    return tuple(conditions)


def _join_with_or(names: Sequence[str]) -> Phrase | str:
    """ "a or b or c" """
    *others, last = names
    if not others:
        return last
    return Phrase("forecast.either", {"one": _join_with_or(others), "other": last})
