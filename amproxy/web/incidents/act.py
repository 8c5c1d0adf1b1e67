"""Acting on incidents from pages: paging by hand (/page), and the forms of all actions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Final, get_args
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.notify.channels.text import clean_text
from amproxy.notify.templates import LONGEST_TITLE
from amproxy.respond import actions
from amproxy.respond.actions import ActionName, BulkActionResult, perform_all, resolve_incident_id
from amproxy.respond.targets import BadAction, open_incident
from amproxy.text import Phrase
from amproxy.times import parse_duration, wall_to_utc
from amproxy.web.http.audited import (
    many_incidents_phrase,
    paged_by_hand_phrase,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    forbidden_incidents,
    require_incidents,
    require_role,
    resolve_actor,
    set_audit_phrase,
)
from amproxy.web.http.request import (
    invalid,
    parse_form_lists,
    parse_time_param,
)
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user, reader_zone
from amproxy.web.incidents.targets import FormLists, last_value, offer_people, parse_target

MAX_EPOCH_DIGITS = 9
SNOOZE_DURATIONS: Final = ("30m", "1h", "4h", "1d")  # the lengths on offer
UNTIL_MORNING: Final = "morning"  # as the length of a snooze
MORNING_HOUR: Final = 8  # on the reader's clock
_URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)


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
                to=parse_target(context.config, fields),
                urgency=parse_urgency(fields),
                text=last_value(fields, "text"),
            )
        except BadAction as error:
            return await self._draw(request, fields, error)
        set_audit_phrase(request, paged_by_hand_phrase(incident))
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
                for name in ("title", "text", "to", "urgency", "who")
            },
            ticked=fields.get("users", []),
            offer=offer_people(self._context, ticked=fields.get("users", ())),
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
    done = [result.incident.number for result in results if result.incident]
    set_audit_phrase(request, many_incidents_phrase(action.action, done, forbidden=len(refused)))
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
        until=parse_until(request, context, fields) if action == "snooze" else None,
        text=last_value(fields, "text"),
        to=parse_target(context.config, fields),
        urgency=parse_urgency(fields) or "default",
        into=await resolve_incident_id(context, into) if action == "merge" else "",
    )


def parse_urgency(fields: FormLists) -> Urgency | None:
    value = last_value(fields, "urgency")
    return next((urgency for urgency in _URGENCIES if urgency == value), None)


def parse_until(
    request: Request, context: Context, fields: FormLists, zone: str = ""
) -> float | None:
    """Unix seconds, of a time on a clock, of a length from now, or of the next morning.

    zone: of the clock, "" = the reader's.

    Raises HTTPException 422.
    """
    zone = zone or reader_zone(request, context)
    if until := last_value(fields, "until"):
        return parse_time_param(until, "until", zone).timestamp()
    if not (length := last_value(fields, "for")):
        return None
    if length == UNTIL_MORNING:
        return next_morning(context.now(), zone)
    try:
        return context.now() + parse_duration(length)
    except ValueError:
        raise invalid(Phrase("refusal.duration", {"text": length[:60]})) from None


def next_morning(now: float, zone: str) -> float:
    """The next time, as `now` in Unix seconds, at which it is eight in the morning in a zone."""
    clock = ZoneInfo(zone)
    today = datetime.combine(utc(now).astimezone(clock).date(), time(MORNING_HOUR))
    mornings = (wall_to_utc(today + timedelta(days=days), clock) for days in (0, 1))
    return next(at for one in mornings if (at := one.timestamp()) > now)
