"""Calendars in both directions: what became of those that schedules come from, and the secret addresses under which ours are read."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.calendars.export import exported, final_shifts
from amproxy.calendars.keeper import health
from amproxy.check.report import AHEAD
from amproxy.clock import rfc3339, utc
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.oncall.calendars import OVERRIDES, PRIMARY, CalendarShift
from amproxy.store import calendars
from amproxy.store.calendars import Feed, Kind
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_person, require_schedule, say
from amproxy.web.incidents.api import json

LONGEST_TOKEN = 64
KINDS: Final[tuple[Kind, ...]] = ("schedule", "user")


class CalendarsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/schedules/{name}/ical", self.read_from, methods=["GET"]),
            *(
                Route(f"/api/v1/{kind}s/{{name}}/calendar", partial(endpoint, kind), methods=[method])
                for kind in KINDS
                for method, endpoint in (("POST", self.make), ("DELETE", self.revoke))
            ),
            Route("/calendar/{token}.ics", self.show, methods=["GET"]),
        ]

    async def read_from(self, request: Request) -> Response:
        """The calendars that a schedule comes from, and their events of the next 30 days that name nobody."""
        name, context = request.path_params["name"], self._context
        if name not in context.config.schedules:
            raise NotFound(f"there is no schedule {name[:60]}")
        now = utc(context.now())
        views = [
            {
                "calendar": one.calendar,
                "loaded": one.loaded,
                "good_at": rfc3339(one.kept.good_at or None),
                "checked_at": rfc3339(one.kept.checked_at or None),
                "error": one.kept.error or None,
            }
            for one in await health(context, name)
        ]
        empty = context.roster.empty_shifts(name, now, now + AHEAD)
        return json({"schedule": name, "calendars": views, "empty_shifts": [_empty(shift) for shift in empty]})

    async def make(self, kind: Kind, request: Request) -> Response:
        """The address of a calendar of ours, made where there is none yet."""
        feed = self._feed(kind, request)
        self._require(feed, request)
        token, is_new = await calendars.make(self._context.wire, feed)
        say(request, f"asked for the calendar address of {kind} {feed.name}")
        return json({"url": address(self._context, token)}, 201 if is_new else 200)

    async def revoke(self, kind: Kind, request: Request) -> Response:
        feed = self._feed(kind, request)
        self._require(feed, request)
        await calendars.revoke(self._context.wire, feed)
        say(request, f"revoked the calendar address of {kind} {feed.name}")
        return Response(status_code=204)

    async def show(self, request: Request) -> Response:
        """Whoever knows the address may read it."""
        token, context = request.path_params["token"], self._context
        feed = await calendars.find(context.wire, token) if len(token) <= LONGEST_TOKEN else None
        body = await exported(context.config, feed, final_shifts(context), utc(context.now())) if feed else None
        if body is None:
            raise HTTPException(404)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        known = request.headers.get("if-none-match", "")
        if etag in (word.strip().removeprefix("W/") for word in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/calendar; charset=utf-8", headers=headers)

    def _require(self, feed: Feed, request: Request) -> None:
        """Raises Forbidden for what is of another team."""
        if feed.kind == "user":
            require_person(request, self._context, feed.name)
        else:
            require_schedule(request, self._context, feed.name)

    def _feed(self, kind: Kind, request: Request) -> Feed:
        name, config = request.path_params["name"], self._context.config
        if name not in (config.users if kind == "user" else config.schedules):
            raise NotFound(f"there is no {kind} {name[:60]}")
        return Feed(kind, name)


def address(context: Context, token: str) -> str:
    """Where the calendar of a token is read."""
    return f"{context.external_url}/calendar/{token}.ics"


def _empty(shift: CalendarShift) -> dict[str, Any]:
    return {
        "start": rfc3339(shift.start.timestamp()),
        "end": rfc3339(shift.end.timestamp()),
        "summary": shift.summary,
        "calendar": OVERRIDES if shift.rank[0] else PRIMARY,
    }
