"""Names that a running policy uses and the file has lost since, and who is paged in their place.

A policy runs as it was when it began; the schedules, teams, people and receivers that it names are
those of the file now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.config.structs import (
    Config,
    ForwardStep,
    IfNobody,
    NotifyStep,
    Policy,
    Step,
    WebhookStep,
)
from amproxy.errors import ConfigProblem
from amproxy.machine.recipients import Recipients
from amproxy.model import Chain, Incident
from amproxy.oncall.roster import Roster
from amproxy.text import PeopleNames, Phrase, ScheduleName, phrase
from amproxy.text.problems import joined

PagingStep = NotifyStep | WebhookStep


def lost_names(config: Config, step: Step) -> tuple[Phrase, ...]:
    """The names of a step that the file does not have any more, each as a phrase."""
    if not isinstance(step, PagingStep):
        return ()
    lost: list[Phrase] = []
    if step.receiver and step.receiver not in config.receivers:
        lost.append(phrase("reason.receiver_gone", receiver=step.receiver))
    if isinstance(step, NotifyStep):
        if step.schedule and step.schedule not in config.schedules:
            lost.append(phrase("reason.schedule_gone", schedule=ScheduleName(step.schedule)))
        if step.team and step.team not in config.teams:
            lost.append(phrase("reason.team_gone", team=step.team))
        lost += [
            phrase("reason.gone", person=PeopleNames((user,)))
            for user in step.users
            if user not in config.users
        ]
    return tuple(lost)


def step_of_today(config: Config, plan: Policy, number: int) -> PagingStep | None:
    """The step of the file's policy of that name that stands for a step of a running one.

    A step that pages people is stood for by such a step. Where the policy has lost the step, it
    is the one that comes in its place, or else the last one; None where there is none.
    """
    today, lost = config.policies.get(plan.name), plan.steps[number - 1]
    if today is None:
        return None
    to_people = isinstance(lost, NotifyStep) and not lost.receiver
    # As its place among those that page: waits and conditions may have changed as well.
    running = [step for step in plan.steps if _pages(step, to_people=to_people)]
    now = [step for step in today.steps if _pages(step, to_people=to_people)]
    if not now:
        return None
    ordinal = next(at for at, step in enumerate(running) if step is lost)
    matcher = SequenceMatcher(None, [*map(_target, running)], [*map(_target, now)], autojunk=False)
    for _, start, end, new_start, new_end in matcher.get_opcodes():
        if start <= ordinal < end:
            at = min(new_start + ordinal - start, max(new_start, new_end - 1), len(now) - 1)
            step = now[at]
            assert isinstance(step, PagingStep)
            return step
    return None


def _pages(step: Step, *, to_people: bool) -> bool:
    if to_people:
        return isinstance(step, NotifyStep) and not step.receiver
    return isinstance(step, PagingStep)


def _target(step: Step) -> str:
    if isinstance(step, NotifyStep):
        return repr((step.schedule, step.position, step.users, step.team, step.receiver))
    return repr(step.receiver) if isinstance(step, WebhookStep) else ""


def last_resort(roster: Roster, incident: Incident, step: Step | None, now: float) -> Recipients:
    """The people to page where neither a step nor the file's policy of that name finds anybody.

    The person of `if_nobody`, else the team, else whoever is on call for anything, else the admins,
    else everyone: an escalation must not end in silence because the file was changed.
    """
    config = roster.config
    plans = [incident.plan, *filter(None, [config.policies.get(incident.policy)])]
    of_step = step.if_nobody if isinstance(step, NotifyStep) else None
    rules: list[IfNobody | None] = [of_step, *(plan.if_nobody for plan in plans)]
    for rule in rules:
        if rule is not None and rule.user in config.users:
            return Recipients((rule.user,), phrase("reason.if_nobody"))
    for name in dict.fromkeys((*(plan.team for plan in plans), incident.team)):
        if name in config.teams and (members := config.teams[name].members):
            here = tuple(user for user in members if not roster.absent(user, utc(now)))
            return Recipients(here or members, phrase("reason.member", team=name))
    on_call = tuple(dict.fromkeys(_on_call_for_anything(roster, now)))
    if on_call:
        return Recipients(on_call, phrase("reason.on_call_for_anything"))
    admins = tuple(name for name, user in config.users.items() if user.role == "admin")
    if admins:
        return Recipients(admins, phrase("reason.admin"))
    return Recipients(tuple(config.users), phrase("reason.anybody"))


def _on_call_for_anything(roster: Roster, now: float) -> Iterator[str]:
    for schedule in roster.config.schedules:
        yield from (
            user for user in roster.on_call(schedule, utc(now)).users if user in roster.config.users
        )


def plan_of_chain(incident: Incident, chain: Chain) -> Policy:
    """The policy by whose step a person's rules began."""
    names = (one.policy for one in reversed(incident.pages) if one.user == chain.user)
    name = next(names, incident.policy)
    other = incident.forwards.get(name) if name != incident.plan.name else None
    return other or incident.plan


class IncidentLoss(NamedTuple):
    """An open incident whose steps to come, or running rules, name what the file does not have."""

    id: str
    number: int
    title: str
    lost: tuple[Phrase, ...]


def find_losses(
    config: Config, incidents: Iterable[Incident], before: Config | None = None
) -> list[IncidentLoss]:
    """The open incidents that lose somebody by a file. before: what that one lacks is no loss."""
    found: list[IncidentLoss] = []
    for incident in incidents:
        known = [] if before is None else [*_losses(before, incident)]
        lost = tuple(one for one in _losses(config, incident) if one not in known)
        if lost:
            found.append(IncidentLoss(incident.id, incident.number, incident.title, lost))
    return found


def loss_warnings(config: Config, incidents: Iterable[Incident]) -> list[ConfigProblem]:
    """A warning of kind `open_incident` for each that loses somebody by a file."""
    return [
        ConfigProblem(
            phrase(
                "problem.open_incident",
                number=loss.number,
                losses=joined("problem.and", loss.lost),
            ),
            file=config.path,
            line=1,
            column=1,
            kind="open_incident",
        )
        for loss in find_losses(config, incidents)
    ]


def _losses(config: Config, incident: Incident) -> Iterator[Phrase]:
    for chain in incident.chains:
        if chain.due is not None and chain.user not in config.users:
            yield phrase("reason.gone", person=PeopleNames((chain.user,)))
    again = incident.state != "triggered" or incident.round <= incident.plan.repeat
    for plan in (incident.plan, *incident.forwards.values()):
        first = incident.position if plan is incident.plan and not again else 0
        for number, step in enumerate(plan.steps[first:], first + 1):
            for lost in lost_names(config, step):
                yield phrase("reason.of_step", step=number, policy=plan.name, lost=lost)


def follow_rename(incident: Incident, section: str, old: str, new: str) -> None:
    """Let an incident follow a schedule or a policy (by its section) that has a new name."""
    incident.plan = _rename_in(incident.plan, section, old, new)
    plans = (_rename_in(plan, section, old, new) for plan in incident.forwards.values())
    incident.forwards = {plan.name: plan for plan in plans}
    if section == "escalation_policies":
        incident.policy = new if incident.policy == old else incident.policy
        incident.begins_with = new if incident.begins_with == old else incident.begins_with


def _rename_in(plan: Policy, section: str, old: str, new: str) -> Policy:
    schedules, policies = section == "schedules", section == "escalation_policies"
    steps: list[Step] = []
    for step in plan.steps:
        if schedules and isinstance(step, NotifyStep) and step.schedule == old:
            steps.append(replace(step, schedule=new))
        elif policies and isinstance(step, ForwardStep) and step.policy == old:
            steps.append(replace(step, policy=new))
        else:
            steps.append(step)
    name = new if policies and plan.name == old else plan.name
    return replace(plan, name=name, steps=tuple(steps))
