"""How good a schedule is: what the report lists, and how the score is made."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.oncall.quality import assess_quality
from amproxy.oncall.roster import Roster
from tests.support.oncall.rosters import hours, layer, override, roster, utc
from tests.support.words import said

MONDAY = utc("2026-01-05T09:00")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def of(found: Roster, days: float = 14) -> dict[str, float]:
    return {
        one.user: one.hours.total / 3600
        for one in assess_quality(found, "main", MONDAY, MONDAY + DAY * days).people
    }


def test_a_fair_rotation_without_a_hole_is_perfect() -> None:
    found = assess_quality(
        roster(layer("weekly", "alice", "bob"), zone="UTC"), "main", MONDAY, MONDAY + 4 * 7 * DAY
    )
    assert (found.score, found.coverage, found.balance) == (100, 1.0, 1.0)
    assert (found.gaps, found.hidden, found.doubles) == ([], [], [])
    assert [
        (one.user, one.share, one.shifts, one.overloaded, one.idle) for one in found.people
    ] == [
        ("alice", 0.5, 2, False, False),
        ("bob", 0.5, 2, False, False),
    ]
    assert found.people[0].longest == (MONDAY, MONDAY + 7 * DAY)
    assert found.people[0].shortest_rest == (MONDAY + 7 * DAY, MONDAY + 14 * DAY)


def test_gaps_are_listed_with_the_reason_and_lower_the_score() -> None:
    late = roster(layer("weekly", "alice", start="2026-01-06T09:00"), zone="UTC")
    found = assess_quality(late, "main", MONDAY, MONDAY + 2 * DAY)
    assert [(gap.start, gap.end, said(gap.reason)) for gap in found.gaps] == [
        (MONDAY, MONDAY + DAY, "no layer is active")
    ]
    assert (found.coverage, found.score) == (0.5, 75)


def test_a_schedule_with_nobody_has_no_score_to_speak_of() -> None:
    assert assess_quality(roster(), "main", MONDAY, MONDAY + DAY).score == 0


def test_who_stands_beneath_a_layer_or_an_override_is_named_with_the_time() -> None:
    office = hours("office", "09:00", "17:00", "UTC")
    found = roster(
        layer("weekly", "alice"),
        layer("office", "bob", every="", active=["office"]),
        zone="UTC",
        intervals=office,
        by_hand=[
            override("carol", "2026-01-05T12:00", "2026-01-05T13:00", id="x"),
            override("dave", "2026-01-05T12:30", "2026-01-05T14:00"),
        ],
    )
    listed = assess_quality(found, "main", MONDAY, MONDAY + DAY).hidden
    told = [
        (
            one.start.hour,
            one.start.minute,
            one.end.hour,
            one.end.minute,
            one.users,
            said(one.reason),
            one.on_call,
        )
        for one in listed
    ]
    assert told == [
        (9, 0, 12, 0, ("alice",), "layer weekly", ("bob",)),
        (12, 0, 12, 30, ("bob",), "layer office", ("carol",)),
        (12, 0, 12, 30, ("alice",), "layer weekly", ("carol",)),
        (12, 30, 13, 0, ("carol",), "override by hand", ("dave",)),
        (12, 30, 14, 0, ("bob",), "layer office", ("dave",)),
        (12, 30, 14, 0, ("alice",), "layer weekly", ("dave",)),
        (14, 0, 17, 0, ("alice",), "layer weekly", ("bob",)),
    ]


def test_a_layer_that_wants_the_same_person_hides_nobody() -> None:
    found = assess_quality(
        roster(layer("one", "alice"), layer("two", "alice"), zone="UTC"),
        "main",
        MONDAY,
        MONDAY + DAY,
    )
    assert found.hidden == []


def test_who_is_on_call_for_two_schedules_at_once_is_named() -> None:
    one = roster(layer("weekly", "alice", "bob"), zone="UTC")
    other = replace(
        one.config.schedules["main"],
        name="other",
        layers=(layer("daily", "bob", "carol", every="1d"),),
    )
    both = Roster(replace(one.config, schedules={**one.config.schedules, "other": other}))
    found = assess_quality(both, "main", MONDAY, MONDAY + 10 * DAY)
    assert [
        (double.user, double.schedule, double.start, double.end) for double in found.doubles
    ] == [("bob", "other", MONDAY + 8 * DAY, MONDAY + 9 * DAY)]


def test_overloaded_and_idle_people_are_marked_and_a_person_without_any_turn_counts() -> None:
    never = hours("never", "00:00", "00:01", "UTC", ["sunday"])
    found = assess_quality(
        roster(
            layer("spare", "carol", every="", active=["never"]),
            layer("weekly", "alice", "alice", "bob"),
            zone="UTC",
            intervals=never,
        ),
        "main",
        MONDAY,
        MONDAY + 21 * DAY,
    )
    assert [(one.user, one.overloaded, one.idle) for one in found.people] == [
        ("alice", True, False),
        ("bob", False, False),
        ("carol", False, True),
    ]
    assert found.balance == pytest.approx((0.5 + 0 + 0) / 3)


def test_hours_are_of_the_persons_own_clock() -> None:
    found = roster(layer("weekly", "alice"), zone="UTC", zones={"alice": "Asia/Tokyo"})
    [alice] = assess_quality(
        found, "main", utc("2026-01-06T13:00"), utc("2026-01-06T21:00")
    ).people  # 22:00 to 06:00 in Tokyo
    assert (alice.hours.night, alice.hours.day, alice.hours.nights) == (8 * 3600, 0, 1)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["alice", "bob", "carol+dave", "alice+bob"]), min_size=1, max_size=5),
    st.integers(1, 200),
    st.lists(
        st.tuples(st.sampled_from(["alice", "dave"]), st.integers(0, 300), st.integers(1, 100)),
        max_size=4,
    ),
    st.integers(1, 400),
)
def test_hours_add_up_and_figures_stay_in_their_bounds(
    names: list[str], every: int, made: list[tuple[str, int, int]], long: int
) -> None:
    by_hand = [
        override(who, str(_at(start)), str(_at(start + length)), id=str(start))
        for who, start, length in made
    ]
    found = roster(layer("turns", *names, every=f"{every}h"), zone="UTC", by_hand=by_hand)
    report = assess_quality(found, "main", MONDAY, MONDAY + HOUR * long)
    minutes = [found.on_call("main", MONDAY + HOUR * hour).users for hour in range(long)]
    assert (
        sum(one.hours.total for one in report.people) == sum(len(users) for users in minutes) * 3600
    )
    for one in report.people:
        assert one.hours.total == sum(one.user in users for users in minutes) * 3600
    assert 0 <= report.score <= 100 and 0 <= report.balance <= 1 and report.coverage == 1


def _at(hour: int) -> object:
    return (MONDAY + HOUR * hour).replace(tzinfo=None)
