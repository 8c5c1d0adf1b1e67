"""What `amproxy oncall` says, and how it reads a time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Schedule
from amproxy.errors import NotFound
from amproxy.oncall.roster import Roster
from amproxy.simulation.oncall import oncall_reports, oncall_text
from amproxy.times import parse_command_time, read_command_time
from tests.support.simulation.files import ALICE, BOB, MONDAY, WEEKLY, config

NOW = 1767603600.0  # 2026-01-05T09:00:00Z


def test_every_schedule_is_listed_with_who_until_when_and_who_is_next() -> None:
    found = config(schedules=(WEEKLY, Schedule(name="empty")))
    assert oncall_reports(found, Roster(found), None, MONDAY) == [
        {
            "schedule": "main",
            "at": "2026-01-05T09:00:00.000Z",
            "users": ["alice"],
            "until": "2026-01-12T09:00:00.000Z",
            "next": ["bob"],
            "reason": "layer weekly",
            "code": "on_call.layer",
            "arguments": {"layer": "weekly"},
        },
        {
            "schedule": "empty",
            "at": "2026-01-05T09:00:00.000Z",
            "users": [],
            "until": None,
            "next": [],
            "reason": "nobody: no layer is active",
            "code": "on_call.nobody",
            "arguments": {"why": {"code": "on_call.no_layer", "arguments": {}}},
        },
    ]


def test_one_schedule_can_be_asked_for() -> None:
    found = config(schedules=(WEEKLY, Schedule(name="empty")))
    assert [one["schedule"] for one in oncall_reports(found, Roster(found), "empty", MONDAY)] == [
        "empty"
    ]


def test_an_unknown_schedule_is_refused_with_the_name_that_was_meant() -> None:
    found = config()
    with pytest.raises(NotFound, match="there is no schedule 'mian': did you mean 'main'"):
        oncall_reports(found, Roster(found), "mian", MONDAY)
    with pytest.raises(NotFound):
        oncall_text(found, Roster(found), "mian", MONDAY)


def test_a_time_without_offset_is_of_each_schedules_own_zone() -> None:
    found = config(schedules=(WEEKLY, replace(WEEKLY, name="east", timezone="Asia/Tbilisi")))
    at = read_command_time("2026-01-12T08:59", NOW)
    assert [
        (one["at"], one["users"]) for one in oncall_reports(found, Roster(found), None, at)
    ] == [
        ("2026-01-12T08:59:00.000Z", ["alice"]),
        ("2026-01-12T04:59:00.000Z", ["alice"]),
    ]


def test_the_table_has_full_names_and_the_schedules_clock() -> None:
    found = config(schedules=(replace(WEEKLY, timezone="Europe/Berlin"), Schedule(name="empty")))
    lines = oncall_text(found, Roster(found), None, MONDAY).splitlines()
    assert lines[1].split() == [
        "main",
        "Alice",
        "Ash",
        "Mon",
        "2026-01-12",
        "09:00",
        "Europe/Berlin",
        "Bob",
        "Birch",
    ]
    assert lines[0].index("UNTIL") == lines[1].index("Mon 2026")
    assert "nobody (no layer is" in lines[2] and "no change within a year" in lines[2]


def test_long_names_are_wrapped_within_eighty_columns_and_cannot_steer_the_terminal() -> None:
    users = (
        replace(ALICE, full_name="Alice \x1b[31m" + "Ash " * 30),
        replace(BOB, full_name="B" * 70),
    )
    found = config(
        users=users,
        schedules=(
            replace(WEEKLY, layers=(replace(WEEKLY.layers[0], users=(("alice",), ("bob",))),)),
        ),
    )
    text = oncall_text(found, Roster(found), None, MONDAY)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\x1b" not in text and text.count("Ash") == 30 and text.count("B") == 70


def test_a_file_without_schedules_says_so() -> None:
    found = config(schedules=(), policies=())
    assert oncall_reports(found, Roster(found), None, MONDAY) == []
    assert oncall_text(found, Roster(found), None, MONDAY) == "The file has no schedules."


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        (None, "Europe/Berlin", "2026-01-05T09:00:00+00:00"),
        ("2026-01-05T09:00:00Z", "Europe/Berlin", "2026-01-05T09:00:00+00:00"),
        ("2026-01-05t09:00:00.5z", "Europe/Berlin", "2026-01-05T09:00:00.500000+00:00"),
        ("2026-01-05T09:00:00+04:00", "UTC", "2026-01-05T05:00:00+00:00"),
        ("2026-01-05T09:00", "Europe/Berlin", "2026-01-05T08:00:00+00:00"),
        ("2026-07-05 09:00", "Europe/Berlin", "2026-07-05T07:00:00+00:00"),
        ("2026-01-05", "Asia/Tbilisi", "2026-01-04T20:00:00+00:00"),
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00:00+00:00"),  # skipped: at the jump
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),  # twice: the first
    ],
)
def test_a_time_is_rfc_3339_or_what_the_wall_clock_shows(
    text: str | None, zone: str, expected: str
) -> None:
    found = parse_command_time(text, zone, NOW)
    assert (found, found.tzinfo) == (datetime.fromisoformat(expected), UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "09:00",
        "2026-13-01",
        "2026-01-05T25:00",
        "20260105",
        "2026-W01-1",
        "2026-01-05T09",
        "2026-01-05T09:00+25:00",
    ],
)
def test_what_is_no_time_is_refused_with_an_example_or_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: "):
        parse_command_time(text, "UTC", NOW)
