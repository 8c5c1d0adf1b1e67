"""/api/v1/incidents: list, read, act on and open incidents."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, get_args

import msgspec
from starlette.requests import Request

from amproxy import offload
from amproxy.config.structs import Config, Urgency
from amproxy.correlate import muting
from amproxy.errors import NotFound
from amproxy.model import Incident, IncidentState
from amproxy.notify.templates import LONGEST_TITLE
from amproxy.respond import actions
from amproxy.respond.actions import ActionName, BulkActionResult, perform_all, resolve_incident_id
from amproxy.respond.targets import PageTarget, open_incident
from amproxy.store import incidents
from amproxy.text import Phrase, phrase
from amproxy.text.render import arguments_of, code_of
from amproxy.times import parse_duration
from amproxy.web.http.api import Accepted, Created, JsonBody, JsonResponse, operation
from amproxy.web.http.audited import (
    incident_deleted_phrase,
    one_incident_phrase,
    paged_by_hand_phrase,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    require_incidents,
    require_role,
    resolve_actor,
    set_audit_phrase,
)
from amproxy.web.http.refusals import english_text
from amproxy.web.http.request import field_name, invalid, known_user, parse_time_param
from amproxy.web.incidents import views
from amproxy.web.incidents.act import perform_allowed
from amproxy.web.incidents.query import IncidentsParameters, find_incidents, parse_incident_query

MAX_BULK_INCIDENTS = 500  # incidents in one call

# key of the body → the actions that take it; the other keys go with every action
_ACTIONS_OF_KEY: dict[str, tuple[ActionName, ...]] = {
    "until": ("snooze",),
    "for_": ("snooze",),
    "into": ("merge",),
    "policy": ("reassign",),
    **dict.fromkeys(("users", "schedule", "team", "urgency"), ("reassign", "responders")),
}


class IncidentActionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of an action. `text` is the note, or goes with one; other keys go with some actions only."""

    user: str | None = None
    text: str | None = None
    until: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    users: list[str] = []
    schedule: str = ""
    team: str = ""
    policy: str = ""
    urgency: Urgency | None = None
    into: str = ""


class BulkActionRequest(IncidentActionRequest, forbid_unknown_fields=True, kw_only=True):
    """Of one action on many incidents."""

    action: ActionName
    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_BULK_INCIDENTS)]


class OpenIncidentRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of an incident opened by hand: exactly one of users, schedule, team and policy."""

    title: Annotated[str, msgspec.Meta(max_length=LONGEST_TITLE)]
    user: str | None = None
    users: list[str] = []
    schedule: str = ""
    team: str = ""
    policy: str = ""
    urgency: Urgency | None = None
    text: str = ""


class IncidentsView(msgspec.Struct, kw_only=True):
    incidents: list[views.IncidentView]
    next: str | None  # cursor


class BulkActionResultView(msgspec.Struct, kw_only=True):
    id: str
    state: IncidentState | None
    error: str | None
    code: str | None
    arguments: dict[str, Any] | None


class BulkResultView(msgspec.Struct, kw_only=True):
    done: int
    results: list[BulkActionResultView]


class TestAlertView(msgspec.Struct, kw_only=True):
    text: str


class IncidentsApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    @operation("incidents", "GET /api/v1/incidents", "listIncidents", "Incidents, newest first")
    async def index(self, request: Request, query: IncidentsParameters) -> IncidentsView:
        found, cursor = await find_incidents(self._context, parse_incident_query(query))
        return IncidentsView(incidents=await self._views(found), next=cursor or None)

    @operation(
        "incidents",
        "GET /api/v1/incidents/{id}",
        "showIncident",
        "One incident, with alerts, timeline and pages",
    )
    async def show(self, request: Request) -> JsonResponse[views.WholeIncidentView]:
        context, incident_id = self._context, request.path_params["id"]
        incident = await incidents.load(context.wire, incident_id)
        is_big = incident.firing + incident.resolved > offload.LIGHT
        async with context.big_read if is_big else contextlib.nullcontext():
            alerts = await incidents.load_current_alerts(context.wire, incident)
            timeline = await incidents.load_timeline(context.wire, incident_id)
            turns = await incidents.load_turns(context.wire)
            hold = (await muting.load_incident_muting(context, incident)).hold_at
            now, url = context.now(), context.external_url
            muted = await muting.load_muting_reasons(context, alerts, int(now * 10**9))
            response = await offload.run(
                len(alerts),
                lambda: JsonResponse(
                    views.whole_incident_view(
                        incident,
                        *(alerts, timeline, muted),
                        roster=context.roster,
                        turns=turns,
                        hold=hold,
                        external_url=url,
                        now=now,
                    )
                ),
            )
            await offload.scrap(alerts, muted)
        return response

    @operation(
        "incidents",
        "POST /api/v1/incidents/{id}/{action}",
        "actOnIncident",
        "Acknowledge, resolve, snooze, reassign …",
        errors=(409,),
    )
    async def act(
        self, request: Request, body: JsonBody[IncidentActionRequest]
    ) -> views.IncidentView:
        """Do one action; a text that comes with another one than `note` becomes a note after it."""
        action, incident_id = request.path_params["action"], request.path_params["id"]
        if action not in actions.ACTIONS:
            raise NotFound(
                Phrase(
                    "refusal.no_action",
                    {"action": action[:60], "known": ", ".join(get_args(ActionName))},
                )
            )
        action_request = await self._action_request(request, await body.read(), action)
        others = [action_request.into] if action_request.into else []
        await require_incidents(request, self._context, incident_id, *others)
        incident = await actions.perform(self._context, incident_id, action_request)
        set_audit_phrase(request, one_incident_phrase(action_request.action, incident))
        if note := self._note(action_request):
            incident = await actions.perform(self._context, incident_id, note)
        return await self._view(incident)

    @operation(
        "incidents",
        "DELETE /api/v1/incidents/{id}",
        "deleteIncident",
        "Delete a resolved incident for good",
        errors=(409,),
    )
    async def delete(self, request: Request) -> None:
        require_role(request, "admin")
        user = resolve_actor(request, "")
        incident_id = request.path_params["id"]
        incident = await actions.delete_incident(self._context, incident_id, user=user, via="api")
        set_audit_phrase(request, incident_deleted_phrase(incident))

    @operation(
        "incidents",
        "POST /api/v1/incidents/bulk",
        "actOnIncidents",
        "One action on many incidents",
    )
    async def bulk(self, request: Request, body: JsonBody[BulkActionRequest]) -> BulkResultView:
        """Do the same action on many incidents; always 200, with a result for each."""
        given = await body.read()
        action_request = await self._action_request(request, given, given.action)
        results = await perform_allowed(request, self._context, given.ids, action_request)
        if note := self._note(action_request):
            done = [result.id for result in results if result.incident]
            await perform_all(self._context, done, note)
        return BulkResultView(
            done=sum(result.incident is not None for result in results),
            results=[_bulk_action_result_view(result, self._context.config) for result in results],
        )

    async def _action_request(
        self, request: Request, body: IncidentActionRequest, action: ActionName
    ) -> actions.ActionRequest:
        """Raises HTTPException 422, and what resolve_incident_id raises."""
        for key, takers in _ACTIONS_OF_KEY.items():
            if getattr(body, key) and action not in takers:
                raise invalid(
                    Phrase(
                        "refusal.key_of_action",
                        {"key": key.rstrip("_"), "actions": " and ".join(takers)},
                    )
                )
        return actions.ActionRequest(
            action=action,
            user=resolve_actor(request, known_user(self._context, body.user)),
            via="api",
            until=self._until(body),
            text=body.text or "",
            to=_page_target(body),
            urgency=body.urgency or "default",
            into=await resolve_incident_id(self._context, body.into),
        )

    def _note(self, done: actions.ActionRequest) -> actions.ActionRequest | None:
        """The note of a text that came with another action."""
        if done.action == "note" or not done.text.strip():
            return None
        return actions.ActionRequest(action="note", user=done.user, via=done.via, text=done.text)

    def _until(self, body: IncidentActionRequest) -> float | None:
        if body.until is not None and body.for_ is not None:
            raise invalid(Phrase("refusal.until_or_for"))
        if body.until is not None:
            return parse_time_param(body.until, "until").timestamp()
        if body.for_ is None:
            return None
        try:
            return self._context.now() + parse_duration(body.for_)
        except ValueError:
            wrong = {"field": field_name("for"), "text": body.for_[:60]}
            raise invalid(Phrase("refusal.field_duration", wrong)) from None

    @operation(
        "incidents",
        "POST /api/v1/incidents",
        "openIncident",
        "Page somebody by hand",
        errors=(409,),
    )
    async def open(
        self, request: Request, body: JsonBody[OpenIncidentRequest]
    ) -> Created[views.IncidentView]:
        given = await body.read()
        by = resolve_actor(request, known_user(self._context, given.user))
        incident = await open_incident(
            self._context,
            title=given.title,
            by=by,
            to=_page_target(given),
            urgency=given.urgency,
            text=given.text,
        )
        set_audit_phrase(request, paged_by_hand_phrase(incident))
        return Created(await self._view(incident))

    @operation(
        "incidents",
        "POST /api/v1/test-alert",
        "sendTestAlert",
        "Send a test alert through the routes",
    )
    async def test_alert(self, request: Request) -> Accepted[TestAlertView]:
        text = await self._deps.test_alert()
        set_audit_phrase(request, phrase("audit.test_alert"))
        return Accepted(TestAlertView(text=text))

    async def _view(self, incident: Incident) -> views.IncidentView:
        return (await self._views([incident]))[0]

    async def _views(self, found: list[Incident]) -> list[views.IncidentView]:
        context = self._context
        roster, url, turns = (
            context.roster,
            context.external_url,
            await incidents.load_turns(context.wire),
        )
        mutings = await muting.load_incident_mutings(context, found)
        return [
            views.incident_view(one, roster, url, turns, mutings[one.id].hold_at) for one in found
        ]


def _bulk_action_result_view(result: BulkActionResult, config: Config) -> BulkActionResultView:
    return BulkActionResultView(
        id=result.id,
        state=result.incident.state if result.incident else None,
        error=english_text(result.error, config) if result.error else None,
        code=code_of(result.error, alone=True),
        arguments=arguments_of(result.error),
    )


def _page_target(body: IncidentActionRequest | OpenIncidentRequest) -> PageTarget:
    return PageTarget(
        users=tuple(body.users), schedule=body.schedule, team=body.team, policy=body.policy
    )
