"""What is on record of one incident, read with one person in mind: what ran when, and what put an end to it."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import ForwardStep, Policy, ResolveStep, Wait, WaitForAlertsStep, WaitUntilStep
from amproxy.model import Incident, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.simulation.terminal import person

STARTS = frozenset({"opened", "unacknowledged", "triggered", "reopened"})  # the policy begins, or begins anew
STOPS = {"acknowledged": "acknowledged", "snoozed": "snoozed", "resolved": "resolved", "merged": "merged"}  # nothing of it runs any more


class Account:
    """timeline: oldest first. Times are told on the person's clock."""

    def __init__(self, incident: Incident, timeline: Sequence[TimelineEntry], user: str, roster: Roster) -> None:
        self.incident, self.timeline, self.user, self.roster = incident, timeline, user, roster
        self.known = roster.config.users.get(user)  # None: the file of today does not name them
        self.name = person(roster.config, user)
        self._zone = ZoneInfo(self.known.timezone if self.known else "UTC")
        self._began, self.stop = self._last_run()

    def when(self, at: float) -> str:
        """ "Tue 2026-01-06 11:05:00 CET" """
        return f"{utc(at).astimezone(self._zone):%a %Y-%m-%d %H:%M:%S %Z}"

    def told(self, entry: TimelineEntry) -> str:
        """An entry as a sentence with its time."""
        return f"At {self.when(entry.at)}: {entry.text}"

    def stopped(self) -> str:
        """What put an end to the last run: "bob acknowledged it at …"; "" = it still runs, or ran to its end."""
        if self.stop is None:
            return ""
        if not self.stop.user:
            return f"this happened at {self.when(self.stop.at)}: {self.stop.text}".rstrip(".")
        return f"{person(self.roster.config, self.stop.user)} {STOPS[self.stop.kind]} it at {self.when(self.stop.at)}"

    def plans(self) -> list[Policy]:
        """The policies that ran, the one in force last. One that handed over is known only as the file has it now."""
        names = dict.fromkeys(entry.policy for entry in self.timeline if entry.policy and entry.policy != self.incident.policy)
        known = (self.incident.forwards.get(name) or self.roster.config.policies.get(name) for name in names)
        return [*(plan for plan in known if plan), self.incident.plan]

    def ran(self, policy: str, step: int) -> TimelineEntry | None:
        """What a step wrote when it ran last."""
        found = (entry for entry in reversed(self.timeline) if _of_step(entry) and (entry.policy, entry.step) == (policy, step))
        return next(found, None)

    def asked(self, entry: TimelineEntry) -> bool:
        """Whether the step that wrote an entry asked for the person: by its data, else by the names in its text."""
        users = entry.data.get("users")
        if isinstance(users, list):
            return self.user in users
        if entry.kind == "nobody":
            return entry.text.endswith((f" falling back to {self.name}.", f" falling back to {self.user}."))
        named = entry.text.partition(" (")[0].partition("paging ")[2].split(", ")
        return self.name in named or self.user in named

    def expected(self, step: int) -> float | None:
        """When a step of the plan in force, which did not run, is due or would have been; None = nobody can say."""
        incident = self.incident
        if self.stop is None:
            if incident.step_due is None or step <= incident.position:
                return None
            return self._after(incident.position, incident.step_due, step)
        run = [entry for entry in self.timeline[self._began :] if entry.policy == incident.policy and entry.at <= self.stop.at]
        last = next((entry for entry in reversed(run) if _of_step(entry) or entry.kind == "repeat"), None)
        if last is None:
            resumed = bool(run) and run[0].kind == "triggered" and incident.plan.after_snooze == "resume"
            if resumed or not run or incident.held_until is not None:
                return None
            return self._after(0, run[0].at, step)
        if last.kind == "nobody" and incident.position < last.step:  # it waited for a shift
            return None
        return self._after(incident.plan.repeat_from - 1 if last.kind == "repeat" else last.step, last.at, step)

    def _after(self, position: int, at: float, step: int) -> float | None:
        """When `step` runs, if the step after `position` runs at `at`."""
        for between in self.incident.plan.steps[position : step - 1]:
            if isinstance(between, Wait):
                at += between.seconds
            elif isinstance(between, WaitUntilStep) and self.roster.known((between.interval,)):
                opens = self.roster.opens(between.interval, utc(at))
                at = max(at, opens.timestamp()) if opens else at
            elif isinstance(between, WaitForAlertsStep | ForwardStep | ResolveStep):
                return None
        return at

    def _last_run(self) -> tuple[int, TimelineEntry | None]:
        """Where in the timeline the policy began last, and what ended that run."""
        began, stop = 0, None
        for place, entry in enumerate(self.timeline):
            by_hand = entry.kind == "escalated" and stop is not None and stop.kind != "resolved"
            if entry.kind in STARTS or by_hand:
                began, stop = place, None
            elif entry.kind in STOPS and stop is None:
                stop = entry
        return began, stop


def _of_step(entry: TimelineEntry) -> bool:
    """Whether a step of a policy wrote it: not a person's rules, and not a delivery."""
    return bool(entry.step) and not entry.user and not entry.channel
