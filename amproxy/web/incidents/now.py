"""The first page: who is on call, what is open, what happens next, and what is not as it should be."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.correlate import heartbeats, muting
from amproxy.engine import health
from amproxy.oncall.reachable import PersonReachability, assess_reachability
from amproxy.oncall.roster import OnCall
from amproxy.store import deliveries, incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.format import ContactLink, contact_links
from amproxy.web.http.permissions import principal_of, require_role, set_audit_text
from amproxy.web.http.request import parse_form
from amproxy.web.http.templates import PageTemplates
from amproxy.web.incidents.list import incident_row

MAX_LISTED_OPEN = 30
MAX_LISTED_RESOLVED = 5


class OnCallPersonRow(NamedTuple):
    """A person on call, with the time where they are."""

    name: str
    local: datetime
    zone: str
    ways: list[ContactLink]


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
    why: str


class NowPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/test-alert", self.test_alert, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        context, wire, now = self._context, self._context.wire, self._context.now()
        (found, _), (resolved, _), outcomes, in_force, pulses, wrong = await asyncio.gather(
            incidents.list_incidents(wire, limit=MAX_LISTED_OPEN),
            incidents.list_incidents(wire, ("resolved",), limit=MAX_LISTED_RESOLVED),
            deliveries.load_contact_outcomes(wire),
            muting.load_manual_mutes(context, int(now * 10**9)),
            heartbeats.list_heartbeats(context),
            health.find_problems(context, ready=self._deps.ready()),
        )
        reached = assess_reachability(context.config, outcomes)
        rows, watches = [incident_row(incident, context.roster) for incident in found], self._watches(request, reached)
        return await self._looks.page(
            request, "now.html", watches=watches, deaf=_unreachable_people(watches, reached), rows=rows, resolved=resolved,
            soonest=min((row for row in rows if row.next), key=lambda row: row.next.at if row.next else 0.0, default=None),
            openings=in_force.openings, missing=[pulse for pulse in pulses if pulse.missing_since is not None], wrong=wrong,
            printed=self._deps.console.lately(), done=request.query_params.get("done", ""),
        )  # fmt: skip

    async def test_alert(self, request: Request) -> Response:
        require_role(request, "responder")
        await parse_form(request)
        await self._deps.test_alert()
        set_audit_text(request, "sent a test alert")
        return RedirectResponse("/?done=test", 303)

    def _watches(self, request: Request, reached: dict[str, PersonReachability]) -> list[ScheduleNowRow]:
        now, config = utc(self._context.now()), self._context.config
        # where anybody may be in the network, addresses are for those who have said who they are
        known = principal_of(request).via != "open" or not config.web.allow_unauthenticated

        def someone(name: str) -> OnCallPersonRow:
            user = config.users[name]
            return OnCallPersonRow(
                name, now.astimezone(ZoneInfo(user.timezone)), user.timezone, list(contact_links(user, reached[name], addresses=known))
            )

        turns = [(schedule, self._context.roster.on_call(schedule.name, now)) for schedule in config.schedules.values()]
        return [ScheduleNowRow(schedule, on_call, [someone(name) for name in on_call.users]) for schedule, on_call in turns]


def _unreachable_people(watches: list[ScheduleNowRow], reached: dict[str, PersonReachability]) -> list[UnreachablePersonRow]:
    """Each person once, for the schedule that needs them first."""
    turns = [(name, watch.schedule.name, True) for watch in watches for name in watch.on_call.users]
    turns += [(name, watch.schedule.name, False) for watch in watches for name in watch.on_call.next]
    found: dict[str, UnreachablePersonRow] = {}
    for name, schedule, now in turns:
        if not reached[name].reachable:
            found.setdefault(name, UnreachablePersonRow(name, schedule, now, reached[name].why_not))
    return list(found.values())
