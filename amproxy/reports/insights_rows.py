"""The rows of the tables of insights, as the API, the page and spreadsheets have them."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import msgspec

from amproxy.config.structs import Urgency

AlertKey = Literal["alertname", "group_labels"]  # by which alerts are counted
InsightsTable = Literal["teams", "policies", "people", "pages", "alerts", "hours", "days"]


class SpreadView(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths of time, in seconds."""

    count: int
    mean: float | None  # None = there are none
    p50: float | None
    p90: float | None
    max: float | None


class IncidentTallyView(msgspec.Struct, frozen=True, kw_only=True):
    incidents: int
    triggered: int
    acknowledged: int
    snoozed: int
    resolved: int
    never_acknowledged: int
    reopened: int
    time_to_acknowledge: SpreadView
    time_to_resolve: SpreadView
    time_to_end_by_itself: SpreadView


# Fields by place go before those by keyword, which makes the name the first column.
class TeamRowView(IncidentTallyView, frozen=True):
    team: str


class PolicyRowView(IncidentTallyView, frozen=True):
    policy: str


class PersonRowView(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    pages: int
    pages_day: int
    pages_night: int
    pages_weekend: int
    nights_disturbed: int
    time_to_acknowledge: SpreadView
    time_to_resolve: SpreadView


class PagesRowView(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    channel: str
    urgency: Urgency
    pages: int
    day: int
    night: int
    weekend: int


class AlertRowView(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are of 1."""

    by: AlertKey
    name: str
    incidents: int
    pages: int
    acknowledged: float
    probably_noise: float
    median_time_to_resolve: float | None


class HoursRowView(
    msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: name.removeprefix("h")
):
    """Incidents that began in each hour of a weekday."""

    weekday: str
    h00: int
    h01: int
    h02: int
    h03: int
    h04: int
    h05: int
    h06: int
    h07: int
    h08: int
    h09: int
    h10: int
    h11: int
    h12: int
    h13: int
    h14: int
    h15: int
    h16: int
    h17: int
    h18: int
    h19: int
    h20: int
    h21: int
    h22: int
    h23: int

    def by_hour(self) -> tuple[int, ...]:
        return tuple(msgspec.structs.astuple(self)[1:])


class DayRowView(msgspec.Struct, frozen=True, kw_only=True):
    day: date
    incidents: int
    pages: int


# Every table, and its rows: its columns are the same without any incident.
TABLES: Final[dict[InsightsTable, type[msgspec.Struct]]] = {
    "teams": TeamRowView,
    "policies": PolicyRowView,
    "people": PersonRowView,
    "pages": PagesRowView,
    "alerts": AlertRowView,
    "hours": HoursRowView,
    "days": DayRowView,
}
