"""/act/TOKEN: a signed link from a message. Opening it only shows what it would do, because mail filters open every link."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.errors import StoreUnavailable
from amproxy.respond import actions
from amproxy.respond.links import SignedAction
from amproxy.store import incidents
from amproxy.times import format_duration
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import ACTING, may, principal_of, say
from amproxy.web.http.request import form, known_user
from amproxy.web.http.templates import Looks, acting

LINK_AGE = 7 * 86400.0  # seconds that a link is good for


class ActPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._links, self._looks = deps.context, deps.links, looks

    def routes(self) -> list[Route]:
        return [Route("/act/{token}", self.show, methods=["GET"]), Route("/act/{token}", self.act, methods=["POST"])]

    async def show(self, request: Request) -> HTMLResponse:
        signed = self._signed(request)
        incident = await incidents.load(self._context.wire, signed.incident)
        length = _seconds(signed)
        return await self._looks.page(
            request, "act.html", signed=signed, incident=incident,
            verb="snooze_for" if length else signed.action, length=format_duration(length) if length else "",
            stale=incident.state == "resolved" or signed.epoch != incident.epoch,
        )  # fmt: skip

    async def act(self, request: Request) -> Response:
        signed, fields = self._signed(request), await form(request)
        said = "" if self._context.config.sign_in else known_user(self._context, fields.get("user"))
        user = signed.user or said or acting(request, self._context)
        length = _seconds(signed)
        until = self._context.now() + length if length else None
        asked = actions.Request(action=signed.action, user=user, via="link", epoch=signed.epoch, until=until)
        incident = await actions.perform(self._context, signed.incident, asked)
        request.scope[ACTING] = user
        say(request, f"{signed.action} #{incident.number} {incident.title}")
        # who may not read pages is led back to the link, which shows what became of the incident
        seen = may(principal_of(request), "viewer")
        return RedirectResponse(f"/incidents/{signed.incident}" if seen else request.url.path, 303)

    def _signed(self, request: Request) -> SignedAction:
        links = self._links()
        if links is None:
            raise StoreUnavailable("the key for signed links is not known yet")
        return links.verify(request.path_params["token"], LINK_AGE)


def _seconds(signed: SignedAction) -> float:
    """How long a snooze is to last; 0 = as it always does."""
    return float(signed.arg) if signed.action == "snooze" and signed.arg.isascii() and signed.arg.isdigit() else 0.0
