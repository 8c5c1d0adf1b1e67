"""Why a step of a policy did not page a person whom it could have reached."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Policy
from amproxy.model import TimelineEntry
from amproxy.oncall.roster import Shift
from amproxy.reports.evidence import Account
from amproxy.reports.reason import Rank, Reason
from amproxy.simulation.others import SHIFTS, absence, scheduled
from amproxy.simulation.terminal import people
from amproxy.simulation.wording import step as in_words
from amproxy.zones import moment

_INSTANT = timedelta(seconds=1)
AS_IT_STANDS = "as the schedule stands now"


def missed(account: Account, plan: Policy, number: int, step: NotifyStep) -> Reason | None:
    """The reason of one step that asks for people; None = it never gets to the person, or it did ask for them."""
    entry = account.ran(plan.name, number)
    if entry is None:
        return _ahead(account, number, step) if plan is account.incident.plan else None
    if account.asked(entry) or not _names(account, plan, step, entry.at):
        return None
    skipped = f"Step {number} skipped: "
    if entry.text.startswith(skipped):
        rank = Rank.STEP if _would(account, step, entry.at) else Rank.NOT_ON_CALL
        why = entry.text.removeprefix(skipped).rstrip(".")
        return Reason(rank, f"Step {number} ({_what(account, step)}) was skipped at {account.when(entry.at)}: {why}.")
    return _passed_by(account, plan, step, entry)


def _passed_by(account: Account, plan: Policy, step: NotifyStep, entry: TimelineEntry) -> Reason:
    """The step ran, for other people."""
    name, at, told = account.name, entry.at, account.told(entry)
    if away := absent(account, at):
        return Reason(Rank.STEP, f"{told} {name} was {away}.")
    if step.pick == "round_robin" and (step.users or step.team):
        return Reason(Rank.STEP, f"{told} The step takes one person in turn, and it was not the turn of {name}.")
    if step.schedule:
        if not scheduled_for(account, step.schedule, at):
            return Reason(Rank.STEP, f"{told} {name} is paged by this step only where nobody else is found.")
        return _other_shift(account, step, entry)
    if account.user in step.users or account.user in _members(account, step):
        return Reason(Rank.STEP, f"{told} {name} was not among them then; the file names them now.")
    return Reason(Rank.STEP, f"{told} {name} is paged by this step only where nobody else is found.")


def _other_shift(account: Account, step: NotifyStep, entry: TimelineEntry) -> Reason:
    name, told = account.name, account.told(entry)
    if _would(account, step, entry.at):
        return Reason(Rank.STEP, f"{told} By the schedule as it stands now it would have been {name}: it was changed since.")
    shift = _next_shift(account, step.schedule, entry.at)
    soon = f"next from {account.when(shift.start.timestamp())} to {account.when(shift.end.timestamp())}" if shift else "nor soon after"
    if shift and shift.start <= utc(entry.at):  # on call, but the step asked for the one who comes after
        return Reason(Rank.STEP, f"{told} {name} was on call for {step.schedule} then, and this step asks for who comes next.")
    return Reason(Rank.NOT_ON_CALL, f"{told} {name} was not on call for {step.schedule} then; {soon} ({AS_IT_STANDS}).")


def _ahead(account: Account, number: int, step: NotifyStep) -> Reason | None:
    """The step has not run, or had not run when somebody answered."""
    stopped, due = account.stopped(), account.expected(number)
    if not stopped and due is None:
        return None
    at = due if due is not None else account.incident.updated_at
    if not _names(account, account.incident.plan, step, at):
        return None
    text = f"Step {number} ({_what(account, step)})"
    if stopped:
        text += f" had not run yet when {stopped}" + (f"; it would have run at {account.when(due)}" if due is not None else "")
    else:
        text += f" has not run yet; it is due at {account.when(at)}"
    if _would(account, step, at):
        return Reason(Rank.AHEAD, f"{text}.")
    if step.schedule:
        there = people(account.roster.config, _users(account, step, at)) or "nobody"
        return Reason(Rank.NOT_ON_CALL, f"{text}, for {there} ({AS_IT_STANDS}).")
    away = absent(account, at)
    return Reason(Rank.AHEAD, f"{text}; {account.name} {'is' if due is None else 'would be'} {away}." if away else f"{text}.")


def absent(account: Account, at: float) -> str:
    """ "absent until … (holidays), as the file has it now"; "" = not absent."""
    away = absence(account.known, utc(at)) if account.known else None
    if away is None or account.known is None:
        return ""
    end = account.when(moment(away.end, ZoneInfo(account.known.timezone)).timestamp())
    return f"absent until {end}" + (f" ({away.reason})" if away.reason else "") + ", as the file has it now"


def scheduled_for(account: Account, schedule: str, at: float) -> bool:
    """Whether a schedule has anything to do with the person: the file names them, or they have a shift not long after."""
    found = account.roster.config.schedules.get(schedule)
    return found is not None and (account.user in scheduled(found) or _next_shift(account, schedule, at) is not None)


def _names(account: Account, plan: Policy, step: NotifyStep, at: float) -> bool:
    """Whether a step could get to the person at some time."""
    rule = step.if_nobody or plan.if_nobody
    if account.user in step.users or account.user in _members(account, step):
        return True
    return (rule.kind == "user" and rule.user == account.user) or (bool(step.schedule) and scheduled_for(account, step.schedule, at))


def _would(account: Account, step: NotifyStep, at: float) -> bool:
    """Whether the step gets to the person at a moment, as the file and the overrides are now."""
    return account.user in _users(account, step, at) and not (step.team and absent(account, at))


def _users(account: Account, step: NotifyStep, at: float) -> tuple[str, ...]:
    roster = account.roster
    if step.schedule not in roster.config.schedules:
        return step.users or _members(account, step)
    if step.position == "next":
        return roster.turn_after(step.schedule, utc(at)).users
    return roster.shifts(step.schedule, utc(at), utc(at) + _INSTANT)[0].users


def _members(account: Account, step: NotifyStep) -> tuple[str, ...]:
    team = account.roster.config.teams.get(step.team)
    return team.members if team else ()


def _next_shift(account: Account, schedule: str, at: float) -> Shift | None:
    shifts = account.roster.shifts(schedule, utc(at), utc(at) + SHIFTS)
    return next((shift for shift in shifts if account.user in shift.users), None)


def _what(account: Account, step: NotifyStep) -> str:
    return in_words(account.roster.config, step)
