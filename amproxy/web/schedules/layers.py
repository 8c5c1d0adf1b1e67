"""The page on which the layers of a schedule are changed: a form, what it would change for whom, and the file's difference."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule
from amproxy.edit.change import Change, Proposal
from amproxy.edit.sections import read_words
from amproxy.errors import Conflict, NotFound, Uneditable
from amproxy.oncall.roster import Roster
from amproxy.simulation.config_diff import ShiftChange
from amproxy.web.config.change import DAYS, allow, apply, proposed
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.request import lists
from amproxy.web.http.templates import Looks, language
from amproxy.web.schedules.api import schedule_of
from amproxy.web.schedules.bars import bar
from amproxy.web.schedules.layer_form import LayerForm, Words, acted, from_fields, from_words, to_words
from amproxy.web.schedules.schedule_rows import planned
from amproxy.web.schedules.timeline import Band, Span, Track, bands, midnight
from amproxy.web.schedules.words import Speaker

SHOWN: Final = 30  # changed shifts that are listed


class Preview(NamedTuple):
    """What the form would change."""

    proposal: Proposal
    seen: str  # tells one form from another: only what was looked at is written
    shifts: list[ShiftChange]
    hours: dict[str, tuple[float, float]]  # before and after
    bands: list[Band]


class LayersPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/schedules/{name}/layers", self.show, methods=["GET"]),
            Route("/schedules/{name}/layers", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """The layers as they stand in the file."""
        schedule = schedule_of(self._context, request)
        allow(request, self._context.config, _change(schedule, []))
        return await self._draw(request, schedule, from_words(await self._originals(schedule)))

    async def act(self, request: Request) -> Response:
        """A button of the form: it changes the form, and is answered with what that would do; `save` writes what was looked at."""
        schedule, sent = schedule_of(self._context, request), await lists(request)
        originals, command = await self._originals(schedule), (sent.get("do") or [""])[-1]
        layers = acted(from_fields(sent), command)
        change = _change(schedule, to_words(layers, originals))
        allow(request, self._context.config, change)
        if command != "save":
            return await self._draw(request, schedule, layers, change)
        try:
            if (sent.get("seen") or [""])[-1] != _digest(change):
                raise Conflict("the form has changed since: look at what it would do, and save then")
            await apply(self._deps, request, change, (sent.get("digest") or [""])[-1])
        except (Conflict, Uneditable) as error:
            return await self._draw(request, schedule, layers, change, error)
        return RedirectResponse(f"/schedules/{quote(schedule.name, safe='')}", 303)

    async def _originals(self, schedule: Schedule) -> list[Any]:
        """What the file says of the layers. Raises Uneditable, NotFound."""
        entry = (await asyncio.to_thread(read_words, self._context.config.path)).entry("schedules", schedule.name)
        if entry is None:
            raise NotFound(f"the file has no schedule {schedule.name[:60]!r}")
        found = entry.get("layers")
        return found if isinstance(found, list) else []

    async def _draw(
        self, request: Request, schedule: Schedule, layers: list[LayerForm], change: Change | None = None, error: Exception | None = None
    ) -> HTMLResponse:
        context, t = self._context, language(request)
        zone, problem = ZoneInfo(schedule.timezone), told(error) if error else None
        preview = await self._preview(schedule, change) if change else None
        return await self._looks.page(
            request, "layers.html", problem.status if problem else 200, clock=schedule.timezone, schedule=schedule, layers=layers,
            problem=problem.detail if problem else "", preview=preview, bar=bar, shown_most=SHOWN,
            intervals=list(context.config.time_intervals), speaker=Speaker(context.config.users, t, zone, context.now()),
        )  # fmt: skip

    async def _preview(self, schedule: Schedule, change: Change) -> Preview:
        context = self._context
        proposal, found = await proposed(self._deps, change)
        shifts = [one for one in found.shifts if one.schedule == schedule.name] if found else []
        return Preview(proposal, _digest(change), shifts, found.hours if found else {}, self._bands(schedule, proposal, utc(context.now())))

    def _bands(self, schedule: Schedule, proposal: Proposal, now: Any) -> list[Band]:
        """The next weeks as they are and as they would be."""
        if proposal.loaded is None:
            return []
        context, zone = self._context, ZoneInfo(schedule.timezone)
        today = now.astimezone(zone).date()
        span = Span(midnight(today, zone), midnight(today + timedelta(days=DAYS), zone))
        made = context.by_hand
        after = Roster(
            proposal.loaded.config, made.overrides, absences=made.absences, swaps=made.swaps, calendars=context.calendars
        )  # fmt: skip
        plans = {
            name: planned(roster.shifts(schedule.name, now, span.end)) for name, roster in (("before", context.roster), ("after", after))
        }
        return bands(span, [Track("final", name, entries) for name, entries in plans.items()], zone, now)


def _change(schedule: Schedule, layers: list[Words]) -> Change:
    return Change(section="schedules", name=schedule.name, set={"layers": layers})


def _digest(change: Change) -> str:
    return hashlib.sha256(msgspec.json.encode(change)).hexdigest()[:16]
