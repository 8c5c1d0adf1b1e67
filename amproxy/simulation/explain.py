"""`amproxy explain`: the routes of an alert, what mutes it, who is paged at once, and who is not.

Everybody whom the policy could reach, and is not paged now, comes with the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.check.reaching import notify_steps, reachable_policies
from amproxy.clock import rfc3339, utc
from amproxy.config.channels import contact_channels, is_deliverable, own_channels
from amproxy.config.structs import Absence, Config, Integration, Policy, Schedule, User
from amproxy.grouping import placement
from amproxy.grouping.placement import RouteVisit
from amproxy.labels.matchers import all_match
from amproxy.model import Group, Page
from amproxy.oncall.reachable import person_reachability
from amproxy.oncall.roster import Roster
from amproxy.simulation.alert import (
    GroupMuting,
    SimulatedAlert,
    alerts_document,
    group_muting,
    muting_end,
    zone_of_policy,
)
from amproxy.simulation.group import SimulatedFiring, SimulatedGroup
from amproxy.simulation.incident import SimulatedIncident
from amproxy.simulation.surroundings import SimulatedSurroundings
from amproxy.simulation.terminal import (
    describe_policy_end,
    describe_step,
    describe_timeline,
    elapsed_text,
    labels_text,
    person_name,
    reason_text,
    wrap_hanging,
    zoned_time_text,
)
from amproxy.text import Phrase
from amproxy.text.render import in_english
from amproxy.times import format_duration, to_utc, wall_to_utc

LATER_PAGE_SECONDS: Final = 86400.0  # for which the policy is followed for a later page
NEXT_SHIFT_PERIOD: Final = timedelta(days=60)  # in which a next shift is searched
_LIVE_ONLY_NOTE: Final = (
    "Silences, pages of other incidents and what was changed by hand"
    " (overrides, swaps, absences, maintenance) are known only to the running service."
)

NotPagedKind = Literal[
    "absent",
    "no_channel",
    "no_contact",
    "not_on_call",
    "not_yet",
    "not_asked",
    "on_call",
    "quiet",
    "later",
    "never",
]


class NotPagedReason(NamedTuple):
    """One reason, and what belongs to it; the rest is empty."""

    kind: NotPagedKind
    schedule: str = ""
    at: datetime | None = None  # when an absence ends, or a shift begins
    text: str = ""  # the reason of an absence
    why: Phrase | None = None  # what is wrong with the contacts that somebody has
    page: Page | None = None  # that comes later


class ExplainedGroup(NamedTuple):
    """A group and one oncall integration, with the incident that it opens at once."""

    group: Group
    integration: Integration
    muting: GroupMuting
    simulated: SimulatedIncident | None  # None where the group is muted


def explain(
    config: Config, labels: Mapping[str, str], at: datetime, roster: Roster
) -> dict[str, Any]:
    """Return the JSON of the command.

    Its pages are those that arrive at once if the group is flushed at `at` (aware).
    """
    alert, now = SimulatedAlert(config, labels), to_utc(at).timestamp()
    surroundings = SimulatedSurroundings(roster)
    pages = [
        page
        for explained in explain_groups(alert, now, surroundings)
        if explained.simulated
        for page in explained.simulated.pages
    ]
    return alerts_document([alert], now, pages, surroundings)


def explain_text(config: Config, labels: Mapping[str, str], at: datetime, roster: Roster) -> str:
    """Return the same in words, with the policy, and why other people are not paged."""
    alert, now = SimulatedAlert(config, labels), to_utc(at).timestamp()
    surroundings = SimulatedSurroundings(roster)
    explained = explain_groups(alert, now, surroundings)
    zone = zone_of_policy(config, alert.policy(explained[0].integration)) if explained else "UTC"
    visit = placement.explain(config.route, alert.labels)
    lines = wrap_hanging("Alert   ", labels_text(alert.labels))
    lines += wrap_hanging("At      ", f"{zoned_time_text(now, zone)} {zone} ({rfc3339(now)})")
    lines += ["", "Routes", *_route_lines(visit, alert.labels, 1)]
    for group in alert.groups:
        lines += ["", *_group_lines(alert, group, now, surroundings)]
    for one in explained:
        lines += ["", *_policy_lines(alert, one, now, roster)]
    if not explained:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    return "\n".join([*lines, "", *wrap_hanging("", _LIVE_ONLY_NOTE)])


def explain_groups(
    alert: SimulatedAlert, now: float, surroundings: SimulatedSurroundings
) -> list[ExplainedGroup]:
    """Flush the groups of an alert at `now` (Unix seconds): one entry per oncall integration."""
    firing = SimulatedFiring(alert.labels, sender=alert.placement.fingerprint)
    surroundings.add_sources(alert.placement.sources, alert.firing(now))
    explained = []
    for group, integration in alert.oncall:
        simulated = SimulatedGroup(group, integration, surroundings)
        simulated.receive("", firing, now)
        simulated.flush(now)
        muting = group_muting(group, [alert.firing(now)], surroundings, now)
        explained.append(ExplainedGroup(group, integration, muting, simulated.last_incident))
    return explained


def _route_lines(visit: RouteVisit, labels: Mapping[str, str], depth: int) -> Iterator[str]:
    """The tree as it was walked: + matches, - does not, * is where the alert lands."""
    mark = "*" if visit.taken else "+" if visit.matched else "-"
    conditions = ", ".join(map(str, visit.route.matchers))
    text = f"{visit.route.receiver} {{{conditions}}}" if conditions else visit.route.receiver
    if visit.failed:
        value = labels.get(visit.failed.name)
        given = f"it is {value!r}" if value else f"there is no label {visit.failed.name}"
        text += f": {visit.failed} does not hold, {given}"
    elif visit.taken:
        text += ": lands here" + (", and goes on (continue)" if visit.route.continue_ else "")
    else:
        text += ": matches, and a route below takes it"
    yield from wrap_hanging("  " * depth + mark + " ", text)
    for child in visit.children:
        yield from _route_lines(child, labels, depth + 1)
    if visit.children and len(visit.children) < len(visit.route.routes):
        yield from wrap_hanging(
            "  " * (depth + 1), "(the routes after it are not looked at: it has no continue)"
        )


def _group_lines(
    alert: SimulatedAlert, group: Group, now: float, surroundings: SimulatedSurroundings
) -> Iterator[str]:
    yield from wrap_hanging("Group   ", group.key)
    kinds = [
        f"{one.kind} (cannot be delivered: {in_english(one.undeliverable)})"
        if one.undeliverable
        else one.kind
        for one in alert.receiver(group).integrations
    ]
    yield from wrap_hanging(
        "  ", f"receiver {group.receiver}: {', '.join(kinds) or 'tells nobody'}"
    )
    firing = [alert.firing(now)]
    muting = group_muting(group, firing, surroundings, now)
    if muting.is_muted:
        until = muting_end(group, firing, surroundings, now)
        zone = _zone_of_group(alert, group)
        end = f"until {zoned_time_text(until, zone)} {zone}" if until else "for years"
        yield from wrap_hanging("  ", f"{reason_text(alert.config, muting.why)} {end}")
    else:
        yield "  not muted by a time interval, not in maintenance"
    for rule in alert.config.inhibit_rules:
        if all_match(rule.target_matchers, alert.labels):
            source = "{" + ", ".join(map(str, rule.source_matchers)) + "}"
            equal = f" with the same {', '.join(rule.equal)}" if rule.equal else ""
            yield from wrap_hanging(
                "  ", f"would be inhibited while an alert {source}{equal} fires"
            )


def _zone_of_group(alert: SimulatedAlert, group: Group) -> str:
    for other, integration in alert.oncall:
        if other is group:
            return zone_of_policy(alert.config, alert.policy(integration))
    return "UTC"


def _policy_lines(
    alert: SimulatedAlert, explained: ExplainedGroup, now: float, roster: Roster
) -> Iterator[str]:
    config, policy = alert.config, alert.policy(explained.integration)
    for reachable in reachable_policies(config, policy).values():
        yield from wrap_hanging("Policy  ", reachable.name)
        for number, step in enumerate(reachable.steps, 1):
            yield from wrap_hanging(f"  {number:>2}. ", describe_step(config, step))
        yield from wrap_hanging("      ", describe_policy_end(config, reachable))
    simulated = explained.simulated
    if simulated is None:
        text = f"nobody, because the group is {reason_text(config, explained.muting.why)}"
        yield from wrap_hanging("Paged now: ", text)
        return
    paged = f'incident "{simulated.incident.title}"' if simulated.pages else "nobody"
    yield from wrap_hanging("Paged now: ", paged)
    zone = zone_of_policy(config, policy)
    for _, text in describe_timeline(config, simulated.entries, zone):
        yield from wrap_hanging("  ", text)
    if not simulated.pages:
        yield from _next_step_lines(config, simulated, zone_of_policy(config, policy))
    not_paged = describe_not_paged(policy, simulated, utc(now), roster)
    if not_paged:
        yield "Not paged now"
    for user, reasons in not_paged:
        yield from wrap_hanging("  ", f"{person_name(config, user)}: {reasons}")


def _next_step_lines(config: Config, simulated: SimulatedIncident, zone: str) -> Iterator[str]:
    incident, due = simulated.incident, simulated.due
    if incident.waiting_for:
        at = ""
        if incident.step_due is not None and due is not None:
            at = f" ({zoned_time_text(due, zone)} {zone})"
        waiting_for = reason_text(config, incident.waiting_for)
        yield from wrap_hanging("  ", f"Next: {waiting_for}{at}.")


def describe_not_paged(
    policy: Policy, simulated: SimulatedIncident, at: datetime, roster: Roster
) -> list[tuple[str, str]]:
    """Return reasons_not_paged in words: each person with all reasons in one text."""
    zone = zone_of_policy(roster.config, policy)
    return [
        (user, "; ".join(_describe_reason(roster.config, reason, at, zone) for reason in reasons))
        for user, reasons in reasons_not_paged(policy, simulated, at, roster)
    ]


def reasons_not_paged(
    policy: Policy, simulated: SimulatedIncident, at: datetime, roster: Roster
) -> list[tuple[str, list[NotPagedReason]]]:
    """Return the people of the policy's schedules and teams who are not paged at `at`.

    simulated: an incident that opens at `at`; it is run for a day more, with nobody answering.
    """
    paged = {page.user for page in simulated.pages}
    simulated.run(at.timestamp() + LATER_PAGE_SECONDS)
    later: dict[str, Page] = {}
    for page in simulated.pages:
        later.setdefault(page.user, page)
    return _NotPagedPeople(policy, at, roster).reasons(paged, later)


class _NotPagedPeople:
    """The people of a policy at one time."""

    def __init__(self, policy: Policy, at: datetime, roster: Roster) -> None:
        self._config, self._roster, self._at = roster.config, roster, at
        self._steps = [
            step
            for reachable in reachable_policies(roster.config, policy).values()
            for step in notify_steps(reachable)
        ]
        names = dict.fromkeys(step.schedule for step in self._steps)
        known = self._config.schedules
        self._schedules = [known[name] for name in names if name in known]

    def reasons(
        self, paged: set[str], later: dict[str, Page]
    ) -> list[tuple[str, list[NotPagedReason]]]:
        """Return the reasons for all but the paged; later: user → their first page after `at`."""
        names = [name for name in self._reachable_names() if name not in paged]
        users = [self._config.users[name] for name in names if name in self._config.users]
        return [(user.name, self._reasons_for(user, later.get(user.name))) for user in users]

    def _reachable_names(self) -> dict[str, None]:
        names = [name for step in self._steps for name in step.users]
        teams = [step.team for step in self._steps]
        for schedule in self._schedules:
            names += users_of_schedule(schedule)
            teams.append(schedule.team)
        for team in teams:
            if team in self._config.teams:
                names += self._config.teams[team].members
        return dict.fromkeys(names)

    def _reasons_for(self, user: User, later: Page | None) -> list[NotPagedReason]:
        reasons = []
        if absence := current_absence(user, self._at):
            end = wall_to_utc(absence.end, ZoneInfo(user.timezone))
            reasons.append(NotPagedReason("absent", at=end, text=absence.reason))
        if quiet := self._roster.quiet_until(user.name, self._at):
            reasons.append(NotPagedReason("quiet", at=quiet))
        if not user.contacts and not has_usable_contact(self._config, user):
            reasons.append(NotPagedReason("no_contact"))
        elif not has_usable_contact(self._config, user):
            why = person_reachability(self._config, user, {}).why_not
            reasons.append(NotPagedReason("no_channel", why=why))
        reasons += self._shift_reasons(user)
        if later:
            reasons.append(NotPagedReason("later", page=later))
        return reasons or [NotPagedReason("never")]

    def _shift_reasons(self, user: User) -> Iterator[NotPagedReason]:
        """The next shift of the person in each schedule that names them."""
        for schedule in self._schedules:
            if user.name not in users_of_schedule(schedule):
                continue
            ahead = self._roster.shifts(schedule.name, self._at, self._at + NEXT_SHIFT_PERIOD)
            shift = next((shift for shift in ahead if user.name in shift.users), None)
            if shift is None:
                yield NotPagedReason("not_on_call", schedule.name)
            elif shift.start > self._at:
                yield NotPagedReason("not_yet", schedule.name, shift.start)
            elif self._roster.quiet_until(user.name, self._at):
                yield NotPagedReason("on_call", schedule.name)
            else:
                yield NotPagedReason("not_asked", schedule.name)


def _describe_reason(config: Config, reason: NotPagedReason, at: datetime, zone: str) -> str:
    when = zoned_time_text(reason.at, zone) if reason.at else ""
    match reason.kind:
        case "absent":
            return f"absent until {when}" + (f" ({reason.text})" if reason.text else "")
        case "no_channel":
            assert reason.why is not None
            return f"has no contact that amproxy can use ({in_english(reason.why)})"
        case "no_contact":
            return "has no contact"
        case "not_on_call":
            period = format_duration(NEXT_SHIFT_PERIOD.total_seconds())
            return f"not on call for {reason.schedule} in the next {period}"
        case "not_yet":
            return f"not on call for {reason.schedule} until {when}"
        case "not_asked":
            return f"on call for {reason.schedule}, but not asked yet"
        case "on_call":
            return f"on call for {reason.schedule}"
        case "quiet":
            return f"quiet hours until {when}"
        case "later":
            page = reason.page
            assert page is not None
            after = elapsed_text(page.due - at.timestamp())
            step = f"step {page.step}: {reason_text(config, page.reason)}"
            return f"paged at {after} over {page.channel} if nobody answers ({step})"
        case _:
            return "no step of the policy gets to them"


def users_of_schedule(schedule: Schedule) -> list[str]:
    """Return everyone whom a schedule of the file names, maybe more than once."""
    names = [name for layer in schedule.layers for turn in layer.users for name in turn]
    return names + [name for override in schedule.overrides for name in override.users]


def current_absence(user: User, at: datetime) -> Absence | None:
    """Return the absence in force; of several, the one that ends last."""
    zone = ZoneInfo(user.timezone)
    in_force = [
        absence
        for absence in user.absences
        if wall_to_utc(absence.start, zone) <= at < wall_to_utc(absence.end, zone)
    ]
    return max(in_force, key=lambda absence: absence.end, default=None)


def has_usable_contact(config: Config, user: User) -> bool:
    """Check whether a page can be delivered to a person at all, by a rule or without one."""
    channels = (*contact_channels(user), *own_channels(user))
    return any(is_deliverable(config, user, channel) for channel in channels)
