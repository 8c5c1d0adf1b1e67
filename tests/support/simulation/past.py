"""An exported history, line by line: incidents as a simulation of the old file has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from amproxy.config.structs import Config
from amproxy.oncall.roster import Roster
from amproxy.reports.export import history_line
from amproxy.simulation.recorded import RecordedIncident, read_history
from amproxy.simulation.replay import Replay
from amproxy.simulation.simulate import Simulation, SimulationRequest
from amproxy.text.render import english
from tests.support.simulation.files import MONDAY

DOWN = {"alertname": "Down", "team": "a"}


def lines(
    config: Config,
    labels: dict[str, str] = DOWN,
    at: datetime = MONDAY,
    number: int = 1,
    answers: Any = (),
    over: float | None = 3600.0,
    **more: Any,
) -> list[bytes]:
    """What the service would have exported of one alert, a line for each incident."""
    asked = SimulationRequest(
        labels=labels, at=at, duration=86400.0, answers=answers, resolve_after=over, **more
    )
    found = []
    for group in Simulation(asked, Roster(config)).groups:
        for simulated in group.incidents:
            one = simulated.incident
            one.number = number + len(found)
            view = {
                "id": one.id,
                "number": one.number,
                "title": one.title,
                "state": one.state,
                "policy": one.policy,
                "started_at": msgspec.to_builtins(
                    datetime.fromtimestamp(one.started_at, tz=MONDAY.tzinfo)
                ),
            }
            found.append(
                msgspec.json.encode(
                    history_line(one, [entry.entry for entry in simulated.entries], view, english())
                )
            )
    return found


def week(config: Config, **more: Any) -> list[bytes]:
    """The same alert every day at nine."""
    days = [
        lines(config, at=MONDAY + timedelta(days=day), number=day + 1, **more) for day in range(7)
    ]
    return [line for day in days for line in day]


def records(found: list[bytes]) -> list[RecordedIncident]:
    good, broken = read_history(found)
    assert broken == []
    return good


def replayed(found: list[bytes], config: Config) -> Replay:
    return Replay(records(found), Roster(config))
