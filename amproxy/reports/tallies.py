"""What is counted for one team, policy, person or alert."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any, get_args

from amproxy.machine.states import ENDS
from amproxy.model import Incident, State
from amproxy.oncall.daytime import DAYTIMES, Daytime
from amproxy.reports.spread import Spread

NOISE = 300.0  # seconds: an incident that ends by itself within them was probably noise


def by_itself(incident: Incident) -> bool:
    """Whether it ended without a person: its alerts were over, or its source fell silent."""
    return incident.state == "resolved" and incident.resolved_by in ENDS


class Tally:
    """Incidents of a team, of a policy, or all of them."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.never_acknowledged = self.reopened = 0
        self.acknowledged, self.resolved, self.ended = Spread(), Spread(), Spread()

    def add(self, incident: Incident) -> None:
        self.states[incident.state] += 1
        self.reopened += incident.epoch > 1
        if incident.acknowledged_at is None:
            self.never_acknowledged += 1
        else:
            self.acknowledged.add(incident.acknowledged_at - incident.started_at)
        if incident.state == "resolved" and incident.resolved_at is not None:
            (self.ended if by_itself(incident) else self.resolved).add(incident.resolved_at - incident.started_at)

    def view(self) -> dict[str, Any]:
        return {
            "incidents": self.states.total(),
            **{state: self.states[state] for state in get_args(State)},
            "never_acknowledged": self.never_acknowledged,
            "reopened": self.reopened,
            "time_to_acknowledge": self.acknowledged.view(),
            "time_to_resolve": self.resolved.view(),
            "time_to_end_by_itself": self.ended.view(),
        }


class Person:
    """What one person did, and how often they were paged."""

    def __init__(self) -> None:
        self.acknowledged, self.resolved = Spread(), Spread()
        self.pages: Counter[Daytime] = Counter()
        self.nights: set[date] = set()

    def view(self) -> dict[str, Any]:
        return {
            "pages": self.pages.total(),
            **{f"pages_{time}": self.pages[time] for time in DAYTIMES},
            "nights_disturbed": len(self.nights),
            "time_to_acknowledge": self.acknowledged.view(),
            "time_to_resolve": self.resolved.view(),
        }


class AlertTally:
    """Incidents of one alert: of one alertname, or of one set of group labels."""

    def __init__(self) -> None:
        self.incidents = self.pages = self.acknowledged = self.noise = 0
        self.resolved = Spread()

    def add(self, incident: Incident, pages: int) -> None:
        """pages: those of it that went out to people."""
        self.incidents += 1
        self.pages += pages
        self.acknowledged += incident.acknowledged_at is not None
        if incident.state == "resolved" and incident.resolved_at is not None:
            lasted = incident.resolved_at - incident.started_at
            self.resolved.add(lasted)
            self.noise += by_itself(incident) and lasted <= NOISE

    def view(self) -> dict[str, Any]:
        return {
            "incidents": self.incidents,
            "pages": self.pages,
            "acknowledged": round(self.acknowledged / self.incidents, 3),
            "probably_noise": round(self.noise / self.incidents, 3),
            "median_time_to_resolve": self.resolved.percentile(50),
        }
