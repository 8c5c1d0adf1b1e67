"""Signed links of messages (/act): one action, before it and after it.

Opening a link only shows the incident and the action, because mail filters open every link; a
press on the page acts.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.errors import Conflict, StoreUnavailable
from amproxy.grouping.rights import incident_refusal, principal_of_user
from amproxy.labels.severity import severity_of
from amproxy.model import Incident, TimelineEntry
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.links import SignedAction
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.times import format_duration
from amproxy.web.http.audited import one_incident_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import ACTING_KEY, Forbidden, require, set_audit_phrase
from amproxy.web.http.request import parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import (
    COOKIE_AGE,
    USER_COOKIE,
    PageTemplates,
    acting_user,
    reader_zone,
    set_preference,
)
from amproxy.web.incidents.act import UNTIL_MORNING, parse_until
from amproxy.web.incidents.page import choose_texts, owes_answer
from amproxy.web.incidents.targets import FormLists, find_users, last_value

MAX_LINK_AGE = 7 * 86400.0  # seconds that a link is good for
FOLLOW_UPS: Final = ("30m", "1h", UNTIL_MORNING)  # lengths of a snooze that may follow

# Action → the kinds of entries of a timeline that tell that it was done.
_TOLD_BY: Final[dict[str, tuple[str, ...]]] = {
    "acknowledge": ("acknowledged", "joined", "renewed"),
    "unacknowledge": ("unacknowledged",),
    "resolve": ("resolved",),
    "snooze": ("snoozed",),
    "escalate": ("escalated",),
}


class ActPage:
    """/act/TOKEN: the action of a link, what came of it, and what may follow."""

    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._links, self._templates = deps.context, deps.links, templates

    def routes(self) -> list[Route]:
        return [
            Route("/act/{token}", self.show, methods=["GET"]),
            Route("/act/{token}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request, self._signed(request))

    async def act(self, request: Request) -> Response:
        """Act and go back to the link, which tells what was done; a refusal is an error there.

        A form may ask for a snooze in place of the link's own action: whoever may answer with the
        one may with the other, and every message offers both.
        """
        context, signed = self._context, self._signed(request)
        fields = await parse_form_lists(request)
        action: ActionName = "snooze" if last_value(fields, "then") else signed.action
        try:
            # With sign-in the form names nobody: only the link or the session names the actor.
            named = "" if context.config.sign_in else last_value(fields, "user")
            given = find_users(context.config, named)
            user = signed.user or (given[0] if given else acting_user(request, context))
            if user:
                # Without anybody in particular the link itself is the right: a team's chat got it.
                principal = principal_of_user(context.config, user, "link")
                incident = await incidents.load(context.wire, signed.incident)
                request.scope[ACTING_KEY] = user
                require(request, incident_refusal(principal, incident))
            until = self._until(request, signed, fields) if action == "snooze" else None
            wanted = actions.ActionRequest(
                action=action, user=user, via="link", epoch=signed.epoch, until=until
            )
            incident = await actions.perform(context, signed.incident, wanted)
        except (Conflict, BadAction, Forbidden) as error:
            return await self._draw(request, signed, error)
        request.scope[ACTING_KEY] = user
        set_audit_phrase(request, one_incident_phrase(action, incident))
        response = RedirectResponse(f"{request.url.path}?done={action}", 303)
        if given or (user and not acting_user(request, context)):
            set_preference(response, USER_COOKIE, quote(user), COOKIE_AGE)
        return response

    def _until(self, request: Request, signed: SignedAction, fields: FormLists) -> float | None:
        """The end of a snooze: that of the form, else that of the link; None = the usual one.

        Raises HTTPException 422.
        """
        if last_value(fields, "then"):
            return parse_until(request, self._context, fields, self._zone(request, signed))
        length = _snooze_seconds(signed)
        return self._context.now() + length if length else None

    async def _draw(
        self, request: Request, signed: SignedAction, error: Exception | None = None
    ) -> HTMLResponse:
        wire, zone = self._context.wire, self._zone(request, signed)
        incident = await incidents.load(wire, signed.incident)
        length = _snooze_seconds(signed)
        is_open = incident.state != "resolved" and signed.epoch == incident.epoch
        return await self._templates.page(
            request,
            "act.html",
            describe_error(error).status if error else 200,
            clock=zone,
            has_secret=True,
            problem=describe_error(error).phrase if error else "",
            signed=signed,
            incident=incident,
            severity=incident.severity or severity_of(incident.common_labels),
            texts=choose_texts(incident, incident.common_annotations),
            verb="snooze_for" if length else signed.action,
            length=format_duration(length) if length else "",
            done=await self._done(request, incident),
            # a link acts on the epoch that it was made for, and on no later one
            stale=incident.state != "resolved" and not is_open,
            offered=is_open and _is_left_to_do(signed, incident),
            follow_ups=FOLLOW_UPS if is_open else (),
        )

    async def _done(self, request: Request, incident: Incident) -> TimelineEntry | None:
        """The action that was done before this page, as the timeline tells it; None = none was."""
        kinds = _TOLD_BY.get(request.query_params.get("done", ""), ())
        timeline = await incidents.load_timeline(self._context.wire, incident.id) if kinds else []
        return next((entry for entry in reversed(timeline) if entry.kind in kinds), None)

    def _zone(self, request: Request, signed: SignedAction) -> str:
        """The zone of the person that the link was sent to, else the reader's."""
        user = self._context.config.users.get(signed.user)
        return user.timezone if user else reader_zone(request, self._context)

    def _signed(self, request: Request) -> SignedAction:
        links = self._links()
        if links is None:
            raise StoreUnavailable("the key for signed links is not known yet")
        return links.verify(request.path_params["token"], MAX_LINK_AGE)


def _snooze_seconds(signed: SignedAction) -> float:
    """The length of a snooze; 0 = the usual one, or no snooze."""
    if signed.action == "snooze" and signed.arg.isascii() and signed.arg.isdigit():
        return float(signed.arg)
    return 0.0


def _is_left_to_do(signed: SignedAction, incident: Incident) -> bool:
    """True where the action of a link would change something about an open incident."""
    match signed.action:
        case "acknowledge":
            answered = incident.state == "acknowledged"
            return not answered or bool(signed.user and owes_answer(signed.user, incident))
        case "unacknowledge":
            return incident.state == "acknowledged"
        case "snooze":
            return incident.state != "snoozed"
        case _:
            return True
