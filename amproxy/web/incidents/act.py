"""/act/TOKEN: a signed link from a message. Opening it only shows what it would do, because mail filters open every link.

From the fields of a form to an action, on one incident or on many.

/page: page somebody by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.notify.channels.text import clean
from amproxy.notify.templates import LONGEST_TITLE
from amproxy.respond import actions
from amproxy.respond.actions import ActionName, Outcome, meant, perform_all
from amproxy.respond.links import SignedAction
from amproxy.respond.targets import BadAction, Target, open_incident
from amproxy.store import incidents
from amproxy.times import format_duration, parse_duration
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import ACTING, may, not_own, principal_of, require, require_own, say, who_acts
from amproxy.web.http.request import form, invalid, known_user, lists, time
from amproxy.web.http.templates import Looks, acting, zone_of

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


Fields = Mapping[str, list[str]]
SNOOZES: Final = ("30m", "1h", "4h", "1d")  # lengths that are offered
_URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)


def one(fields: Fields, name: str) -> str:
    """The field; "" where there is none. Of several the last."""
    return fields[name][-1] if fields.get(name) else ""


def action_named(name: str) -> ActionName:
    """Raises HTTPException 404."""
    found = next((action for action in actions.ACTIONS if action == name), None)
    if found is None:
        raise HTTPException(404)
    return found


async def asked(request: Request, context: Context, action: ActionName, fields: Fields) -> actions.Request:
    """What a form asks for. Raises HTTPException 422, BadAction, StoreUnavailable."""
    epoch, into = one(fields, "epoch"), one(fields, "into")
    if action == "merge" and not into:
        raise BadAction("say into which incident")
    return actions.Request(
        action=action, user=who_acts(request, acting(request, context)), via="web",
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 10 else None,
        until=_until(request, context, fields) if action == "snooze" else None, text=one(fields, "text"),
        to=target(fields), urgency=urgency(fields) or "default", into=await meant(context, into) if action == "merge" else "",
    )  # fmt: skip


def target(fields: Fields) -> Target:
    """Whom a form means: people that are ticked, or "team:NAME", "schedule:NAME", "policy:NAME"."""
    kind, _, name = one(fields, "to").partition(":")
    if kind not in ("", "team", "schedule", "policy"):
        raise invalid("this form names somebody whom amproxy cannot reach so")
    return Target(users=tuple(name for name in fields.get("users", ()) if name), **({kind: name} if kind else {}))


def urgency(fields: Fields) -> Urgency | None:
    return next((urgency for urgency in _URGENCIES if urgency == one(fields, "urgency")), None)


def _until(request: Request, context: Context, fields: Fields) -> float | None:
    """A moment on the reader's clock, or a length from now."""
    if until := one(fields, "until"):
        return time(until, "until", zone_of(request, context)).timestamp()
    if not (length := one(fields, "for")):
        return None
    try:
        return context.now() + parse_duration(length)
    except ValueError as error:
        raise invalid(str(error)[:200]) from None


async def perform_own(request: Request, context: Context, ids: Iterable[str], wish: actions.Request) -> list[Outcome]:
    """Do it on those of many incidents that somebody may act on, and say of each what became of it.

    Raises Forbidden (of what others are merged into), NotFound, BadAction, StoreUnavailable.
    """
    if wish.into:
        await require_own(request, context, wish.into)
    wanted = list(dict.fromkeys(ids))
    refused = await not_own(request, context, wanted)
    outcomes = await perform_all(context, [one for one in wanted if one not in refused], wish)
    outcomes += [Outcome(one, None, why) for one, why in refused.items()]
    done = [f"#{outcome.incident.number}" for outcome in outcomes if outcome.incident]
    say(request, f"{wish.action} {' '.join(done) or 'of many incidents, but none allowed it'}")
    return outcomes


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
