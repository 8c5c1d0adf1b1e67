"""/api/v1/users/{name}/absences: when a person is away, by the file and by hand."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.config.structs import Absence, User
from amproxy.errors import NotFound
from amproxy.respond.absences import add, take_back
from amproxy.store import absences
from amproxy.web.http.deps import Deps
from amproxy.web.http.own import require_person
from amproxy.web.http.permissions import say
from amproxy.web.http.request import json_body, time
from amproxy.web.incidents import views
from amproxy.web.incidents.api import json
from amproxy.zones import happens


class AbsenceBody(msgspec.Struct, forbid_unknown_fields=True):
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
        made = (await absences.load_all(self._context.wire)).get(user.name, ())
        return json([view(absence, user) for absence in (*user.absences, *made)])

    async def add(self, request: Request) -> Response:
        user = self._user(request)
        require_person(request, self._context, user.name)
        body = await json_body(request, AbsenceBody)
        start, end = time(body.start, "start", user.timezone), time(body.end, "end", user.timezone)
        made = await add(self._context, user.name, start=start, end=end, reason=body.reason or "")
        say(request, f"{user.name} is away from {body.start} to {body.end}")
        return json(view(made, user), 201)

    async def delete(self, request: Request) -> Response:
        user = self._user(request)
        require_person(request, self._context, user.name)
        await take_back(self._context, user.name, request.path_params["id"])
        say(request, f"took back an absence of {user.name}")
        return Response(status_code=204)

    def _user(self, request: Request) -> User:
        name = request.path_params["name"]
        user = self._context.config.users.get(name)
        if user is None:
            raise NotFound(f"there is no user {name[:60]}")
        return user


def view(absence: Absence, user: User) -> views.View:
    """One absence; `id` is null for one of the file."""
    zone = ZoneInfo(user.timezone)
    return {
        "id": absence.id or None,
        "user": user.name,
        "start": rfc3339(happens(absence.start, zone).timestamp()),
        "end": rfc3339(happens(absence.end, zone).timestamp()),
        "reason": absence.reason or None,
    }
