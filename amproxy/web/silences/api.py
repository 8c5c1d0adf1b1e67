"""/api/v1/silences and /api/v1/maintenance: silences, maintenance windows, the alerts they hide.

Silences are made through Alertmanager's API (web/alertmanager). Windows of the file are shown;
those made by hand can be changed.
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
from amproxy.errors import NotFound
from amproxy.grouping.maintenance import next_opening, open_until, window_bounds, window_state
from amproxy.grouping.muting import window_key
from amproxy.respond import muting
from amproxy.times import EARLIEST, LATEST
from amproxy.web.alertmanager import alerts
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import resolve_actor, set_audit_text
from amproxy.web.http.request import known_user, parse_json_body
from amproxy.web.http.response import View, json_response
from amproxy.web.silences.bodies import (
    ExtendRequest,
    MaintenanceWindowRequest,
    new_window,
    parse_extended_end,
    parse_extension,
    window_from_request,
)
from amproxy.web.silences.preview import (
    hidden_alerts_view,
    muting_preview_view,
    parse_matcher_texts,
    require_mute,
)


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
        """The alerts that a silence with these matchers would hide now, and their incidents."""
        body = await parse_json_body(request, SilencePreviewRequest)
        matchers = parse_matcher_texts(body.matchers)
        return json_response(await muting_preview_view(self._context, matchers))

    async def extend(self, request: Request) -> Response:
        """Extend a silence; the response has it in the form of Alertmanager's API."""
        body = await parse_json_body(request, ExtendRequest)
        resolve_actor(request, known_user(self._context, body.user))
        old = await muting.find_silence(self._context, request.path_params["id"])
        await require_mute(request, self._context, old.matcher_sets)
        end_ns = parse_extended_end(old, body)
        extended = await muting.extend_silence(self._context, old.id, end_ns)
        set_audit_text(request, f"Prolonged the silence {extended.id}.")
        return json_response(alerts.view_silence(extended, int(self._context.now() * 10**9)))

    async def hidden(self, request: Request) -> Response:
        """The alerts that a silence has hidden, as long as their records last.

        The records outlive the silence: only without any an unknown id is NotFound.
        """
        silence_id = request.path_params["id"]
        view = await hidden_alerts_view(self._context, f"silence:{silence_id}")
        if not view["alerts"] and silence_id not in await muting.load_silences(self._context):
            raise NotFound(f"there is no silence {silence_id[:60]}")
        return json_response(view)


class MaintenanceApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        # The id of a window of the file is its name, which may hold any character: hence the
        # paths, and the longer addresses stand first.
        return [
            Route("/api/v1/maintenance", self.index, methods=["GET"]),
            Route("/api/v1/maintenance", self.create, methods=["POST"]),
            Route("/api/v1/maintenance/{id:path}/extend", self.extend, methods=["POST"]),
            Route("/api/v1/maintenance/{id:path}/hidden", self.hidden, methods=["GET"]),
            Route("/api/v1/maintenance/{id:path}", self.show, methods=["GET"]),
            Route("/api/v1/maintenance/{id:path}", self.change, methods=["PATCH"]),
            Route("/api/v1/maintenance/{id:path}", self.end, methods=["DELETE"]),
        ]

    async def index(self, request: Request) -> Response:
        """Those of the file first, then those made by hand."""
        windows = await muting.load_windows(self._context)
        return json_response([window_view(self._context, window) for window in windows])

    async def show(self, request: Request) -> Response:
        window = await muting.find_window(self._context, request.path_params["id"])
        return json_response(window_view(self._context, window))

    async def create(self, request: Request) -> Response:
        body = await parse_json_body(request, MaintenanceWindowRequest)
        empty = new_window(body, resolve_actor(request, known_user(self._context, body.user)))
        window = window_from_request(self._context, empty, body)
        await require_mute(request, self._context, [window.matchers])
        window = await muting.create_window(self._context, window)
        set_audit_text(request, f"made the maintenance window {window.name}")
        return json_response(window_view(self._context, window), 201)

    async def change(self, request: Request) -> Response:
        body = await parse_json_body(request, MaintenanceWindowRequest)
        resolve_actor(request, known_user(self._context, body.user))
        context, window_id = self._context, request.path_params["id"]
        old = await muting.find_window(context, window_id)
        await require_mute(request, context, [old.matchers], ends=True)
        await require_mute(request, context, [window_from_request(context, old, body).matchers])
        changed = await muting.change_window(
            context, window_id, lambda old: window_from_request(context, old, body)
        )
        set_audit_text(request, f"changed the maintenance window {changed.name}")
        return json_response(window_view(context, changed))

    async def extend(self, request: Request) -> Response:
        body = await parse_json_body(request, ExtendRequest)
        resolve_actor(request, known_user(self._context, body.user))
        until, by = parse_extension(body)
        window = await muting.find_window(self._context, request.path_params["id"])
        await require_mute(request, self._context, [window.matchers])
        extended = await muting.extend_window(
            self._context, request.path_params["id"], until=until, by=by
        )
        set_audit_text(request, f"extended the maintenance window {extended.name}")
        return json_response(window_view(self._context, extended))

    async def end(self, request: Request) -> Response:
        window = await muting.find_window(self._context, request.path_params["id"])
        await require_mute(request, self._context, [window.matchers], ends=True)
        await muting.end_window(self._context, request.path_params["id"])
        set_audit_text(request, f"ended the maintenance window {request.path_params['id']}")
        return Response(status_code=204)

    async def hidden(self, request: Request) -> Response:
        """The alerts that a window has hidden, as long as their records last."""
        window_id = request.path_params["id"]
        view = await hidden_alerts_view(self._context, f"maintenance:{window_id}")
        if not view["alerts"]:
            windows = await muting.load_windows(self._context)
            if window_id not in map(window_key, windows):
                raise NotFound(f"there is no maintenance window {window_id[:60]}")
        return json_response(view)


def window_view(context: Context, window: Maintenance) -> View:
    """One window as the API shows it."""
    intervals, now = context.config.time_intervals, utc(context.now())
    until = open_until(window, intervals, now)
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
        "next_open": _rfc3339_or_none(next_opening(window, intervals, until or now)),
    }


def _rfc3339_or_none(at: datetime | None) -> str | None:
    """None also for the bounds of a window without any."""
    return None if at is None or at <= EARLIEST or at >= LATEST else rfc3339(at.timestamp())
