"""The pages of schedules: all of them with who is on call, and one with its forms.

The forms make and delete overrides, swaps and the secret address of the calendar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
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
from amproxy.text import Phrase
from amproxy.web.http.audited import (
    feed_phrase,
    override_deleted_phrase,
    override_phrase,
    swap_phrase,
    swap_taken_phrase,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.paging import page_of_list
from amproxy.web.http.permissions import (
    may,
    principal_of,
    require_role,
    require_swap,
    resolve_actor,
    set_audit_phrase,
)
from amproxy.web.http.refusals import error_phrase
from amproxy.web.http.request import invalid, parse_form, parse_time_param
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import (
    PageTemplates,
    acting_user,
    browser_zone,
    reader_texts,
    reader_zone,
)
from amproxy.web.schedules.api import find_schedule
from amproxy.web.schedules.formatter import ScheduleFormatter, render_bar
from amproxy.web.schedules.timeline import (
    BandPeriod,
    ScheduleTimelineEntry,
    TimelineBand,
    TimelineTrack,
    layout_bands,
    midnight,
    planned_entries,
)
from amproxy.web.schedules.view import (
    ScheduleForecastCache,
    ViewedPeriod,
    check_zone,
    load_schedule_view,
    parse_viewed_period,
)

STRIP_DAYS: Final = 14  # that the list of schedules shows
LISTED_SCHEDULES: Final = 25  # strips of a page

FormFields = Mapping[str, str]
# Does what a form asks for and returns what the audit log says. Raises what the page shows.
FormAction = Callable[[Request, Schedule, FormFields], Awaitable[Phrase]]


class SchedulePage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates
        self._forecasts = ScheduleForecastCache(deps.context)

    def routes(self) -> list[Route]:
        page = "/schedules/{name:path}"
        actions: list[tuple[str, str, FormAction]] = [
            ("overrides", "overrides", self._add_override),
            ("overrides/{id}/delete", "overrides", self._delete_override),
            ("swaps", "swaps", self._request_swap),
            ("swaps/{id}/take", "swaps", self._accept_swap),
            ("swaps/{id}/untake", "swaps", self._return_swap),
            ("swaps/{id}/delete", "swaps", self._delete_swap),
            ("calendar", "calendar", self._create_feed),
            ("calendar/delete", "calendar", self._revoke_feed),
        ]
        return [
            *(
                Route(f"{page}/{path}", partial(self._submit, action, anchor), methods=["POST"])
                for path, anchor, action in actions
            ),
            *(Route(f"{page}/{path}", self.redirect, methods=["GET"]) for path, _, _ in actions),
            # last: a name may have slashes
            Route(page, self.show, methods=["GET"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._render(request, request.query_params)

    async def redirect(self, request: Request) -> Response:
        """Lead to the page from the address of a form: a refused form that is loaded again."""
        return RedirectResponse(schedule_address(find_schedule(self._context, request)), 303)

    async def _submit(self, action: FormAction, anchor: str, request: Request) -> Response:
        """Do the action and lead back; a refusal is shown on the page, with what was filled in."""
        schedule, fields = (find_schedule(self._context, request), await parse_form(request))
        try:
            done = await action(request, schedule, fields)
        except (BadAction, Conflict) as error:
            return await self._render(request, fields, error)
        except HTTPException as error:
            if error.status_code != 422:
                raise
            return await self._render(request, fields, error)
        set_audit_phrase(request, done)
        address = schedule_address(schedule, self._viewed_period(schedule, fields))
        return RedirectResponse(f"{address}#{anchor}", 303)

    async def _add_override(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        require_role(request, "responder", team=schedule.team)
        start, end = self._parse_times(schedule, fields)
        user = None if fields.get("nobody") else fields.get("user", "")
        reason = fields.get("reason", "")
        await schedule_changes.add_override(
            self._context, schedule, user=user, start=start, end=end, reason=reason
        )
        return override_phrase(schedule.name, user, start, end)

    async def _delete_override(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        require_role(request, "responder", team=schedule.team)
        await schedule_changes.delete_override(self._context, schedule, request.path_params["id"])
        return override_deleted_phrase(schedule.name)

    async def _request_swap(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        user, by = fields.get("user", ""), self._actor(request)
        # People may offer their own shifts, whichever team the schedule belongs to.
        if not user or user != principal_of(request).user:
            require_role(request, "responder", team=schedule.team)
        start, end = self._parse_times(schedule, fields)
        reason = fields.get("reason", "")
        swap = await schedule_changes.create_swap(
            self._context, schedule, user=user, start=start, end=end, reason=reason, by=by
        )
        return swap_phrase("asked", swap)

    async def _accept_swap(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        swap, user = await self._find_swap(request, schedule), fields.get("user", "")
        by = self._actor(request)
        taken = await schedule_changes.accept_swap(self._context, swap.id, user=user, by=by)
        return swap_taken_phrase(taken)

    async def _return_swap(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        swap = await self._find_swap(request, schedule)
        await schedule_changes.return_swap(self._context, swap.id, by=self._actor(request))
        return swap_phrase("returned", swap)

    async def _delete_swap(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        swap = await self._find_swap(request, schedule)
        await schedule_changes.delete_swap(self._context, swap.id)
        return swap_phrase("deleted", swap)

    async def _create_feed(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        require_role(request, "responder", team=schedule.team)
        feed = Feed("schedule", schedule.name)
        await calendars.create_feed(self._context.wire, feed)
        return feed_phrase("asked", feed)

    async def _revoke_feed(
        self, request: Request, schedule: Schedule, fields: FormFields
    ) -> Phrase:
        require_role(request, "responder", team=schedule.team)
        feed = Feed("schedule", schedule.name)
        await calendars.revoke_feed(self._context.wire, feed)
        return feed_phrase("revoked", feed)

    def _actor(self, request: Request) -> str:
        return resolve_actor(request, acting_user(request, self._context))

    async def _find_swap(self, request: Request, schedule: Schedule) -> Swap:
        """The swap that an address names. Raises NotFound, Forbidden."""
        await self._context.load_schedule_changes()
        swap_id = request.path_params["id"]
        await require_swap(request, self._context, swap_id)
        swaps = self._context.schedule_changes.swaps.get(schedule.name, ())
        swap = next((one for one in swaps if one.id == swap_id), None)
        if swap is None:
            raise NotFound(Phrase("refusal.no_swap", {"swap": swap_id[:60]}))
        return swap

    async def _render(
        self, request: Request, fields: FormFields, error: Exception | None = None
    ) -> HTMLResponse:
        context, own_zone = self._context, reader_zone(request, self._context)
        schedule = find_schedule(context, request)
        viewed = self._viewed_period(schedule, fields)
        user_zones = [one.timezone for one in context.config.users.values()]
        values: dict[str, Any] = await load_schedule_view(
            context, self._forecasts, schedule, viewed, reader_texts(request)
        )
        return await self._templates.page(
            request,
            "schedule.html",
            describe_error(error).status if error else 200,
            clock=viewed.zone,
            has_secret=bool(values["feed"]),
            problem=describe_error(error).phrase if error else "",
            schedule=schedule,
            viewed=viewed,
            fields=fields,
            reader_zone=own_zone,
            zones=dict.fromkeys((schedule.timezone, own_zone, *user_zones, "UTC")),
            may_change=may(principal_of(request), "responder", schedule.team),
            today=utc(context.now()),
            **values,
        )

    def _parse_times(self, schedule: Schedule, fields: FormFields) -> tuple[datetime, datetime]:
        """The period of a form, on the clock that the page showed. Raises HTTPException 422."""
        zone = self._viewed_period(schedule, fields).zone
        start = parse_time_param(fields.get("start", ""), "from", zone)
        return start, parse_time_param(fields.get("end", ""), "to", zone)

    def _viewed_period(self, schedule: Schedule, fields: FormFields) -> ViewedPeriod:
        try:
            return parse_viewed_period(fields, schedule.timezone, utc(self._context.now()))
        except ValueError as error:
            raise invalid(error_phrase(error)) from None


def schedule_address(schedule: Schedule, viewed: ViewedPeriod | None = None) -> str:
    """The address of a schedule's page."""
    return f"/schedules/{quote(schedule.name, safe='')}" + (f"?{viewed.query}" if viewed else "")


class HoursShare(NamedTuple):
    """The hours of one person beside those of the others, as a piece of a bar."""

    user: str
    seconds: float
    x: float  # per cent of the bar
    width: float  # per cent


def share_hours(entries: Iterable[ScheduleTimelineEntry]) -> list[HoursShare]:
    """Shares of the hours of some shifts, the largest first; each of several people counts."""
    seconds: dict[str, float] = {}
    for entry in entries:
        for user in entry.people:
            length = (entry.end - entry.start).total_seconds()
            seconds[user] = seconds.get(user, 0.0) + length
    total, x, shares = sum(seconds.values()), 0.0, list[HoursShare]()
    for user, length in sorted(seconds.items(), key=lambda one: -one[1]):
        width = round(length / total * 100, 2)
        shares.append(HoursShare(user, length, round(x, 2), width))
        x += width
    return shares


class ScheduleListRow(NamedTuple):
    """One schedule in the list."""

    schedule: Schedule
    on_call: OnCall
    bands: list[TimelineBand]  # a week each
    uncovered: float  # seconds of these days without anybody
    shares: list[HoursShare]  # of all hours of these days


class SchedulesPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/schedules", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        """A page of schedules: who is on call now and next, and a strip of the next days."""
        context, zone = self._context, self._zone(request)
        now, clock = utc(context.now()), ZoneInfo(zone)
        today: date = now.astimezone(clock).date()
        end = midnight(today + timedelta(days=STRIP_DAYS), clock)
        schedules = page_of_list(
            request,
            context.config.schedules.values(),
            self._searched_texts(now),
            others=("zone",),
            size=LISTED_SCHEDULES,
        )
        period = BandPeriod(midnight(today, clock), end)
        rows = []
        for schedule in schedules.shown:
            rows.append(self._row(schedule, period, clock, now))
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        return await self._templates.page(
            request,
            "schedules.html",
            clock=zone,
            rows=rows,
            schedules=schedules,
            axis=layout_bands(period, [], clock, now),
            formatter=ScheduleFormatter(
                context.config.users, reader_texts(request), clock, context.now()
            ),
            render_bar=render_bar,
        )

    def _searched_texts(self, now: datetime) -> Callable[[Schedule], Iterable[str]]:
        """The texts that a schedule is found by: its name, its team, and who is on call."""
        roster, users = self._context.roster, self._context.config.users

        def texts(schedule: Schedule) -> Iterator[str]:
            yield from (schedule.name, schedule.team)
            for name in roster.on_call(schedule.name, now).users:
                yield from (name, users[name].full_name)

        return texts

    def _row(
        self, schedule: Schedule, period: BandPeriod, clock: ZoneInfo, now: datetime
    ) -> ScheduleListRow:
        roster = self._context.roster
        entries = planned_entries(roster.shifts(schedule.name, now, period.end))
        gaps = [one.end - one.start for one in entries if not one.people]
        bands = layout_bands(period, [TimelineTrack("final", "", entries)], clock, now)
        uncovered = sum(gap.total_seconds() for gap in gaps)
        on_call = roster.on_call(schedule.name, now)
        return ScheduleListRow(schedule, on_call, bands, uncovered, share_hours(entries))

    def _zone(self, request: Request) -> str:
        """The zone of the address, else the reader's, else that of the first schedule."""
        user, schedules = (acting_user(request, self._context), self._context.config.schedules)
        try:
            zone = check_zone(request.query_params.get("zone") or "UTC")
        except ValueError as error:
            raise invalid(error_phrase(error)) from None
        if request.query_params.get("zone"):
            return zone
        if user or browser_zone(request):
            return reader_zone(request, self._context)
        return next((one.timezone for one in schedules.values()), zone)
