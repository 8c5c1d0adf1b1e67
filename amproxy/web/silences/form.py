"""The form of a silence or maintenance window: filled in, previewed, saved.

Every step is an address or a form, so that it works without scripts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
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
from amproxy.text import Phrase
from amproxy.web.http.audited import mute_phrase, silence_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    Forbidden,
    principal_of,
    require_role,
    resolve_actor,
    set_audit_phrase,
)
from amproxy.web.http.request import known_user, parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user, reader_zone
from amproxy.web.silences.bodies import (
    EditSilenceRequest,
    MaintenanceWindowRequest,
    new_window,
    parse_zone,
    silence_from_request,
    window_from_request,
)
from amproxy.web.silences.page import (
    MAX_LISTED_ALERTS,
    MuteKind,
    MuteView,
    find_mute,
    requested_kind,
    view_of_silence,
    view_of_window,
)
from amproxy.web.silences.preview import (
    MutePreview,
    load_mute_rights,
    parse_matcher_texts,
    preview_muting,
    require_mute,
)

DURATION_CHOICES = ("1h", "2h", "4h", "8h", "1d", "3d", "1w")
MONDAY, ENDLESS = "monday", "endless"  # until next Monday 9:00; of a window that recurs: no end
MORNING_HOUR = 9  # the hour at which people are back
WEEK_DAYS = 7
MAX_MATCHERS_LENGTH = 4000  # characters of all matchers


class MuteDraft(msgspec.Struct, kw_only=True, frozen=True):
    """The fields as they were filled in."""

    kind: MuteKind
    name: str = ""
    matchers: str = ""  # one a line
    start: str = ""  # "" = now, or unchanged
    for_: str = ""  # one of DURATION_CHOICES, MONDAY, ENDLESS; "" = unchanged
    until: str = ""  # goes before `for_`
    intervals: tuple[str, ...] = ()
    timezone: str = "UTC"
    comment: str = ""
    user: str = ""

    @property
    def matcher_lines(self) -> list[str]:
        return [line for line in self.matchers[:MAX_MATCHERS_LENGTH].splitlines() if line.strip()]

    def silence_request(self, now: float) -> EditSilenceRequest:
        return EditSilenceRequest(
            matchers=self.matcher_lines,
            start=self.start or None,
            end=self._end(now),
            for_=self._for(),
            timezone=self.timezone,
            comment=self.comment,
        )

    def window_request(self, now: float) -> MaintenanceWindowRequest:
        return MaintenanceWindowRequest(
            name=self.name or None,
            matchers=self.matcher_lines,
            start=self.start or None,
            end=self._end(now),
            for_=self._for(),
            active_time_intervals=list(self.intervals),
            timezone=self.timezone,
            comment=self.comment,
        )

    def _end(self, now: float) -> str | None:
        return self.until or (next_monday(now, self.timezone) if self.for_ == MONDAY else None)

    def _for(self) -> str | None:
        return self.for_ or None if not self.until and self.for_ not in (MONDAY, ENDLESS) else None


def parse_draft(fields: Mapping[str, Sequence[str]], kind: MuteKind, timezone: str) -> MuteDraft:
    """A draft from the fields of a form or an address.

    `label`s are matchers, too: links from an alert carry them. timezone: where the fields have
    none. Raises HTTPException 422 for an unknown zone.
    """

    def last(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    lines = [*fields.get("label", ()), *last("matchers").splitlines()]
    return MuteDraft(
        kind=kind,
        name=last("name"),
        matchers="\n".join(line.strip() for line in lines if line.strip()),
        start=last("start"),
        for_=last("for"),
        until=last("until"),
        intervals=tuple(name for name in fields.get("interval", ()) if name),
        timezone=parse_zone(last("timezone") or timezone),
        comment=last("comment"),
        user=last("user"),
    )


def draft_from_mute(mute: MuteView, timezone: str) -> MuteDraft:
    """The draft that begins to change a silence or window. timezone: of the reader."""
    return MuteDraft(
        kind=mute.kind,
        name=mute.name,
        matchers="\n".join(str(matcher) for matcher in mute.sets[0]),
        intervals=mute.intervals,
        timezone=mute.timezone if mute.kind == "maintenance" else timezone,
        comment=mute.comment,
    )


def next_monday(now: float, timezone: str) -> str:
    """The next Monday, 9:00 on the clock of a zone, as a wall-clock time."""
    local = utc(now).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    monday = local.date() + timedelta(days=-local.weekday() % WEEK_DAYS)
    morning = datetime.combine(monday, time(MORNING_HOUR))
    if morning <= local:
        morning += timedelta(days=WEEK_DAYS)
    return morning.isoformat(timespec="minutes")


class DraftPreview(NamedTuple):
    """The alerts that a draft would hide now."""

    matchers: Sequence[Matcher]
    muting: MutePreview
    digest: str  # of the matchers
    refusal: Phrase | None  # the reason why the reader may not save it, None = they may


class SilenceFormPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        paths = ("/silences/new", "/silences/windows/{id:path}/edit", "/silences/{id}/edit")
        return [
            Route(path, endpoint, methods=[method])
            for path in paths
            for endpoint, method in ((self.show, "GET"), (self.save, "POST"))
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """The form, filled in from the address, with a preview once it has matchers."""
        require_role(request, "responder")
        old, query = await self._find_edited(request), request.query_params
        if old:
            await require_mute(request, self._context, old.sets, ends=True)
        kind, zone = _draft_kind(old, query.get("kind", "")), self._zone(request)
        if old and "matchers" not in query:
            draft = draft_from_mute(old, zone)
        else:
            draft = parse_draft({name: query.getlist(name) for name in query}, kind, zone)
        try:
            preview = await self._preview(request, draft) if draft.matcher_lines else None
            return await self._render(request, old, draft, preview)
        except HTTPException as error:
            return await self._render(request, old, draft, None, error)

    async def save(self, request: Request) -> Response:
        """Save what was previewed; if the matchers have changed since, preview them instead."""
        require_role(request, "responder")
        fields, old = await parse_form_lists(request), await self._find_edited(request)
        kind = _draft_kind(old, fields.get("kind", [""])[-1])
        draft = parse_draft(fields, kind, self._zone(request))
        preview = None
        try:
            preview = await self._preview(request, draft)
            # A matcher that is too wide hides everything: nobody saves one without its preview.
            if fields.get("seen", [""])[-1] != preview.digest:
                return await self._render(request, old, draft, preview, preview_first=True)
            if old:
                await require_mute(request, self._context, old.sets, ends=True)
            await require_mute(request, self._context, [preview.matchers])
            saved = await self._save(request, old, draft)
        except (HTTPException, Conflict, BadAction, BadSilence, Forbidden) as error:
            return await self._render(request, old, draft, preview, error)
        set_audit_phrase(
            request,
            silence_phrase(saved.id, saved.sets)
            if saved.kind == "silence"
            else mute_phrase(saved.kind, "saved", saved.name),
        )
        return RedirectResponse(saved.path, 303)

    async def _save(self, request: Request, old: MuteView | None, draft: MuteDraft) -> MuteView:
        """Raises HTTPException 422, NotFound, Conflict, BadAction, BadSilence."""
        context, now = self._context, self._context.now()
        user = acting_user(request, context) or known_user(context, draft.user)
        by = resolve_actor(request, user)
        if draft.kind == "silence":
            before = await muting.find_silence(context, old.id) if old else None
            silence = silence_from_request(context, before, draft.silence_request(now), by)
            return view_of_silence(await muting.put_silence(context, silence), now)
        body = draft.window_request(now)
        if old:
            window = await muting.change_window(
                context, old.id, lambda before: window_from_request(context, before, body)
            )
        else:
            window = window_from_request(context, new_window(body, by), body)
            window = await muting.create_window(context, window)
        return view_of_window(context, window)

    async def _preview(self, request: Request, draft: MuteDraft) -> DraftPreview:
        """Raises HTTPException 422, StoreUnavailable."""
        context, matchers = self._context, parse_matcher_texts(draft.matcher_lines)
        digest = hashlib.sha256("\n".join(map(str, matchers)).encode()).hexdigest()[:16]
        rights = await load_mute_rights(context, principal_of(request), [matchers])
        muting = await preview_muting(context, [matchers])
        return DraftPreview(matchers, muting, digest, rights.extend)

    async def _find_edited(self, request: Request) -> MuteView | None:
        """The silence or window that is edited; None for a new one.

        Raises NotFound, Conflict for one that cannot be changed.
        """
        if "id" not in request.path_params:
            return None
        mute = await find_mute(self._context, requested_kind(request), request.path_params["id"])
        if not mute.changeable:
            raise Conflict(
                Phrase("refusal.mute_in_file" if mute.from_file else "refusal.mute_over")
            )
        return mute

    def _zone(self, request: Request) -> str:
        return reader_zone(request, self._context)

    async def _render(
        self,
        request: Request,
        old: MuteView | None,
        draft: MuteDraft,
        preview: DraftPreview | None,
        error: Exception | None = None,
        *,
        preview_first: bool = False,
    ) -> HTMLResponse:
        """preview_first: a reader wants to save matchers without having had their preview."""
        return await self._templates.page(
            request,
            "silence_form.html",
            describe_error(error).status if error else 200,
            problem=describe_error(error).phrase if error else "",
            old=old,
            submitted=request.method == "POST",
            draft=draft,
            preview=preview,
            preview_first=preview_first,
            max_alerts=MAX_LISTED_ALERTS,
            durations=(*DURATION_CHOICES, MONDAY),
            endless=ENDLESS,
            max_matchers_length=MAX_MATCHERS_LENGTH,
            intervals=sorted(self._context.config.time_intervals),
            action=f"{old.path}/edit" if old else "/silences/new",
        )


def _draft_kind(old: MuteView | None, name: str) -> MuteKind:
    if old:
        return old.kind
    return "maintenance" if name == "maintenance" else "silence"
