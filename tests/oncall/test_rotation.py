"""Turns on the wall clock, with real clock changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.oncall.layers import handoff_time, turn_at
from amproxy.times import to_utc, utc_to_wall, wall_to_utc
from tests.support.oncall.rosters import local, rotation, utc, wall

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Tbilisi",
    "America/Santiago",
    "Africa/Casablanca",
)


def handoffs(every: str, start: str, zone: str, first: datetime, last: datetime) -> list[str]:
    """The moments (UTC) at which turns end from one moment to another."""
    found = []
    while (first := turn_at(rotation(every, start), ZoneInfo(zone), first)[1]) <= last:
        found.append(f"{first:%m-%dT%H:%M}")
    return found


@pytest.mark.parametrize(
    ("zone", "shown", "happens"),
    [
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T03:01", "2026-03-29T01:01"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Australia/Lord_Howe", "2026-04-05T02:00", "2026-04-04T15:30"),
        ("Asia/Tbilisi", "2026-03-29T02:30", "2026-03-28T22:30"),
        ("America/Santiago", "2026-09-06T00:00", "2026-09-06T04:00"),
        ("America/Santiago", "2026-04-04T23:30", "2026-04-05T02:30"),
        ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:00"),
        ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),  # a whole day was skipped
    ],
)
def test_a_wall_clock_time_happens_when_the_clock_first_reaches_it(
    zone: str, shown: str, happens: str
) -> None:
    assert wall_to_utc(wall(shown), ZoneInfo(zone)) == utc(happens)


@given(
    zone=st.sampled_from([*ZONES, "Pacific/Apia"]),
    shown=st.datetimes(wall("2010-01-01"), wall("2030-01-01")),
    at=st.datetimes(wall("2010-01-01"), wall("2030-01-01")),
)
def test_what_the_clock_has_reached_and_when_it_reaches_it_are_inverse(
    zone: str, shown: datetime, at: datetime
) -> None:
    place = ZoneInfo(zone)
    assert (wall_to_utc(shown, place) <= to_utc(at.replace(tzinfo=place))) == (
        shown <= utc_to_wall(to_utc(at.replace(tzinfo=place)), place)
    )


@given(
    zone=st.sampled_from([z for z in ZONES if z != "Asia/Tbilisi"]),
    seconds=st.integers(-7200, 7200),
    ahead=st.integers(-7200, 7200),
    autumn=st.booleans(),
)
def test_they_are_inverse_around_clock_changes_too(
    zone: str, seconds: int, ahead: int, autumn: bool
) -> None:
    changes = {
        "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
        "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
        "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),
        "America/Santiago": ("2026-09-06T04:00", "2026-04-05T03:00"),
        "Africa/Casablanca": ("2026-03-22T02:00", "2026-02-15T02:00"),
    }
    place = ZoneInfo(zone)
    at = utc(changes[zone][autumn]) + timedelta(seconds=seconds)
    shown = at.astimezone(place).replace(tzinfo=None) + timedelta(seconds=ahead)
    assert (wall_to_utc(shown, place) <= at) == (shown <= utc_to_wall(at, place))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        to_utc(wall("2026-01-05T09:00"))


@pytest.mark.parametrize(
    ("zone", "every", "start", "around", "expected"),
    [
        ("Europe/Berlin", "1w", "2026-01-05T09:00", "2026-03-29", ["03-23T08:00", "03-30T07:00"]),
        (
            "Europe/Berlin",
            "1d",
            "2026-01-05T09:00",
            "2026-10-25",
            ["10-24T07:00", "10-25T08:00", "10-26T08:00"],
        ),
        (
            "Europe/Berlin",
            "12h",
            "2026-01-05T09:00",
            "2026-03-29",
            ["03-28T20:00", "03-29T07:00", "03-29T19:00"],
        ),
        (
            "Europe/Berlin",
            "12h",
            "2026-01-05T09:00",
            "2026-10-25",
            ["10-24T19:00", "10-25T08:00", "10-25T20:00"],
        ),
        (
            "Europe/Berlin",
            "1d",
            "2026-01-05T02:30",
            "2026-03-29",
            ["03-28T01:30", "03-29T01:00", "03-30T00:30"],
        ),
        (
            "Europe/Berlin",
            "1d",
            "2026-01-05T02:30",
            "2026-10-25",
            ["10-24T00:30", "10-25T00:30", "10-26T01:30"],
        ),
        (
            "America/New_York",
            "1d",
            "2026-01-05T02:30",
            "2026-03-08",
            ["03-07T07:30", "03-08T07:00", "03-09T06:30"],
        ),
        (
            "America/New_York",
            "1d",
            "2026-01-05T01:30",
            "2026-11-01",
            ["10-31T05:30", "11-01T05:30", "11-02T06:30"],
        ),
        (
            "Australia/Lord_Howe",
            "1d",
            "2026-01-05T02:15",
            "2026-10-03",
            ["10-02T15:45", "10-03T15:30", "10-04T15:15"],
        ),
        (
            "Australia/Lord_Howe",
            "1d",
            "2026-01-05T01:45",
            "2026-04-04",
            ["04-03T14:45", "04-04T14:45", "04-05T15:15"],
        ),
        (
            "America/Santiago",
            "1d",
            "2026-01-05T00:00",
            "2026-09-06",
            ["09-05T04:00", "09-06T04:00", "09-07T03:00"],
        ),
        (
            "Africa/Casablanca",
            "1d",
            "2026-01-05T09:00",
            "2026-02-15",
            ["02-14T08:00", "02-15T09:00", "02-16T09:00"],
        ),
        (
            "Asia/Tbilisi",
            "1d",
            "2026-01-05T09:00",
            "2026-03-29",
            ["03-28T05:00", "03-29T05:00", "03-30T05:00"],
        ),
        ("UTC", "1w", "2026-01-05T09:00", "2026-03-29", ["03-23T09:00", "03-30T09:00"]),
    ],
)
def test_handoffs_stay_at_their_time_of_day_over_clock_changes(
    zone: str, every: str, start: str, around: str, expected: list[str]
) -> None:
    days = 7 if every == "1w" else 2
    found = handoffs(
        every, start, zone, utc(around) - timedelta(days=days), utc(around) + timedelta(days=days)
    )
    assert [at for at in found if at in expected] == expected
    assert len(found) == len(
        handoffs(
            every,
            start,
            "UTC",
            utc(around) - timedelta(days=days),
            utc(around) + timedelta(days=days),
        )
    )


def test_turns_shorter_than_a_skipped_hour_do_not_take_place_but_keep_their_number() -> None:
    berlin, half_hours = ZoneInfo("Europe/Berlin"), rotation("30m", "2026-03-29T00:00")
    assert turn_at(half_hours, berlin, utc("2026-03-29T00:59")) == (
        3,
        utc("2026-03-29T01:00"),
    )  # 01:30 to the jump
    assert turn_at(half_hours, berlin, utc("2026-03-29T01:00")) == (
        6,
        utc("2026-03-29T01:30"),
    )  # 03:00, the turns 4 and 5 are skipped


def test_a_repeated_hour_hands_off_in_its_first_pass_only() -> None:
    found = handoffs(
        "30m", "2026-10-25T00:00", "Europe/Berlin", utc("2026-10-24T23:45"), utc("2026-10-25T02:40")
    )
    assert found == ["10-25T00:00", "10-25T00:30", "10-25T02:00", "10-25T02:30"]
    numbers = [
        turn_at(
            rotation("1s", "2026-10-25T00:00"), ZoneInfo("Europe/Berlin"), utc(f"2026-10-25T01:{m}")
        )[0]
        for m in ("00", "59")
    ]
    assert numbers == [3 * 3600 - 1] * 2


@pytest.mark.parametrize(
    ("every", "start", "expected"),
    [
        ("1mo", "2026-01-31T09:00", ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("1mo", "2027-12-30T09:00", ["2028-01-30", "2028-02-29", "2028-03-30", "2028-04-30"]),
        ("1mo", "2026-01-29T09:00", ["2026-02-28", "2026-03-29", "2026-04-29", "2026-05-29"]),
        ("1mo", "2026-11-05T09:00", ["2026-12-05", "2027-01-05", "2027-02-05", "2027-03-05"]),
        ("3mo", "2026-08-31T09:00", ["2026-11-30", "2027-02-28", "2027-05-31", "2027-08-31"]),
        ("12mo", "2024-02-29T09:00", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
    ],
)
def test_months_hand_off_on_the_starts_day_or_the_last_of_a_shorter_month(
    every: str, start: str, expected: list[str]
) -> None:
    monthly, berlin, at = (
        rotation(every, start),
        ZoneInfo("Europe/Berlin"),
        local(start, "Europe/Berlin"),
    )
    for number, day in enumerate(expected):
        turn, end = turn_at(monthly, berlin, to_utc(at))
        assert (turn, end.astimezone(berlin).isoformat()[:16]) == (number, f"{day}T09:00")
        assert turn_at(monthly, berlin, end - timedelta(microseconds=1))[0] == number
        at = end


@pytest.mark.parametrize("every", ["1w", "1mo", "30m"])
def test_before_its_start_a_rotation_has_no_turn(every: str) -> None:
    for before in ("2020-01-01T00:00", "2026-01-31T07:59"):
        assert turn_at(
            rotation(every, "2026-01-31T09:00"), ZoneInfo("Europe/Berlin"), utc(before)
        ) == (-1, utc("2026-01-31T08:00"))
    assert (
        turn_at(
            rotation(every, "2026-01-31T09:00"), ZoneInfo("Europe/Berlin"), utc("2026-01-31T08:00")
        )[0]
        == 0
    )


@pytest.mark.parametrize("every", ["99999999w", "999999mo", "1d"])
def test_the_end_of_the_calendar_breaks_nothing(every: str) -> None:
    _, end = turn_at(
        rotation(every, "2026-01-05T09:00"),
        ZoneInfo("America/New_York"),
        to_utc(utc("9999-12-31T23:59")),
    )
    assert end > to_utc(utc("9999-12-31T23:59"))


@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from(["1w", "1d", "12h", "5h", "1h", "30m", "7m", "1mo", "5mo"]),
    start=st.datetimes(wall("2020-01-01"), wall("2022-01-01")),
    at=st.datetimes(wall("2020-01-01"), wall("2030-01-01")),
)
def test_turns_follow_each_other_without_gap_and_always_forward(
    zone: str, every: str, start: datetime, at: datetime
) -> None:
    turning, place = rotation(every, start.isoformat()), ZoneInfo(zone)
    now = to_utc(at.replace(tzinfo=place))
    for _ in range(50):
        number, end = turn_at(turning, place, now)
        following, _ = turn_at(turning, place, end)
        assert end > now
        assert following > number
        assert turn_at(turning, place, end - timedelta(microseconds=1)) == (number, end)
        assert number < 0 or handoff_time(turning, number) <= utc_to_wall(
            now, place
        ) < handoff_time(turning, number + 1)
        now = end
