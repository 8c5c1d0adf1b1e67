"""Acting on incidents from pages: signed links (/act), paging by hand (/page), and the forms."""

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
from amproxy.respond.rights import incident_refusal, principal_of_user
from amproxy.respond.targets import BadAction, PageTarget, open_incident
from amproxy.store import incidents
from amproxy.text import Phrase
from amproxy.times import format_duration, parse_duration
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    ACTING_KEY,
    forbidden_incidents,
    may,
    principal_of,
    require,
    require_incidents,
    require_role,
    resolve_actor,
    set_audit_text,
)
from amproxy.web.http.request import (
    invalid,
    known_user,
    parse_form,
    parse_form_lists,
    parse_time_param,
)
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user, reader_zone

MAX_LINK_AGE = 7 * 86400.0  # seconds that a link is good for
MAX_EPOCH_DIGITS = 9
SNOOZE_DURATIONS: Final = ("30m", "1h", "4h", "1d")  # the lengths on offer
_URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)

FormLists = Mapping[str, list[str]]  # field → its values, in order


class ActPage:
    """/act/TOKEN, a signed link from a message.

    Opening it only shows the action, because mail filters open every link.
    """

    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._links, self._templates = deps.context, deps.links, templates

    def routes(self) -> list[Route]:
        return [
            Route("/act/{token}", self.show, methods=["GET"]),
            Route("/act/{token}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        signed = self._signed(request)
        incident = await incidents.load(self._context.wire, signed.incident)
        length = _snooze_seconds(signed)
        return await self._templates.page(
            request,
            "act.html",
            signed=signed,
            incident=incident,
            verb="snooze_for" if length else signed.action,
            length=format_duration(length) if length else "",
            # a link acts on the epoch that it was made for, and on no later one
            stale=incident.state == "resolved" or signed.epoch != incident.epoch,
        )

    async def act(self, request: Request) -> Response:
        context, signed, fields = self._context, self._signed(request), await parse_form(request)
        # With sign-in the form names nobody: only the link or the session names the actor.
        named = "" if self._context.config.sign_in else known_user(context, fields.get("user"))
        user = signed.user or named or acting_user(request, context)
        if user:
            # Without anybody in particular the link itself is the right: a chat of a team got it.
            principal = principal_of_user(context.config, user, "link")
            incident = await incidents.load(context.wire, signed.incident)
            request.scope[ACTING_KEY] = user
            require(request, incident_refusal(principal, incident))
        length = _snooze_seconds(signed)
        action = actions.ActionRequest(
            action=signed.action,
            user=user,
            via="link",
            epoch=signed.epoch,
            until=context.now() + length if length else None,
        )
        incident = await actions.perform(context, signed.incident, action)
        request.scope[ACTING_KEY] = user
        set_audit_text(request, f"{signed.action} #{incident.number} {incident.title}")
        # One who may not read pages goes back to the link, which shows the incident's new state.
        may_read = may(principal_of(request), "viewer")
        return RedirectResponse(
            f"/incidents/{signed.incident}" if may_read else request.url.path, 303
        )

    def _signed(self, request: Request) -> SignedAction:
        links = self._links()
        if links is None:
            raise StoreUnavailable("the key for signed links is not known yet")
        return links.verify(request.path_params["token"], MAX_LINK_AGE)


def _snooze_seconds(signed: SignedAction) -> float:
    """The length of a snooze; 0 = the usual one, or no snooze."""
    if signed.action == "snooze" and signed.arg.isascii() and signed.arg.isdigit():
        return float(signed.arg)
    return 0.0


class OpenIncidentPage:
    """/page: page somebody by hand."""

    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/page", self.show, methods=["GET"]),
            Route("/page", self.open, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        """An address may fill the form: ?title=, ?users=, ?to=."""
        query = request.query_params
        return await self._draw(request, {name: query.getlist(name) for name in query})

    async def open(self, request: Request) -> Response:
        require_role(request, "responder")
        fields, context = await parse_form_lists(request), self._context
        by = resolve_actor(request, acting_user(request, context))
        title = last_value(fields, "title")
        try:
            if len(title) > LONGEST_TITLE:
                raise BadAction(Phrase("refusal.title_length", {"most": LONGEST_TITLE}))
            incident = await open_incident(
                context,
                title=title,
                by=by,
                to=parse_target(fields),
                urgency=parse_urgency(fields),
                text=last_value(fields, "text"),
            )
        except BadAction as error:
            return await self._draw(request, fields, error)
        set_audit_text(request, f"paged by hand: #{incident.number} {incident.title}")
        return RedirectResponse(f"/incidents/{incident.id}", 303)

    async def _draw(
        self, request: Request, fields: FormLists, error: BadAction | None = None
    ) -> HTMLResponse:
        config = self._context.config
        return await self._templates.page(
            request,
            "page.html",
            422 if error else 200,
            problem=describe_error(error).phrase if error else "",
            longest=LONGEST_TITLE,
            given={
                name: clean_text(last_value(fields, name))
                for name in ("title", "text", "to", "urgency")
            },
            ticked=fields.get("users", []),
            teams=list(config.teams),
            schedules=list(config.schedules),
            policies=list(config.policies),
        )


async def perform_allowed(
    request: Request, context: Context, ids: Iterable[str], action: actions.ActionRequest
) -> list[BulkActionResult]:
    """Act on those of many incidents that the reader may act on; one result for each.

    Raises Forbidden (for the incident that others are merged into), NotFound, BadAction,
    StoreUnavailable.
    """
    if action.into:
        await require_incidents(request, context, action.into)
    unique = list(dict.fromkeys(ids))
    refused = await forbidden_incidents(request, context, unique)
    results = await perform_all(context, [one for one in unique if one not in refused], action)
    results += [BulkActionResult(one, None, why) for one, why in refused.items()]
    done = " ".join(f"#{result.incident.number}" for result in results if result.incident)
    done = done or "of many incidents, but none allowed it"
    forbidden = f"; {len(refused)} belong to other teams" if refused else ""
    set_audit_text(request, f"{action.action} {done}{forbidden}")
    return results


def parse_action(name: str) -> ActionName:
    """Raises HTTPException 404."""
    for action in actions.ACTIONS:
        if action == name:
            return action
    raise HTTPException(404)


async def parse_action_form(
    request: Request, context: Context, action: ActionName, fields: FormLists
) -> actions.ActionRequest:
    """Raises HTTPException 422, BadAction, StoreUnavailable."""
    epoch, into = last_value(fields, "epoch"), last_value(fields, "into")
    if action == "merge" and not into:
        raise BadAction(Phrase("refusal.merge_into_which"))
    is_epoch = epoch.isascii() and epoch.isdigit() and len(epoch) <= MAX_EPOCH_DIGITS
    return actions.ActionRequest(
        action=action,
        user=resolve_actor(request, acting_user(request, context)),
        via="web",
        epoch=int(epoch) if is_epoch else None,
        until=_parse_until(request, context, fields) if action == "snooze" else None,
        text=last_value(fields, "text"),
        to=parse_target(fields),
        urgency=parse_urgency(fields) or "default",
        into=await resolve_incident_id(context, into) if action == "merge" else "",
    )


def parse_target(fields: FormLists) -> PageTarget:
    """The people that are ticked, or "team:NAME", "schedule:NAME", "policy:NAME".

    Raises HTTPException 422.
    """
    kind, _, name = last_value(fields, "to").partition(":")
    if kind not in ("", "team", "schedule", "policy"):
        raise invalid(Phrase("refusal.form_target"))
    return PageTarget(
        users=tuple(name for name in fields.get("users", ()) if name),
        **({kind: name} if kind else {}),
    )


def parse_urgency(fields: FormLists) -> Urgency | None:
    value = last_value(fields, "urgency")
    return next((urgency for urgency in _URGENCIES if urgency == value), None)


def _parse_until(request: Request, context: Context, fields: FormLists) -> float | None:
    """Unix seconds, of a time on the reader's clock or of a length from now.

    Raises HTTPException 422.
    """
    if until := last_value(fields, "until"):
        return parse_time_param(until, "until", reader_zone(request, context)).timestamp()
    if not (length := last_value(fields, "for")):
        return None
    try:
        return context.now() + parse_duration(length)
    except ValueError:
        raise invalid(Phrase("refusal.duration", {"text": length[:60]})) from None


def last_value(fields: FormLists, name: str) -> str:
    """The last value of a field; "" where there is none."""
    return fields[name][-1] if fields.get(name) else ""
