"""Rotations whose turns are counted over active days only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.labels.intervals import TimeInterval, parse_time_interval
from amproxy.oncall.layers import ActiveDays, active_days
from amproxy.oncall.piecewise import cached_interval
from amproxy.oncall.roster import Roster
from amproxy.times import wall_to_utc
from tests.support.oncall.rosters import comes_next, hours, layer, local, roster, rotation, utc

BERLIN = "Europe/Berlin"
ZONES = (
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Tbilisi",
    "America/Santiago",
    "Africa/Casablanca",
)
PEOPLE = ("alice", "bob", "carol")
OFFICE = hours("office", "09:00", "18:00", BERLIN, ["monday:friday"])


def office(
    *names: str, every: str = "1d", start: str = "2026-01-05T09:00", mute: str = ""
) -> Roster:
    """People in turns over the working days; the 14th of January, a Wednesday, is a holiday where `mute` is "holiday"."""
    holiday = {"holiday": [{"days_of_month": ["14"], "months": ["january"], "location": BERLIN}]}
    turning = layer(
        "office",
        *names,
        every=every,
        start=start,
        active=["office"],
        mute=[mute] if mute else (),
        active_days=True,
    )
    return roster(turning, intervals={**OFFICE, **holiday})


def on_days(who: Roster, *days: int) -> list[str]:
    """Who is on call at ten in the morning of these days of January 2026; the 5th is a Monday."""
    return [
        "+".join(who.on_call("main", local(f"2026-01-{day:02}T10:00", BERLIN)).users)
        for day in days
    ]


def test_the_person_of_friday_is_followed_on_monday_by_the_next_in_order() -> None:
    who = office(*PEOPLE)
    assert on_days(who, 5, 6, 7, 8, 9) == ["alice", "bob", "carol", "alice", "bob"]
    assert on_days(who, 10, 11) == ["", ""]
    assert on_days(who, 12, 13) == ["carol", "alice"]


def test_without_it_the_weekend_takes_turns_too() -> None:
    who = roster(layer("office", *PEOPLE, every="1d", active=["office"]), intervals=OFFICE)
    assert on_days(who, 9, 12) == ["bob", "bob"]


def test_two_days_are_two_active_ones_and_a_week_is_seven() -> None:
    assert on_days(office(*PEOPLE, every="2d"), 5, 6, 7, 8, 9, 12, 13) == [
        "alice",
        "alice",
        "bob",
        "bob",
        "carol",
        "carol",
        "alice",
    ]
    assert on_days(office(*PEOPLE, every="1w"), 5, 12, 13, 14, 21, 22, 23) == ["alice"] * 3 + [
        "bob"
    ] * 3 + ["carol"]


def test_a_muted_day_is_none() -> None:
    assert on_days(office(*PEOPLE, mute="holiday"), 12, 13, 14, 15, 16) == [
        "carol",
        "alice",
        "",
        "bob",
        "carol",
    ]


def test_turns_begin_with_the_first_active_day() -> None:
    who = office(*PEOPLE, start="2026-01-03T09:00")  # a Saturday
    assert on_days(who, 3, 4, 5, 6) == ["", "", "alice", "bob"]
    answer = who.on_call("main", local("2026-01-01T00:00", BERLIN))
    assert (answer.users, answer.until, answer.next) == (
        (),
        local("2026-01-05T09:00", BERLIN),
        ("alice",),
    )


def test_the_next_position_on_friday_is_who_comes_on_monday() -> None:
    who = office(*PEOPLE)
    assert comes_next(who, local("2026-01-09T10:00", BERLIN)) == ("carol",)
    assert who.on_call("main", local("2026-01-09T10:00", BERLIN)).until == local(
        "2026-01-09T18:00", BERLIN
    )
    assert comes_next(who, local("2026-01-10T10:00", BERLIN)) == ("carol",)


def test_an_absence_does_not_move_the_order() -> None:
    turning = layer("office", *PEOPLE, every="1d", active=["office"], active_days=True)
    who = roster(
        turning, intervals=OFFICE, absences={"bob": [("2026-01-05T00:00", "2026-01-08T00:00")]}
    )
    assert on_days(who, 5, 6, 7, 8, 9) == ["alice", "carol", "carol", "alice", "bob"]
    assert comes_next(who, local("2026-01-05T10:00", BERLIN)) == ("carol",)


def test_a_day_runs_from_handoff_to_handoff() -> None:
    nights = {
        "nights": [
            {
                "times": [{"start_time": "00:00", "end_time": "06:00"}],
                "weekdays": ["tuesday:saturday"],
                "location": BERLIN,
            }
        ]
    }
    who = roster(
        layer(
            "nights",
            *PEOPLE,
            every="1d",
            start="2026-01-05T18:00",
            active=["nights"],
            active_days=True,
        ),
        intervals=nights,
    )
    at = [
        "2026-01-06T01:00",
        "2026-01-07T01:00",
        "2026-01-10T01:00",
        "2026-01-13T01:00",
    ]  # the nights after Monday, Tuesday, Friday, Monday
    assert [who.on_call("main", local(text, BERLIN)).users[0] for text in at] == [
        "alice",
        "bob",
        "bob",
        "carol",
    ]


@pytest.mark.parametrize(
    ("times", "start", "asked"),
    [
        # 02:00 to 03:00 does not exist on 29 March, so that day counts for nobody
        ("02:00-03:00", "03-27T00:00", "03-27T02:30 alice, 03-28T02:30 bob, 03-30T02:30 carol"),
        # 02:00 to 03:00 comes twice on 25 October and is one day
        (
            "02:00-03:00",
            "10-24T00:00",
            "10-24T02:30 alice, 10-25T02:30 bob, 10-25T02:30+ bob, 10-26T02:30 carol",
        ),
        # a handoff within the skipped hour is at the jump: 03:00 belongs to the new day
        (
            "01:00-04:00",
            "03-28T02:30",
            "03-28T03:00 alice, 03-29T01:59 alice, 03-29T03:00 bob, 03-30T02:00 bob",
        ),
        # a handoff within the repeated hour is in its first pass; the second pass does not go back
        (
            "01:00-04:00",
            "10-24T02:30",
            "10-25T02:29 alice, 10-25T02:30 bob, 10-25T02:00+ bob, 10-25T02:45+ bob",
        ),
    ],
)
def test_over_a_clock_change(times: str, start: str, asked: str) -> None:
    """A "+" means the second pass of a repeated hour."""
    turning = layer(
        "t", *PEOPLE, every="1d", start=f"2026-{start}", active=["open"], active_days=True
    )
    who = roster(turning, intervals=hours("open", *times.split("-"), BERLIN))
    for at, expected in (text.split() for text in asked.split(", ")):
        assert who.on_call(
            "main", local(f"2026-{at.rstrip('+')}", BERLIN, fold=at.endswith("+"))
        ).users == (expected,), at


def test_a_day_that_a_zone_skips_as_a_whole_counts_for_nobody() -> None:
    apia = "Pacific/Apia"  # had no 30 December 2011
    who = roster(
        layer("t", *PEOPLE, every="1d", start="2011-12-29T00:00", active_days=True), zone=apia
    )
    found = [
        who.on_call("main", local(f"{day}T12:00", apia)).users[0]
        for day in ("2011-12-29", "2011-12-31", "2012-01-01")
    ]
    assert found == ["alice", "bob", "carol"]


@pytest.mark.parametrize("zone", ZONES)
def test_without_restriction_ten_years_have_no_gap_and_one_turn_a_day(zone: str) -> None:
    start, end = utc("2026-02-01T00:00"), utc("2036-02-01T00:00")
    turning = layer("only", *PEOPLE, every="1d", start="2026-01-31T02:30", active_days=True)
    found = roster(turning, zone=zone).shifts("main", start, end)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(before.end == after.start for before, after in pairwise(found))
    plain = layer("only", *PEOPLE, every="1d", start="2026-01-31T02:30")
    assert found == roster(plain, zone=zone).shifts("main", start, end)


@pytest.mark.parametrize("zone", ZONES)
def test_over_ten_years_of_working_days_everybody_follows_everybody(zone: str) -> None:
    turning = layer(
        "office", *PEOPLE, every="1d", start="2026-01-31T02:30", active=["office"], active_days=True
    )
    who = roster(
        turning, zone=zone, intervals=hours("office", "09:00", "18:00", zone, ["monday:friday"])
    )
    found = [
        shift
        for shift in who.shifts("main", utc("2026-02-01T00:00"), utc("2036-02-01T00:00"))
        if shift.users
    ]
    assert all(before.end < after.start for before, after in pairwise(found))
    assert {shift.start.astimezone(ZoneInfo(zone)).time().isoformat() for shift in found} == {
        "09:00:00"
    }
    order = list(PEOPLE) * (len(found) // 3 + 1)
    assert [shift.users[0] for shift in found] == order[: len(found)]
    assert len(found) > 2600


def naive(
    start: datetime, zone: ZoneInfo, active: list[TimeInterval], mute: list[TimeInterval]
) -> Iterator[tuple[datetime, bool]]:
    """Day after day: when it begins, and whether the layer is active at one of its quarters of an hour."""
    day = 0
    while True:
        begin, end = (
            wall_to_utc(start + timedelta(days=number), zone) for number in (day, day + 1)
        )
        at, found = begin, False
        while at < end and not found:
            found = any(one.holds(at) for one in active) and not any(one.holds(at) for one in mute)
            at += timedelta(minutes=15)
        yield begin, found
        day += 1


@settings(max_examples=25)
@given(
    zone=st.sampled_from(ZONES),
    place=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 1)),
    each=st.sampled_from([1, 2, 7]),
    times=st.sampled_from(
        [("09:00", "18:00"), ("00:00", "24:00"), ("02:00", "03:00"), ("23:00", "24:00")]
    ),
    weekdays=st.sampled_from([["monday:friday"], ["saturday", "sunday"], ["wednesday"]]),
    muted=st.sampled_from([[], [{"days_of_month": ["-3:-1"]}], [{"months": ["march", "october"]}]]),
)
def test_days_are_counted_one_by_one(
    zone: str,
    place: str,
    start: datetime,
    each: int,
    times: tuple[str, str],
    weekdays: list[str],
    muted: list[object],
) -> None:
    start = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0)
    active = parse_time_interval("active", hours("active", *times, place, weekdays)["active"])
    mute = parse_time_interval("mute", muted)
    days = ActiveDays(
        rotation(f"{each}d", start.isoformat(), True), ZoneInfo(zone), [active], [mute]
    )
    count = 0
    for _, (begin, is_active) in zip(
        range(200), naive(start, ZoneInfo(zone), [active], [mute]), strict=False
    ):
        count += is_active
        number, end = days.turn_at(begin)
        assert number == (count - 1) // each
        assert end > begin
        assert days.turn_at(end - timedelta(microseconds=1))[0] == number


def test_a_layer_that_is_never_active_has_nobody_and_answers_at_once() -> None:
    turning = layer(
        "never", *PEOPLE, every="1d", start="1990-01-01T00:00", active=["never"], active_days=True
    )
    who = roster(turning, intervals={"never": []})
    for at in (utc("2026-02-01T00:00"), utc("9999-12-31T23:59"), utc("0001-01-01T00:00")):
        assert who.on_call("main", at).users == ()
    assert comes_next(who, utc("2026-02-01T00:00")) == ()


def test_a_century_after_the_start_the_last_turn_stays() -> None:
    who = office(*PEOPLE)
    found = who.shifts("main", utc("2200-03-01T00:00"), utc("2200-04-01T00:00"))
    assert len({shift.users for shift in found if shift.users}) == 1


def test_a_rotation_that_began_ten_years_ago_answers_soon_at_first_and_at_once_then() -> None:
    cached_interval.cache_clear()
    active_days.cache_clear()
    who, at = office(*PEOPLE, start="2016-01-04T09:00"), local("2026-01-09T10:00", BERLIN)
    before = time.process_time()
    assert who.on_call("main", at).users
    assert time.process_time() - before < 5
    before = time.process_time()
    for _ in range(100):
        office(*PEOPLE, start="2016-01-04T09:00").on_call("main", at)
    assert time.process_time() - before < 1.5


def test_ten_years_of_working_days_come_out_as_a_calendar_counts_them() -> None:
    first = date(2016, 1, 4)
    working = sum(
        (first + timedelta(days=n)).weekday() < 5 for n in range((date(2026, 1, 9) - first).days)
    )
    answer = office(*PEOPLE, start="2016-01-04T09:00").on_call(
        "main", local("2026-01-09T10:00", BERLIN)
    )
    assert answer.users == (PEOPLE[working % 3],)
