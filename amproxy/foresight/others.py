"""Why somebody whom a policy could reach is not paged now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from amproxy.config.reaching import led_to, notify_steps
from amproxy.config.structs import Absence, Notify, Policy, Schedule, User
from amproxy.decide import people
from amproxy.decide.roster import Roster
from amproxy.decide.zones import moment
from amproxy.durations import format_duration
from amproxy.foresight import render
from amproxy.foresight.course import CHANNELS, Course
from amproxy.foresight.entry import zone_of
from amproxy.model import Page

LOOK = 86400.0  # seconds: how far the policy is followed for a later page
SHIFTS = timedelta(days=60)  # how far ahead a shift is looked for


def others(policy: Policy, course: Course, at: datetime, roster: Roster) -> list[tuple[str, str]]:
    """People of the policy's schedules and teams who are not paged at `at`, each with the reason.

    course: what happens at `at`; it is followed for a day, with nobody answering.
    """
    paged = {page.user for page in course.pages}
    course.run(at.timestamp() + LOOK)
    later: dict[str, Page] = {}
    for page in course.pages:
        later.setdefault(page.user, page)
    return _Others(policy, at, roster).reasons(paged, later)


class _Others:
    def __init__(self, policy: Policy, at: datetime, roster: Roster) -> None:
        self._config, self._roster = roster.config, roster
        self._at, self._zone = at, zone_of(roster.config, policy)
        self._steps = [step for led in led_to(roster.config, policy).values() for step in notify_steps(led)]
        names = dict.fromkeys(step.schedule for step in self._steps)
        self._schedules = [self._config.schedules[name] for name in names if name in self._config.schedules]

    def reasons(self, paged: set[str], later: dict[str, Page]) -> list[tuple[str, str]]:
        users = (self._config.users.get(name) for name in self._named() if name not in paged)
        return [(user.name, "; ".join(self._why(user, later.get(user.name)))) for user in users if user]

    def _named(self) -> dict[str, None]:
        """Everyone whom the policy could reach."""
        names = [name for step in self._steps for name in step.users]
        teams = [step.team for step in self._steps]
        for schedule in self._schedules:
            names += scheduled(schedule)
            teams.append(schedule.team)
        names += [name for team in teams if team in self._config.teams for name in self._config.teams[team].members]
        return dict.fromkeys(names)

    def _why(self, user: User, later: Page | None) -> list[str]:
        reasons = []
        if away := absence(user, self._at):
            end = moment(away.end, ZoneInfo(user.timezone))
            reasons.append(f"absent until {render.when(end, self._zone)}" + (f" ({away.reason})" if away.reason else ""))
        if quiet := self._roster.quiet_until(user.name, self._at):
            reasons.append(f"quiet hours until {render.when(quiet, self._zone)}")
        if not reachable(user):
            reasons.append(f"has no contact that amproxy can use ({', '.join(user.contacts)})" if user.contacts else "has no contact")
        reasons += self._shifts(user)
        if later:
            after = render.elapsed(later.due - self._at.timestamp())
            reasons.append(f"paged at {after} over {later.channel} if nobody answers (step {later.step}: {later.reason})")
        return reasons or ["no step of the policy gets to them"]

    def _shifts(self, user: User) -> Iterator[str]:
        """When the person is on call for each schedule that the policy asks."""
        for schedule in self._schedules:
            if user.name not in scheduled(schedule):
                continue
            ahead = self._roster.shifts(schedule.name, self._at, self._at + SHIFTS)
            shift = next((shift for shift in ahead if user.name in shift.users), None)
            if shift is None:
                yield f"not on call for {schedule.name} in the next {format_duration(SHIFTS.total_seconds())}"
            elif shift.start > self._at:
                yield f"not on call for {schedule.name} until {render.when(shift.start, self._zone)}"
            else:
                waits = self._roster.quiet_until(user.name, self._at)
                yield f"on call for {schedule.name}" + ("" if waits else ", but not asked yet")


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
    rules = (*people.rules(user, "default"), *people.rules(user, "important"))
    channels = {channel for rule in rules if isinstance(rule, Notify) for channel in rule.channels} | user.contacts.keys()
    return any(channel in CHANNELS and people.address(user, channel) for channel in channels)
