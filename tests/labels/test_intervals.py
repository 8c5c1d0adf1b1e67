"""Time intervals: Alertmanager's own table, what is refused and where, and when an interval opens and changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.labels.intervals import BadInterval, parse_time_interval
from amproxy.text import Phrase
from tests.support.cases import ALERTMANAGER

TABLE = json.loads((ALERTMANAGER / "time_intervals.json").read_text("utf-8"))

OFFICE = [
    {
        "weekdays": ["monday:friday"],
        "times": [{"start_time": "09:00", "end_time": "18:00"}],
        "location": "Europe/Berlin",
    }
]
SMALL_HOURS = [
    {"times": [{"start_time": "02:00", "end_time": "03:00"}], "location": "Europe/Berlin"}
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def words(error: BadInterval) -> str:
    return str(Phrase(f"problem.interval_{error.fault}", error.values))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["id"])
def test_an_interval_holds_as_in_alertmanager(case: dict[str, Any]) -> None:
    interval = parse_time_interval(case["name"], case["intervals"])
    assert interval.holds(datetime.fromisoformat(case["at"])) is case["active"]


@pytest.mark.parametrize(
    ("entries", "holds"),
    [
        (None, False),
        ([], False),
        ([{}], True),
        ([None], True),
        ([{"times": []}], False),
        ([{"weekdays": [], "months": ["may"]}], False),
        ([{"times": None, "weekdays": None, "location": None}], True),
        ([{"months": ["0"]}], False),
        ([{"months": ["05"], "days_of_month": ["+4"]}], True),
        ([{"years": ["-5:9999"]}], True),
        ([{"days_of_month": ["-31:-1"], "location": ""}], True),
    ],
)
def test_what_is_not_given_always_holds_and_what_is_empty_never(entries: Any, holds: bool) -> None:
    assert parse_time_interval("x", entries).holds(utc("2026-05-04T10:00")) is holds


def test_local_is_the_zone_of_this_machine() -> None:
    here = utc("2026-05-04T10:00").astimezone()
    clock = {"start_time": f"{here:%H:%M}", "end_time": "24:00"}
    interval = parse_time_interval("x", [{"times": [clock], "location": "Local"}])
    assert interval.holds(here)
    assert not interval.holds(here - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("entry", "path", "reason"),
    [
        ({"weekdays": ["mon"]}, (0, "weekdays", 0), "'mon' is not a weekday"),
        ({"weekdays": ["monday : friday"]}, (0, "weekdays", 0), "not a weekday"),
        ({"weekdays": ["monday:tuesday:friday"]}, (0, "weekdays", 0), "more than two"),
        ({"weekdays": "monday"}, (0, "weekdays"), "must be a list"),
        ({"weekdays": [["monday"]]}, (0, "weekdays", 0), "must be a text"),
        ({"days_of_month": ["0"]}, (0, "days_of_month", 0), "0 is not a day"),
        ({"days_of_month": ["32"]}, (0, "days_of_month", 0), "32 is not a day"),
        ({"days_of_month": ["-50:-20"]}, (0, "days_of_month", 0), "-50 is not a day"),
        ({"days_of_month": ["10:5"]}, (0, "days_of_month", 0), "day 5 lies before day 10"),
        ({"days_of_month": ["10:-25"]}, (0, "days_of_month", 0), "day -25 lies before day 10"),
        ({"days_of_month": ["30:-1"]}, (0, "days_of_month", 0), "day -1 lies before day 30"),
        ({"days_of_month": ["-1:-3"]}, (0, "days_of_month", 0), "day -3 lies before day -1"),
        ({"days_of_month": ["-5:3"]}, (0, "days_of_month", 0), "counts from the end"),
        ({"days_of_month": ["1_0"]}, (0, "days_of_month", 0), "'1_0' is not a day"),
        ({"months": ["jan"]}, (0, "months", 0), "'jan' is not a month"),
        ({"months": ["june:march"]}, (0, "months", 0), "backwards"),
        ({"years": ["now"]}, (0, "years", 0), "'now' is not a year"),
        ({"years": ["2022:2020"]}, (0, "years", 0), "backwards"),
        (
            {"times": [{"start_time": "9:00", "end_time": "17:00"}]},
            (0, "times", 0, "start_time"),
            "'9:00' is not a time",
        ),
        (
            {"times": [{"start_time": "09:00", "end_time": "24:01"}]},
            (0, "times", 0, "end_time"),
            "'24:01' is not a time",
        ),
        (
            {"times": [{"start_time": "01:60", "end_time": "24:00"}]},
            (0, "times", 0, "start_time"),
            "'01:60' is not a time",
        ),
        (
            {"times": [{"start_time": "22:00", "end_time": "06:00"}]},
            (0, "times", 0, "end_time"),
            "over midnight",
        ),
        (
            {"times": [{"start_time": "17:31", "end_time": "17:31"}]},
            (0, "times", 0, "end_time"),
            "not before",
        ),
        ({"times": [{"start_time": "09:00"}]}, (0, "times", 0), "both"),
        (
            {"times": [{"start_time": "09:00", "end_time": None}]},
            (0, "times", 0, "end_time"),
            "both",
        ),
        ({"times": ["09:00"]}, (0, "times", 0), "must be a map"),
        (
            {"times": [{"start_time": "09:00", "end_time": "10:00", "zone": "x"}]},
            (0, "times", 0, "zone"),
            "unknown key 'zone'",
        ),
        ({"foo": ["x"]}, (0, "foo"), "unknown key 'foo'"),
        ({"location": "Mars/Base"}, (0, "location"), "unknown location"),
        ({"location": "+02:00"}, (0, "location"), "unknown location"),
        ({"location": "Europe"}, (0, "location"), "unknown location"),
        ({"location": "../zoneinfo/UTC"}, (0, "location"), "unknown location"),
        ({"location": ["UTC"]}, (0, "location"), "must be a name"),
        ("monday", (0,), "must be a map"),
    ],
)
def test_a_bad_entry_is_refused_with_its_place(
    entry: Any, path: tuple[int | str, ...], reason: str
) -> None:
    with pytest.raises(BadInterval) as raised:
        parse_time_interval("x", [entry])
    assert raised.value.path == path
    assert reason in words(raised.value)


def test_entries_that_are_no_list_are_refused() -> None:
    with pytest.raises(BadInterval) as raised:
        parse_time_interval("x", {"weekdays": ["monday"]})
    assert words(raised.value) == "time_intervals must be a list"


@pytest.mark.parametrize(
    ("entries", "at", "opens"),
    [
        (OFFICE, "2026-03-06T17:30", "2026-03-09T08:00"),  # Friday evening → Monday
        (
            OFFICE,
            "2026-03-27T18:00",
            "2026-03-30T07:00",
        ),  # the clock is changed on the Sunday between
        (OFFICE, "2026-03-09T12:34", "2026-03-09T12:34"),  # holds already
        (SMALL_HOURS, "2026-03-28T03:00", "2026-03-30T00:00"),  # on the 29th the hour is skipped
        (
            [{"days_of_month": ["29"], "months": ["february"]}],
            "2026-03-01T00:00",
            "2028-02-29T00:00",
        ),
        (
            [{"days_of_month": ["-1"], "location": "America/New_York"}],
            "2026-03-30T12:00",
            "2026-03-31T04:00",
        ),
        ([{"years": ["2029"], "location": "Asia/Tokyo"}], "2026-01-01T00:00", "2028-12-31T15:00"),
        ([{"years": ["2031"]}], "2026-01-01T00:00", None),
        ([{"months": ["13"]}], "2026-01-01T00:00", None),
        ([], "2026-01-01T00:00", None),
    ],
)
def test_an_interval_says_when_it_opens(entries: Any, at: str, opens: str | None) -> None:
    assert parse_time_interval("x", entries).opens(utc(at)) == (utc(opens) if opens else None)


@pytest.mark.parametrize(
    ("entries", "at", "changes"),
    [
        (OFFICE, "2026-03-09T08:00", "2026-03-09T17:00"),
        (SMALL_HOURS, "2026-10-25T00:00", "2026-10-25T02:00"),  # the hour is shown twice
        (
            [
                {
                    "times": [{"start_time": "02:30", "end_time": "03:30"}],
                    "location": "Europe/Berlin",
                }
            ],
            "2026-03-29T00:59",
            "2026-03-29T01:00",
        ),
        (
            [
                {
                    "times": [
                        {"start_time": "22:00", "end_time": "24:00"},
                        {"start_time": "00:00", "end_time": "07:00"},
                    ]
                }
            ],
            "2026-01-01T22:30",
            "2026-01-02T07:00",
        ),
        (
            [{"weekdays": ["saturday"]}, {"weekdays": ["sunday"]}],
            "2026-03-07T10:00",
            "2026-03-09T00:00",
        ),
        (
            [
                {
                    "days_of_month": ["29:31"],
                    "months": ["december"],
                    "years": ["2011"],
                    "location": "Pacific/Apia",
                }
            ],
            "2011-12-29T12:00",
            "2011-12-31T10:00",
        ),
        ([{}], "2026-01-01T00:00", None),
        ([{"times": [{"start_time": "00:00", "end_time": "24:00"}]}], "2026-01-01T00:00", None),
    ],
)
def test_an_interval_says_when_it_changes(entries: Any, at: str, changes: str | None) -> None:
    assert parse_time_interval("x", entries).changes(utc(at)) == (utc(changes) if changes else None)


def test_the_answer_is_in_the_zone_of_the_question() -> None:
    at = datetime(2026, 3, 6, 20, tzinfo=ZoneInfo("Asia/Tbilisi"))
    opens = parse_time_interval("x", OFFICE).opens(at.replace(hour=23))
    assert opens is not None
    assert opens.isoformat() == "2026-03-09T12:00:00+04:00"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        parse_time_interval("x", OFFICE).holds(datetime(2026, 3, 6, 20))


clocks = st.tuples(st.integers(0, 96), st.integers(0, 96)).filter(lambda two: two[0] < two[1])
days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]


@st.composite
def an_entry(draw: st.DrawFn) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "location": draw(
            st.sampled_from(
                ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Nuuk", ""]
            )
        )
    }
    if draw(st.booleans()):
        quarters = draw(st.lists(clocks, min_size=1, max_size=2))
        spell = "{:02d}:{:02d}".format
        entry["times"] = [
            {"start_time": spell(*divmod(a * 15, 60)), "end_time": spell(*divmod(b * 15, 60))}
            for a, b in quarters
        ]
    if draw(st.booleans()):
        entry["weekdays"] = draw(st.lists(st.sampled_from(days), min_size=1, max_size=5))
    if draw(st.booleans()):
        entry["days_of_month"] = draw(
            st.lists(st.integers(-9, 31).filter(bool).map(str), min_size=1, max_size=5)
        )
    return entry


# Around the days at which these places change their clocks.
moments = st.builds(
    lambda day, minute: utc(day) + timedelta(minutes=minute),
    st.sampled_from(
        [
            "2026-03-28",
            "2026-10-24",
            "2026-04-04",
            "2026-10-03",
            "2026-04-23",
            "2026-10-29",
            "2026-02-27",
        ]
    ),
    st.integers(0, 2 * 1440),
)


@settings(max_examples=150)
@given(st.lists(an_entry(), min_size=1, max_size=3), moments)
def test_until_it_changes_an_interval_stays_as_it_is(
    entries: list[dict[str, Any]], at: datetime
) -> None:
    interval = parse_time_interval("x", entries)
    now, changes = interval.holds(at), interval.changes(at)
    if changes is not None:
        assert interval.holds(changes) != now
    span = timedelta(days=4) if changes is None else min(changes - at, timedelta(days=4))
    minutes = range(int(span / timedelta(minutes=1)))
    assert all(interval.holds(at + timedelta(minutes=minute)) == now for minute in minutes)


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [
        ("friday:monday", "sun mon fri sat"),
        ("saturday:sunday", "sun sat"),
        ("sunday:saturday", "sun mon tue wed thu fri sat"),
        ("tuesday:monday", "sun mon tue wed thu fri sat"),
        ("monday:wednesday", "mon tue wed"),
    ],
)
def test_weekdays_may_go_over_the_end_of_the_week(weekdays: str, days: str) -> None:
    interval = parse_time_interval("x", [{"weekdays": [weekdays]}])
    sunday = datetime(2026, 1, 4, 12, tzinfo=UTC)
    held = [day for day in range(7) if interval.holds(sunday + timedelta(days=day))]
    assert [["sun", "mon", "tue", "wed", "thu", "fri", "sat"][day] for day in held] == days.split()
