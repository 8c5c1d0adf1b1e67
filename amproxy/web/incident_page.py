"""The page of one incident, and the forms on it."""

from __future__ import annotations

from typing import get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.correlate import muting
from amproxy.durations import parse_duration
from amproxy.errors import Conflict
from amproxy.model import Alert, State
from amproxy.notify.card import Action
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.web.ahead import ahead
from amproxy.web.deps import Deps
from amproxy.web.errors import told
from amproxy.web.looks import Looks, acting
from amproxy.web.own import may_act, require_own
from amproxy.web.principal import principal_of, say, who_acts
from amproxy.web.reading import form, invalid

SHOWN_ALERTS = 50
SNOOZES = {"30m": "30 minutes", "1h": "1 hour", "4h": "4 hours", "1d": "1 day"}
BACK = {"now": "/", "list": "/incidents"}  # where a form may lead to instead of the incident

# What the state allows; a note may always be written.
OFFERED: dict[State, tuple[Action, ...]] = {
    "triggered": ("acknowledge", "resolve", "snooze", "escalate"),
    "acknowledged": ("resolve", "unacknowledge", "snooze", "escalate"),
    "snoozed": ("acknowledge", "resolve", "escalate"),
    "resolved": (),
}


class IncidentPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/incidents/{id}", self.show, methods=["GET"]),
            Route("/incidents/{id}/{action}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request)

    async def act(self, request: Request) -> Response:
        """Do it and lead back; what the state forbids is said on the incident's page, and nothing is changed."""
        action, incident_id = request.path_params["action"], request.path_params["id"]
        if action not in get_args(ActionName):
            raise HTTPException(404)
        fields = await form(request)
        epoch = fields.get("epoch", "")
        asked = actions.Request(
            action=action, user=who_acts(request, acting(request, self._context)), via="web",
            epoch=int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 10 else None,
            until=self._until(fields.get("for")) if action == "snooze" else None, text=fields.get("text", ""),
        )  # fmt: skip
        await require_own(request, self._context, incident_id)
        try:
            incident = await actions.perform(self._context, incident_id, asked)
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        say(request, f"{action} #{incident.number} {incident.title}")
        return RedirectResponse(BACK.get(fields.get("back", ""), f"/incidents/{incident_id}"), 303)

    def _until(self, length: str | None) -> float | None:
        if not length:
            return None
        try:
            return self._context.now() + parse_duration(length)
        except ValueError as error:
            raise invalid(str(error)[:200]) from None

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context, incident_id = self._context, request.path_params["id"]
        incident = await incidents.load(context.wire, incident_id)
        alerts = await incidents.load_alerts(context.wire, incident_id)
        now_ns = int(context.now() * 10**9)

        def firing_first(alert: Alert) -> tuple[bool, int]:
            return alert.resolved(now_ns), alert.starts_ns

        return await self._looks.page(
            request, "incident.html", told(error).status if error else 200, incident=incident, problem=told(error).detail if error else "",
            alerts=sorted(alerts, key=firing_first)[:SHOWN_ALERTS], hidden=max(0, len(alerts) - SHOWN_ALERTS), now_ns=now_ns,
            timeline=await incidents.load_timeline(context.wire, incident_id), ahead=ahead(incident, context.roster),
            offered=OFFERED[incident.state] if may_act(principal_of(request), incident) else (), snoozes=SNOOZES,
            muted=await muting.reasons(context, alerts, now_ns),
        )  # fmt: skip
