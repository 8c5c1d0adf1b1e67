"""Forecasts: the time to simulate an alert, and to replay recorded incidents by a changed file."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

from amproxy.config.loader import load_text
from amproxy.config.structs import Config
from amproxy.oncall.piecewise import cached_interval
from amproxy.oncall.roster import Roster
from amproxy.simulation.recorded import (
    RecordedEvent,
    RecordedIncident,
    RecordedIncidentSummary,
    RecordedLabels,
)
from amproxy.simulation.replay import Replay
from amproxy.simulation.simulate import SimulationRequest, simulate
from bench.report import Report

MONDAY = datetime(2026, 3, 23, tzinfo=UTC)  # a clock change is at the end of this week
TEAMS = tuple(f"team-{number}" for number in range(10))
PEOPLE = tuple(f"person-{number}" for number in range(40))
WEEK, YEAR = timedelta(days=7), timedelta(days=365)
WEEK_AIM, ONE_AIM = 2.0, 0.1  # seconds


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure ten teams with a schedule and a policy each.

    Every second incident is acknowledged; the source resolves all of them.
    """
    rounds = 1 if quick else 5
    report = Report(
        "simulate",
        f"Foresight: seconds, median of {rounds}",
        ("what", "incidents", "pages", "seconds"),
    )
    config = load_text(_file(), env={}).config
    labels = {"alertname": "Down", "team": TEAMS[0], "severity": "critical"}
    alert = SimulationRequest(labels=labels, at=MONDAY)

    def one() -> int:
        return len(simulate(alert, Roster(config))["pages"])

    _add(report, "simulate one alert for a day", 1, one, ONE_AIM, rounds)
    _add(report, "replay a week", 1000, lambda: _replayed(config, 1000, WEEK), WEEK_AIM, rounds)
    _add(report, "replay a year", 10_000, lambda: _replayed(config, 10_000, YEAR), None, 1)
    return report


def _add(
    report: Report, what: str, incidents: int, do: Callable[[], int], aim: float | None, rounds: int
) -> None:
    """Measure `do`, which returns the number of its pages."""
    durations, pages = list[float](), 0
    for _ in range(rounds):
        cached_interval.cache_clear()  # a user's simulation is the first of its process
        started = time.perf_counter()
        pages = do()
        durations.append(time.perf_counter() - started)
    typical = median(durations)
    report.add_row(what, f"{incidents:,}", f"{pages:,}", f"{typical:.3f}")
    figures = {"what": what, "incidents": incidents, "pages": pages}
    report.figures.append({**figures, "seconds": durations})
    if aim is not None:
        report.add_aim(what, f"{aim:g} s", f"{typical:.2f} s", typical <= aim)


def _replayed(config: Config, incidents: int, period: timedelta) -> int:
    replay = Replay(_records(incidents, period), Roster(config))
    return sum(load.now for load in replay.people.values())


def _records(incidents: int, period: timedelta) -> list[RecordedIncident]:
    chance = Random(1)  # the same incidents in each run, so that runs compare
    starts = sorted(MONDAY + period * chance.random() for _ in range(incidents))
    return [_record(number, at, chance) for number, at in enumerate(starts, 1)]


def _record(number: int, at: datetime, chance: Random) -> RecordedIncident:
    team, name = chance.choice(TEAMS), f"Alert{chance.randrange(50)}"
    labels = {
        "alertname": name,
        "team": team,
        "severity": chance.choice(["critical", "warning"]),
        "instance": f"i-{number}",
    }
    grouped = {key: labels[key] for key in ("alertname", "team")}
    events = [RecordedEvent(at=at, kind="opened", firing=1)]
    if number % 2:
        answered, person = at + timedelta(minutes=chance.uniform(1, 20)), chance.choice(PEOPLE)
        events.append(RecordedEvent(at=answered, kind="acknowledge", user=person))
    resolved = at + timedelta(minutes=chance.uniform(25, 90))
    events.append(RecordedEvent(at=resolved, kind="resolve", by="source"))
    return RecordedIncident(
        format="amproxy.history/1",
        incident=RecordedIncidentSummary(
            id=f"i{number}", number=number, title=name, state="resolved", policy=team, started_at=at
        ),
        plan=_NO_PLAN,
        labels=RecordedLabels(
            group_labels=grouped, common_labels=labels, receiver=team, group_key=f"{{}}:{grouped}"
        ),
        events=tuple(events),
    )


def _file() -> str:
    """The text of routes.yaml."""
    routes = ", ".join(f"{{receiver: {team}, matchers: ['team={team}']}}" for team in TEAMS)
    return f"""
global: {{telegram_bot_token: x, smtp_smarthost: 'localhost:25', smtp_from: a@example.org}}
route:
  receiver: nobody
  group_by: [alertname, team]
  routes: [{routes}]
receivers:
  - name: nobody
{"".join(_receiver(team) for team in TEAMS)}
time_intervals:
  - name: office
    time_intervals:
      - weekdays: ['monday:friday']
        times: [{{start_time: '09:00', end_time: '18:00'}}]
        location: Europe/Berlin
users:
{"".join(_user(number, name) for number, name in enumerate(PEOPLE, 1))}
teams:
{"".join(_team(number, team) for number, team in enumerate(TEAMS))}
schedules:
{"".join(_schedule(number, team) for number, team in enumerate(TEAMS))}
escalation_policies:
{"".join(_policy(team) for team in TEAMS)}
"""


def _receiver(team: str) -> str:
    return f"  - {{name: {team}, oncall_configs: [{{escalation_policy: {team}}}]}}\n"


def _user(number: int, name: str) -> str:
    contacts = f"{{telegram: {number}, email: {name}@example.org}}"
    return f"  - {{name: {name}, timezone: Europe/Berlin, contacts: {contacts}}}\n"


def _team(number: int, team: str) -> str:
    return f"  - {{name: {team}, members: [{_members(number)}]}}\n"


def _members(number: int) -> str:
    return ", ".join(PEOPLE[number * 4 : number * 4 + 4])


def _schedule(number: int, team: str) -> str:
    return f"""
  - name: {team}
    timezone: Europe/Berlin
    layers:
      - name: weekly
        users: [{_members(number)}]
        rotation: {{every: 1w, start: 2026-01-05T09:00}}
      - name: office
        users: [{_members(number)}]
        rotation: {{every: 1d, start: 2026-01-05T09:00}}
        active_time_intervals: [office]
"""


def _policy(team: str) -> str:
    return f"""
  - name: {team}
    repeat: 1
    acknowledge_timeout: 4h
    steps:
      - notify: {{schedule: {team}}}
      - wait: 5m
      - notify: {{schedule: {team}, position: next}}
      - wait: 10m
      - notify: {{team: {team}, pick: round_robin}}
        matchers: [severity="critical"]
      - wait: 5m
"""


# Down here because it needs the functions above.
_NO_PLAN = load_text(_file(), env={}).config.policies[TEAMS[0]]
