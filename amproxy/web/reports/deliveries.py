"""The page of deliveries: how each way out does, tests of it, and the log of what became of messages."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.check.lint import CHANNELS
from amproxy.errors import NotFound
from amproxy.respond import test_messages
from amproxy.respond.targets import BadAction
from amproxy.store import deliveries
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import may, principal_of, require, say
from amproxy.web.http.request import form
from amproxy.web.http.templates import Looks, acting
from amproxy.web.reports.asked_deliveries import OUTCOMES, Asked, asked, find
from amproxy.web.reports.deliveries_api import channels

FILTERS = ("channel", "user", "receiver", "outcome", "incident", "text", "from", "to", "limit")


class DeliveriesPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/deliveries", self.show, methods=["GET"]),
            Route("/deliveries/test", self.test, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        try:
            return await self._draw(request, asked(request, self._zone(request)))
        except HTTPException as error:
            return await self._draw(request, None, error)

    async def test(self, request: Request) -> Response:
        """Test a person's contact, or a receiver's integration; what became of it appears in the log."""
        require(request, "responder")
        fields = await form(request)
        user, receiver = fields.get("user", ""), fields.get("receiver", "")
        try:
            if user:
                await test_messages.page(self._context, user, fields.get("channel", ""))
            else:
                await test_messages.notify(self._context, receiver, fields.get("integration", ""))
        except (BadAction, NotFound) as error:
            return await self._draw(request, None, error)
        say(request, f"Sent a test to {f'the receiver {receiver}' if receiver else user}.")
        return RedirectResponse(f"/deliveries?{urlencode({'tested': user or receiver})}", 303)

    async def _draw(self, request: Request, query: Asked | None, error: Exception | None = None) -> HTMLResponse:
        """query: None = it cannot be read, or there is none."""
        context, config = self._context, self._context.config
        page = await find(context, query) if query else deliveries.Page([], "")
        kept = [(name, value) for name, value in request.query_params.multi_items() if name in FILTERS and value]
        health = await channels(context)
        tested = request.query_params.get("tested", "")
        return await self._looks.page(
            request, "deliveries.html", told(error).status if error else 200, problem=told(error).detail if error else "", query=query,
            written={name: request.query_params.get(name, "") for name in FILTERS}, filtered=bool(kept), found=page.found,
            older=urlencode([*kept, ("cursor", page.next)]) if page.next else "", health=health, outcomes=OUTCOMES, deliverable=CHANNELS,
            channels=sorted({one.channel for one in health} | CHANNELS), receivers=sorted(config.receivers),
            tested=tested if tested in config.users or tested in config.receivers else "",
            may_change=may(principal_of(request), "responder"),
        )  # fmt: skip

    def _zone(self, request: Request) -> str:
        user = acting(request, self._context)
        return self._context.config.users[user].timezone if user else "UTC"
