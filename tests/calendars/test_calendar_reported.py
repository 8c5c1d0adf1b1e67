"""Calendars that reports about other programs tell of put the right people on call.

reported.json: name → the calendar's bytes as Latin-1, the schedule's zone, and moments → who is on
call, sorted; a second answer is as good as the first.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from amproxy.calendars.parse import parse_calendar
from amproxy.config.structs import Config, Ical, Route, Schedule, User
from amproxy.oncall.calendars import ScheduleCalendars
from amproxy.oncall.roster import Roster

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "reported.json").read_text())
PEOPLE = {"ann": "Ann Ash", "bob": "Bob Birch", "cy": "Cy Öz"}


@pytest.mark.parametrize("name", CASES)
def test_a_reported_calendar_puts_the_right_people_on_call(name: str) -> None:
    case = CASES[name]
    moments = {datetime.fromisoformat(at): wanted for at, wanted in case["expected"].items()}
    calendar = parse_calendar(
        case["ics"].encode("latin-1"),
        ZoneInfo(case["zone"]),
        min(moments) - timedelta(days=40),
        max(moments) + timedelta(days=40),
    )
    users = {
        user: User(name=user, full_name=full, contacts={"email": f"{user}@example.org"})
        for user, full in PEOPLE.items()
    }
    schedule = Schedule(name="s", timezone=case["zone"], ical=Ical(file="s.ics"))
    config = Config(route=Route(receiver="r", key="{}"), users=users, schedules={"s": schedule})
    roster = Roster(config, calendars={"s": ScheduleCalendars(calendar)})
    found = {at: ",".join(sorted(roster.on_call("s", at).users)) for at in moments}
    assert {at: one for at, one in found.items() if one not in moments[at]} == {}
    assert calendar.problems == ()
