"""/api/v1/silences and /api/v1/maintenance: silences, maintenance windows, the alerts they hide.

Silences are made through Alertmanager's API (web/alertmanager). Windows of the file are shown;
those made by hand can be changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339, utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.grouping.maintenance import (
    WindowState,
    next_opening,
    open_until,
    window_bounds,
    window_state,
)
from amproxy.grouping.muting import window_key
from amproxy.respond import muting
from amproxy.text import Phrase
from amproxy.times import EARLIEST, LATEST
from amproxy.web.alertmanager import views
from amproxy.web.http.api import Created, JsonBody, operation
from amproxy.web.http.audited import mute_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import resolve_actor, set_audit_phrase
from amproxy.web.http.request import known_user
from amproxy.web.silences.bodies import (
    ExtendRequest,
    MaintenanceWindowRequest,
    new_window,
    parse_extended_end,
    parse_extension,
    window_from_request,
)
from amproxy.web.silences.preview import (
    HiddenView,
    SilencePreviewView,
    hidden_alerts_view,
    parse_matcher_texts,
    require_mute,
    silence_preview_view,
)


class SilencePreviewRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Each text holds one matcher or more; all must hold."""

    matchers: list[str]


class WindowView(msgspec.Struct, kw_only=True):
    id: str
    name: str
    source: Literal["hand", "file"]
    state: WindowState
    matchers: list[str]
    start: Timestamp | None
    end: Timestamp | None
    timezone: str
    active_time_intervals: tuple[str, ...]
    comment: str | None
    created_by: str | None
    open_until: Timestamp | None
    next_open: Timestamp | None


class SilencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "muted", "POST /api/v1/silences/preview", "previewSilence", "What a silence would hide"
    )
    async def preview(
        self, request: Request, body: JsonBody[SilencePreviewRequest]
    ) -> SilencePreviewView:
        """The alerts that a silence with these matchers would hide now, and their incidents."""
        matchers = parse_matcher_texts((await body.read()).matchers)
        return await silence_preview_view(self._context, matchers)

    @operation(
        "muted",
        "POST /api/v1/silences/{id}/extend",
        "extendSilence",
        "Prolong a silence",
        errors=(409,),
    )
    async def extend(
        self, request: Request, body: JsonBody[ExtendRequest]
    ) -> views.GettableSilence:
        """Extend a silence; the response has it in the form of Alertmanager's API."""
        given = await body.read()
        resolve_actor(request, known_user(self._context, given.user))
        old = await muting.find_silence(self._context, request.path_params["id"])
        await require_mute(request, self._context, old.matcher_sets)
        end_ns = parse_extended_end(old, given)
        extended = await muting.extend_silence(self._context, old.id, end_ns)
        set_audit_phrase(request, mute_phrase("silence", "prolonged", extended.id))
        return views.view_silence(extended, int(self._context.now() * 10**9))

    @operation(
        "muted",
        "GET /api/v1/silences/{id}/hidden",
        "listHiddenBySilence",
        "What a silence has hidden",
    )
    async def hidden(self, request: Request) -> HiddenView:
        """The alerts that a silence has hidden, as long as their records last.

        The records outlive the silence: only without any an unknown id is NotFound.
        """
        silence_id = request.path_params["id"]
        view = await hidden_alerts_view(self._context, f"silence:{silence_id}")
        if not view.alerts and await muting.get_silence(self._context, silence_id) is None:
            raise NotFound(Phrase("refusal.no_silence", {"silence": silence_id[:60]}))
        return view


class MaintenanceApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    # The id of a window of the file is its name, which may hold any character: hence the paths, and
    # the longer addresses stand first.

    @operation("muted", "GET /api/v1/maintenance", "listWindows", "Maintenance windows")
    async def index(self, request: Request) -> list[WindowView]:
        """Those of the file first, then those made by hand."""
        windows = await muting.load_windows(self._context)
        return [_window_view(self._context, window) for window in windows]

    @operation(
        "muted",
        "POST /api/v1/maintenance",
        "makeWindow",
        "Make a maintenance window",
        errors=(409,),
    )
    async def create(
        self, request: Request, body: JsonBody[MaintenanceWindowRequest]
    ) -> Created[WindowView]:
        given = await body.read()
        empty = new_window(given, resolve_actor(request, known_user(self._context, given.user)))
        window = window_from_request(self._context, empty, given)
        await require_mute(request, self._context, [window.matchers])
        window = await muting.create_window(self._context, window)
        set_audit_phrase(request, mute_phrase("maintenance", "saved", window.name))
        return Created(_window_view(self._context, window))

    @operation(
        "muted",
        "POST /api/v1/maintenance/{id:path}/extend",
        "extendWindow",
        "Prolong it",
        errors=(409,),
    )
    async def extend(self, request: Request, body: JsonBody[ExtendRequest]) -> WindowView:
        given = await body.read()
        resolve_actor(request, known_user(self._context, given.user))
        until, by = parse_extension(given)
        window = await muting.find_window(self._context, request.path_params["id"])
        await require_mute(request, self._context, [window.matchers])
        extended = await muting.extend_window(
            self._context, request.path_params["id"], until=until, by=by
        )
        set_audit_phrase(request, mute_phrase("maintenance", "prolonged", extended.name))
        return _window_view(self._context, extended)

    @operation(
        "muted",
        "GET /api/v1/maintenance/{id:path}/hidden",
        "listHiddenByWindow",
        "What it has held back",
    )
    async def hidden(self, request: Request) -> HiddenView:
        """The alerts that a window has hidden, as long as their records last."""
        window_id = request.path_params["id"]
        view = await hidden_alerts_view(self._context, f"maintenance:{window_id}")
        if not view.alerts:
            windows = await muting.load_windows(self._context)
            if window_id not in map(window_key, windows):
                raise NotFound(Phrase("refusal.no_window", {"window": window_id[:60]}))
        return view

    @operation("muted", "GET /api/v1/maintenance/{id:path}", "showWindow", "One window")
    async def show(self, request: Request) -> WindowView:
        window = await muting.find_window(self._context, request.path_params["id"])
        return _window_view(self._context, window)

    @operation(
        "muted",
        "PATCH /api/v1/maintenance/{id:path}",
        "changeWindow",
        "Change a window made by hand",
        errors=(409,),
    )
    async def change(
        self, request: Request, body: JsonBody[MaintenanceWindowRequest]
    ) -> WindowView:
        given = await body.read()
        resolve_actor(request, known_user(self._context, given.user))
        context, window_id = self._context, request.path_params["id"]
        old = await muting.find_window(context, window_id)
        await require_mute(request, context, [old.matchers], ends=True)
        await require_mute(request, context, [window_from_request(context, old, given).matchers])
        changed = await muting.change_window(
            context, window_id, lambda old: window_from_request(context, old, given)
        )
        set_audit_phrase(request, mute_phrase("maintenance", "saved", changed.name))
        return _window_view(context, changed)

    @operation(
        "muted",
        "DELETE /api/v1/maintenance/{id:path}",
        "endWindow",
        "End a window made by hand",
        errors=(409,),
    )
    async def end(self, request: Request) -> None:
        window = await muting.find_window(self._context, request.path_params["id"])
        await require_mute(request, self._context, [window.matchers], ends=True)
        await muting.end_window(self._context, request.path_params["id"])
        set_audit_phrase(request, mute_phrase("maintenance", "ended", window.name))


def _window_view(context: Context, window: Maintenance) -> WindowView:
    intervals, now = context.config.time_intervals, utc(context.now())
    until = open_until(window, intervals, now)
    start, end = window_bounds(window)
    return WindowView(
        id=window_key(window),
        name=window.name,
        source="hand" if window.id else "file",
        state=window_state(window, intervals, now),
        matchers=[str(matcher) for matcher in window.matchers],
        start=_rfc3339_or_none(start),
        end=_rfc3339_or_none(end),
        timezone=window.timezone,
        active_time_intervals=window.active_time_intervals,
        comment=window.comment or None,
        created_by=window.created_by or None,
        open_until=_rfc3339_or_none(until),
        next_open=_rfc3339_or_none(next_opening(window, intervals, until or now)),
    )


def _rfc3339_or_none(at: datetime | None) -> str | None:
    """None also for the bounds of a window without any."""
    return None if at is None or at <= EARLIEST or at >= LATEST else rfc3339(at.timestamp())
