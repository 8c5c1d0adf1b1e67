"""/api/v1/silences: what a silence hides, what one would, and prolonging one. Silences are made by Alertmanager's API (web/v2).

/api/v1/maintenance: the windows of the file and those made by hand, which can be changed; and what they held back.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.correlate.muting import window_key
from amproxy.errors import NotFound
from amproxy.grouping.maintenance import next_opening, open_until, window_bounds, window_state
from amproxy.respond import muting
from amproxy.times import EARLIEST, LATEST
from amproxy.web.alertmanager import alerts
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_role, resolve_actor, set_audit_text
from amproxy.web.http.request import known_user, parse_json_body
from amproxy.web.incidents.api import json_response
from amproxy.web.incidents.views import View
from amproxy.web.silences import bodies, preview
from amproxy.web.silences import preview as silences_preview
from amproxy.web.silences.bodies import ExtendRequest, MaintenanceWindowRequest


class SilencePreviewRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Each text holds one matcher or more; all must hold."""

    matchers: list[str]


class SilencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/silences/preview", self.preview, methods=["POST"]),
            Route("/api/v1/silences/{id}/extend", self.extend, methods=["POST"]),
            Route("/api/v1/silences/{id}/hidden", self.hidden, methods=["GET"]),
        ]

    async def preview(self, request: Request) -> Response:
        """The alerts that fire now and that a silence with these matchers would hide, and the incidents that it concerns."""
        body = await parse_json_body(request, SilencePreviewRequest)
        return json_response(await silences_preview.muting_preview_view(self._context, silences_preview.parse_matcher_texts(body.matchers)))

    async def extend(self, request: Request) -> Response:
        """Answers the silence as Alertmanager's API shows it."""
        require_role(request, "responder")
        body = await parse_json_body(request, ExtendRequest)
        resolve_actor(request, known_user(self._context, body.user))
        old = await muting.find_silence(self._context, request.path_params["id"])
        longer = await muting.extend_silence(self._context, old.id, bodies.parse_extended_end(old, body))
        set_audit_text(request, f"Prolonged the silence {longer.id}.")
        return json_response(alerts.view_silence(longer, int(self._context.now() * 10**9)))

    async def hidden(self, request: Request) -> Response:
        """What a silence has hidden; also after it is forgotten itself, as long as that is kept."""
        silence_id = request.path_params["id"]
        view = await silences_preview.hidden_alerts_view(self._context, f"silence:{silence_id}")
        if not view["alerts"] and silence_id not in await muting.load_silences(self._context):
            raise NotFound(f"there is no silence {silence_id[:60]}")
        return json_response(view)


class MaintenanceApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        # a window of the file is called by its name, which may hold any character
        return [
            Route("/api/v1/maintenance", self.index, methods=["GET"]),
            Route("/api/v1/maintenance", self.make, methods=["POST"]),
            Route("/api/v1/maintenance/{id:path}/extend", self.extend, methods=["POST"]),
            Route("/api/v1/maintenance/{id:path}/hidden", self.hidden, methods=["GET"]),
            Route("/api/v1/maintenance/{id:path}", self.show, methods=["GET"]),
            Route("/api/v1/maintenance/{id:path}", self.change, methods=["PATCH"]),
            Route("/api/v1/maintenance/{id:path}", self.end, methods=["DELETE"]),
        ]

    async def index(self, request: Request) -> Response:
        """Those of the file first, then those made by hand."""
        return json_response([window_view(self._context, window) for window in await muting.load_windows(self._context)])

    async def show(self, request: Request) -> Response:
        return json_response(window_view(self._context, await muting.find_window(self._context, request.path_params["id"])))

    async def make(self, request: Request) -> Response:
        body = await parse_json_body(request, MaintenanceWindowRequest)
        empty = bodies.new_window(body, resolve_actor(request, known_user(self._context, body.user)))
        made = await muting.create_window(self._context, bodies.window_from_request(self._context, empty, body))
        set_audit_text(request, f"made the maintenance window {made.name}")
        return json_response(window_view(self._context, made), 201)

    async def change(self, request: Request) -> Response:
        body = await parse_json_body(request, MaintenanceWindowRequest)
        resolve_actor(request, known_user(self._context, body.user))
        context = self._context
        changed = await muting.change_window(context, request.path_params["id"], lambda old: bodies.window_from_request(context, old, body))
        set_audit_text(request, f"changed the maintenance window {changed.name}")
        return json_response(window_view(context, changed))

    async def extend(self, request: Request) -> Response:
        body = await parse_json_body(request, ExtendRequest)
        resolve_actor(request, known_user(self._context, body.user))
        until, by = bodies.parse_extension(body)
        extended = await muting.extend_window(self._context, request.path_params["id"], until=until, by=by)
        set_audit_text(request, f"extended the maintenance window {extended.name}")
        return json_response(window_view(self._context, extended))

    async def end(self, request: Request) -> Response:
        await muting.end_window(self._context, request.path_params["id"])
        set_audit_text(request, f"ended the maintenance window {request.path_params['id']}")
        return Response(status_code=204)

    async def hidden(self, request: Request) -> Response:
        """What a window has held back; also after it is forgotten itself, as long as that is kept."""
        window_id = request.path_params["id"]
        found = await preview.hidden_alerts_view(self._context, f"maintenance:{window_id}")
        if not found["alerts"] and all(window_key(window) != window_id for window in await muting.load_windows(self._context)):
            raise NotFound(f"there is no maintenance window {window_id[:60]}")
        return json_response(found)


def window_view(context: Context, window: Maintenance) -> View:
    """One window as the API shows it."""
    intervals, now = context.config.time_intervals, utc(context.now())
    until = open_until(window, intervals, now)
    opens = next_opening(window, intervals, until or now)
    start, end = window_bounds(window)
    return {
        "id": window_key(window),
        "name": window.name,
        "source": "hand" if window.id else "file",
        "state": window_state(window, intervals, now),
        "matchers": [str(matcher) for matcher in window.matchers],
        "start": _rfc3339_or_none(start),
        "end": _rfc3339_or_none(end),
        "timezone": window.timezone,
        "active_time_intervals": list(window.active_time_intervals),
        "comment": window.comment or None,
        "created_by": window.created_by or None,
        "open_until": _rfc3339_or_none(until),
        "next_open": _rfc3339_or_none(opens),
    }


def _rfc3339_or_none(at: datetime | None) -> str | None:
    """None also for what has no bound."""
    return None if at is None or at <= EARLIEST or at >= LATEST else rfc3339(at.timestamp())
