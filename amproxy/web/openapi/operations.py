"""The operations on incidents, and on what has happened: a row each.

The operations on schedules, people and calendars: a row each.

The operations on the file, on what is muted, on sign-in, on amproxy itself, and the doors for alerts: a row each.
"""

from __future__ import annotations

from typing import Final

from amproxy.store import incidents
from amproxy.web.config.api import ApplyBody, PreviewBody
from amproxy.web.http.request import LONGEST_PAGE, PAGE
from amproxy.web.incidents.api import ActionBody, BulkBody, OpenBody
from amproxy.web.openapi.schema import ANYTHING, CURSOR, JSON, PLAIN, TEXT, ZONE, Operation, Parameter, limit, listed, moment, ref, repeated
from amproxy.web.people.api import AbsenceBody, TestPageBody
from amproxy.web.reports.deliveries import LIMIT, LONGEST, OUTCOMES, TestBody
from amproxy.web.schedules.api import LONGEST_SPAN, OverrideBody
from amproxy.web.schedules.swaps_api import SwapBody, TakeBody, UntakeBody
from amproxy.web.signin.api import TokenBody
from amproxy.web.silences.api import SilencePreviewBody
from amproxy.web.silences.bodies import ExtendBody, WindowBody

_SPAN: Final = (moment("from", "The beginning."), moment("to", "The end, excluded; now unless given."))
_INCIDENT_FILTERS: Final = (
    Parameter("team", 'Only incidents of this team; "none" is that of incidents without one.'),
    Parameter("policy", "Only incidents of this escalation policy."),
    Parameter("user", "Only incidents for which this person was paged or asked, or which they answered."),
)
_INSIGHTS: Final = (
    *_SPAN, Parameter("span", "A duration, such as 30d, instead of a beginning."), ZONE, *_INCIDENT_FILTERS,
)  # fmt: skip

INCIDENTS: Final = (
    Operation(
        "GET", "/api/v1/incidents", "listIncidents", "Incidents, newest first", ref("Incidents"),
        query=(
            repeated("state", "Without it: all that are not resolved.", {**TEXT, "enum": list(incidents.STATES)}),
            repeated("label", 'A matcher such as severity=~"critical|page"; all must hold.'),
            *_INCIDENT_FILTERS, Parameter("text", "Part of the title, the summary or the description; or a number such as #12."),
            *_SPAN, ZONE, limit(LONGEST_PAGE, PAGE), CURSOR,
        ),
    ),
    Operation(
        "POST", "/api/v1/incidents", "openIncident", "Page somebody by hand", ref("Incident"), 201, OpenBody, errors=(409,)
    ),
    Operation("POST", "/api/v1/incidents/bulk", "actOnIncidents", "One action on many incidents", ref("BulkResult"), body=BulkBody),
    Operation("GET", "/api/v1/incidents/{id}", "showIncident", "One incident, with alerts, timeline and pages", ref("WholeIncident")),
    Operation(
        "POST", "/api/v1/incidents/{id}/{action}", "actOnIncident", "Acknowledge, resolve, snooze, reassign …", ref("Incident"),
        body=ActionBody, errors=(409,),
    ),
    Operation(
        "GET", "/api/v1/incidents/{id}/why", "explainPages", "Why a person was paged, or was not", ref("Why"),
        query=(Parameter("user", "The name of the person in question.", required=True),),
    ),
    Operation("POST", "/api/v1/test-alert", "sendTestAlert", "Send a test alert through the routes", ref("TestAlert"), 202),
)  # fmt: skip

HINDSIGHT: Final = (
    Operation("GET", "/api/v1/insights", "showInsights", "How a span of time was", ref("Insights"), query=_INSIGHTS),
    Operation(
        "GET", "/api/v1/insights/{table}.csv", "exportInsights", "One table of the insights", TEXT, query=_INSIGHTS, media=("text/csv",)
    ),
    Operation(
        "GET", "/api/v1/history", "exportHistory", "Incidents of a span, oldest first, a line of JSON each", ref("HistoryLine"),
        query=_SPAN, media=("application/x-ndjson",),
    ),
)  # fmt: skip

DELIVERIES: Final = (
    Operation(
        "GET", "/api/v1/deliveries", "listDeliveries", "What became of messages, newest first", ref("Deliveries"),
        query=(
            *(Parameter(name, f"Only those of this {name}.") for name in ("channel", "user", "receiver")),
            repeated("outcome", "What became of it.", {**TEXT, "enum": list(OUTCOMES)}), Parameter("incident", "An id, or a number."),
            Parameter("text", "Part of the subject or of the error."), *_SPAN, limit(LONGEST, LIMIT), CURSOR,
        ),
    ),
    Operation("GET", "/api/v1/channels", "listChannels", "How each way out does", ref("Channels")),
    Operation(
        "POST", "/api/v1/receivers/{name}/test", "testReceiver", "Send a test notification", ref("TestNotification"), 202, TestBody,
        errors=(409,),
    ),
)  # fmt: skip


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


_WINDOW: Final = "/api/v1/maintenance/{id}"
_SESSION_USER: Final = (Parameter("user", "Whose; one's own unless given. Of others only for admins."),)

MUTED: Final = (
    Operation("GET", "/api/v1/maintenance", "listWindows", "Maintenance windows", listed(ref("Window"))),
    Operation("POST", "/api/v1/maintenance", "makeWindow", "Make a maintenance window", ref("Window"), 201, WindowBody, errors=(409,)),
    Operation("GET", _WINDOW, "showWindow", "One window", ref("Window")),
    Operation("PATCH", _WINDOW, "changeWindow", "Change a window made by hand", ref("Window"), 200, WindowBody, errors=(409,)),
    Operation("DELETE", _WINDOW, "endWindow", "End a window made by hand", status=204, errors=(409,)),
    Operation("POST", f"{_WINDOW}/extend", "extendWindow", "Prolong it", ref("Window"), 200, ExtendBody, errors=(409,)),
    Operation("GET", f"{_WINDOW}/hidden", "listHiddenByWindow", "What it has held back", ref("Hidden")),
    Operation(
        "POST", "/api/v1/silences/preview", "previewSilence", "What a silence would hide", ref("SilencePreview"),
        body=SilencePreviewBody,
    ),
    Operation(
        "POST", "/api/v1/silences/{id}/extend", "extendSilence", "Prolong a silence", ref("Silence"), 200, ExtendBody,
        errors=(409,),
    ),
    Operation("GET", "/api/v1/silences/{id}/hidden", "listHiddenBySilence", "What a silence has hidden", ref("Hidden")),
)  # fmt: skip

FILE: Final = (
    Operation("GET", "/api/v1/config", "showFile", "The file's own words, as far as they may be shown", ref("File"), errors=(422,)),
    Operation("POST", "/api/v1/config/preview", "previewChange", "What a change would do", ref("Preview"), 200, PreviewBody, errors=(404,)),
    Operation(
        "POST", "/api/v1/config/apply", "applyChange", "Write a change into the file", ref("Applied"), 200, ApplyBody, errors=(404, 409)
    ),
)  # fmt: skip

SIGN_IN: Final = (
    Operation("GET", "/api/v1/tokens", "listTokens", "API tokens", listed(ref("Token"))),
    Operation("POST", "/api/v1/tokens", "makeToken", "Make an API token, and show it this once", ref("NewToken"), 201, TokenBody),
    Operation("DELETE", "/api/v1/tokens/{id}", "revokeToken", "Revoke an API token", status=204),
    Operation(
        "GET", "/api/v1/audit", "readAuditLog", "Who changed what, newest first", ref("AuditLog"),
        query=(
            Parameter("user", "Only what this person did."), moment("from", "The beginning."), moment("to", "The end, excluded."),
            limit(LONGEST_PAGE, PAGE), CURSOR,
        ),
    ),
    Operation("GET", "/api/v1/sessions", "listSessions", "Where a person is signed in", listed(ref("Session")), query=_SESSION_USER),
    Operation("DELETE", "/api/v1/sessions", "endSessions", "Sign out everywhere but here", ref("EndedSessions"), query=_SESSION_USER),
    Operation("DELETE", "/api/v1/sessions/{id}", "endSession", "Sign out of one browser", status=204, query=_SESSION_USER),
)  # fmt: skip

SERVICE: Final = (
    Operation("GET", "/api/v1/openapi.json", "showDescription", "This document", ANYTHING),
    Operation("GET", "/api/v1/health", "showHealth", "Whether amproxy is well, and why not", ref("Health")),
    Operation("GET", "/metrics", "readMetrics", "Metrics for Prometheus", TEXT, media=(PLAIN,)),
    Operation("GET", "/-/healthy", "isHealthy", "Whether the process runs", TEXT, media=(PLAIN,)),
    Operation("GET", "/-/ready", "isReady", "Whether a push can be stored; 503 while not", TEXT, media=(PLAIN,)),
    Operation("POST", "/-/reload", "reload", "Read the file again; 500 where it does not load", TEXT, media=(PLAIN,), errors=(500,)),
    Operation("PUT", "/-/reload", "reloadByPut", "The same", TEXT, media=(PLAIN,), errors=(500,)),
)

DOORS: Final = (
    Operation(
        "POST", "/webhook/{source}", "push", "Alerts from Alertmanager, Grafana and anything else that sends JSON", ref("Done"),
        body=ANYTHING, errors=(401, 403),
    ),
    Operation("PUT", "/webhook/{source}", "pushByPut", "The same", ref("Done"), body=ANYTHING, errors=(401, 403)),
    Operation("GET", "/heartbeat/{name}", "beat", "A beat", ref("Done")),
    Operation("POST", "/heartbeat/{name}", "beatByPost", "The same", ref("Done")),
    Operation("GET", "/api/v1/redis", "showRedis", "What Redis says of itself", ref("Redis")),
    Operation("GET", "/api/v1/replicas", "listReplicas", "The processes that deliver, and what each has in hand", listed(ref("Replica"))),
    Operation("GET", "/api/v1/heartbeats", "listHeartbeats", "What is waited for, and when it was heard of", listed(ref("Heartbeat"))),
)  # fmt: skip
