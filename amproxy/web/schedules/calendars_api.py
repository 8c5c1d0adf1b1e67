"""Calendars: the health of those that schedules come from, and the secret addresses of ours."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from amproxy.calendars.keeper import calendar_problems, load_calendar_health
from amproxy.calendars.trouble import TroubleKind
from amproxy.check.report import COVERAGE_CHECK_AHEAD
from amproxy.clock import Timestamp, rfc3339, utc
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.oncall.calendars import (
    OVERRIDES_CALENDAR,
    PRIMARY_CALENDAR,
    CalendarProblem,
    CalendarShift,
)
from amproxy.simulation.oncall import PeriodView, reason_fields
from amproxy.store import calendars
from amproxy.store.calendars import Feed, FeedKind
from amproxy.text import Phrase
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.web.http.api import Created, operation
from amproxy.web.http.audited import feed_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_person, require_schedule, set_audit_phrase

MAX_TOKEN_LENGTH = 64  # characters: a longer one is no token, and is not looked up


class CalendarStateView(msgspec.Struct, kw_only=True):
    calendar: str
    loaded: bool
    good_at: Timestamp | None
    checked_at: Timestamp | None
    error: str | None
    error_code: str | None
    error_arguments: dict[str, Any] | None
    trouble: TroubleKind | None


class EmptyShiftView(PeriodView, kw_only=True):
    """An event that names nobody, or of which `problem` says why it cannot be read."""

    summary: str
    calendar: str
    problem: str | None
    problem_code: str | None
    problem_arguments: dict[str, Any] | None


class CalendarProblemView(msgspec.Struct, kw_only=True):
    """Something of an event that cannot be read; `start`: of its first time, if known."""

    event: str
    event_arguments: dict[str, Any]  # its SUMMARY and UID
    reason: str
    code: str | None
    arguments: dict[str, Any] | None
    start: Timestamp | None


class CalendarsView(msgspec.Struct, kw_only=True):
    schedule: str
    calendars: list[CalendarStateView]
    problems: list[CalendarProblemView]
    empty_shifts: list[EmptyShiftView]


class CalendarAddressView(msgspec.Struct, kw_only=True):
    url: str


class CalendarResponse(Response):
    media_type = "text/calendar"


class CalendarsApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "calendars",
        "GET /api/v1/schedules/{name:path}/ical",
        "showCalendars",
        "The calendars that a schedule comes from",
    )
    async def health(self, request: Request) -> CalendarsView:
        """The calendars that a schedule comes from, and their coming events that name nobody."""
        name, context = request.path_params["name"], self._context
        if name not in context.config.schedules:
            raise NotFound(Phrase("refusal.no_schedule", {"schedule": name[:60]}))
        now = utc(context.now())
        empty = context.roster.empty_shifts(name, now, now + COVERAGE_CHECK_AHEAD)
        return CalendarsView(
            schedule=name,
            calendars=[
                CalendarStateView(
                    calendar=one.calendar,
                    loaded=one.loaded,
                    good_at=rfc3339(one.stored.good_at or None),
                    checked_at=rfc3339(one.stored.checked_at or None),
                    error=in_english(one.stored.error) or None,
                    error_code=code_of(one.stored.error),
                    error_arguments=arguments_of(one.stored.error),
                    trouble=one.trouble.kind if one.trouble else None,
                )
                for one in await load_calendar_health(context, name)
            ],
            problems=[_problem_view(one) for one in calendar_problems(context, name)],
            empty_shifts=[_empty_shift_view(shift) for shift in empty],
        )

    @operation(
        "calendars",
        "POST /api/v1/schedules/{name:path}/calendar",
        "makeScheduleCalendar",
        "The address of a schedule's calendar",
    )
    async def create_of_schedule(
        self, request: Request
    ) -> CalendarAddressView | Created[CalendarAddressView]:
        return await self._create("schedule", request)

    @operation(
        "calendars",
        "DELETE /api/v1/schedules/{name:path}/calendar",
        "revokeScheduleCalendar",
        "Make that address worthless",
    )
    async def revoke_of_schedule(self, request: Request) -> None:
        await self._revoke("schedule", request)

    @operation(
        "calendars",
        "POST /api/v1/users/{name:path}/calendar",
        "makeUserCalendar",
        "The address of a user's calendar",
    )
    async def create_of_user(
        self, request: Request
    ) -> CalendarAddressView | Created[CalendarAddressView]:
        return await self._create("user", request)

    @operation(
        "calendars",
        "DELETE /api/v1/users/{name:path}/calendar",
        "revokeUserCalendar",
        "Make that address worthless",
    )
    async def revoke_of_user(self, request: Request) -> None:
        await self._revoke("user", request)

    async def _create(
        self, kind: FeedKind, request: Request
    ) -> CalendarAddressView | Created[CalendarAddressView]:
        """The secret address of a calendar of ours, made where there is none yet."""
        feed = self._feed(kind, request)
        self._require(feed, request)
        token, is_new = await calendars.create_feed(self._context.wire, feed)
        set_audit_phrase(request, feed_phrase("asked", feed))
        view = CalendarAddressView(url=feed_url(self._context, token))
        return Created(view) if is_new else view

    async def _revoke(self, kind: FeedKind, request: Request) -> None:
        feed = self._feed(kind, request)
        self._require(feed, request)
        await calendars.revoke_feed(self._context.wire, feed)
        set_audit_phrase(request, feed_phrase("revoked", feed))

    @operation(
        "calendars",
        "GET /calendar/{token}.ics",
        "readCalendar",
        "Shifts for a calendar program",
        errors=(304,),
    )
    async def show(self, request: Request) -> CalendarResponse:
        """A calendar of ours: calendar programs cannot sign in, so the token alone admits them."""
        body = await self._export(request.path_params["token"])
        if body is None:
            raise HTTPException(404)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        known = request.headers.get("if-none-match", "")
        if etag in (word.strip().removeprefix("W/") for word in known.split(",")):
            return CalendarResponse(status_code=304, headers=headers)
        return CalendarResponse(body, headers=headers)

    async def _export(self, token: str) -> bytes | None:
        context = self._context
        if len(token) > MAX_TOKEN_LENGTH:
            return None
        feed = await calendars.find_feed(context.wire, token)
        if feed is None:
            return None
        now = utc(context.now())
        # here: the libraries for it are large, and pages of schedules import this module
        from amproxy.calendars.export import export_calendar, final_shifts_query

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
            raise NotFound(Phrase(f"refusal.no_{kind}", {kind: name[:60]}))
        return Feed(kind, name)


def feed_url(context: Context, token: str) -> str:
    """The address of the calendar of a token."""
    return f"{context.external_url}/calendar/{token}.ics"


def _problem_view(problem: CalendarProblem) -> CalendarProblemView:
    start = rfc3339(problem.start.timestamp()) if problem.start else None
    return CalendarProblemView(
        event=in_english(problem.event),
        event_arguments=arguments_of(problem.event),
        start=start,
        **reason_fields(problem.reason),
    )


def _empty_shift_view(shift: CalendarShift) -> EmptyShiftView:
    return EmptyShiftView(
        start=rfc3339(shift.start.timestamp()),
        end=rfc3339(shift.end.timestamp()),
        summary=shift.summary,
        problem=in_english(shift.problem) if shift.problem else None,
        problem_code=code_of(shift.problem),
        problem_arguments=arguments_of(shift.problem),
        calendar=OVERRIDES_CALENDAR if shift.rank[0] else PRIMARY_CALENDAR,
    )
