"""What a browser remembers for its reader: who acts, and the language."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from amproxy.text import LANGUAGES
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import form, known_user, own_path
from amproxy.web.http.templates import COOKIE, COOKIE_AGE, LANGUAGE_COOKIE


class Pages:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/me", self.choose_me, methods=["POST"]),
            Route("/language", self.choose_language, methods=["POST"]),
        ]

    async def choose_me(self, request: Request) -> Response:
        """Remember in a cookie who acts here."""
        fields = await form(request)
        user = known_user(self._context, fields.get("user"))
        answer = RedirectResponse(own_path(fields.get("back", "")), 303)
        answer.set_cookie(COOKIE, quote(user), max_age=COOKIE_AGE if user else 0, httponly=True, samesite="lax")
        return answer

    async def choose_language(self, request: Request) -> Response:
        """Remember in a cookie which language this browser reads."""
        fields = await form(request)
        answer = RedirectResponse(own_path(fields.get("back", "")), 303)
        if fields.get("language") in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, fields["language"], max_age=COOKIE_AGE, httponly=True, samesite="lax")
        return answer
