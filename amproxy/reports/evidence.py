"""Evidence of one incident for one person: what ran when and what stopped it, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import (
    ForwardStep,
    NotifyStep,
    Policy,
    ResolveStep,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
)
from amproxy.machine.draft import END_PHRASES
from amproxy.machine.recipients import last_paged
from amproxy.machine.steps import skipped_because
from amproxy.model import END_REASONS, Incident, TimelineEntry
from amproxy.oncall.roster import Roster, Shift
from amproxy.simulation.explain import NEXT_SHIFT_PERIOD, current_absence, users_of_schedule
from amproxy.text import Moment, PeopleNames, Phrase, PhraseValue, ScheduleName, phrase
from amproxy.text.policies import step_phrase
from amproxy.times import wall_to_utc

# Kinds of timeline entries. With these the policy begins, or begins anew …
RUN_STARTS: Final = frozenset({"opened", "unacknowledged", "triggered", "reopened", "unmerged"})
# … and from these on nothing of it runs any more.
RUN_STOPS: Final = frozenset({"acknowledged", "snoozed", "resolved"})
# Each of them → the code of "somebody did it at …".
_STOPS: Final = {
    "acknowledged": "why.stop_acknowledged",
    "snoozed": "why.stop_snoozed",
    "resolved": "why.stop_resolved",
    "merged": "why.stop_merged",
}
_ONE_SECOND: Final = timedelta(seconds=1)


class EvidenceRank(IntEnum):
    """The kinds of reasons, the most specific first."""

    PAGE = 1  # what became of a page to the person
    PERSON = 2  # what the machine wrote about the person
    RULES = 3  # the person's own rules waited
    MERGED = 4  # the incident is part of another one
    ON_HOLD = 5  # nothing of the policy ran
    STEP = 6  # a step that is for the person was skipped, or took somebody else
    NOT_RUN = 7  # a step that is for the person did not get its turn
    NOT_ON_CALL = 8  # a step asked for somebody else
    NEVER = 9  # nothing of the policy gets to the person
    NO_CONTACT = 10
    ENDED = 11  # the policy is over
    RECEIVER = 12  # a chat was notified


class EvidenceReason(NamedTuple):
    """A reason why somebody was not paged."""

    rank: EvidenceRank
    what: Phrase


class IncidentEvidence:
    """The timeline (oldest first) of an incident, as it concerns one person."""

    def __init__(
        self, incident: Incident, timeline: Sequence[TimelineEntry], user: str, roster: Roster
    ) -> None:
        self.incident, self.timeline, self.user, self.roster = incident, timeline, user, roster
        self.user_config = roster.config.users.get(user)  # None: not in today's file
        self.person = PeopleNames((user,))
        self._run_start, self.stop = self._last_run()

    def describe_entry(self, entry: TimelineEntry) -> Phrase:
        """Return an entry with its time."""
        return phrase("why.entry", at=Moment(entry.at), what=entry.words)

    def describe_stop(self) -> Phrase | None:
        """Return what stopped the last run: "bob acknowledged it at …".

        None = it still runs, or ran to its end.
        """
        if self.stop is None:
            return None
        at, by = Moment(self.stop.at), self.stop.data.get("by", "")
        end = END_REASONS.get(by)
        if end and not self.stop.user:
            return phrase("why.stop_ended", at=at, reason=END_PHRASES[end])
        kind = "merged" if by == "merged" else self.stop.kind
        return phrase(_STOPS[kind], at=at, person=PeopleNames((self.stop.user,)))

    def policies(self) -> list[Policy]:
        """Return the policies that ran, the one in force last.

        One that forwarded is known only as the file has it now; one that has left it is left out.
        """
        current = self.incident.policy
        names = dict.fromkeys(entry.policy for entry in self.timeline if entry.policy)
        known = (
            self.incident.forwards.get(name) or self.roster.config.policies.get(name)
            for name in names
            if name != current
        )
        return [*(policy for policy in known if policy), self.incident.plan]

    def last_run_of(self, policy: str, step: int) -> TimelineEntry | None:
        """Return the entry that a step wrote when it ran last; None = it never ran."""
        for entry in reversed(self.timeline):
            if _is_step_entry(entry) and (entry.policy, entry.step) == (policy, step):
                return entry
        return None

    def step_asked_for_person(self, entry: TimelineEntry) -> bool:
        """Check whether the step that wrote an entry asked for the person."""
        return self.user in entry.data.get("users", ())

    def expected(self, step: int) -> float | None:
        """Return when a step that did not run is due or would have been, in Unix seconds.

        The step is one of the policy in force; None = that is not known.
        """
        if self.stop is not None:
            return self._expected_before(self.stop.at, step)
        incident = self.incident
        if incident.step_due is None or step <= incident.position:
            return None
        return self._add_waits(incident.position, incident.step_due, step)

    def _expected_before(self, stopped_at: float, step: int) -> float | None:
        """Return the same for a run that was stopped: reckoned from the last step that ran."""
        incident, policy = self.incident, self.incident.plan
        run = [
            entry
            for entry in self.timeline[self._run_start :]
            if entry.policy == incident.policy and entry.at <= stopped_at
        ]
        for entry in reversed(run):
            if entry.kind == "repeat":
                return self._add_waits(policy.repeat_from - 1, entry.at, step)
            if _is_step_entry(entry):
                if entry.kind == "nobody" and incident.position < entry.step:
                    return None  # it waited for somebody to be on call
                return self._add_waits(entry.step, entry.at, step)
        if not run or incident.held_until is not None:
            return None
        # After a snooze the policy may go on in its middle, and the entry has not where.
        if run[0].kind == "triggered" and policy.after_snooze == "resume":
            return None
        return self._add_waits(0, run[0].at, step)

    def _add_waits(self, position: int, at: float, step: int) -> float | None:
        """Return when `step` runs, if the step after `position` runs at `at`."""
        for between in self.incident.plan.steps[position : step - 1]:
            if isinstance(between, Wait):
                at += between.seconds
            elif isinstance(between, WaitUntilStep) and self.roster.known_intervals(
                (between.interval,)
            ):
                opens = self.roster.opens(between.interval, utc(at))
                at = max(at, opens.timestamp()) if opens else at
            elif isinstance(between, WaitForAlertsStep | ForwardStep | ResolveStep):
                return None
        return at

    def _last_run(self) -> tuple[int, TimelineEntry | None]:
        """Return the index of the entry with which the policy began last, and what stopped it."""
        start, stop = 0, None
        for index, entry in enumerate(self.timeline):
            by_hand = entry.kind == "escalated" and stop is not None and stop.kind != "resolved"
            if entry.kind in RUN_STARTS or by_hand:
                start, stop = index, None
            elif entry.kind in RUN_STOPS and stop is None:
                stop = entry
        return start, stop


def _is_step_entry(entry: TimelineEntry) -> bool:
    """Check whether a step of a policy wrote it: not a person's rules, and not a delivery."""
    return bool(entry.step) and not entry.user and not entry.channel


def why_step_missed(
    evidence: IncidentEvidence, policy: Policy, number: int, step: NotifyStep
) -> EvidenceReason | None:
    """Return the reason why a step that asks for people did not page the person.

    None = it never gets to the person, or it did ask for them.
    """
    entry = evidence.last_run_of(policy.name, number)
    if entry is None:
        in_force = policy is evidence.incident.plan
        return _why_not_run_yet(evidence, number, step) if in_force else None
    if evidence.step_asked_for_person(entry) or not _can_reach(evidence, policy, step, entry.at):
        return None
    skipped = skipped_because(entry)
    if skipped is None:
        return _why_others_paged(evidence, step, entry)
    reached = _would_reach(evidence, step, entry.at)
    what = phrase(
        "why.step_skipped",
        step=number,
        what=step_phrase(step),
        at=Moment(entry.at),
        reason=skipped,
    )
    return EvidenceReason(EvidenceRank.STEP if reached else EvidenceRank.NOT_ON_CALL, what)


def _why_others_paged(
    evidence: IncidentEvidence, step: NotifyStep, entry: TimelineEntry
) -> EvidenceReason:
    """Return the reason why a step that ran took other people."""
    person, at = evidence.person, entry.at
    if absence := _find_absence(evidence, at):
        why = phrase("why.was_absent", person=person, absence=absence)
    elif step.pick == "round_robin" and (step.users or step.team):
        why = phrase("why.not_their_turn", person=person)
    elif step.schedule and is_scheduled_for(evidence, step.schedule, at):
        return _why_not_on_call(evidence, step, entry)
    elif not step.schedule and evidence.user in (*step.users, *_team_members(evidence, step)):
        why = phrase("why.named_since", person=person)
    else:
        why = phrase("why.fallback_only", person=person)
    return EvidenceReason(EvidenceRank.STEP, _entry_and_why(evidence, entry, why))


def _entry_and_why(evidence: IncidentEvidence, entry: TimelineEntry, why: Phrase) -> Phrase:
    return phrase("why.entry_and", entry=evidence.describe_entry(entry), why=why)


def _why_not_on_call(
    evidence: IncidentEvidence, step: NotifyStep, entry: TimelineEntry
) -> EvidenceReason:
    person, schedule = evidence.person, ScheduleName(step.schedule)
    rank = EvidenceRank.STEP
    shift = _next_shift(evidence, step.schedule, entry.at)
    if _would_reach(evidence, step, entry.at):
        why = phrase("why.schedule_changed", person=person)
    elif shift and shift.start <= utc(entry.at):
        why = phrase("why.asks_for_next", person=person, schedule=schedule)
    else:
        rank = EvidenceRank.NOT_ON_CALL
        why = phrase("why.not_on_call", person=person, schedule=schedule)
        if shift:
            start, end = Moment(shift.start.timestamp()), Moment(shift.end.timestamp())
            why = phrase("why.next_on_call", start=start, end=end, **why.values)
    return EvidenceReason(rank, _entry_and_why(evidence, entry, why))


def _why_not_run_yet(
    evidence: IncidentEvidence, number: int, step: NotifyStep
) -> EvidenceReason | None:
    """Return the reason that a step has not run, or had not run when somebody answered."""
    stopped, due = evidence.describe_stop(), evidence.expected(number)
    if stopped is None and due is None:
        return None
    at = due if due is not None else evidence.incident.updated_at
    if not _can_reach(evidence, evidence.incident.plan, step, at):
        return None
    values: dict[str, PhraseValue] = {"step": number, "what": step_phrase(step)}
    if stopped is None:
        what = phrase("why.not_run", due=Moment(at), **values)
    elif due is None:
        what = phrase("why.not_run_when", stop=stopped, **values)
    else:
        what = phrase("why.not_run_before", stop=stopped, due=Moment(due), **values)
    if _would_reach(evidence, step, at):
        return EvidenceReason(EvidenceRank.NOT_RUN, phrase("why.alone", what=what))
    if step.schedule:
        people = PeopleNames(_users_of_step(evidence, step, at))
        for_others = phrase("why.for_others", what=what, people=people)
        return EvidenceReason(EvidenceRank.NOT_ON_CALL, for_others)
    if absence := _find_absence(evidence, at):
        absent = phrase("why.and_absent", what=what, person=evidence.person, absence=absence)
        return EvidenceReason(EvidenceRank.NOT_RUN, absent)
    return EvidenceReason(EvidenceRank.NOT_RUN, phrase("why.alone", what=what))


def _find_absence(evidence: IncidentEvidence, at: float) -> Phrase | None:
    """Return "absent until … (holidays), as the file has it now"; None = not absent."""
    user = evidence.user_config
    absence = current_absence(user, utc(at)) if user else None
    if absence is None or user is None:
        return None
    end = Moment(wall_to_utc(absence.end, ZoneInfo(user.timezone)).timestamp())
    if absence.reason:
        return phrase("why.absent_for", until=end, text=absence.reason)
    return phrase("why.absent", until=end)


def is_scheduled_for(evidence: IncidentEvidence, schedule: str, at: float) -> bool:
    """Check whether the schedule names the person, or they have a shift not long after `at`."""
    config = evidence.roster.config.schedules.get(schedule)
    return config is not None and (
        evidence.user in users_of_schedule(config)
        or _next_shift(evidence, schedule, at) is not None
    )


def _can_reach(evidence: IncidentEvidence, policy: Policy, step: NotifyStep, at: float) -> bool:
    """Check whether a step could get to the person at some time."""
    if evidence.user in (*step.users, *_team_members(evidence, step)):
        return True
    rule = step.if_nobody or policy.if_nobody
    if rule.kind == "user" and rule.user == evidence.user:
        return True
    return bool(step.schedule) and is_scheduled_for(evidence, step.schedule, at)


def _would_reach(evidence: IncidentEvidence, step: NotifyStep, at: float) -> bool:
    """Check whether the step gets to the person at a time, by today's file and overrides."""
    # The roster decides about absent people itself, and named ones are paged even when absent.
    absent = step.team and _find_absence(evidence, at)
    return evidence.user in _users_of_step(evidence, step, at) and not absent


def _users_of_step(evidence: IncidentEvidence, step: NotifyStep, at: float) -> tuple[str, ...]:
    roster = evidence.roster
    if step.schedule not in roster.config.schedules:
        return step.users or _team_members(evidence, step)
    if step.position == "next":
        reached = last_paged(page for page in evidence.incident.pages if page.due < at)
        return roster.due_next(step.schedule, utc(at), reached).users
    return roster.shifts(step.schedule, utc(at), utc(at) + _ONE_SECOND)[0].users


def _team_members(evidence: IncidentEvidence, step: NotifyStep) -> tuple[str, ...]:
    team = evidence.roster.config.teams.get(step.team)
    return team.members if team else ()


def _next_shift(evidence: IncidentEvidence, schedule: str, at: float) -> Shift | None:
    shifts = evidence.roster.shifts(schedule, utc(at), utc(at) + NEXT_SHIFT_PERIOD)
    return next((shift for shift in shifts if evidence.user in shift.users), None)
