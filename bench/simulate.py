"""Foresight: how long it takes to simulate an alert, and to replay recorded incidents through a changed file."""

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
from amproxy.simulation.recorded import RecordedEvent, RecordedIncident, RecordedIncidentSummary, RecordedLabels
from amproxy.simulation.replay import Replay
from amproxy.simulation.simulate import SimulationRequest, simulate
from bench.report import Aim, Report

MONDAY = datetime(2026, 3, 23, tzinfo=UTC)  # a clock change is at the end of this week
TEAMS = tuple(f"team-{number}" for number in range(10))
PEOPLE = tuple(f"person-{number}" for number in range(40))
WEEK, YEAR = timedelta(days=7), timedelta(days=365)
WEEK_AIM, ONE_AIM = 2.0, 0.1  # seconds


async def run(folder: Path, *, quick: bool) -> Report:
    """Ten teams with a schedule and a policy each; every second incident is acknowledged, all end by themselves."""
    rounds = 1 if quick else 5
    report = Report("simulate", f"Foresight: seconds, median of {rounds}", ("what", "incidents", "pages", "seconds"))
    config = load_text(_file(), env={}).config
    asked = SimulationRequest(labels={"alertname": "Down", "team": TEAMS[0], "severity": "critical"}, at=MONDAY)
    _add(report, "simulate one alert for a day", 1, lambda: len(simulate(asked, Roster(config))["pages"]), ONE_AIM, rounds)
    _add(report, "replay a week", 1000, lambda: _replayed(config, 1000, WEEK), WEEK_AIM, rounds)
    _add(report, "replay a year", 10_000, lambda: _replayed(config, 10_000, YEAR), None, 1)
    return report


def _add(report: Report, what: str, incidents: int, do: Callable[[], int], aim: float | None, rounds: int) -> None:
    taken, pages = list[float](), 0
    for _ in range(rounds):
        cached_interval.cache_clear()
        started = time.perf_counter()
        pages = do()
        taken.append(time.perf_counter() - started)
    found = median(taken)
    report.rows.append((what, f"{incidents:,}", f"{pages:,}", f"{found:.3f}"))
    report.figures.append({"what": what, "incidents": incidents, "pages": pages, "seconds": taken})
    if aim is not None:
        report.aims.append(Aim(what, f"{aim:g} s", f"{found:.2f} s", found <= aim))


def _replayed(config: Config, incidents: int, span: timedelta) -> int:
    found = Replay(_records(incidents, span), Roster(config))
    return sum(load.now for load in found.people.values())


def _records(incidents: int, span: timedelta) -> list[RecordedIncident]:
    chance = Random(1)
    starts = sorted(MONDAY + span * chance.random() for _ in range(incidents))
    return [_record(number, at, chance) for number, at in enumerate(starts, 1)]


def _record(number: int, at: datetime, chance: Random) -> RecordedIncident:
    team, name = chance.choice(TEAMS), f"Alert{chance.randrange(50)}"
    labels = {"alertname": name, "team": team, "severity": chance.choice(["critical", "warning"]), "instance": f"i-{number}"}
    grouped = {key: labels[key] for key in ("alertname", "team")}
    events = [RecordedEvent(at=at, kind="opened", firing=1)]
    if number % 2:
        events.append(RecordedEvent(at=at + timedelta(minutes=chance.uniform(1, 20)), kind="acknowledge", user=chance.choice(PEOPLE)))
    events.append(RecordedEvent(at=at + timedelta(minutes=chance.uniform(25, 90)), kind="resolve", by="source"))
    return RecordedIncident(
        format="amproxy.history/1",
        incident=RecordedIncidentSummary(id=f"i{number}", number=number, title=name, state="resolved", policy=team, started_at=at),
        plan=_NO_PLAN,
        labels=RecordedLabels(group_labels=grouped, common_labels=labels, receiver=team, group_key=f"{{}}:{grouped}"),
        events=tuple(events),
    )


def _file() -> str:
    people = "\n".join(
        f"  - {{name: {name}, timezone: Europe/Berlin, contacts: {{telegram: {number}, email: {name}@example.org}}}}"
        for number, name in enumerate(PEOPLE, 1)
    )
    return f"""
global: {{telegram_bot_token: x, smtp_smarthost: 'localhost:25', smtp_from: a@example.org}}
route:
  receiver: nobody
  group_by: [alertname, team]
  routes: [{", ".join(f"{{receiver: {team}, matchers: ['team={team}']}}" for team in TEAMS)}]
receivers:
  - name: nobody
{"".join(f"  - {{name: {team}, oncall_configs: [{{escalation_policy: {team}}}]}}{chr(10)}" for team in TEAMS)}
time_intervals:
  - name: office
    time_intervals: [{{weekdays: ['monday:friday'], times: [{{start_time: '09:00', end_time: '18:00'}}], location: Europe/Berlin}}]
users:
{people}
teams:
{"".join(f"  - {{name: {team}, members: [{_members(number)}]}}{chr(10)}" for number, team in enumerate(TEAMS))}
schedules:
{"".join(_schedule(number, team) for number, team in enumerate(TEAMS))}
escalation_policies:
{"".join(_policy(team) for team in TEAMS)}
"""


def _members(number: int) -> str:
    return ", ".join(PEOPLE[number * 4 : number * 4 + 4])


def _schedule(number: int, team: str) -> str:
    return f"""
  - name: {team}
    timezone: Europe/Berlin
    layers:
      - {{name: weekly, users: [{_members(number)}], rotation: {{every: 1w, start: 2026-01-05T09:00}}}}
      - {{name: office, users: [{_members(number)}], rotation: {{every: 1d, start: 2026-01-05T09:00}}, active_time_intervals: [office]}}
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


_NO_PLAN = load_text(_file(), env={}).config.policies[TEAMS[0]]
