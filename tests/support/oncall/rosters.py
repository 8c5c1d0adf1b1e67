"""Builds rosters for the tests of who is on call, straight from the configuration's structs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from amproxy.config.structs import (
    Absence,
    Config,
    FilePlace,
    Ical,
    Layer,
    Override,
    Rotation,
    Route,
    Schedule,
    User,
)
from amproxy.labels.intervals import parse_time_interval
from amproxy.model import Swap
from amproxy.oncall.roster import Roster

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
PEOPLE = ("alice", "bob", "carol", "dave")


def wall(text: str) -> datetime:
    """A naive wall-clock time."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def rotation(every: str, start: str, active_days: bool = False) -> Rotation:
    months = int(every[:-2]) if every.endswith("mo") else 0
    seconds = 0 if months else int(every[:-1]) * UNITS[every[-1]]
    return Rotation(
        every=every, seconds=seconds, months=months, start=wall(start), active_days=active_days
    )


def turns(*names: str) -> tuple[tuple[str, ...], ...]:
    """ "alice", "bob+carol" → turns; a plus joins people that are on call together."""
    return tuple(tuple(name.split("+")) for name in names)


def layer(
    name: str,
    *names: str,
    every: str = "1w",
    start: str = "2026-01-05T09:00",
    active: Sequence[str] = (),
    mute: Sequence[str] = (),
    active_days: bool = False,
) -> Layer:
    """A rotation; `every` "" = none."""
    return Layer(
        name=name,
        users=turns(*names),
        rotation=rotation(every, start, active_days) if every else None,
        active_time_intervals=tuple(active),
        mute_time_intervals=tuple(mute),
    )


def override(who: str, start: str, end: str, reason: str = "", id: str = "") -> Override:
    return Override(
        users=tuple(who.split("+")), start=wall(start), end=wall(end), reason=reason, id=id
    )


def taken(who: str, by: str, start: datetime, end: datetime, order: float = 0.0) -> Swap:
    """A swap that was taken; `order`: of several, when."""
    return Swap(
        id=f"{who}-{by}-{order}",
        schedule="main",
        user=who,
        start=start.timestamp(),
        end=end.timestamp(),
        asked_at=0.0,
        taken_by=by,
        taken_at=order,
    )


def away(start: datetime, end: datetime, reason: str = "") -> Absence:
    """An absence by hand."""
    return Absence(start=start, end=end, reason=reason, id="by hand")


def hours(
    name: str, start: str, end: str, zone: str, weekdays: Sequence[str] | None = None
) -> dict[str, object]:
    """A time interval of the day; `end` "24:00" is midnight."""
    entry: dict[str, object] = {"times": [{"start_time": start, "end_time": end}], "location": zone}
    if weekdays:
        entry["weekdays"] = list(weekdays)
    return {name: [entry]}


def roster(
    *layers: Layer,
    zone: str = "Europe/Berlin",
    overrides: Sequence[Override] = (),
    by_hand: Sequence[Override] = (),
    absences: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    zones: Mapping[str, str] | None = None,
    intervals: Mapping[str, object] | None = None,
    ical: Ical | None = None,
    swaps: Sequence[Swap] = (),
    away_by_hand: Mapping[str, Sequence[Absence]] | None = None,
    quiet: Mapping[str, Sequence[str]] | None = None,
    names: Sequence[str] = PEOPLE,
) -> Roster:
    """One schedule "main". `absences`: person → (start, end) on their own wall clock; `zones`: person → zone, else UTC; `quiet`: person →
    their quiet hours."""
    people = {
        name: User(
            name=name,
            timezone=(zones or {}).get(name, "UTC"),
            quiet_hours=tuple((quiet or {}).get(name, ())),
            absences=tuple(
                Absence(start=wall(start), end=wall(end))
                for start, end in (absences or {}).get(name, ())
            ),
        )
        for name in names
    }
    schedule = Schedule(
        name="main",
        timezone=zone,
        layers=layers,
        overrides=tuple(overrides),
        ical=ical,
        place=FilePlace(file="routes.yaml", line=7, column=5),
    )
    config = Config(
        route=Route(receiver="default", key="{}"),
        users=people,
        schedules={"main": schedule},
        time_intervals={
            name: parse_time_interval(name, value) for name, value in (intervals or {}).items()
        },
    )
    return Roster(config, {"main": by_hand}, absences=away_by_hand, swaps={"main": swaps})


def comes_next(who: Roster, at: datetime, schedule: str = "main") -> tuple[str, ...]:
    """Whom `position: next` means once those who are on call have been paged."""
    paged = dict.fromkeys(who.on_call(schedule, at).users, at.timestamp())
    return who.due_next(schedule, at, paged).users
