"""Hours on call by night, weekend and day, against somebody who looks at the clock every minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.oncall.hours import count_hours, split_by_kind

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Beirut",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/St_Johns",
)
# Around changes of some clock: two a year here and there, at midnight in Havana and Beirut, a whole day left out in Apia.
STARTS = (
    "2026-01-05T00:00",
    "2026-03-06T12:00",
    "2026-03-27T12:00",
    "2026-10-23T12:00",
    "2026-10-30T12:00",
    "2026-02-13T12:00",
    "2026-04-03T12:00",
    "2011-12-28T12:00",
)
MINUTE = timedelta(minutes=1)


def by_the_minute(
    start: datetime, end: datetime, zone: str
) -> tuple[float, float, float, int, int]:
    seconds, nights, weekends = {"night": 0.0, "weekend": 0.0, "day": 0.0}, set[date](), set[date]()
    at = start
    while at < end:
        shown = at.astimezone(ZoneInfo(zone))
        if shown.strftime("%A") in ("Saturday", "Sunday"):
            kind = "weekend"
            weekends.add((shown - timedelta(days=shown.weekday() - 5)).date())
        elif shown.strftime("%H:%M") >= "22:00" or shown.strftime("%H:%M") < "06:00":
            kind = "night"
            nights.add((shown.replace(tzinfo=None) - timedelta(hours=12)).date())
        else:
            kind = "day"
        seconds[kind] += 60
        at += MINUTE
    return seconds["night"], seconds["weekend"], seconds["day"], len(nights), len(weekends)


@settings(max_examples=60)
@given(
    st.sampled_from(STARTS),
    st.integers(0, 4 * 1440),
    st.integers(0, 5 * 1440),
    st.sampled_from(ZONES),
)
def test_hours_are_what_somebody_counts_who_looks_at_the_clock_every_minute(
    base: str, after: int, long: int, zone: str
) -> None:
    start = datetime.fromisoformat(base).replace(tzinfo=UTC) + MINUTE * after
    end = start + MINUTE * long
    assert count_hours([(start, end, zone)]) == by_the_minute(start, end, zone)


@given(
    st.timedeltas(timedelta(), timedelta(days=700)), st.timedeltas(timedelta(), timedelta(days=40))
)
def test_parts_follow_each_other_and_nothing_is_lost(after: timedelta, long: timedelta) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC) + after
    found = list(split_by_kind(start, start + long, "Europe/Berlin"))
    edges = [start, *(part.end for part in found)]
    assert [part.start for part in found] == edges[:-1] and edges[-1] == start + long


@pytest.mark.parametrize(
    ("start", "end", "zone", "night", "weekend", "day"),
    [
        ("2026-01-05T00:00Z", "2026-01-06T00:00Z", "UTC", 8, 0, 16),  # a Monday
        ("2026-01-05T00:00Z", "2026-01-12T00:00Z", "UTC", 40, 48, 80),  # a week
        (
            "2026-01-09T21:00Z",
            "2026-01-10T07:00Z",
            "UTC",
            2,
            7,
            1,
        ),  # Friday evening: from midnight on it is the weekend
        (
            "2026-01-05T21:00Z",
            "2026-01-06T05:00Z",
            "Europe/Berlin",
            8,
            0,
            0,
        ),  # the person's clock counts
        (
            "2026-03-28T23:00Z",
            "2026-03-29T22:00Z",
            "Europe/Berlin",
            0,
            23,
            0,
        ),  # the Sunday that has 23 hours
        (
            "2026-10-24T22:00Z",
            "2026-10-25T23:00Z",
            "Europe/Berlin",
            0,
            25,
            0,
        ),  # and the one that has 25
        ("2026-03-08T00:00Z", "2026-03-08T00:00Z", "UTC", 0, 0, 0),
    ],
)
def test_a_table_of_nights_weekends_and_days(
    start: str, end: str, zone: str, night: float, weekend: float, day: float
) -> None:
    found = count_hours([(datetime.fromisoformat(start), datetime.fromisoformat(end), zone)])
    assert (found.night / 3600, found.weekend / 3600, found.day / 3600, found.total / 3600) == (
        night,
        weekend,
        day,
        night + weekend + day,
    )


def test_a_night_in_two_pieces_is_one_night() -> None:
    spans = [
        ("2026-01-05T22:00Z", "2026-01-06T01:00Z"),
        ("2026-01-06T03:00Z", "2026-01-06T09:00Z"),
        ("2026-01-06T23:00Z", "2026-01-07T00:00Z"),
    ]
    found = count_hours(
        (datetime.fromisoformat(start), datetime.fromisoformat(end), "UTC") for start, end in spans
    )
    assert (found.nights, found.weekends, found.night / 3600, found.day / 3600) == (2, 0, 7, 3)
