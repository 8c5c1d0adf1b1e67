"""The page of silences and maintenance windows: what is in force, planned and over; one of them, and what it hid."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.errors import Conflict
from amproxy.grouping.silences import BadSilence
from amproxy.respond import maintenance, muting
from amproxy.respond.targets import BadAction
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import may, principal_of, require, say
from amproxy.web.http.request import form
from amproxy.web.http.templates import Looks
from amproxy.web.silences import bodies, hushes, preview
from amproxy.web.silences.asked_window import ExtendBody, extension
from amproxy.web.silences.hushes import Hush, Kind

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
                old = await muting.find(self._context, name)
                await muting.extend(self._context, name, bodies.extended(old, body))
            else:
                until, by = extension(body)
                await maintenance.extend(self._context, name, until=until, by=by)
        except (Conflict, BadAction, BadSilence) as error:
            return await self._draw(request, error)
        say(request, f"Prolonged the {kind} {name[:300]}.")
        return await self._back(request, fields)

    async def end(self, request: Request) -> Response:
        require(request, "responder")
        kind, name, fields = kind_of(request), request.path_params["id"], await form(request)
        try:
            await (muting.expire if kind == "silence" else maintenance.end)(self._context, name)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        say(request, f"Ended the {kind} {name[:300]}.")
        return await self._back(request, fields)

    async def _back(self, request: Request, fields: dict[str, str]) -> Response:
        """To where the button was: the list, or the thing itself."""
        if fields.get("back") == "list":
            return RedirectResponse("/silences", 303)
        found = await hushes.find(self._context, kind_of(request), request.path_params["id"])
        return RedirectResponse(found.path, 303)

    async def _draw_all(self, request: Request) -> HTMLResponse:
        query = request.query_params
        text, ended = query.get("text", "").strip(), bool(query.get("ended"))
        found = [one for one in await hushes.every(self._context) if _says(one, text.casefold())]
        shown = [one for one in found if one.state != "expired"]
        over = [one for one in found if one.state == "expired"]
        listed, held = await hushes.counted(self._context, shown)
        return await self._looks.page(
            request, "silences.html", in_force=[one for one in listed if one.hush.state == "active"],
            planned=[one for one in listed if one.hush.state != "active"], over=over[:SHOWN_ENDED] if ended else [], ended=ended,
            more=max(0, len(over) - SHOWN_ENDED) if ended else 0, any_over=len(over), held=held, text=text, extensions=EXTENSIONS,
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context = self._context
        found = await hushes.find(context, kind_of(request), request.path_params["id"])
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
