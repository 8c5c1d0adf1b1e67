"""/api/v1/users: the people of the file, whether they can be reached, and test pages to them.

/api/v1/users/{name}/absences: when a person is away, by the file and by hand.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.config import contacts as config_contacts
from amproxy.config.structs import Absence, Config, Notify, User, Wait
from amproxy.errors import NotFound
from amproxy.oncall.reachable import ContactReachability, PersonReachability, assess_reachability
from amproxy.respond import test_messages
from amproxy.respond.schedule_changes import add_absence, delete_absence
from amproxy.store import deliveries, schedule_changes
from amproxy.times import format_duration, local_to_utc
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_person, set_audit_text
from amproxy.web.http.request import parse_json_body, parse_time_param
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json_response
from amproxy.web.incidents.views import View


class TestPageRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a test page. Without a channel it goes over every contact of the person."""

    channel: str = ""


class UsersApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/users", self.index, methods=["GET"]),
            Route("/api/v1/users/{name}", self.show, methods=["GET"]),
            Route("/api/v1/users/{name}/test", self.test, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        config, reached = self._context.config, await self._reached()
        return json_response({"users": [user_view(user, config, reached[user.name]) for user in config.users.values()]})

    async def show(self, request: Request) -> Response:
        user = self._user(request)
        return json_response(user_view(user, self._context.config, (await self._reached())[user.name]))

    async def test(self, request: Request) -> Response:
        """Send a test page; what became of it is seen in the person's channels."""
        user, asked = self._user(request), (await parse_json_body(request, TestPageRequest)).channel
        return json_response({"user": user.name, "sent": await test_messages.send_test_page(self._context, user.name, asked)}, 202)

    async def _reached(self) -> dict[str, PersonReachability]:
        return assess_reachability(self._context.config, await deliveries.load_contact_outcomes(self._context.wire))

    def _user(self, request: Request) -> User:
        name = request.path_params["name"]
        user = self._context.config.users.get(name)
        if user is None:
            raise NotFound(f"there is no user {name[:60]}")
        return user


def user_view(user: User, config: Config, reached: PersonReachability) -> View:
    """A person as the API shows one. Addresses are left out: some of them are secrets."""
    return {
        "name": user.name,
        "full_name": user.full_name or None,
        "timezone": user.timezone,
        "role": user.role,
        "teams": [team.name for team in config.teams.values() if user.name in team.members],
        "reachable": reached.reachable,
        "why_not": reached.why_not or None,
        "channels": [_contact_view(contact) for contact in reached.contacts],
        "rules": {
            urgency: [_rule_view(rule) for rule in config_contacts.notification_rules(user, urgency)]
            for urgency in config_contacts.URGENCIES
        },
    }


def _contact_view(contact: ContactReachability) -> View:
    return {
        "channel": contact.channel,
        "state": contact.state,
        "used": contact.used,
        "last_delivery": rfc3339(contact.at),
        "error": contact.error or None,
    }


def _rule_view(rule: Notify | Wait) -> View:
    return {"notify": rule.channels} if isinstance(rule, Notify) else {"wait": format_duration(rule.seconds)}


class CreateAbsenceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Times without offset are wall-clock times of the person's zone."""

    start: str
    end: str
    reason: str | None = None


class AbsencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/users/{name}/absences", self.index, methods=["GET"]),
            Route("/api/v1/users/{name}/absences", self.add, methods=["POST"]),
            Route("/api/v1/users/{name}/absences/{id}", self.delete, methods=["DELETE"]),
        ]

    async def index(self, request: Request) -> Response:
        """Those of the file, then those by hand in the order in which they begin."""
        user = self._user(request)
        made = (await schedule_changes.load_absences(self._context.wire)).get(user.name, ())
        return json_response([absence_view(absence, user) for absence in (*user.absences, *made)])

    async def add(self, request: Request) -> Response:
        user = self._user(request)
        require_person(request, self._context, user.name)
        body = await parse_json_body(request, CreateAbsenceRequest)
        start, end = parse_time_param(body.start, "start", user.timezone), parse_time_param(body.end, "end", user.timezone)
        made = await add_absence(self._context, user.name, start=start, end=end, reason=body.reason or "")
        set_audit_text(request, f"{user.name} is away from {body.start} to {body.end}")
        return json_response(absence_view(made, user), 201)

    async def delete(self, request: Request) -> Response:
        user = self._user(request)
        require_person(request, self._context, user.name)
        await delete_absence(self._context, user.name, request.path_params["id"])
        set_audit_text(request, f"took back an absence of {user.name}")
        return Response(status_code=204)

    def _user(self, request: Request) -> User:
        name = request.path_params["name"]
        user = self._context.config.users.get(name)
        if user is None:
            raise NotFound(f"there is no user {name[:60]}")
        return user


def absence_view(absence: Absence, user: User) -> views.View:
    """One absence; `id` is null for one of the file."""
    zone = ZoneInfo(user.timezone)
    return {
        "id": absence.id or None,
        "user": user.name,
        "start": rfc3339(local_to_utc(absence.start, zone).timestamp()),
        "end": rfc3339(local_to_utc(absence.end, zone).timestamp()),
        "reason": absence.reason or None,
    }
