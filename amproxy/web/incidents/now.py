"""The first page: people on call, open incidents, the next step, and problems."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.calendars.trouble import load_troubles
from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.correlate import heartbeats, muting
from amproxy.engine import dead_mans_switch
from amproxy.oncall.reachable import PersonReachability, assess_reachability
from amproxy.oncall.roster import OnCall
from amproxy.store import deliveries, incidents
from amproxy.text import Phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.format import ContactLink, contact_links
from amproxy.web.http.permissions import principal_of, require_role, set_audit_text
from amproxy.web.http.request import parse_form
from amproxy.web.http.templates import PageTemplates
from amproxy.web.incidents.list import incident_rows

MAX_LISTED_OPEN = 30
MAX_LISTED_RESOLVED = 5


class OnCallPersonRow(NamedTuple):
    """A person on call, with the time where they are."""

    name: str
    local: datetime
    zone: str
    contacts: list[ContactLink]


class ScheduleNowRow(NamedTuple):
    """One schedule now."""

    schedule: Schedule
    on_call: OnCall
    people: list[OnCallPersonRow]


class UnreachablePersonRow(NamedTuple):
    """Somebody who is on call, or will be next, and whom no page can reach."""

    name: str
    schedule: str
    now: bool  # on call now
    why: Phrase


class NowPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._deps, self._context, self._templates = deps, deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/test-alert", self.test_alert, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        context, wire, now = self._context, self._context.wire, self._context.now()
        (
            (found, _),
            (resolved, _),
            outcomes,
            mutes,
            states,
            problems,
        ) = await asyncio.gather(
            incidents.list_incidents(wire, limit=MAX_LISTED_OPEN),
            incidents.list_incidents(wire, ("resolved",), limit=MAX_LISTED_RESOLVED),
            deliveries.load_contact_outcomes(wire),
            muting.load_manual_mutes(context, int(now * 10**9)),
            heartbeats.list_heartbeats(context),
            dead_mans_switch.find_problems(
                context, ready=self._deps.ready(), stopped=self._deps.stopped
            ),
        )
        reached = assess_reachability(context.config, outcomes)
        rows = await incident_rows(context, found)
        schedules = self._schedules(request, reached)
        return await self._templates.page(
            request,
            "now.html",
            schedules=schedules,
            unreachable=_unreachable_people(schedules, reached),
            rows=rows,
            resolved=resolved,
            soonest=min(
                (row for row in rows if row.next),
                key=lambda row: row.next.at if row.next else 0.0,
                default=None,
            ),
            openings=mutes.open_windows,
            missing=[state for state in states if state.missing_since is not None],
            calendars=await load_troubles(context),
            problems=problems,
            printed=self._deps.console.recent(),
            done=request.query_params.get("done", ""),
        )

    async def test_alert(self, request: Request) -> Response:
        require_role(request, "responder")
        await parse_form(request)
        await self._deps.test_alert()
        set_audit_text(request, "sent a test alert")
        return RedirectResponse("/?done=test", 303)

    def _schedules(
        self, request: Request, reached: dict[str, PersonReachability]
    ) -> list[ScheduleNowRow]:
        now, config = utc(self._context.now()), self._context.config
        # Where anybody may be in the network, addresses are only for readers who have signed in.
        known = principal_of(request).via != "open" or not config.web.allow_unauthenticated

        def person(name: str) -> OnCallPersonRow:
            user = config.users[name]
            return OnCallPersonRow(
                name,
                now.astimezone(ZoneInfo(user.timezone)),
                user.timezone,
                list(contact_links(user, reached[name], addresses=known)),
            )

        rows = []
        for schedule in config.schedules.values():
            on_call = self._context.roster.on_call(schedule.name, now)
            rows.append(ScheduleNowRow(schedule, on_call, [person(name) for name in on_call.users]))
        return rows


def _unreachable_people(
    rows: list[ScheduleNowRow], reached: dict[str, PersonReachability]
) -> list[UnreachablePersonRow]:
    """Each person once, for the schedule that needs them first."""
    # those who are on call now come before those who will be
    people = [(name, row.schedule.name, True) for row in rows for name in row.on_call.users]
    people += [(name, row.schedule.name, False) for row in rows for name in row.on_call.next]
    unreachable: dict[str, UnreachablePersonRow] = {}
    for name, schedule, now in people:
        if why := reached[name].why_not:
            row = UnreachablePersonRow(name, schedule, now, why)
            unreachable.setdefault(name, row)
    return list(unreachable.values())
