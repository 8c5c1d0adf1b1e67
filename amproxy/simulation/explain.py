"""Why somebody whom a policy could reach is not paged now.

`amproxy explain`: the routes that an alert takes, what holds it back, whom it pages at once, and why not the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.check.reaching import notify_steps, reachable_policies
from amproxy.clock import rfc3339, utc
from amproxy.config import contacts
from amproxy.config.structs import Absence, Config, Integration, Notify, Policy, Schedule, User
from amproxy.grouping import placement
from amproxy.grouping.placement import RouteVisit
from amproxy.labels.matchers import all_match
from amproxy.model import Group, Page
from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import SimulatedAlert, muting_end, muting_names, muting_text, open_incident, zone_of_policy
from amproxy.simulation.incident import DELIVERABLE_CHANNELS, SimulatedIncident
from amproxy.simulation.terminal import describe_policy_end, describe_step
from amproxy.times import format_duration, to_utc, wall_to_utc

LATER_PAGE_SECONDS = 86400.0  # seconds: how far the policy is followed for a later page
NEXT_SHIFT_PERIOD = timedelta(days=60)  # how far ahead a shift is looked for


NotPagedKind = Literal["absent", "no_channel", "no_contact", "not_on_call", "not_yet", "not_asked", "on_call", "quiet", "later", "never"]


class NotPagedReason(NamedTuple):
    """One reason, and what belongs to it; the rest is empty."""

    kind: NotPagedKind
    schedule: str = ""
    at: datetime | None = None  # when an absence ends, or a shift begins
    text: str = ""  # why somebody is absent; which contacts they have
    page: Page | None = None  # that comes later


def describe_not_paged(policy: Policy, course: SimulatedIncident, at: datetime, roster: Roster) -> list[tuple[str, str]]:
    """The same in words, each with all their reasons."""
    zone = zone_of_policy(roster.config, policy)
    found = reasons_not_paged(policy, course, at, roster)
    return [(user, "; ".join(_describe_reason(reason, at, zone) for reason in why)) for user, why in found]


def reasons_not_paged(policy: Policy, course: SimulatedIncident, at: datetime, roster: Roster) -> list[tuple[str, list[NotPagedReason]]]:
    """People of the policy's schedules and teams who are not paged at `at`, each with why.

    course: what happens at `at`; it is followed for a day, with nobody answering.
    """
    paged = {page.user for page in course.pages}
    course.run(at.timestamp() + LATER_PAGE_SECONDS)
    later: dict[str, Page] = {}
    for page in course.pages:
        later.setdefault(page.user, page)
    return _NotPagedPeople(policy, at, roster).reasons(paged, later)


def _describe_reason(reason: NotPagedReason, at: datetime, zone: str) -> str:
    when = terminal.zoned_time_text(reason.at, zone) if reason.at else ""
    match reason.kind:
        case "absent":
            return f"absent until {when}" + (f" ({reason.text})" if reason.text else "")
        case "no_channel":
            return f"has no contact that amproxy can use ({reason.text})"
        case "no_contact":
            return "has no contact"
        case "not_on_call":
            return f"not on call for {reason.schedule} in the next {format_duration(NEXT_SHIFT_PERIOD.total_seconds())}"
        case "not_yet":
            return f"not on call for {reason.schedule} until {when}"
        case "not_asked":
            return f"on call for {reason.schedule}, but not asked yet"
        case "on_call":
            return f"on call for {reason.schedule}"
        case "quiet":
            return f"quiet hours until {when}"
        case "later":
            assert reason.page is not None
            after, page = terminal.elapsed_text(reason.page.due - at.timestamp()), reason.page
            return f"paged at {after} over {page.channel} if nobody answers (step {page.step}: {page.reason})"
        case _:
            return "no step of the policy gets to them"


class _NotPagedPeople:
    def __init__(self, policy: Policy, at: datetime, roster: Roster) -> None:
        self._config, self._roster = roster.config, roster
        self._at = at
        self._steps = [step for led in reachable_policies(roster.config, policy).values() for step in notify_steps(led)]
        names = dict.fromkeys(step.schedule for step in self._steps)
        self._schedules = [self._config.schedules[name] for name in names if name in self._config.schedules]

    def reasons(self, paged: set[str], later: dict[str, Page]) -> list[tuple[str, list[NotPagedReason]]]:
        users = (self._config.users.get(name) for name in self._named() if name not in paged)
        return [(user.name, self._why(user, later.get(user.name))) for user in users if user]

    def _named(self) -> dict[str, None]:
        """Everyone whom the policy could reach."""
        names = [name for step in self._steps for name in step.users]
        teams = [step.team for step in self._steps]
        for schedule in self._schedules:
            names += users_of_schedule(schedule)
            teams.append(schedule.team)
        names += [name for team in teams if team in self._config.teams for name in self._config.teams[team].members]
        return dict.fromkeys(names)

    def _why(self, user: User, later: Page | None) -> list[NotPagedReason]:
        found = []
        if away := current_absence(user, self._at):
            found.append(NotPagedReason("absent", at=wall_to_utc(away.end, ZoneInfo(user.timezone)), text=away.reason))
        if quiet := self._roster.quiet_until(user.name, self._at):
            found.append(NotPagedReason("quiet", at=quiet))
        if not has_usable_contact(user):
            found.append(NotPagedReason("no_channel", text=", ".join(user.contacts)) if user.contacts else NotPagedReason("no_contact"))
        found += self._shifts(user)
        if later:
            found.append(NotPagedReason("later", page=later))
        return found or [NotPagedReason("never")]

    def _shifts(self, user: User) -> Iterator[NotPagedReason]:
        """When the person is on call for each schedule that the policy asks."""
        for schedule in self._schedules:
            if user.name not in users_of_schedule(schedule):
                continue
            ahead = self._roster.shifts(schedule.name, self._at, self._at + NEXT_SHIFT_PERIOD)
            shift = next((shift for shift in ahead if user.name in shift.users), None)
            if shift is None:
                yield NotPagedReason("not_on_call", schedule.name)
            elif shift.start > self._at:
                yield NotPagedReason("not_yet", schedule.name, shift.start)
            else:
                yield NotPagedReason("on_call" if self._roster.quiet_until(user.name, self._at) else "not_asked", schedule.name)


def users_of_schedule(schedule: Schedule) -> list[str]:
    """Everyone whom a schedule of the file names."""
    overriding = [name for override in schedule.overrides for name in override.users]
    return [name for layer in schedule.layers for turn in layer.users for name in turn] + overriding


def current_absence(user: User, at: datetime) -> Absence | None:
    """The absence that holds; of several, the one that ends last."""
    zone = ZoneInfo(user.timezone)
    holding = [away for away in user.absences if wall_to_utc(away.start, zone) <= at < wall_to_utc(away.end, zone)]
    return max(holding, key=lambda away: away.end, default=None)


def has_usable_contact(user: User) -> bool:
    """Whether amproxy has a channel to a person at all."""
    rules = (*contacts.notification_rules(user, "default"), *contacts.notification_rules(user, "important"))
    channels = {channel for rule in rules if isinstance(rule, Notify) for channel in rule.channels} | user.contacts.keys()
    return any(channel in DELIVERABLE_CHANNELS and contacts.contact_address(user, channel) for channel in channels)


_LIVE_ONLY_NOTE = (
    "Silences, pages of other incidents and what was changed by hand (overrides, swaps, absences, maintenance) are known only to "
    "the running service."
)


class ExplainedGroup(NamedTuple):
    """A group's way to people; `course` is what happens at once, None where the group is muted."""

    group: Group
    integration: Integration
    muted_by: list[str]
    course: SimulatedIncident | None


def explain(config: Config, labels: Mapping[str, str], at: datetime, roster: Roster) -> dict[str, Any]:
    """The JSON of the command: `pages` are those that arrive at once if the group is notified at `at` (aware)."""
    entry, now = SimulatedAlert(config, labels), to_utc(at).timestamp()
    pages = [page for way in explain_groups(entry, now, roster) if way.course for page in way.course.pages]
    return entry.document(now, pages, roster)


def explain_text(config: Config, labels: Mapping[str, str], at: datetime, roster: Roster) -> str:
    """The same in words, with the policy, and why other people are not paged."""
    entry, now = SimulatedAlert(config, labels), to_utc(at).timestamp()
    ways = explain_groups(entry, now, roster)
    zone = zone_of_policy(config, entry.policy(ways[0].integration)) if ways else "UTC"
    lines = [*terminal.wrap_hanging("Alert   ", terminal.labels_text(entry.labels))]
    lines += terminal.wrap_hanging("At      ", f"{terminal.zoned_time_text(now, zone)} {zone} ({rfc3339(now)})")
    lines += ["", "Routes", *_route_lines(placement.explain(config.route, entry.labels), entry.labels, 1)]
    for group in entry.groups:
        lines += ["", *_group_lines(entry, group, now, roster)]
    for way in ways:
        lines += ["", *_policy_lines(entry, way, now, roster)]
    if not ways:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    return "\n".join([*lines, "", *terminal.wrap_hanging("", _LIVE_ONLY_NOTE)])


def explain_groups(entry: SimulatedAlert, now: float, roster: Roster) -> list[ExplainedGroup]:
    """What an alert causes if its groups are notified at `now` (Unix seconds): one way for each oncall integration."""
    turns: dict[str, int] = {}
    ways = []
    for group, integration in entry.oncall:
        by = muting_names(group, entry.labels, roster, now)
        incident = open_incident(entry.config, group, integration, entry.labels, 1, now)
        ways.append(ExplainedGroup(group, integration, by, None if by else SimulatedIncident(incident, roster, turns)))
    return ways


def _route_lines(visit: RouteVisit, labels: Mapping[str, str], depth: int) -> Iterator[str]:
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
    yield from terminal.wrap_hanging("  " * depth + mark + " ", text)
    for child in visit.children:
        yield from _route_lines(child, labels, depth + 1)
    if visit.children and len(visit.children) < len(visit.route.routes):
        yield from terminal.wrap_hanging("  " * (depth + 1), "(the routes after it are not looked at: it has no continue)")


def _group_lines(entry: SimulatedAlert, group: Group, now: float, roster: Roster) -> Iterator[str]:
    yield from terminal.wrap_hanging("Group   ", group.key)
    told = (
        f"{one.kind} (cannot be delivered: {one.undeliverable})" if one.undeliverable else one.kind
        for one in _integrations_of(entry, group)
    )
    yield from terminal.wrap_hanging("  ", f"receiver {group.receiver}: {', '.join(told) or 'tells nobody'}")
    if by := muting_names(group, entry.labels, roster, now):
        until = muting_end(group, entry.labels, roster, now)
        zone = _zone_of_group(entry, group)
        end = f"until {terminal.zoned_time_text(until, zone)} {zone}" if until else "for years"
        yield from terminal.wrap_hanging("  ", f"{muting_text(group, by)} {end}")
    else:
        yield "  not muted by a time interval, not in maintenance"
    for rule in entry.config.inhibit_rules:
        if all_match(rule.target_matchers, entry.labels):
            source = "{" + ", ".join(map(str, rule.source_matchers)) + "}"
            equal = f" with the same {', '.join(rule.equal)}" if rule.equal else ""
            yield from terminal.wrap_hanging("  ", f"would be inhibited while an alert {source}{equal} fires")


def _integrations_of(entry: SimulatedAlert, group: Group) -> tuple[Integration, ...]:
    return entry.receiver(group).integrations


def _zone_of_group(entry: SimulatedAlert, group: Group) -> str:
    return next((zone_of_policy(entry.config, entry.policy(one)) for other, one in entry.oncall if other is group), "UTC")


def _policy_lines(entry: SimulatedAlert, way: ExplainedGroup, now: float, roster: Roster) -> Iterator[str]:
    config, policy = entry.config, entry.policy(way.integration)
    zone = zone_of_policy(config, policy)
    for led in reachable_policies(config, policy).values():
        yield from terminal.wrap_hanging("Policy  ", led.name)
        for number, one in enumerate(led.steps, 1):
            yield from terminal.wrap_hanging(f"  {number:>2}. ", describe_step(config, one))
        yield from terminal.wrap_hanging("      ", describe_policy_end(config, led))
    if way.course is None:
        yield from terminal.wrap_hanging("Paged now: ", f"nobody, because the group is {muting_text(way.group, way.muted_by)}")
        return
    yield from terminal.wrap_hanging("Paged now: ", f'incident "{way.course.incident.title}"' if way.course.pages else "nobody")
    for _, text in terminal.describe_timeline(config, way.course.facts):
        yield from terminal.wrap_hanging("  ", text)
    incident, due = way.course.incident, way.course.due
    if incident.waiting_for and not way.course.pages:
        when = f" ({terminal.zoned_time_text(due, zone)} {zone})" if incident.step_due is not None and due is not None else ""
        yield from terminal.wrap_hanging("  ", f"Next: {incident.waiting_for}{when}.")
    reasons = describe_not_paged(policy, way.course, utc(now), roster)
    if reasons:
        yield "Not paged now"
    for user, reason in reasons:
        yield from terminal.wrap_hanging("  ", f"{terminal.person_name(config, user)}: {reason}")
