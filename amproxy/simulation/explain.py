"""Why somebody whom a policy could reach is not paged now.

`amproxy explain`: the routes that an alert takes, what holds it back, whom it pages at once, and why not the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.check.reaching import led_to, notify_steps
from amproxy.clock import rfc3339, utc
from amproxy.config import contacts
from amproxy.config.structs import Absence, Config, Integration, Notify, Policy, Schedule, User
from amproxy.grouping import placement
from amproxy.grouping.placement import Visit
from amproxy.labels.matchers import all_match
from amproxy.model import Group, Page
from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import Entry, because, muting, opening, still_muted, zone_of
from amproxy.simulation.incident import CHANNELS, Course
from amproxy.simulation.terminal import ending, step
from amproxy.times import format_duration, instant, moment

LOOK = 86400.0  # seconds: how far the policy is followed for a later page
SHIFTS = timedelta(days=60)  # how far ahead a shift is looked for


Kind = Literal["absent", "no_channel", "no_contact", "not_on_call", "not_yet", "not_asked", "on_call", "quiet", "later", "never"]


class Reason(NamedTuple):
    """One reason, and what belongs to it; the rest is empty."""

    kind: Kind
    schedule: str = ""
    at: datetime | None = None  # when an absence ends, or a shift begins
    text: str = ""  # why somebody is absent; which contacts they have
    page: Page | None = None  # that comes later


def others(policy: Policy, course: Course, at: datetime, roster: Roster) -> list[tuple[str, str]]:
    """The same in words, each with all their reasons."""
    zone = zone_of(roster.config, policy)
    found = reasons(policy, course, at, roster)
    return [(user, "; ".join(_words(reason, at, zone) for reason in why)) for user, why in found]


def reasons(policy: Policy, course: Course, at: datetime, roster: Roster) -> list[tuple[str, list[Reason]]]:
    """People of the policy's schedules and teams who are not paged at `at`, each with why.

    course: what happens at `at`; it is followed for a day, with nobody answering.
    """
    paged = {page.user for page in course.pages}
    course.run(at.timestamp() + LOOK)
    later: dict[str, Page] = {}
    for page in course.pages:
        later.setdefault(page.user, page)
    return _Others(policy, at, roster).reasons(paged, later)


def _words(reason: Reason, at: datetime, zone: str) -> str:
    when = terminal.when(reason.at, zone) if reason.at else ""
    match reason.kind:
        case "absent":
            return f"absent until {when}" + (f" ({reason.text})" if reason.text else "")
        case "no_channel":
            return f"has no contact that amproxy can use ({reason.text})"
        case "no_contact":
            return "has no contact"
        case "not_on_call":
            return f"not on call for {reason.schedule} in the next {format_duration(SHIFTS.total_seconds())}"
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
            after, page = terminal.elapsed(reason.page.due - at.timestamp()), reason.page
            return f"paged at {after} over {page.channel} if nobody answers (step {page.step}: {page.reason})"
        case _:
            return "no step of the policy gets to them"


class _Others:
    def __init__(self, policy: Policy, at: datetime, roster: Roster) -> None:
        self._config, self._roster = roster.config, roster
        self._at = at
        self._steps = [step for led in led_to(roster.config, policy).values() for step in notify_steps(led)]
        names = dict.fromkeys(step.schedule for step in self._steps)
        self._schedules = [self._config.schedules[name] for name in names if name in self._config.schedules]

    def reasons(self, paged: set[str], later: dict[str, Page]) -> list[tuple[str, list[Reason]]]:
        users = (self._config.users.get(name) for name in self._named() if name not in paged)
        return [(user.name, self._why(user, later.get(user.name))) for user in users if user]

    def _named(self) -> dict[str, None]:
        """Everyone whom the policy could reach."""
        names = [name for step in self._steps for name in step.users]
        teams = [step.team for step in self._steps]
        for schedule in self._schedules:
            names += scheduled(schedule)
            teams.append(schedule.team)
        names += [name for team in teams if team in self._config.teams for name in self._config.teams[team].members]
        return dict.fromkeys(names)

    def _why(self, user: User, later: Page | None) -> list[Reason]:
        found = []
        if away := absence(user, self._at):
            found.append(Reason("absent", at=moment(away.end, ZoneInfo(user.timezone)), text=away.reason))
        if quiet := self._roster.quiet_until(user.name, self._at):
            found.append(Reason("quiet", at=quiet))
        if not reachable(user):
            found.append(Reason("no_channel", text=", ".join(user.contacts)) if user.contacts else Reason("no_contact"))
        found += self._shifts(user)
        if later:
            found.append(Reason("later", page=later))
        return found or [Reason("never")]

    def _shifts(self, user: User) -> Iterator[Reason]:
        """When the person is on call for each schedule that the policy asks."""
        for schedule in self._schedules:
            if user.name not in scheduled(schedule):
                continue
            ahead = self._roster.shifts(schedule.name, self._at, self._at + SHIFTS)
            shift = next((shift for shift in ahead if user.name in shift.users), None)
            if shift is None:
                yield Reason("not_on_call", schedule.name)
            elif shift.start > self._at:
                yield Reason("not_yet", schedule.name, shift.start)
            else:
                yield Reason("on_call" if self._roster.quiet_until(user.name, self._at) else "not_asked", schedule.name)


def scheduled(schedule: Schedule) -> list[str]:
    """Everyone whom a schedule of the file names."""
    overriding = [name for override in schedule.overrides for name in override.users]
    return [name for layer in schedule.layers for turn in layer.users for name in turn] + overriding


def absence(user: User, at: datetime) -> Absence | None:
    """The absence that holds; of several, the one that ends last."""
    zone = ZoneInfo(user.timezone)
    holding = [away for away in user.absences if moment(away.start, zone) <= at < moment(away.end, zone)]
    return max(holding, key=lambda away: away.end, default=None)


def reachable(user: User) -> bool:
    """Whether amproxy has a channel to a person at all."""
    rules = (*contacts.rules(user, "default"), *contacts.rules(user, "important"))
    channels = {channel for rule in rules if isinstance(rule, Notify) for channel in rule.channels} | user.contacts.keys()
    return any(channel in CHANNELS and contacts.address(user, channel) for channel in channels)


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
    lines += ["", "Routes", *_routes(placement.explain(config.route, entry.labels), entry.labels, 1)]
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
