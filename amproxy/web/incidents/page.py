"""The page of one incident, and the forms on it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.correlate import muting
from amproxy.errors import Conflict, NotFound
from amproxy.model import Alert, Incident, IncidentState, TimelineEntry
from amproxy.reports.why import WhyVerdict, why_not_paged
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import may_act, principal_of, require_incidents, set_audit_text
from amproxy.web.http.request import own_path, parse_form_lists
from amproxy.web.http.templates import PageTemplates, acting_user
from amproxy.web.incidents.act import SNOOZE_DURATIONS, last_value, parse_action, parse_action_form
from amproxy.web.incidents.ahead import list_upcoming

MAX_LISTED_ALERTS = 50
MAX_LISTED_INCIDENTS = 50  # incidents that it can be merged into by a choice; others by their number
MAX_NUMBER_DIGITS = 9  # digits; an id is longer

# What the state allows; a note may always be written.
OFFERED_ACTIONS: Final[dict[IncidentState, tuple[ActionName, ...]]] = {
    "triggered": ("acknowledge", "resolve", "snooze", "escalate", "reassign", "responders", "merge"),
    "acknowledged": ("resolve", "unacknowledge", "snooze", "escalate", "reassign", "responders", "merge"),
    "snoozed": ("acknowledge", "resolve", "snooze", "escalate", "reassign", "merge"),
    "resolved": ("reopen",),
}


class IncidentPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/incidents/{id}", self.show, methods=["GET"]),
            Route("/incidents/{id}/{action}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """By its id; a number leads there."""
        name = request.path_params["id"]
        if name.isascii() and name.isdigit() and len(name) <= MAX_NUMBER_DIGITS:
            found = await incidents.find_by_number(self._context.wire, int(name))
            if found is None:
                raise NotFound(f"there is no incident #{name}")
            return RedirectResponse(f"/incidents/{found.id}", 303)
        return await self._draw(request)

    async def act(self, request: Request) -> Response:
        """Do it and lead back; what the state forbids is said on the incident's page, and nothing is changed."""
        action, incident_id = parse_action(request.path_params["action"]), request.path_params["id"]
        fields = await parse_form_lists(request)
        await require_incidents(request, self._context, incident_id)
        try:
            wish = await parse_action_form(request, self._context, action, fields)
            if wish.into:
                await require_incidents(request, self._context, wish.into)
            incident = await actions.perform(self._context, incident_id, wish)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        set_audit_text(request, f"{action} #{incident.number} {incident.title}")
        return RedirectResponse(own_path(back) if (back := last_value(fields, "back")) else f"/incidents/{incident_id}", 303)

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context, incident_id = self._context, request.path_params["id"]
        incident = await incidents.load(context.wire, incident_id)
        alerts = await incidents.load_alerts(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        now_ns, config = int(context.now() * 10**9), context.config
        offered = self._offered(request, incident)

        def firing_first(alert: Alert) -> tuple[bool, int]:
            return alert.resolved(now_ns), alert.starts_ns

        return await self._looks.page(
            request, "incident.html", describe_error(error).status if error else 200, incident=incident, problem=describe_error(error).detail if error else "",
            alerts=sorted(alerts, key=firing_first)[:MAX_LISTED_ALERTS], hidden=max(0, len(alerts) - MAX_LISTED_ALERTS), now_ns=now_ns,
            timeline=timeline, ahead=list_upcoming(incident, context.roster), offered=offered, snoozes=SNOOZE_DURATIONS,
            muted=await muting.load_muting_reasons(context, alerts, now_ns), others=await self._others(incident) if "merge" in offered else [],
            into=await self._into(incident), taken_in=[entry.data["number"] for entry in timeline if _merged_incident(entry)],
            asked_why=request.query_params.get("why", ""), verdict=self._verdict(request, incident, timeline),
            teams=list(config.teams), schedules=list(config.schedules), policies=list(config.policies),
        )  # fmt: skip

    def _offered(self, request: Request, incident: Incident) -> tuple[ActionName, ...]:
        """What this reader can do to it as it is."""
        if not may_act(principal_of(request), incident) or incident.merged_into:
            return ()
        offered = OFFERED_ACTIONS[incident.state]
        if incident.state == "acknowledged" and self._answers(acting_user(request, self._context), incident):
            return ("acknowledge", *offered)
        return offered

    def _answers(self, user: str, incident: Incident) -> bool:
        """Whether somebody has been asked for an answer although it is acknowledged: to join, or whether they are still on it."""
        asked_to_join = any(chain.user == user and chain.insists for chain in incident.chains)
        runs_out = incident.acknowledge_due is not None and incident.reminder_due is None and incident.plan.acknowledge_reminder > 0
        return bool(user) and (asked_to_join or (runs_out and incident.acknowledged_by == user))

    async def _others(self, incident: Incident) -> list[Incident]:
        """Open incidents that it can become part of."""
        found, _ = await incidents.list_incidents(self._context.wire, limit=MAX_LISTED_INCIDENTS + 1)
        return [other for other in found if other.id != incident.id][:MAX_LISTED_INCIDENTS]

    async def _into(self, incident: Incident) -> Incident | None:
        """What it has become part of."""
        if not incident.merged_into:
            return None
        return (await incidents.load_many(self._context.wire, [incident.merged_into])).get(incident.merged_into)

    def _verdict(self, request: Request, incident: Incident, timeline: list[TimelineEntry]) -> WhyVerdict | None:
        """Why the person of the query was paged, or was not."""
        user = request.query_params.get("why", "")
        return why_not_paged(incident, timeline, user, self._context.roster, self._context.now()) if user else None


def _merged_incident(entry: TimelineEntry) -> bool:
    return entry.kind == "merged" and isinstance(entry.data.get("number"), int)
