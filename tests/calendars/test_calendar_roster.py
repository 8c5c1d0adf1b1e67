"""Whom a calendar puts on call: whose names its events have, what beats what, and what is next."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from amproxy.config.structs import Override
from amproxy.oncall.calendars import CalendarEventText, PeopleIndex, _match_priority_and_people
from amproxy.oncall.roster import Roster
from tests.support.calendars.icals import END, START, USERS, parsed, roster, utc, wall
from tests.support.oncall.rosters import comes_next
from tests.support.words import said as in_words

MONDAY = "DTSTART:20260302T090000Z|DTEND:20260309T090000Z"
NEXT = "DTSTART:20260309T090000Z|DTEND:20260316T090000Z"


def on_call(who: Roster, at: str) -> tuple[str, ...]:
    return who.on_call("db", utc(at)).users


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("alice", ["alice"]),
        ("ALICE ASH", ["alice"]),
        ("Alice Ash on call for platform", ["alice"]),
        ("On call: alice@example.org", ["alice"]),
        ("ALICE@EXAMPLE.ORG", ["alice"]),
        ("1111", ["bob"]),
        ("[L2] bob", ["bob"]),
        ("alice, bob", ["alice", "bob"]),
        ("bob; alice", ["bob", "alice"]),
        ("bob/alice", ["bob", "alice"]),
        ("Bob Birch & Alice Ash", ["bob", "alice"]),
        ("Bob and Alice on call", ["bob", "alice"]),
        ("Bob und Alice", ["bob", "alice"]),
        ("bob | alice", ["bob", "alice"]),
        ("bob et alice", ["bob", "alice"]),
        ("Bob hundred Alice", ["bob"]),
        ("alice, nobody, bob", ["alice", "bob"]),
        ("alice and Alice Ash", ["alice"]),
        ("Cedar, Carol", ["carol"]),
        ("Cedar, Carol and Bob", ["carol", "bob"]),
        ("Alice on call for Bob", ["alice"]),
        ("here", []),
        ("ann-maria", []),
        ("ann@other.org", []),
        ("joanna", []),
        ("dr.ann", []),
        ("ann's week", ["ann"]),
        ("Ann.", ["ann"]),
        ("Team meeting", []),
        ("", []),
    ],
)
def test_a_summary_names_people_by_name_full_name_and_address(
    summary: str, expected: list[str]
) -> None:
    assert (
        list(_match_priority_and_people(CalendarEventText(summary=summary), PeopleIndex(USERS))[1])
        == expected
    )


def test_attendees_count_where_the_summary_names_nobody_and_the_description_where_they_do_not_either() -> (
    None
):
    people = PeopleIndex(USERS)
    everything = CalendarEventText(
        summary="alice", attendees=("bob@example.org",), description="ann"
    )
    assert _match_priority_and_people(everything, people)[1] == ("alice",)
    assert _match_priority_and_people(
        CalendarEventText(
            summary="shift", attendees=("x@y.org", "BOB@example.org"), description="ann"
        ),
        people,
    )[1] == ("bob",)
    assert _match_priority_and_people(
        CalendarEventText(summary="shift", attendees=("x@y.org",), description="<b>Ann</b>\nBob"),
        people,
    )[1] == ("ann", "bob")


def test_a_full_name_that_two_have_means_both_and_a_file_without_people_means_nobody() -> None:
    twins = {
        name: USERS["alice"].__class__(name=name, full_name="Kim Doe") for name in ("kim", "doe")
    }
    assert PeopleIndex(twins).named("KIM DOE on call") == ("kim", "doe")
    assert PeopleIndex({}).named("anybody, somebody") == ()


def test_composed_and_decomposed_letters_are_the_same() -> None:
    people = PeopleIndex({"zoe": USERS["alice"].__class__(name="zoe", full_name="Zo\u00eb")})
    assert people.named("Zoe\u0308 on call") == ("zoe",)


# --------------------------------------------------------------------------------------------------- what beats what


def test_the_higher_priority_wins_and_equal_ones_are_on_call_together() -> None:
    who = roster(
        parsed(
            f"SUMMARY:alice|{MONDAY}",
            f"SUMMARY:bob|{MONDAY}",
            "SUMMARY:[L2] carol|DTSTART:20260303T000000Z|DURATION:P1D",
            "SUMMARY: [l10] ann|DTSTART:20260303T120000Z|DURATION:PT1H",
        )
    )
    assert [
        (s.start.strftime("%d %H"), s.users)
        for s in who.shifts("db", utc("2026-03-02T09:00"), utc("2026-03-05T00:00"))
    ] == [
        ("02 09", ("alice", "bob")),
        ("03 00", ("carol",)),
        ("03 12", ("ann",)),
        ("03 13", ("carol",)),
        ("04 00", ("alice", "bob")),
    ]


def test_an_empty_shift_lets_what_is_below_show_through_and_is_listed() -> None:
    who = roster(
        parsed(
            f"SUMMARY:alice|{MONDAY}",
            "SUMMARY:[L3] Zed|DTSTART:20260303T000000Z|DURATION:P1D",
            f"SUMMARY:Zed|{NEXT}",
        ),
        parsed("SUMMARY:party|DTSTART:20260304T000000Z|DURATION:P1D"),
    )
    assert on_call(who, "2026-03-03T12:00") == on_call(who, "2026-03-04T12:00") == ("alice",)
    assert (
        in_words(who.on_call("db", utc("2026-03-10T00:00")).reason)
        == "nobody: the calendar names nobody who is known"
    )
    assert [(shift.summary, shift.rank) for shift in who.empty_shifts("db", START, END)] == [
        ("[L3] Zed", (False, 3)),
        ("party", (True, 0)),
        ("Zed", (False, 0)),
    ]
    assert [
        shift.summary
        for shift in who.empty_shifts("db", utc("2026-03-04T00:00"), utc("2026-03-09T09:00"))
    ] == ["party"]


def test_the_overrides_calendar_beats_the_calendar_and_overrides_of_the_file_and_by_hand_beat_both() -> (
    None
):
    def day(who: str, day: int, by_hand: bool = False) -> Override:
        start = utc(f"2026-03-0{day}T00:00") if by_hand else wall(f"2026-03-0{day}T00:00")
        return Override(
            users=(who,), start=start, end=start + timedelta(days=1), id="x" if by_hand else ""
        )

    who = roster(
        parsed(f"SUMMARY:[L9] alice|{MONDAY}"),
        parsed("SUMMARY:bob|DTSTART:20260303T000000Z|DURATION:P3D"),
        file_overrides=(day("carol", 4),),
        by_hand=(day("ann", 5, by_hand=True),),
    )
    said = [who.on_call("db", utc(f"2026-03-0{day}T12:00")) for day in (2, 3, 4, 5, 6)]
    assert [(one.users, in_words(one.reason)) for one in said] == [
        (("alice",), "calendar"),
        (("bob",), "overrides calendar"),
        (("carol",), "override"),
        (("ann",), "override by hand"),
        (("alice",), "calendar"),
    ]
    assert [
        shift.layer for shift in who.shifts("db", utc("2026-03-02T12:00"), utc("2026-03-03T12:00"))
    ] == [
        "calendar",
        "overrides calendar",
    ]


def test_an_absent_person_is_left_out_and_with_nobody_left_the_one_below_shows_through() -> None:
    who = roster(
        parsed(
            f"SUMMARY:alice|{MONDAY}", f"SUMMARY:[L1] bob, carol|{MONDAY}", f"SUMMARY:bob|{NEXT}"
        ),
        absent={
            "bob": ("2026-03-03T00:00", "2026-03-11T00:00"),
            "carol": ("2026-03-04T00:00", "2026-03-05T00:00"),
        },
    )
    said = [
        who.on_call("db", utc(f"2026-03-{day}T12:00")) for day in ("02", "03", "04", "05", "10")
    ]
    assert [one.users for one in said] == [("bob", "carol"), ("carol",), ("alice",), ("carol",), ()]
    assert in_words(said[1].reason) == "calendar, bob absent"
    assert (in_words(said[4].reason), said[4].until, said[4].next) == (
        "nobody: everyone in the calendar is absent",
        utc("2026-03-11T00:00"),
        ("bob",),
    )


def test_next_is_who_follows_the_present_people() -> None:
    who = roster(
        parsed(
            f"SUMMARY:alice|{MONDAY}",
            f"SUMMARY:alice|{NEXT}",
            "SUMMARY:bob, alice|DTSTART:20260320T000000Z|DURATION:P1D",
        ),
        parsed("SUMMARY:carol|DTSTART:20260304T000000Z|DURATION:P1D"),
    )
    assert comes_next(who, utc("2026-03-03T00:00"), "db") == ("carol",)
    assert comes_next(who, utc("2026-03-04T00:00"), "db") == ("alice",)
    assert comes_next(who, utc("2026-03-05T00:00"), "db") == ("bob",)
    assert comes_next(who, utc("2026-03-17T00:00"), "db") == ("bob", "alice")
    assert comes_next(who, utc("2026-03-20T00:00"), "db") == ("bob", "alice")


def test_a_calendar_that_was_never_loaded_says_so_and_its_overrides_count_all_the_same() -> None:
    assert (
        in_words(roster(None).on_call("db", utc("2026-03-03T00:00")).reason)
        == "nobody: calendar not loaded"
    )
    who = roster(None, parsed("SUMMARY:carol|DTSTART:20260304T000000Z|DURATION:P1D"))
    answer = who.on_call("db", utc("2026-03-03T00:00"))
    assert (in_words(answer.reason), answer.next) == ("nobody: calendar not loaded", ("carol",))


def test_outside_of_the_time_that_is_worked_out_nothing_is_claimed() -> None:
    who = roster(parsed("SUMMARY:alice|DTSTART;VALUE=DATE:20260101|RRULE:FREQ=DAILY"))
    assert (
        in_words(who.on_call("db", utc("2025-06-01T00:00")).reason)
        == "nobody: the calendar is worked out from 2026-01-01 only"
    )
    assert (
        in_words(who.on_call("db", utc("2027-06-01T00:00")).reason)
        == "nobody: the calendar is worked out until 2027-01-01 only"
    )
    inside = who.on_call("db", utc("2026-06-01T00:00"))
    assert (inside.users, inside.until) == (("alice",), utc("2027-01-01T00:00"))


def test_on_call_of_a_busy_calendar_is_quick() -> None:
    hourly = [
        f"SUMMARY:{name}|DTSTART:20260101T{hour:02}0000Z|DURATION:PT8H|RRULE:FREQ=DAILY"
        for name, hour in (("alice", 0), ("bob", 8))
    ]
    together = [
        f"SUMMARY:{name}|DTSTART:20260101T160000Z|DURATION:PT8H|RRULE:FREQ=DAILY"
        for name in ("carol", "ann")
    ]
    who = roster(parsed(*hourly, *together, f"SUMMARY:nobody at all|{MONDAY}"))
    assert on_call(who, "2026-06-01T03:00") == ("alice",)
    moments = [utc("2026-06-01T00:00") + timedelta(hours=hour) for hour in range(200)]
    begun = time.process_time()
    for at in moments:
        who.on_call("db", at)
    assert (time.process_time() - begun) / len(moments) < 0.001


def test_the_same_person_for_a_year_is_looked_for_quickly() -> None:
    who = roster(parsed("SUMMARY:alice|DTSTART:20260101T000000Z|DURATION:PT1H|RRULE:FREQ=HOURLY"))
    assert who.on_call("db", utc("2026-01-02T00:00")).until == utc("2027-01-01T00:00")
    begun = time.process_time()
    for _ in range(100):
        who.on_call("db", utc("2026-01-02T00:00"))
    assert (time.process_time() - begun) / 100 < 0.001
