"""One group of alerts under a virtual clock: its notifications, and the incidents they open.

A group is flushed as in the service: first after `group_wait`, then at each tick of
`group_interval`, and when a maintenance window closes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from amproxy.config.structs import Integration, Maintenance, Receiver
from amproxy.errors import Conflict
from amproxy.grouping.flush import (
    LOG_RETENTION,
    DueNotification,
    decide_flush,
    decide_incident_event,
    firing_alerts,
    first_flush,
    flush_tick,
    next_repeat,
    notification_log_key,
)
from amproxy.grouping.maintenance import is_told_at_close
from amproxy.machine.events import Act, Event, Opened, Resolve, time_event
from amproxy.model import (
    Alert,
    Group,
    Incident,
    LoadedGroup,
    LogEntry,
    TimelineEntry,
    common_pairs,
)
from amproxy.simulation.alert import GroupMuting, open_incident
from amproxy.simulation.incident import (
    SimulatedEntry,
    SimulatedIncident,
    SimulationAssumptions,
)
from amproxy.simulation.surroundings import FLUSH_RANK, TICK_RANK, SimulatedSurroundings
from amproxy.text import Phrase, phrase

# Seconds: the service's timers are never quite punctual, so that repeat_interval has always passed
# when a flush falls on its end. A virtual clock is exact, and needs this much to be as late.
TIMER_LATENESS: Final = 0.001
# Seconds. A group that has nothing to tell is not flushed at each tick: where nothing can mute its
# alerts the ticks until something happens are left out, else those of so long.
MUTED_STEP: Final = 10.0
LONGEST_STEP: Final = 7 * 86400.0


class SimulatedFiring(NamedTuple):
    """Alerts that come and go together; times are Unix seconds.

    The names of those of one sender differ by their numbers, from `first` on; number 0 has none.
    """

    labels: Mapping[str, str]
    alerts: int = 1
    ends: float = math.inf
    # Their sender repeats until then, or until they end, that they fire.
    last_push: float = math.inf
    sender: str = ""
    first: int = 0

    def stored(self, now: float) -> list[Alert]:
        """The alerts as they are stored at a time."""
        labels, pushed_at = dict(self.labels), min(now, self.ends, self.last_push)
        return [
            Alert(
                fingerprint=name,
                labels=labels,
                starts_ns=0,
                ends_ns=0 if math.isinf(self.ends) else int(self.ends * 10**9),
                updated_ns=int(pushed_at * 10**9),
            )
            for name in self.fingerprints
        ]

    @property
    def fingerprints(self) -> list[str]:
        numbers = range(self.first, self.first + self.alerts)
        return [f"{self.sender}/{number}" if number else self.sender for number in numbers]


class SimulatedGroup:
    """A group and one oncall integration of its receiver.

    `alerts` is what is true; people hear of it when the group is flushed.
    """

    def __init__(
        self,
        group: Group,
        integration: Integration,
        surroundings: SimulatedSurroundings,
        assumptions: SimulationAssumptions | None = None,
    ) -> None:
        self.group, self.integration = group, integration
        self.alerts: dict[str, SimulatedFiring] = {}
        self.incidents: list[SimulatedIncident] = []  # in the order of their openings
        self.notes_before: list[SimulatedEntry] = []  # from the time without incident
        self.flush_due: float | None = None
        self._surroundings = surroundings
        self._assumptions = assumptions or SimulationAssumptions()
        self._receiver = Receiver(name=group.receiver, integrations=(integration,))
        self._is_flushed = False  # since it has alerts
        self._last_tick = 0.0  # of the last flush, Unix seconds
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

    def receive(self, name: str, firing: SimulatedFiring, now: float) -> None:
        """Take in alerts that fire (Unix seconds); a group that has none begins to wait."""
        self.alerts = {**self.alerts, name: firing}
        if self.flush_due is None:
            now_ns = int(now * 10**9)
            self.flush_due = first_flush(now_ns, self.group.group_wait, now_ns) / 10**9
        self._heed_next_tick()

    def close_window(self, window: Maintenance, now: float) -> None:
        """Flush soon, where an alert that a window muted still fires."""
        if self._is_flushed and is_told_at_close(window, self._stored(now), int(now * 10**9)):
            self.flush_due = now

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
        if isinstance(event, Resolve) and self._log is not None:
            event = replace(event, quiet_until=next_repeat(self._log, self.group))
        try:
            simulated.apply(event, now)
        except Conflict as error:
            return str(error)
        if simulated is not self.last_incident and simulated not in self._reopened:
            self._reopened.append(simulated)
        return ""

    def add_note(self, at: float, what: Phrase) -> None:
        """Add a note of the simulation to the timeline of the last incident."""
        entries = self.last_incident.entries if self.last_incident else self.notes_before
        entries.append(SimulatedEntry(TimelineEntry(at=at, kind="note", what=what)))

    def begin(self, incident: Incident) -> SimulatedIncident:
        """Make a new incident the group's last one."""
        around = self._surroundings
        simulated = SimulatedIncident(
            incident,
            around.roster,
            around.turns,
            self._assumptions,
            around.storms,
            lambda: around.clock.schedule_due(self),
        )
        self.incidents.append(simulated)
        return simulated

    def flush(self, now: float) -> None:
        """Notify of what has changed, as the service decides."""
        alerts, late = self._stored(now), now + TIMER_LATENESS
        mutes, muting = self._surroundings.muting(alerts, late)
        loaded = LoadedGroup(
            group=self.group,
            version="",
            touched="",
            alerts=alerts,
            revisions=dict.fromkeys((alert.fingerprint for alert in alerts), b""),
            log={} if self._log is None else {notification_log_key(self.integration): self._log},
            busy_until=0.0,
            following=None,
        )
        tick = flush_tick(self.group, now, late)
        decision = decide_flush(
            *(loaded, self.group, self._receiver, self._surroundings.roster),
            *(muting, late, tick),
        )
        if alerts and not self.incidents and not self.notes_before:
            found = GroupMuting(self.group, decision.muted_by, alerts, mutes, muting)
            if found.is_muted:
                self.add_note(now, phrase("simulation.group_muted", reason=found.why))
        for due in decision.notifications:
            self._notify(due, now)
        for _, entry in decision.log_only:
            self._log = entry
        over = {fingerprint for fingerprint, _ in decision.resolved}
        self.alerts = {
            name: one for name, one in self.alerts.items() if not over.issuperset(one.fingerprints)
        }
        self._is_flushed = bool(self.alerts)
        idle = not (decision.notifications or decision.log_only or over)
        self._last_tick, ticks = tick, self._idle_ticks(tick) if idle else 1
        self.flush_due = tick + ticks * self.group.group_interval if self.alerts else None

    def _idle_ticks(self, tick: float) -> int:
        """The number of ticks after which a flush may have something to tell again."""
        group, until = self.group, tick + LONGEST_STEP
        if self._surroundings.can_mute or group.mute_time_intervals or group.active_time_intervals:
            until = tick + MUTED_STEP
        changes = [one.ends for one in self.alerts.values()]
        if self._log is not None:
            changes += (next_repeat(self._log, group), self._log.at + LOG_RETENTION)
        until = min(until, *(at for at in changes if at > tick), until)
        # One tick before it: from there on each counts, so that no rounding matters.
        return max(1, int((until - tick) / group.group_interval) - 1)

    def _heed_next_tick(self) -> None:
        """Flush at the next tick, where ticks were left out and something has changed."""
        if self._is_flushed and self.flush_due is not None:
            passed = self._surroundings.clock.now - self._last_tick
            ticks = max(1, math.ceil(passed / self.group.group_interval))
            self.flush_due = min(
                self.flush_due, self._last_tick + ticks * self.group.group_interval
            )

    def forget(self, name: str) -> None:
        """Drop the alerts of a sender; where they fire again they are news."""
        dropped = self.alerts[name].fingerprints if name in self.alerts else []
        self.alerts = {other: one for other, one in self.alerts.items() if other != name}
        if self._log:
            firing = [other for other in self._log.firing if other not in dropped]
            self._log = replace(self._log, firing=firing)
        self._heed_next_tick()

    def recall(self, name: str, firing: SimulatedFiring) -> None:
        """Put in alerts as known already: nobody is notified of them."""
        self.alerts = {**self.alerts, name: firing}
        if self._log:
            known = sorted({*self._log.firing, *firing.fingerprints})
            self._log = replace(self._log, firing=known)
        self._heed_next_tick()

    def _due_times(self) -> Iterator[tuple[float, int]]:
        if self.flush_due is not None:
            yield self.flush_due, FLUSH_RANK
        for simulated in self._open_incidents():
            if (due := simulated.due) is not None:
                yield due, TICK_RANK

    def _open_incidents(self) -> list[SimulatedIncident]:
        return [*self.incidents[-1:], *self._reopened]

    def _stored(self, now: float) -> list[Alert]:
        return [alert for firing in self.alerts.values() for alert in firing.stored(now)]

    def _tick(self, incident: Incident, now: float) -> Event:
        """Return the event of a due timer: a tick, or a hold while all that fires is muted."""
        firing = [alert for alert in self._stored(now) if not alert.resolved(int(now * 10**9))]
        hold = self._surroundings.hold(firing, now) or self._assumptions.hold(now)
        return time_event(hold, self._last_push(now))

    def _last_push(self, now: float) -> float:
        """Return the last push of any of its alerts up to now, Unix seconds; 0 without alerts."""
        pushes = (min(one.ends, one.last_push) for one in self.alerts.values())
        return min(now, max(pushes, default=0.0))

    def _notify(self, due: DueNotification, now: float) -> None:
        """Open an incident, open it again, or let it know what has changed."""
        simulated, self._log = self.last_incident, due.log_entry
        incident = simulated.incident if simulated else None
        event = decide_incident_event(due, self.group, incident, now)
        if isinstance(event, Opened):
            config, firing = self._surroundings.roster.config, firing_alerts(due)
            opened = open_incident(config, self.group, self.integration, firing, now)
            simulated = self.begin(opened)
            simulated.open(event.reason)
        elif simulated and event:
            simulated.apply(event, now)
        if simulated:
            due.log_entry.incident = simulated.incident.id
