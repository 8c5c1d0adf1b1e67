"""Warnings about time at which nobody would be on call."""

from __future__ import annotations

from amproxy.check.report import coverage_warnings
from tests.support.oncall.rosters import hours, layer, roster, utc

OFFICE = hours("office", "09:00", "18:00", "Europe/Berlin", ["monday:friday"])


def test_a_schedule_that_is_always_covered_has_no_warning() -> None:
    assert coverage_warnings(roster(layer("weekly", "alice", "bob")), utc("2026-03-01T00:00")) == []


def test_a_gap_is_named_with_its_place_its_times_and_the_total() -> None:
    who = roster(layer("office", "alice", every="1d", active=["office"]), intervals=OFFICE)
    (warning,) = coverage_warnings(who, utc("2026-03-04T12:00"))  # a Wednesday
    assert (warning.kind, warning.file, warning.line, warning.column, warning.path) == (
        "gap",
        "routes.yaml",
        7,
        5,
        "schedules[0]",
    )
    assert (
        "'main' from 2026-03-04 18:00 to 2026-03-05 09:00 (Europe/Berlin; no layer is active)"
        in warning.message
    )
    # 720 h, less 5 h of the first day (13:00 to 18:00 in Berlin), 21 whole days of 9 h and, an hour being skipped at the end
    # of March, 5 h of the last one (09:00 to 14:00)
    assert "uncovered for 21d17h of the next 30d" in warning.message


def test_a_gap_whose_reason_changes_is_one_gap() -> None:
    who = roster(
        layer("weekly", "alice", start="2026-03-05T09:00"),
        absences={"alice": [("2026-03-01T00:00", "2026-03-06T00:00")]},
    )
    (warning,) = coverage_warnings(who, utc("2026-03-04T12:00"))
    assert "from 2026-03-04 13:00 to 2026-03-06 01:00" in warning.message


def test_a_rotation_that_starts_after_the_time_looked_at_leaves_all_of_it_uncovered() -> None:
    (warning,) = coverage_warnings(
        roster(layer("weekly", "alice", start="2030-01-01T00:00")), utc("2026-03-04T12:00")
    )
    assert "uncovered for 30d of the next 30d" in warning.message
