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
from amproxy.notify.channels.text import clean_text
from amproxy.notify.templates import LONGEST_TITLE
from amproxy.respond import actions
from amproxy.respond.actions import ActionName, BulkActionResult, perform_all, resolve_incident_id
from amproxy.respond.links import SignedAction
from amproxy.respond.targets import BadAction, PageTarget, open_incident
from amproxy.store import incidents
from amproxy.times import format_duration, parse_duration
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import (
    ACTING_KEY,
    forbidden_incidents,
    may,
    principal_of,
    require_incidents,
    require_role,
    resolve_actor,
    set_audit_text,
)
from amproxy.web.http.request import invalid, known_user, parse_form, parse_form_lists, parse_time_param
from amproxy.web.http.templates import PageTemplates, acting_user, reader_zone

MAX_LINK_AGE = 7 * 86400.0  # seconds that a link is good for


class ActPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._links, self._looks = deps.context, deps.links, looks

    def routes(self) -> list[Route]:
        return [Route("/act/{token}", self.show, methods=["GET"]), Route("/act/{token}", self.act, methods=["POST"])]

    async def show(self, request: Request) -> HTMLResponse:
        signed = self._signed(request)
        incident = await incidents.load(self._context.wire, signed.incident)
        length = _snooze_seconds(signed)
        return await self._looks.page(
            request, "act.html", signed=signed, incident=incident,
            verb="snooze_for" if length else signed.action, length=format_duration(length) if length else "",
            stale=incident.state == "resolved" or signed.epoch != incident.epoch,
        )  # fmt: skip

    async def act(self, request: Request) -> Response:
        signed, fields = self._signed(request), await parse_form(request)
        said = "" if self._context.config.sign_in else known_user(self._context, fields.get("user"))
        user = signed.user or said or acting_user(request, self._context)
        length = _snooze_seconds(signed)
        until = self._context.now() + length if length else None
        asked = actions.ActionRequest(action=signed.action, user=user, via="link", epoch=signed.epoch, until=until)
        incident = await actions.perform(self._context, signed.incident, asked)
        request.scope[ACTING_KEY] = user
        set_audit_text(request, f"{signed.action} #{incident.number} {incident.title}")
        # who may not read pages is led back to the link, which shows what became of the incident
        seen = may(principal_of(request), "viewer")
        return RedirectResponse(f"/incidents/{signed.incident}" if seen else request.url.path, 303)

    def _signed(self, request: Request) -> SignedAction:
        links = self._links()
        if links is None:
            raise StoreUnavailable("the key for signed links is not known yet")
        return links.verify(request.path_params["token"], MAX_LINK_AGE)


def _snooze_seconds(signed: SignedAction) -> float:
    """How long a snooze is to last; 0 = as it always does."""
    return float(signed.arg) if signed.action == "snooze" and signed.arg.isascii() and signed.arg.isdigit() else 0.0


FormLists = Mapping[str, list[str]]
SNOOZE_DURATIONS: Final = ("30m", "1h", "4h", "1d")  # lengths that are offered
_URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)


def last_value(fields: FormLists, name: str) -> str:
    """The field; "" where there is none. Of several the last."""
    return fields[name][-1] if fields.get(name) else ""


def parse_action(name: str) -> ActionName:
    """Raises HTTPException 404."""
    found = next((action for action in actions.ACTIONS if action == name), None)
    if found is None:
        raise HTTPException(404)
    return found


async def parse_action_form(request: Request, context: Context, action: ActionName, fields: FormLists) -> actions.ActionRequest:
    """What a form asks for. Raises HTTPException 422, BadAction, StoreUnavailable."""
    epoch, into = last_value(fields, "epoch"), last_value(fields, "into")
    if action == "merge" and not into:
        raise BadAction("say into which incident")
    return actions.ActionRequest(
        action=action, user=resolve_actor(request, acting_user(request, context)), via="web",
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 10 else None,
        until=_parse_until(request, context, fields) if action == "snooze" else None, text=last_value(fields, "text"),
        to=parse_target(fields), urgency=parse_urgency(fields) or "default", into=await resolve_incident_id(context, into) if action == "merge" else "",
    )  # fmt: skip


def parse_target(fields: FormLists) -> PageTarget:
    """Whom a form means: people that are ticked, or "team:NAME", "schedule:NAME", "policy:NAME"."""
    kind, _, name = last_value(fields, "to").partition(":")
    if kind not in ("", "team", "schedule", "policy"):
        raise invalid("this form names somebody whom amproxy cannot reach so")
    return PageTarget(users=tuple(name for name in fields.get("users", ()) if name), **({kind: name} if kind else {}))


def parse_urgency(fields: FormLists) -> Urgency | None:
    return next((urgency for urgency in _URGENCIES if urgency == last_value(fields, "urgency")), None)


def _parse_until(request: Request, context: Context, fields: FormLists) -> float | None:
    """A moment on the reader's clock, or a length from now."""
    if until := last_value(fields, "until"):
        return parse_time_param(until, "until", reader_zone(request, context)).timestamp()
    if not (length := last_value(fields, "for")):
        return None
    try:
        return context.now() + parse_duration(length)
    except ValueError as error:
        raise invalid(str(error)[:200]) from None


async def perform_allowed(request: Request, context: Context, ids: Iterable[str], wish: actions.ActionRequest) -> list[BulkActionResult]:
    """Do it on those of many incidents that somebody may act on, and say of each what became of it.

    Raises Forbidden (of what others are merged into), NotFound, BadAction, StoreUnavailable.
    """
    if wish.into:
        await require_incidents(request, context, wish.into)
    wanted = list(dict.fromkeys(ids))
    refused = await forbidden_incidents(request, context, wanted)
    outcomes = await perform_all(context, [one for one in wanted if one not in refused], wish)
    outcomes += [BulkActionResult(one, None, why) for one, why in refused.items()]
    done = [f"#{outcome.incident.number}" for outcome in outcomes if outcome.incident]
    set_audit_text(request, f"{wish.action} {' '.join(done) or 'of many incidents, but none allowed it'}")
    return outcomes


class OpenIncidentPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/page", self.show, methods=["GET"]), Route("/page", self.open, methods=["POST"])]

    async def show(self, request: Request) -> HTMLResponse:
        """An address may fill the form: ?title=, ?users=, ?to=."""
        query = request.query_params
        return await self._draw(request, {name: query.getlist(name) for name in query})

    async def open(self, request: Request) -> Response:
        require_role(request, "responder")
        fields, context = await parse_form_lists(request), self._context
        by, title = resolve_actor(request, acting_user(request, context)), last_value(fields, "title")
        try:
            if len(title) > LONGEST_TITLE:
                raise BadAction(f"a title has at most {LONGEST_TITLE} characters")
            incident = await open_incident(
                context, title=title, by=by, to=parse_target(fields), urgency=parse_urgency(fields), text=last_value(fields, "text")
            )  # fmt: skip
        except BadAction as error:
            return await self._draw(request, fields, error)
        set_audit_text(request, f"paged by hand: #{incident.number} {incident.title}")
        return RedirectResponse(f"/incidents/{incident.id}", 303)

    async def _draw(self, request: Request, fields: FormLists, error: BadAction | None = None) -> HTMLResponse:
        config = self._context.config
        return await self._looks.page(
            request, "page.html", 422 if error else 200, problem=describe_error(error).detail if error else "", longest=LONGEST_TITLE,
            given={name: clean_text(last_value(fields, name)) for name in ("title", "text", "to", "urgency")}, ticked=fields.get("users", []),
            teams=list(config.teams), schedules=list(config.schedules), policies=list(config.policies),
        )  # fmt: skip
