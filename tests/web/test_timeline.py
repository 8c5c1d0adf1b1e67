"""Timelines as geometry: nothing overlaps, nothing is lost, and a day is as wide as its hours."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.web.schedules.timeline import (
    BandPeriod,
    ScheduleTimelineEntry,
    TimelineTrack,
    layout_bands,
    midnight,
    stack_entries,
)
from amproxy.web.schedules.view import ViewedPeriod, parse_viewed_period, period_around

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tbilisi",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
    "UTC",
)


def entries(start: datetime, hours: list[float]) -> list[ScheduleTimelineEntry]:
    found = []
    for n, length in enumerate(hours):
        end = start + timedelta(hours=length)
        found.append(ScheduleTimelineEntry(start, end, ("alice" if n % 2 else "bob",)))
        start = end
    return found


def test_the_day_on_which_the_clock_is_put_forward_is_as_narrow_as_its_23_hours() -> None:
    seen = ViewedPeriod("weeks", date(2026, 3, 23), "Europe/Berlin")
    [first, _] = layout_bands(seen.period, [], BERLIN, NOW)
    widths = [tick.width for tick in first.ticks]
    assert len(widths) == 7 and widths[6] == pytest.approx(widths[0] * 23 / 24, abs=0.01)
    assert [tick.at.hour for tick in first.ticks] == [0] * 7


def test_the_day_on_which_the_clock_is_put_back_has_25_hours_of_one_width_and_two_o_clock_twice() -> (
    None
):
    seen = ViewedPeriod("day", date(2026, 10, 25), "Europe/Berlin")
    [band] = layout_bands(seen.period, [], BERLIN, NOW)
    assert [tick.at.hour for tick in band.ticks][:5] == [0, 1, 2, 2, 3] and len(band.ticks) == 25
    assert max(tick.width for tick in band.ticks) - min(tick.width for tick in band.ticks) < 0.01


def test_a_month_is_weeks_from_monday_on_and_what_is_not_of_it_is_outside() -> None:
    seen = period_around("month", date(2026, 12, 24), "Europe/Berlin")
    found = layout_bands(seen.period, [], BERLIN, NOW)
    assert [band.start.astimezone(BERLIN).date().isoformat() for band in found] == [
        "2026-11-30",
        "2026-12-07",
        "2026-12-14",
        "2026-12-21",
        "2026-12-28",
    ]
    assert found[0].outside == [(0.0, pytest.approx(100 / 7, abs=0.01))] and found[1].outside == []
    assert found[4].outside == [
        (pytest.approx(400 / 7, abs=0.01), pytest.approx(300 / 7, abs=0.01))
    ]


def test_the_line_of_now_stands_in_one_band_only() -> None:
    found = layout_bands(
        ViewedPeriod("weeks", date(2026, 3, 16), "UTC").period, [], ZoneInfo("UTC"), NOW
    )
    assert found[0].now is None and found[1].now == pytest.approx(2.5 / 7 * 100, abs=0.01)


def test_a_row_that_has_nothing_in_a_week_is_not_drawn_there_but_the_final_one_is() -> None:
    seen = ViewedPeriod("weeks", date(2026, 3, 16), "UTC")
    tracks = [
        TimelineTrack("final", "", []),
        TimelineTrack("layer", "weekly", entries(seen.period.start, [24])),
    ]
    assert [
        [row.kind for row in band.rows]
        for band in layout_bands(seen.period, tracks, ZoneInfo("UTC"), NOW)
    ] == [["final", "layer"], ["final"]]


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["day", "weeks", "month"]),
    st.dates(date(2009, 1, 1), date(2032, 1, 1)),
    st.lists(st.floats(0.01, 400), min_size=1, max_size=30),
    st.integers(-200, 200),
)
def test_bars_follow_each_other_without_overlap_and_fill_what_their_entries_fill(
    zone: str, view: str, day: date, lengths: list[float], offset: int
) -> None:
    seen = period_around(view, day, zone)  # type: ignore[arg-type]
    clock, span = ZoneInfo(zone), seen.period
    made = entries(span.start + timedelta(hours=offset), lengths)
    found = layout_bands(span, [TimelineTrack("final", "", made)], clock, NOW)
    assert found[0].start <= span.start and span.end <= found[-1].end
    for one, other in itertools.pairwise(found):
        assert one.end == other.start
    for band in found:
        [row] = band.rows
        assert len(row.lines) <= 1
        assert sum(tick.width for tick in band.ticks) == pytest.approx(100, abs=0.05)
        for bars in row.lines:
            for bar, after in itertools.pairwise(bars):
                assert round(bar.x + bar.width, 3) == after.x
            inside = sum(
                max(0.0, (min(e.end, band.end) - max(e.start, band.start)).total_seconds())
                for e in made
            )
            assert sum(bar.width for bar in bars) == pytest.approx(
                inside / (band.end - band.start).total_seconds() * 100, abs=0.01
            )
            assert all(0 <= bar.x <= bar.x + bar.width <= 100.001 for bar in bars)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 100)), max_size=25))
def test_overlapping_entries_stand_beneath_each_other_and_none_is_lost(
    spans: list[tuple[int, int]],
) -> None:
    zero = datetime(2026, 1, 1, tzinfo=UTC)
    made = [
        ScheduleTimelineEntry(zero + timedelta(hours=start), zero + timedelta(hours=start + length))
        for start, length in spans
    ]
    found = stack_entries(made)
    assert sorted(one for lane in found for one in lane) == sorted(made)
    assert all(one.end <= other.start for lane in found for one, other in itertools.pairwise(lane))


def test_a_day_that_begins_late_because_midnight_is_skipped_begins_at_the_jump() -> None:
    havana = ZoneInfo("America/Havana")
    assert midnight(date(2026, 3, 8), havana).astimezone(havana).hour == 1
    span = BandPeriod(midnight(date(2026, 3, 8), havana), midnight(date(2026, 3, 9), havana))
    assert (span.end - span.start) == timedelta(hours=23)


@pytest.mark.parametrize(
    ("query", "view", "first"),
    [
        ({}, "weeks", "2026-03-23"),
        ({"view": "month"}, "month", "2026-03-01"),
        ({"view": "month", "from": "2026-12-24"}, "month", "2026-12-01"),
        ({"view": "day", "from": "2026-12-24"}, "day", "2026-12-24"),
        ({"from": ""}, "weeks", "2026-03-23"),
    ],
)
def test_an_address_says_what_is_shown(query: dict[str, str], view: str, first: str) -> None:
    seen = parse_viewed_period(query, "Europe/Berlin", NOW)
    assert (seen.view, seen.first.isoformat(), seen.zone) == (view, first, "Europe/Berlin")


@pytest.mark.parametrize(
    "query",
    [
        {"view": "year"},
        {"from": "tomorrow"},
        {"from": "0001-01-01"},
        {"from": "9999-12-31"},
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"zone": "Europe"},
        {"zone": "\x00"},
        {"zone": "x" * 5000},
    ],
)
def test_an_address_that_makes_no_sense_is_refused_in_words(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"view is|from (is|lies)|there is no zone"):
        parse_viewed_period(query, "Europe/Berlin", NOW)


def test_one_turns_from_month_to_month_over_the_new_year() -> None:
    seen = period_around("month", date(2026, 12, 5), "UTC")
    assert seen.next.first == date(2027, 1, 1) and seen.next.previous == seen
    assert seen.as_view("day", date(2026, 12, 9)).first == date(
        2026, 12, 9
    )  # today, where it is shown
    assert seen.as_view("day", date(2026, 11, 9)).first == date(2026, 12, 1)


@pytest.mark.parametrize(
    ("hours", "size"), [(3, "tiny"), (4, "thin"), (6, "narrow"), (12, "narrow"), (24, "day")]
)
def test_a_short_shift_has_room_for_the_letters_of_its_person(hours: int, size: str) -> None:
    period = BandPeriod(midnight(date(2026, 3, 2), BERLIN), midnight(date(2026, 3, 9), BERLIN))
    track = TimelineTrack("final", "", entries(period.start, [hours]))
    [band] = layout_bands(period, [track], BERLIN, NOW)
    assert band.rows[0].lines[0][0].size == size
