"""The phrases of steps in a forecast: what each does, to whom, and under which conditions."""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.config.structs import (
    Condition,
    ForwardStep,
    NotifyStep,
    ResolveStep,
    Step,
    WebhookStep,
)
from amproxy.model import TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.text import PeopleNames, Phrase, PhraseValue


def describe_action(entry: TimelineEntry, step: Step, roster: Roster) -> Phrase | None:
    """The action of a step that ran, and its people; None for one that only waits."""
    match step:
        case NotifyStep():
            return Phrase("forecast.notify", {"whom": _describe_recipients(entry, step, roster)})
        case WebhookStep():
            return Phrase("forecast.webhooks", {"receiver": step.receiver})
        case ForwardStep():
            return Phrase("forecast.forward", {"policy": step.policy})
        case ResolveStep():
            return Phrase("forecast.resolve")
        case _:
            return None


def _describe_recipients(entry: TimelineEntry, step: NotifyStep, roster: Roster) -> Phrase:
    if step.receiver:
        return Phrase("forecast.receiver", {"receiver": step.receiver})
    people = PeopleNames(tuple(entry.data.get("users", ())))
    if entry.kind == "nobody" and people.names:
        whom = _name_recipients(PeopleNames(()), step, roster)
        return Phrase("forecast.fallback", {"people": people, "whom": whom})
    return _name_recipients(people, step, roster)


def _name_recipients(people: PeopleNames, step: NotifyStep, roster: Roster) -> Phrase:
    """People, and what of a step named them."""
    values: dict[str, PhraseValue] = {"people": people}
    if step.schedule and step.schedule not in roster.config.schedules:
        return Phrase("forecast.schedule_gone", {"schedule": step.schedule})
    if step.schedule:
        key = "forecast.next_after" if step.position == "next" else "forecast.schedule"
        return Phrase(key, values | {"schedule": step.schedule})
    if step.team:
        whom = Phrase("forecast.team", values | {"team": step.team})
    else:
        whom = Phrase("forecast.users", values)
    return Phrase("forecast.in_turn", {"whom": whom}) if step.pick == "round_robin" else whom


def describe_conditions(step: Condition) -> tuple[Phrase, ...]:
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
