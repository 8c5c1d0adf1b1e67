"""The operations on schedules, people and calendars: a row each."""

from __future__ import annotations

from typing import Final

from amproxy.web.openapi.operation import JSON, Operation, Parameter, moment
from amproxy.web.openapi.schema import TEXT, listed, ref
from amproxy.web.people.api import TestPageBody
from amproxy.web.people.api_absences import AbsenceBody
from amproxy.web.schedules.api import OverrideBody
from amproxy.web.schedules.api_shifts import LONGEST_SPAN
from amproxy.web.schedules.swaps_api import SwapBody, TakeBody, UntakeBody

_FROM: Final = moment("from", "The beginning; now unless given. Without offset, on the schedule's clock.")
_SHIFTS: Final = (
    _FROM, moment("to", "The end, excluded; 28 days later unless given."),
    Parameter("format", "Without it the header Accept decides.", {**TEXT, "enum": ["json", "csv"]}),
)  # fmt: skip
_TABLES: Final = (JSON, "text/csv")
_DAYS: Final = {"type": "integer", "minimum": 1, "maximum": LONGEST_SPAN.days, "default": 90}
_SCHEDULE: Final = "/api/v1/schedules/{name}"
_USER: Final = "/api/v1/users/{name}"

SCHEDULES: Final = (
    Operation(
        "GET", "/api/v1/oncall", "showOnCall", "Who is on call, for each schedule", listed(ref("OnCall")),
        query=(moment("at", "Then instead of now. Without offset, on each schedule's clock."),),
    ),
    Operation("GET", f"{_SCHEDULE}/overrides", "listOverrides", "Overrides of the file and by hand", listed(ref("Override"))),
    Operation("POST", f"{_SCHEDULE}/overrides", "addOverride", "Put somebody on call", ref("Override"), 201, OverrideBody, errors=(409,)),
    Operation("DELETE", f"{_SCHEDULE}/overrides/{{id}}", "deleteOverride", "Take an override by hand back", status=204, errors=(409,)),
    Operation(
        "GET", f"{_SCHEDULE}/shifts", "listShifts", "The final shifts: as they were, and as they will be", listed(ref("FinalShift")),
        query=_SHIFTS, media=_TABLES,
    ),
    Operation(
        "GET", f"{_SCHEDULE}/hours", "listHours", "The hours that each person worked", listed(ref("Hours")), query=_SHIFTS, media=_TABLES
    ),
    Operation(
        "GET", f"{_SCHEDULE}/quality", "judgeSchedule", "How good the plan is", ref("Quality"),
        query=(_FROM, Parameter("days", "How much of the plan is looked at.", _DAYS)),
    ),
    Operation("GET", f"{_SCHEDULE}/swaps", "listSwaps", "Swaps that were asked for", listed(ref("Swap"))),
    Operation("POST", f"{_SCHEDULE}/swaps", "askForSwap", "Ask others to take over shifts", ref("Swap"), 201, SwapBody, errors=(409,)),
    Operation("POST", "/api/v1/swaps/{id}/take", "takeSwap", "Take over the shifts of a swap", ref("Swap"), 200, TakeBody, errors=(409,)),
    Operation("POST", "/api/v1/swaps/{id}/untake", "untakeSwap", "Give them back", ref("Swap"), 200, UntakeBody, errors=(409,)),
    Operation("DELETE", "/api/v1/swaps/{id}", "deleteSwap", "Forget a swap", status=204, errors=(409,)),
)  # fmt: skip

PEOPLE: Final = (
    Operation("GET", "/api/v1/users", "listUsers", "The people of the file, and whether they can be reached", ref("Users")),
    Operation("GET", _USER, "showUser", "One person", ref("User")),
    Operation("POST", f"{_USER}/test", "testUser", "Send a test page", ref("TestPage"), 202, TestPageBody, errors=(409,)),
    Operation("GET", f"{_USER}/absences", "listAbsences", "When a person is away", listed(ref("Absence"))),
    Operation("POST", f"{_USER}/absences", "addAbsence", "Say that a person is away", ref("Absence"), 201, AbsenceBody, errors=(409,)),
    Operation("DELETE", f"{_USER}/absences/{{id}}", "deleteAbsence", "Take an absence by hand back", status=204, errors=(409,)),
)  # fmt: skip

CALENDARS: Final = (
    Operation("GET", f"{_SCHEDULE}/ical", "showCalendars", "The calendars that a schedule comes from", ref("Calendars")),
    *(
        operation
        for kind in ("schedule", "user")
        for operation in (
            Operation(
                "POST", f"/api/v1/{kind}s/{{name}}/calendar", f"make{kind.title()}Calendar", f"The address of a {kind}'s calendar",
                ref("CalendarAddress"), created=True,
            ),
            Operation(
                "DELETE", f"/api/v1/{kind}s/{{name}}/calendar", f"revoke{kind.title()}Calendar", "Make that address worthless", status=204
            ),
        )
    ),
    Operation(
        "GET", "/calendar/{token}.ics", "readCalendar", "Shifts for a calendar program", TEXT, media=("text/calendar",), errors=(304,)
    ),
)  # fmt: skip
