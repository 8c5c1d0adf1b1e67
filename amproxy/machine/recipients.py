"""The people whom a step pages, and why: its `schedule`, `users` or `team` when the step runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Urgency
from amproxy.machine.draft import Draft
from amproxy.model import Page
from amproxy.text import Phrase, ScheduleName, phrase

# The codes of the reasons of a round robin.
TURN_OF_TEAM: Final = "reason.turn_of_team"
TURN_OF_USERS: Final = "reason.turn_of_users"
TURN_REASONS: Final = frozenset({TURN_OF_TEAM, TURN_OF_USERS})


class Recipients(NamedTuple):
    """The people, all of them in the file, and the reason why they are paged, or why nobody is."""

    users: tuple[str, ...]
    reason: Phrase
    not_paged: tuple[Phrase, ...] = ()  # people who are left out, each with the reason


def find_recipients(draft: Draft, step: NotifyStep) -> Recipients:
    """Return the people whom a step pages. With `pick: round_robin` this takes the turn.

    Of those who come next, or in turn, whoever was not paged for the incident precedes the others.
    """
    if step.schedule:
        return _on_call_recipients(draft, step)
    if step.team and step.team not in draft.roster.config.teams:
        return Recipients((), phrase("reason.team_gone", team=step.team))
    everyone = draft.roster.config.teams[step.team].members if step.team else step.users
    # Someone who is named is paged even when absent: the file means that person and no other.
    may_be_absent = bool(step.users) and step.pick == "all"
    present, not_paged = _filter_present(draft, everyone, may_be_absent=may_be_absent)
    if not present:
        return Recipients((), _join_reasons(not_paged) or phrase("reason.no_members"))
    if step.pick == "round_robin":
        reached = _reached_people(draft)
        fresh = [user for user in present if user not in reached]
        turn = take_turn(draft, step.team or ",".join(everyone), everyone, fresh or present)
        reason = phrase(TURN_OF_USERS, people=draft.people(*everyone))
        if step.team:
            reason = phrase(TURN_OF_TEAM, team=step.team)
        return Recipients((turn,), reason, not_paged)
    reason = phrase("reason.named")
    if step.team:
        reason = phrase("reason.member", team=step.team)
    return Recipients(present, reason, not_paged)


def _on_call_recipients(draft: Draft, step: NotifyStep) -> Recipients:
    roster, at = draft.roster, utc(draft.now)
    if step.schedule not in roster.config.schedules:
        gone = phrase("reason.schedule_gone", schedule=ScheduleName(step.schedule))
        return Recipients((), gone)
    shift = on_call = roster.on_call(step.schedule, at)
    if step.position == "next":
        shift = roster.due_next(step.schedule, at, _reached_people(draft))
    role = "on_call" if set(shift.users) <= set(on_call.users) else "next_after"
    reason = phrase(f"reason.{role}", schedule=ScheduleName(step.schedule), why=shift.reason)
    # The roster itself decides about absent people: layers skip them, overrides do not.
    present, not_paged = _filter_present(draft, shift.users, may_be_absent=True)
    return Recipients(present, reason, not_paged)


def _join_reasons(reasons: tuple[Phrase, ...]) -> Phrase | None:
    return phrase("reason.several", reasons=reasons) if reasons else None


def last_paged(pages: Iterable[Page]) -> dict[str, float]:
    """Whoever these pages are for → when the last one was due (Unix seconds)."""
    return {page.user: page.due for page in pages if page.user and page.kind == "page"}


def _reached_people(draft: Draft) -> dict[str, float]:
    # Whoever is to be paged after quiet hours has a chain already: it is others' turn.
    being_paged = {chain.user: draft.now for chain in draft.incident.chains}
    return being_paged | last_paged(draft.incident.pages)


def _filter_present(
    draft: Draft, users: tuple[str, ...], *, may_be_absent: bool
) -> tuple[tuple[str, ...], tuple[Phrase, ...]]:
    """Those who can be paged, and the reason for each of the others."""
    roster, at = draft.roster, utc(draft.now)
    absent = [] if may_be_absent else [user for user in users if roster.absent(user, at)]
    gone = [user for user in users if user not in roster.config.users]
    reasons = [phrase("reason.absent", person=draft.people(user)) for user in absent]
    reasons += [phrase("reason.gone", person=draft.people(user)) for user in gone]
    present = tuple(user for user in users if user not in absent and user not in gone)
    return present, tuple(reasons)


def take_turn(draft: Draft, of: str, people: Sequence[str], present: Sequence[str]) -> str:
    """Take the next turn of a round robin; people who are not present are passed over.

    of: the name of the list. people: the whole list. present: at least one person of it.
    """
    key = f"{draft.incident.policy}/{draft.incident.position}/{of}"
    turn = draft.turns.get(key, 0)
    passed = next(
        passed for passed in range(len(people)) if people[(turn + passed) % len(people)] in present
    )
    # The commit is guarded by the pointer as stored, so that two incidents never take one turn.
    expected = draft.moved_turns.get(key, (turn, 0))[0]
    draft.turns[key] = turn + passed + 1
    draft.moved_turns[key] = expected, turn + passed + 1
    return people[(turn + passed) % len(people)]


def page_urgency(draft: Draft, step: NotifyStep) -> Urgency:
    """The urgency of a step's pages: the step's own, raised by the incident's."""
    return "important" if "important" in (step.urgency, draft.incident.urgency) else "default"
