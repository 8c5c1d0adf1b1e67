"""Targets that people name by hand: people, a schedule, a team or a policy.

A target becomes the step or the policy that reaches it, or an incident without alerts that pages
it.
"""

from __future__ import annotations

import msgspec

from amproxy.apply import after_commit
from amproxy.config.structs import Config, NotifyStep, Policy, Urgency
from amproxy.context import Context
from amproxy.correlate.flusher import open_manual_incident
from amproxy.errors import AmproxyError, Conflict
from amproxy.machine import transition
from amproxy.machine.events import Opened
from amproxy.model import Change, Incident
from amproxy.store import incidents
from amproxy.store.commit import Operations, commit_decided
from amproxy.text import PeopleNames, Phrase, phrase


class BadAction(AmproxyError):
    """The request for an action makes no sense (HTTP 422)."""


class PageTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of them is given."""

    users: tuple[str, ...] = ()
    schedule: str = ""
    team: str = ""
    policy: str = ""


def step_for_target(
    config: Config, target: PageTarget, urgency: Urgency = "default"
) -> NotifyStep | Policy:
    """A step that pages the target with an urgency, or the policy, whose steps have their own.

    Raises BadAction where the target is none, several, or not in the file.
    """
    if sum(map(bool, (target.users, target.schedule, target.team, target.policy))) != 1:
        raise BadAction(Phrase("refusal.one_target"))
    for user in target.users:
        if user not in config.users:
            raise BadAction(Phrase("refusal.unknown_user", {"user": user[:60]}))
    for kind, name, known in (
        ("schedule", target.schedule, config.schedules),
        ("team", target.team, config.teams),
        ("policy", target.policy, config.policies),
    ):
        if name and name not in known:
            raise BadAction(Phrase(f"refusal.unknown_{kind}", {kind: name[:60]}))
    if target.policy:
        if urgency == "important":
            raise BadAction(Phrase("refusal.policy_urgency"))
        return config.policies[target.policy]
    return NotifyStep(
        users=tuple(dict.fromkeys(target.users)),
        schedule=target.schedule,
        team=target.team,
        urgency=urgency,
    )


def people_step_for_target(
    config: Config, target: PageTarget, urgency: Urgency = "default"
) -> NotifyStep:
    """A step that pages the target, which may not be a policy. Raises BadAction."""
    if target.policy:
        raise BadAction(Phrase("refusal.policy_to_join"))
    step = step_for_target(config, target, urgency)
    assert isinstance(step, NotifyStep)
    return step


async def open_incident(
    context: Context,
    *,
    title: str,
    by: str,
    to: PageTarget,
    urgency: Urgency | None = None,
    text: str = "",
) -> Incident:
    """Open an incident and page its target; return the incident.

    Raises BadAction, Conflict (nobody is there), StoreUnavailable.
    """
    if not title.strip():
        raise BadAction(Phrase("refusal.title_needed"))
    found = step_for_target(context.config, to)
    if isinstance(found, Policy):
        policy = found
    else:
        policy = Policy(name="by hand", team=to.team, steps=(found,))
    incident = await open_manual_incident(
        context, title=title.strip(), policy=policy, urgency=urgency, text=text, now=context.now()
    )
    person = PeopleNames((by,), (context.roster.config.full_name(by),))
    opened = Opened(reason=phrase("reason.by_hand", by=person), by=by)

    async def decide() -> tuple[Operations, Change]:
        turns = await incidents.load_turns(context.wire)
        change = transition(incident, opened, context.now(), context.roster, turns)
        if change.nobody and isinstance(found, NotifyStep):
            told = (entry.what for entry in change.timeline if entry.kind == "nobody")
            reasons = tuple(what for what in told if what)
            raise Conflict(Phrase("refusal.nobody_to_page", {"reasons": reasons}))
        return incidents.change_operations(change), change

    # Another incident may take a turn of the same round-robin first: the commit is guarded by it.
    change = await commit_decided(context.wire, "the turn of a round-robin", decide)
    after_commit(context, change)
    return change.incident
