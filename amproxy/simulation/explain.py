"""`amproxy explain`: the routes that an alert takes, what holds it back, whom it pages at once, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from amproxy.check.reaching import led_to
from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Config, Integration
from amproxy.grouping import routes
from amproxy.grouping.routes import Visit
from amproxy.labels.matchers import all_match
from amproxy.model import Group
from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import Entry, opening, zone_of
from amproxy.simulation.incident import Course
from amproxy.simulation.mute import because, muting, still_muted
from amproxy.simulation.others import others
from amproxy.simulation.wording import ending, step
from amproxy.zones import instant

_ONLY_LIVE = (
    "Silences, pages of other incidents and what was changed by hand (overrides, swaps, absences, maintenance) are known only to "
    "the running service."
)


class Way(NamedTuple):
    """A group's way to people; `course` is what happens at once, None where the group is muted."""

    group: Group
    integration: Integration
    muted_by: list[str]
    course: Course | None


def explain(config: Config, labels: Mapping[str, str], at: datetime, roster: Roster) -> dict[str, Any]:
    """The JSON of the command: `pages` are those that arrive at once if the group is notified at `at` (aware)."""
    entry, now = Entry(config, labels), instant(at).timestamp()
    pages = [page for way in ways_of(entry, now, roster) if way.course for page in way.course.pages]
    return entry.document(now, pages, roster)


def explain_text(config: Config, labels: Mapping[str, str], at: datetime, roster: Roster) -> str:
    """The same in words, with the policy, and why other people are not paged."""
    entry, now = Entry(config, labels), instant(at).timestamp()
    ways = ways_of(entry, now, roster)
    zone = zone_of(config, entry.policy(ways[0].integration)) if ways else "UTC"
    lines = [*terminal.hanging("Alert   ", terminal.labels(entry.labels))]
    lines += terminal.hanging("At      ", f"{terminal.when(now, zone)} {zone} ({rfc3339(now)})")
    lines += ["", "Routes", *_routes(routes.explain(config.route, entry.labels), entry.labels, 1)]
    for group in entry.groups:
        lines += ["", *_group(entry, group, now, roster)]
    for way in ways:
        lines += ["", *_policy(entry, way, now, roster)]
    if not ways:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    return "\n".join([*lines, "", *terminal.hanging("", _ONLY_LIVE)])


def ways_of(entry: Entry, now: float, roster: Roster) -> list[Way]:
    """What an alert causes if its groups are notified at `now` (Unix seconds): one way for each oncall integration."""
    turns: dict[str, int] = {}
    ways = []
    for group, integration in entry.oncall:
        by = muting(group, entry.labels, roster, now)
        incident = opening(entry.config, group, integration, entry.labels, 1, now)
        ways.append(Way(group, integration, by, None if by else Course(incident, roster, turns)))
    return ways


def _routes(visit: Visit, labels: Mapping[str, str], depth: int) -> Iterator[str]:
    """The tree as it was walked: + matches, - does not, * is where the alert lands."""
    mark = "*" if visit.taken else "+" if visit.matched else "-"
    conditions = ", ".join(map(str, visit.route.matchers))
    text = f"{visit.route.receiver} {{{conditions}}}" if conditions else visit.route.receiver
    if visit.failed:
        value = labels.get(visit.failed.name)
        text += f": {visit.failed} does not hold, " + (f"it is {value!r}" if value else f"there is no label {visit.failed.name}")
    elif visit.taken:
        text += ": lands here" + (", and goes on (continue)" if visit.route.continue_ else "")
    else:
        text += ": matches, and a route below takes it"
    yield from terminal.hanging("  " * depth + mark + " ", text)
    for child in visit.children:
        yield from _routes(child, labels, depth + 1)
    if visit.children and len(visit.children) < len(visit.route.routes):
        yield from terminal.hanging("  " * (depth + 1), "(the routes after it are not looked at: it has no continue)")


def _group(entry: Entry, group: Group, now: float, roster: Roster) -> Iterator[str]:
    yield from terminal.hanging("Group   ", group.key)
    told = (f"{one.kind} (cannot be delivered: {one.undeliverable})" if one.undeliverable else one.kind for one in _channels(entry, group))
    yield from terminal.hanging("  ", f"receiver {group.receiver}: {', '.join(told) or 'tells nobody'}")
    if by := muting(group, entry.labels, roster, now):
        until = still_muted(group, entry.labels, roster, now)
        zone = _zone(entry, group)
        end = f"until {terminal.when(until, zone)} {zone}" if until else "for years"
        yield from terminal.hanging("  ", f"{because(group, by)} {end}")
    else:
        yield "  not muted by a time interval, not in maintenance"
    for rule in entry.config.inhibit_rules:
        if all_match(rule.target_matchers, entry.labels):
            source = "{" + ", ".join(map(str, rule.source_matchers)) + "}"
            equal = f" with the same {', '.join(rule.equal)}" if rule.equal else ""
            yield from terminal.hanging("  ", f"would be inhibited while an alert {source}{equal} fires")


def _channels(entry: Entry, group: Group) -> tuple[Integration, ...]:
    return entry.receiver(group).integrations


def _zone(entry: Entry, group: Group) -> str:
    return next((zone_of(entry.config, entry.policy(one)) for other, one in entry.oncall if other is group), "UTC")


def _policy(entry: Entry, way: Way, now: float, roster: Roster) -> Iterator[str]:
    config, policy = entry.config, entry.policy(way.integration)
    zone = zone_of(config, policy)
    for led in led_to(config, policy).values():
        yield from terminal.hanging("Policy  ", led.name)
        for number, one in enumerate(led.steps, 1):
            yield from terminal.hanging(f"  {number:>2}. ", step(config, one))
        yield from terminal.hanging("      ", ending(config, led))
    if way.course is None:
        yield from terminal.hanging("Paged now: ", f"nobody, because the group is {because(way.group, way.muted_by)}")
        return
    yield from terminal.hanging("Paged now: ", f'incident "{way.course.incident.title}"' if way.course.pages else "nobody")
    for _, text in terminal.story(config, way.course.facts):
        yield from terminal.hanging("  ", text)
    incident, due = way.course.incident, way.course.due
    if incident.waiting_for and not way.course.pages:
        when = f" ({terminal.when(due, zone)} {zone})" if incident.step_due is not None and due is not None else ""
        yield from terminal.hanging("  ", f"Next: {incident.waiting_for}{when}.")
    reasons = others(policy, way.course, utc(now), roster)
    if reasons:
        yield "Not paged now"
    for user, reason in reasons:
        yield from terminal.hanging("  ", f"{terminal.person(config, user)}: {reason}")
