"""The operations on incidents, and on what has happened: a row each.

The operations on schedules, people and calendars: a row each.

The operations on the file, on what is muted, on sign-in, on amproxy itself, and the doors for alerts: a row each.
"""

from __future__ import annotations

from typing import Final

from amproxy.store import incidents
from amproxy.web.config.api import ConfigApplyRequest, ConfigPreviewRequest
from amproxy.web.http.request import DEFAULT_INCIDENTS_LIMIT, MAX_INCIDENTS_LIMIT
from amproxy.web.incidents.api import BulkActionRequest, IncidentActionRequest, OpenIncidentRequest
from amproxy.web.openapi.schema import (
    ANY_OBJECT,
    CURSOR_PARAMETER,
    JSON_MEDIA,
    PLAIN_MEDIA,
    STRING,
    ZONE_PARAMETER,
    ApiOperation,
    QueryParameter,
    array_of,
    limit_parameter,
    ref,
    repeated_parameter,
    time_parameter,
)
from amproxy.web.people.api import CreateAbsenceRequest, TestPageRequest
from amproxy.web.reports.deliveries import DEFAULT_DELIVERIES_LIMIT, MAX_DELIVERIES_LIMIT, OUTCOMES, TestReceiverRequest
from amproxy.web.schedules.api import MAX_SHIFTS_PERIOD, CreateOverrideRequest
from amproxy.web.schedules.swaps_api import CreateSwapRequest, TakeSwapRequest, UntakeSwapRequest
from amproxy.web.signin.api import CreateTokenRequest
from amproxy.web.silences.api import SilencePreviewRequest
from amproxy.web.silences.bodies import ExtendRequest, MaintenanceWindowRequest

_PERIOD_PARAMETERS: Final = (time_parameter("from", "The beginning."), time_parameter("to", "The end, excluded; now unless given."))
_INCIDENT_FILTERS: Final = (
    QueryParameter("team", 'Only incidents of this team; "none" is that of incidents without one.'),
    QueryParameter("policy", "Only incidents of this escalation policy."),
    QueryParameter("user", "Only incidents for which this person was paged or asked, or which they answered."),
)
_INSIGHTS_PARAMETERS: Final = (
    *_PERIOD_PARAMETERS, QueryParameter("span", "A duration, such as 30d, instead of a beginning."), ZONE_PARAMETER, *_INCIDENT_FILTERS,
)  # fmt: skip

INCIDENT_OPERATIONS: Final = (
    ApiOperation(
        "GET", "/api/v1/incidents", "listIncidents", "Incidents, newest first", ref("Incidents"),
        query=(
            repeated_parameter("state", "Without it: all that are not resolved.", {**STRING, "enum": list(incidents.STATES)}),
            repeated_parameter("label", 'A matcher such as severity=~"critical|page"; all must hold.'),
            *_INCIDENT_FILTERS, QueryParameter("text", "Part of the title, the summary or the description; or a number such as #12."),
            *_PERIOD_PARAMETERS, ZONE_PARAMETER, limit_parameter(MAX_INCIDENTS_LIMIT, DEFAULT_INCIDENTS_LIMIT), CURSOR_PARAMETER,
        ),
    ),
    ApiOperation(
        "POST", "/api/v1/incidents", "openIncident", "Page somebody by hand", ref("Incident"), 201, OpenIncidentRequest, errors=(409,)
    ),
    ApiOperation("POST", "/api/v1/incidents/bulk", "actOnIncidents", "One action on many incidents", ref("BulkResult"), body=BulkActionRequest),
    ApiOperation("GET", "/api/v1/incidents/{id}", "showIncident", "One incident, with alerts, timeline and pages", ref("WholeIncident")),
    ApiOperation(
        "POST", "/api/v1/incidents/{id}/{action}", "actOnIncident", "Acknowledge, resolve, snooze, reassign …", ref("Incident"),
        body=IncidentActionRequest, errors=(409,),
    ),
    ApiOperation(
        "GET", "/api/v1/incidents/{id}/why", "explainPages", "Why a person was paged, or was not", ref("Why"),
        query=(QueryParameter("user", "The name of the person in question.", required=True),),
    ),
    ApiOperation("POST", "/api/v1/test-alert", "sendTestAlert", "Send a test alert through the routes", ref("TestAlert"), 202),
)  # fmt: skip

REPORT_OPERATIONS: Final = (
    ApiOperation("GET", "/api/v1/insights", "showInsights", "How a span of time was", ref("Insights"), query=_INSIGHTS_PARAMETERS),
    ApiOperation(
        "GET", "/api/v1/insights/{table}.csv", "exportInsights", "One table of the insights", STRING, query=_INSIGHTS_PARAMETERS, media=("text/csv",)
    ),
    ApiOperation(
        "GET", "/api/v1/history", "exportHistory", "Incidents of a span, oldest first, a line of JSON each", ref("HistoryLine"),
        query=_PERIOD_PARAMETERS, media=("application/x-ndjson",),
    ),
)  # fmt: skip

DELIVERY_OPERATIONS: Final = (
    ApiOperation(
        "GET", "/api/v1/deliveries", "listDeliveries", "What became of messages, newest first", ref("Deliveries"),
        query=(
            *(QueryParameter(name, f"Only those of this {name}.") for name in ("channel", "user", "receiver")),
            repeated_parameter("outcome", "What became of it.", {**STRING, "enum": list(OUTCOMES)}), QueryParameter("incident", "An id, or a number."),
            QueryParameter("text", "Part of the subject or of the error."), *_PERIOD_PARAMETERS, limit_parameter(MAX_DELIVERIES_LIMIT, DEFAULT_DELIVERIES_LIMIT), CURSOR_PARAMETER,
        ),
    ),
    ApiOperation("GET", "/api/v1/channels", "listChannels", "How each way out does", ref("Channels")),
    ApiOperation(
        "POST", "/api/v1/receivers/{name}/test", "testReceiver", "Send a test notification", ref("TestNotification"), 202, TestReceiverRequest,
        errors=(409,),
    ),
)  # fmt: skip


_FROM_PARAMETER: Final = time_parameter("from", "The beginning; now unless given. Without offset, on the schedule's clock.")
_SHIFTS_PARAMETERS: Final = (
    _FROM_PARAMETER, time_parameter("to", "The end, excluded; 28 days later unless given."),
    QueryParameter("format", "Without it the header Accept decides.", {**STRING, "enum": ["json", "csv"]}),
)  # fmt: skip
_TABLE_MEDIA: Final = (JSON_MEDIA, "text/csv")
_DAYS_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": MAX_SHIFTS_PERIOD.days, "default": 90}
_SCHEDULE_PATH: Final = "/api/v1/schedules/{name}"
_USER_PATH: Final = "/api/v1/users/{name}"

SCHEDULE_OPERATIONS: Final = (
    ApiOperation(
        "GET", "/api/v1/oncall", "showOnCall", "Who is on call, for each schedule", array_of(ref("OnCall")),
        query=(time_parameter("at", "Then instead of now. Without offset, on each schedule's clock."),),
    ),
    ApiOperation("GET", f"{_SCHEDULE_PATH}/overrides", "listOverrides", "Overrides of the file and by hand", array_of(ref("Override"))),
    ApiOperation("POST", f"{_SCHEDULE_PATH}/overrides", "addOverride", "Put somebody on call", ref("Override"), 201, CreateOverrideRequest, errors=(409,)),
    ApiOperation("DELETE", f"{_SCHEDULE_PATH}/overrides/{{id}}", "deleteOverride", "Take an override by hand back", status=204, errors=(409,)),
    ApiOperation(
        "GET", f"{_SCHEDULE_PATH}/shifts", "listShifts", "The final shifts: as they were, and as they will be", array_of(ref("FinalShift")),
        query=_SHIFTS_PARAMETERS, media=_TABLE_MEDIA,
    ),
    ApiOperation(
        "GET", f"{_SCHEDULE_PATH}/hours", "listHours", "The hours that each person worked", array_of(ref("Hours")), query=_SHIFTS_PARAMETERS, media=_TABLE_MEDIA
    ),
    ApiOperation(
        "GET", f"{_SCHEDULE_PATH}/quality", "judgeSchedule", "How good the plan is", ref("Quality"),
        query=(_FROM_PARAMETER, QueryParameter("days", "How much of the plan is looked at.", _DAYS_SCHEMA)),
    ),
    ApiOperation("GET", f"{_SCHEDULE_PATH}/swaps", "listSwaps", "Swaps that were asked for", array_of(ref("Swap"))),
    ApiOperation("POST", f"{_SCHEDULE_PATH}/swaps", "askForSwap", "Ask others to take over shifts", ref("Swap"), 201, CreateSwapRequest, errors=(409,)),
    ApiOperation("POST", "/api/v1/swaps/{id}/take", "takeSwap", "Take over the shifts of a swap", ref("Swap"), 200, TakeSwapRequest, errors=(409,)),
    ApiOperation("POST", "/api/v1/swaps/{id}/untake", "untakeSwap", "Give them back", ref("Swap"), 200, UntakeSwapRequest, errors=(409,)),
    ApiOperation("DELETE", "/api/v1/swaps/{id}", "deleteSwap", "Forget a swap", status=204, errors=(409,)),
)  # fmt: skip

PEOPLE_OPERATIONS: Final = (
    ApiOperation("GET", "/api/v1/users", "listUsers", "The people of the file, and whether they can be reached", ref("Users")),
    ApiOperation("GET", _USER_PATH, "showUser", "One person", ref("User")),
    ApiOperation("POST", f"{_USER_PATH}/test", "testUser", "Send a test page", ref("TestPage"), 202, TestPageRequest, errors=(409,)),
    ApiOperation("GET", f"{_USER_PATH}/absences", "listAbsences", "When a person is away", array_of(ref("Absence"))),
    ApiOperation("POST", f"{_USER_PATH}/absences", "addAbsence", "Say that a person is away", ref("Absence"), 201, CreateAbsenceRequest, errors=(409,)),
    ApiOperation("DELETE", f"{_USER_PATH}/absences/{{id}}", "deleteAbsence", "Take an absence by hand back", status=204, errors=(409,)),
)  # fmt: skip

CALENDAR_OPERATIONS: Final = (
    ApiOperation("GET", f"{_SCHEDULE_PATH}/ical", "showCalendars", "The calendars that a schedule comes from", ref("Calendars")),
    *(
        operation
        for kind in ("schedule", "user")
        for operation in (
            ApiOperation(
                "POST", f"/api/v1/{kind}s/{{name}}/calendar", f"make{kind.title()}Calendar", f"The address of a {kind}'s calendar",
                ref("CalendarAddress"), created=True,
            ),
            ApiOperation(
                "DELETE", f"/api/v1/{kind}s/{{name}}/calendar", f"revoke{kind.title()}Calendar", "Make that address worthless", status=204
            ),
        )
    ),
    ApiOperation(
        "GET", "/calendar/{token}.ics", "readCalendar", "Shifts for a calendar program", STRING, media=("text/calendar",), errors=(304,)
    ),
)  # fmt: skip


_WINDOW_PATH: Final = "/api/v1/maintenance/{id}"
_SESSION_USER: Final = (QueryParameter("user", "Whose; one's own unless given. Of others only for admins."),)

MUTING_OPERATIONS: Final = (
    ApiOperation("GET", "/api/v1/maintenance", "listWindows", "Maintenance windows", array_of(ref("Window"))),
    ApiOperation("POST", "/api/v1/maintenance", "makeWindow", "Make a maintenance window", ref("Window"), 201, MaintenanceWindowRequest, errors=(409,)),
    ApiOperation("GET", _WINDOW_PATH, "showWindow", "One window", ref("Window")),
    ApiOperation("PATCH", _WINDOW_PATH, "changeWindow", "Change a window made by hand", ref("Window"), 200, MaintenanceWindowRequest, errors=(409,)),
    ApiOperation("DELETE", _WINDOW_PATH, "endWindow", "End a window made by hand", status=204, errors=(409,)),
    ApiOperation("POST", f"{_WINDOW_PATH}/extend", "extendWindow", "Prolong it", ref("Window"), 200, ExtendRequest, errors=(409,)),
    ApiOperation("GET", f"{_WINDOW_PATH}/hidden", "listHiddenByWindow", "What it has held back", ref("Hidden")),
    ApiOperation(
        "POST", "/api/v1/silences/preview", "previewSilence", "What a silence would hide", ref("SilencePreview"),
        body=SilencePreviewRequest,
    ),
    ApiOperation(
        "POST", "/api/v1/silences/{id}/extend", "extendSilence", "Prolong a silence", ref("Silence"), 200, ExtendRequest,
        errors=(409,),
    ),
    ApiOperation("GET", "/api/v1/silences/{id}/hidden", "listHiddenBySilence", "What a silence has hidden", ref("Hidden")),
)  # fmt: skip

CONFIG_OPERATIONS: Final = (
    ApiOperation("GET", "/api/v1/config", "showFile", "The file's own words, as far as they may be shown", ref("File"), errors=(422,)),
    ApiOperation("POST", "/api/v1/config/preview", "previewChange", "What a change would do", ref("Preview"), 200, ConfigPreviewRequest, errors=(404,)),
    ApiOperation(
        "POST", "/api/v1/config/apply", "applyChange", "Write a change into the file", ref("Applied"), 200, ConfigApplyRequest, errors=(404, 409)
    ),
)  # fmt: skip

SIGN_IN_OPERATIONS: Final = (
    ApiOperation("GET", "/api/v1/tokens", "listTokens", "API tokens", array_of(ref("Token"))),
    ApiOperation("POST", "/api/v1/tokens", "makeToken", "Make an API token, and show it this once", ref("NewToken"), 201, CreateTokenRequest),
    ApiOperation("DELETE", "/api/v1/tokens/{id}", "revokeToken", "Revoke an API token", status=204),
    ApiOperation(
        "GET", "/api/v1/audit", "readAuditLog", "Who changed what, newest first", ref("AuditLog"),
        query=(
            QueryParameter("user", "Only what this person did."), time_parameter("from", "The beginning."), time_parameter("to", "The end, excluded."),
            limit_parameter(MAX_INCIDENTS_LIMIT, DEFAULT_INCIDENTS_LIMIT), CURSOR_PARAMETER,
        ),
    ),
    ApiOperation("GET", "/api/v1/sessions", "listSessions", "Where a person is signed in", array_of(ref("Session")), query=_SESSION_USER),
    ApiOperation("DELETE", "/api/v1/sessions", "endSessions", "Sign out everywhere but here", ref("EndedSessions"), query=_SESSION_USER),
    ApiOperation("DELETE", "/api/v1/sessions/{id}", "endSession", "Sign out of one browser", status=204, query=_SESSION_USER),
)  # fmt: skip

SERVICE_OPERATIONS: Final = (
    ApiOperation("GET", "/api/v1/openapi.json", "showDescription", "This document", ANY_OBJECT),
    ApiOperation("GET", "/api/v1/health", "showHealth", "Whether amproxy is well, and why not", ref("Health")),
    ApiOperation("GET", "/metrics", "readMetrics", "Metrics for Prometheus", STRING, media=(PLAIN_MEDIA,)),
    ApiOperation("GET", "/-/healthy", "isHealthy", "Whether the process runs", STRING, media=(PLAIN_MEDIA,)),
    ApiOperation("GET", "/-/ready", "isReady", "Whether a push can be stored; 503 while not", STRING, media=(PLAIN_MEDIA,)),
    ApiOperation(
        "POST", "/-/reload", "reload", "Read the file again; 500 where it does not load", STRING, media=(PLAIN_MEDIA,), errors=(500,)
    ),
    ApiOperation("PUT", "/-/reload", "reloadByPut", "The same", STRING, media=(PLAIN_MEDIA,), errors=(500,)),
)

INTAKE_OPERATIONS: Final = (
    ApiOperation(
        "POST", "/webhook/{source}", "push", "Alerts from Alertmanager, Grafana and anything else that sends JSON", ref("Done"),
        body=ANY_OBJECT, errors=(401, 403),
    ),
    ApiOperation("PUT", "/webhook/{source}", "pushByPut", "The same", ref("Done"), body=ANY_OBJECT, errors=(401, 403)),
    ApiOperation("GET", "/heartbeat/{name}", "beat", "A beat", ref("Done")),
    ApiOperation("POST", "/heartbeat/{name}", "beatByPost", "The same", ref("Done")),
    ApiOperation("GET", "/api/v1/redis", "showRedis", "What Redis says of itself", ref("Redis")),
    ApiOperation("GET", "/api/v1/replicas", "listReplicas", "The processes that deliver, and what each has in hand", array_of(ref("Replica"))),
    ApiOperation("GET", "/api/v1/heartbeats", "listHeartbeats", "What is waited for, and when it was heard of", array_of(ref("Heartbeat"))),
)  # fmt: skip
