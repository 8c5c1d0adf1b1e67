"""/search, the page and the answers of the dialog that Ctrl-K opens."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.context import Context
from amproxy.model import IncidentState
from amproxy.web.http.api import operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import may, principal_of
from amproxy.web.http.templates import PageTemplates, navigation, reader_texts
from amproxy.web.search.find import (
    MAX_TEXT,
    Found,
    FoundKind,
    Sought,
    find_in_config,
    find_pages,
    rank_found,
)
from amproxy.web.search.titles import IncidentTitles


class SearchParameters(msgspec.Struct, frozen=True, kw_only=True):
    text: Annotated[
        str,
        msgspec.Meta(
            description="Words that must all stand in a name or title; or a number such as #12."
            " Without it: the pages."
        ),
    ] = ""


class FoundView(msgspec.Struct, kw_only=True):
    kind: FoundKind
    title: str
    detail: str | None  # the number of an incident, the name of a person, a team
    path: str  # below the address of the service
    state: IncidentState | None  # of an incident


class SearchView(msgspec.Struct, kw_only=True):
    found: list[FoundView]


async def search(
    request: Request, context: Context, titles: IncidentTitles, text: str
) -> list[Found]:
    """Find by a text, the best first. Raises StoreUnavailable."""
    sought, t = Sought.parse(text), reader_texts(request)
    pages = [(f"page.{item.key}", item.path) for item in navigation(request)]
    if may(principal_of(request), "responder"):
        pages.append(("page_by_hand.title", "/page"))
    if not text.strip():
        return [Found("page", t.plain(key), "", path) for key, path in pages]
    incidents = await titles.find(sought.words, sought.number)
    others = [*find_in_config(sought, context.config), *find_pages(sought, pages, t)]
    return rank_found(sought, incidents, others)


class SearchPage:
    def __init__(self, deps: Deps, templates: PageTemplates, titles: IncidentTitles) -> None:
        self._context, self._templates, self._titles = deps.context, templates, titles

    def routes(self) -> list[Route]:
        return [Route("/search", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        text = request.query_params.get("text", "")[:MAX_TEXT]
        return await self._templates.page(
            request,
            "search.html",
            text=text,
            found=await search(request, self._context, self._titles, text),
        )


class SearchApi:
    def __init__(self, deps: Deps, titles: IncidentTitles) -> None:
        self._context, self._titles = deps.context, titles

    @operation(
        "service", "GET /api/v1/search", "search", "Incidents, people, schedules, policies, pages"
    )
    async def index(self, request: Request, query: SearchParameters) -> SearchView:
        """Of incidents the newest 20,000. Pages are named in the reader's language."""
        found = await search(request, self._context, self._titles, query.text[:MAX_TEXT])
        return SearchView(
            found=[
                FoundView(
                    kind=one.kind,
                    title=one.title,
                    detail=one.detail or None,
                    path=one.path,
                    state=one.state,
                )
                for one in found
            ]
        )
