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
from amproxy.correlate.muting import identity
from amproxy.errors import Conflict
from amproxy.grouping import silences
from amproxy.grouping.maintenance import bounds, next_opening, open_at, state
from amproxy.grouping.silences import BadSilence
from amproxy.model import Silence
from amproxy.respond import muting
from amproxy.respond.targets import BadAction
from amproxy.times import EARLIEST, LATEST
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import may, principal_of, require, say
from amproxy.web.http.request import form
from amproxy.web.http.templates import Looks
from amproxy.web.silences import bodies, preview
from amproxy.web.silences.bodies import ExtendBody, extension
from amproxy.web.silences.preview import Sets

Kind = Literal["silence", "maintenance"]
State = Literal["active", "pending", "closed", "expired"]  # closed: a window that recurs, between two openings
FOREVER = 4_000_000_000.0  # Unix seconds, in the year 2096: an end after that is none


class Hush(NamedTuple):
    """One silence or window. Times are Unix seconds; None = there is no such moment."""

    kind: Kind
    id: str
    name: str  # of a window
    sets: Sets
    state: State
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


class Counted(NamedTuple):
    """One with the number of alerts that fire now and match."""

    hush: Hush
    alerts: int


def of_silence(silence: Silence, now: float) -> Hush:
    start, end = silence.starts_ns / 10**9, silence.ends_ns / 10**9
    bounded = end if end < FOREVER else None
    shown = silences.shown_state(silence, int(now * 10**9))
    return Hush(
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


def of_window(context: Context, window: Maintenance) -> Hush:
    intervals, now = context.config.time_intervals, utc(context.now())
    until, known = open_at(window, intervals, now), state(window, intervals, now)
    start, end = bounds(window)
    return Hush(
        kind="maintenance",
        id=identity(window),
        name=window.name,
        sets=[window.matchers],
        state="active" if known == "open" else known,
        start=_moment(start),
        end=_moment(end),
        until=_moment(until),
        opens=_moment(next_opening(window, intervals, until or now)),
        by=window.created_by,
        comment=window.comment,
        intervals=window.active_time_intervals,
        of_file=not window.id,
        timezone=window.timezone,
    )


async def find(context: Context, kind: Kind, name: str) -> Hush:
    """Raises NotFound, StoreUnavailable."""
    if kind == "silence":
        return of_silence(await muting.find_silence(context, name), context.now())
    return of_window(context, await muting.find_window(context, name))


async def every(context: Context) -> list[Hush]:
    """All that are known: those in force first (the soonest end first), then those to come, then what is over (the last end first)."""
    now = context.now()
    found = [of_silence(silence, now) for silence in (await muting.load_silences(context)).values()]
    found += [of_window(context, window) for window in await muting.load_windows(context)]
    return sorted(found, key=_rank)


async def counted(context: Context, found: list[Hush]) -> tuple[list[Counted], int]:
    """Each with the alerts that fire now and match, and how many alerts those in force hide together. Raises StoreUnavailable."""
    matching = await preview.matching(context, {one.cause: one.sets for one in found})
    held = set[str]().union(*(matching[one.cause] for one in found if one.state == "active"))
    return [Counted(one, len(matching[one.cause])) for one in found], len(held)


def _rank(one: Hush) -> tuple[int, float, str]:
    if one.state == "active":
        return 0, one.until or FOREVER, one.id
    if one.state == "expired":
        return 2, -(one.end or 0.0), one.id
    return 1, one.opens or FOREVER, one.id


def _moment(at: datetime | None) -> float | None:
    return None if at is None or at <= EARLIEST or at >= LATEST else at.timestamp()


SHOWN_ENDED = 50
SHOWN_ALERTS = 50
SHOWN_HIDDEN = 100
EXTENSIONS = ("1h", "4h", "1d")


class SilencesPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
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
        require(request, "responder")
        kind, name, fields = kind_of(request), request.path_params["id"], await form(request)
        body = ExtendBody(for_=fields.get("for", ""))
        try:
            if kind == "silence":
                old = await muting.find_silence(self._context, name)
                await muting.extend_silence(self._context, name, bodies.extended(old, body))
            else:
                until, by = extension(body)
                await muting.extend_window(self._context, name, until=until, by=by)
        except (Conflict, BadAction, BadSilence) as error:
            return await self._draw(request, error)
        say(request, f"Prolonged the {kind} {name[:300]}.")
        return await self._back(request, fields)

    async def end(self, request: Request) -> Response:
        require(request, "responder")
        kind, name, fields = kind_of(request), request.path_params["id"], await form(request)
        try:
            await (muting.expire if kind == "silence" else muting.end)(self._context, name)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        say(request, f"Ended the {kind} {name[:300]}.")
        return await self._back(request, fields)

    async def _back(self, request: Request, fields: dict[str, str]) -> Response:
        """To where the button was: the list, or the thing itself."""
        if fields.get("back") == "list":
            return RedirectResponse("/silences", 303)
        found = await find(self._context, kind_of(request), request.path_params["id"])
        return RedirectResponse(found.path, 303)

    async def _draw_all(self, request: Request) -> HTMLResponse:
        query = request.query_params
        text, ended = query.get("text", "").strip(), bool(query.get("ended"))
        found = [one for one in await every(self._context) if _says(one, text.casefold())]
        shown = [one for one in found if one.state != "expired"]
        over = [one for one in found if one.state == "expired"]
        listed, held = await counted(self._context, shown)
        return await self._looks.page(
            request, "silences.html", in_force=[one for one in listed if one.hush.state == "active"],
            planned=[one for one in listed if one.hush.state != "active"], over=over[:SHOWN_ENDED] if ended else [], ended=ended,
            more=max(0, len(over) - SHOWN_ENDED) if ended else 0, any_over=len(over), held=held, text=text, extensions=EXTENSIONS,
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context = self._context
        found = await find(context, kind_of(request), request.path_params["id"])
        records = await preview.records(context, found.cause)
        return await self._looks.page(
            request, "silence.html", told(error).status if error else 200, problem=told(error).detail if error else "", hush=found,
            preview=await preview.look(context, found.sets) if found.state != "expired" else None, records=records[:SHOWN_HIDDEN],
            more=max(0, len(records) - SHOWN_HIDDEN), shown=SHOWN_ALERTS, extensions=EXTENSIONS,
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip


def kind_of(request: Request) -> Kind:
    return "maintenance" if request.url.path.startswith("/silences/windows/") else "silence"


def _says(one: Hush, text: str) -> bool:
    words = (one.name, one.by, one.comment, *(str(matcher) for held in one.sets for matcher in held))
    return not text or any(text in word.casefold() for word in words)
