"""/page: page somebody by hand."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.notify.channels.text import clean
from amproxy.notify.templates import LONGEST_TITLE
from amproxy.respond.by_hand import open_incident
from amproxy.respond.targets import BadAction
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import require, say, who_acts
from amproxy.web.http.request import lists
from amproxy.web.http.templates import Looks, acting
from amproxy.web.incidents.forms import Fields, one, target, urgency


class HandPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/page", self.show, methods=["GET"]), Route("/page", self.open, methods=["POST"])]

    async def show(self, request: Request) -> HTMLResponse:
        """An address may fill the form: ?title=, ?users=, ?to=."""
        query = request.query_params
        return await self._draw(request, {name: query.getlist(name) for name in query})

    async def open(self, request: Request) -> Response:
        require(request, "responder")
        fields, context = await lists(request), self._context
        by, title = who_acts(request, acting(request, context)), one(fields, "title")
        try:
            if len(title) > LONGEST_TITLE:
                raise BadAction(f"a title has at most {LONGEST_TITLE} characters")
            incident = await open_incident(
                context, title=title, by=by, to=target(fields), urgency=urgency(fields), text=one(fields, "text")
            )  # fmt: skip
        except BadAction as error:
            return await self._draw(request, fields, error)
        say(request, f"paged by hand: #{incident.number} {incident.title}")
        return RedirectResponse(f"/incidents/{incident.id}", 303)

    async def _draw(self, request: Request, fields: Fields, error: BadAction | None = None) -> HTMLResponse:
        config = self._context.config
        return await self._looks.page(
            request, "page.html", 422 if error else 200, problem=told(error).detail if error else "", longest=LONGEST_TITLE,
            given={name: clean(one(fields, name)) for name in ("title", "text", "to", "urgency")}, ticked=fields.get("users", []),
            teams=list(config.teams), schedules=list(config.schedules), policies=list(config.policies),
        )  # fmt: skip
