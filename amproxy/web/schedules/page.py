"""The page of one schedule, and what the forms on it do: overrides and swaps.

The page of all schedules: who is on call now and next, and a strip of the next days for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.errors import Conflict, NotFound
from amproxy.model import Swap
from amproxy.oncall.roster import OnCall
from amproxy.respond import schedule_changes
from amproxy.respond.targets import BadAction
from amproxy.store import calendars
from amproxy.store.calendars import Feed
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import may, principal_of, require_role, require_swap, resolve_actor, set_audit_text
from amproxy.web.http.request import invalid, parse_form, parse_time_param
from amproxy.web.http.templates import PageTemplates, acting_user, reader_texts
from amproxy.web.schedules.api import find_schedule
from amproxy.web.schedules.timeline import BandPeriod, TimelineBand, TimelineTrack, layout_bands, midnight, planned_entries
from amproxy.web.schedules.view import ScheduleForecastCache, ViewedPeriod, check_zone, load_schedule_view, parse_viewed_period
from amproxy.web.schedules.words import ScheduleFormatter, render_bar

FormFields = Mapping[str, str]
FormAction = Callable[[Request, Schedule, FormFields], Awaitable[str]]  # does it, and says what was done; raises what the page shows


class SchedulePage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks, self._plans = deps.context, looks, ScheduleForecastCache(deps.context)

    def routes(self) -> list[Route]:
        page = "/schedules/{name}"
        actions: list[tuple[str, str, FormAction]] = [
            ("overrides", "overrides", self._add_override),
            ("overrides/{id}/delete", "overrides", self._delete_override),
            ("swaps", "swaps", self._ask),
            ("swaps/{id}/take", "swaps", self._take),
            ("swaps/{id}/untake", "swaps", self._untake),
            ("swaps/{id}/delete", "swaps", self._forget),
            ("calendar", "calendar", self._make_feed),
            ("calendar/delete", "calendar", self._revoke_feed),
        ]
        return [
            Route(page, self.show, methods=["GET"]),
            *(Route(f"{page}/{path}", partial(self._act, action, anchor), methods=["POST"]) for path, anchor, action in actions),
            *(Route(f"{page}/{path}", self.back, methods=["GET"]) for path, _, _ in actions),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request, request.query_params)

    async def back(self, request: Request) -> Response:
        """The address of a form that was answered with the page, loaded again."""
        return RedirectResponse(schedule_address(find_schedule(self._context, request)), 303)

    async def _act(self, action: FormAction, anchor: str, request: Request) -> Response:
        """Do it and lead back; what makes no sense is said on the page, with what was filled in."""
        schedule, fields = find_schedule(self._context, request), await parse_form(request)
        try:
            done = await action(request, schedule, fields)
        except (BadAction, Conflict) as error:
            return await self._draw(request, fields, error)
        except HTTPException as error:
            if error.status_code != 422:
                raise
            return await self._draw(request, fields, error)
        set_audit_text(request, done)
        return RedirectResponse(f"{schedule_address(schedule, self._shown(schedule, fields))}#{anchor}", 303)

    async def _add_override(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        require_role(request, "responder", team=schedule.team)
        start, end = self._times(schedule, fields)
        user, reason = fields.get("user", ""), fields.get("reason", "")
        await schedule_changes.add_override(self._context, schedule, user=user, start=start, end=end, reason=reason)
        return f"override of schedule {schedule.name}: {user} from {start.isoformat()} to {end.isoformat()}"

    async def _delete_override(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        require_role(request, "responder", team=schedule.team)
        await schedule_changes.delete_override(self._context, schedule, request.path_params["id"])
        return f"took back an override of schedule {schedule.name}"

    async def _ask(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        user, by = fields.get("user", ""), resolve_actor(request, acting_user(request, self._context))
        if not user or user != principal_of(request).user:  # one's own shifts one may offer, whoever's the schedule is
            require_role(request, "responder", team=schedule.team)
        start, end = self._times(schedule, fields)
        await schedule_changes.create_swap(self._context, schedule, user=user, start=start, end=end, reason=fields.get("reason", ""), by=by)
        return f"asked for a swap in schedule {schedule.name}: shifts of {user}"

    async def _take(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        swap, user = await self._swap(request, schedule), fields.get("user", "")
        await schedule_changes.accept_swap(
            self._context, swap.id, user=user, by=resolve_actor(request, acting_user(request, self._context))
        )
        return f"swap in schedule {schedule.name}: {user} takes over shifts of {swap.user}"

    async def _untake(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        swap = await self._swap(request, schedule)
        await schedule_changes.return_swap(self._context, swap.id, by=resolve_actor(request, acting_user(request, self._context)))
        return f"swap in schedule {schedule.name}: shifts of {swap.user} are open again"

    async def _forget(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        swap = await self._swap(request, schedule)
        await schedule_changes.delete_swap(self._context, swap.id)
        return f"took back a swap in schedule {schedule.name}: shifts of {swap.user}"

    async def _make_feed(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        require_role(request, "responder", team=schedule.team)
        await calendars.create_feed(self._context.wire, Feed("schedule", schedule.name))
        return f"made a secret address for the calendar of schedule {schedule.name}"

    async def _revoke_feed(self, request: Request, schedule: Schedule, fields: FormFields) -> str:
        require_role(request, "responder", team=schedule.team)
        await calendars.revoke_feed(self._context.wire, Feed("schedule", schedule.name))
        return f"took back the secret address of the calendar of schedule {schedule.name}"

    async def _swap(self, request: Request, schedule: Schedule) -> Swap:
        """The swap that an address names, for those who may change it."""
        await self._context.load_by_hand()
        swap_id = request.path_params["id"]
        await require_swap(request, self._context, swap_id)
        swap = next((one for one in self._context.by_hand.swaps.get(schedule.name, ()) if one.id == swap_id), None)
        if swap is None:
            raise NotFound(f"there is no swap {swap_id[:60]}")
        return swap

    async def _draw(self, request: Request, fields: FormFields, error: Exception | None = None) -> HTMLResponse:
        context, schedule, user = self._context, find_schedule(self._context, request), acting_user(request, self._context)
        seen = self._shown(schedule, fields)
        zones = dict.fromkeys((schedule.timezone, *(one.timezone for one in context.config.users.values()), "UTC"))
        values: dict[str, Any] = await load_schedule_view(context, self._plans, schedule, seen, reader_texts(request))
        return await self._looks.page(
            request, "schedule.html", describe_error(error).status if error else 200, clock=seen.zone, problem=describe_error(error).detail if error else "",
            schedule=schedule, shown=seen, fields=fields, mine=context.config.users[user].timezone if user else "",
            zones=zones, may_change=may(principal_of(request), "responder", schedule.team), today=utc(context.now()), **values,
        )  # fmt: skip

    def _times(self, schedule: Schedule, fields: FormFields) -> tuple[datetime, datetime]:
        """From when to when a form says, on the clock that the page showed. Raises HTTPException 422."""
        zone = self._shown(schedule, fields).zone
        return parse_time_param(fields.get("start", ""), "from", zone), parse_time_param(fields.get("end", ""), "to", zone)

    def _shown(self, schedule: Schedule, fields: FormFields) -> ViewedPeriod:
        try:
            return parse_viewed_period(fields, schedule.timezone, utc(self._context.now()))
        except ValueError as error:
            raise invalid(str(error)) from None


def schedule_address(schedule: Schedule, seen: ViewedPeriod | None = None) -> str:
    """Where the page of a schedule is."""
    return f"/schedules/{quote(schedule.name, safe='')}" + (f"?{seen.query}" if seen else "")


STRIP_DAYS: Final = 14


class ScheduleListRow(NamedTuple):
    """One schedule in the list."""

    schedule: Schedule
    on_call: OnCall
    bands: list[TimelineBand]  # a week each
    uncovered: float  # seconds of these days without anybody


class SchedulesPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/schedules", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        context = self._context
        zone = self._zone(request)
        now, clock = utc(context.now()), ZoneInfo(zone)
        today: date = now.astimezone(clock).date()
        span = BandPeriod(midnight(today, clock), midnight(today + timedelta(days=STRIP_DAYS), clock))
        rows = []
        for schedule in context.config.schedules.values():
            roster = context.roster
            entries = planned_entries(roster.shifts(schedule.name, now, span.end))
            uncovered = sum((one.end - one.start).total_seconds() for one in entries if not one.people)
            rows.append(
                ScheduleListRow(
                    schedule,
                    roster.on_call(schedule.name, now),
                    layout_bands(span, [TimelineTrack("final", "", entries)], clock, now),
                    uncovered,
                )
            )
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        speaker = ScheduleFormatter(context.config.users, reader_texts(request), clock, context.now())
        return await self._looks.page(
            request, "schedules.html", clock=zone, rows=rows, axis=layout_bands(span, [], clock, now), speaker=speaker, bar=render_bar
        )

    def _zone(self, request: Request) -> str:
        """The one of the address, else the reader's, else that of the first schedule."""
        user, schedules = acting_user(request, self._context), self._context.config.schedules
        try:
            asked = check_zone(request.query_params.get("zone") or "UTC")
        except ValueError as error:
            raise invalid(str(error)) from None
        if request.query_params.get("zone"):
            return asked
        if user:
            return self._context.config.users[user].timezone
        return next((one.timezone for one in schedules.values()), asked)
