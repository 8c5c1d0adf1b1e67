"""/people: teams, and people with their shifts, contacts, rules and absences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config import channels as config_channels
from amproxy.config.structs import Absence, Config, Team, User
from amproxy.errors import Conflict
from amproxy.grouping.rights import person_refusal
from amproxy.oncall.reachable import PersonReachability
from amproxy.respond import test_messages
from amproxy.respond.schedule_changes import add_absence, delete_absence
from amproxy.respond.targets import BadAction
from amproxy.store import schedule_changes
from amproxy.text import Texts
from amproxy.text.policies import rule_phrase
from amproxy.text.render import render_phrase
from amproxy.times import local_to_utc
from amproxy.web.http.audited import (
    absence_deleted_phrase,
    absence_phrase,
    test_page_phrase,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.paging import page_of_list
from amproxy.web.http.permissions import principal_of, require_person, set_audit_phrase
from amproxy.web.http.request import parse_form, parse_time_param
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_texts
from amproxy.web.people.api import load_reachability, user_of_path


class PersonOnCallRow(NamedTuple):
    """A schedule that somebody is on call for now, or will be at its next change."""

    schedule: str
    now: bool
    at: datetime | None  # the end, or the beginning; None = not known


class AbsenceRow(NamedTuple):
    """One absence; `id` is empty for one of the file."""

    start: datetime
    end: datetime
    reason: str
    id: str
    now: bool


class PersonView(NamedTuple):
    """A person as the page shows them."""

    user: User
    local: datetime
    teams: list[str]
    on_call: list[PersonOnCallRow]
    reachability: PersonReachability
    rules: list[tuple[str, list[str]]]  # urgency → the rules in words
    absences: list[AbsenceRow]
    may_change: bool  # absences, and send test pages


class TeamView(NamedTuple):
    """A team and what belongs to it."""

    team: Team
    schedules: list[str]
    policies: list[str]


class PeoplePage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/people", self.show, methods=["GET"]),
            Route("/people/{name:path}/test", self.test, methods=["POST"]),
            Route("/people/{name:path}/absences", self.add_absence, methods=["POST"]),
            Route(
                "/people/{name:path}/absences/{id}/delete", self.delete_absence, methods=["POST"]
            ),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request)

    async def test(self, request: Request) -> Response:
        """Send a test page; the states of the person's channels show its outcome."""
        user, fields = user_of_path(request, self._context), await parse_form(request)
        require_person(request, self._context, user.name)
        try:
            sent = await test_messages.send_test_page(
                self._context, user.name, fields.get("channel", "")
            )
        except BadAction as error:
            return await self._draw(request, error)
        set_audit_phrase(request, test_page_phrase(user.name, sent))
        return RedirectResponse(
            f"/people?{urlencode({'sent': user.name})}#person-{quote(user.name)}", 303
        )

    async def add_absence(self, request: Request) -> Response:
        user, fields = user_of_path(request, self._context), await parse_form(request)
        require_person(request, self._context, user.name)
        try:
            start, end = (
                parse_time_param(fields.get(name, ""), name, user.timezone)
                for name in ("start", "end")
            )
            await add_absence(
                self._context,
                user.name,
                start=start,
                end=end,
                reason=fields.get("reason", "")[:500],
            )
        except (BadAction, Conflict, HTTPException) as error:
            return await self._draw(request, error)
        set_audit_phrase(request, absence_phrase(user.name, start, end))
        return RedirectResponse(f"/people#person-{quote(user.name)}", 303)

    async def delete_absence(self, request: Request) -> Response:
        user = user_of_path(request, self._context)
        await parse_form(request)
        require_person(request, self._context, user.name)
        await delete_absence(self._context, user.name, request.path_params["id"])
        set_audit_phrase(request, absence_deleted_phrase(user.name))
        return RedirectResponse(f"/people#person-{quote(user.name)}", 303)

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        context, t = self._context, reader_texts(request)
        config, now = context.config, utc(context.now())
        reachability = await load_reachability(context)
        absences = await schedule_changes.load_absences(context.wire)
        on_call, teams = self._on_call(now), _teams_by_member(config)
        people = page_of_list(
            request,
            config.users.values(),
            lambda user: (user.name, user.full_name, *teams.get(user.name, ())),
        )
        listed = {user.name for user in people.shown}
        persons = [
            PersonView(
                user,
                now.astimezone(ZoneInfo(user.timezone)),
                teams.get(user.name, []),
                on_call.get(user.name, []),
                reachability[user.name],
                describe_rules(config, user, t),
                current_absences(user, absences.get(user.name, ()), now),
                self._may_change(request, user.name),
            )
            for user in people.shown
        ]
        return await self._templates.page(
            request,
            "people.html",
            describe_error(error).status if error else 200,
            persons=persons,
            people=people,
            elsewhere=[name for name in config.users if name not in listed],
            teams=_team_views(config),
            problem=describe_error(error).phrase if error else "",
            about=request.path_params.get("name", ""),
            sent=request.query_params.get("sent", ""),
        )

    def _may_change(self, request: Request, name: str) -> bool:
        return not person_refusal(principal_of(request), self._context.config, name)

    def _on_call(self, now: datetime) -> Mapping[str, list[PersonOnCallRow]]:
        """User → the schedules that they are on call for, or next."""
        found: dict[str, list[PersonOnCallRow]] = {}
        for name in self._context.config.schedules:
            on_call = self._context.roster.on_call(name, now)
            for user in on_call.users:
                # for one who is on call before and after the change, it is no end
                end = on_call.until if user not in on_call.next else None
                found.setdefault(user, []).append(PersonOnCallRow(name, True, end))
            for user in on_call.next:
                if user not in on_call.users:
                    found.setdefault(user, []).append(PersonOnCallRow(name, False, on_call.until))
        return found


def _teams_by_member(config: Config) -> dict[str, list[str]]:
    """Person → the names of their teams."""
    found: dict[str, list[str]] = {}
    for team in config.teams.values():
        for name in team.members:
            found.setdefault(name, []).append(team.name)
    return found


def _team_views(config: Config) -> list[TeamView]:
    return [
        TeamView(
            team,
            [schedule.name for schedule in config.schedules.values() if schedule.team == team.name],
            [policy.name for policy in config.policies.values() if policy.team == team.name],
        )
        for team in config.teams.values()
    ]


def describe_rules(config: Config, user: User, t: Texts) -> list[tuple[str, list[str]]]:
    """Urgency → its rules in words; only "" → rules where those of both are the same."""
    rules_of = {
        urgency: [
            render_phrase(rule_phrase(rule), t)
            for rule in config_channels.notification_rules(config, user, urgency)
        ]
        for urgency in config_channels.URGENCIES
    }
    if len({tuple(rules) for rules in rules_of.values()}) == 1:
        return [("", rules_of[config_channels.URGENCIES[0]])]
    return list(rules_of.items())


def current_absences(user: User, by_hand: Iterable[Absence], now: datetime) -> list[AbsenceRow]:
    """Absences of the file and by hand that are not over, in order."""
    zone = ZoneInfo(user.timezone)
    rows = []
    for one in (*user.absences, *by_hand):
        start, end = local_to_utc(one.start, zone), local_to_utc(one.end, zone)
        if end > now:
            rows.append(AbsenceRow(start, end, one.reason, one.id, start <= now))
    return sorted(rows, key=lambda row: (row.start, row.end))
