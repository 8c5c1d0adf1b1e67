"""The pages for people: now, and the list of incidents. One incident has a file of its own."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.decide.reachable import reach
from amproxy.decide.roster import OnCall
from amproxy.model import Incident
from amproxy.store import contacts, incidents
from amproxy.web.ahead import Coming, next_step
from amproxy.web.deps import Deps
from amproxy.web.looks import COOKIE, COOKIE_AGE, LANGUAGE_COOKIE, Looks
from amproxy.web.reading import find, form, known_user, own_path, wanted
from amproxy.web.text import LANGUAGES

SHOWN_OPEN = 30
SHOWN_RESOLVED = 5


class Row(NamedTuple):
    """An incident in a list."""

    incident: Incident
    next: Coming | None


class Someone(NamedTuple):
    """A person on call, with the time where they are."""

    name: str
    local: datetime
    zone: str


class Watch(NamedTuple):
    """One schedule now."""

    schedule: Schedule
    on_call: OnCall
    people: list[Someone]


class Deaf(NamedTuple):
    """Somebody who is on call, or will be next, and whom no page can reach."""

    name: str
    schedule: str
    now: bool  # on call now
    why: str


class Pages:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/", self.now, methods=["GET"]),
            Route("/incidents", self.incidents, methods=["GET"]),
            Route("/me", self.choose_me, methods=["POST"]),
            Route("/language", self.choose_language, methods=["POST"]),
            Route("/test-alert", self.test_alert, methods=["POST"]),
        ]

    async def now(self, request: Request) -> HTMLResponse:
        wire = self._context.wire
        found, _ = await incidents.listing(wire, limit=SHOWN_OPEN)
        resolved, _ = await incidents.listing(wire, ("resolved",), limit=SHOWN_RESOLVED)
        rows, watches = [self._row(incident) for incident in found], self._watches()
        soonest = min((row for row in rows if row.next), key=lambda row: row.next.at if row.next else 0.0, default=None)
        return await self._looks.page(
            request, "now.html", watches=watches, deaf=await self._deaf(watches), rows=rows, resolved=resolved, soonest=soonest,
            printed=self._deps.console.lately(), sent=request.query_params.get("sent") == "test",
        )  # fmt: skip

    async def incidents(self, request: Request) -> HTMLResponse:
        query = wanted(request)
        found, cursor = await find(self._context, query)
        kept = [(name, value) for name, value in request.query_params.multi_items() if name in ("state", "label", "limit") and value]
        return await self._looks.page(
            request, "incidents.html", rows=[self._row(incident) for incident in found], query=query, states=incidents.STATES,
            older=urlencode([*kept, ("cursor", cursor)]) if cursor else "",
        )  # fmt: skip

    async def choose_me(self, request: Request) -> Response:
        """Remember in a cookie who acts here."""
        fields = await form(request)
        user = known_user(self._context, fields.get("user"))
        answer = RedirectResponse(own_path(fields.get("back", "")), 303)
        answer.set_cookie(COOKIE, quote(user), max_age=COOKIE_AGE if user else 0, httponly=True, samesite="lax")
        return answer

    async def choose_language(self, request: Request) -> Response:
        """Remember in a cookie which language this browser reads."""
        fields = await form(request)
        answer = RedirectResponse(own_path(fields.get("back", "")), 303)
        if fields.get("language") in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, fields["language"], max_age=COOKIE_AGE, httponly=True, samesite="lax")
        return answer

    async def test_alert(self, request: Request) -> Response:
        await form(request)
        await self._deps.test_alert()
        return RedirectResponse("/?sent=test", 303)

    def _row(self, incident: Incident) -> Row:
        return Row(incident, next_step(incident, self._context.roster))

    async def _deaf(self, watches: list[Watch]) -> list[Deaf]:
        """Each person once, for the schedule that needs them first."""
        reached = reach(self._context.config, await contacts.load_all(self._context.wire))
        turns = [(name, watch.schedule.name, True) for watch in watches for name in watch.on_call.users]
        turns += [(name, watch.schedule.name, False) for watch in watches for name in watch.on_call.next]
        found: dict[str, Deaf] = {}
        for name, schedule, now in turns:
            if not reached[name].reachable:
                found.setdefault(name, Deaf(name, schedule, now, reached[name].why_not))
        return list(found.values())

    def _watches(self) -> list[Watch]:
        now, config = utc(self._context.now()), self._context.config
        watches = []
        for schedule in config.schedules.values():
            on_call = self._context.roster.on_call(schedule.name, now)
            zones = [(name, config.users[name].timezone) for name in on_call.users]
            watches.append(Watch(schedule, on_call, [Someone(name, now.astimezone(ZoneInfo(zone)), zone) for name, zone in zones]))
        return watches
