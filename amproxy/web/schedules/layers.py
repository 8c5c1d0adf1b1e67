"""The page on which the layers of a schedule are changed: a form, and what it would change.

The form judges nothing: whatever somebody writes goes to the loader of the file, which reports
what is wrong with it. What the form does not change keeps its spelling in the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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
from amproxy.errors import Conflict, NotFound, Uneditable
from amproxy.oncall.roster import Roster
from amproxy.simulation.config_diff import ShiftChange
from amproxy.text import Phrase
from amproxy.web.config.change import (
    COMPARED_DAYS,
    apply_change,
    load_sections,
    preview_change,
    require_change_allowed,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import Forbidden, may, principal_of
from amproxy.web.http.refusals import error_phrase
from amproxy.web.http.request import parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_texts, reader_zone
from amproxy.web.schedules.api import find_schedule
from amproxy.web.schedules.formatter import ScheduleFormatter, render_bar
from amproxy.web.schedules.timeline import (
    BandPeriod,
    TimelineBand,
    TimelineTrack,
    layout_bands,
    midnight,
    planned_entries,
)
from amproxy.web.schedules.view import check_zone

NEW_SCHEDULE_PATH: Final = "/change/schedule"
LayerEntry = dict[str, Any]  # a layer as the file has it

MAX_LAYERS: Final = 30
MAX_TURNS: Final = 100
MAX_CHANGED_SHIFTS: Final = 30  # changed shifts that are listed

_SCHEDULE_FIELDS: Final = ("name", "team", "timezone")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_COMMAND: Final = re.compile(
    r"(up|down|remove)-(?:layer:(\d{1,3})|turn:(\d{1,3}):(\d{1,3}))|add-turn:(\d{1,3})", re.ASCII
)


class LayersPreview(NamedTuple):
    """The preview of the change that the form makes."""

    proposal: ConfigChangeProposal
    digest: str  # of the change: only a change that was shown is written
    shifts: list[ShiftChange]
    hours: dict[str, tuple[float, float]]  # before and after
    bands: list[TimelineBand]


class LayersPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._deps, self._context, self._templates = deps, deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/schedules/{name:path}/layers", self.show, methods=["GET"]),
            Route("/schedules/{name:path}/layers", self.submit, methods=["POST"]),
            Route(NEW_SCHEDULE_PATH, self.show_new, methods=["GET"]),
            Route(NEW_SCHEDULE_PATH, self.submit_new, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """The layers as the file has them."""
        schedule = find_schedule(self._context, request)
        require_change_allowed(request, self._context.config, _layers_change(schedule, []))
        layers = layers_from_file(await self._load_layers(schedule))
        return await self._render(request, schedule, layers)

    async def submit(self, request: Request) -> Response:
        """A button of the form: `save` writes the change, any other shows what it would do."""
        schedule, fields = (find_schedule(self._context, request), await parse_form_lists(request))
        originals, command = (await self._load_layers(schedule), (fields.get("do") or [""])[-1])
        layers = apply_command(layers_from_form(fields), command)
        change = _layers_change(
            schedule, layers_to_file(layers, originals), keep_turns="keep_turns" in fields
        )
        require_change_allowed(request, self._context.config, change)
        if command != "save":
            return await self._render(request, schedule, layers, change)
        try:
            # Nobody saves what they have not been shown: the browser sends back the digest.
            if (fields.get("seen") or [""])[-1] != _change_digest(change):
                raise Conflict(Phrase("refusal.form_changed"))
            await apply_change(self._deps, request, change, (fields.get("digest") or [""])[-1])
        except (Conflict, Uneditable) as error:
            return await self._render(request, schedule, layers, change, error)
        return RedirectResponse(f"/schedules/{quote(schedule.name, safe='')}", 303)

    async def show_new(self, request: Request) -> Response:
        """The form of a schedule that is not there yet: one layer, of nobody.

        Readers who may make none are led to the list.
        """
        try:
            change = _layers_change(Schedule(name=""), [], new=True)
            require_change_allowed(request, self._context.config, change)
        except Forbidden:
            return RedirectResponse("/schedules", 303)
        schedule = Schedule(name="", timezone=reader_zone(request, self._context))
        return await self._render(request, schedule, [LayerForm(turns=[[""]])], new=True)

    async def submit_new(self, request: Request) -> Response:
        """A button of that form; its preview is of what would be."""
        fields = await parse_form_lists(request)
        name, team, zone = ((fields.get(key) or [""])[-1].strip() for key in _SCHEDULE_FIELDS)
        schedule = Schedule(name=name, team=team, timezone=zone or "UTC")
        command = (fields.get("do") or [""])[-1]
        layers = apply_command(layers_from_form(fields), command)
        change = _layers_change(schedule, layers_to_file(layers, []), new=True)
        require_change_allowed(request, self._context.config, change)
        error: Exception | None = None
        try:
            check_zone(schedule.timezone)
        except ValueError as problem:
            schedule = Schedule(name=name, team=team)
            error = Uneditable(error_phrase(problem))
        if command == "save" and not error:
            try:
                if (fields.get("seen") or [""])[-1] != _change_digest(change):
                    raise Conflict(Phrase("refusal.form_changed"))
                await apply_change(self._deps, request, change, (fields.get("digest") or [""])[-1])
                return RedirectResponse(f"/schedules/{quote(name, safe='')}", 303)
            except (Conflict, Uneditable) as refused:
                error = refused
        shown = change if command in ("preview", "save") and name and not error else None
        return await self._render(request, schedule, layers, shown, error, new=True)

    async def _load_layers(self, schedule: Schedule) -> list[Any]:
        """The layers of the file on the disk. Raises Uneditable, NotFound."""
        file = await load_sections(self._deps)
        entry = file.entry("schedules", schedule.name)
        if entry is None:
            raise NotFound(Phrase("refusal.no_schedule_in_file", {"schedule": schedule.name[:60]}))
        return _as_list(entry.get("layers"))

    async def _render(
        self,
        request: Request,
        schedule: Schedule,
        layers: list[LayerForm],
        change: ConfigEntryChange | None = None,
        error: Exception | None = None,
        *,
        new: bool = False,
    ) -> HTMLResponse:
        context, t = self._context, reader_texts(request)
        zone, problem = (ZoneInfo(schedule.timezone), describe_error(error) if error else None)
        preview = await self._preview(schedule, change) if change else None
        return await self._templates.page(
            request,
            "layers.html",
            problem.status if problem else 200,
            clock=schedule.timezone,
            schedule=schedule,
            is_new=new,
            teams=[
                name
                for name in context.config.teams
                if may(principal_of(request), "responder", name)
            ],
            zones=dict.fromkeys(
                (
                    *(one.timezone for one in context.config.schedules.values()),
                    *(one.timezone for one in context.config.users.values()),
                )
            ),
            layers=layers,
            keep_turns=change is not None and change.keep_turns,
            problem=problem.phrase if problem else "",
            preview=preview,
            render_bar=render_bar,
            max_shifts=MAX_CHANGED_SHIFTS,
            intervals=list(context.config.time_intervals),
            formatter=ScheduleFormatter(context.config.users, t, zone, context.now()),
        )

    async def _preview(self, schedule: Schedule, change: ConfigEntryChange) -> LayersPreview:
        proposal, difference, _ = await preview_change(self._deps, change)
        shifts = difference.shifts if difference else []
        return LayersPreview(
            proposal,
            _change_digest(change),
            [one for one in shifts if one.schedule == schedule.name],
            difference.hours if difference else {},
            self._bands(schedule, proposal, utc(self._context.now())),
        )

    def _bands(
        self, schedule: Schedule, proposal: ConfigChangeProposal, now: datetime
    ) -> list[TimelineBand]:
        """The next weeks as they are and as they would be."""
        if proposal.loaded is None:
            return []
        context, zone = self._context, ZoneInfo(schedule.timezone)
        today = now.astimezone(zone).date()
        end = midnight(today + timedelta(days=COMPARED_DAYS), zone)
        changes = context.schedule_changes
        after = Roster(
            proposal.loaded.config,
            changes.overrides,
            absences=changes.absences,
            swaps=changes.swaps,
            calendars=context.calendars,
        )
        tracks = [
            TimelineTrack("final", name, planned_entries(roster.shifts(schedule.name, now, end)))
            for name, roster in (("before", context.roster), ("after", after))
            if schedule.name in roster.config.schedules
        ]
        return layout_bands(BandPeriod(midnight(today, zone), end), tracks, zone, now)


def _layers_change(
    schedule: Schedule, layers: list[LayerEntry], *, keep_turns: bool = False, new: bool = False
) -> ConfigEntryChange:
    if new:
        head = {key: getattr(schedule, key) for key in _SCHEDULE_FIELDS if getattr(schedule, key)}
        return ConfigEntryChange(section="schedules", set={**head, "layers": layers})
    return ConfigEntryChange(
        section="schedules", name=schedule.name, set={"layers": layers}, keep_turns=keep_turns
    )


def _change_digest(change: ConfigEntryChange) -> str:
    return hashlib.sha256(msgspec.json.encode(change)).hexdigest()[:16]


class LayerForm(msgspec.Struct, kw_only=True):
    """One layer as the form has it."""

    name: str = ""
    turns: list[list[str]] = []  # people of each turn; "" = not chosen yet
    every: str = ""  # "" = no rotation
    start: str = ""
    by_active_days: bool = False
    active: list[str] = []
    mute: list[str] = []
    origin: int = -1  # index in the file; -1 = new


def layers_from_file(entries: Sequence[Any]) -> list[LayerForm]:
    """The layers of the file; an entry that is no layer is left out."""
    return [
        _form_from_entry(entry, place)
        for place, entry in enumerate(entries)
        if isinstance(entry, dict)
    ]


def layers_from_form(fields: Mapping[str, Sequence[str]]) -> list[LayerForm]:
    """The layers of a submitted form: fields "0.name", "0.turn.1" … as layers.html names them."""
    layers = []
    for place in range(MAX_LAYERS):
        if f"{place}.name" not in fields:
            break
        layers.append(_form_from_fields(fields, f"{place}."))
    return layers


def apply_command(layers: list[LayerForm], command: str) -> list[LayerForm]:
    """The form after one of its buttons: "add-layer", "up-layer:1", "remove-turn:0:2" …

    A command that makes no sense changes nothing.
    """
    replace = msgspec.structs.replace
    layers = [replace(layer, turns=[list(turn) for turn in layer.turns]) for layer in layers]
    if command == "add-layer" and len(layers) < MAX_LAYERS:
        layers.append(LayerForm(turns=[[""]]))
    found = _COMMAND.fullmatch(command)
    if not found:
        return layers
    verb, layer, turn_layer, turn, add_to = found.groups()
    if add_to is not None:
        if int(add_to) < len(layers) and len(layers[int(add_to)].turns) < MAX_TURNS:
            layers[int(add_to)].turns.append([""])
    elif layer is not None:
        _move_item(layers, verb, int(layer))
    elif int(turn_layer) < len(layers):
        _move_item(layers[int(turn_layer)].turns, verb, int(turn))
    return layers


def layers_to_file(layers: Sequence[LayerForm], originals: Sequence[Any]) -> list[LayerEntry]:
    """The layers as entries of the file.

    Values that the form has not changed stay as they are written, and so do keys unknown to it.
    """
    return [
        _entry_from_form(
            layer, originals[layer.origin] if 0 <= layer.origin < len(originals) else None
        )
        for layer in layers
    ]


def _move_item(items: list[Any], verb: str, place: int) -> None:
    if place >= len(items):
        return
    item = items.pop(place)
    if verb != "remove":
        items.insert(max(0, place + (1 if verb == "down" else -1)), item)


def _form_from_entry(entry: LayerEntry, place: int) -> LayerForm:
    rotation = _as_dict(entry.get("rotation"))
    return LayerForm(
        name=str(entry.get("name", "")),
        turns=[_as_names(turn) for turn in _as_list(entry.get("users"))] or [[""]],
        every=str(rotation.get("every", "")),
        start=_start_field(str(rotation.get("start", ""))),
        by_active_days=rotation.get("advance") == "active_days",
        active=_as_names(entry.get("active_time_intervals")),
        mute=_as_names(entry.get("mute_time_intervals")),
        origin=place,
    )


def _form_from_fields(fields: Mapping[str, Sequence[str]], prefix: str) -> LayerForm:
    def value(name: str) -> str:
        return (fields.get(prefix + name) or [""])[-1].strip()

    turns = [
        list(fields[name])
        for turn in range(MAX_TURNS)
        if (name := f"{prefix}turn.{turn}") in fields
    ]
    origin = value("origin")
    return LayerForm(
        name=value("name"),
        turns=[[user for user in turn if user] or [""] for turn in turns],
        every=value("every"),
        start=value("start"),
        by_active_days=bool(value("by_active_days")),
        active=list(fields.get(f"{prefix}active", ())),
        mute=list(fields.get(f"{prefix}mute", ())),
        origin=int(origin) if re.fullmatch(r"\d{1,3}", origin, re.ASCII) else -1,
    )


def _entry_from_form(form: LayerForm, original: object) -> LayerEntry:
    entry = dict(_as_dict(original))
    before = _form_from_entry(entry, form.origin) if entry else LayerForm()
    turns = [people for turn in form.turns if (people := [name for name in turn if name])]
    _set_if_changed(entry, "name", form.name, before.name)
    if "users" not in entry or before.turns != turns:
        entry["users"] = [turn[0] if len(turn) == 1 else turn for turn in turns]
    if form.every or form.start:
        rotation = dict(_as_dict(entry.get("rotation")))
        advance, advance_before = (
            "active_days" if one.by_active_days else None for one in (form, before)
        )
        _set_if_changed(rotation, "every", form.every, before.every)
        _set_if_changed(rotation, "start", form.start, before.start)
        _set_if_changed(rotation, "advance", advance, advance_before)
        entry["rotation"] = rotation
    else:
        entry.pop("rotation", None)
    _set_if_changed(entry, "active_time_intervals", form.active or None, before.active or None)
    _set_if_changed(entry, "mute_time_intervals", form.mute or None, before.mute or None)
    return entry


def _set_if_changed(entry: LayerEntry, key: str, value: object, before: object) -> None:
    """Write a value that differs from the one before; None takes the key away."""
    if value == before:
        return
    if value is None:
        entry.pop(key, None)
    else:
        entry[key] = value


def _as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_names(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(name) for name in value]
    return [str(value)] if value else []


def _start_field(text: str) -> str:
    """A start for a field of day and time: a day alone begins at midnight."""
    return f"{text}T00:00" if _DAY.fullmatch(text) else text
