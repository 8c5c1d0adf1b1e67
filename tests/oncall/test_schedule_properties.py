"""What holds for every schedule, and an oracle that walks minute by minute and knows nothing of the real code's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Absence, Layer, Override
from amproxy.model import Swap
from amproxy.oncall.piecewise import cached_interval
from amproxy.oncall.roster import Roster
from tests.support.oncall.rosters import (
    PEOPLE,
    UNITS,
    away,
    hours,
    layer,
    override,
    roster,
    taken,
    utc,
    wall,
)

# For each zone, noon UTC of the day before a clock change.
CHANGES = {
    "Europe/Berlin": ("2026-03-28", "2026-10-24"),
    "America/New_York": ("2026-03-07", "2026-10-31"),
    "Australia/Lord_Howe": ("2026-10-03", "2026-04-04"),
    "Asia/Tbilisi": ("2026-03-28", "2026-10-24"),
    "America/Santiago": ("2026-09-05", "2026-04-04"),
    "Africa/Casablanca": ("2026-03-21", "2026-02-14"),
}
MINUTE = timedelta(minutes=1)
DAYS = 2


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("every", ["1w", "1d", "12h", "1mo"])
def test_ten_years_of_shifts_join_without_gap_or_overlap(zone: str, every: str) -> None:
    start, end = utc("2026-02-01T00:00"), utc("2036-02-01T00:00")
    found = roster(
        layer("only", "alice", "bob", "carol", every=every, start="2026-01-31T02:30"), zone=zone
    ).shifts("main", start, end)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(shift.start < shift.end for shift in found)
    order = ["alice", "bob", "carol"] * (len(found) // 3 + 2)
    first = order.index(found[0].users[0])
    assert [shift.users[0] for shift in found] == order[first : first + len(found)]


class Case(NamedTuple):
    """A schedule around a clock change, in words that both the code and the oracle understand."""

    zone: str
    start: datetime
    layers: list[Layer]
    overrides: list[Override]
    by_hand: list[Override]
    absences: dict[str, list[tuple[str, str]]]
    zones: dict[str, str]
    open_hours: tuple[int, int]
    away_by_hand: dict[str, list[Absence]]
    swaps: list[Swap]

    def roster(self) -> Roster:
        return roster(
            *self.layers,
            zone=self.zone,
            overrides=self.overrides,
            by_hand=self.by_hand,
            absences=self.absences,
            zones=self.zones,
            away_by_hand=self.away_by_hand,
            swaps=self.swaps,
            intervals=hours(
                "open", f"{self.open_hours[0]:02}:00", f"{self.open_hours[1]:02}:00", self.zone
            ),
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    start = utc(draw(st.sampled_from(CHANGES[zone])) + "T06:00")

    def clock() -> str:
        return (
            start.replace(tzinfo=None) + draw(st.integers(-48, 144)) * timedelta(minutes=30)
        ).isoformat()

    def span() -> tuple[str, str]:
        begins, ends = sorted((clock(), clock()))
        return begins, ends

    def some_overrides() -> list[Override]:
        return [
            override(who, *span(), id=f"o{n}")
            for n, who in enumerate(draw(st.lists(st.sampled_from(PEOPLE), max_size=3)))
        ]

    def moments() -> tuple[datetime, datetime]:
        begins, ends = sorted(
            start + draw(st.integers(-48, 144)) * timedelta(minutes=30) for _ in range(2)
        )
        return begins, ends

    def some_layer(position: int) -> Layer:
        active_days = draw(st.booleans())
        return layer(
            f"layer{position}",
            *draw(
                st.lists(
                    st.sampled_from([*PEOPLE, "alice+bob", "carol+dave"]), min_size=1, max_size=4
                )
            ),
            every=draw(
                st.sampled_from(
                    ["1d", "2d"] if active_days else ["30m", "1h", "7h", "12h", "1d", ""]
                )
            ),
            start=clock(),
            active=draw(st.sampled_from([(), ("open",)])),
            mute=draw(st.sampled_from([(), (), ("open",)])),
            active_days=active_days,
        )

    layers = [some_layer(position) for position in range(draw(st.integers(0, 3)))]
    absent = draw(st.lists(st.sampled_from(PEOPLE), max_size=3, unique=True))
    return Case(
        zone,
        start,
        layers,
        some_overrides(),
        some_overrides(),
        {name: [span() for _ in range(draw(st.integers(1, 2)))] for name in absent},
        {
            name: draw(st.sampled_from([zone, "UTC", "Asia/Tbilisi", "America/New_York"]))
            for name in absent
        },
        draw(st.sampled_from([(9, 18), (0, 2), (2, 3), (1, 24)])),
        {
            name: [away(*moments())]
            for name in draw(st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True))
        },
        [
            taken(
                draw(st.sampled_from(PEOPLE)),
                draw(st.sampled_from(PEOPLE)),
                *moments(),
                order=float(order),
            )
            for order in range(draw(st.integers(0, 3)))
        ],
    )


def walk(case: Case) -> Iterator[tuple[datetime, set[str]]]:
    """Every minute of the window with who is on call: clocks are watched, and a time has come once its clock has shown it or more."""
    latest: dict[str, datetime] = {}
    days = {
        each.name: active_days(case, each)
        for each in case.layers
        if each.rotation and each.rotation.active_days
    }
    at, begin = case.start - timedelta(days=3), case.start
    while at < begin + timedelta(days=DAYS):
        for zone in {case.zone, *case.zones.values()}:
            latest[zone] = max(
                latest.get(zone, datetime.min), at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            )
        if at >= begin:
            yield at, expected(case, at, latest, days)
        at += MINUTE


def expected(
    case: Case, at: datetime, latest: dict[str, datetime], days: dict[str, list[datetime]]
) -> set[str]:
    def holds(start: datetime, end: datetime, zone: str) -> bool:
        return start <= latest[zone] and not end <= latest[zone]

    def swapped(people: set[str]) -> set[str]:
        for swap in case.swaps:
            if swap.user in people and swap.start <= at.timestamp() < swap.end:
                people = people - {swap.user} | {swap.taken_by}
        return people

    for each in reversed(case.by_hand):
        if holds(each.start, each.end, case.zone):
            return set(each.users)
    for each in reversed(case.overrides):
        if holds(each.start, each.end, case.zone):
            return swapped(set(each.users))
    absent = {
        name
        for name, spans in case.absences.items()
        for start, end in spans
        if holds(wall(start), wall(end), case.zones[name])
    }
    absent |= {
        name
        for name, spans in case.away_by_hand.items()
        for span in spans
        if span.start <= at < span.end
    }
    shown = at.astimezone(ZoneInfo(case.zone)).hour
    for each_layer in reversed(case.layers):
        if not is_active(case, each_layer, shown):
            continue
        order = [set(turn) for turn in each_layer.users]
        if each_layer.rotation is None:
            order = [set().union(*order)]
        elif each_layer.rotation.active_days:
            passed = sum(begin <= at for begin in days[each_layer.name])
            turn = (passed - 1) // (each_layer.rotation.seconds // 86400)
            if not passed:
                continue
            order = [order[(turn + n) % len(order)] for n in range(len(order))]
        else:
            every = each_layer.rotation.every
            handoff, passed = each_layer.rotation.start, 0
            while handoff <= latest[case.zone]:
                handoff, passed = (
                    handoff + timedelta(seconds=int(every[:-1]) * UNITS[every[-1]]),
                    passed + 1,
                )
            if not passed:
                continue
            order = [order[(passed - 1 + n) % len(order)] for n in range(len(order))]
        present = [turn - absent for turn in order if turn - absent]
        if present:
            return swapped(present[0])
    return set()


def active_days(case: Case, each_layer: Layer) -> list[datetime]:
    """When the active days of a rotation begin, up to the end of the window: half an hour after the other, every edge lies on one."""
    assert each_layer.rotation
    begins: dict[int, datetime] = {}
    active: set[int] = set()
    at, latest = case.start - timedelta(days=3), datetime.min
    while at < case.start + timedelta(days=DAYS + 2):
        shown = at.astimezone(ZoneInfo(case.zone)).replace(tzinfo=None)
        latest = max(latest, shown)
        day, handoff = -1, each_layer.rotation.start
        while handoff <= latest:
            day, handoff = day + 1, handoff + timedelta(days=1)
        begins.setdefault(day, at)
        if is_active(case, each_layer, shown.hour):
            active.add(day)
        at += timedelta(minutes=30)
    return [begins[day] for day in sorted(active) if day >= 0]


def is_active(case: Case, each_layer: Layer, hour: int) -> bool:
    is_open = case.open_hours[0] <= hour < case.open_hours[1]
    return (is_open or not each_layer.active_time_intervals) and not (
        is_open and each_layer.mute_time_intervals
    )


@settings(max_examples=60)
@given(case=cases())
def test_the_oracle_agrees_at_every_minute(case: Case) -> None:
    found = case.roster().shifts("main", case.start, case.start + timedelta(days=DAYS))
    position = 0
    for at, people in walk(case):
        while found[position].end <= at:
            position += 1
        assert set(found[position].users) == people, at


@settings(max_examples=200)
@given(case=cases(), minutes=st.integers(0, DAYS * 24 * 60 - 1))
def test_shifts_and_on_call_agree(case: Case, minutes: int) -> None:
    who, end, at = case.roster(), case.start + timedelta(days=DAYS), case.start + minutes * MINUTE
    found = who.shifts("main", case.start, end)
    assert [shift.start for shift in found] == [case.start, *(shift.end for shift in found[:-1])]
    assert found[-1].end == end
    (holding,) = [shift for shift in found if shift.start <= at < shift.end]
    answer = who.on_call("main", at)
    assert (answer.users, answer.reason) == (holding.users, holding.reason)
    assert who.gap_seconds("main", case.start, end) == sum(
        (s.end - s.start).total_seconds() for s in found if not s.users
    )


@settings(max_examples=200)
@given(case=cases(), minutes=st.integers(0, DAYS * 24 * 60 - 1))
def test_until_is_the_moment_at_which_people_change_and_next_who_they_are_then(
    case: Case, minutes: int
) -> None:
    who, at = case.roster(), case.start + minutes * MINUTE
    answer = who.on_call("main", at)
    if answer.until is None:
        assert {
            frozenset(shift.users) for shift in who.shifts("main", at, at + timedelta(days=366))
        } == {frozenset(answer.users)}
        return
    assert answer.until > at
    assert who.on_call("main", answer.until).users == answer.next
    assert set(answer.next) != set(answer.users)
    assert {frozenset(shift.users) for shift in who.shifts("main", at, answer.until)} == {
        frozenset(answer.users)
    }


@settings(max_examples=100)
@given(case=cases(), minutes=st.integers(0, DAYS * 24 * 60 - 1))
def test_a_roster_that_was_asked_before_answers_like_a_new_one(case: Case, minutes: int) -> None:
    asked, at = case.roster(), case.start + minutes * MINUTE
    for before in (at + timedelta(days=200), at + timedelta(hours=5), at - timedelta(hours=5)):
        asked.on_call("main", before)
    answer = asked.on_call("main", at)
    cached_interval.cache_clear()
    assert case.roster().on_call("main", at) == answer
