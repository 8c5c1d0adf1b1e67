"""Schedules: the time to find who is on call now, and to compute a year of shifts."""

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
from bench.report import Report

NAME, ZONE = "platform", "Europe/Berlin"
NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)  # two days before a clock change
START = datetime(2016, 1, 4, 9)  # noqa: DTZ001 wall clock
YEAR = timedelta(days=365)
DAY = 86400  # seconds
ON_CALL_AIM, SHIFTS_AIM = 1.0, 50.0  # milliseconds
PEOPLE = tuple(f"person-{number}" for number in range(12))


def _times(*periods: str) -> list[dict[str, str]]:
    """Times of day as the file has them, from `start–end` each."""
    split = [period.split("–") for period in periods]
    return [{"start_time": start, "end_time": end} for start, end in split]


INTERVALS: dict[str, dict[str, Any]] = {
    "office": {"times": _times("09:00–18:00"), "weekdays": ["monday:friday"]},
    "lunch": {"times": _times("12:00–13:00")},
    "night": {"times": _times("00:00–07:00", "22:00–24:00")},
    "weekend": {"weekdays": ["saturday", "sunday"]},
}
_Query = Callable[[Roster], object]


async def run(folder: Path, *, quick: bool) -> Report:
    """Measure each query cold, with a new roster, and warm.

    Cold: nothing is cached in the process. New roster: the first query after an override.
    Warm: a repeated query.
    """
    rounds = 5 if quick else 25
    report = Report(
        "schedules",
        "A schedule of 5 layers, ten years old, "
        "with time intervals, absences, overrides and swaps (ms)",
        ("asked", "cold", "new roster", "warm"),
    )
    shifts = len(_roster(_config()).shifts(NAME, NOW, NOW + YEAR))
    report.notes.append(
        f"the year has {shifts:,} shifts; "
        f"medians, of {rounds} questions cold and with a new roster and {rounds * 20} warm"
    )
    queries: tuple[tuple[str, _Query, float], ...] = (
        ("who is on call now", lambda roster: roster.on_call(NAME, NOW), ON_CALL_AIM),
        ("whose turn is next", lambda roster: roster.turn_after(NAME, NOW), ON_CALL_AIM),
        ("a year of shifts", lambda roster: roster.shifts(NAME, NOW, NOW + YEAR), SHIFTS_AIM),
    )
    for what, query, aim in queries:
        _add(report, what, query, aim, rounds)
    return report


def _add(report: Report, what: str, query: _Query, aim: float, rounds: int) -> None:
    config = _config()
    cold, fresh = list[float](), list[float]()
    for _ in range(rounds):
        cached_interval.cache_clear()
        active_days.cache_clear()
        # The second roster is new as well, but finds the caches of the process filled.
        cold.append(_milliseconds(query, _roster(config)))
        fresh.append(_milliseconds(query, _roster(config)))
    roster = _roster(config)
    warm = [_milliseconds(query, roster) for _ in range(1 + rounds * 20)][1:]
    typical = median(warm)
    report.add_row(what, f"{median(cold):.2f}", f"{median(fresh):.2f}", f"{typical:.3f}")
    report.figures.append({"asked": what, "cold": cold, "new roster": fresh, "warm": warm})
    report.add_aim(f"{what}, warm", f"{aim:g} ms", f"{typical:.2f} ms", typical <= aim)


def _milliseconds(query: _Query, roster: Roster) -> float:
    started = time.perf_counter()
    query(roster)
    return (time.perf_counter() - started) * 1000


def _config() -> Config:
    """A file with all that makes a schedule slow: intervals, turns of several lengths, absences."""
    weeks = range(0, 52, 2)
    schedule = Schedule(
        name=NAME,
        timezone=ZONE,
        layers=(
            _layer("base", PEOPLE, _rotation("1w", 7 * DAY)),
            _layer("nights", PEOPLE[::-1], _rotation("12h", DAY // 2), active="night"),
            _layer("monthly", PEOPLE[3:9], _rotation("1mo", 0, months=1), active="weekend"),
            _layer("office", PEOPLE[:6], _rotation("1d", DAY, active_days=True), active="office"),
            _layer(
                "second line",
                PEOPLE[6:],
                _rotation("2d", 2 * DAY, active_days=True),
                active="office",
                mute="lunch",
            ),
        ),
        overrides=tuple(_planned(PEOPLE[week % 12], week * 7) for week in weeks),
    )
    return Config(
        route=Route(receiver="none", key="{}"),
        users={name: _user(number, name) for number, name in enumerate(PEOPLE)},
        schedules={NAME: schedule},
        time_intervals={
            name: parse_time_interval(name, [{**entry, "location": ZONE}])
            for name, entry in INTERVALS.items()
        },
    )


def _rotation(every: str, seconds: int, *, months: int = 0, active_days: bool = False) -> Rotation:
    return Rotation(
        every=every, seconds=seconds, months=months, start=START, active_days=active_days
    )


def _layer(
    name: str, people: Sequence[str], rotation: Rotation, active: str = "", mute: str = ""
) -> Layer:
    return Layer(
        name=name,
        users=tuple((person,) for person in people),
        rotation=rotation,
        active_time_intervals=(active,) if active else (),
        mute_time_intervals=(mute,) if mute else (),
    )


def _planned(person: str, day: int) -> Override:
    return Override(users=(person,), start=_wall(day), end=_wall(day + 1), reason="planned")


def _user(number: int, name: str) -> User:
    """A user with two absences a year, in a time zone other than that of the schedule."""
    days = (7 * number, 200 + 5 * number)
    absences = tuple(Absence(start=_wall(day), end=_wall(day + 10)) for day in days)
    return User(name=name, timezone="Asia/Tbilisi", absences=absences)


def _wall(day: float) -> datetime:
    """The time `day` days after now, without a time zone, as in a file."""
    return NOW.replace(tzinfo=None) + timedelta(days=day)


def _roster(config: Config) -> Roster:
    """A new roster, with overrides, absences and swaps that people entered."""
    overrides = [_override(number) for number in range(1, 40)]
    absences = {PEOPLE[number]: [_absence(number)] for number in range(6)}
    swaps = [_swap(number) for number in range(1, 40)]
    return Roster(config, {NAME: overrides}, absences=absences, swaps={NAME: swaps})


def _override(number: int) -> Override:
    start = NOW + timedelta(days=3 * number)
    end = start + timedelta(hours=6)
    return Override(users=(PEOPLE[number % 12],), start=start, end=end, id=f"o{number}")


def _absence(number: int) -> Absence:
    start = NOW + timedelta(days=20 * number)
    return Absence(start=start, end=start + timedelta(days=3), id=f"a{number}")


def _swap(number: int) -> Swap:
    now = NOW.timestamp()
    return Swap(
        id=f"s{number}",
        schedule=NAME,
        user=PEOPLE[number % 12],
        start=now + number * 9 * DAY,
        end=now + (number * 9 + 5) * DAY,
        asked_at=now,
        taken_by=PEOPLE[(number + 5) % 12],
        taken_at=now + number,
    )
