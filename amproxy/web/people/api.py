"""The API of people: /api/v1/users with reachability and test pages, and their absences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.config import channels as config_channels
from amproxy.config.structs import Absence, Config, Notify, Urgency, User, Wait
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.grouping.rights import Role
from amproxy.oncall.reachable import (
    ContactReachability,
    ContactState,
    PersonReachability,
    assess_reachability,
)
from amproxy.respond import test_messages
from amproxy.respond.schedule_changes import add_absence, delete_absence
from amproxy.store import deliveries, schedule_changes
from amproxy.text import Phrase
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.times import format_duration, local_to_utc
from amproxy.web.http.api import Accepted, Created, JsonBody, operation
from amproxy.web.http.audited import (
    absence_deleted_phrase,
    absence_phrase,
    test_page_phrase,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import require_person, set_audit_phrase
from amproxy.web.http.request import parse_time_param


class TestPageRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Of a test page. Without a channel it goes over every contact of the person."""

    channel: str = ""


class ContactView(msgspec.Struct, kw_only=True):
    channel: str
    state: ContactState
    used: bool
    last_delivery: Timestamp | None
    error: str | None
    error_code: str | None
    error_arguments: dict[str, Any] | None


class NotificationRuleView(msgspec.Struct, kw_only=True):
    """One of the two: channels, or a time to wait."""

    notify: tuple[str, ...] | UnsetType = UNSET
    wait: str | UnsetType = UNSET


_OneKey = msgspec.Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})


class UserView(msgspec.Struct, kw_only=True):
    """Addresses are left out: some of them are secrets."""

    name: str
    full_name: str | None
    timezone: str
    role: Role
    teams: list[str]
    reachable: bool
    why_not: str | None
    why_not_code: str | None
    why_not_arguments: dict[str, Any] | None
    channels: list[ContactView]
    rules: dict[Urgency, list[Annotated[NotificationRuleView, _OneKey]]]


class UsersView(msgspec.Struct, kw_only=True):
    users: list[UserView]


class TestPageView(msgspec.Struct, kw_only=True):
    user: str
    sent: tuple[str, ...]  # channels


class UsersApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "people",
        "GET /api/v1/users",
        "listUsers",
        "The people of the file, and whether they can be reached",
    )
    async def index(self, request: Request) -> UsersView:
        config, reachability = self._context.config, await load_reachability(self._context)
        users = [
            _user_view(user, config, reachability[user.name]) for user in config.users.values()
        ]
        return UsersView(users=users)

    @operation("people", "GET /api/v1/users/{name:path}", "showUser", "One person")
    async def show(self, request: Request) -> UserView:
        user = user_of_path(request, self._context)
        reachability = await load_reachability(self._context)
        return _user_view(user, self._context.config, reachability[user.name])

    @operation(
        "people",
        "POST /api/v1/users/{name:path}/test",
        "testUser",
        "Send a test page",
        errors=(409,),
    )
    async def test(
        self, request: Request, body: JsonBody[TestPageRequest]
    ) -> Accepted[TestPageView]:
        """Send a test page; the states of the person's channels show its outcome."""
        user = user_of_path(request, self._context)
        require_person(request, self._context, user.name)
        channel = (await body.read()).channel
        sent = await test_messages.send_test_page(self._context, user.name, channel)
        set_audit_phrase(request, test_page_phrase(user.name, sent))
        return Accepted(TestPageView(user=user.name, sent=sent))


def user_of_path(request: Request, context: Context) -> User:
    """The user whom a path names. Raises NotFound."""
    name = request.path_params["name"]
    user = context.config.users.get(name)
    if user is None:
        raise NotFound(Phrase("refusal.no_user", {"user": name[:60]}))
    return user


async def load_reachability(context: Context) -> Mapping[str, PersonReachability]:
    """User → reachability, by the last deliveries. Raises StoreUnavailable."""
    outcomes = await deliveries.load_contact_outcomes(context.wire)
    return assess_reachability(context.config, outcomes)


def _user_view(user: User, config: Config, reachability: PersonReachability) -> UserView:
    return UserView(
        name=user.name,
        full_name=user.full_name or None,
        timezone=user.timezone,
        role=user.role,
        teams=[team.name for team in config.teams.values() if user.name in team.members],
        reachable=reachability.reachable,
        why_not=in_english(reachability.why_not) if reachability.why_not else None,
        why_not_code=code_of(reachability.why_not),
        why_not_arguments=arguments_of(reachability.why_not),
        channels=[_contact_view(contact) for contact in reachability.contacts],
        rules={
            urgency: [
                _rule_view(rule)
                for rule in config_channels.notification_rules(config, user, urgency)
            ]
            for urgency in config_channels.URGENCIES
        },
    )


def _contact_view(contact: ContactReachability) -> ContactView:
    error = contact.error or contact.reason
    return ContactView(
        channel=contact.channel,
        state=contact.state,
        used=contact.used,
        last_delivery=rfc3339(contact.at),
        error=in_english(error) if error else None,
        error_code=code_of(error),
        error_arguments=arguments_of(error),
    )


def _rule_view(rule: Notify | Wait) -> NotificationRuleView:
    if isinstance(rule, Notify):
        return NotificationRuleView(notify=rule.channels)
    return NotificationRuleView(wait=format_duration(rule.seconds))


class CreateAbsenceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Times without offset are wall-clock times of the person's zone."""

    start: str
    end: str
    reason: str | None = None


class AbsenceView(msgspec.Struct, kw_only=True):
    id: str | None  # null for one of the file
    user: str
    start: Timestamp
    end: Timestamp
    reason: str | None


class AbsencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "people", "GET /api/v1/users/{name:path}/absences", "listAbsences", "When a person is away"
    )
    async def index(self, request: Request) -> list[AbsenceView]:
        """Those of the file, then those by hand in the order in which they begin."""
        user = user_of_path(request, self._context)
        by_hand = (await schedule_changes.load_absences(self._context.wire)).get(user.name, ())
        return [_absence_view(absence, user) for absence in (*user.absences, *by_hand)]

    @operation(
        "people",
        "POST /api/v1/users/{name:path}/absences",
        "addAbsence",
        "Say that a person is away",
        errors=(409,),
    )
    async def add(
        self, request: Request, body: JsonBody[CreateAbsenceRequest]
    ) -> Created[AbsenceView]:
        user = user_of_path(request, self._context)
        require_person(request, self._context, user.name)
        given = await body.read()
        start = parse_time_param(given.start, "start", user.timezone)
        end = parse_time_param(given.end, "end", user.timezone)
        absence = await add_absence(
            self._context, user.name, start=start, end=end, reason=given.reason or ""
        )
        set_audit_phrase(request, absence_phrase(user.name, start, end))
        return Created(_absence_view(absence, user))

    @operation(
        "people",
        "DELETE /api/v1/users/{name:path}/absences/{id}",
        "deleteAbsence",
        "Take an absence by hand back",
        errors=(409,),
    )
    async def delete(self, request: Request) -> None:
        user = user_of_path(request, self._context)
        require_person(request, self._context, user.name)
        await delete_absence(self._context, user.name, request.path_params["id"])
        set_audit_phrase(request, absence_deleted_phrase(user.name))


def _absence_view(absence: Absence, user: User) -> AbsenceView:
    zone = ZoneInfo(user.timezone)
    return AbsenceView(
        id=absence.id or None,
        user=user.name,
        start=rfc3339(local_to_utc(absence.start, zone).timestamp()),
        end=rfc3339(local_to_utc(absence.end, zone).timestamp()),
        reason=absence.reason or None,
    )
