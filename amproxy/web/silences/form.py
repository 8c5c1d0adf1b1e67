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
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import require_role, resolve_actor, set_audit_text
from amproxy.web.http.request import known_user, parse_form_lists
from amproxy.web.http.templates import PageTemplates, acting_user
from amproxy.web.silences import bodies, page, preview
from amproxy.web.silences.bodies import EditSilenceRequest, MaintenanceWindowRequest, parse_zone
from amproxy.web.silences.page import MAX_LISTED_ALERTS, MuteKind, MuteView, requested_kind
from amproxy.web.silences.preview import MutePreview

DURATION_CHOICES = ("1h", "2h", "4h", "8h", "1d", "3d", "1w")
MONDAY, ENDLESS = "monday", "endless"  # until next Monday 9:00; of a window that recurs: no end
MORNING_HOUR = 9  # the hour at which people are back
WEEK_DAYS = 7
MAX_MATCHERS_LENGTH = 4000  # characters of all matchers


class MuteDraft(msgspec.Struct, kw_only=True, frozen=True):
    """The fields as they were written."""

    kind: MuteKind
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
        return [line for line in self.matchers[:MAX_MATCHERS_LENGTH].splitlines() if line.strip()]

    def silence(self, now: float) -> EditSilenceRequest:
        return EditSilenceRequest(
            matchers=self.lines, start=self.start or None, end=self._end(now), for_=self._for(), timezone=self.timezone,
            comment=self.comment,
        )  # fmt: skip

    def window(self, now: float) -> MaintenanceWindowRequest:
        return MaintenanceWindowRequest(
            name=self.name or None, matchers=self.lines, start=self.start or None, end=self._end(now), for_=self._for(),
            active_time_intervals=list(self.intervals), timezone=self.timezone, comment=self.comment,
        )  # fmt: skip

    def _end(self, now: float) -> str | None:
        return self.until or (next_monday(now, self.timezone) if self.for_ == MONDAY else None)

    def _for(self) -> str | None:
        return self.for_ or None if not self.until and self.for_ not in (MONDAY, ENDLESS) else None


def parse_draft(fields: Mapping[str, Sequence[str]], kind: MuteKind, timezone: str) -> MuteDraft:
    """A draft out of the fields of a form or an address. `label` are matchers, too: what a link from an alert carries.

    timezone: where none is written. Raises HTTPException 422 for one that there is not.
    """

    def last(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    lines = [*fields.get("label", ()), *last("matchers").splitlines()]
    return MuteDraft(
        kind=kind, name=last("name"), matchers="\n".join(line.strip() for line in lines if line.strip()), start=last("start"),
        for_=last("for"), until=last("until"), intervals=tuple(name for name in fields.get("interval", ()) if name),
        timezone=parse_zone(last("timezone") or timezone), comment=last("comment"), user=last("user"),
    )  # fmt: skip


def draft_from_mute(hush: MuteView, timezone: str) -> MuteDraft:
    """What the form of one that is there already begins with."""
    return MuteDraft(
        kind=hush.kind, name=hush.name, matchers="\n".join(str(matcher) for matcher in hush.sets[0]), intervals=hush.intervals,
        timezone=hush.timezone if hush.kind == "maintenance" else timezone, comment=hush.comment,
    )  # fmt: skip


def next_monday(now: float, timezone: str) -> str:
    """The next Monday, 9:00 on the clock of a zone, as a wall-clock time."""
    local = utc(now).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    morning = datetime(local.year, local.month, local.day, MORNING_HOUR) + timedelta(days=-local.weekday() % WEEK_DAYS)  # noqa: DTZ001 wall clock
    return (morning if morning > local else morning + timedelta(days=WEEK_DAYS)).isoformat(timespec="minutes")


class DraftPreview(NamedTuple):
    """What a draft would hide now, and what stands for its matchers: they are saved only once this was shown."""

    matchers: Sequence[Matcher]
    preview: MutePreview
    digest: str


class SilenceFormPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        paths = ("/silences/new", "/silences/windows/{id:path}/edit", "/silences/{id}/edit")
        return [Route(path, how, methods=[method]) for path in paths for how, method in ((self.show, "GET"), (self.save, "POST"))]

    async def show(self, request: Request) -> HTMLResponse:
        """The form, with what it would hide as soon as it has matchers. All that was written stands in the address."""
        require_role(request, "responder")
        old, query = await self._old(request), request.query_params
        kind, zone = _draft_kind(request, old), self._zone(request)
        draft = (
            draft_from_mute(old, zone)
            if old and "matchers" not in query
            else parse_draft({name: query.getlist(name) for name in query}, kind, zone)
        )
        try:
            return await self._draw(request, old, draft, await self._look(draft) if draft.lines else None)
        except HTTPException as error:
            return await self._draw(request, old, draft, None, error)

    async def save(self, request: Request) -> Response:
        """Save what was shown; where the matchers have changed since, show what they hide now instead."""
        require_role(request, "responder")
        fields, old = await parse_form_lists(request), await self._old(request)
        draft = parse_draft(fields, _draft_kind(request, old, fields), self._zone(request))
        seen = None
        try:
            seen = await self._look(draft)
            if fields.get("seen", [""])[-1] != seen.digest:
                return await self._draw(request, old, draft, seen, unseen=True)
            saved = await self._save(request, old, draft)
        except (HTTPException, Conflict, BadAction, BadSilence) as error:
            return await self._draw(request, old, draft, seen, error)
        set_audit_text(request, f"Saved the {saved.kind} {saved.id[:300]} of {', '.join(map(str, seen.matchers))[:300]}.")
        return RedirectResponse(saved.path, 303)

    async def _save(self, request: Request, old: MuteView | None, draft: MuteDraft) -> MuteView:
        """Raises HTTPException 422, NotFound, Conflict, BadAction, BadSilence."""
        context, now = self._context, self._context.now()
        by = resolve_actor(request, acting_user(request, context) or known_user(context, draft.user))
        if draft.kind == "silence":
            before = await muting.find_silence(context, old.id) if old else None
            silence = await muting.put_silence(context, bodies.silence_from_request(context, before, draft.silence(now), by))
            return page.view_of_silence(silence, now)
        body = draft.window(now)
        if old:
            window = await muting.change_window(context, old.id, lambda before: bodies.window_from_request(context, before, body))
        else:
            window = await muting.create_window(context, bodies.window_from_request(context, bodies.new_window(body, by), body))
        return page.view_of_window(context, window)

    async def _look(self, draft: MuteDraft) -> DraftPreview:
        """Raises HTTPException 422, StoreUnavailable."""
        matchers = preview.parse_matcher_texts(draft.lines)
        digest = hashlib.sha256("\n".join(map(str, matchers)).encode()).hexdigest()[:16]
        return DraftPreview(matchers, await preview.preview_muting(self._context, [matchers]), digest)

    async def _old(self, request: Request) -> MuteView | None:
        """What is edited. Raises NotFound, Conflict where that cannot be."""
        if "id" not in request.path_params:
            return None
        found = await page.find_mute(self._context, requested_kind(request), request.path_params["id"])
        if not found.changeable:
            raise Conflict("this stands in the file, and is changed there" if found.of_file else "this is over: make another one")
        return found

    def _zone(self, request: Request) -> str:
        user = acting_user(request, self._context)
        return self._context.config.users[user].timezone if user else "UTC"

    async def _draw(
        self,
        request: Request,
        old: MuteView | None,
        draft: MuteDraft,
        seen: DraftPreview | None,
        error: Exception | None = None,
        *,
        unseen: bool = False,
    ) -> HTMLResponse:
        """unseen: somebody wants to save what they have not been shown."""
        return await self._looks.page(
            request, "silence_form.html", describe_error(error).status if error else 200, problem=describe_error(error).detail if error else "", old=old,
            tried=request.method == "POST", draft=draft, seen=seen, unseen=unseen,
            shown=MAX_LISTED_ALERTS, lengths=(*DURATION_CHOICES, MONDAY), endless=ENDLESS, longest=MAX_MATCHERS_LENGTH,
            intervals=sorted(self._context.config.time_intervals), action=f"{old.path}/edit" if old else "/silences/new",
        )  # fmt: skip


def _draft_kind(request: Request, old: MuteView | None, fields: dict[str, list[str]] | None = None) -> MuteKind:
    asked = (fields or {}).get("kind", [""])[-1] if fields is not None else request.query_params.get("kind", "")
    return old.kind if old else "maintenance" if asked == "maintenance" else "silence"
