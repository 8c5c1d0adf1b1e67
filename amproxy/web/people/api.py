"""/api/v1/users: the people of the file, whether they can be reached, and test pages to them."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.config import contacts as config_contacts
from amproxy.config.structs import Config, Notify, User, Wait
from amproxy.errors import NotFound
from amproxy.oncall.reachable import Contact, Reach, reach
from amproxy.respond import test_messages
from amproxy.store import contacts
from amproxy.times import format_duration
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import json_body
from amproxy.web.incidents.api import json
from amproxy.web.incidents.views import View


class TestPageBody(msgspec.Struct, forbid_unknown_fields=True):
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
        return json({"users": [view(user, config, reached[user.name]) for user in config.users.values()]})

    async def show(self, request: Request) -> Response:
        user = self._user(request)
        return json(view(user, self._context.config, (await self._reached())[user.name]))

    async def test(self, request: Request) -> Response:
        """Send a test page; what became of it is seen in the person's channels."""
        user, asked = self._user(request), (await json_body(request, TestPageBody)).channel
        return json({"user": user.name, "sent": await test_messages.page(self._context, user.name, asked)}, 202)

    async def _reached(self) -> dict[str, Reach]:
        return reach(self._context.config, await contacts.load_all(self._context.wire))

    def _user(self, request: Request) -> User:
        name = request.path_params["name"]
        user = self._context.config.users.get(name)
        if user is None:
            raise NotFound(f"there is no user {name[:60]}")
        return user


def view(user: User, config: Config, reached: Reach) -> View:
    """A person as the API shows one. Addresses are left out: some of them are secrets."""
    return {
        "name": user.name,
        "full_name": user.full_name or None,
        "timezone": user.timezone,
        "role": user.role,
        "teams": [team.name for team in config.teams.values() if user.name in team.members],
        "reachable": reached.reachable,
        "why_not": reached.why_not or None,
        "channels": [_channel(contact) for contact in reached.contacts],
        "rules": {urgency: [_rule(rule) for rule in config_contacts.rules(user, urgency)] for urgency in config_contacts.URGENCIES},
    }


def _channel(contact: Contact) -> View:
    return {
        "channel": contact.channel,
        "state": contact.state,
        "used": contact.used,
        "last_delivery": rfc3339(contact.at),
        "error": contact.error or None,
    }


def _rule(rule: Notify | Wait) -> View:
    return {"notify": rule.channels} if isinstance(rule, Notify) else {"wait": format_duration(rule.seconds)}
