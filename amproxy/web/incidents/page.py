"""The page of one incident, and the forms on it."""

from __future__ import annotations

import contextlib
import heapq
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy import offload
from amproxy.correlate import muting
from amproxy.errors import Conflict, NotFound
from amproxy.model import Alert, Incident, IncidentState, TimelineEntry
from amproxy.reports.why import WhyVerdict, why_not_paged
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.text import Phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import may_act, principal_of, require_incidents, set_audit_text
from amproxy.web.http.request import own_path, parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user
from amproxy.web.incidents.act import SNOOZE_DURATIONS, last_value, parse_action, parse_action_form
from amproxy.web.incidents.forecast import list_upcoming

MAX_LISTED_ALERTS = 50
MAX_LISTED_INCIDENTS = 50  # offered to merge into; any other can be given by its number
MAX_NUMBER_DIGITS = 9  # an id is longer, so a path of digits this long is a number

# The actions that a state allows; a note may always be written.
_OPEN_ACTIONS: Final[tuple[ActionName, ...]] = ("snooze", "escalate", "reassign")
OFFERED_ACTIONS: Final[dict[IncidentState, tuple[ActionName, ...]]] = {
    "triggered": ("acknowledge", "resolve", *_OPEN_ACTIONS, "responders", "merge"),
    "acknowledged": ("resolve", "unacknowledge", *_OPEN_ACTIONS, "responders", "merge"),
    "snoozed": ("acknowledge", "resolve", *_OPEN_ACTIONS, "merge"),
    "resolved": ("reopen",),
}


class IncidentPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/incidents/{id}", self.show, methods=["GET"]),
            Route("/incidents/{id}/{action}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the incident of an id; a number redirects there."""
        name = request.path_params["id"]
        if name.isascii() and name.isdigit() and len(name) <= MAX_NUMBER_DIGITS:
            incident = await incidents.find_by_number(self._context.wire, int(name))
            if incident is None:
                raise NotFound(Phrase("refusal.no_incident", {"incident": f"#{name}"}))
            return RedirectResponse(f"/incidents/{incident.id}", 303)
        return await self._draw(request)

    async def act(self, request: Request) -> Response:
        """Act and redirect back; an action that the state forbids is an error on the page."""
        action, incident_id = parse_action(request.path_params["action"]), request.path_params["id"]
        fields = await parse_form_lists(request)
        await require_incidents(request, self._context, incident_id)
        try:
            action_request = await parse_action_form(request, self._context, action, fields)
            if action_request.into:
                await require_incidents(request, self._context, action_request.into)
            incident = await actions.perform(self._context, incident_id, action_request)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        set_audit_text(request, f"{action} #{incident.number} {incident.title}")
        back = last_value(fields, "back")
        return RedirectResponse(own_path(back) if back else f"/incidents/{incident_id}", 303)

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context, incident_id = self._context, request.path_params["id"]
        incident = await incidents.load(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        now_ns, config = int(context.now() * 10**9), context.config
        offered = self._offered(request, incident)
        user = request.query_params.get("why", "")  # the person of "Why was somebody not paged?"

        def firing_first(alert: Alert) -> tuple[bool, int]:
            return alert.resolved(now_ns), alert.starts_ns

        is_big = incident.firing + incident.resolved > offload.LIGHT
        async with context.big_read if is_big else contextlib.nullcontext():
            alerts = await incidents.load_alerts(context.wire, incident_id)
            number = len(alerts)
            shown = await offload.run(
                number, heapq.nsmallest, MAX_LISTED_ALERTS, alerts, firing_first
            )
            await offload.scrap(alerts)
        return await self._templates.page(
            request,
            "incident.html",
            describe_error(error).status if error else 200,
            incident=incident,
            problem=describe_error(error).phrase if error else "",
            alerts=shown,
            hidden=max(0, number - MAX_LISTED_ALERTS),
            now_ns=now_ns,
            timeline=timeline,
            forecast=list_upcoming(
                incident,
                context.roster,
                await incidents.load_turns(context.wire),
                (await muting.load_incident_muting(context, incident)).hold_at,
            ),
            offered=offered,
            snoozes=SNOOZE_DURATIONS,
            muted=await muting.load_muting_reasons(context, shown, now_ns),
            others=await self._merge_targets(request, incident) if "merge" in offered else [],
            into=await self._merged_into(incident),
            merged_from=[entry.data["number"] for entry in timeline if _is_merge(entry)],
            why_user=user,
            verdict=self._verdict(user, incident, timeline) if user else None,
            teams=list(config.teams),
            schedules=list(config.schedules),
            policies=list(config.policies),
        )

    def _offered(self, request: Request, incident: Incident) -> tuple[ActionName, ...]:
        """The actions that this reader may take in the incident's state."""
        if not may_act(principal_of(request), incident) or incident.merged_into:
            return ()
        offered = OFFERED_ACTIONS[incident.state]
        user = acting_user(request, self._context)
        if incident.state == "acknowledged" and user and _owes_answer(user, incident):
            return ("acknowledge", *offered)
        return offered

    async def _merge_targets(self, request: Request, incident: Incident) -> list[Incident]:
        """Open incidents that this reader can merge it into."""
        # one more is loaded, because the incident itself may be among them
        found, _ = await incidents.list_incidents(
            self._context.wire, limit=MAX_LISTED_INCIDENTS + 1
        )
        principal = principal_of(request)
        targets = [one for one in found if one.id != incident.id and may_act(principal, one)]
        return targets[:MAX_LISTED_INCIDENTS]

    async def _merged_into(self, incident: Incident) -> Incident | None:
        """The incident that it was merged into; None where there is none (any more)."""
        into = incident.merged_into
        return (await incidents.load_many(self._context.wire, [into])).get(into) if into else None

    def _verdict(self, user: str, incident: Incident, timeline: list[TimelineEntry]) -> WhyVerdict:
        return why_not_paged(incident, timeline, user, self._context.roster, self._context.now())


def _owes_answer(user: str, incident: Incident) -> bool:
    """True where an acknowledged incident still waits for this person.

    They were asked to join, or a reminder asked them whether they are still on it.
    """
    asked_to_join = any(chain.user == user and chain.insists for chain in incident.chains)
    reminded = (
        incident.acknowledge_due is not None
        and incident.reminder_due is None
        and incident.plan.acknowledge_reminder > 0
    )
    return asked_to_join or (reminded and incident.acknowledged_by == user)


def _is_merge(entry: TimelineEntry) -> bool:
    return entry.kind == "merged" and isinstance(entry.data.get("number"), int)
