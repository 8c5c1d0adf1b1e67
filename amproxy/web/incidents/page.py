"""The page of one incident, and the forms on it."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy import offload
from amproxy.accept.repairs import picture_type
from amproxy.context import Context
from amproxy.correlate import muting
from amproxy.errors import Conflict, NotFound
from amproxy.model import Alert, Incident, IncidentState, TimelineEntry, current_annotations
from amproxy.notify.compose import alert_picture, left_out
from amproxy.notify.grafana import embedded_picture
from amproxy.notify.plots.plotter import may_have_plot
from amproxy.reports.why import WhyVerdict, why_not_paged
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.targets import BadAction
from amproxy.store import incidents, removal
from amproxy.store.pictures import load_picture
from amproxy.text import Phrase
from amproxy.web.http.audited import incident_deleted_phrase, one_incident_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.format import alert_values
from amproxy.web.http.guard import CONTENT_POLICY, page_policy, picture_origin
from amproxy.web.http.middleware import link_root
from amproxy.web.http.permissions import (
    may,
    may_act,
    principal_of,
    require_incidents,
    require_role,
    resolve_actor,
    set_audit_phrase,
)
from amproxy.web.http.request import own_path, parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user
from amproxy.web.incidents.act import (
    SNOOZE_DURATIONS,
    UNTIL_MORNING,
    parse_action,
    parse_action_form,
)
from amproxy.web.incidents.forecast import list_upcoming
from amproxy.web.incidents.targets import last_value, match_users, offer_people

FIRST_ALERTS = 10  # of a page that was not asked for all
MAX_LISTED_ALERTS = 200
MAX_LISTED_INCIDENTS = 12  # offered to merge into; any other can be given by its number
SNOOZE_CHOICES = (*SNOOZE_DURATIONS[:2], UNTIL_MORNING, *SNOOZE_DURATIONS[2:])
MAX_PICTURES = 20  # of one page
MAX_PICTURE_ORIGINS = 8  # they are named in a header
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
            Route("/incidents/{id}/delete", self.delete, methods=["POST"]),
            Route("/incidents/{id}/{action}", self.act, methods=["POST"]),
            Route("/pictures/{digest}", self.picture, methods=["GET"]),
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
        set_audit_phrase(request, one_incident_phrase(action, incident))
        back = last_value(fields, "back")
        return RedirectResponse(own_path(back) if back else f"/incidents/{incident_id}", 303)

    async def delete(self, request: Request) -> Response:
        """Delete and go to the list; a refusal is an error on the page."""
        require_role(request, "admin")
        incident_id, fields = request.path_params["id"], await parse_form_lists(request)
        user = resolve_actor(request, acting_user(request, self._context))
        try:
            if not last_value(fields, "sure"):
                raise BadAction(Phrase("refusal.delete_sure"))
            incident = await actions.delete_incident(
                self._context, incident_id, user=user, via="web"
            )
        except (Conflict, BadAction) as error:
            return await self._draw(request, error)
        set_audit_phrase(request, incident_deleted_phrase(incident))
        return RedirectResponse("/incidents?done=delete&n=1", 303)

    async def picture(self, request: Request) -> Response:
        """Serve a picture that came in an alert, under the digest that the alert has in its place.

        It is never anything but a picture to a browser: the type is that of its bytes.
        """
        picture = await load_picture(self._context.wire, request.path_params["digest"])
        if picture is None:
            raise NotFound(Phrase("refusal.no_picture"))
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(picture, headers=headers, media_type=picture_type(picture))

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context, incident_id = self._context, request.path_params["id"]
        incident = await incidents.load(context.wire, incident_id)
        timeline = await incidents.load_timeline(context.wire, incident_id)
        now_ns, config = int(context.now() * 10**9), context.config
        offered = self._offered(request, incident)
        all_alerts = request.query_params.get("alerts") == "all"
        user = request.query_params.get("why", "")  # the person of "Why was somebody not paged?"
        if user and len(matching := match_users(config, user)) == 1:
            user = matching[0]

        most = MAX_LISTED_ALERTS if all_alerts else FIRST_ALERTS
        shown, number, annotations = await load_first_alerts(context, incident, most)
        texts = choose_texts(incident, annotations)
        pictures = choose_pictures(shown, link_root(context.external_url))
        return await self._templates.page(
            request,
            "incident.html",
            describe_error(error).status if error else 200,
            {CONTENT_POLICY: page_policy(filter(None, map(picture_origin, pictures.values())))},
            incident=replace(incident, common_annotations=annotations),
            texts=texts,
            said=["summary", "description", *(k for k, v in annotations.items() if v in texts)],
            pictures=pictures,
            plotted=may_have_plot(config.metrics, shown),
            left_out=left_out(shown),
            problem=describe_error(error).phrase if error else "",
            alerts=shown,
            hidden=number - len(shown),
            all_alerts=all_alerts,
            valued=any(alert_values(alert) for alert in shown),
            now_ns=now_ns,
            timeline=timeline,
            forecast=list_upcoming(
                incident,
                context.roster,
                await incidents.load_turns(context.wire),
                (await muting.load_incident_muting(context, incident)).hold_at,
            ),
            offered=offered,
            snoozes=SNOOZE_CHOICES,
            offer=offer_people(context, team=incident.team),
            muted=await muting.load_muting_reasons(context, shown, now_ns),
            others=await self._merge_targets(request, incident) if "merge" in offered else [],
            into=await self._merged_into(incident),
            merged=await self._merged(incident, timeline),
            deletable=await self._may_delete(request, incident),
            why_user=user,
            verdict=self._verdict(user, incident, timeline) if user else None,
            teams=list(config.teams),
            schedules=list(config.schedules),
            policies=list(config.policies),
        )

    def _offered(self, request: Request, incident: Incident) -> tuple[ActionName, ...]:
        """The actions that this reader may take in the incident's state."""
        if not may_act(principal_of(request), incident):
            return ()
        if incident.merged_into:
            return ("unmerge",)
        offered = OFFERED_ACTIONS[incident.state]
        user = acting_user(request, self._context)
        if incident.state == "acknowledged" and user and owes_answer(user, incident):
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

    async def _merged(self, incident: Incident, timeline: list[TimelineEntry]) -> list[Incident]:
        """Those that were merged into it and are part of it still, in the order of that."""
        ids = dict.fromkeys(str(entry.data["id"]) for entry in timeline if _is_merge(entry))
        found = await incidents.load_many(self._context.wire, ids)
        return [one for one in found.values() if one.merged_into == incident.id]

    async def _may_delete(self, request: Request, incident: Incident) -> bool:
        over = incident.state == "resolved" and may(principal_of(request), "admin")
        return over and await removal.find_open_root(self._context.wire, incident) is None

    def _verdict(self, user: str, incident: Incident, timeline: list[TimelineEntry]) -> WhyVerdict:
        return why_not_paged(incident, timeline, user, self._context.roster, self._context.now())


class FirstAlerts(NamedTuple):
    """The first of an incident's alerts, and what was read of all of them."""

    shown: list[Alert]
    number: int
    annotations: dict[str, str]  # that all alerts share


async def load_first_alerts(context: Context, incident: Incident, most: int) -> FirstAlerts:
    """Load at most so many alerts of an incident, firing and older ones first."""
    now_ns = int(context.now() * 10**9)

    def firing_first(alert: Alert) -> tuple[bool, int, tuple[str, ...]]:
        return alert.resolved(now_ns), alert.starts_ns, tuple(alert.labels.values())

    is_big = incident.firing + incident.resolved > offload.LIGHT
    async with context.big_read if is_big else contextlib.nullcontext():
        alerts = await incidents.load_current_alerts(context.wire, incident)
        number = len(alerts)
        annotations = await offload.run(
            number, current_annotations, incident, alerts, context.now()
        )
        shown = await offload.run(number, heapq.nsmallest, most, alerts, firing_first)
        await offload.scrap(alerts)
    return FirstAlerts(shown, number, annotations)


def choose_pictures(alerts: list[Alert], root: str) -> dict[str, str]:
    """Fingerprint → address, for the alerts whose picture the page shows: each address once.

    Of the others the page has a link only: the policy cannot allow their host, or names enough.
    root: of addresses of this service.
    """
    chosen, origins = dict[str, str](), set[str]()
    for alert in alerts:
        url, digest = alert_picture(alert), embedded_picture(alert)
        origin = picture_origin(url)
        if origin and (origin in origins or len(origins) < MAX_PICTURE_ORIGINS):
            origins.add(origin)
        elif not url and digest:
            url = f"{root}/pictures/{digest}"
        else:
            continue
        if url not in chosen.values():
            chosen[alert.fingerprint] = url
        if len(chosen) == MAX_PICTURES:
            break
    return chosen


def choose_texts(incident: Incident, annotations: Mapping[str, str]) -> list[str]:
    """The texts under the title: the incident's own, else summary and description.

    One that stands in the title, or in the other, is not said again.
    """
    given = [incident.text] if incident.text else []
    given = given or [annotations.get(name, "") for name in ("summary", "description")]
    texts = list(dict.fromkeys(text.strip() for text in given if text.strip()))
    return [
        text
        for text in texts
        if not any(text in other for other in (incident.title, *texts) if other is not text)
    ]


def owes_answer(user: str, incident: Incident) -> bool:
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
    return entry.kind == "merged" and "id" in entry.data
