"""Incidents, counted."""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.config.structs import NotifyStep, Policy
from amproxy.model import Incident
from amproxy.reports.insights import Insights

MONDAY = 1_767_571_200.0  # 2026-01-05 00:00 UTC
ZONES = {"ann": "Europe/Berlin", "bob": "Asia/Tbilisi"}
PLAN = Policy(
    name="p", steps=(NotifyStep(users=("ann",)), NotifyStep(users=("ann",), urgency="important"))
)


def counted(incidents: Sequence[Incident], zone: str = "UTC", user: str = "") -> Insights:
    found = Insights(ZONES, zone, user)
    for one in incidents:
        found.add(one)
    return found
