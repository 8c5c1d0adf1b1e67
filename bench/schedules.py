"""Schedules: how long it takes to say who is on call now, and to lay out a year of shifts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from amproxy.config.structs import Absence, Config, Layer, Override, Rotation, Route, Schedule, User
from amproxy.labels.intervals import parse_time_interval
from amproxy.model import Swap
from amproxy.oncall.layers import active_days
from amproxy.oncall.piecewise import cached_interval
from amproxy.oncall.roster import Roster
from bench.report import Aim, Report

NAME = "platform"
NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)  # two days before a clock change
START = datetime(2016, 1, 4, 9)  # noqa: DTZ001 wall clock
YEAR = timedelta(days=365)
DAY = 86400  # seconds
ON_CALL_AIM, SHIFTS_AIM = 1.0, 50.0  # milliseconds
PEOPLE = tuple(f"person-{number}" for number in range(12))
INTERVALS: dict[str, dict[str, Any]] = {
    "office": {"times": [{"start_time": "09:00", "end_time": "18:00"}], "weekdays": ["monday:friday"]},
    "lunch": {"times": [{"start_time": "12:00", "end_time": "13:00"}]},
    "night": {"times": [{"start_time": "00:00", "end_time": "07:00"}, {"start_time": "22:00", "end_time": "24:00"}]},
    "weekend": {"weekdays": ["saturday", "sunday"]},
}


async def run(folder: Path, *, quick: bool) -> Report:
    """Cold: a process that remembers nothing. New roster: the first question after an override. Warm: asked before."""
    rounds = 5 if quick else 25
    report = Report(
        "schedules",
        "A schedule of 5 layers, ten years old, with time intervals, absences, overrides and swaps (ms)",
        ("asked", "cold", "new roster", "warm"),
    )
    shifts = len(_roster(_config()).shifts(NAME, NOW, NOW + YEAR))
    report.notes.append(f"the year has {shifts:,} shifts; medians, of {rounds} questions cold and with a new roster and {rounds * 20} warm")
    _add(report, "who is on call now", lambda roster: roster.on_call(NAME, NOW), ON_CALL_AIM, rounds)
    _add(report, "whose turn is next", lambda roster: roster.turn_after(NAME, NOW), ON_CALL_AIM, rounds)
    _add(report, "a year of shifts", lambda roster: roster.shifts(NAME, NOW, NOW + YEAR), SHIFTS_AIM, rounds)
    return report


def _add(report: Report, what: str, ask: Callable[[Roster], object], aim: float, rounds: int) -> None:
    config = _config()
    cold, fresh = list[float](), list[float]()
    for _ in range(rounds):
        cached_interval.cache_clear()
        active_days.cache_clear()
        cold.append(_milliseconds(ask, _roster(config)))
        fresh.append(_milliseconds(ask, _roster(config)))
    asked = _roster(config)
    warm = [_milliseconds(ask, asked) for _ in range(1 + rounds * 20)][1:]
    report.rows.append((what, f"{median(cold):.2f}", f"{median(fresh):.2f}", f"{median(warm):.3f}"))
    report.figures.append({"asked": what, "cold": cold, "new roster": fresh, "warm": warm})
    report.aims.append(Aim(f"{what}, warm", f"{aim:g} ms", f"{median(warm):.2f} ms", median(warm) <= aim))


def _milliseconds(ask: Callable[[Roster], object], roster: Roster) -> float:
    started = time.perf_counter()
    ask(roster)
    return (time.perf_counter() - started) * 1000


def _config() -> Config:
    layers = (
        _layer("base", PEOPLE, Rotation(every="1w", seconds=7 * DAY, months=0, start=START)),
        _layer("nights", PEOPLE[::-1], Rotation(every="12h", seconds=DAY // 2, months=0, start=START), active=("night",)),
        _layer("monthly", PEOPLE[3:9], Rotation(every="1mo", seconds=0, months=1, start=START), active=("weekend",)),
        _layer("office", PEOPLE[:6], Rotation(every="1d", seconds=DAY, months=0, start=START, active_days=True), active=("office",)),
        _layer(
            "second line", PEOPLE[6:], Rotation(every="2d", seconds=2 * DAY, months=0, start=START, active_days=True), active=("office",),
            mute=("lunch",),
        ),
    )  # fmt: skip
    overrides = tuple(
        Override(users=(PEOPLE[week % 12],), start=_wall(week * 7), end=_wall(week * 7 + 1), reason="planned") for week in range(0, 52, 2)
    )
    users = {
        name: User(
            name=name,
            timezone="Asia/Tbilisi",
            absences=tuple(Absence(start=_wall(day), end=_wall(day + 10)) for day in (7 * number, 200 + 5 * number)),
        )
        for number, name in enumerate(PEOPLE)
    }
    return Config(
        route=Route(receiver="none", key="{}"),
        users=users,
        schedules={NAME: Schedule(name=NAME, timezone="Europe/Berlin", layers=layers, overrides=overrides)},
        time_intervals={name: parse_time_interval(name, [{**entry, "location": "Europe/Berlin"}]) for name, entry in INTERVALS.items()},
    )


def _layer(name: str, people: Sequence[str], rotation: Rotation, active: tuple[str, ...] = (), mute: tuple[str, ...] = ()) -> Layer:
    users = tuple((person,) for person in people)
    return Layer(name=name, users=users, rotation=rotation, active_time_intervals=active, mute_time_intervals=mute)


def _wall(day: float) -> datetime:
    """So many days after now, on a wall clock."""
    return NOW.replace(tzinfo=None) + timedelta(days=day)


def _roster(config: Config) -> Roster:
    """A new one, with what people did by hand."""
    now = NOW.timestamp()
    by_hand = [
        Override(users=(PEOPLE[n % 12],), start=NOW + timedelta(days=3 * n), end=NOW + timedelta(days=3 * n, hours=6), id=f"o{n}")
        for n in range(1, 40)
    ]
    away = {PEOPLE[n]: [Absence(start=NOW + timedelta(days=20 * n), end=NOW + timedelta(days=20 * n + 3), id=f"a{n}")] for n in range(6)}
    swaps = [
        Swap(
            id=f"s{n}", schedule=NAME, user=PEOPLE[n % 12], start=now + n * 9 * DAY, end=now + (n * 9 + 5) * DAY, asked_at=now,
            taken_by=PEOPLE[(n + 5) % 12], taken_at=now + n,
        )
        for n in range(1, 40)
    ]  # fmt: skip
    return Roster(config, {NAME: by_hand}, absences=away, swaps={NAME: swaps})
