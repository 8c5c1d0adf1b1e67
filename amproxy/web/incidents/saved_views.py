"""The forms that save lists of incidents by name, for the person who reads them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from amproxy.notify.channels.text import one_line
from amproxy.store.views import delete_view, save_view
from amproxy.text import Phrase, phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import Forbidden, set_audit_phrase
from amproxy.web.http.request import invalid, parse_form
from amproxy.web.http.templates import acting_user
from amproxy.web.incidents.filters import filter_pairs

LONGEST_NAME: Final = 60  # characters
LONGEST_QUERY: Final = 2000


class SavedViewForms:
    """/me/views: each person has their own."""

    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/me/views", self.save, methods=["POST"]),
            Route("/me/views/delete", self.delete, methods=["POST"]),
            *(
                Route(path, self.back, methods=["GET"])
                for path in ("/me/views", "/me/views/delete")
            ),
        ]

    async def save(self, request: Request) -> Response:
        """Keep the query of a list under a name, in the place of one of that name."""
        fields, user = await parse_form(request), self._user(request)
        name = one_line(fields.get("name", "").strip(), LONGEST_NAME)
        query = urlencode(filter_pairs(QueryParams(fields.get("query", ""))))
        if not name:
            raise invalid(Phrase("refusal.view_name"))
        if len(query) > LONGEST_QUERY:
            raise invalid(Phrase("refusal.view_long", {"most": LONGEST_QUERY}))
        await save_view(self._context.wire, user, name, query)
        set_audit_phrase(request, phrase("audit.view_saved", name=name))
        return _list(query)

    async def delete(self, request: Request) -> Response:
        fields, user = await parse_form(request), self._user(request)
        name = fields.get("name", "")
        await delete_view(self._context.wire, user, name)
        set_audit_phrase(request, phrase("audit.view_deleted", name=name))
        return _list(urlencode(filter_pairs(QueryParams(fields.get("query", "")))))

    async def back(self, request: Request) -> Response:
        """The address of a form that was answered with an error, loaded again."""
        return RedirectResponse("/incidents", 303)

    def _user(self, request: Request) -> str:
        user = acting_user(request, self._context)
        if not user:
            raise Forbidden(Phrase("refusal.say_who"))
        return user


def _list(query: str) -> Response:
    return RedirectResponse(f"/incidents{'?' if query else ''}{query}", 303)
