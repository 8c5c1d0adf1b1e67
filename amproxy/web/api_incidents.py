"""/api/v1/incidents: list, look at, act on and open incidents."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.config.structs import Urgency
from amproxy.correlate import muting
from amproxy.decide.matchers import all_match
from amproxy.durations import parse_duration
from amproxy.errors import NotFound
from amproxy.model import Incident
from amproxy.notify.templates import LONGEST_TITLE
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.store import incidents
from amproxy.web import views
from amproxy.web.deps import Deps
from amproxy.web.reading import Wanted, invalid, json_body, known_user, time, wanted


class ActionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of an action. `until` and `for` say how long a snooze lasts; `text` is the note, or one that goes with another action."""

    user: str | None = None
    until: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    text: str | None = None


class OpenBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of an incident opened by hand: exactly one of users, schedule and policy."""

    title: Annotated[str, msgspec.Meta(max_length=LONGEST_TITLE)]
    user: str | None = None
    users: list[str] = []
    schedule: str = ""
    policy: str = ""
    urgency: Urgency | None = None
    text: str = ""


def json(value: Any, status: int = 200) -> Response:
    """An answer of the API."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def find(deps: Deps, query: Wanted) -> tuple[list[Incident], str]:
    """Incidents that a query asks for, newest first, and the cursor of the rest. Labels are those of the group and those in common."""

    def keep(incident: Incident) -> bool:
        return all_match(query.matchers, {**incident.common_labels, **incident.group_labels})

    return await incidents.listing(deps.context.wire, query.states, keep=keep, limit=query.limit, before=query.cursor)


class IncidentsApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/incidents", self.index, methods=["GET"]),
            Route("/api/v1/incidents", self.open, methods=["POST"]),
            Route("/api/v1/incidents/{id}", self.show, methods=["GET"]),
            Route("/api/v1/incidents/{id}/{action}", self.act, methods=["POST"]),
            Route("/api/v1/test-alert", self.test_alert, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        found, cursor = await find(self._deps, wanted(request))
        return json({"incidents": [self._view(incident) for incident in found], "next": cursor or None})

    async def show(self, request: Request) -> Response:
        context, incident_id = self._context, request.path_params["id"]
        incident = await incidents.load(context.wire, incident_id)
        alerts = await incidents.load_alerts(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        now, url = context.now(), context.external_url
        muted = await muting.reasons(context, alerts, int(now * 10**9))
        return json(views.whole_incident(incident, alerts, timeline, muted, roster=context.roster, external_url=url, now=now))

    async def act(self, request: Request) -> Response:
        """One of the actions; a text that comes with another one than `note` is written down after it."""
        action, incident_id = request.path_params["action"], request.path_params["id"]
        if action not in actions.ACTIONS:
            raise HTTPException(404, f"there is no action {action[:60]}; there are {', '.join(get_args(ActionName))}")
        body = await json_body(request, ActionBody)
        user, text = known_user(self._context, body.user), body.text or ""
        asked = actions.Request(action=action, user=user, via="api", until=self._until(body, action), text=text)
        incident = await actions.perform(self._context, incident_id, asked)
        if action != "note" and text.strip():
            incident = await actions.perform(self._context, incident_id, actions.Request(action="note", user=user, via="api", text=text))
        return json(self._view(incident))

    def _until(self, body: ActionBody, action: str) -> float | None:
        if body.until is None and body.for_ is None:
            return None
        if action != "snooze":
            raise invalid("until and for belong to snooze")
        if body.until is not None and body.for_ is not None:
            raise invalid("give either until or for, not both")
        if body.until is not None:
            return time(body.until, "until").timestamp()
        try:
            return self._context.now() + parse_duration(body.for_ or "")
        except ValueError as error:
            raise invalid(f"for: {str(error)[:200]}") from None

    async def open(self, request: Request) -> Response:
        body = await json_body(request, OpenBody)
        try:
            incident = await actions.open_incident(
                self._context, title=body.title, by=known_user(self._context, body.user), users=body.users, schedule=body.schedule,
                policy=body.policy, urgency=body.urgency, text=body.text,
            )  # fmt: skip
        except NotFound as error:  # somebody or something that the body names; the address itself is right
            raise invalid(str(error)) from None
        return json(self._view(incident), 201)

    async def test_alert(self, request: Request) -> Response:
        return json({"text": await self._deps.test_alert()}, 202)

    def _view(self, incident: Incident) -> views.View:
        return views.incident(incident, self._context.roster, self._context.external_url)
