"""The list of incidents, filtered in its address and acted on together; rows for other lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy import offload
from amproxy.context import Context
from amproxy.correlate.muting import load_incident_mutings
from amproxy.errors import Conflict, NotFound
from amproxy.labels.severity import severity_rank
from amproxy.model import Incident
from amproxy.reports.insights import NO_TEAM
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.store.incidents import IncidentSummary
from amproxy.store.views import load_views
from amproxy.text import Phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.format import assign_tones
from amproxy.web.http.permissions import require_role
from amproxy.web.http.request import invalid, parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user, reader_zone
from amproxy.web.incidents.act import (
    SNOOZE_DURATIONS,
    parse_action_form,
    perform_allowed,
)
from amproxy.web.incidents.filters import (
    count_narrowing,
    filter_pairs,
    offer_labels,
    parse_address,
    switches,
    view_pairs,
    without_defaults,
    written_fields,
)
from amproxy.web.incidents.forecast import UpcomingIncidentStep, find_next_step
from amproxy.web.incidents.query import IncidentGroup, IncidentSort, find_incidents, group_key
from amproxy.web.incidents.targets import last_value

BULK_ACTIONS: tuple[ActionName, ...] = ("acknowledge", "resolve", "snooze", "merge")
_DONE: Final = (*BULK_ACTIONS, "delete")  # what an address may report as done
MAX_DONE_DIGITS = 4  # of the number of incidents that an address reports as done


class IncidentListRow(NamedTuple):
    incident: Incident
    next: UpcomingIncidentStep | None


class ListedIncident(NamedTuple):
    """An incident as one line of the list."""

    row: IncidentListRow
    summary: IncidentSummary
    rank: int  # of the severity; 0 = it has none
    text: str  # what it is about, besides the title
    owner: str  # the user who has answered; "" = nobody of the file


class ListedIncidentGroup(NamedTuple):
    """Incidents under one heading."""

    name: str  # of group_key
    lines: list[ListedIncident]


async def incident_rows(context: Context, found: Iterable[Incident]) -> list[IncidentListRow]:
    """Incidents, each with what happens next. Raises StoreUnavailable."""
    listed, roster, turns = list(found), context.roster, await incidents.load_turns(context.wire)
    mutings = await load_incident_mutings(context, listed)
    return await offload.collect(
        IncidentListRow(one, find_next_step(one, roster, turns, mutings[one.id].hold_at))
        for one in listed
    )


class IncidentsPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/incidents", self.show, methods=["GET"]),
            Route("/incidents/bulk", self.act, methods=["POST"]),
            Route("/incidents/bulk", self.back, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """A form sends all its fields; the address that stays has only those that matter."""
        pairs = request.query_params.multi_items()
        address = without_defaults(pairs)
        if len(address) < len(pairs):
            return RedirectResponse(f"/incidents{'?' if address else ''}{urlencode(address)}", 303)
        return await self._draw(request)

    async def back(self, request: Request) -> Response:
        """The address of the form, loaded again after it was answered with the list."""
        query = request.url.query
        return RedirectResponse(f"/incidents{'?' if query else ''}{query}", 303)

    async def act(self, request: Request) -> Response:
        """Do one action on all that are ticked; the list then reports it, or each refusal."""
        require_role(request, "responder")
        fields = await parse_form_lists(request)
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
            return await self._draw(request, what.status, [what.phrase])
        done = sum(result.incident is not None for result in results)
        if refused := [result.error for result in results if result.error]:
            return await self._draw(request, 409, refused, action if done else "", done)
        address = urlencode([*filter_pairs(request.query_params), ("done", action), ("n", done)])
        return RedirectResponse(f"/incidents?{address}", 303)

    async def _draw(
        self,
        request: Request,
        status: int = 200,
        problems: Sequence[Phrase] = (),
        done: str = "",
        number: int = 0,
    ) -> HTMLResponse:
        """done: the bulk action to report, on so many incidents; else that of the address.

        A wrong filter is left out, and said: the list and what was typed stay.
        """
        context, filters = self._context, filter_pairs(request.query_params)
        query, density, wrong = parse_address(request.query_params)
        found, cursor = await find_incidents(context, query)
        if not done:
            done, number = _done_of_address(request)
        rows, users = await incident_rows(context, found), context.config.users
        lines = await offload.collect(_line(row, users) for row in rows)
        acting, address = acting_user(request, context), urlencode(filters)
        zone = ZoneInfo(reader_zone(request, context))
        views = await load_views(context.wire, acting) if acting else {}
        return await self._templates.page(
            request,
            "incidents.html",
            422 if wrong and status == 200 else status,
            rows=rows,
            groups=_group_lines(query.group, lines, context.now()),
            density=density,
            query=query,
            states=incidents.STATES,
            sorts=get_args(IncidentSort),
            groupings=get_args(IncidentGroup),
            written=written_fields(filters),
            since=query.since and query.since.astimezone(zone),
            until=query.until and query.until.astimezone(zone),
            narrow=count_narrowing(filters),
            wrong=wrong,
            switches=switches(filters, query, acting),
            offered=offer_labels([line.summary for line in lines], filters),
            views=[
                (name, view, sorted(filters) == view_pairs(view)) for name, view in views.items()
            ],
            teams=[*context.config.teams, NO_TEAM],
            policies=list(context.config.policies),
            tones=assign_tones(users),
            snoozes=SNOOZE_DURATIONS,
            problems=problems,
            done=done,
            number=number,
            all="select" in request.query_params,
            address=address,
            list_filters=f"{address}&" if filters else "",
            older=urlencode([*filters, ("cursor", cursor)]) if cursor else "",
        )


def _line(row: IncidentListRow, users: Mapping[str, object]) -> ListedIncident:
    incident, summary = row.incident, incidents.summarize(row.incident)
    owners = {
        "acknowledged": incident.acknowledged_by,
        "snoozed": incident.snoozed_by,
        "resolved": incident.resolved_by,
    }
    owner = owners.get(incident.state, "")
    annotations = incident.common_annotations
    text = annotations.get("summary") or annotations.get("description") or incident.text
    return ListedIncident(
        row,
        summary,
        severity_rank(summary.gravity) if summary.gravity else 0,
        text if text != incident.title else "",
        owner if owner in users else "",
    )


def _group_lines(
    group: IncidentGroup, lines: list[ListedIncident], now: float
) -> list[ListedIncidentGroup]:
    """Lines in the order of the list, under their headings. now: Unix seconds."""

    def name_of(line: ListedIncident) -> str:
        return group_key(group, line.summary, now - line.row.incident.started_at)

    return [ListedIncidentGroup(name, list(found)) for name, found in groupby(lines, name_of)]


def _done_of_address(request: Request) -> tuple[str, int]:
    """The action that was done before this page, and on how many incidents."""
    action, number = (request.query_params.get(name, "") for name in ("done", "n"))
    if action not in _DONE:
        return "", 0
    is_number = number.isascii() and number.isdigit() and len(number) <= MAX_DONE_DIGITS
    return action, int(number) if is_number else 0
