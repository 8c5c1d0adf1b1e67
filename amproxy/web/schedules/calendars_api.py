"""Calendars: the health of those that schedules come from, and the secret addresses of ours."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.calendars.export import export_calendar, final_shifts_query
from amproxy.calendars.keeper import load_calendar_health
from amproxy.check.report import COVERAGE_CHECK_AHEAD
from amproxy.clock import rfc3339, utc
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.oncall.calendars import OVERRIDES_CALENDAR, PRIMARY_CALENDAR, CalendarShift
from amproxy.store import calendars
from amproxy.store.calendars import Feed, FeedKind
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_person, require_schedule, set_audit_text
from amproxy.web.http.response import json_response

MAX_TOKEN_LENGTH = 64  # characters: a longer one is no token, and is not looked up
FEED_KINDS: Final[tuple[FeedKind, ...]] = ("schedule", "user")


class CalendarsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/schedules/{name}/ical", self.health, methods=["GET"]),
            *(
                Route(
                    f"/api/v1/{kind}s/{{name}}/calendar", partial(endpoint, kind), methods=[method]
                )
                for kind in FEED_KINDS
                for method, endpoint in (("POST", self.create), ("DELETE", self.revoke))
            ),
            Route("/calendar/{token}.ics", self.show, methods=["GET"]),
        ]

    async def health(self, request: Request) -> Response:
        """The calendars that a schedule comes from, and their coming events that name nobody."""
        name, context = request.path_params["name"], self._context
        if name not in context.config.schedules:
            raise NotFound(f"there is no schedule {name[:60]}")
        now = utc(context.now())
        views = [
            {
                "calendar": one.calendar,
                "loaded": one.loaded,
                "good_at": rfc3339(one.stored.good_at or None),
                "checked_at": rfc3339(one.stored.checked_at or None),
                "error": one.stored.error or None,
            }
            for one in await load_calendar_health(context, name)
        ]
        empty = context.roster.empty_shifts(name, now, now + COVERAGE_CHECK_AHEAD)
        return json_response(
            {
                "schedule": name,
                "calendars": views,
                "empty_shifts": [_empty_shift_view(shift) for shift in empty],
            }
        )

    async def create(self, kind: FeedKind, request: Request) -> Response:
        """The secret address of a calendar of ours, made where there is none yet."""
        feed = self._feed(kind, request)
        self._require(feed, request)
        token, is_new = await calendars.create_feed(self._context.wire, feed)
        set_audit_text(request, f"asked for the calendar address of {kind} {feed.name}")
        return json_response({"url": feed_url(self._context, token)}, 201 if is_new else 200)

    async def revoke(self, kind: FeedKind, request: Request) -> Response:
        feed = self._feed(kind, request)
        self._require(feed, request)
        await calendars.revoke_feed(self._context.wire, feed)
        set_audit_text(request, f"revoked the calendar address of {kind} {feed.name}")
        return Response(status_code=204)

    async def show(self, request: Request) -> Response:
        """A calendar of ours: calendar programs cannot sign in, so the token alone admits them."""
        body = await self._export(request.path_params["token"])
        if body is None:
            raise HTTPException(404)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        known = request.headers.get("if-none-match", "")
        if etag in (word.strip().removeprefix("W/") for word in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/calendar; charset=utf-8", headers=headers)

    async def _export(self, token: str) -> bytes | None:
        context = self._context
        if len(token) > MAX_TOKEN_LENGTH:
            return None
        feed = await calendars.find_feed(context.wire, token)
        if feed is None:
            return None
        now = utc(context.now())
        return await export_calendar(context.config, feed, final_shifts_query(context), now)

    def _require(self, feed: Feed, request: Request) -> None:
        """Raises Forbidden for a feed of another team."""
        if feed.kind == "user":
            require_person(request, self._context, feed.name)
        else:
            require_schedule(request, self._context, feed.name)

    def _feed(self, kind: FeedKind, request: Request) -> Feed:
        name, config = request.path_params["name"], self._context.config
        if name not in (config.users if kind == "user" else config.schedules):
            raise NotFound(f"there is no {kind} {name[:60]}")
        return Feed(kind, name)


def feed_url(context: Context, token: str) -> str:
    """The address of the calendar of a token."""
    return f"{context.external_url}/calendar/{token}.ics"


def _empty_shift_view(shift: CalendarShift) -> dict[str, Any]:
    return {
        "start": rfc3339(shift.start.timestamp()),
        "end": rfc3339(shift.end.timestamp()),
        "summary": shift.summary,
        "calendar": OVERRIDES_CALENDAR if shift.rank[0] else PRIMARY_CALENDAR,
    }
