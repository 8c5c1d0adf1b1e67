"""The page of one incident, and the forms on it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.correlate import muting
from amproxy.errors import Conflict, NotFound
from amproxy.model import Alert, Incident, State, TimelineEntry
from amproxy.reports.why import Verdict, why_not
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import may_act, principal_of, require_own, say
from amproxy.web.http.request import lists, own_path
from amproxy.web.http.templates import Looks, acting
from amproxy.web.incidents.act import SNOOZES, action_named, asked, one
from amproxy.web.incidents.ahead import ahead

SHOWN_ALERTS = 50
SHOWN_OTHERS = 50  # incidents that it can be merged into by a choice; others by their number
LONGEST_NUMBER = 9  # digits; an id is longer

# What the state allows; a note may always be written.
OFFERED: Final[dict[State, tuple[ActionName, ...]]] = {
    "triggered": ("acknowledge", "resolve", "snooze", "escalate", "reassign", "responders", "merge"),
    "acknowledged": ("resolve", "unacknowledge", "snooze", "escalate", "reassign", "responders", "merge"),
    "snoozed": ("acknowledge", "resolve", "snooze", "escalate", "reassign", "merge"),
    "resolved": ("reopen",),
}


class IncidentPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/incidents/{id}", self.show, methods=["GET"]),
            Route("/incidents/{id}/{action}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """By its id; a number leads there."""
        name = request.path_params["id"]
        if name.isascii() and name.isdigit() and len(name) <= LONGEST_NUMBER:
            found = await incidents.numbered(self._context.wire, int(name))
            if found is None:
                raise NotFound(f"there is no incident #{name}")
            return RedirectResponse(f"/incidents/{found.id}", 303)
        return await self._draw(request)

    async def act(self, request: Request) -> Response:
        """Do it and lead back; what the state forbids is said on the incident's page, and nothing is changed."""
        action, incident_id = action_named(request.path_params["action"]), request.path_params["id"]
        fields = await lists(request)
        await require_own(request, self._context, incident_id)
        try:
            wish = await asked(request, self._context, action, fields)
            if wish.into:
                await require_own(request, self._context, wish.into)
            incident = await actions.perform(self._context, incident_id, wish)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        say(request, f"{action} #{incident.number} {incident.title}")
        return RedirectResponse(own_path(back) if (back := one(fields, "back")) else f"/incidents/{incident_id}", 303)

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
            request, "incident.html", told(error).status if error else 200, incident=incident, problem=told(error).detail if error else "",
            alerts=sorted(alerts, key=firing_first)[:SHOWN_ALERTS], hidden=max(0, len(alerts) - SHOWN_ALERTS), now_ns=now_ns,
            timeline=timeline, ahead=ahead(incident, context.roster), offered=offered, snoozes=SNOOZES,
            muted=await muting.reasons(context, alerts, now_ns), others=await self._others(incident) if "merge" in offered else [],
            into=await self._into(incident), taken_in=[entry.data["number"] for entry in timeline if _absorbed(entry)],
            asked_why=request.query_params.get("why", ""), verdict=self._verdict(request, incident, timeline),
            teams=list(config.teams), schedules=list(config.schedules), policies=list(config.policies),
        )  # fmt: skip

    def _offered(self, request: Request, incident: Incident) -> tuple[ActionName, ...]:
        """What this reader can do to it as it is."""
        if not may_act(principal_of(request), incident) or incident.merged_into:
            return ()
        offered = OFFERED[incident.state]
        if incident.state == "acknowledged" and self._answers(acting(request, self._context), incident):
            return ("acknowledge", *offered)
        return offered

    def _answers(self, user: str, incident: Incident) -> bool:
        """Whether somebody has been asked for an answer although it is acknowledged: to join, or whether they are still on it."""
        asked_to_join = any(chain.user == user and chain.insists for chain in incident.chains)
        runs_out = incident.acknowledge_due is not None and incident.reminder_due is None and incident.plan.acknowledge_reminder > 0
        return bool(user) and (asked_to_join or (runs_out and incident.acknowledged_by == user))

    async def _others(self, incident: Incident) -> list[Incident]:
        """Open incidents that it can become part of."""
        found, _ = await incidents.listing(self._context.wire, limit=SHOWN_OTHERS + 1)
        return [other for other in found if other.id != incident.id][:SHOWN_OTHERS]

    async def _into(self, incident: Incident) -> Incident | None:
        """What it has become part of."""
        if not incident.merged_into:
            return None
        return (await incidents.load_many(self._context.wire, [incident.merged_into])).get(incident.merged_into)

    def _verdict(self, request: Request, incident: Incident, timeline: list[TimelineEntry]) -> Verdict | None:
        """Why the person of the query was paged, or was not."""
        user = request.query_params.get("why", "")
        return why_not(incident, timeline, user, self._context.roster, self._context.now()) if user else None


def _absorbed(entry: TimelineEntry) -> bool:
    return entry.kind == "merged" and isinstance(entry.data.get("number"), int)
