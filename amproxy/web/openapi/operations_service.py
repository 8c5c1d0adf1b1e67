"""The operations on the file, on what is muted, on sign-in, on amproxy itself, and the doors for alerts: a row each."""

from __future__ import annotations

from typing import Final

from amproxy.web.config.api import ApplyBody, PreviewBody
from amproxy.web.http.request import LONGEST_PAGE, PAGE
from amproxy.web.openapi.operation import CURSOR, PLAIN, Operation, Parameter, limit, moment
from amproxy.web.openapi.schema import ANYTHING, TEXT, listed, ref
from amproxy.web.signin.api import TokenBody
from amproxy.web.silences.api import SilencePreviewBody
from amproxy.web.silences.asked_window import ExtendBody, WindowBody

_WINDOW: Final = "/api/v1/maintenance/{id}"
_WHOSE: Final = (Parameter("user", "Whose; one's own unless given. Of others only for admins."),)

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
    Operation("GET", "/api/v1/sessions", "listSessions", "Where a person is signed in", listed(ref("Session")), query=_WHOSE),
    Operation("DELETE", "/api/v1/sessions", "endSessions", "Sign out everywhere but here", ref("EndedSessions"), query=_WHOSE),
    Operation("DELETE", "/api/v1/sessions/{id}", "endSession", "Sign out of one browser", status=204, query=_WHOSE),
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
