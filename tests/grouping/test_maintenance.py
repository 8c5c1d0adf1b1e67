"""Maintenance windows: when one is open, until when, and when it opens next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Config, Maintenance, Route
from amproxy.grouping.maintenance import (
    OpenWindows,
    expired_window_warnings,
    is_open,
    next_change,
    next_opening,
    open_until,
    window_state,
)
from amproxy.labels.intervals import TimeInterval, parse_time_interval
from amproxy.labels.matchers import parse_matcher
from amproxy.times import LATEST

SUNDAYS = parse_time_interval(
    "sundays", [{"weekdays": ["sunday"], "times": [{"start_time": "03:00", "end_time": "04:00"}]}]
)
LATER = parse_time_interval(
    "later", [{"weekdays": ["sunday"], "times": [{"start_time": "04:00", "end_time": "05:00"}]}]
)
ALWAYS = parse_time_interval("always", [{}])
INTERVALS: dict[str, TimeInterval] = {one.name: one for one in (SUNDAYS, LATER, ALWAYS)}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def window(**values: Any) -> Maintenance:
    return Maintenance(name="w", matchers=(parse_matcher('a="b"'),), **values)


ONCE = window(
    start=wall("2026-03-10T22:00"), end=wall("2026-03-10T23:00"), timezone="Europe/Berlin"
)  # UTC+1
WEEKLY = window(active_time_intervals=("sundays",), timezone="Europe/Berlin")


def test_a_window_is_open_from_its_start_to_its_end_on_its_own_clock() -> None:
    assert [
        window_state(ONCE, {}, utc(f"2026-03-10T{clock}"))
        for clock in ("20:59", "21:00", "21:59", "22:00")
    ] == [
        "pending",
        "open",
        "open",
        "expired",
    ]
    assert open_until(ONCE, {}, utc("2026-03-10T21:30")) == utc("2026-03-10T22:00")
    assert open_until(ONCE, {}, utc("2026-03-10T22:00")) is None
    assert next_change(ONCE, {}, utc("2026-03-10T20:00")) == utc("2026-03-10T21:00")
    assert next_change(ONCE, {}, utc("2026-03-10T22:00")) is None


def test_a_recurring_window_opens_by_its_zone_before_and_after_the_clocks_change() -> None:
    assert open_until(WEEKLY, INTERVALS, utc("2026-03-22T02:30")) == utc(
        "2026-03-22T03:00"
    )  # UTC+1
    assert window_state(WEEKLY, INTERVALS, utc("2026-03-22T03:00")) == "closed"
    assert next_opening(WEEKLY, INTERVALS, utc("2026-03-22T03:00")) == utc(
        "2026-03-29T01:00"
    )  # UTC+2 from 03:00 on


def test_an_entry_that_names_a_place_keeps_it() -> None:
    tokyo = parse_time_interval(
        "tokyo",
        [{"times": [{"start_time": "09:00", "end_time": "10:00"}], "location": "Asia/Tokyo"}],
    )
    assert is_open(
        window(active_time_intervals=("tokyo",), timezone="Europe/Berlin"),
        {"tokyo": tokyo},
        utc("2026-03-22T00:30"),
    )


def test_intervals_that_follow_each_other_are_one_opening() -> None:
    both = window(active_time_intervals=("sundays", "later"))
    assert open_until(both, INTERVALS, utc("2026-03-22T03:30")) == utc("2026-03-22T05:00")


def test_start_and_end_bound_a_recurring_window() -> None:
    bounded = window(
        active_time_intervals=("sundays",),
        start=wall("2026-03-22T03:30"),
        end=wall("2026-03-29T03:30"),
    )
    assert next_opening(bounded, INTERVALS, utc("2026-03-01T00:00")) == utc("2026-03-22T03:30")
    assert open_until(bounded, INTERVALS, utc("2026-03-29T03:10")) == utc("2026-03-29T03:30")
    assert next_opening(bounded, INTERVALS, utc("2026-03-29T03:30")) is None


def test_a_window_without_a_known_end_stays_open_and_one_whose_interval_is_gone_hides_nothing() -> (
    None
):
    assert (
        open_until(window(active_time_intervals=("always",)), INTERVALS, utc("2026-03-22T00:00"))
        == LATEST
    )
    assert (
        next_change(window(active_time_intervals=("always",)), INTERVALS, utc("2026-03-22T00:00"))
        is None
    )
    assert not is_open(window(active_time_intervals=("gone",)), INTERVALS, utc("2026-03-22T00:00"))


def test_a_window_that_is_over_is_worth_a_warning_and_one_that_recurs_is_not() -> None:
    config = Config(route=Route(receiver="r", key="{}"), maintenance={"w": ONCE, "weekly": WEEKLY})
    [warning] = expired_window_warnings(config, utc("2026-03-10T22:00"))
    assert (warning.kind, warning.path) == ("past", "maintenance_windows[0]")
    assert "2026-03-10 23:00 (Europe/Berlin)" in warning.message
    assert not expired_window_warnings(config, utc("2026-03-10T21:59"))


@st.composite
def windows(draw: st.DrawFn) -> Maintenance:
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
    first = draw(st.none() | st.datetimes(wall("2026-03-01"), wall("2026-04-10")))
    last = draw(st.none() | st.datetimes(wall("2026-04-10"), wall("2026-06-01")))
    named = draw(st.lists(st.sampled_from(sorted(INTERVALS)), max_size=2))
    return window(start=first, end=last, timezone=zone, active_time_intervals=tuple(named))


@given(
    windows(),
    st.datetimes(wall("2026-03-01"), wall("2026-06-01"), timezones=st.just(ZoneInfo("UTC"))),
)
def test_between_now_and_the_next_change_a_window_stays_as_it_is(
    one: Maintenance, at: datetime
) -> None:
    now, change = is_open(one, INTERVALS, at), next_change(one, INTERVALS, at)
    assert change is None or change > at
    edge = change or at + timedelta(days=400)
    for part in (0.0, 0.3, 0.7, 0.999):
        assert is_open(one, INTERVALS, at + (edge - at) * part) is now
    assert change is None or is_open(one, INTERVALS, change) is not now


@pytest.mark.parametrize("minutes", [0, 1, 59, 60, 61, 90])
def test_what_is_remembered_of_openings_is_what_holds(minutes: int) -> None:
    start = utc("2026-03-22T02:30").timestamp()
    openings = OpenWindows(
        Config(
            route=Route(receiver="r", key="{}"),
            maintenance={"weekly": WEEKLY},
            time_intervals=INTERVALS,
        )
    )
    by_hand = {"x": window(id="x", start=utc("2026-03-22T03:00"), end=utc("2026-03-22T03:45"))}
    for at in (start, start + minutes * 60, start):
        wanted = [
            one
            for one in (WEEKLY, by_hand["x"])
            if is_open(one, INTERVALS, datetime.fromtimestamp(at, UTC))
        ]
        assert [opening.window for opening in openings.open_now(by_hand, at)] == wanted
