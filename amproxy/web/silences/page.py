"""Silences and maintenance windows side by side, as pages list them: what is in force, what is planned, what is over.

The page of silences and maintenance windows: what is in force, planned and over; one of them, and what it hid.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.correlate.muting import window_key
from amproxy.errors import Conflict
from amproxy.grouping import silences
from amproxy.grouping.maintenance import next_opening, open_until, window_bounds, window_state
from amproxy.grouping.silences import BadSilence
from amproxy.model import Silence
from amproxy.respond import muting
from amproxy.respond.targets import BadAction
from amproxy.times import EARLIEST, LATEST
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import may, principal_of, require_role, set_audit_text
from amproxy.web.http.request import parse_form
from amproxy.web.http.templates import PageTemplates
from amproxy.web.silences import bodies, preview
from amproxy.web.silences.bodies import ExtendRequest, parse_extension
from amproxy.web.silences.preview import MatcherSets

MuteKind = Literal["silence", "maintenance"]
MuteState = Literal["active", "pending", "closed", "expired"]  # closed: a window that recurs, between two openings
FOREVER = 4_000_000_000.0  # Unix seconds, in the year 2096: an end after that is none


class MuteView(NamedTuple):
    """One silence or window. Times are Unix seconds; None = there is no such moment."""

    kind: MuteKind
    id: str
    name: str  # of a window
    sets: MatcherSets
    state: MuteState
    start: float | None
    end: float | None
    until: float | None  # of one in force: when that ends
    opens: float | None  # the next opening
    by: str
    comment: str
    intervals: tuple[str, ...]
    of_file: bool
    timezone: str

    @property
    def path(self) -> str:
        """Its page; a window of the file is called by its name, which may hold any character."""
        return f"/silences/windows/{quote(self.id, safe='')}" if self.kind == "maintenance" else f"/silences/{quote(self.id, safe='')}"

    @property
    def cause(self) -> str:
        """What the record of hidden alerts calls it."""
        return f"{self.kind}:{self.id}"

    @property
    def changeable(self) -> bool:
        return not self.of_file and self.state != "expired"


class MuteRow(NamedTuple):
    """One with the number of alerts that fire now and match."""

    hush: MuteView
    alerts: int


def view_of_silence(silence: Silence, now: float) -> MuteView:
    start, end = silence.starts_ns / 10**9, silence.ends_ns / 10**9
    bounded = end if end < FOREVER else None
    shown = silences.display_state(silence, int(now * 10**9))
    return MuteView(
        kind="silence",
        id=silence.id,
        name="",
        sets=silence.matcher_sets,
        state=shown,
        start=start,
        end=bounded,
        until=bounded if shown == "active" else None,
        opens=start if shown == "pending" else None,
        by=silence.created_by,
        comment=silence.comment,
        intervals=(),
        of_file=False,
        timezone="UTC",
    )


def view_of_window(context: Context, window: Maintenance) -> MuteView:
    intervals, now = context.config.time_intervals, utc(context.now())
    until, known = open_until(window, intervals, now), window_state(window, intervals, now)
    start, end = window_bounds(window)
    return MuteView(
        kind="maintenance",
        id=window_key(window),
        name=window.name,
        sets=[window.matchers],
        state="active" if known == "open" else known,
        start=_bounded_timestamp(start),
        end=_bounded_timestamp(end),
        until=_bounded_timestamp(until),
        opens=_bounded_timestamp(next_opening(window, intervals, until or now)),
        by=window.created_by,
        comment=window.comment,
        intervals=window.active_time_intervals,
        of_file=not window.id,
        timezone=window.timezone,
    )


async def find_mute(context: Context, kind: MuteKind, name: str) -> MuteView:
    """Raises NotFound, StoreUnavailable."""
    if kind == "silence":
        return view_of_silence(await muting.find_silence(context, name), context.now())
    return view_of_window(context, await muting.find_window(context, name))


async def load_mutes(context: Context) -> list[MuteView]:
    """All that are known: those in force first (the soonest end first), then those to come, then what is over (the last end first)."""
    now = context.now()
    found = [view_of_silence(silence, now) for silence in (await muting.load_silences(context)).values()]
    found += [view_of_window(context, window) for window in await muting.load_windows(context)]
    return sorted(found, key=_mute_rank)


async def count_alerts(context: Context, found: list[MuteView]) -> tuple[list[MuteRow], int]:
    """Each with the alerts that fire now and match, and how many alerts those in force hide together. Raises StoreUnavailable."""
    matching = await preview.match_firing(context, {one.cause: one.sets for one in found})
    held = set[str]().union(*(matching[one.cause] for one in found if one.state == "active"))
    return [MuteRow(one, len(matching[one.cause])) for one in found], len(held)


def _mute_rank(one: MuteView) -> tuple[int, float, str]:
    if one.state == "active":
        return 0, one.until or FOREVER, one.id
    if one.state == "expired":
        return 2, -(one.end or 0.0), one.id
    return 1, one.opens or FOREVER, one.id


def _bounded_timestamp(at: datetime | None) -> float | None:
    return None if at is None or at <= EARLIEST or at >= LATEST else at.timestamp()


MAX_LISTED_ENDED = 50
MAX_LISTED_ALERTS = 50
MAX_LISTED_HIDDEN = 100
EXTENSIONS = ("1h", "4h", "1d")


class SilencesPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        # windows first: one of the file is called by its name, which may hold any character
        return [
            Route("/silences", self.index, methods=["GET"]),
            *(
                route
                for where in ("/silences/windows/{id:path}", "/silences/{id}")
                for route in (
                    Route(f"{where}/extend", self.extend, methods=["POST"]),
                    Route(f"{where}/end", self.end, methods=["POST"]),
                    Route(where, self.show, methods=["GET"]),
                )
            ),
        ]

    async def index(self, request: Request) -> HTMLResponse:
        return await self._draw_all(request)

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request)

    async def extend(self, request: Request) -> Response:
        require_role(request, "responder")
        kind, name, fields = requested_kind(request), request.path_params["id"], await parse_form(request)
        body = ExtendRequest(for_=fields.get("for", ""))
        try:
            if kind == "silence":
                old = await muting.find_silence(self._context, name)
                await muting.extend_silence(self._context, name, bodies.parse_extended_end(old, body))
            else:
                until, by = parse_extension(body)
                await muting.extend_window(self._context, name, until=until, by=by)
        except (Conflict, BadAction, BadSilence) as error:
            return await self._draw(request, error)
        set_audit_text(request, f"Prolonged the {kind} {name[:300]}.")
        return await self._back(request, fields)

    async def end(self, request: Request) -> Response:
        require_role(request, "responder")
        kind, name, fields = requested_kind(request), request.path_params["id"], await parse_form(request)
        try:
            await (muting.expire_silence if kind == "silence" else muting.end_window)(self._context, name)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        set_audit_text(request, f"Ended the {kind} {name[:300]}.")
        return await self._back(request, fields)

    async def _back(self, request: Request, fields: dict[str, str]) -> Response:
        """To where the button was: the list, or the thing itself."""
        if fields.get("back") == "list":
            return RedirectResponse("/silences", 303)
        found = await find_mute(self._context, requested_kind(request), request.path_params["id"])
        return RedirectResponse(found.path, 303)

    async def _draw_all(self, request: Request) -> HTMLResponse:
        query = request.query_params
        text, ended = query.get("text", "").strip(), bool(query.get("ended"))
        found = [one for one in await load_mutes(self._context) if _contains_text(one, text.casefold())]
        shown = [one for one in found if one.state != "expired"]
        over = [one for one in found if one.state == "expired"]
        listed, held = await count_alerts(self._context, shown)
        return await self._looks.page(
            request, "silences.html", in_force=[one for one in listed if one.hush.state == "active"],
            planned=[one for one in listed if one.hush.state != "active"], over=over[:MAX_LISTED_ENDED] if ended else [], ended=ended,
            more=max(0, len(over) - MAX_LISTED_ENDED) if ended else 0, any_over=len(over), held=held, text=text, extensions=EXTENSIONS,
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context = self._context
        found = await find_mute(context, requested_kind(request), request.path_params["id"])
        records = await preview.load_hidden_rows(context, found.cause)
        return await self._looks.page(
            request, "silence.html", describe_error(error).status if error else 200, problem=describe_error(error).detail if error else "", hush=found,
            preview=await preview.preview_muting(context, found.sets) if found.state != "expired" else None, records=records[:MAX_LISTED_HIDDEN],
            more=max(0, len(records) - MAX_LISTED_HIDDEN), shown=MAX_LISTED_ALERTS, extensions=EXTENSIONS,
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip


def requested_kind(request: Request) -> MuteKind:
    return "maintenance" if request.url.path.startswith("/silences/windows/") else "silence"


def _contains_text(one: MuteView, text: str) -> bool:
    words = (one.name, one.by, one.comment, *(str(matcher) for held in one.sets for matcher in held))
    return not text or any(text in word.casefold() for word in words)
