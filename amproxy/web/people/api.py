"""The API of people: /api/v1/users with reachability and test pages, and their absences."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.config import channels as config_channels
from amproxy.config.structs import Absence, Config, Notify, User, Wait
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.oncall.reachable import ContactReachability, PersonReachability, assess_reachability
from amproxy.respond import test_messages
from amproxy.respond.schedule_changes import add_absence, delete_absence
from amproxy.store import deliveries, schedule_changes
from amproxy.times import format_duration, local_to_utc
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_person, set_audit_text
from amproxy.web.http.request import parse_json_body, parse_time_param
from amproxy.web.http.response import View, json_response


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
        config, reachability = self._context.config, await load_reachability(self._context)
        users = [user_view(user, config, reachability[user.name]) for user in config.users.values()]
        return json_response({"users": users})

    async def show(self, request: Request) -> Response:
        user = user_of_path(request, self._context)
        reachability = await load_reachability(self._context)
        return json_response(user_view(user, self._context.config, reachability[user.name]))

    async def test(self, request: Request) -> Response:
        """Send a test page; the states of the person's channels show its outcome."""
        user = user_of_path(request, self._context)
        require_person(request, self._context, user.name)
        channel = (await parse_json_body(request, TestPageRequest)).channel
        sent = await test_messages.send_test_page(self._context, user.name, channel)
        set_audit_text(request, f"sent a test page to {user.name} over {', '.join(sent)}")
        return json_response({"user": user.name, "sent": sent}, 202)


def user_of_path(request: Request, context: Context) -> User:
    """The user whom a path names. Raises NotFound."""
    name = request.path_params["name"]
    user = context.config.users.get(name)
    if user is None:
        raise NotFound(f"there is no user {name[:60]}")
    return user


async def load_reachability(context: Context) -> dict[str, PersonReachability]:
    """User → reachability, by the last deliveries. Raises StoreUnavailable."""
    outcomes = await deliveries.load_contact_outcomes(context.wire)
    return assess_reachability(context.config, outcomes)


def user_view(user: User, config: Config, reachability: PersonReachability) -> View:
    """A person as the API shows one. Addresses are left out: some of them are secrets."""
    return {
        "name": user.name,
        "full_name": user.full_name or None,
        "timezone": user.timezone,
        "role": user.role,
        "teams": [team.name for team in config.teams.values() if user.name in team.members],
        "reachable": reachability.reachable,
        "why_not": reachability.why_not or None,
        "channels": [_contact_view(contact) for contact in reachability.contacts],
        "rules": {
            urgency: [
                _rule_view(rule) for rule in config_channels.notification_rules(user, urgency)
            ]
            for urgency in config_channels.URGENCIES
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
    if isinstance(rule, Notify):
        return {"notify": rule.channels}
    return {"wait": format_duration(rule.seconds)}


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
        user = user_of_path(request, self._context)
        by_hand = (await schedule_changes.load_absences(self._context.wire)).get(user.name, ())
        absences = [absence_view(absence, user) for absence in (*user.absences, *by_hand)]
        return json_response(absences)

    async def add(self, request: Request) -> Response:
        user = user_of_path(request, self._context)
        require_person(request, self._context, user.name)
        body = await parse_json_body(request, CreateAbsenceRequest)
        start = parse_time_param(body.start, "start", user.timezone)
        end = parse_time_param(body.end, "end", user.timezone)
        absence = await add_absence(
            self._context, user.name, start=start, end=end, reason=body.reason or ""
        )
        set_audit_text(request, f"{user.name} is away from {body.start} to {body.end}")
        return json_response(absence_view(absence, user), 201)

    async def delete(self, request: Request) -> Response:
        user = user_of_path(request, self._context)
        require_person(request, self._context, user.name)
        await delete_absence(self._context, user.name, request.path_params["id"])
        set_audit_text(request, f"took back an absence of {user.name}")
        return Response(status_code=204)


def absence_view(absence: Absence, user: User) -> View:
    """One absence; `id` is null for one of the file."""
    zone = ZoneInfo(user.timezone)
    return {
        "id": absence.id or None,
        "user": user.name,
        "start": rfc3339(local_to_utc(absence.start, zone).timestamp()),
        "end": rfc3339(local_to_utc(absence.end, zone).timestamp()),
        "reason": absence.reason or None,
    }
