"""The tables of operations: "METHOD path" → a row, in the order of the document.

A test compares them with the routes of the program, so a new route needs a row here.
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
    INTEGER,
    JSON_MEDIA,
    PLAIN_MEDIA,
    STRING,
    ZONE_PARAMETER,
    ApiOperation,
    OperationTable,
    QueryParameter,
    array_of,
    choice_of,
    limit_parameter,
    ref,
    repeated_parameter,
    time_parameter,
)
from amproxy.web.people.api import CreateAbsenceRequest, TestPageRequest
from amproxy.web.reports.deliveries import OUTCOMES, TestReceiverRequest
from amproxy.web.schedules.api import MAX_SHIFTS_PERIOD, CreateOverrideRequest
from amproxy.web.schedules.swaps_api import CreateSwapRequest, TakeSwapRequest, UntakeSwapRequest
from amproxy.web.signin.api import CreateTokenRequest
from amproxy.web.silences.api import SilencePreviewRequest
from amproxy.web.silences.bodies import ExtendRequest, MaintenanceWindowRequest

_PERIOD_PARAMETERS: Final = (
    time_parameter("from", "The beginning."),
    time_parameter("to", "The end, excluded; now unless given."),
)
_PAGE_PARAMETERS: Final = (
    limit_parameter(MAX_INCIDENTS_LIMIT, DEFAULT_INCIDENTS_LIMIT),
    CURSOR_PARAMETER,
)
_INCIDENT_FILTERS: Final = (
    QueryParameter("team", 'Only incidents of this team; "none" is that of incidents without one.'),
    QueryParameter("policy", "Only incidents of this escalation policy."),
    QueryParameter(
        "user", "Only incidents for which this person was paged or asked, or which they answered."
    ),
)
_INSIGHTS_PARAMETERS: Final = (
    *_PERIOD_PARAMETERS,
    QueryParameter("span", "A duration, such as 30d, instead of a beginning."),
    ZONE_PARAMETER,
    *_INCIDENT_FILTERS,
)

INCIDENT_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/incidents": ApiOperation(
        "listIncidents",
        "Incidents, newest first",
        "Incidents",
        query=(
            repeated_parameter(
                "state", "Without it: all that are not resolved.", choice_of(incidents.STATES)
            ),
            repeated_parameter(
                "label", 'A matcher such as severity=~"critical|page"; all must hold.'
            ),
            *_INCIDENT_FILTERS,
            QueryParameter(
                "text",
                "Part of the title, the summary or the description; or a number such as #12.",
            ),
            *_PERIOD_PARAMETERS,
            ZONE_PARAMETER,
            *_PAGE_PARAMETERS,
        ),
    ),
    "POST /api/v1/incidents": ApiOperation(
        "openIncident",
        "Page somebody by hand",
        "Incident",
        OpenIncidentRequest,
        status=201,
        errors=(409,),
    ),
    "POST /api/v1/incidents/bulk": ApiOperation(
        "actOnIncidents", "One action on many incidents", "BulkResult", BulkActionRequest
    ),
    "GET /api/v1/incidents/{id}": ApiOperation(
        "showIncident", "One incident, with alerts, timeline and pages", "WholeIncident"
    ),
    "POST /api/v1/incidents/{id}/{action}": ApiOperation(
        "actOnIncident",
        "Acknowledge, resolve, snooze, reassign …",
        "Incident",
        IncidentActionRequest,
        errors=(409,),
    ),
    "GET /api/v1/incidents/{id}/why": ApiOperation(
        "explainPages",
        "Why a person was paged, or was not",
        "Why",
        query=(QueryParameter("user", "The name of the person in question.", required=True),),
    ),
    "POST /api/v1/test-alert": ApiOperation(
        "sendTestAlert", "Send a test alert through the routes", "TestAlert", status=202
    ),
}

REPORT_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/insights": ApiOperation(
        "showInsights", "How a span of time was", "Insights", query=_INSIGHTS_PARAMETERS
    ),
    "GET /api/v1/insights/{table}.csv": ApiOperation(
        "exportInsights",
        "One table of the insights",
        STRING,
        query=_INSIGHTS_PARAMETERS,
        media=("text/csv",),
    ),
    "GET /api/v1/history": ApiOperation(
        "exportHistory",
        "Incidents of a span, oldest first, a line of JSON each",
        "HistoryLine",
        query=_PERIOD_PARAMETERS,
        media=("application/x-ndjson",),
    ),
}

DELIVERY_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/deliveries": ApiOperation(
        "listDeliveries",
        "What became of messages, newest first",
        "Deliveries",
        query=(
            *(
                QueryParameter(name, f"Only those of this {name}.")
                for name in ("channel", "user", "receiver")
            ),
            repeated_parameter("outcome", "What became of it.", choice_of(OUTCOMES)),
            QueryParameter("incident", "An id, or a number."),
            QueryParameter("text", "Part of the subject or of the error."),
            *_PERIOD_PARAMETERS,
            *_PAGE_PARAMETERS,
        ),
    ),
    "GET /api/v1/channels": ApiOperation("listChannels", "How each way out does", "Channels"),
    "POST /api/v1/receivers/{name}/test": ApiOperation(
        "testReceiver",
        "Send a test notification",
        "TestNotification",
        TestReceiverRequest,
        status=202,
        errors=(409,),
    ),
}


_FROM_PARAMETER: Final = time_parameter(
    "from", "The beginning; now unless given. Without offset, on the schedule's clock."
)
_SHIFTS_PARAMETERS: Final = (
    _FROM_PARAMETER,
    time_parameter("to", "The end, excluded; 28 days later unless given."),
    QueryParameter("format", "Without it the header Accept decides.", choice_of(("json", "csv"))),
)
_TABLE_MEDIA: Final = (JSON_MEDIA, "text/csv")
_DAYS_SCHEMA: Final = {**INTEGER, "minimum": 1, "maximum": MAX_SHIFTS_PERIOD.days, "default": 90}
_SCHEDULE_PATH: Final = "/api/v1/schedules/{name}"
_USER_PATH: Final = "/api/v1/users/{name}"

SCHEDULE_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/oncall": ApiOperation(
        "showOnCall",
        "Who is on call, for each schedule",
        array_of(ref("OnCall")),
        query=(
            time_parameter("at", "Then instead of now. Without offset, on each schedule's clock."),
        ),
    ),
    f"GET {_SCHEDULE_PATH}/overrides": ApiOperation(
        "listOverrides", "Overrides of the file and by hand", array_of(ref("Override"))
    ),
    f"POST {_SCHEDULE_PATH}/overrides": ApiOperation(
        "addOverride",
        "Put somebody on call",
        "Override",
        CreateOverrideRequest,
        status=201,
        errors=(409,),
    ),
    f"DELETE {_SCHEDULE_PATH}/overrides/{{id}}": ApiOperation(
        "deleteOverride", "Take an override by hand back", status=204, errors=(409,)
    ),
    f"GET {_SCHEDULE_PATH}/shifts": ApiOperation(
        "listShifts",
        "The final shifts: as they were, and as they will be",
        array_of(ref("FinalShift")),
        query=_SHIFTS_PARAMETERS,
        media=_TABLE_MEDIA,
    ),
    f"GET {_SCHEDULE_PATH}/hours": ApiOperation(
        "listHours",
        "The hours that each person worked",
        array_of(ref("Hours")),
        query=_SHIFTS_PARAMETERS,
        media=_TABLE_MEDIA,
    ),
    f"GET {_SCHEDULE_PATH}/quality": ApiOperation(
        "judgeSchedule",
        "How good the plan is",
        "Quality",
        query=(
            _FROM_PARAMETER,
            QueryParameter("days", "How much of the plan is looked at.", _DAYS_SCHEMA),
        ),
    ),
    f"GET {_SCHEDULE_PATH}/swaps": ApiOperation(
        "listSwaps", "Swaps that were asked for", array_of(ref("Swap"))
    ),
    f"POST {_SCHEDULE_PATH}/swaps": ApiOperation(
        "askForSwap",
        "Ask others to take over shifts",
        "Swap",
        CreateSwapRequest,
        status=201,
        errors=(409,),
    ),
    "POST /api/v1/swaps/{id}/take": ApiOperation(
        "takeSwap", "Take over the shifts of a swap", "Swap", TakeSwapRequest, errors=(409,)
    ),
    "POST /api/v1/swaps/{id}/untake": ApiOperation(
        "untakeSwap", "Give them back", "Swap", UntakeSwapRequest, errors=(409,)
    ),
    "DELETE /api/v1/swaps/{id}": ApiOperation(
        "deleteSwap", "Forget a swap", status=204, errors=(409,)
    ),
}

PEOPLE_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/users": ApiOperation(
        "listUsers", "The people of the file, and whether they can be reached", "Users"
    ),
    f"GET {_USER_PATH}": ApiOperation("showUser", "One person", "User"),
    f"POST {_USER_PATH}/test": ApiOperation(
        "testUser", "Send a test page", "TestPage", TestPageRequest, status=202, errors=(409,)
    ),
    f"GET {_USER_PATH}/absences": ApiOperation(
        "listAbsences", "When a person is away", array_of(ref("Absence"))
    ),
    f"POST {_USER_PATH}/absences": ApiOperation(
        "addAbsence",
        "Say that a person is away",
        "Absence",
        CreateAbsenceRequest,
        status=201,
        errors=(409,),
    ),
    f"DELETE {_USER_PATH}/absences/{{id}}": ApiOperation(
        "deleteAbsence", "Take an absence by hand back", status=204, errors=(409,)
    ),
}

CALENDAR_OPERATIONS: Final[OperationTable] = {
    f"GET {_SCHEDULE_PATH}/ical": ApiOperation(
        "showCalendars", "The calendars that a schedule comes from", "Calendars"
    ),
    f"POST {_SCHEDULE_PATH}/calendar": ApiOperation(
        "makeScheduleCalendar",
        "The address of a schedule's calendar",
        "CalendarAddress",
        created=True,
    ),
    f"DELETE {_SCHEDULE_PATH}/calendar": ApiOperation(
        "revokeScheduleCalendar", "Make that address worthless", status=204
    ),
    f"POST {_USER_PATH}/calendar": ApiOperation(
        "makeUserCalendar", "The address of a user's calendar", "CalendarAddress", created=True
    ),
    f"DELETE {_USER_PATH}/calendar": ApiOperation(
        "revokeUserCalendar", "Make that address worthless", status=204
    ),
    "GET /calendar/{token}.ics": ApiOperation(
        "readCalendar",
        "Shifts for a calendar program",
        STRING,
        media=("text/calendar",),
        errors=(304,),
    ),
}


_WINDOW_PATH: Final = "/api/v1/maintenance/{id}"
_SESSION_USER: Final = (
    QueryParameter("user", "Whose; one's own unless given. Of others only for admins."),
)

MUTING_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/maintenance": ApiOperation(
        "listWindows", "Maintenance windows", array_of(ref("Window"))
    ),
    "POST /api/v1/maintenance": ApiOperation(
        "makeWindow",
        "Make a maintenance window",
        "Window",
        MaintenanceWindowRequest,
        status=201,
        errors=(409,),
    ),
    f"GET {_WINDOW_PATH}": ApiOperation("showWindow", "One window", "Window"),
    f"PATCH {_WINDOW_PATH}": ApiOperation(
        "changeWindow",
        "Change a window made by hand",
        "Window",
        MaintenanceWindowRequest,
        errors=(409,),
    ),
    f"DELETE {_WINDOW_PATH}": ApiOperation(
        "endWindow", "End a window made by hand", status=204, errors=(409,)
    ),
    f"POST {_WINDOW_PATH}/extend": ApiOperation(
        "extendWindow", "Prolong it", "Window", ExtendRequest, errors=(409,)
    ),
    f"GET {_WINDOW_PATH}/hidden": ApiOperation(
        "listHiddenByWindow", "What it has held back", "Hidden"
    ),
    "POST /api/v1/silences/preview": ApiOperation(
        "previewSilence", "What a silence would hide", "SilencePreview", SilencePreviewRequest
    ),
    "POST /api/v1/silences/{id}/extend": ApiOperation(
        "extendSilence", "Prolong a silence", "Silence", ExtendRequest, errors=(409,)
    ),
    "GET /api/v1/silences/{id}/hidden": ApiOperation(
        "listHiddenBySilence", "What a silence has hidden", "Hidden"
    ),
}

CONFIG_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/config": ApiOperation(
        "showFile", "The file's own words, as far as they may be shown", "File", errors=(422,)
    ),
    "POST /api/v1/config/preview": ApiOperation(
        "previewChange", "What a change would do", "Preview", ConfigPreviewRequest, errors=(404,)
    ),
    "POST /api/v1/config/apply": ApiOperation(
        "applyChange",
        "Write a change into the file",
        "Applied",
        ConfigApplyRequest,
        errors=(404, 409),
    ),
}

SIGN_IN_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/tokens": ApiOperation("listTokens", "API tokens", array_of(ref("Token"))),
    "POST /api/v1/tokens": ApiOperation(
        "makeToken",
        "Make an API token, and show it this once",
        "NewToken",
        CreateTokenRequest,
        status=201,
    ),
    "DELETE /api/v1/tokens/{id}": ApiOperation("revokeToken", "Revoke an API token", status=204),
    "GET /api/v1/audit": ApiOperation(
        "readAuditLog",
        "Who changed what, newest first",
        "AuditLog",
        query=(
            QueryParameter("user", "Only what this person did."),
            time_parameter("from", "The beginning."),
            time_parameter("to", "The end, excluded."),
            *_PAGE_PARAMETERS,
        ),
    ),
    "GET /api/v1/sessions": ApiOperation(
        "listSessions", "Where a person is signed in", array_of(ref("Session")), query=_SESSION_USER
    ),
    "DELETE /api/v1/sessions": ApiOperation(
        "endSessions", "Sign out everywhere but here", "EndedSessions", query=_SESSION_USER
    ),
    "DELETE /api/v1/sessions/{id}": ApiOperation(
        "endSession", "Sign out of one browser", status=204, query=_SESSION_USER
    ),
}

SERVICE_OPERATIONS: Final[OperationTable] = {
    "GET /api/v1/openapi.json": ApiOperation("showDescription", "This document", ANY_OBJECT),
    "GET /api/v1/health": ApiOperation(
        "showHealth", "Whether amproxy is well, and why not", "Health"
    ),
    "GET /metrics": ApiOperation(
        "readMetrics", "Metrics for Prometheus", STRING, media=(PLAIN_MEDIA,)
    ),
    "GET /-/healthy": ApiOperation(
        "isHealthy", "Whether the process runs", STRING, media=(PLAIN_MEDIA,)
    ),
    "GET /-/ready": ApiOperation(
        "isReady", "Whether a push can be stored; 503 while not", STRING, media=(PLAIN_MEDIA,)
    ),
    "POST /-/reload": ApiOperation(
        "reload",
        "Read the file again; 500 where it does not load",
        STRING,
        media=(PLAIN_MEDIA,),
        errors=(500,),
    ),
    "PUT /-/reload": ApiOperation(
        "reloadByPut", "The same", STRING, media=(PLAIN_MEDIA,), errors=(500,)
    ),
}

INTAKE_OPERATIONS: Final[OperationTable] = {
    "POST /webhook/{source}": ApiOperation(
        "push",
        "Alerts from Alertmanager, Grafana and anything else that sends JSON",
        "Done",
        ANY_OBJECT,
        errors=(401, 403),
    ),
    "PUT /webhook/{source}": ApiOperation(
        "pushByPut", "The same", "Done", ANY_OBJECT, errors=(401, 403)
    ),
    "GET /heartbeat/{name}": ApiOperation("beat", "A beat", "Done", errors=(401, 403)),
    "POST /heartbeat/{name}": ApiOperation("beatByPost", "The same", "Done", errors=(401, 403)),
    "GET /api/v1/redis": ApiOperation("showRedis", "What Redis says of itself", "Redis"),
    "GET /api/v1/replicas": ApiOperation(
        "listReplicas",
        "The processes that deliver, what each has in hand, and the file that it has loaded",
        array_of(ref("Replica")),
    ),
    "GET /api/v1/heartbeats": ApiOperation(
        "listHeartbeats", "What is waited for, and when it was heard of", array_of(ref("Heartbeat"))
    ),
}
