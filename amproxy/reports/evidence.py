"""What is on record of one incident, read with one person in mind: what ran when, and what put an end to it.

One reason why somebody was not paged, and how specific it is.

Why a step of a policy did not page a person whom it could have reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import IntEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import ForwardStep, NotifyStep, Policy, ResolveStep, Wait, WaitForAlertsStep, WaitUntilStep
from amproxy.model import Incident, TimelineEntry
from amproxy.oncall.roster import Roster, Shift
from amproxy.simulation.explain import NEXT_SHIFT_PERIOD, current_absence, users_of_schedule
from amproxy.simulation.terminal import describe_step as in_words
from amproxy.simulation.terminal import people_names, person_name
from amproxy.times import wall_to_utc

RUN_STARTS = frozenset({"opened", "unacknowledged", "triggered", "reopened"})  # the policy begins, or begins anew
RUN_STOPS = {
    "acknowledged": "acknowledged",
    "snoozed": "snoozed",
    "resolved": "resolved",
    "merged": "merged",
}  # nothing of it runs any more


class IncidentEvidence:
    """timeline: oldest first. Times are told on the person's clock."""

    def __init__(self, incident: Incident, timeline: Sequence[TimelineEntry], user: str, roster: Roster) -> None:
        self.incident, self.timeline, self.user, self.roster = incident, timeline, user, roster
        self.known = roster.config.users.get(user)  # None: the file of today does not name them
        self.name = person_name(roster.config, user)
        self._zone = ZoneInfo(self.known.timezone if self.known else "UTC")
        self._began, self.stop = self._last_run()

    def when(self, at: float) -> str:
        """ "Tue 2026-01-06 11:05:00 CET" """
        return f"{utc(at).astimezone(self._zone):%a %Y-%m-%d %H:%M:%S %Z}"

    def told(self, entry: TimelineEntry) -> str:
        """An entry as a sentence with its time."""
        return f"At {self.when(entry.at)}: {entry.text}"

    def stopped(self) -> str:
        """What put an end to the last run: "bob acknowledged it at …"; "" = it still runs, or ran to its end."""
        if self.stop is None:
            return ""
        if not self.stop.user:
            return f"this happened at {self.when(self.stop.at)}: {self.stop.text}".rstrip(".")
        return f"{person_name(self.roster.config, self.stop.user)} {RUN_STOPS[self.stop.kind]} it at {self.when(self.stop.at)}"

    def plans(self) -> list[Policy]:
        """The policies that ran, the one in force last. One that handed over is known only as the file has it now."""
        names = dict.fromkeys(entry.policy for entry in self.timeline if entry.policy and entry.policy != self.incident.policy)
        known = (self.incident.forwards.get(name) or self.roster.config.policies.get(name) for name in names)
        return [*(plan for plan in known if plan), self.incident.plan]

    def ran(self, policy: str, step: int) -> TimelineEntry | None:
        """What a step wrote when it ran last."""
        found = (entry for entry in reversed(self.timeline) if _is_step_entry(entry) and (entry.policy, entry.step) == (policy, step))
        return next(found, None)

    def asked(self, entry: TimelineEntry) -> bool:
        """Whether the step that wrote an entry asked for the person: by its data, else by the names in its text."""
        users = entry.data.get("users")
        if isinstance(users, list):
            return self.user in users
        if entry.kind == "nobody":
            return entry.text.endswith((f" falling back to {self.name}.", f" falling back to {self.user}."))
        named = entry.text.partition(" (")[0].partition("paging ")[2].split(", ")
        return self.name in named or self.user in named

    def expected(self, step: int) -> float | None:
        """When a step of the plan in force, which did not run, is due or would have been; None = nobody can say."""
        incident = self.incident
        if self.stop is None:
            if incident.step_due is None or step <= incident.position:
                return None
            return self._after(incident.position, incident.step_due, step)
        run = [entry for entry in self.timeline[self._began :] if entry.policy == incident.policy and entry.at <= self.stop.at]
        last = next((entry for entry in reversed(run) if _is_step_entry(entry) or entry.kind == "repeat"), None)
        if last is None:
            resumed = bool(run) and run[0].kind == "triggered" and incident.plan.after_snooze == "resume"
            if resumed or not run or incident.held_until is not None:
                return None
            return self._after(0, run[0].at, step)
        if last.kind == "nobody" and incident.position < last.step:  # it waited for a shift
            return None
        return self._after(incident.plan.repeat_from - 1 if last.kind == "repeat" else last.step, last.at, step)

    def _after(self, position: int, at: float, step: int) -> float | None:
        """When `step` runs, if the step after `position` runs at `at`."""
        for between in self.incident.plan.steps[position : step - 1]:
            if isinstance(between, Wait):
                at += between.seconds
            elif isinstance(between, WaitUntilStep) and self.roster.known((between.interval,)):
                opens = self.roster.opens(between.interval, utc(at))
                at = max(at, opens.timestamp()) if opens else at
            elif isinstance(between, WaitForAlertsStep | ForwardStep | ResolveStep):
                return None
        return at

    def _last_run(self) -> tuple[int, TimelineEntry | None]:
        """Where in the timeline the policy began last, and what ended that run."""
        began, stop = 0, None
        for place, entry in enumerate(self.timeline):
            by_hand = entry.kind == "escalated" and stop is not None and stop.kind != "resolved"
            if entry.kind in RUN_STARTS or by_hand:
                began, stop = place, None
            elif entry.kind in RUN_STOPS and stop is None:
                stop = entry
        return began, stop


def _is_step_entry(entry: TimelineEntry) -> bool:
    """Whether a step of a policy wrote it: not a person's rules, and not a delivery."""
    return bool(entry.step) and not entry.user and not entry.channel


class EvidenceRank(IntEnum):
    """The most specific first."""

    PAGE = 1  # what became of a page to the person
    PERSON = 2  # what the machine wrote about the person
    RULES = 3  # the person's own rules waited
    ELSEWHERE = 4  # the incident is part of another one
    HELD = 5  # nothing of the policy ran
    STEP = 6  # a step that is for the person was skipped, or took somebody else
    AHEAD = 7  # a step that is for the person did not get its turn
    NOT_ON_CALL = 8  # a step asked for somebody else
    NEVER = 9  # nothing of the policy gets to the person
    NO_CONTACT = 10
    ENDED = 11  # the policy is over
    RECEIVER = 12  # a chat was told


class EvidenceReason(NamedTuple):
    rank: EvidenceRank
    text: str  # a sentence


_ONE_SECOND = timedelta(seconds=1)
SCHEDULE_NOW_TEXT = "as the schedule stands now"


def why_step_missed(account: IncidentEvidence, plan: Policy, number: int, step: NotifyStep) -> EvidenceReason | None:
    """The reason of one step that asks for people; None = it never gets to the person, or it did ask for them."""
    entry = account.ran(plan.name, number)
    if entry is None:
        return _why_not_run_yet(account, number, step) if plan is account.incident.plan else None
    if account.asked(entry) or not _can_reach(account, plan, step, entry.at):
        return None
    skipped = f"Step {number} skipped: "
    if entry.text.startswith(skipped):
        rank = EvidenceRank.STEP if _would_reach(account, step, entry.at) else EvidenceRank.NOT_ON_CALL
        why = entry.text.removeprefix(skipped).rstrip(".")
        return EvidenceReason(rank, f"Step {number} ({_step_text(account, step)}) was skipped at {account.when(entry.at)}: {why}.")
    return _why_others_paged(account, plan, step, entry)


def _why_others_paged(account: IncidentEvidence, plan: Policy, step: NotifyStep, entry: TimelineEntry) -> EvidenceReason:
    """The step ran, for other people."""
    name, at, told = account.name, entry.at, account.told(entry)
    if away := absence_text(account, at):
        return EvidenceReason(EvidenceRank.STEP, f"{told} {name} was {away}.")
    if step.pick == "round_robin" and (step.users or step.team):
        return EvidenceReason(EvidenceRank.STEP, f"{told} The step takes one person in turn, and it was not the turn of {name}.")
    if step.schedule:
        if not is_scheduled_for(account, step.schedule, at):
            return EvidenceReason(EvidenceRank.STEP, f"{told} {name} is paged by this step only where nobody else is found.")
        return _why_not_on_call(account, step, entry)
    if account.user in step.users or account.user in _members_of_step(account, step):
        return EvidenceReason(EvidenceRank.STEP, f"{told} {name} was not among them then; the file names them now.")
    return EvidenceReason(EvidenceRank.STEP, f"{told} {name} is paged by this step only where nobody else is found.")


def _why_not_on_call(account: IncidentEvidence, step: NotifyStep, entry: TimelineEntry) -> EvidenceReason:
    name, told = account.name, account.told(entry)
    if _would_reach(account, step, entry.at):
        return EvidenceReason(
            EvidenceRank.STEP, f"{told} By the schedule as it stands now it would have been {name}: it was changed since."
        )
    shift = _next_shift(account, step.schedule, entry.at)
    soon = f"next from {account.when(shift.start.timestamp())} to {account.when(shift.end.timestamp())}" if shift else "nor soon after"
    if shift and shift.start <= utc(entry.at):  # on call, but the step asked for the one who comes after
        return EvidenceReason(
            EvidenceRank.STEP, f"{told} {name} was on call for {step.schedule} then, and this step asks for who comes next."
        )
    return EvidenceReason(
        EvidenceRank.NOT_ON_CALL, f"{told} {name} was not on call for {step.schedule} then; {soon} ({SCHEDULE_NOW_TEXT})."
    )


def _why_not_run_yet(account: IncidentEvidence, number: int, step: NotifyStep) -> EvidenceReason | None:
    """The step has not run, or had not run when somebody answered."""
    stopped, due = account.stopped(), account.expected(number)
    if not stopped and due is None:
        return None
    at = due if due is not None else account.incident.updated_at
    if not _can_reach(account, account.incident.plan, step, at):
        return None
    text = f"Step {number} ({_step_text(account, step)})"
    if stopped:
        text += f" had not run yet when {stopped}" + (f"; it would have run at {account.when(due)}" if due is not None else "")
    else:
        text += f" has not run yet; it is due at {account.when(at)}"
    if _would_reach(account, step, at):
        return EvidenceReason(EvidenceRank.AHEAD, f"{text}.")
    if step.schedule:
        there = people_names(account.roster.config, _users_of_step(account, step, at)) or "nobody"
        return EvidenceReason(EvidenceRank.NOT_ON_CALL, f"{text}, for {there} ({SCHEDULE_NOW_TEXT}).")
    away = absence_text(account, at)
    return EvidenceReason(
        EvidenceRank.AHEAD, f"{text}; {account.name} {'is' if due is None else 'would be'} {away}." if away else f"{text}."
    )


def absence_text(account: IncidentEvidence, at: float) -> str:
    """ "absent until … (holidays), as the file has it now"; "" = not absent."""
    away = current_absence(account.known, utc(at)) if account.known else None
    if away is None or account.known is None:
        return ""
    end = account.when(wall_to_utc(away.end, ZoneInfo(account.known.timezone)).timestamp())
    return f"absent until {end}" + (f" ({away.reason})" if away.reason else "") + ", as the file has it now"


def is_scheduled_for(account: IncidentEvidence, schedule: str, at: float) -> bool:
    """Whether a schedule has anything to do with the person: the file names them, or they have a shift not long after."""
    found = account.roster.config.schedules.get(schedule)
    return found is not None and (account.user in users_of_schedule(found) or _next_shift(account, schedule, at) is not None)


def _can_reach(account: IncidentEvidence, plan: Policy, step: NotifyStep, at: float) -> bool:
    """Whether a step could get to the person at some time."""
    rule = step.if_nobody or plan.if_nobody
    if account.user in step.users or account.user in _members_of_step(account, step):
        return True
    return (rule.kind == "user" and rule.user == account.user) or (bool(step.schedule) and is_scheduled_for(account, step.schedule, at))


def _would_reach(account: IncidentEvidence, step: NotifyStep, at: float) -> bool:
    """Whether the step gets to the person at a moment, as the file and the overrides are now."""
    return account.user in _users_of_step(account, step, at) and not (step.team and absence_text(account, at))


def _users_of_step(account: IncidentEvidence, step: NotifyStep, at: float) -> tuple[str, ...]:
    roster = account.roster
    if step.schedule not in roster.config.schedules:
        return step.users or _members_of_step(account, step)
    if step.position == "next":
        return roster.turn_after(step.schedule, utc(at)).users
    return roster.shifts(step.schedule, utc(at), utc(at) + _ONE_SECOND)[0].users


def _members_of_step(account: IncidentEvidence, step: NotifyStep) -> tuple[str, ...]:
    team = account.roster.config.teams.get(step.team)
    return team.members if team else ()


def _next_shift(account: IncidentEvidence, schedule: str, at: float) -> Shift | None:
    shifts = account.roster.shifts(schedule, utc(at), utc(at) + NEXT_SHIFT_PERIOD)
    return next((shift for shift in shifts if account.user in shift.users), None)


def _step_text(account: IncidentEvidence, step: NotifyStep) -> str:
    return in_words(account.roster.config, step)
