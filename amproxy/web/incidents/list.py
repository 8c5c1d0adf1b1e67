"""An incident as a row of a list, on whatever page.

The list of incidents: filtered in its address, and acted on together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.errors import Conflict, NotFound
from amproxy.model import Incident
from amproxy.oncall.roster import Roster
from amproxy.reports.insights import NO_TEAM
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import require_role
from amproxy.web.http.request import IncidentQuery, find_incidents, invalid, parse_form_lists, parse_incident_query
from amproxy.web.http.templates import PageTemplates, reader_zone
from amproxy.web.incidents.act import SNOOZE_DURATIONS, last_value, parse_action_form, perform_allowed
from amproxy.web.incidents.ahead import UpcomingIncidentStep, find_next_step


class IncidentListRow(NamedTuple):
    incident: Incident
    next: UpcomingIncidentStep | None


def incident_row(incident: Incident, roster: Roster) -> IncidentListRow:
    return IncidentListRow(incident, find_next_step(incident, roster))


BULK_ACTIONS: tuple[ActionName, ...] = ("acknowledge", "resolve", "snooze", "merge")
LIST_FILTERS = ("state", "label", "team", "policy", "user", "text", "from", "to", "zone", "limit")  # what the address of a list is made of


class IncidentsPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/incidents", self.show, methods=["GET"]),
            Route("/incidents/bulk", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        address = _without_defaults(request.query_params.multi_items())
        if len(address) < len(request.query_params.multi_items()):
            return RedirectResponse(f"/incidents{'?' if address else ''}{urlencode(address)}", 303)
        return await self._draw(request, parse_incident_query(request))

    async def act(self, request: Request) -> Response:
        """The same action on all that are ticked; where it was done to all of them the list says so, else it says what was not done."""
        require_role(request, "responder")
        query, fields = parse_incident_query(request), await parse_form_lists(request)
        action = next((action for action in BULK_ACTIONS if action == last_value(fields, "action")), None)
        if action is None:
            raise invalid("this cannot be done to many at once")
        try:
            wish = await parse_action_form(request, self._context, action, fields)
            ids = [name for name in fields.get("id", ()) if name and name != wish.into]
            if not ids:
                raise BadAction("tick the incidents first")
            outcomes = await perform_allowed(request, self._context, ids, wish)
        except (BadAction, Conflict, NotFound) as error:
            what = describe_error(error)
            return await self._draw(request, query, what.status, [what.detail])
        done = sum(outcome.incident is not None for outcome in outcomes)
        if refused := [outcome.error for outcome in outcomes if outcome.error]:
            return await self._draw(request, query, 409, refused, action if done else "", done)
        return RedirectResponse(f"/incidents?{urlencode([*_filter_query(request), ('done', action), ('n', done)])}", 303)

    async def _draw(
        self, request: Request, query: IncidentQuery, status: int = 200, problems: Sequence[str] = (), done: str = "", number: int = 0
    ) -> HTMLResponse:
        context, kept, zone = self._context, _filter_query(request), ZoneInfo(reader_zone(request, self._context))
        found, cursor = await find_incidents(context, query)
        if not done and request.query_params.get("done") in BULK_ACTIONS:
            given = request.query_params.get("n", "")
            done, number = request.query_params["done"], int(given) if given.isascii() and given.isdigit() and len(given) < 5 else 0
        address = urlencode(kept)
        return await self._looks.page(
            request, "incidents.html", status, rows=[incident_row(incident, context.roster) for incident in found], query=query,
            states=incidents.STATES, narrow=[name for name, _ in kept if name not in ("state", "limit", "zone")],
            since=query.since and query.since.astimezone(zone), until=query.until and query.until.astimezone(zone),
            teams=[*context.config.teams, NO_TEAM], policies=list(context.config.policies), snoozes=SNOOZE_DURATIONS, problems=problems,
            done=done, number=number, all="select" in request.query_params, address=address, kept=f"{address}&" if kept else "",
            older=urlencode([*kept, ("cursor", cursor)]) if cursor else "",
        )  # fmt: skip


def _without_defaults(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """An address without what a form adds and nobody needs to send around: empty fields, and the states that are shown anyway."""
    states = sorted(value for name, value in pairs if name == "state")
    times = any(name in ("from", "to") and value for name, value in pairs)
    needless = [name for name, here in (("state", states == sorted(incidents.OPEN_STATES)), ("zone", not times)) if here]
    return [(name, value) for name, value in pairs if value and name not in needless]


def _filter_query(request: Request) -> list[tuple[str, str]]:
    """What of the address says which incidents these are."""
    return [(name, value) for name, value in request.query_params.multi_items() if name in LIST_FILTERS and value]
