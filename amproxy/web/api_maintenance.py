"""/api/v1/maintenance: the windows of the file and those made by hand, which can be changed; and what they held back."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.correlate.muting import identity
from amproxy.decide.maintenance import bounds, next_opening, open_at, state
from amproxy.decide.zones import EARLIEST, LATEST
from amproxy.durations import parse_duration
from amproxy.errors import NotFound
from amproxy.respond import maintenance
from amproxy.web import hidden
from amproxy.web.api_incidents import json
from amproxy.web.deps import Deps
from amproxy.web.principal import say, who_acts
from amproxy.web.reading import invalid, json_body, known_user, time
from amproxy.web.views import View


class WindowBody(msgspec.Struct, forbid_unknown_fields=True):
    """Times without offset are wall-clock times of `timezone`. What is left out stays as it is."""

    name: str | None = None
    matchers: list[str] | None = None
    start: str | None = None
    end: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    active_time_intervals: list[str] | None = None
    timezone: str | None = None
    comment: str | None = None
    user: str | None = None


class ExtendBody(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the two."""

    until: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    user: str | None = None


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
        return json([view(self._context, window) for window in await maintenance.known(self._context)])

    async def show(self, request: Request) -> Response:
        return json(view(self._context, await maintenance.find(self._context, request.path_params["id"])))

    async def make(self, request: Request) -> Response:
        body = await json_body(request, WindowBody)
        empty = Maintenance(
            name="", matchers=hidden.matchers(body.matchers or []), created_by=who_acts(request, known_user(self._context, body.user))
        )
        made = await maintenance.make(self._context, self._with(empty, body))
        say(request, f"made the maintenance window {made.name}")
        return json(view(self._context, made), 201)

    async def change(self, request: Request) -> Response:
        body = await json_body(request, WindowBody)
        who_acts(request, known_user(self._context, body.user))
        changed = await maintenance.change(self._context, request.path_params["id"], lambda old: self._with(old, body))
        say(request, f"changed the maintenance window {changed.name}")
        return json(view(self._context, changed))

    async def extend(self, request: Request) -> Response:
        body = await json_body(request, ExtendBody)
        who_acts(request, known_user(self._context, body.user))
        if (body.until is None) == (body.for_ is None):
            raise invalid("give either until or for")
        until = time(body.until, "until") if body.until is not None else None
        by = _span(body.for_) if body.for_ is not None else timedelta()
        extended = await maintenance.extend(self._context, request.path_params["id"], until=until, by=by)
        say(request, f"extended the maintenance window {extended.name}")
        return json(view(self._context, extended))

    async def end(self, request: Request) -> Response:
        await maintenance.end(self._context, request.path_params["id"])
        say(request, f"ended the maintenance window {request.path_params['id']}")
        return Response(status_code=204)

    async def hidden(self, request: Request) -> Response:
        """What a window has held back; also after it is forgotten itself, as long as that is kept."""
        window_id = request.path_params["id"]
        found = await hidden.record(self._context, f"maintenance:{window_id}")
        if not found["alerts"] and all(identity(window) != window_id for window in await maintenance.known(self._context)):
            raise NotFound(f"there is no maintenance window {window_id[:60]}")
        return json(found)

    def _with(self, old: Maintenance, body: WindowBody) -> Maintenance:
        """A window with what the body says of it. Raises HTTPException 422."""
        zone = old.timezone if body.timezone is None else _zone(body.timezone)
        start = old.start if body.start is None else time(body.start, "start", zone)
        return msgspec.structs.replace(
            old,
            name=old.name if body.name is None else body.name.strip(),
            matchers=old.matchers if body.matchers is None else hidden.matchers(body.matchers),
            start=start,
            end=self._end(old.end, start, body, zone),
            timezone=zone,
            active_time_intervals=old.active_time_intervals if body.active_time_intervals is None else tuple(body.active_time_intervals),
            comment=old.comment if body.comment is None else body.comment.strip(),
        )

    def _end(self, old: datetime | None, start: datetime | None, body: WindowBody, zone: str) -> datetime | None:
        if body.end is not None and body.for_ is not None:
            raise invalid("give either end or for, not both")
        if body.for_ is None:
            return old if body.end is None else time(body.end, "end", zone)
        now = utc(self._context.now())
        begins = start if start and (body.start is not None or start > now) else now
        return maintenance.later(begins, _span(body.for_))


def view(context: Context, window: Maintenance) -> View:
    """One window as the API shows it."""
    intervals, now = context.config.time_intervals, utc(context.now())
    until = open_at(window, intervals, now)
    opens = next_opening(window, intervals, until or now)
    start, end = bounds(window)
    return {
        "id": identity(window),
        "name": window.name,
        "source": "hand" if window.id else "file",
        "state": state(window, intervals, now),
        "matchers": [str(matcher) for matcher in window.matchers],
        "start": _moment(start),
        "end": _moment(end),
        "timezone": window.timezone,
        "active_time_intervals": list(window.active_time_intervals),
        "comment": window.comment or None,
        "created_by": window.created_by or None,
        "open_until": _moment(until),
        "next_open": _moment(opens),
    }


def _moment(at: datetime | None) -> str | None:
    """None also for what has no bound."""
    return None if at is None or at <= EARLIEST or at >= LATEST else rfc3339(at.timestamp())


def _span(text: str) -> timedelta:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise invalid(f"for: {str(error)[:200]}") from None
    if not seconds:
        raise invalid("for: must be longer than 0")
    return timedelta(seconds=seconds)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of the database, such as "Europe"
        raise invalid(f"there is no time zone {name[:60]!r}") from None
    return name
