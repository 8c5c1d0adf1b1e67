"""The event that a notification means to its group's incident."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import Policy
from amproxy.grouping.flush import incident_event
from amproxy.machine.events import AlertsChanged, Opened, Returned
from amproxy.model import Incident
from amproxy.text import phrase

RESOLVED_AT = 1000.0


def changed(**values: Any) -> AlertsChanged:
    given = {"reason": "new alerts added", "firing": 2, "resolved": 1, "fresh": 1, **values}
    return AlertsChanged(**given)


def incident(**values: Any) -> Incident:
    plan = Policy(name="p", reopen_within=values.pop("reopen_within", 0.0))
    return Incident(id="i", plan=plan, started_at=1.0, **values)


def resolved(**values: Any) -> Incident:
    return incident(state="resolved", resolved_at=RESOLVED_AT, **{"resolved_by": "ann", **values})


def event(stored: Incident | None, change: AlertsChanged, pushed_at: float = 1100.0) -> object:
    return incident_event(stored, change, pushed_at=pushed_at, now=1200.0)


def test_alerts_that_fire_without_an_incident_open_one() -> None:
    assert event(None, changed()) == Opened(reason=phrase("news.added"))


def test_alerts_that_are_over_without_an_incident_mean_nothing() -> None:
    assert event(None, changed(reason="all alerts resolved", firing=0)) is None


@pytest.mark.parametrize("state", ["triggered", "acknowledged", "snoozed"])
def test_an_open_incident_learns_what_has_changed(state: Any) -> None:
    assert event(incident(state=state), changed()) == changed()


def test_alerts_that_fire_after_the_end_open_another_incident() -> None:
    assert event(resolved(), changed()) == Opened(reason=phrase("news.added"))


def test_alerts_that_fire_soon_after_the_end_open_the_same_incident_again() -> None:
    stored = resolved(reopen_within=300.0)
    assert event(stored, changed()) == Returned(alerts=changed(fresh=2, resolved=0))


def test_that_some_of_its_alerts_end_opens_no_incident_again() -> None:
    change = changed(reason="some alerts resolved")
    assert event(resolved(reopen_within=300.0), change) == change


@pytest.mark.parametrize(
    ("pushed_at", "opens"),
    [(RESOLVED_AT - 1, False), (RESOLVED_AT, False), (RESOLVED_AT + 1, True)],
)
def test_what_ended_because_nobody_pushed_it_opens_only_by_a_push(
    pushed_at: float, opens: bool
) -> None:
    change = changed(reason="repeat interval elapsed")
    found = event(resolved(resolved_by="silent"), change, pushed_at)
    assert isinstance(found, Opened) is opens


def test_a_repeat_after_a_person_resolved_it_opens_another_incident() -> None:
    change = changed(reason="repeat interval elapsed")
    assert event(resolved(), change, pushed_at=0.0) == Opened(reason=phrase("news.repeated"))
