"""The operations on incidents, and on what has happened: a row each."""

from __future__ import annotations

from typing import Final

from amproxy.store import incidents
from amproxy.web.http.request import LONGEST_PAGE, PAGE
from amproxy.web.incidents.api import ActionBody, BulkBody, OpenBody
from amproxy.web.openapi.operation import CURSOR, ZONE, Operation, Parameter, limit, moment, repeated
from amproxy.web.openapi.schema import TEXT, ref
from amproxy.web.reports.asked_deliveries import LIMIT, LONGEST, OUTCOMES
from amproxy.web.reports.deliveries_api import TestBody

_SPAN: Final = (moment("from", "The beginning."), moment("to", "The end, excluded; now unless given."))
_WHOSE: Final = (
    Parameter("team", 'Only incidents of this team; "none" is that of incidents without one.'),
    Parameter("policy", "Only incidents of this escalation policy."),
    Parameter("user", "Only incidents for which this person was paged or asked, or which they answered."),
)
_INSIGHTS: Final = (
    *_SPAN, Parameter("span", "A duration, such as 30d, instead of a beginning."), ZONE, *_WHOSE,
)  # fmt: skip

INCIDENTS: Final = (
    Operation(
        "GET", "/api/v1/incidents", "listIncidents", "Incidents, newest first", ref("Incidents"),
        query=(
            repeated("state", "Without it: all that are not resolved.", {**TEXT, "enum": list(incidents.STATES)}),
            repeated("label", 'A matcher such as severity=~"critical|page"; all must hold.'),
            *_WHOSE, Parameter("text", "Part of the title, the summary or the description; or a number such as #12."),
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
