"""`pick: round_robin`: one of several people, each time the next in the order of the list.

Whom a step means, and why: from `schedule`, `users` or `team` to people, at the moment the step runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Urgency
from amproxy.machine.draft import Draft
from amproxy.oncall.roster import OnCall


def take_turn(draft: Draft, of: str, people: Sequence[str], present: Sequence[str]) -> str:
    """Whose turn it is. Who is not present is passed over, without moving the order.

    of: what the list is called. people: the whole list; present: those of it who may be taken, at least one. The pointer is
    committed with the incident and guarded, so that two incidents never take the same turn.
    """
    key = f"{draft.incident.policy}/{draft.incident.position}/{of}"
    turn = draft.turns.get(key, 0)
    passed = next(passed for passed in range(len(people)) if people[(turn + passed) % len(people)] in present)
    expected = draft.moved_turns.get(key, (turn, 0))[0]
    draft.turns[key] = turn + passed + 1
    draft.moved_turns[key] = expected, turn + passed + 1
    return people[(turn + passed) % len(people)]


class Recipients(NamedTuple):
    """The people, all of them in the file, and why it is they; where there are none, why not."""

    users: tuple[str, ...]
    reason: str
    not_asked: str = ""  # who would have been meant, and why they are not


def find_recipients(draft: Draft, step: NotifyStep) -> Recipients:
    """Who is to be paged. A turn of round robin is taken by asking."""
    if step.schedule:
        return _on_call_recipients(draft, step)
    if step.team and step.team not in draft.roster.config.teams:
        return Recipients((), f"team {step.team} is not in the file any more")
    everyone = draft.roster.config.teams[step.team].members if step.team else step.users
    # People who are named are paged wherever they are; those who are meant as one of several only where they are there.
    may_be_absent = bool(step.users) and step.pick == "all"
    present, not_asked = _filter_present(draft, everyone, may_be_absent=may_be_absent)
    if not present:
        return Recipients((), not_asked or "it has no members")
    if step.pick == "round_robin":
        whose = f"team {step.team}" if step.team else ", ".join(map(draft.name, everyone))
        turn = take_turn(draft, step.team or ",".join(everyone), everyone, present)
        return Recipients((turn,), f"next in turn of {whose}", not_asked)
    return Recipients(present, f"member of team {step.team}" if step.team else "named by the policy", not_asked)


def _on_call_recipients(draft: Draft, step: NotifyStep) -> Recipients:
    roster, at = draft.roster, utc(draft.now)
    if step.schedule not in roster.config.schedules:
        return Recipients((), f"schedule {step.schedule} is not in the file any more")
    shift: OnCall = roster.turn_after(step.schedule, at) if step.position == "next" else roster.on_call(step.schedule, at)
    role = "next after" if step.position == "next" else "on call for"
    present, not_asked = _filter_present(draft, shift.users, may_be_absent=True)
    return Recipients(present, f"{role} {step.schedule}: {shift.reason}", not_asked)


def _filter_present(draft: Draft, users: tuple[str, ...], *, may_be_absent: bool) -> tuple[tuple[str, ...], str]:
    """Those who can be asked, and who cannot, in words."""
    roster, at = draft.roster, utc(draft.now)
    absent = [] if may_be_absent else [user for user in users if roster.absent(user, at)]
    gone = [user for user in users if user not in roster.config.users]
    why = [f"{draft.name(user)} is absent" for user in absent] + [f"{user} is not in the file any more" for user in gone]
    return tuple(user for user in users if user not in absent and user not in gone), ", ".join(why)


def page_urgency(draft: Draft, step: NotifyStep) -> Urgency:
    """Of a step's pages: the step's, raised by the incident's."""
    return "important" if "important" in (step.urgency, draft.incident.urgency) else "default"
