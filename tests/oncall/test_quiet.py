"""Quiet hours on a person's own clock, and absences by hand."""

from __future__ import annotations

from datetime import datetime

import pytest

from amproxy.oncall.roster import Roster
from tests.support.oncall.rosters import away, comes_next, layer, local, roster, utc
from tests.support.words import said

BERLIN, TBILISI = "Europe/Berlin", "Asia/Tbilisi"


def times(start: str, end: str, **more: object) -> dict[str, object]:
    return {"times": [{"start_time": start, "end_time": end}], **more}


NIGHT = [times("00:00", "07:00"), times("22:00", "24:00")]


def quiet(*names: str, zone: str = BERLIN, **intervals: list[dict[str, object]]) -> Roster:
    """Alice lives in `zone` and has these quiet hours."""
    return roster(zones={"alice": zone}, quiet={"alice": names}, intervals=intervals)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-01-06T21:59", None),
        ("2026-01-06T22:00", "2026-01-07T07:00"),
        ("2026-01-07T00:00", "2026-01-07T07:00"),
        ("2026-01-07T06:59", "2026-01-07T07:00"),
        ("2026-01-07T07:00", None),
        ("2026-03-29T01:30", "2026-03-29T07:00"),
        ("2026-10-25T01:30", "2026-10-25T07:00"),
    ],
)
@pytest.mark.parametrize("zone", [BERLIN, TBILISI, "UTC", "America/New_York"])
def test_hours_without_a_place_are_on_the_persons_own_clock(
    zone: str, at: str, until: str | None
) -> None:
    found = quiet("night", zone=zone, night=NIGHT).quiet_until("alice", local(at, zone))
    assert found == (local(until, zone) if until else None)


def test_hours_with_a_place_are_of_that_place() -> None:
    who = quiet("night", zone=TBILISI, night=[times("00:00", "07:00", location=BERLIN)])
    assert who.quiet_until("alice", local("2026-01-07T08:00", TBILISI)) == local(
        "2026-01-07T07:00", BERLIN
    )
    assert who.quiet_until("alice", local("2026-01-07T02:00", TBILISI)) is None


def test_elsewhere_the_same_interval_stays_in_utc() -> None:
    who = quiet("night", night=NIGHT)
    assert who.quiet_until("alice", utc("2026-01-06T21:30")) == utc("2026-01-07T06:00")
    assert not who.holds("night", utc("2026-01-06T21:30"))


def test_of_hours_that_touch_or_overlap_the_end_is_when_none_holds_any_more() -> None:
    who = quiet(
        "night",
        "early",
        "weekend",
        night=NIGHT,
        early=[times("06:30", "09:00")],
        weekend=[{"weekdays": ["saturday", "sunday"]}],
    )
    assert who.quiet_until("alice", local("2026-01-06T23:00", BERLIN)) == local(
        "2026-01-07T09:00", BERLIN
    )
    assert who.quiet_until("alice", local("2026-01-09T23:00", BERLIN)) == local(
        "2026-01-12T09:00", BERLIN
    )  # Friday to Monday


@pytest.mark.parametrize(
    "always", [[{}], [times("00:00", "12:00"), times("12:00", "24:00")], [{"years": ["2020:2040"]}]]
)
def test_hours_that_never_end_count_as_none(always: list[dict[str, object]]) -> None:
    who = quiet("always", always=always)
    for at in ("2026-01-06T12:00", "2027-06-06T12:00", "2026-03-03T12:00"):
        assert who.quiet_until("alice", utc(at)) is None


def test_hours_that_end_in_some_years_are_waited_for() -> None:
    assert quiet("long", long=[{"years": ["2026:2028"]}]).quiet_until(
        "alice", utc("2026-01-06T12:00")
    ) == local("2029-01-01T00:00", BERLIN)


@pytest.mark.parametrize("user", ["bob", "zoe"])
def test_who_has_no_quiet_hours_or_is_not_known_is_not_quiet(user: str) -> None:
    assert quiet("night", night=NIGHT).quiet_until(user, local("2026-01-06T23:00", BERLIN)) is None


@pytest.mark.parametrize("at", [utc("0001-01-01T00:00"), utc("9999-12-31T23:59")])
def test_the_ends_of_the_calendar_break_nothing(at: datetime) -> None:
    quiet("night", night=NIGHT).quiet_until("alice", at)


# ----------------------------------------------------------------------------------------------- absences by hand


def test_an_absence_by_hand_counts_like_one_of_the_file() -> None:
    away_by_hand = {"alice": [away(utc("2026-01-06T10:00"), utc("2026-01-07T10:00"), "ill")]}
    who = roster(
        layer("weekly", "alice", "bob"),
        absences={"alice": [("2026-01-08T00:00", "2026-01-09T00:00")]},
        away_by_hand=away_by_hand,
    )
    asked = [
        "2026-01-06T09:59",
        "2026-01-06T10:00",
        "2026-01-07T09:59",
        "2026-01-07T10:00",
        "2026-01-08T12:00",
    ]
    assert [who.absent("alice", utc(at)) for at in asked] == [False, True, True, False, True]
    assert [who.on_call("main", utc(at)).users[0] for at in asked] == [
        "alice",
        "bob",
        "bob",
        "alice",
        "bob",
    ]
    assert said(who.on_call("main", utc(asked[1])).reason) == "layer weekly, alice absent"
    assert comes_next(who, utc(asked[0])) == ("bob",)


def test_an_absence_by_hand_of_someone_who_is_gone_changes_nothing() -> None:
    who = roster(
        layer("weekly", "alice"),
        away_by_hand={"zoe": [away(utc("2026-01-01T00:00"), utc("2027-01-01T00:00"))]},
    )
    assert not who.absent("zoe", utc("2026-02-01T00:00"))
    assert who.on_call("main", utc("2026-02-01T00:00")).users == ("alice",)
