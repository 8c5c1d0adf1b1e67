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
from amproxy.edit.change import ConfigChangeProposal, ConfigEntryChange
from amproxy.edit.sections import read_file_sections
from amproxy.errors import Conflict, NotFound, Uneditable
from amproxy.oncall.roster import Roster
from amproxy.simulation.config_diff import ShiftChange
from amproxy.web.config.change import COMPARED_DAYS, apply_change, preview_change, require_change_allowed
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.request import parse_form_lists
from amproxy.web.http.templates import PageTemplates, reader_texts
from amproxy.web.schedules.api import find_schedule
from amproxy.web.schedules.timeline import BandPeriod, TimelineBand, TimelineTrack, layout_bands, midnight, planned_entries
from amproxy.web.schedules.words import ScheduleFormatter, render_bar

LayerEntry = dict[str, Any]

MAX_LAYERS: Final = 30
MAX_TURNS: Final = 100

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


def layers_from_file(layers: Sequence[Any]) -> list[LayerForm]:
    """The layers of the file; what is no layer is left out."""
    return [_form_from_entry(layer, place) for place, layer in enumerate(layers) if isinstance(layer, dict)]


def layers_from_form(fields: Mapping[str, Sequence[str]]) -> list[LayerForm]:
    """What a browser has sent: fields "0.name", "0.turn.1" … as the template names them."""

    def one(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    found = []
    for place in range(MAX_LAYERS):
        if f"{place}.name" not in fields:
            break
        turns = [list(fields[name]) for turn in range(MAX_TURNS) if (name := f"{place}.turn.{turn}") in fields]
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


def apply_command(layers: list[LayerForm], command: str) -> list[LayerForm]:
    """The form once a button is pressed: "add-layer", "up-layer:1", "remove-turn:0:2" …; one that makes no sense changes nothing."""
    layers = [msgspec.structs.replace(layer, turns=[list(turn) for turn in layer.turns]) for layer in layers]
    if command == "add-layer" and len(layers) < MAX_LAYERS:
        layers.append(LayerForm(turns=[[""]]))
    found = _COMMAND.fullmatch(command)
    if not found:
        return layers
    verb, layer, turn_layer, turn, adding = found.groups()
    if adding is not None:
        if int(adding) < len(layers) and len(layers[int(adding)].turns) < MAX_TURNS:
            layers[int(adding)].turns.append([""])
    elif layer is not None:
        _move_item(layers, verb, int(layer))
    elif int(turn_layer) < len(layers):
        _move_item(layers[int(turn_layer)].turns, verb, int(turn))
    return layers


def layers_to_file(layers: Sequence[LayerForm], originals: Sequence[Any]) -> list[LayerEntry]:
    """What the file would say. What the form has not changed keeps its words, and keys that the form does not know stay."""
    return [_entry_from_form(layer, originals[layer.origin] if 0 <= layer.origin < len(originals) else None) for layer in layers]


def _move_item(things: list[Any], verb: str, place: int) -> None:
    if place >= len(things):
        return
    thing = things.pop(place)
    if verb != "remove":
        things.insert(max(0, place + (1 if verb == "down" else -1)), thing)


def _form_from_entry(layer: LayerEntry, place: int) -> LayerForm:
    rotation = layer.get("rotation")
    rotation = rotation if isinstance(rotation, dict) else {}
    return LayerForm(
        name=str(layer.get("name", "")), turns=[_as_names(turn) for turn in _as_list(layer.get("users"))] or [[""]],
        every=str(rotation.get("every", "")), start=_start_field(str(rotation.get("start", ""))),
        by_active_days=rotation.get("advance") == "active_days", active=_as_names(layer.get("active_time_intervals")),
        mute=_as_names(layer.get("mute_time_intervals")), origin=place,
    )  # fmt: skip


def _entry_from_form(form: LayerForm, original: object) -> LayerEntry:
    words: LayerEntry = dict(original) if isinstance(original, dict) else {}
    before = _form_from_entry(words, form.origin) if words else LayerForm()
    turns = [people for turn in form.turns if (people := [name for name in turn if name])]
    _set_if_changed(words, "name", form.name, before.name)
    if "users" not in words or before.turns != turns:
        words["users"] = [turn[0] if len(turn) == 1 else turn for turn in turns]
    rotation: LayerEntry = dict(words["rotation"]) if isinstance(words.get("rotation"), dict) else {}
    if form.every or form.start:
        _set_if_changed(rotation, "every", form.every, before.every)
        _set_if_changed(rotation, "start", form.start, before.start)
        _set_if_changed(
            rotation, "advance", "active_days" if form.by_active_days else None, "active_days" if before.by_active_days else None
        )
        words["rotation"] = rotation
    else:
        words.pop("rotation", None)
    _set_if_changed(words, "active_time_intervals", form.active or None, before.active or None)
    _set_if_changed(words, "mute_time_intervals", form.mute or None, before.mute or None)
    return words


def _set_if_changed(words: LayerEntry, key: str, value: object, before: object) -> None:
    """Write a value where it is another one than before; None takes the key away."""
    if value == before:
        return
    if value is None:
        words.pop(key, None)
    else:
        words[key] = value


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else [str(value)] if value else []


def _start_field(text: str) -> str:
    """A day alone begins at midnight; that is what a field for a moment can show."""
    return f"{text}T00:00" if _DAY.fullmatch(text) else text


MAX_CHANGED_SHIFTS: Final = 30  # changed shifts that are listed


class LayersPreview(NamedTuple):
    """What the form would change."""

    proposal: ConfigChangeProposal
    seen: str  # tells one form from another: only what was looked at is written
    shifts: list[ShiftChange]
    hours: dict[str, tuple[float, float]]  # before and after
    bands: list[TimelineBand]


class LayersPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/schedules/{name}/layers", self.show, methods=["GET"]),
            Route("/schedules/{name}/layers", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """The layers as they stand in the file."""
        schedule = find_schedule(self._context, request)
        require_change_allowed(request, self._context.config, _layers_change(schedule, []))
        return await self._draw(request, schedule, layers_from_file(await self._originals(schedule)))

    async def act(self, request: Request) -> Response:
        """A button of the form: it changes the form, and is answered with what that would do; `save` writes what was looked at."""
        schedule, sent = find_schedule(self._context, request), await parse_form_lists(request)
        originals, command = await self._originals(schedule), (sent.get("do") or [""])[-1]
        layers = apply_command(layers_from_form(sent), command)
        change = _layers_change(schedule, layers_to_file(layers, originals))
        require_change_allowed(request, self._context.config, change)
        if command != "save":
            return await self._draw(request, schedule, layers, change)
        try:
            if (sent.get("seen") or [""])[-1] != _change_digest(change):
                raise Conflict("the form has changed since: look at what it would do, and save then")
            await apply_change(self._deps, request, change, (sent.get("digest") or [""])[-1])
        except (Conflict, Uneditable) as error:
            return await self._draw(request, schedule, layers, change, error)
        return RedirectResponse(f"/schedules/{quote(schedule.name, safe='')}", 303)

    async def _originals(self, schedule: Schedule) -> list[Any]:
        """What the file says of the layers. Raises Uneditable, NotFound."""
        entry = (await asyncio.to_thread(read_file_sections, self._context.config.path)).entry("schedules", schedule.name)
        if entry is None:
            raise NotFound(f"the file has no schedule {schedule.name[:60]!r}")
        found = entry.get("layers")
        return found if isinstance(found, list) else []

    async def _draw(
        self,
        request: Request,
        schedule: Schedule,
        layers: list[LayerForm],
        change: ConfigEntryChange | None = None,
        error: Exception | None = None,
    ) -> HTMLResponse:
        context, t = self._context, reader_texts(request)
        zone, problem = ZoneInfo(schedule.timezone), describe_error(error) if error else None
        preview = await self._preview(schedule, change) if change else None
        return await self._looks.page(
            request, "layers.html", problem.status if problem else 200, clock=schedule.timezone, schedule=schedule, layers=layers,
            problem=problem.detail if problem else "", preview=preview, bar=render_bar, shown_most=MAX_CHANGED_SHIFTS,
            intervals=list(context.config.time_intervals), speaker=ScheduleFormatter(context.config.users, t, zone, context.now()),
        )  # fmt: skip

    async def _preview(self, schedule: Schedule, change: ConfigEntryChange) -> LayersPreview:
        context = self._context
        proposal, found = await preview_change(self._deps, change)
        shifts = [one for one in found.shifts if one.schedule == schedule.name] if found else []
        return LayersPreview(
            proposal, _change_digest(change), shifts, found.hours if found else {}, self._bands(schedule, proposal, utc(context.now()))
        )

    def _bands(self, schedule: Schedule, proposal: ConfigChangeProposal, now: Any) -> list[TimelineBand]:
        """The next weeks as they are and as they would be."""
        if proposal.loaded is None:
            return []
        context, zone = self._context, ZoneInfo(schedule.timezone)
        today = now.astimezone(zone).date()
        span = BandPeriod(midnight(today, zone), midnight(today + timedelta(days=COMPARED_DAYS), zone))
        made = context.by_hand
        after = Roster(
            proposal.loaded.config, made.overrides, absences=made.absences, swaps=made.swaps, calendars=context.calendars
        )  # fmt: skip
        plans = {
            name: planned_entries(roster.shifts(schedule.name, now, span.end))
            for name, roster in (("before", context.roster), ("after", after))
        }
        return layout_bands(span, [TimelineTrack("final", name, entries) for name, entries in plans.items()], zone, now)


def _layers_change(schedule: Schedule, layers: list[LayerEntry]) -> ConfigEntryChange:
    return ConfigEntryChange(section="schedules", name=schedule.name, set={"layers": layers})


def _change_digest(change: ConfigEntryChange) -> str:
    return hashlib.sha256(msgspec.json.encode(change)).hexdigest()[:16]
