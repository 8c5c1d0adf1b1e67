"""What somebody is writing into the form of a silence or window: from an address or a form, and on to the API's bodies.

The form of a silence or maintenance window: written, looked at (what would it hide?), saved. Every step is an address or a form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.errors import Conflict
from amproxy.grouping.silences import BadSilence
from amproxy.labels.matchers import Matcher
from amproxy.respond import muting
from amproxy.respond.targets import BadAction
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import require, say, who_acts
from amproxy.web.http.request import known_user, lists
from amproxy.web.http.templates import Looks, acting
from amproxy.web.silences import bodies, page, preview
from amproxy.web.silences.bodies import SilenceBody, WindowBody, zone
from amproxy.web.silences.page import SHOWN_ALERTS, Hush, Kind, kind_of
from amproxy.web.silences.preview import Preview

LENGTHS = ("1h", "2h", "4h", "8h", "1d", "3d", "1w")
MONDAY, ENDLESS = "monday", "endless"  # until next Monday 9:00; of a window that recurs: no end
DAWN = 9  # the hour at which people are back
DAYS = 7
LONGEST = 4000  # characters of all matchers


class Draft(msgspec.Struct, kw_only=True, frozen=True):
    """The fields as they were written."""

    kind: Kind
    name: str = ""
    matchers: str = ""  # a line for each
    start: str = ""  # "" = now, or as it is
    for_: str = ""  # one of LENGTHS, MONDAY, ENDLESS; "" = as it is
    until: str = ""  # goes before `for_`
    intervals: tuple[str, ...] = ()
    timezone: str = "UTC"
    comment: str = ""
    user: str = ""

    @property
    def lines(self) -> list[str]:
        return [line for line in self.matchers[:LONGEST].splitlines() if line.strip()]

    def silence(self, now: float) -> SilenceBody:
        return SilenceBody(
            matchers=self.lines, start=self.start or None, end=self._end(now), for_=self._for(), timezone=self.timezone,
            comment=self.comment,
        )  # fmt: skip

    def window(self, now: float) -> WindowBody:
        return WindowBody(
            name=self.name or None, matchers=self.lines, start=self.start or None, end=self._end(now), for_=self._for(),
            active_time_intervals=list(self.intervals), timezone=self.timezone, comment=self.comment,
        )  # fmt: skip

    def _end(self, now: float) -> str | None:
        return self.until or (monday(now, self.timezone) if self.for_ == MONDAY else None)

    def _for(self) -> str | None:
        return self.for_ or None if not self.until and self.for_ not in (MONDAY, ENDLESS) else None


def written(fields: Mapping[str, Sequence[str]], kind: Kind, timezone: str) -> Draft:
    """A draft out of the fields of a form or an address. `label` are matchers, too: what a link from an alert carries.

    timezone: where none is written. Raises HTTPException 422 for one that there is not.
    """

    def last(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    lines = [*fields.get("label", ()), *last("matchers").splitlines()]
    return Draft(
        kind=kind, name=last("name"), matchers="\n".join(line.strip() for line in lines if line.strip()), start=last("start"),
        for_=last("for"), until=last("until"), intervals=tuple(name for name in fields.get("interval", ()) if name),
        timezone=zone(last("timezone") or timezone), comment=last("comment"), user=last("user"),
    )  # fmt: skip


def of(hush: Hush, timezone: str) -> Draft:
    """What the form of one that is there already begins with."""
    return Draft(
        kind=hush.kind, name=hush.name, matchers="\n".join(str(matcher) for matcher in hush.sets[0]), intervals=hush.intervals,
        timezone=hush.timezone if hush.kind == "maintenance" else timezone, comment=hush.comment,
    )  # fmt: skip


def monday(now: float, timezone: str) -> str:
    """The next Monday, 9:00 on the clock of a zone, as a wall-clock time."""
    local = utc(now).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    morning = datetime(local.year, local.month, local.day, DAWN) + timedelta(days=-local.weekday() % DAYS)  # noqa: DTZ001 wall clock
    return (morning if morning > local else morning + timedelta(days=DAYS)).isoformat(timespec="minutes")


class Seen(NamedTuple):
    """What a draft would hide now, and what stands for its matchers: they are saved only once this was shown."""

    matchers: Sequence[Matcher]
    preview: Preview
    digest: str


class SilenceForm:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        paths = ("/silences/new", "/silences/windows/{id:path}/edit", "/silences/{id}/edit")
        return [Route(path, how, methods=[method]) for path in paths for how, method in ((self.show, "GET"), (self.save, "POST"))]

    async def show(self, request: Request) -> HTMLResponse:
        """The form, with what it would hide as soon as it has matchers. All that was written stands in the address."""
        require(request, "responder")
        old, query = await self._old(request), request.query_params
        kind, zone = _kind(request, old), self._zone(request)
        draft = of(old, zone) if old and "matchers" not in query else written({name: query.getlist(name) for name in query}, kind, zone)
        try:
            return await self._draw(request, old, draft, await self._look(draft) if draft.lines else None)
        except HTTPException as error:
            return await self._draw(request, old, draft, None, error)

    async def save(self, request: Request) -> Response:
        """Save what was shown; where the matchers have changed since, show what they hide now instead."""
        require(request, "responder")
        fields, old = await lists(request), await self._old(request)
        draft = written(fields, _kind(request, old, fields), self._zone(request))
        seen = None
        try:
            seen = await self._look(draft)
            if fields.get("seen", [""])[-1] != seen.digest:
                return await self._draw(request, old, draft, seen, unseen=True)
            saved = await self._save(request, old, draft)
        except (HTTPException, Conflict, BadAction, BadSilence) as error:
            return await self._draw(request, old, draft, seen, error)
        say(request, f"Saved the {saved.kind} {saved.id[:300]} of {', '.join(map(str, seen.matchers))[:300]}.")
        return RedirectResponse(saved.path, 303)

    async def _save(self, request: Request, old: Hush | None, draft: Draft) -> Hush:
        """Raises HTTPException 422, NotFound, Conflict, BadAction, BadSilence."""
        context, now = self._context, self._context.now()
        by = who_acts(request, acting(request, context) or known_user(context, draft.user))
        if draft.kind == "silence":
            before = await muting.find_silence(context, old.id) if old else None
            silence = await muting.put(context, bodies.wanted(context, before, draft.silence(now), by))
            return page.of_silence(silence, now)
        body = draft.window(now)
        if old:
            window = await muting.change(context, old.id, lambda before: bodies.with_body(context, before, body))
        else:
            window = await muting.make(context, bodies.with_body(context, bodies.new(body, by), body))
        return page.of_window(context, window)

    async def _look(self, draft: Draft) -> Seen:
        """Raises HTTPException 422, StoreUnavailable."""
        matchers = preview.matchers(draft.lines)
        digest = hashlib.sha256("\n".join(map(str, matchers)).encode()).hexdigest()[:16]
        return Seen(matchers, await preview.look(self._context, [matchers]), digest)

    async def _old(self, request: Request) -> Hush | None:
        """What is edited. Raises NotFound, Conflict where that cannot be."""
        if "id" not in request.path_params:
            return None
        found = await page.find(self._context, kind_of(request), request.path_params["id"])
        if not found.changeable:
            raise Conflict("this stands in the file, and is changed there" if found.of_file else "this is over: make another one")
        return found

    def _zone(self, request: Request) -> str:
        user = acting(request, self._context)
        return self._context.config.users[user].timezone if user else "UTC"

    async def _draw(
        self, request: Request, old: Hush | None, draft: Draft, seen: Seen | None, error: Exception | None = None, *, unseen: bool = False
    ) -> HTMLResponse:
        """unseen: somebody wants to save what they have not been shown."""
        return await self._looks.page(
            request, "silence_form.html", told(error).status if error else 200, problem=told(error).detail if error else "", old=old,
            tried=request.method == "POST", draft=draft, seen=seen, unseen=unseen,
            shown=SHOWN_ALERTS, lengths=(*LENGTHS, MONDAY), endless=ENDLESS, longest=LONGEST,
            intervals=sorted(self._context.config.time_intervals), action=f"{old.path}/edit" if old else "/silences/new",
        )  # fmt: skip


def _kind(request: Request, old: Hush | None, fields: dict[str, list[str]] | None = None) -> Kind:
    asked = (fields or {}).get("kind", [""])[-1] if fields is not None else request.query_params.get("kind", "")
    return old.kind if old else "maintenance" if asked == "maintenance" else "silence"
