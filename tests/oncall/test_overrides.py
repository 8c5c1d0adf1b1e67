"""Overrides and absences."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amproxy.config.structs import Override
from amproxy.oncall.gaps import find_empty_shifts, find_gaps
from tests.support.oncall.rosters import comes_next, hours, layer, local, override, roster, utc
from tests.support.words import said

BERLIN, TBILISI = "Europe/Berlin", "Asia/Tbilisi"


def test_an_override_holds_from_its_start_up_to_its_end_on_the_schedules_clock() -> None:
    who = roster(
        layer("weekly", "alice"),
        overrides=[override("carol+dave", "2026-03-01T09:00", "2026-03-02T09:00", "swapped")],
    )
    asked = [
        who.on_call("main", local(at, BERLIN))
        for at in ("2026-03-01T08:59", "2026-03-01T09:00", "2026-03-02T08:59", "2026-03-02T09:00")
    ]
    assert [answer.users for answer in asked] == [
        ("alice",),
        ("carol", "dave"),
        ("carol", "dave"),
        ("alice",),
    ]
    assert [said(answer.reason) for answer in asked[:2]] == ["layer weekly", "override: swapped"]
    assert (asked[0].until, asked[0].next) == (local("2026-03-01T09:00", BERLIN), ("carol", "dave"))


def test_an_override_holds_where_no_layer_is_active() -> None:
    who = roster(
        layer("office", "alice", active=["office"]),
        intervals=hours("office", "09:00", "18:00", BERLIN),
        overrides=[override("bob", "2026-03-01T17:00", "2026-03-01T20:00")],
    )
    users = [
        who.on_call("main", local(f"2026-03-01T{at}", BERLIN)).users
        for at in ("16:00", "17:00", "19:59", "20:00")
    ]
    assert users == [("alice",), ("bob",), ("bob",), ()]


def test_of_two_overrides_the_later_in_the_list_wins() -> None:
    long, short = (
        override("bob", "2026-03-01T00:00", "2026-03-04T00:00"),
        override("carol", "2026-03-02T00:00", "2026-03-03T00:00"),
    )
    at = local("2026-03-02T12:00", BERLIN)
    assert roster(layer("weekly", "alice"), overrides=[long, short]).on_call("main", at).users == (
        "carol",
    )
    assert roster(layer("weekly", "alice"), overrides=[short, long]).on_call("main", at).users == (
        "bob",
    )


def test_an_override_by_hand_wins_over_the_files_and_says_so() -> None:
    by_hand = Override(
        users=("dave",),
        start=utc("2026-03-02T00:00"),
        end=utc("2026-03-03T00:00"),
        reason="swapped",
        id="o1",
    )
    who = roster(
        layer("weekly", "alice"),
        overrides=[override("bob", "2026-03-01T00:00", "2026-03-05T00:00")],
        by_hand=[by_hand],
    )
    found = who.shifts("main", local("2026-03-01T00:00", BERLIN), local("2026-03-05T00:00", BERLIN))
    assert [(shift.users, said(shift.reason), shift.layer, shift.override) for shift in found] == [
        (("bob",), "override", "", ""),
        (("dave",), "override by hand: swapped", "", "o1"),
        (("bob",), "override", "", ""),
    ]
    assert (found[1].start, found[1].end) == (utc("2026-03-02T00:00"), utc("2026-03-03T00:00"))


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (
            "2026-03-29T02:30",
            "2026-03-29T04:00",
            "2026-03-29T01:00",
            "2026-03-29T02:00",
        ),  # begins in the skipped hour: at the jump
        (
            "2026-10-25T02:30",
            "2026-10-25T04:00",
            "2026-10-25T00:30",
            "2026-10-25T03:00",
        ),  # begins in the repeated hour: first pass
        ("2026-10-25T01:00", "2026-10-25T02:30", "2026-10-24T23:00", "2026-10-25T00:30"),
    ],
)
def test_overrides_at_a_clock_change(start: str, end: str, first: str, last: str) -> None:
    who = roster(layer("weekly", "alice"), overrides=[override("bob", start, end)])
    found = who.shifts("main", utc(first) - timedelta(days=1), utc(last) + timedelta(days=1))
    assert [(shift.start, shift.end) for shift in found if shift.users == ("bob",)] == [
        (utc(first), utc(last))
    ]


def test_an_override_of_people_who_are_gone_is_as_if_it_were_not_there() -> None:
    gone, partly = (
        override("zoe", "2026-03-01T00:00", "2026-03-02T00:00"),
        override("zoe+bob", "2026-03-02T00:00", "2026-03-03T00:00"),
    )
    who = roster(layer("weekly", "alice"), by_hand=[gone, partly])
    assert who.on_call("main", local("2026-03-01T12:00", BERLIN)).users == ("alice",)
    assert who.on_call("main", local("2026-03-02T12:00", BERLIN)).users == ("bob",)


@pytest.mark.parametrize("hand", [False, True])
def test_an_override_that_names_nobody_leaves_its_time_without_anybody(*, hand: bool) -> None:
    empty = Override(
        users=(),
        start=utc("2026-01-06T00:00"),
        end=utc("2026-01-07T00:00"),
        reason="holiday",
        id="o" if hand else "",
    )
    who = roster(
        layer("weekly", "alice", "bob"),
        overrides=[] if hand else [empty],
        by_hand=[empty] if hand else [],
    )
    found = who.shifts("main", utc("2026-01-05T22:00"), utc("2026-01-07T02:00"))
    assert [shift.users for shift in found] == [("alice",), (), ("alice",)]
    assert said(found[1].reason) == f"nobody: override{' by hand' if hand else ''}: holiday"
    assert find_empty_shifts(who, "main", found[0].start, found[-1].end) == []
    assert [gap.start for gap in find_gaps(who, "main", found[0].start, found[-1].end)] == [
        found[1].start
    ]


def test_an_override_that_ends_before_it_starts_never_holds() -> None:
    who = roster(
        layer("weekly", "alice"),
        overrides=[override("bob", "2026-03-02T00:00", "2026-03-01T00:00")],
    )
    assert {
        shift.users
        for shift in who.shifts("main", utc("2026-02-27T00:00"), utc("2026-03-04T00:00"))
    } == {("alice",)}


def test_an_override_without_end_in_sight_lasts() -> None:
    who = roster(
        layer("weekly", "alice"),
        zone="America/New_York",
        overrides=[override("bob", "2026-03-01T00:00", "9999-12-31T23:59")],
    )
    assert who.on_call("main", utc("2500-01-01T00:00")).users == ("bob",)


def test_the_next_position_is_of_the_final_schedule_overrides_included() -> None:
    layers = layer("weekly", "alice", "bob", "carol")
    day = ("2026-01-06T00:00", "2026-01-07T00:00")
    who = roster(layers, overrides=[override("dave", *day)])
    assert comes_next(who, utc("2026-01-06T12:00")) == ("alice",)
    assert comes_next(who, utc("2026-01-05T12:00")) == ("dave",)
    # bob, whose turn comes next, stands in already
    who = roster(layers, overrides=[override("bob", "2026-01-05T09:00", "2026-01-12T09:00")])
    assert comes_next(who, utc("2026-01-06T12:00")) == ("carol",)


WEEK_OF_ALICE, WEEK_OF_BOB, WEEK_OF_CAROL = (
    utc("2026-01-06T12:00"),
    utc("2026-01-13T12:00"),
    utc("2026-01-20T12:00"),
)
JANUARY = [("2026-01-01T00:00", "2026-02-01T00:00")]


def test_the_turn_of_someone_absent_passes_to_the_next_without_moving_the_order() -> None:
    who = roster(layer("weekly", "alice", "bob", "carol"), absences={"alice": JANUARY})
    assert [
        who.on_call("main", at).users for at in (WEEK_OF_ALICE, WEEK_OF_BOB, WEEK_OF_CAROL)
    ] == [("bob",), ("bob",), ("carol",)]
    assert said(who.on_call("main", WEEK_OF_ALICE).reason) == "layer weekly, alice absent"
    assert who.on_call("main", WEEK_OF_ALICE).until == local("2026-01-19T09:00", BERLIN)
    assert who.on_call("main", utc("2026-02-18T12:00")).users == ("alice",)


def test_the_last_in_the_order_passes_to_the_first() -> None:
    assert roster(layer("weekly", "alice", "bob", "carol"), absences={"carol": JANUARY}).on_call(
        "main", WEEK_OF_CAROL
    ).users == ("alice",)


def test_an_absence_in_the_middle_of_a_turn_splits_it() -> None:
    who = roster(
        layer("weekly", "alice", "bob"),
        absences={"alice": [("2026-01-07T00:00", "2026-01-08T00:00")]},
        zones={"alice": TBILISI},
    )
    found = who.shifts("main", utc("2026-01-06T00:00"), utc("2026-01-09T00:00"))
    assert [(shift.start, shift.users) for shift in found] == [
        (utc("2026-01-06T00:00"), ("alice",)),
        (utc("2026-01-06T20:00"), ("bob",)),  # midnight where alice lives
        (utc("2026-01-07T20:00"), ("alice",)),
    ]


def test_an_absent_member_drops_out_of_a_group() -> None:
    who = roster(layer("weekly", "alice+bob", "carol"), absences={"alice": JANUARY})
    assert who.on_call("main", WEEK_OF_ALICE).users == ("bob",)


def test_a_group_that_is_absent_as_a_whole_is_stood_in_for_by_the_next_turn() -> None:
    who = roster(
        layer("weekly", "alice+bob", "alice", "alice+carol"),
        absences={"alice": JANUARY, "bob": JANUARY},
    )
    assert who.on_call("main", WEEK_OF_ALICE).users == ("carol",)


def test_with_everyone_of_a_layer_absent_the_layer_below_shows_through() -> None:
    layers = (layer("base", "carol", "dave"), layer("top", "alice", "bob"))
    assert roster(*layers, absences={"alice": JANUARY, "bob": JANUARY}).on_call(
        "main", WEEK_OF_ALICE
    ).users == ("carol",)
    answer = roster(layers[1], absences={"alice": JANUARY, "bob": JANUARY}).on_call(
        "main", WEEK_OF_ALICE
    )
    assert (answer.users, said(answer.reason)) == ((), "nobody: everyone in layer top is absent")


def test_an_absent_person_named_by_an_override_is_on_call() -> None:
    who = roster(
        layer("weekly", "bob"),
        absences={"alice": JANUARY},
        overrides=[override("alice", "2026-01-06T00:00", "2026-01-07T00:00")],
    )
    assert who.on_call("main", WEEK_OF_ALICE).users == ("alice",)


def test_the_next_position_skips_the_absent_and_whoever_stands_in_already() -> None:
    layers = layer("weekly", "alice", "bob", "carol")
    assert comes_next(roster(layers, absences={"bob": JANUARY}), WEEK_OF_ALICE) == ("carol",)
    assert comes_next(roster(layers, absences={"alice": JANUARY}), WEEK_OF_ALICE) == ("carol",)
    assert comes_next(
        roster(layers, absences={"bob": JANUARY, "carol": JANUARY}), WEEK_OF_ALICE
    ) == ("alice",)


def test_absences_that_touch_or_overlap_are_one() -> None:
    who = roster(
        layer("base", "alice"),
        absences={
            "alice": [
                ("2026-01-03", "2026-01-05"),
                ("2026-01-01", "2026-01-04"),
                ("2026-01-05", "2026-01-06"),
            ]
        },
    )
    days = [
        who.absent("alice", utc(f"{day}T00:00"))
        for day in ("2025-12-31", "2026-01-01", "2026-01-04", "2026-01-05", "2026-01-06")
    ]
    assert days == [False, True, True, True, False]


def test_whoever_the_file_does_not_know_is_not_absent() -> None:
    assert not roster().absent("zoe", utc("2026-01-01T00:00"))
