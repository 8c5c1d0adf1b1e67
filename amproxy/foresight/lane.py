"""One group's way to people under a virtual clock: what it is told of its alerts, and the incidents that this opens.

A group is looked at as the service flushes it: first when it has waited, then at every tick of its interval. The looks that would
change nothing are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from amproxy.config.structs import Integration
from amproxy.correlate.dedup import needs_notify
from amproxy.decide.roster import Roster
from amproxy.errors import Conflict
from amproxy.foresight.course import Course, Fact, Refusal, Turns
from amproxy.foresight.entry import opening
from amproxy.foresight.mute import because, muting, still_muted
from amproxy.machine.events import Act, AlertsChanged, Returned, Tick
from amproxy.model import Group, LogEntry, Reason, TimelineEntry, common

LATE = 0.001  # seconds: a timer is never quite punctual, and so what is due after an interval is due when it has passed

# What goes first at one moment: an answer is heard before the next step runs, and there must be an incident to answer.
LOOK, ANSWER, TICK = range(3)


class Firing(NamedTuple):
    """Alerts that come and go together."""

    labels: Mapping[str, str]
    alerts: int = 1
    ends: float = math.inf  # Unix seconds


class Lane:
    """A group and one oncall integration of its receiver. `alerts` is what is true; people hear of it when the group is looked at."""

    def __init__(self, group: Group, integration: Integration, roster: Roster, turns: Turns, refuse: Refusal = lambda page: "") -> None:
        self.group, self.integration = group, integration
        self.alerts: dict[str, Firing] = {}
        self.courses: list[Course] = []  # its incidents, the last one at the end
        self.before: list[Fact] = []  # what is told of the time without incident
        self.look: float | None = None  # when it is looked at next
        self._roster, self._turns, self._refuse = roster, turns, refuse
        self._log: LogEntry | None = None

    @property
    def course(self) -> Course | None:
        return self.courses[-1] if self.courses else None

    @property
    def facts(self) -> list[Fact]:
        """All that happened, in order."""
        return [*self.before, *(fact for course in self.courses for fact in course.facts)]

    def due(self) -> tuple[float, int] | None:
        """When something happens by itself, and its rank at that moment."""
        return min(self._coming(), default=None)

    def happen(self, now: float) -> None:
        """Do what is due."""
        if self.look is not None and self.look <= now:
            self.flush(now)
        elif self.course:
            # Their sender says again and again that its alerts fire, for as long as they do.
            self.course.apply(Tick(heard=min(now, max((one.ends for one in self.alerts.values()), default=0.0))), now)

    def act(self, event: Act, now: float) -> str:
        """Let a person do something to the incident; says why that is refused, "" where it is not."""
        if self.course is None:
            return "there is no incident yet"
        try:
            self.course.apply(event, now)
        except Conflict as error:
            return str(error)
        return ""

    def say(self, at: float, text: str) -> None:
        """Put a fact of the simulation among those of the incident."""
        (self.course.facts if self.course else self.before).append(Fact(TimelineEntry(at=at, kind="note", text=text)))

    def flush(self, now: float, fresh: int | None = None) -> None:
        """Look at the alerts, and tell what is news. fresh: how many of them are new; None = all that were not there before."""
        labels = self.labels
        by = muting(self.group, labels, self._roster, now)
        if by and not self.courses and not self.before:
            self.say(now, f"The group is {because(self.group, by)}: no incident is opened.")
        known = set(self._log.firing) if self._log else set()
        # While muted, people hear of nothing new, but an incident learns what becomes of its own alerts.
        shown = {name: one for name, one in self.alerts.items() if not by or name in known}
        if shown:
            self._tell(shown, now, fresh, muted=bool(by))
        self.alerts = {name: one for name, one in self.alerts.items() if one.ends > now}
        self.look = self._next_look(now, still_muted(self.group, labels, self._roster, now) if by else 0.0)

    @property
    def labels(self) -> dict[str, str]:
        """What the alerts share."""
        return common(dict(one.labels) for one in self.alerts.values())

    def _coming(self) -> Iterator[tuple[float, int]]:
        if self.look is not None:
            yield self.look, LOOK
        if self.course and (due := self.course.due) is not None:
            yield due, TICK

    def _next_look(self, now: float, muted_until: float | None) -> float | None:
        """The tick at which there may be news. muted_until: 0 = it is not muted, None = for years."""
        if not self.alerts:
            return None
        moments = [one.ends for one in self.alerts.values()]
        if muted_until:
            moments.append(muted_until)
        elif muted_until is not None and self._log:
            moments.append(self._log.at + self.group.repeat_interval)
        moment, interval = min(moments), self.group.group_interval
        return None if math.isinf(moment) else now + max(1, math.ceil(round((moment - now) / interval, 6))) * interval

    def _tell(self, shown: Mapping[str, Firing], now: float, fresh: int | None, *, muted: bool) -> None:
        before = self._log
        firing = {name: one for name, one in shown.items() if one.ends > now}
        over = shown.keys() - firing.keys()
        reason = needs_notify(
            before, firing.keys(), over, send_resolved=self.integration.send_resolved, repeat_interval=self.group.repeat_interval,
            now=now + LATE,
        )  # fmt: skip
        if reason is None or (muted and reason == "repeat interval elapsed"):
            return
        told_before = set(before.resolved) - firing.keys() if before else set[str]()
        self._log = LogEntry(firing=sorted(firing), resolved=sorted(told_before | over), at=now)
        if firing or self.integration.send_resolved:
            new = len(firing.keys() - set(before.firing if before else ())) if fresh is None else fresh
            self._news(reason, firing or shown, now, new, fires=bool(firing), first=before is None)

    def _news(self, reason: Reason, shown: Mapping[str, Firing], now: float, fresh: int, *, fires: bool, first: bool) -> None:
        """What it means to the incident: one is opened, opened again, or it learns what has changed."""
        course, count = self.course, sum(one.alerts for one in shown.values())
        changed = AlertsChanged(
            reason=reason, firing=count if fires else 0, resolved=len(self._log.resolved) if self._log else 0, fresh=fresh,
            common_labels=common(dict(one.labels) for one in shown.values()), group=self.group.id,
        )  # fmt: skip
        if course and course.incident.state != "resolved":
            course.apply(changed, now)
        elif fires and (first or reason != "some alerts resolved"):
            if course and now - (course.incident.resolved_at or 0.0) <= course.incident.plan.reopen_within:
                course.apply(Returned(alerts=replace(changed, fresh=count)), now)
                return
            incident = opening(self._roster.config, self.group, self.integration, changed.common_labels, count, now)
            self.courses.append(Course(incident, self._roster, self._turns, self._refuse))
