"""The form for the layers of a schedule: from the file's words, from what a browser sends, and back to words. Pure.

Nothing is judged here: whatever somebody writes becomes words, and the reader of the file says what is wrong with them.

The page on which the layers of a schedule are changed: a form, what it would change for whom, and the file's difference.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
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
from amproxy.web.schedules.timeline import Band, Span, Track, bands, midnight, planned
from amproxy.web.schedules.words import Speaker, bar

Words = dict[str, Any]

MOST_LAYERS: Final = 30
MOST_TURNS: Final = 100

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_COMMAND: Final = re.compile(r"(up|down|remove)-(?:layer:(\d{1,3})|turn:(\d{1,3}):(\d{1,3}))|add-turn:(\d{1,3})", re.ASCII)


class LayerForm(msgspec.Struct, kw_only=True):
    """One layer as the form has it."""

    name: str = ""
    turns: list[list[str]] = []  # people of each turn; "" = not chosen yet
    every: str = ""  # "" = no rotation
    start: str = ""
    by_active_days: bool = False
    active: list[str] = []
    mute: list[str] = []
    origin: int = -1  # place in the file; -1 = new


def from_words(layers: Sequence[Any]) -> list[LayerForm]:
    """The layers of the file; what is no layer is left out."""
    return [_read(layer, place) for place, layer in enumerate(layers) if isinstance(layer, dict)]


def from_fields(fields: Mapping[str, Sequence[str]]) -> list[LayerForm]:
    """What a browser has sent: fields "0.name", "0.turn.1" … as the template names them."""

    def one(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    found = []
    for place in range(MOST_LAYERS):
        if f"{place}.name" not in fields:
            break
        turns = [list(fields[name]) for turn in range(MOST_TURNS) if (name := f"{place}.turn.{turn}") in fields]
        origin = one(f"{place}.origin")
        layer = LayerForm(
            name=one(f"{place}.name"),
            turns=[[name for name in turn if name] or [""] for turn in turns],
            every=one(f"{place}.every"),
            start=one(f"{place}.start"),
            by_active_days=bool(one(f"{place}.by_active_days")),
            active=list(fields.get(f"{place}.active", ())),
            mute=list(fields.get(f"{place}.mute", ())),
            origin=int(origin) if re.fullmatch(r"\d{1,3}", origin, re.ASCII) else -1,
        )
        found.append(layer)
    return found


def acted(layers: list[LayerForm], command: str) -> list[LayerForm]:
    """The form once a button is pressed: "add-layer", "up-layer:1", "remove-turn:0:2" …; one that makes no sense changes nothing."""
    layers = [msgspec.structs.replace(layer, turns=[list(turn) for turn in layer.turns]) for layer in layers]
    if command == "add-layer" and len(layers) < MOST_LAYERS:
        layers.append(LayerForm(turns=[[""]]))
    found = _COMMAND.fullmatch(command)
    if not found:
        return layers
    verb, layer, turn_layer, turn, adding = found.groups()
    if adding is not None:
        if int(adding) < len(layers) and len(layers[int(adding)].turns) < MOST_TURNS:
            layers[int(adding)].turns.append([""])
    elif layer is not None:
        _moved(layers, verb, int(layer))
    elif int(turn_layer) < len(layers):
        _moved(layers[int(turn_layer)].turns, verb, int(turn))
    return layers


def to_words(layers: Sequence[LayerForm], originals: Sequence[Any]) -> list[Words]:
    """What the file would say. What the form has not changed keeps its words, and keys that the form does not know stay."""
    return [_written(layer, originals[layer.origin] if 0 <= layer.origin < len(originals) else None) for layer in layers]


def _moved(things: list[Any], verb: str, place: int) -> None:
    if place >= len(things):
        return
    thing = things.pop(place)
    if verb != "remove":
        things.insert(max(0, place + (1 if verb == "down" else -1)), thing)


def _read(layer: Words, place: int) -> LayerForm:
    rotation = layer.get("rotation")
    rotation = rotation if isinstance(rotation, dict) else {}
    return LayerForm(
        name=str(layer.get("name", "")), turns=[_names(turn) for turn in _list(layer.get("users"))] or [[""]],
        every=str(rotation.get("every", "")), start=_start(str(rotation.get("start", ""))),
        by_active_days=rotation.get("advance") == "active_days", active=_names(layer.get("active_time_intervals")),
        mute=_names(layer.get("mute_time_intervals")), origin=place,
    )  # fmt: skip


def _written(form: LayerForm, original: object) -> Words:
    words: Words = dict(original) if isinstance(original, dict) else {}
    before = _read(words, form.origin) if words else LayerForm()
    turns = [people for turn in form.turns if (people := [name for name in turn if name])]
    _put(words, "name", form.name, before.name)
    if "users" not in words or before.turns != turns:
        words["users"] = [turn[0] if len(turn) == 1 else turn for turn in turns]
    rotation: Words = dict(words["rotation"]) if isinstance(words.get("rotation"), dict) else {}
    if form.every or form.start:
        _put(rotation, "every", form.every, before.every)
        _put(rotation, "start", form.start, before.start)
        _put(rotation, "advance", "active_days" if form.by_active_days else None, "active_days" if before.by_active_days else None)
        words["rotation"] = rotation
    else:
        words.pop("rotation", None)
    _put(words, "active_time_intervals", form.active or None, before.active or None)
    _put(words, "mute_time_intervals", form.mute or None, before.mute or None)
    return words


def _put(words: Words, key: str, value: object, before: object) -> None:
    """Write a value where it is another one than before; None takes the key away."""
    if value == before:
        return
    if value is None:
        words.pop(key, None)
    else:
        words[key] = value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else [str(value)] if value else []


def _start(text: str) -> str:
    """A day alone begins at midnight; that is what a field for a moment can show."""
    return f"{text}T00:00" if _DAY.fullmatch(text) else text


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
