"""The sources: what each sent last, what of it was refused and why; the page, API and health."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.clock import Timestamp, rfc3339
from amproxy.context import Context
from amproxy.store.sources import SourceRecord, load_sources
from amproxy.text import Length, Phrase, PhraseValue, phrase
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.web.http.api import operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.templates import PageTemplates

NEWS_SECONDS: Final = 3600.0  # so long a refusal is a problem of today
TRY_AGAIN: Final = 503  # a push refused so comes again, and is not lost
# Of strangers: anybody who reaches amproxy can cause them.
STRANGE: Final = frozenset((401, 403, 404))

SourceState = Literal["well", "refused", "clock", "silent"]


class RefusalView(msgspec.Struct, kw_only=True):
    """One push that was refused; `body` is its beginning, without secrets."""

    at: Timestamp
    status: int
    reason: str
    code: str | None  # null where an earlier version stored the reason alone
    arguments: dict[str, Any] | None
    client: str | None
    body: str | None


class SourceView(msgspec.Struct, kw_only=True):
    """A source of the file, or a name that was pushed to; null = pushes that named none."""

    name: str | None
    state: SourceState
    pushes: int
    alerts: int
    last_push: Timestamp | None
    last_alerts: int
    refused: int
    last_refusal: RefusalView | None
    clock_behind: float | None  # seconds; null where nothing is wrong with the sender's clock


class SourcesView(msgspec.Struct, kw_only=True):
    sources: list[SourceView]


async def find_sources(context: Context) -> list[SourceRecord]:
    """The sources of the file and all others that pushed, by name. Raises StoreUnavailable."""
    known = {one.name: one for one in await load_sources(context.wire)}
    for name in context.config.sources:
        known.setdefault(name, SourceRecord(name=name))
    return [known[name] for name in sorted(known, key=lambda name: (not name, name))]


def source_state(source: SourceRecord, now: float) -> SourceState:
    """Decide what is worth knowing of a source first."""
    if source.clock_behind:
        return "clock"
    if source.refusal and source.refusal.at > now - NEWS_SECONDS:
        return "refused"
    return "well" if source.last_push else "silent"


def source_problems(sources: list[SourceRecord], now: float) -> list[Phrase]:
    """The sources whose pushes were refused of late, or whose clock is wrong."""
    found = []
    for source in sources:
        name, refusal = source.name, source.refusal
        if source.clock_behind:
            behind = Length(round(source.clock_behind))
            found.append(phrase("health.clock", source=name, by=behind))
        if refusal is None or refusal.at <= now - NEWS_SECONDS or refusal.status == TRY_AGAIN:
            continue
        if name or refusal.status not in STRANGE:
            values: dict[str, PhraseValue] = {
                "by": Length(max(1, round(now - refusal.at))),
                "status": refusal.status,
                "reason": refusal.reason,
            }
            found.append(
                Phrase("health.refused", {"source": name, **values})
                if name
                else Phrase("health.refused_unknown", values)
            )
    return found


class SourcesPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/sources", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        now, sources = self._context.now(), await find_sources(self._context)
        return await self._templates.page(
            request,
            "sources.html",
            sources=[(one, source_state(one, now)) for one in sources],
        )


class SourcesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "push", "GET /api/v1/sources", "listSources", "What each source sent, and what was refused"
    )
    async def index(self, request: Request) -> SourcesView:
        now = self._context.now()
        found = await find_sources(self._context)
        return SourcesView(sources=[_source_view(one, now) for one in found])


def _source_view(one: SourceRecord, now: float) -> SourceView:
    refusal = one.refusal
    return SourceView(
        name=one.name or None,
        state=source_state(one, now),
        pushes=one.pushes,
        alerts=one.alerts,
        last_push=rfc3339(one.last_push or None),
        last_alerts=one.last_alerts,
        refused=one.refused,
        last_refusal=RefusalView(
            at=rfc3339(refusal.at),
            status=refusal.status,
            reason=in_english(refusal.reason),
            code=code_of(refusal.reason, alone=True),
            arguments=arguments_of(refusal.reason),
            client=refusal.client or None,
            body=refusal.body or None,
        )
        if refusal
        else None,
        clock_behind=one.clock_behind or None,
    )
