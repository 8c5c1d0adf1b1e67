"""Swaps: who may ask and take, and what a taken one does to who is on call."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Override
from amproxy.errors import Conflict
from amproxy.model import Swap
from amproxy.oncall import swaps
from amproxy.oncall.roster import Roster
from tests.support.oncall.rosters import (
    PEOPLE,
    away,
    comes_next,
    hours,
    layer,
    local,
    override,
    roster,
    taken,
    utc,
)
from tests.support.words import said

BERLIN = "Europe/Berlin"
WEEKLY = layer("weekly", "alice", "bob", "carol")
MONDAY, TUESDAY, THURSDAY = (
    local("2026-01-05T09:00", BERLIN),
    utc("2026-01-06T00:00"),
    utc("2026-01-08T00:00"),
)  # of alice's week
NOON = utc("2026-01-06T12:00")
WEEKS = (utc("2026-01-01T00:00"), utc("2026-03-01T00:00"))
NOW = 1_000_000.0
WISH = Swap(id="s", schedule="main", user="alice", start=NOW + 60, end=NOW + 3600, asked_at=0.0)


def users(who: Roster, at: datetime = NOON) -> tuple[str, ...]:
    return who.on_call("main", at).users


def test_a_taken_swap_puts_the_other_on_call_from_its_start_up_to_its_end() -> None:
    who = roster(WEEKLY, swaps=[taken("alice", "dave", TUESDAY, THURSDAY)])
    found = who.shifts("main", MONDAY, local("2026-01-12T09:00", BERLIN))
    assert [
        (shift.start, shift.end, shift.users, said(shift.reason), shift.layer) for shift in found
    ] == [
        (MONDAY, TUESDAY, ("alice",), "layer weekly", "weekly"),
        (TUESDAY, THURSDAY, ("dave",), "layer weekly, dave for alice (swap)", "weekly"),
        (THURSDAY, local("2026-01-12T09:00", BERLIN), ("alice",), "layer weekly", "weekly"),
    ]
    answer = who.on_call("main", MONDAY)
    assert (answer.users, answer.until, answer.next) == (("alice",), TUESDAY, ("dave",))


def test_an_open_swap_changes_nothing() -> None:
    wish = Swap(
        id="s",
        schedule="main",
        user="alice",
        start=TUESDAY.timestamp(),
        end=THURSDAY.timestamp(),
        asked_at=0.0,
    )
    assert roster(WEEKLY, swaps=[wish]).shifts("main", *WEEKS) == roster(WEEKLY).shifts(
        "main", *WEEKS
    )


def test_a_swap_concerns_only_the_shifts_of_the_one_who_asked() -> None:
    who = roster(WEEKLY, swaps=[taken("bob", "dave", TUESDAY, utc("2026-01-14T00:00"))])
    assert [users(who, utc(f"2026-01-{day}T12:00")) for day in ("06", "13", "14")] == [
        ("alice",),
        ("dave",),
        ("bob",),
    ]


def test_of_a_group_on_call_together_only_that_person_is_replaced() -> None:
    together = layer("weekly", "alice+bob", "carol")
    assert users(roster(together, swaps=[taken("alice", "carol", TUESDAY, THURSDAY)])) == (
        "carol",
        "bob",
    )
    answer = roster(together, swaps=[taken("alice", "bob", TUESDAY, THURSDAY)]).on_call(
        "main", NOON
    )
    assert (answer.users, said(answer.reason)) == (("bob",), "layer weekly, bob for alice (swap)")


def test_an_override_of_the_file_is_swapped_and_one_by_hand_is_not() -> None:
    both = {"start": "2026-01-06T00:00", "end": "2026-01-07T00:00"}
    swap = taken("bob", "dave", TUESDAY, THURSDAY)
    planned = roster(WEEKLY, overrides=[override("bob", **both)], swaps=[swap]).on_call(
        "main", NOON
    )
    assert (planned.users, said(planned.reason)) == (("dave",), "override, dave for bob (swap)")
    by_hand = roster(WEEKLY, by_hand=[override("bob", **both, id="o1")], swaps=[swap]).on_call(
        "main", NOON
    )
    assert (by_hand.users, said(by_hand.reason)) == (("bob",), "override by hand")


def test_an_override_by_hand_still_wins_over_a_later_one_of_the_file() -> None:
    who = roster(
        WEEKLY,
        overrides=[override("carol", "2026-01-06T00:00", "2026-01-08T00:00")],
        by_hand=[override("bob", "2026-01-06T00:00", "2026-01-07T00:00")],
    )
    assert (users(who), users(who, utc("2026-01-07T12:00"))) == (("bob",), ("carol",))


def test_the_absence_of_the_one_who_took_it_does_not_undo_it() -> None:
    who = roster(
        WEEKLY,
        swaps=[taken("alice", "dave", TUESDAY, THURSDAY)],
        away_by_hand={"dave": [away(*WEEKS)]},
    )
    assert users(who) == ("dave",)


def test_a_swap_of_someone_absent_does_not_touch_the_stand_in() -> None:
    who = roster(
        WEEKLY,
        swaps=[taken("alice", "dave", TUESDAY, THURSDAY)],
        away_by_hand={"alice": [away(*WEEKS)]},
    )
    assert users(who) == ("bob",)


def test_who_has_taken_over_may_give_away_again() -> None:
    first, second = (
        taken("alice", "bob", TUESDAY, THURSDAY, order=1),
        taken("bob", "dave", TUESDAY, THURSDAY, order=2),
    )
    answer = roster(WEEKLY, swaps=[second, first]).on_call("main", NOON)
    assert (answer.users, said(answer.reason)) == (
        ("dave",),
        "layer weekly, bob for alice (swap), dave for bob (swap)",
    )
    given_away_before = roster(WEEKLY, swaps=[replace(second, taken_at=0.5), first])
    assert users(given_away_before) == ("bob",)


def test_two_who_trade_their_weeks() -> None:
    mine = taken("alice", "bob", MONDAY, local("2026-01-12T09:00", BERLIN), order=1)
    yours = taken(
        "bob",
        "alice",
        local("2026-01-12T09:00", BERLIN),
        local("2026-01-19T09:00", BERLIN),
        order=2,
    )
    who = roster(WEEKLY, swaps=[mine, yours])
    assert [users(who, utc(f"2026-01-{day}T12:00")) for day in ("06", "13", "20", "27")] == [
        ("bob",),
        ("alice",),
        ("carol",),
        ("alice",),
    ]


@pytest.mark.parametrize("gone", [("zoe", "bob"), ("alice", "zoe")])
def test_a_swap_of_people_who_are_gone_is_as_if_it_were_not_there(gone: tuple[str, str]) -> None:
    assert users(roster(WEEKLY, swaps=[taken(*gone, TUESDAY, THURSDAY)])) == ("alice",)


def test_the_next_position_is_swapped_and_is_not_the_one_who_is_on_call_anyway() -> None:
    two_weeks = (utc("2026-01-05T08:00"), utc("2026-01-19T08:00"))

    def after(*swaps: Swap) -> tuple[str, ...]:
        return comes_next(roster(WEEKLY, swaps=swaps), NOON)

    assert after(taken("bob", "dave", *two_weeks)) == ("dave",)
    # until Thursday only, and then it is alice's turn again
    assert after(taken("alice", "dave", TUESDAY, THURSDAY)) == ("alice",)
    assert after(taken("alice", "dave", *two_weeks)) == ("bob",)
    # bob stands in for alice already, and has the next turn too
    assert after(taken("alice", "bob", *two_weeks)) == ("carol",)
    # alice has taken over what bob would have, so after her comes carol
    assert after(taken("bob", "alice", *two_weeks)) == ("carol",)


def test_a_swap_does_not_make_a_gap_nor_fill_one() -> None:
    office = hours("office", "09:00", "18:00", BERLIN)
    day = (utc("2026-01-06T00:00"), utc("2026-01-07T00:00"))
    who = roster(
        layer("office", "alice", active=["office"]),
        intervals=office,
        swaps=[taken("alice", "bob", *day)],
    )
    assert who.gap_seconds("main", *day) == 15 * 3600
    assert [shift.users for shift in who.shifts("main", *day)] == [(), ("bob",), ()]
    assert comes_next(who, utc("2026-01-05T20:00")) == ("bob",)


def test_the_shifts_a_swap_is_about_are_those_of_the_one_who_asked_taken_or_not() -> None:
    by_hand = [override("alice", "2026-01-07T00:00", "2026-01-07T06:00", id="o1")]
    swap = taken("alice", "dave", TUESDAY, utc("2026-02-01T00:00"), order=1)
    later = taken("dave", "bob", TUESDAY, THURSDAY, order=2)
    wish = replace(swap, taken_by="", taken_at=None)
    for asked, all_of in ((wish, [wish]), (swap, [swap]), (swap, [swap, later])):
        found = roster(WEEKLY, by_hand=by_hand, swaps=all_of).swapped_shifts(asked)
        assert [(shift.start, shift.end, shift.users) for shift in found] == [
            (TUESDAY, local("2026-01-07T00:00", BERLIN), ("alice",)),
            (local("2026-01-07T06:00", BERLIN), local("2026-01-12T09:00", BERLIN), ("alice",)),
            (local("2026-01-26T09:00", BERLIN), utc("2026-02-01T00:00"), ("alice",)),
        ]
    assert [shift.users for shift in roster(WEEKLY, swaps=[swap, later]).swapped_shifts(later)] == [
        ("dave",)
    ]


people, hour = st.sampled_from(PEOPLE), st.integers(0, 24 * 12)


@settings(max_examples=50)
@given(
    made=st.lists(st.tuples(people, people, hour, hour), max_size=6),
    by_hand=st.lists(st.tuples(people, hour, hour), max_size=2),
)
def test_every_shift_is_the_one_without_swaps_with_names_exchanged(
    made: list[tuple[str, str, int, int]], by_hand: list[tuple[str, int, int]]
) -> None:
    start, end = utc("2026-01-05T00:00"), utc("2026-01-20T00:00")

    def at(hours_in: int) -> datetime:
        return datetime.fromtimestamp(start.timestamp() + hours_in * 3600, start.tzinfo)

    over = [
        Override(users=(name,), start=at(a), end=at(b), id=f"o{n}")
        for n, (name, a, b) in enumerate(by_hand)
        if a < b
    ]
    found = [
        taken(who, by, at(a), at(b), order=n)
        for n, (who, by, a, b) in enumerate(made)
        if a < b and who != by
    ]
    layers = (
        layer("base", "carol", "dave"),
        layer("top", "alice+bob", "carol", every="12h", active=["office"]),
    )
    plain = roster(*layers, intervals=hours("office", "09:00", "18:00", BERLIN), by_hand=over)
    who = roster(
        *layers, intervals=hours("office", "09:00", "18:00", BERLIN), by_hand=over, swaps=found
    )
    shifts = who.shifts("main", start, end)
    assert [shift.start for shift in shifts] == [start, *(shift.end for shift in shifts[:-1])]
    assert all(
        replace(before, start=after.start, end=after.end) != after
        for before, after in pairwise(shifts)
    )
    for shift in shifts:
        expected = plain.on_call("main", shift.start)
        names = set(expected.users)
        for swap in found if "by hand" not in said(expected.reason) else ():
            if swap.user in names and swap.start <= shift.start.timestamp() < swap.end:
                names = names - {swap.user} | {swap.taken_by}
        assert set(shift.users) == names
        assert len(shift.users) == len(names)
    assert who.gap_seconds("main", start, end) == plain.gap_seconds("main", start, end)


# ---------------------------------------------------------------------------------------------- asking and taking


def test_a_swap_is_open_until_its_end_and_past_due_after_that() -> None:
    assert [swaps.swap_state(WISH, at) for at in (NOW, NOW + 60, NOW + 3600, NOW + 9999)] == [
        "open",
        "open",
        "past_due",
        "past_due",
    ]
    assert swaps.swap_state(swaps.take_swap(WISH, "bob", "", NOW), NOW + 9999) == "taken"


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (60, 60, "after its start"),
        (60, 30, "after its start"),
        (-60, 0, "in the past"),
        (-60, -30, "in the past"),
        (0, 367 * 86400, "366 days"),
    ],
)
def test_a_swap_whose_times_make_no_sense_cannot_be_asked_for(
    start: float, end: float, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        swaps.request_swap(replace(WISH, start=NOW + start, end=NOW + end), NOW)


def test_who_asks_for_another_is_named_and_who_asks_for_themselves_is_not() -> None:
    assert swaps.request_swap(replace(WISH, asked_by="bob"), NOW).asked_by == "bob"
    assert swaps.request_swap(replace(WISH, asked_by="alice"), NOW).asked_by == ""
    assert swaps.request_swap(WISH, NOW).asked_at == NOW


def test_a_swap_is_taken_once() -> None:
    found = swaps.take_swap(WISH, "bob", "carol", NOW)
    assert (found.taken_by, found.taken_through, found.taken_at) == ("bob", "carol", NOW)
    assert swaps.take_swap(WISH, "bob", "bob", NOW).taken_through == ""
    with pytest.raises(Conflict, match="already taken by bob"):
        swaps.take_swap(found, "carol", "", NOW)


def test_nobody_takes_their_own_swap_nor_one_that_is_past_due() -> None:
    with pytest.raises(Conflict, match="their own"):
        swaps.take_swap(WISH, "alice", "", NOW)
    with pytest.raises(Conflict, match="past due"):
        swaps.take_swap(WISH, "bob", "", NOW + 3600)


def test_of_a_swap_that_has_begun_the_rest_is_taken() -> None:
    wish = replace(WISH, start=TUESDAY.timestamp(), end=THURSDAY.timestamp())
    swap = swaps.take_swap(wish, "dave", "", NOON.timestamp())
    found = roster(WEEKLY, swaps=[swap]).shifts("main", TUESDAY, THURSDAY)
    assert [(shift.start, shift.users) for shift in found] == [
        (TUESDAY, ("alice",)),
        (NOON, ("dave",)),
    ]


def test_a_swap_that_is_given_back_is_as_it_was_asked_for() -> None:
    assert swaps.give_back_swap(swaps.take_swap(WISH, "bob", "carol", NOW)) == WISH
    with pytest.raises(Conflict, match="nobody has taken"):
        swaps.give_back_swap(WISH)
