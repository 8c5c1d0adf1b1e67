"""The pages of silences and maintenance windows: in force, planned and ended; one of them.

A "mute" is a silence or a maintenance window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound
from amproxy.grouping import silences
from amproxy.grouping.maintenance import next_opening, open_until, window_bounds, window_state
from amproxy.grouping.muting import window_key
from amproxy.grouping.rights import Principal
from amproxy.grouping.silence_index import SilenceIndex
from amproxy.grouping.silences import BadSilence
from amproxy.labels.matchers import LabelsTest, all_match
from amproxy.model import Silence
from amproxy.respond import muting
from amproxy.respond.targets import BadAction
from amproxy.times import EARLIEST, LATEST
from amproxy.web.http.audited import mute_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.paging import page_of_list
from amproxy.web.http.permissions import principal_of, set_audit_phrase
from amproxy.web.http.request import parse_form
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates
from amproxy.web.silences.bodies import ExtendRequest, parse_extended_end, parse_extension
from amproxy.web.silences.preview import (
    MatcherSets,
    MuteRights,
    load_hidden_rows,
    load_mute_rights,
    match_firing,
    preview_muting,
    require_mute,
)

MuteKind = Literal["silence", "maintenance"]
# closed: a window that recurs, between two openings
MuteState = Literal["active", "pending", "closed", "expired"]

FOREVER = 4_000_000_000.0  # Unix seconds, in the year 2096: an end after that is none
MAX_LISTED_ENDED = 50
MAX_LISTED_ALERTS = 50
MAX_LISTED_HIDDEN = 100
EXTENSIONS = ("1h", "4h", "1d")


class SilencesPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        # Windows first: the id of one of the file is its name, which may hold any character.
        return [
            Route("/silences", self.index, methods=["GET"]),
            *(
                route
                for path in ("/silences/windows/{id:path}", "/silences/{id}")
                for route in (
                    Route(f"{path}/extend", self.extend, methods=["POST"]),
                    Route(f"{path}/end", self.end, methods=["POST"]),
                    Route(path, self.show, methods=["GET"]),
                )
            ),
        ]

    async def index(self, request: Request) -> HTMLResponse:
        query = request.query_params
        text, with_ended = query.get("text", "").strip(), bool(query.get("ended"))
        mutes = [
            mute
            for mute in await load_mutes(self._context)
            if not text or any(text.casefold() in one.casefold() for one in _searched_texts(mute))
        ]
        ended = [mute for mute in mutes if mute.state == "expired"]
        live = [mute for mute in mutes if mute.state != "expired"]
        in_force = [mute for mute in live if mute.state == "active"]
        listed = page_of_list(request, live, _searched_texts, others=("ended",))
        rows, hidden_now = await count_alerts(
            self._context, principal_of(request), listed.shown, in_force
        )
        return await self._templates.page(
            request,
            "silences.html",
            in_force=[row for row in rows if row.mute.state == "active"],
            planned=[row for row in rows if row.mute.state != "active"],
            ended=[MuteRow(mute, 0, None) for mute in ended[:MAX_LISTED_ENDED] if with_ended],
            with_ended=with_ended,
            more_ended=max(0, len(ended) - MAX_LISTED_ENDED) if with_ended else 0,
            any_ended=bool(ended),
            listed=listed,
            number_in_force=len(in_force),
            hidden_now=hidden_now,
            text=text,
            extensions=EXTENSIONS,
        )

    async def show(self, request: Request) -> Response:
        """Show a silence or window; the address of a button of a window leads to the window."""
        try:
            return await self._render(request)
        except NotFound:
            window, _, button = request.url.path.rpartition("/")
            if button in ("extend", "end") and window != "/silences/windows":
                return RedirectResponse(quote(window), 303)
            raise

    async def extend(self, request: Request) -> Response:
        kind, mute_id = requested_kind(request), request.path_params["id"]
        mute = await find_mute(self._context, kind, mute_id)
        await require_mute(request, self._context, mute.sets)
        fields = await parse_form(request)
        body = ExtendRequest(for_=fields.get("for", ""))
        try:
            if kind == "silence":
                old = await muting.find_silence(self._context, mute_id)
                end_ns = parse_extended_end(old, body)
                await muting.extend_silence(self._context, mute_id, end_ns)
            else:
                until, by = parse_extension(body)
                await muting.extend_window(self._context, mute_id, until=until, by=by)
        except (Conflict, BadAction, BadSilence) as error:
            return await self._render(request, error)
        set_audit_phrase(request, mute_phrase(kind, "prolonged", mute.name or mute.id))
        return await self._redirect_back(request, fields)

    async def end(self, request: Request) -> Response:
        kind, mute_id = requested_kind(request), request.path_params["id"]
        mute = await find_mute(self._context, kind, mute_id)
        await require_mute(request, self._context, mute.sets, ends=True)
        fields = await parse_form(request)
        end = muting.expire_silence if kind == "silence" else muting.end_window
        try:
            await end(self._context, mute_id)
        except (Conflict, BadAction) as error:
            return await self._render(request, error)
        set_audit_phrase(request, mute_phrase(kind, "ended", mute.name or mute.id))
        return await self._redirect_back(request, fields)

    async def _redirect_back(self, request: Request, fields: dict[str, str]) -> Response:
        """Lead to the page of the button: the list, or that of the silence or window."""
        if fields.get("back") == "list":
            return RedirectResponse("/silences", 303)
        mute = await find_mute(self._context, requested_kind(request), request.path_params["id"])
        return RedirectResponse(mute.path, 303)

    async def _render(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context = self._context
        mute = await find_mute(context, requested_kind(request), request.path_params["id"])
        records = await load_hidden_rows(context, mute.record_key)
        over, rights = mute.state == "expired", None
        if mute.changeable:
            rights = await load_mute_rights(context, principal_of(request), mute.sets)
        return await self._templates.page(
            request,
            "silence.html",
            describe_error(error).status if error else 200,
            problem=describe_error(error).phrase if error else "",
            mute=mute,
            preview=None if over else await preview_muting(context, mute.sets),
            records=records[:MAX_LISTED_HIDDEN],
            more_records=max(0, len(records) - MAX_LISTED_HIDDEN),
            max_alerts=MAX_LISTED_ALERTS,
            extensions=EXTENSIONS,
            rights=rights,
        )


def requested_kind(request: Request) -> MuteKind:
    return "maintenance" if request.url.path.startswith("/silences/windows/") else "silence"


def _searched_texts(mute: MuteView) -> Iterator[str]:
    yield from (mute.name, mute.created_by, mute.comment)
    yield from (str(matcher) for matchers in mute.sets for matcher in matchers)


class MuteView(NamedTuple):
    """One silence or window. Times are Unix seconds; None = there is no such time."""

    kind: MuteKind
    id: str
    name: str  # of a window
    sets: MatcherSets
    state: MuteState
    start: float | None
    end: float | None
    until: float | None  # the end of the present opening, of one in force
    next_opening: float | None
    created_by: str
    comment: str
    intervals: tuple[str, ...]
    from_file: bool
    timezone: str

    @property
    def path(self) -> str:
        """The address of its page."""
        folder = "/silences/windows" if self.kind == "maintenance" else "/silences"
        # The id of a window of the file is its name, which may hold any character.
        return f"{folder}/{quote(self.id, safe='')}"

    @property
    def record_key(self) -> str:
        """Its key in the records of hidden alerts."""
        return f"{self.kind}:{self.id}"

    @property
    def changeable(self) -> bool:
        return not self.from_file and self.state != "expired"


class MuteRow(NamedTuple):
    """A silence or window, and the number of alerts that fire now and match.

    rights: of the reader, None where nobody changes it.
    """

    mute: MuteView
    alerts: int
    rights: MuteRights | None


def view_of_silence(silence: Silence, now: float) -> MuteView:
    start, end = silence.starts_ns / 10**9, silence.ends_ns / 10**9
    bounded = end if end < FOREVER else None
    state = silences.display_state(silence, int(now * 10**9))
    return MuteView(
        kind="silence",
        id=silence.id,
        name="",
        sets=silence.matcher_sets,
        state=state,
        start=start,
        end=bounded,
        until=bounded if state == "active" else None,
        next_opening=start if state == "pending" else None,
        created_by=silence.created_by,
        comment=silence.comment,
        intervals=(),
        from_file=False,
        timezone="UTC",
    )


def view_of_window(context: Context, window: Maintenance) -> MuteView:
    intervals, now = context.config.time_intervals, utc(context.now())
    until, state = open_until(window, intervals, now), window_state(window, intervals, now)
    start, end = window_bounds(window)
    return MuteView(
        kind="maintenance",
        id=window_key(window),
        name=window.name,
        sets=[window.matchers],
        state="active" if state == "open" else state,
        start=_bounded_timestamp(start),
        end=_bounded_timestamp(end),
        until=_bounded_timestamp(until),
        next_opening=_bounded_timestamp(next_opening(window, intervals, until or now)),
        created_by=window.created_by,
        comment=window.comment,
        intervals=window.active_time_intervals,
        from_file=not window.id,
        timezone=window.timezone,
    )


async def find_mute(context: Context, kind: MuteKind, mute_id: str) -> MuteView:
    """Raises NotFound, StoreUnavailable."""
    if kind == "silence":
        return view_of_silence(await muting.find_silence(context, mute_id), context.now())
    return view_of_window(context, await muting.find_window(context, mute_id))


async def load_mutes(context: Context) -> list[MuteView]:
    """Those in force by their end, those to come by their opening, then those that are over.

    The last ended is the first of these.
    """
    now = context.now()
    all_silences = (await muting.load_silences(context)).values()
    mutes = [view_of_silence(silence, now) for silence in all_silences]
    mutes += [view_of_window(context, window) for window in await muting.load_windows(context)]
    return sorted(mutes, key=_mute_rank)


async def count_alerts(
    context: Context, principal: Principal, mutes: Sequence[MuteView], in_force: Sequence[MuteView]
) -> tuple[list[MuteRow], int]:
    """The rows of some mutes, and the number of alerts that all those in force hide together.

    Raises StoreUnavailable.
    """
    wanted = {mute.record_key: mute.sets for mute in mutes}
    index = await context.silences.all(context.wire)
    hides = _hiding_test(index, in_force, int(context.now() * 10**9))
    found = await match_firing(context, principal, wanted, hides)
    rows = list[MuteRow]()
    for mute in mutes:
        matching = found.matching[mute.record_key]
        rights = matching.rights if mute.changeable else None
        rows.append(MuteRow(mute, len(matching.fingerprints), rights))
    return rows, found.hidden


def _hiding_test(index: SilenceIndex, mutes: Sequence[MuteView], now_ns: int) -> LabelsTest:
    """Decide of labels if one of these mutes matches; silences are found by the index."""
    silences = {mute.id for mute in mutes if mute.kind == "silence"}
    windows = [one for mute in mutes if mute.kind == "maintenance" for one in mute.sets]

    def hides(labels: Mapping[str, str]) -> bool:
        return not silences.isdisjoint(index.matching(labels, now_ns)) or any(
            all_match(matchers, labels) for matchers in windows
        )

    return hides


def _mute_rank(mute: MuteView) -> tuple[int, float, str]:
    if mute.state == "active":
        return 0, mute.until or FOREVER, mute.id
    if mute.state == "expired":
        return 2, -(mute.end or 0.0), mute.id
    return 1, mute.next_opening or FOREVER, mute.id


def _bounded_timestamp(at: datetime | None) -> float | None:
    return None if at is None or at <= EARLIEST or at >= LATEST else at.timestamp()
