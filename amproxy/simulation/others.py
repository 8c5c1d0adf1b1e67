"""Why somebody whom a policy could reach is not paged now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.check.reaching import led_to, notify_steps
from amproxy.config import contacts
from amproxy.config.structs import Absence, Notify, Policy, Schedule, User
from amproxy.model import Page
from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import zone_of
from amproxy.simulation.incident import CHANNELS, Course
from amproxy.times import format_duration
from amproxy.zones import moment

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
