"""What `amproxy quality` says on a terminal."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Layer, Schedule
from amproxy.errors import NotFound
from amproxy.oncall.roster import Roster
from amproxy.simulation.oncall import quality_reports, quality_text
from tests.support.simulation.files import ALICE, BOB, CAROL, MONDAY, WEEKLY, away, config

WEEK = 604800.0


def test_each_schedule_has_its_score_its_holes_and_its_people() -> None:
    office = Layer(name="office", users=(("carol",),), active_time_intervals=("office",))
    found = config(
        schedules=(replace(WEEKLY, layers=(*WEEKLY.layers, office)), Schedule(name="empty"))
    )
    text = quality_text(found, Roster(found), None, MONDAY, 3 * WEEK)
    lines = text.splitlines()
    assert lines[0] == "main: Mon 2026-01-05 09:00 to Mon 2026-01-26 09:00 UTC"
    assert lines[1].startswith("  score     ") and "coverage (100.0%)" in lines[1]
    assert (
        lines[2]
        == "  hidden    Mon 2026-01-05 09:00 for 9h: Alice Ash (layer weekly) beneath carol"
    )
    assert any(line.split()[:2] == ["Alice", "Ash"] and line.endswith("fair") for line in lines)
    assert "empty: Mon 2026-01-05 09:00 to Mon 2026-01-26 09:00 UTC" in lines
    assert "  gap       Mon 2026-01-05 09:00 for 3w: no layer is active" in lines


def test_long_and_hostile_names_stay_within_eighty_columns() -> None:
    users = (
        replace(ALICE, full_name="Alice \x1b[31m" + "Ash " * 30),
        away(BOB, "2026-01-12T09:00", "2026-01-13T09:00"),
        CAROL,
    )
    found = config(users=users)
    text = quality_text(found, Roster(found), "main", MONDAY, 3 * WEEK)
    assert all(len(line) <= 80 for line in text.splitlines()) and "\x1b" not in text


def test_the_json_is_one_report_for_each_schedule() -> None:
    found = config()
    [one] = quality_reports(found, Roster(found), "main", MONDAY, 3 * WEEK)
    assert (one["score"], one["start"], [person["hours"] for person in one["people"]]) == (
        100,
        "2026-01-05T09:00:00.000Z",
        [168.0] * 3,
    )


def test_what_cannot_be_reported_is_refused_with_the_reason() -> None:
    found = config()
    with pytest.raises(NotFound, match="did you mean 'main'"):
        quality_reports(found, Roster(found), "mian", MONDAY, None)
    for seconds in (0.0, 367 * 86400.0):
        with pytest.raises(ValueError, match="366 days at most"):
            quality_text(found, Roster(found), None, MONDAY, seconds)
    nothing = config(schedules=(), policies=())
    assert (
        quality_text(nothing, Roster(nothing), None, MONDAY, None) == "The file has no schedules."
    )
