"""One group of alerts under a virtual clock: its notifications, and the incidents they open.

A group is flushed as in the service: first after `group_wait`, then at ticks of `group_interval`.
Ticks that would change nothing are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from amproxy.config.structs import Integration
from amproxy.errors import Conflict
from amproxy.grouping.dedup import notification_reason
from amproxy.grouping.flush import active_mute_intervals, incident_event
from amproxy.machine.events import Act, AlertsChanged, Event, Hold, Opened, Returned, TimerTick
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
from amproxy.simulation.incident import (
    RoundRobinTurns,
    SimulatedEntry,
    SimulatedIncident,
    SimulationAssumptions,
)

# Seconds: the service's timers are never quite punctual, so that repeat_interval has always passed
# when a flush falls on its end. A virtual clock is exact, and needs this much to be as late.
TIMER_LATENESS: Final = 0.001

# The order at one moment: an answer comes before the next step, and its incident before the answer.
FLUSH_RANK, ANSWER_RANK, TICK_RANK = range(3)


class SimulatedFiring(NamedTuple):
    """Alerts that come and go together; times are Unix seconds."""

    labels: Mapping[str, str]
    alerts: int = 1
    ends: float = math.inf
    last_push: float = (
        math.inf
    )  # their sender repeats until then, or until they end, that they fire


class SimulatedGroup:
    """A group and one oncall integration of its receiver.

    `alerts` is what is true; people hear of it when the group is flushed.
    """

    def __init__(
        self,
        group: Group,
        integration: Integration,
        roster: Roster,
        turns: RoundRobinTurns,
        assumptions: SimulationAssumptions | None = None,
    ) -> None:
        self.group, self.integration = group, integration
        self.alerts: dict[str, SimulatedFiring] = {}
        self.incidents: list[SimulatedIncident] = []  # in the order of their openings
        self.notes_before: list[SimulatedEntry] = []  # from the time without incident
        self.flush_due: float | None = None
        self._roster, self._turns, self._assumptions = roster, turns, assumptions
        self._log: LogEntry | None = None
        # Incidents that a person opened again when another had begun: their timers run as well.
        self._reopened: list[SimulatedIncident] = []

    @property
    def last_incident(self) -> SimulatedIncident | None:
        return self.incidents[-1] if self.incidents else None

    @property
    def entries(self) -> list[SimulatedEntry]:
        """The timelines of all incidents, and the notes before them, in order."""
        return [*self.notes_before, *(entry for one in self.incidents for entry in one.entries)]

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the alerts share."""
        return common_pairs(dict(firing.labels) for firing in self.alerts.values())

    def due(self) -> tuple[float, int] | None:
        """Return the time (Unix seconds) and rank of what is due next; None = nothing."""
        return min(self._due_times(), default=None)

    def run_due(self, now: float) -> None:
        """Do what is due: flush, or run one incident's timer."""
        if self.flush_due is not None and self.flush_due <= now:
            self.flush(now)
            return
        for simulated in self._open_incidents():
            if simulated.due is not None and simulated.due <= now:
                simulated.apply(self._tick(simulated.incident, now), now)
                return

    def apply_action(self, event: Act, now: float, before: float = math.inf) -> str:
        """Apply a person's action to the last incident that began before a time (Unix seconds).

        Return the reason why it is refused, "" where it is not.
        """
        if not self.incidents:
            return "there is no incident yet"
        begun = [one for one in self.incidents if one.incident.started_at < before]
        simulated = begun[-1] if begun else self.incidents[0]
        try:
            simulated.apply(event, now)
        except Conflict as error:
            return str(error)
        if simulated is not self.last_incident and simulated not in self._reopened:
            self._reopened.append(simulated)
        return ""

    def add_note(self, at: float, text: str) -> None:
        """Add a note of the simulation to the timeline of the last incident."""
        entries = self.last_incident.entries if self.last_incident else self.notes_before
        entries.append(SimulatedEntry(TimelineEntry(at=at, kind="note", text=text)))

    def flush(self, now: float, fresh: int | None = None) -> None:
        """Notify of what has changed.

        fresh: the number of new alerts; None = all that were not there before.
        """
        known = set(self._log.firing) if self._log else set()
        muted_by = active_mute_intervals(self.group, self._roster, now)
        unmuted = set[str]()
        if not muted_by:
            unmuted = {
                name
                for name, firing in self.alerts.items()
                if not self._is_in_maintenance(firing, now)
            }
        if self.alerts and not unmuted and not self.incidents and not self.notes_before:
            why = muting_text(self.group, muting_names(self.group, self.labels, self._roster, now))
            self.add_note(now, f"The group is {why}: no incident is opened.")
        # While muted nobody is notified of new alerts, but an incident learns the end of its own.
        shown = {name: one for name, one in self.alerts.items() if name in unmuted or name in known}
        if shown:
            self._notify(shown, now, fresh, muted=not unmuted)
        self.alerts = {name: one for name, one in self.alerts.items() if one.ends > now}
        self.flush_due = self._next_flush(now, muted=bool(muted_by))

    def forget(self, name: str) -> None:
        """Drop an alert; where it fires again it is news."""
        self.alerts = {other: one for other, one in self.alerts.items() if other != name}
        if self._log:
            firing = [other for other in self._log.firing if other != name]
            self._log = replace(self._log, firing=firing)

    def recall(self, name: str, firing: SimulatedFiring) -> None:
        """Put in an alert as known already: nobody is notified of it."""
        self.alerts = {**self.alerts, name: firing}
        if self._log:
            self._log = replace(self._log, firing=sorted({*self._log.firing, name}))

    def _due_times(self) -> Iterator[tuple[float, int]]:
        if self.flush_due is not None:
            yield self.flush_due, FLUSH_RANK
        for simulated in self._open_incidents():
            if (due := simulated.due) is not None:
                yield due, TICK_RANK

    def _open_incidents(self) -> list[SimulatedIncident]:
        return [*self.incidents[-1:], *self._reopened]

    def _is_in_maintenance(self, firing: SimulatedFiring, now: float) -> bool:
        """Check whether a maintenance window mutes alerts, or did when they ended."""
        return bool(open_maintenance_windows(firing.labels, self._roster, min(now, firing.ends)))

    def _tick(self, incident: Incident, now: float) -> Event:
        """Return the event of a due timer: a tick, or a hold while all firing is in maintenance."""
        pushed_at = self._last_push(now)
        firing = [one for one in self.alerts.values() if one.ends > now]
        windows = [open_maintenance_windows(one.labels, self._roster, now) for one in firing]
        if incident.state != "triggered" or not firing or not all(windows):
            return TimerTick(pushed_at=pushed_at)
        names = dict.fromkeys(window.name for found in windows for window in found)
        return Hold(
            reason=f"maintenance {', '.join(names)}",
            until=min(last_window_end(found, self._roster, now) for found in windows),
            pushed_at=pushed_at,
        )

    def _last_push(self, now: float) -> float:
        """Return the last push of any of its alerts up to now, Unix seconds; 0 without alerts."""
        pushes = (min(one.ends, one.last_push) for one in self.alerts.values())
        return min(now, max(pushes, default=0.0))

    def _next_flush(self, now: float, *, muted: bool) -> float | None:
        """Return when a flush may change something; None = never.

        That is a tick of the group's interval after a change, or the end of a maintenance window.
        """
        if not self.alerts:
            return None
        changes = [one.ends for one in self.alerts.values()]
        if muted:
            changes.append(muting_end(self.group, {}, self._roster, now) or math.inf)
        elif self._log:
            changes.append(max(now, self._log.at + self.group.repeat_interval))
        flushes = [
            end
            for one in self.alerts.values()
            if (end := next_window_end(one.labels, self._roster, now))
        ]
        change, interval = min(changes), self.group.group_interval
        if not math.isinf(change):
            # Rounded before `ceil`, or the error of a float makes one tick too many.
            ticks = max(1, math.ceil(round((change - now) / interval, 6)))
            flushes.append(now + ticks * interval)
        return min(flushes, default=None)

    def _notify(
        self, shown: Mapping[str, SimulatedFiring], now: float, fresh: int | None, *, muted: bool
    ) -> None:
        """Write the notification log, and pass the news to the incident."""
        previous = self._log
        firing = {name: one for name, one in shown.items() if one.ends > now}
        resolved = shown.keys() - firing.keys()
        reason = notification_reason(
            previous,
            firing.keys(),
            resolved,
            send_resolved=self.integration.send_resolved,
            repeat_interval=self.group.repeat_interval,
            now=now + TIMER_LATENESS,
        )
        if reason is None or (muted and reason == "repeat interval elapsed"):
            return
        reported = set(previous.resolved) - firing.keys() if previous else set[str]()
        self._log = LogEntry(firing=sorted(firing), resolved=sorted(reported | resolved), at=now)
        if firing or self.integration.send_resolved:
            if fresh is None:
                fresh = len(firing.keys() - set(previous.firing if previous else ()))
            self._apply_news(reason, firing or shown, now, fresh, fires=bool(firing))

    def _apply_news(
        self,
        reason: NotificationReason,
        shown: Mapping[str, SimulatedFiring],
        now: float,
        fresh: int,
        *,
        fires: bool,
    ) -> None:
        """Open an incident, open it again, or let it know what has changed."""
        simulated, count = self.last_incident, sum(one.alerts for one in shown.values())
        changed = AlertsChanged(
            reason=reason,
            firing=count if fires else 0,
            resolved=len(self._log.resolved) if self._log else 0,
            fresh=fresh,
            common_labels=common_pairs(dict(one.labels) for one in shown.values()),
            group=self.group.id,
        )
        incident = simulated.incident if simulated else None
        event = incident_event(incident, changed, pushed_at=self._last_push(now), now=now)
        if self._log and isinstance(event, Opened | Returned):
            self._log = replace(self._log, resolved=[])
        if isinstance(event, Opened):
            opened = open_incident(
                self._roster.config, self.group, self.integration, changed.common_labels, count, now
            )
            simulated = SimulatedIncident(opened, self._roster, self._turns, self._assumptions)
            self.incidents.append(simulated)
            simulated.open(reason)
        elif simulated and event:
            simulated.apply(event, now)
