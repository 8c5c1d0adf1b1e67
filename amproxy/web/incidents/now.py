"""The first page: what waits for an answer, other open incidents, problems, and who is on call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.calendars.trouble import load_troubles
from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.context import Context
from amproxy.correlate import heartbeats, muting
from amproxy.engine import dead_mans_switch
from amproxy.grouping.rights import concerns_user
from amproxy.model import Incident
from amproxy.oncall.reachable import PersonReachability, assess_reachability
from amproxy.oncall.roster import OnCall
from amproxy.store import deliveries, incidents
from amproxy.text import Phrase, phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.format import ContactLink, contact_links
from amproxy.web.http.permissions import may, principal_of, require_role, set_audit_phrase
from amproxy.web.http.request import parse_form
from amproxy.web.http.templates import PageTemplates, acting_user
from amproxy.web.incidents.list import incident_rows

MAX_LISTED_WAITING = 20
MAX_LISTED_ANSWERED = 10
MAX_LISTED_RESOLVED = 5
MAX_LISTED_SCHEDULES = 30


class OnCallPersonRow(NamedTuple):
    """A person on call, with the time where they are."""

    name: str
    local: datetime
    zone: str
    contacts: list[ContactLink]


class ScheduleNowRow(NamedTuple):
    """One schedule now."""

    number: int  # place in the file, from 1
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
        user = acting_user(request, context)
        (
            (waiting, answered),
            (resolved, _),
            outcomes,
            mutes,
            states,
            problems,
        ) = await asyncio.gather(
            _load_listed(context, user),
            incidents.list_incidents(wire, ("resolved",), limit=MAX_LISTED_RESOLVED),
            deliveries.load_contact_outcomes(wire),
            muting.load_manual_mutes(context, int(now * 10**9)),
            heartbeats.list_heartbeats(context),
            dead_mans_switch.find_problem_phrases(
                context, ready=self._deps.ready(), stopped=self._deps.stopped
            ),
        )
        reached = assess_reachability(context.config, outcomes)
        rows = await incident_rows(context, [*waiting, *answered])
        on_call, printed = self._on_call(), self._deps.console.recent()
        schedules = self._schedules(request, on_call, reached)
        return await self._templates.page(
            request,
            "now.html",
            # the buttons of messages are signed links
            has_secret=bool(printed) and may(principal_of(request), "admin"),
            schedules=schedules,
            more_schedules=len(on_call) - len(schedules),
            unreachable=_unreachable_people(on_call, reached),
            unanswered=rows[: len(waiting)],
            answered=rows[len(waiting) :],
            mine={one.id for one in waiting if user and concerns_user(one, user)},
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
            printed=printed,
            done=request.query_params.get("done", ""),
        )

    async def test_alert(self, request: Request) -> Response:
        require_role(request, "responder")
        await parse_form(request)
        await self._deps.test_alert()
        set_audit_phrase(request, phrase("audit.test_alert"))
        return RedirectResponse("/?done=test", 303)

    def _on_call(self) -> list[OnCall]:
        now, roster = utc(self._context.now()), self._context.roster
        return [roster.on_call(schedule, now) for schedule in roster.config.schedules]

    def _schedules(
        self,
        request: Request,
        on_call: list[OnCall],
        reached: Mapping[str, PersonReachability],
    ) -> list[ScheduleNowRow]:
        """The rows of MAX_LISTED_SCHEDULES schedules.

        Where there are more, those of the reader, then those without anybody come first.
        """
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

        reader = acting_user(request, self._context)
        places = {name: place for place, name in enumerate(config.schedules, 1)}
        # The reader's own first, then those without anybody on call; else in the order of the file.
        listed = sorted(on_call, key=lambda one: (reader not in one.users, bool(one.users)))
        return [
            ScheduleNowRow(
                places[one.schedule],
                config.schedules[one.schedule],
                one,
                list(map(person, one.users)),
            )
            for one in listed[:MAX_LISTED_SCHEDULES]
        ]


async def _load_listed(context: Context, user: str) -> tuple[list[Incident], list[Incident]]:
    """Incidents without an answer, those that a user was paged for first; and the other open ones.

    Both newest first, as many as the page lists. Raises StoreUnavailable.
    """

    def is_mine(summary: incidents.IncidentSummary) -> bool:
        return user in summary.people

    wire, most = context.wire, MAX_LISTED_WAITING
    (newest, cursor), (answered, _) = await asyncio.gather(
        incidents.list_incidents(wire, ("triggered",), limit=most),
        incidents.list_incidents(wire, ("acknowledged", "snoozed"), limit=MAX_LISTED_ANSWERED),
    )
    mine = [one for one in newest if user and concerns_user(one, user)]
    if cursor and user:
        mine, _ = await incidents.list_incidents(wire, ("triggered",), keep=is_mine, limit=most)
    waiting = {one.id: one for one in [*mine, *newest]}
    return list(waiting.values())[:most], answered


def _unreachable_people(
    on_call: list[OnCall], reached: Mapping[str, PersonReachability]
) -> list[UnreachablePersonRow]:
    """Each person once, for the schedule that needs them first."""
    # those who are on call now come before those who will be
    people = [(name, one.schedule, True) for one in on_call for name in one.users]
    people += [(name, one.schedule, False) for one in on_call for name in one.next]
    unreachable: dict[str, UnreachablePersonRow] = {}
    for name, schedule, now in people:
        if why := reached[name].why_not:
            row = UnreachablePersonRow(name, schedule, now, why)
            unreachable.setdefault(name, row)
    return list(unreachable.values())
