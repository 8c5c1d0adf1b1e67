"""The list of incidents, filtered in its address and acted on together; rows for other lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.context import Context
from amproxy.correlate.muting import load_incident_mutings
from amproxy.errors import Conflict, NotFound
from amproxy.model import Incident
from amproxy.reports.insights import NO_TEAM
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.text import Phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_role
from amproxy.web.http.query import parse_query
from amproxy.web.http.request import invalid, parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_zone
from amproxy.web.incidents.act import (
    SNOOZE_DURATIONS,
    last_value,
    parse_action_form,
    perform_allowed,
)
from amproxy.web.incidents.forecast import UpcomingIncidentStep, find_next_step
from amproxy.web.incidents.query import (
    IncidentQuery,
    IncidentsParameters,
    find_incidents,
    parse_incident_query,
)

BULK_ACTIONS: tuple[ActionName, ...] = ("acknowledge", "resolve", "snooze", "merge")
# the fields of an address that select incidents
LIST_FILTERS = ("state", "label", "team", "policy", "user", "text", "from", "to", "zone", "limit")
MAX_DONE_DIGITS = 4  # of the number of incidents that an address reports as done


class IncidentListRow(NamedTuple):
    incident: Incident
    next: UpcomingIncidentStep | None


async def incident_rows(context: Context, found: Iterable[Incident]) -> list[IncidentListRow]:
    """Incidents, each with what happens next. Raises StoreUnavailable."""
    listed, roster, turns = list(found), context.roster, await incidents.load_turns(context.wire)
    mutings = await load_incident_mutings(context, listed)
    return [
        IncidentListRow(one, find_next_step(one, roster, turns, mutings[one.id].hold_at))
        for one in listed
    ]


class IncidentsPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/incidents", self.show, methods=["GET"]),
            Route("/incidents/bulk", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """A form sends all its fields; the address that stays has only those that matter."""
        pairs = request.query_params.multi_items()
        address = _without_defaults(pairs)
        if len(address) < len(pairs):
            return RedirectResponse(f"/incidents{'?' if address else ''}{urlencode(address)}", 303)
        return await self._draw(request, _parse_query(request))

    async def act(self, request: Request) -> Response:
        """Do one action on all that are ticked; the list then reports it, or each refusal."""
        require_role(request, "responder")
        query, fields = _parse_query(request), await parse_form_lists(request)
        action = next(
            (action for action in BULK_ACTIONS if action == last_value(fields, "action")), None
        )
        if action is None:
            raise invalid(Phrase("refusal.not_for_many"))
        try:
            action_request = await parse_action_form(request, self._context, action, fields)
            # the incident that the others are merged into may be ticked as well
            ids = [name for name in fields.get("id", ()) if name and name != action_request.into]
            if not ids:
                raise BadAction(Phrase("refusal.tick_first"))
            results = await perform_allowed(request, self._context, ids, action_request)
        except (BadAction, Conflict, NotFound) as error:
            what = describe_error(error)
            return await self._draw(request, query, what.status, [what.phrase])
        done = sum(result.incident is not None for result in results)
        if refused := [result.error for result in results if result.error]:
            return await self._draw(request, query, 409, refused, action if done else "", done)
        address = urlencode([*_filter_pairs(request), ("done", action), ("n", done)])
        return RedirectResponse(f"/incidents?{address}", 303)

    async def _draw(
        self,
        request: Request,
        query: IncidentQuery,
        status: int = 200,
        problems: Sequence[Phrase] = (),
        done: str = "",
        number: int = 0,
    ) -> HTMLResponse:
        """done: the bulk action to report, on so many incidents; else that of the address."""
        context, filters = self._context, _filter_pairs(request)
        zone = ZoneInfo(reader_zone(request, context))
        found, cursor = await find_incidents(context, query)
        if not done:
            done, number = _done_of_address(request)
        address = urlencode(filters)
        return await self._templates.page(
            request,
            "incidents.html",
            status,
            rows=await incident_rows(context, found),
            query=query,
            states=incidents.STATES,
            narrow=[name for name, _ in filters if name not in ("state", "limit", "zone")],
            since=query.since and query.since.astimezone(zone),
            until=query.until and query.until.astimezone(zone),
            teams=[*context.config.teams, NO_TEAM],
            policies=list(context.config.policies),
            snoozes=SNOOZE_DURATIONS,
            problems=problems,
            done=done,
            number=number,
            all="select" in request.query_params,
            address=address,
            list_filters=f"{address}&" if filters else "",
            older=urlencode([*filters, ("cursor", cursor)]) if cursor else "",
        )


def _parse_query(request: Request) -> IncidentQuery:
    """Raises HTTPException 422."""
    return parse_incident_query(parse_query(request, IncidentsParameters))


def _done_of_address(request: Request) -> tuple[str, int]:
    """The bulk action that was done before this page, and on how many incidents."""
    action, number = (request.query_params.get(name, "") for name in ("done", "n"))
    if action not in BULK_ACTIONS:
        return "", 0
    is_number = number.isascii() and number.isdigit() and len(number) <= MAX_DONE_DIGITS
    return action, int(number) if is_number else 0


def _without_defaults(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of an address without empty fields, default states, and a zone of no time."""
    defaults = set[str]()
    if sorted(value for name, value in pairs if name == "state") == sorted(incidents.OPEN_STATES):
        defaults.add("state")
    if not any(name in ("from", "to") and value for name, value in pairs):
        defaults.add("zone")
    return [(name, value) for name, value in pairs if value and name not in defaults]


def _filter_pairs(request: Request) -> list[tuple[str, str]]:
    """The pairs of the address that select incidents."""
    return [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name in LIST_FILTERS and value
    ]
