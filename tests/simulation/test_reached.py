"""Reported cases of who a step pages: the file of each, and the right people."""

from __future__ import annotations

from datetime import datetime

import pytest

from amproxy.oncall.roster import Roster
from amproxy.simulation.simulate import Simulation, SimulationRequest
from tests.support.config.configs import loaded
from tests.support.oncall.rosters import utc

FILE = """
route: {receiver: r, group_wait: 0s}
receivers: [{name: r, oncall_configs: [{escalation_policy: p}]}]
users:
  - {name: ann, contacts: {console: x}}
  - {name: bob, contacts: {console: x}}
  - {name: cy, contacts: {console: x}}
time_intervals: [{name: office, time_intervals: [{times: [{start_time: '09:00', end_time: '17:00'}]}]}]
schedules:
  - name: s
    layers: LAYERS
    overrides: OVERRIDES
escalation_policies: [{name: p, steps: [{notify: {schedule: s}}, STEPS]}]
"""
DAILY = "rotation: {every: 1d, start: 2026-01-05T09:00}"
NEXT = "{wait: 5m}, {notify: {schedule: s, position: next}}"


def paged(
    layers: str, at: str, overrides: str = "[]", steps: str = NEXT
) -> list[tuple[datetime, str]]:
    text = FILE.replace("LAYERS", layers).replace("OVERRIDES", overrides).replace("STEPS", steps)
    request = SimulationRequest(labels={"alertname": "x"}, at=utc(at))
    [group] = Simulation(request, Roster(loaded(text).config)).groups
    return [
        (datetime.fromtimestamp(page.due, request.at.tzinfo), page.user)
        for simulated in group.incidents
        for page in simulated.pages
    ]


@pytest.mark.parametrize(
    ("layers", "at", "overrides", "steps", "people"),
    [
        (
            f"[{{users: [ann, bob], {DAILY}}}]",
            "2026-01-06T08:58",
            "[]",
            f"{NEXT}, {NEXT}",
            ["ann", "bob", "ann"],
        ),
        (
            f"[{{users: [ann, bob, cy], {DAILY}}}]",
            "2026-01-05T10:00",
            "[{user: bob, start: 2026-01-05T09:00, end: 2026-01-06T09:00}]",
            NEXT,
            ["bob", "cy"],
        ),
        (
            f"[{{users: [ann, bob], {DAILY}}}, {{users: [bob, cy], {DAILY}, active_time_intervals: [office]}}]",
            "2026-01-05T16:58",
            "[]",
            NEXT,
            ["bob", "ann"],
        ),
        # turns of different weight
        (f"[{{users: [ann, ann, bob], {DAILY}}}]", "2026-01-05T10:00", "[]", NEXT, ["ann", "bob"]),
        # a layer that ends between the steps, with nothing below it
        (
            f"[{{users: [ann, bob], {DAILY}, active_time_intervals: [office]}}]",
            "2026-01-05T16:58",
            "[]",
            NEXT,
            ["ann", "bob"],
        ),
        # the people of one turn, one of whom was paged before
        (
            f"[{{users: [ann, [ann, cy], bob], {DAILY}}}]",
            "2026-01-05T10:00",
            "[]",
            f"{NEXT}, {NEXT}",
            ["ann", "cy", "bob"],
        ),
    ],
    ids=["handoff", "override", "layer_ends", "weighted", "gap", "together"],
)
def test_next_is_somebody_who_was_not_paged(
    layers: str, at: str, overrides: str, steps: str, people: list[str]
) -> None:
    assert [user for _, user in paged(layers, at, overrides, steps)] == people
