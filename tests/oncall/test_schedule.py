"""Layers over layers, active or not: who is on call, until when, and who is next."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Absence, Ical
from amproxy.oncall.layers import Assignment, RotatingLayer
from amproxy.oncall.roster import Roster
from amproxy.oncall.timeline import MAX_KEPT_PERIODS
from tests.support.oncall.rosters import comes_next, hours, layer, local, override, roster, utc
from tests.support.words import said

BERLIN = "Europe/Berlin"
OFFICE = hours("office", "09:00", "18:00", BERLIN, ["monday:friday"])


def on_call(who: Roster, at: str, zone: str = BERLIN) -> str:
    return "+".join(who.on_call("main", local(at, zone)).users)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-05T08:59", ""),
        ("2026-01-05T09:00", "alice"),
        ("2026-01-12T08:59", "alice"),
        ("2026-01-12T09:00", "bob+carol"),
        ("2026-01-19T09:00", "dave"),
        ("2026-01-26T09:00", "alice"),
        ("2026-03-30T08:59", "dave"),
        ("2026-03-30T09:00", "alice"),
    ],
)
def test_turns_go_round_and_a_group_is_on_call_together(at: str, expected: str) -> None:
    assert on_call(roster(layer("weekly", "alice", "bob+carol", "dave")), at) == expected


def test_one_answer_says_who_until_when_who_then_and_why() -> None:
    answer = roster(layer("weekly", "alice", "bob")).on_call("main", utc("2026-03-25T12:00"))
    assert (answer.schedule, answer.at, answer.users, said(answer.reason)) == (
        "main",
        utc("2026-03-25T12:00"),
        ("bob",),
        "layer weekly",
    )
    assert (answer.until, answer.next) == (local("2026-03-30T09:00", BERLIN), ("alice",))


def test_a_handoff_to_the_same_people_is_no_change() -> None:
    answer = roster(layer("weekly", "alice+bob", "bob+alice", "carol")).on_call(
        "main", utc("2026-01-06T12:00")
    )
    assert (answer.until, answer.next) == (local("2026-01-19T09:00", BERLIN), ("carol",))


@pytest.mark.parametrize("every", ["1h", "1w", ""])
def test_a_schedule_of_one_person_never_changes(every: str) -> None:
    answer = roster(layer("base", "alice", every=every)).on_call("main", utc("2026-02-06T12:00"))
    assert (answer.users, answer.until, answer.next) == (("alice",), None, ())


def test_before_a_rotation_starts_nobody_is_on_call_and_the_first_turn_is_next() -> None:
    answer = roster(layer("weekly", "alice", "bob")).on_call("main", utc("2025-12-01T00:00"))
    assert (answer.users, answer.until, answer.next) == ((), utc("2026-01-05T08:00"), ("alice",))
    assert said(answer.reason) == "nobody: no layer is active"


def test_a_change_more_than_a_year_ahead_is_not_looked_for() -> None:
    answer = roster(layer("weekly", "alice", start="2030-01-01T00:00")).on_call(
        "main", utc("2026-01-01T00:00")
    )
    assert (answer.users, answer.until, answer.next) == ((), None, ())


def test_a_layer_without_rotation_has_everyone_on_call_always() -> None:
    who = roster(layer("all", "alice", "bob+carol", every=""))
    assert on_call(who, "1990-01-01T00:00") == on_call(who, "2040-06-01T00:00") == "alice+bob+carol"


@pytest.mark.parametrize(
    ("at", "expected", "reason"),
    [
        ("2026-01-07T08:59", "alice", "layer weekly"),
        ("2026-01-07T09:00", "carol", "layer office"),
        ("2026-01-07T17:59", "carol", "layer office"),
        ("2026-01-07T18:00", "alice", "layer weekly"),
        ("2026-01-10T12:00", "alice", "layer weekly"),  # a Saturday
        ("2026-03-30T09:00", "carol", "layer office"),  # the Monday after the clocks changed
    ],
)
def test_the_later_layer_wins_while_its_interval_holds(at: str, expected: str, reason: str) -> None:
    who = roster(
        layer("weekly", "alice", "bob"),
        layer("office", "carol", every="1d", active=["office"]),
        intervals=OFFICE,
    )
    assert on_call(who, at) == expected
    assert said(who.on_call("main", local(at, BERLIN)).reason) == reason


def test_where_two_layers_are_always_active_only_the_later_one_counts() -> None:
    assert on_call(roster(layer("low", "alice"), layer("high", "bob")), "2026-02-01T00:00") == "bob"


def test_a_layer_is_not_active_while_a_mute_interval_holds() -> None:
    lunch = hours("lunch", "12:00", "13:00", BERLIN)
    who = roster(
        layer("base", "alice"),
        layer("top", "bob", active=["office"], mute=["lunch"]),
        intervals={**OFFICE, **lunch},
    )
    found = who.shifts("main", local("2026-01-07T00:00", BERLIN), local("2026-01-08T00:00", BERLIN))
    days = [(shift.start.astimezone(ZoneInfo(BERLIN)).hour, shift.users) for shift in found]
    assert days == [
        (0, ("alice",)),
        (9, ("bob",)),
        (12, ("alice",)),
        (13, ("bob",)),
        (18, ("alice",)),
    ]


def test_an_interval_that_never_holds_leaves_the_layer_out() -> None:
    who = roster(
        layer("base", "alice"), layer("top", "bob", active=["never"]), intervals={"never": []}
    )
    assert who.on_call("main", utc("2026-02-06T12:00")).users == ("alice",)
    assert who.on_call("main", utc("2026-02-06T12:00")).until is None


def test_an_interval_of_a_year_far_ahead_is_not_taken_for_one_that_never_holds() -> None:
    who = roster(layer("top", "bob", active=["later"]), intervals={"later": [{"years": ["2034"]}]})
    users = [who.on_call("main", utc(f"{year}-06-01T00:00")).users for year in (2026, 2034, 2035)]
    assert users == [(), ("bob",), ()]


def test_turns_pass_while_a_layer_is_not_active() -> None:
    who = roster(
        layer("office", "alice", "bob", "carol", every="1d", active=["office"]), intervals=OFFICE
    )
    assert [on_call(who, f"2026-01-{day:02}T10:00") for day in (5, 6, 9, 10, 12)] == [
        "alice",
        "bob",
        "bob",
        "",
        "bob",
    ]


def test_shifts_are_clipped_and_show_gaps() -> None:
    who = roster(layer("office", "alice", every="1d", active=["office"]), intervals=OFFICE)
    found = who.shifts("main", local("2026-01-09T12:00", BERLIN), local("2026-01-12T12:00", BERLIN))
    assert [(shift.start, shift.end, shift.users, shift.layer) for shift in found] == [
        (
            local("2026-01-09T12:00", BERLIN),
            local("2026-01-09T18:00", BERLIN),
            ("alice",),
            "office",
        ),
        (local("2026-01-09T18:00", BERLIN), local("2026-01-12T09:00", BERLIN), (), ""),
        (
            local("2026-01-12T09:00", BERLIN),
            local("2026-01-12T12:00", BERLIN),
            ("alice",),
            "office",
        ),
    ]
    assert (
        who.gap_seconds(
            "main", local("2026-01-09T12:00", BERLIN), local("2026-01-12T12:00", BERLIN)
        )
        == 63 * 3600
    )


def test_nothing_lies_between_a_moment_and_itself_or_the_past() -> None:
    who = roster(layer("weekly", "alice"))
    for end in ("2026-01-09T12:00", "2026-01-01T00:00"):
        assert who.shifts("main", utc("2026-01-09T12:00"), utc(end)) == []
        assert who.gap_seconds("main", utc("2026-01-09T12:00"), utc(end)) == 0


def test_a_weekly_turn_over_a_clock_change_is_an_hour_shorter_or_longer() -> None:
    who = roster(layer("weekly", "alice", "bob"))
    found = who.shifts("main", utc("2026-01-05T08:00"), utc("2027-01-04T08:00"))
    lengths = [(shift.end - shift.start) / timedelta(hours=1) for shift in found]
    assert (len(found), lengths.count(167), lengths.count(169), lengths.count(168)) == (
        52,
        1,
        1,
        50,
    )


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-06T12:00", "bob+carol"),
        ("2026-01-13T12:00", "dave"),
        ("2026-01-20T12:00", "alice"),
        ("2026-01-01T12:00", "alice"),  # before the first turn
    ],
)
def test_the_next_position_is_the_turn_that_follows(at: str, expected: str) -> None:
    who = roster(layer("weekly", "alice", "bob+carol", "dave"))
    assert "+".join(comes_next(who, local(at, BERLIN))) == expected


def test_the_next_position_is_whoever_is_on_call_next_of_whatever_layer() -> None:
    who = roster(
        layer("weekly", "alice", "bob"),
        layer("office", "carol", "dave", every="1d", active=["office"]),
        intervals=OFFICE,
    )
    assert comes_next(who, local("2026-01-05T10:00", BERLIN)) == ("alice",)
    assert comes_next(who, local("2026-01-05T20:00", BERLIN)) == ("dave",)


def test_the_next_position_goes_first_to_those_who_are_on_call_and_were_not_paged() -> None:
    who, at = roster(layer("all", "alice+bob", "carol", "dave")), utc("2026-01-06T12:00")
    answers = [
        who.due_next("main", at, dict.fromkeys(paged, 0.0))
        for paged in ([], ["alice"], ["alice", "bob", "carol"], ["carol", "alice", "bob"])
    ]
    assert [answer.users for answer in answers] == [
        ("alice", "bob"),
        ("bob",),
        ("dave",),
        ("dave",),
    ]
    assert {said(answer.reason) for answer in answers} == {"layer all"}


def test_where_all_were_paged_the_next_position_repeats_who_was_paged_longest_ago() -> None:
    who, at = roster(layer("weekly", "alice", "bob", "carol")), utc("2026-01-06T12:00")
    assert who.due_next("main", at, {"alice": 3, "bob": 2, "carol": 1}).users == ("carol",)
    assert who.due_next("main", at, {"alice": 1, "bob": 2, "carol": 3}).users == ("bob",)


@pytest.mark.parametrize(("every", "names"), [("5m", 9), ("3mo", 8), ("1w", 60)])
def test_everybody_of_a_rotation_comes_next_once(every: str, names: int) -> None:
    people = [f"p{number}" for number in range(names)]
    who, paged = roster(layer("long", *people, every=every), names=people), dict[str, float]()
    for nth, name in enumerate(people):
        assert who.due_next("main", utc("2026-01-05T08:01"), paged).users == (name,)
        paged[name] = nth


def test_a_person_with_two_turns_of_three_is_not_asked_twice() -> None:
    who = roster(layer("weekly", "alice", "alice", "bob"))
    assert comes_next(who, utc("2026-01-06T12:00")) == ("bob",)


def test_the_next_position_of_a_single_turn_is_that_turn() -> None:
    at = utc("2026-02-01T00:00")
    assert comes_next(roster(layer("base", "alice")), at) == ("alice",)
    assert comes_next(roster(layer("all", "alice", "bob", every="")), at) == ("alice", "bob")


def test_a_calendar_that_is_not_loaded_is_named_as_the_reason() -> None:
    who = roster(
        ical=Ical(url="https://calendar.example.org/a.ics"),
        overrides=[override("bob", "2026-03-01T00:00", "2026-03-02T00:00")],
    )
    answer = who.on_call("main", utc("2026-02-01T00:00"))
    assert (answer.users, said(answer.reason), answer.next) == (
        (),
        "nobody: calendar not loaded",
        ("bob",),
    )


def test_an_unknown_schedule_is_a_key_error() -> None:
    who = roster(layer("weekly", "alice"))
    with pytest.raises(KeyError):
        who.on_call("other", utc("2026-02-01T00:00"))


def test_time_intervals_can_be_asked_for_by_name() -> None:
    who = roster(intervals=OFFICE)
    friday_night, monday = local("2026-01-09T20:00", BERLIN), local("2026-01-12T09:00", BERLIN)
    assert who.holds("office", monday)
    assert not who.holds("office", friday_night)
    assert who.opens("office", friday_night) == monday
    with pytest.raises(KeyError):
        who.holds("other", monday)


@pytest.mark.parametrize(
    "at",
    [
        utc("0001-01-01T00:00"),
        utc("9999-12-31T23:59"),
        local("9999-12-31T23:59", "America/New_York"),
    ],
)
def test_the_ends_of_the_calendar_break_nothing(at: datetime) -> None:
    who = roster(
        layer("weekly", "alice", "bob"),
        layer("office", "carol", "dave", every="1mo", active=["office"]),
        intervals=OFFICE,
    )
    assert who.on_call("main", at).at == at
    assert who.shifts("main", at, at + timedelta(0)) == []
    comes_next(who, at)


class Counted:
    """The number of times that layers were asked who is on call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number, ask = 0, RotatingLayer.assignment_at

        def assignment_at(layer: RotatingLayer, at: datetime) -> Assignment:
            self.number += 1
            return ask(layer, at)

        monkeypatch.setattr(RotatingLayer, "assignment_at", assignment_at)


def test_the_days_ahead_are_found_out_once_however_often_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who, start = roster(layer("daily", "alice", "bob", every="1d")), utc("2026-02-06T12:00")
    counted = Counted(monkeypatch)
    for minute in range(0, 3000, 10):
        now = start + timedelta(minutes=minute)
        who.on_call("main", now)
        who.shifts("main", now, now + timedelta(days=28))
    assert counted.number < 40


def test_more_periods_than_are_kept_are_found_nevertheless() -> None:
    who, start = roster(layer("hourly", "alice", "bob", every="1h")), utc("2026-02-06T12:00")
    for day in (0, 1, 10, 30, 2):
        now = start + timedelta(days=day)
        found = who.shifts("main", now, now + timedelta(hours=MAX_KEPT_PERIODS * 2))
        assert len(found) > MAX_KEPT_PERIODS
        assert all(one.end == after.start for one, after in pairwise(found))
        assert all(one.users != after.users for one, after in pairwise(found))


def test_a_change_by_hand_of_one_schedule_leaves_what_was_found_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = utc("2026-02-06T12:00")
    config = roster(layer("daily", "alice", "bob", every="1d")).config
    config = replace(
        config,
        schedules={name: replace(config.schedules["main"], name=name) for name in ("one", "two")},
    )
    before = Roster(config)
    for name in config.schedules:
        before.on_call(name, now)
    counted = Counted(monkeypatch)
    by_hand = override("carol", "2026-02-06T10:00", "2026-02-06T14:00")
    after = Roster(config, {"one": [by_hand]}, before=before)
    assert after.on_call("two", now) == before.on_call("two", now)
    assert counted.number == 0
    assert after.on_call("one", now).users == ("carol",)
    assert before.on_call("one", now).users != ("carol",)
    assert after.plans_as(before, "two") and not after.plans_as(before, "one")
    absent = [Absence(start=now, end=now + timedelta(hours=1))]
    away = Roster(config, absences={before.on_call("two", now).users[0]: absent}, before=before)
    assert away.on_call("two", now).users != before.on_call("two", now).users
