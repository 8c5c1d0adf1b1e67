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
from amproxy.errors import Conflict
from amproxy.grouping.dedup import notification_reason
from amproxy.grouping.flush import active_mute_intervals
from amproxy.machine.events import Act, AlertsChanged, Event, Hold, Returned, TimerTick
from amproxy.model import Group, Incident, LogEntry, NotificationReason, TimelineEntry, common_pairs
from amproxy.oncall.roster import Roster
from amproxy.simulation.alert import (
    last_window_end,
    muting_end,
    muting_names,
    muting_text,
    next_window_end,
    open_incident,
    open_maintenance_windows,
)
from amproxy.simulation.incident import RoundRobinTurns, SimulatedEntry, SimulatedIncident, SimulationAssumptions

TIMER_LATENESS = 0.001  # seconds: a timer is never quite punctual, and so what is due after an interval is due when it has passed

# What goes first at one moment: an answer is heard before the next step runs, and there must be an incident to answer.
FLUSH_RANK, ANSWER_RANK, TICK_RANK = range(3)


class SimulatedFiring(NamedTuple):
    """Alerts that come and go together."""

    labels: Mapping[str, str]
    alerts: int = 1
    ends: float = math.inf  # Unix seconds
    heard: float = math.inf  # until when their sender says again and again that they fire, Unix seconds; until they end at the longest


class SimulatedGroup:
    """A group and one oncall integration of its receiver. `alerts` is what is true; people hear of it when the group is looked at."""

    def __init__(
        self, group: Group, integration: Integration, roster: Roster, turns: RoundRobinTurns, world: SimulationAssumptions | None = None
    ) -> None:
        self.group, self.integration = group, integration
        self.alerts: dict[str, SimulatedFiring] = {}
        self.courses: list[SimulatedIncident] = []  # its incidents, the last one at the end
        self.before: list[SimulatedEntry] = []  # what is told of the time without incident
        self.look: float | None = None  # when it is looked at next
        self._roster, self._turns, self._world = roster, turns, world
        self._log: LogEntry | None = None
        self._revived: list[SimulatedIncident] = []  # that a person opened again when another had begun

    @property
    def course(self) -> SimulatedIncident | None:
        return self.courses[-1] if self.courses else None

    @property
    def facts(self) -> list[SimulatedEntry]:
        """All that happened, in order."""
        return [*self.before, *(fact for course in self.courses for fact in course.facts)]

    def due(self) -> tuple[float, int] | None:
        """When something happens by itself, and its rank at that moment."""
        return min(self._coming(), default=None)

    def happen(self, now: float) -> None:
        """Do what is due."""
        if self.look is not None and self.look <= now:
            self.flush(now)
            return
        course = next((course for course in self._running() if course.due is not None and course.due <= now), None)
        if course:
            course.apply(self._tick(course.incident, now), now)

    def act(self, event: Act, now: float, before: float = math.inf) -> str:
        """Let a person do something to the last incident that began before a time; says why that is refused, "" where it is not."""
        if not self.courses:
            return "there is no incident yet"
        course = next((course for course in reversed(self.courses) if course.incident.started_at < before), self.courses[0])
        try:
            course.apply(event, now)
        except Conflict as error:
            return str(error)
        if course is not self.course and course not in self._revived:
            self._revived.append(course)
        return ""

    def say(self, at: float, text: str) -> None:
        """Put a fact of the simulation among those of the incident."""
        (self.course.facts if self.course else self.before).append(SimulatedEntry(TimelineEntry(at=at, kind="note", text=text)))

    def flush(self, now: float, fresh: int | None = None) -> None:
        """Look at the alerts, and tell what is news. fresh: how many of them are new; None = all that were not there before."""
        known = set(self._log.firing) if self._log else set()
        by = active_mute_intervals(self.group, self._roster, now)
        heard = {} if by else {name: one for name, one in self.alerts.items() if not self._in_maintenance(one, now)}
        if self.alerts and not heard and not self.courses and not self.before:
            why = muting_text(self.group, muting_names(self.group, self.labels, self._roster, now))
            self.say(now, f"The group is {why}: no incident is opened.")
        # While muted, people hear of nothing new, but an incident learns what becomes of its own alerts.
        shown = {name: one for name, one in self.alerts.items() if name in heard or name in known}
        if shown:
            self._tell(shown, now, fresh, muted=not heard)
        self.alerts = {name: one for name, one in self.alerts.items() if one.ends > now}
        self.look = self._next_look(now, muted=bool(by))

    def forget(self, name: str) -> None:
        """Know nothing of an alert any more; where it fires again it is news."""
        self.alerts = {other: one for other, one in self.alerts.items() if other != name}
        if self._log:
            self._log = replace(self._log, firing=[other for other in self._log.firing if other != name])

    def recall(self, name: str, firing: SimulatedFiring) -> None:
        """Know of an alert, though nobody need be told."""
        self.alerts = {**self.alerts, name: firing}
        if self._log:
            self._log = replace(self._log, firing=sorted({*self._log.firing, name}))

    @property
    def labels(self) -> dict[str, str]:
        """What the alerts share."""
        return common_pairs(dict(one.labels) for one in self.alerts.values())

    def _coming(self) -> Iterator[tuple[float, int]]:
        if self.look is not None:
            yield self.look, FLUSH_RANK
        for course in self._running():
            if (due := course.due) is not None:
                yield due, TICK_RANK

    def _running(self) -> list[SimulatedIncident]:
        return [*self.courses[-1:], *self._revived]

    def _in_maintenance(self, one: SimulatedFiring, now: float) -> bool:
        """Whether a maintenance window holds an alert back, or did when it ended."""
        return bool(open_maintenance_windows(one.labels, self._roster, min(now, one.ends)))

    def _tick(self, incident: Incident, now: float) -> Event:
        """What a due timer means: time has passed or, while all that fires is in maintenance, nobody may be paged."""
        heard = min(now, max((min(one.ends, one.heard) for one in self.alerts.values()), default=0.0))
        firing = [one for one in self.alerts.values() if one.ends > now]
        windows = [open_maintenance_windows(one.labels, self._roster, now) for one in firing]
        if incident.state != "triggered" or not firing or not all(windows):
            return TimerTick(heard=heard)
        names = dict.fromkeys(window.name for found in windows for window in found)
        return Hold(
            reason=f"maintenance {', '.join(names)}", until=min(last_window_end(found, self._roster, now) for found in windows), heard=heard
        )

    def _next_look(self, now: float, *, muted: bool) -> float | None:
        """When there may be news: a tick of the group's interval, or the end of a maintenance window."""
        if not self.alerts:
            return None
        moments = [one.ends for one in self.alerts.values()]
        if muted:
            moments.append(muting_end(self.group, {}, self._roster, now) or math.inf)
        elif self._log:
            moments.append(max(now, self._log.at + self.group.repeat_interval))
        moment, interval = min(moments), self.group.group_interval
        ends = [end for one in self.alerts.values() if (end := next_window_end(one.labels, self._roster, now))]
        if not math.isinf(moment):
            ends.append(now + max(1, math.ceil(round((moment - now) / interval, 6))) * interval)
        return min(ends, default=None)

    def _tell(self, shown: Mapping[str, SimulatedFiring], now: float, fresh: int | None, *, muted: bool) -> None:
        before = self._log
        firing = {name: one for name, one in shown.items() if one.ends > now}
        over = shown.keys() - firing.keys()
        reason = notification_reason(
            before, firing.keys(), over, send_resolved=self.integration.send_resolved, repeat_interval=self.group.repeat_interval,
            now=now + TIMER_LATENESS,
        )  # fmt: skip
        if reason is None or (muted and reason == "repeat interval elapsed"):
            return
        told_before = set(before.resolved) - firing.keys() if before else set[str]()
        self._log = LogEntry(firing=sorted(firing), resolved=sorted(told_before | over), at=now)
        if firing or self.integration.send_resolved:
            new = len(firing.keys() - set(before.firing if before else ())) if fresh is None else fresh
            self._news(reason, firing or shown, now, new, fires=bool(firing), first=before is None)

    def _news(
        self, reason: NotificationReason, shown: Mapping[str, SimulatedFiring], now: float, fresh: int, *, fires: bool, first: bool
    ) -> None:
        """What it means to the incident: one is opened, opened again, or it learns what has changed."""
        course, count = self.course, sum(one.alerts for one in shown.values())
        changed = AlertsChanged(
            reason=reason, firing=count if fires else 0, resolved=len(self._log.resolved) if self._log else 0, fresh=fresh,
            common_labels=common_pairs(dict(one.labels) for one in shown.values()), group=self.group.id,
        )  # fmt: skip
        over = course is None or course.incident.state == "resolved"
        if over and fires and (first or reason != "some alerts resolved"):
            if course and now - (course.incident.resolved_at or 0.0) < course.incident.plan.reopen_within:
                course.apply(Returned(alerts=replace(changed, fresh=count)), now)
                return
            incident = open_incident(self._roster.config, self.group, self.integration, changed.common_labels, count, now)
            self.courses.append(SimulatedIncident(incident, self._roster, self._turns, self._world, reason))
        elif course:
            course.apply(changed, now)
