"""/me: the reader's shifts, open swaps, incidents, contacts, absences, calendar and sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Schedule, User
from amproxy.context import Context
from amproxy.errors import Conflict, DeliveryError, NotFound
from amproxy.grouping.rights import schedule_refusal
from amproxy.model import Swap
from amproxy.oncall.roster import Roster
from amproxy.oncall.swaps import swap_state
from amproxy.respond import push_devices, test_messages
from amproxy.respond.schedule_changes import add_absence, delete_absence
from amproxy.respond.targets import BadAction
from amproxy.store import calendars, incidents, schedule_changes, sign_in, subscriptions
from amproxy.store.calendars import Feed
from amproxy.store.incidents import IncidentSummary
from amproxy.text import Phrase, Texts, Words
from amproxy.web.http.audited import (
    absence_deleted_phrase,
    absence_phrase,
    device_phrase,
    feed_phrase,
    session_ended_phrase,
    sessions_ended_phrase,
    test_page_phrase,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    Forbidden,
    may,
    principal_of,
    require_person,
    require_role,
    set_audit_phrase,
)
from amproxy.web.http.request import parse_form, parse_time_param
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, acting_user, reader_texts
from amproxy.web.incidents.list import incident_rows
from amproxy.web.people.api import load_reachability
from amproxy.web.people.page import current_absences, describe_rules
from amproxy.web.schedules.calendars_api import feed_url
from amproxy.web.signin import session

LOOKAHEAD: Final = timedelta(weeks=4)
MAX_LISTED_INCIDENTS = 20

# Marks of a User-Agent → names for people, the telling ones first: every browser says that it is
# others as well.
_BROWSERS: Final = (
    *(("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("Edg", "Edge"), ("OPR/", "Opera")),
    *(("SamsungBrowser/", "Samsung Internet"), ("YaBrowser/", "Yandex Browser")),
    *(("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari")),
)
_SYSTEMS: Final = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS")),
    *(("Windows", "Windows"), ("Mac OS X", "macOS"), ("Linux", "Linux")),
)

FormFields = Mapping[str, str]
# acts, and returns a text for the audit log; an error that it raises is shown on the page
FormAction = Callable[[Request, User, FormFields], Awaitable[Phrase]]


class MyShift(NamedTuple):
    """A period without a break in which somebody is on call for a schedule."""

    schedule: str
    start: datetime
    end: datetime
    now: bool
    open_end: bool  # it goes on after LOOKAHEAD


class MyShifts(NamedTuple):
    shifts: list[MyShift]  # of the next weeks, in the order in which they begin

    @property
    def now(self) -> list[MyShift]:
        return [shift for shift in self.shifts if shift.now]

    @property
    def next(self) -> MyShift | None:
        return next((shift for shift in self.shifts if not shift.now), None)


class MePage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        actions: list[tuple[str, str, FormAction]] = [
            ("test", "reached", self._test),
            ("absences", "away", self._add_absence),
            ("absences/{id}/delete", "away", self._delete_absence),
            ("push", "push", self._add_device),
            ("push/{id}/delete", "push", self._remove_device),
            ("calendar", "calendar", self._make_feed),
            ("calendar/delete", "calendar", self._revoke_feed),
            ("sessions/delete", "sessions", self._end_others),
            ("sessions/{id}/delete", "sessions", self._end_session),
        ]
        return [
            Route("/me", self.show, methods=["GET"]),
            *(
                Route(f"/me/{path}", partial(self._act, action, anchor), methods=["POST"])
                for path, anchor, action in actions
            ),
            *(Route(f"/me/{path}", self.back, methods=["GET"]) for path, _, _ in actions),
        ]

    async def show(self, request: Request) -> HTMLResponse:
        return await self._draw(request)

    async def back(self, request: Request) -> Response:
        """The address of a form that was answered with the page, loaded again."""
        return RedirectResponse("/me", 303)

    async def _act(self, action: FormAction, anchor: str, request: Request) -> Response:
        """Act and redirect back; an action that makes no sense is an error on the page."""
        fields, user = await parse_form(request), self._user(request)
        if user is None:
            raise Forbidden(Phrase("refusal.say_who"))
        try:
            done = await action(request, user, fields)
        except (BadAction, Conflict) as error:
            return await self._draw(request, error)
        except HTTPException as error:
            if error.status_code != 422:  # only wrong fields can be put right on the page
                raise
            return await self._draw(request, error)
        set_audit_phrase(request, done)
        return RedirectResponse(f"/me{'?done=test' if anchor == 'reached' else ''}#{anchor}", 303)

    async def _test(self, request: Request, user: User, fields: FormFields) -> Phrase:
        require_role(request, "responder")
        sent = await test_messages.send_test_page(
            self._context, user.name, fields.get("channel", "")
        )
        return test_page_phrase(user.name, sent)

    async def _add_absence(self, request: Request, user: User, fields: FormFields) -> Phrase:
        require_person(request, self._context, user.name)
        start, end = (
            parse_time_param(fields.get(name, ""), name, user.timezone) for name in ("start", "end")
        )
        await add_absence(
            self._context, user.name, start=start, end=end, reason=fields.get("reason", "")[:500]
        )
        return absence_phrase(user.name, start, end)

    async def _delete_absence(self, request: Request, user: User, fields: FormFields) -> Phrase:
        require_person(request, self._context, user.name)
        await delete_absence(self._context, user.name, request.path_params["id"])
        return absence_deleted_phrase(user.name)

    async def _add_device(self, request: Request, user: User, fields: FormFields) -> Phrase:
        agent = request.headers.get("user-agent", "")
        device = await push_devices.add_device(
            self._context,
            user.name,
            endpoint=fields.get("endpoint", ""),
            p256dh=fields.get("p256dh", ""),
            auth=fields.get("auth", ""),
            name=device_name(agent, reader_texts(request)),
            replaces=fields.get("replaces", ""),
        )
        return device_phrase("added", device)

    async def _remove_device(self, request: Request, user: User, fields: FormFields) -> Phrase:
        device = await push_devices.remove_device(
            self._context, user.name, request.path_params["id"]
        )
        return device_phrase("removed", device)

    async def _make_feed(self, request: Request, user: User, fields: FormFields) -> Phrase:
        feed = Feed("user", user.name)
        await calendars.create_feed(self._context.wire, feed)
        return feed_phrase("asked", feed)

    async def _revoke_feed(self, request: Request, user: User, fields: FormFields) -> Phrase:
        feed = Feed("user", user.name)
        await calendars.revoke_feed(self._context.wire, feed)
        return feed_phrase("revoked", feed)

    async def _end_others(self, request: Request, user: User, fields: FormFields) -> Phrase:
        ended = await sign_in.end_all_sessions(
            self._context.wire, user.name, but=self._secret(request)
        )
        return sessions_ended_phrase(user.name, ended)

    async def _end_session(self, request: Request, user: User, fields: FormFields) -> Phrase:
        if not await sign_in.end_session_by_id(
            self._context.wire, user.name, request.path_params["id"]
        ):
            raise NotFound(Phrase("refusal.no_session"))
        return session_ended_phrase(user.name)

    def _user(self, request: Request) -> User | None:
        return self._context.config.users.get(acting_user(request, self._context))

    def _secret(self, request: Request) -> str:
        return session.read_cookie(
            request.scope, session.SESSION_COOKIE, self._context.external_url
        )

    async def _draw(self, request: Request, error: Exception | None = None) -> HTMLResponse:
        user = self._user(request)
        values = await self._values(request, user) if user else {}
        return await self._templates.page(
            request,
            "me.html",
            describe_error(error).status if error else 200,
            has_secret=bool(values.get("calendar")),
            me=user,
            problem=describe_error(error).phrase if error else "",
            sent=request.query_params.get("done") == "test",
            **values,
        )

    async def _values(self, request: Request, user: User) -> dict[str, Any]:
        """The values of the page that belong to its person."""
        context, wire, name = self._context, self._context.wire, user.name

        def concerns(summary: IncidentSummary) -> bool:
            return name in summary.people

        # swaps and overrides that were just made count at once
        await context.load_schedule_changes()
        now, principal = utc(context.now()), principal_of(request)
        found, older = await incidents.list_incidents(
            wire, keep=concerns, limit=MAX_LISTED_INCIDENTS
        )
        token = await calendars.load_feed_token(wire, Feed("user", name))
        secret, (push_key, no_push) = self._secret(request), await self._push_key()
        stored = await subscriptions.load_subscriptions(wire)
        shifts = load_my_shifts(context.roster, name, now)
        schedules = {shift.schedule for shift in shifts.shifts}
        absences = (await schedule_changes.load_absences(wire)).get(name, ())
        return {
            "my_shifts": shifts,
            "open_swaps": find_open_swaps(context, schedules, name, context.now()),
            "reachability": (await load_reachability(context))[name],
            "rules": describe_rules(context.config, user, reader_texts(request)),
            "absences": current_absences(user, absences, now),
            "rows": await incident_rows(context, found),
            "more": bool(older),
            "push_key": push_key,
            "no_push": no_push,
            "devices": [one for one in stored if one.user == name],
            "calendar": feed_url(context, token) if token else "",
            "may_respond": may(principal, "responder"),
            "may_take": lambda swap: not schedule_refusal(principal, context.config, swap.schedule),
            # Where anybody may be in the network, addresses are only for those who signed in.
            "addresses": principal.via != "open" or not context.config.web.allow_unauthenticated,
            "sessions": await sign_in.load_sessions(wire, name) if context.config.sign_in else [],
            "current": sign_in.session_list_id(secret) if secret else "",
            "quoted": quote(name, safe=""),
        }

    async def _push_key(self) -> tuple[str, Words]:
        """The key that browsers subscribe to, or "" and the reason why there is none."""
        try:
            return await push_devices.public_key(self._context), ""
        except DeliveryError as error:
            return "", error.words


def device_name(agent: str, t: Texts) -> str:
    """A name for a browser by which its person knows it: "Firefox on Android"."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if not system:
        return browser or t.plain("me.device_browser")
    return t.plain("me.device_on", browser=browser or t.plain("me.device_browser"), system=system)


def load_my_shifts(roster: Roster, user: str, now: datetime) -> MyShifts:
    """The shifts of a user over all schedules; now: aware.

    Shifts that follow each other, for whatever reason, are one.
    """
    until, found = now + LOOKAHEAD, list[MyShift]()
    for name in roster.config.schedules:
        last: MyShift | None = None
        for shift in roster.shifts(name, now, until):
            if user not in shift.users:
                continue
            if last and last.end == shift.start:
                last = found[-1] = last._replace(end=shift.end, open_end=shift.end >= until)
            else:
                last = MyShift(name, shift.start, shift.end, shift.start <= now, shift.end >= until)
                found.append(last)
    return MyShifts(sorted(found, key=lambda shift: (not shift.now, shift.start, shift.schedule)))


def find_open_swaps(
    context: Context, schedules: Collection[str], user: str, now: float
) -> list[Swap]:
    """The open swaps of these schedules and of all that concern a user, in order of start.

    now: Unix seconds.
    """
    own = [
        name
        for name, schedule in context.config.schedules.items()
        if name in schedules or _concerns_user(context, schedule, user)
    ]
    found = [
        swap
        for name in own
        for swap in context.schedule_changes.swaps.get(name, ())
        if swap_state(swap, now) == "open"
    ]
    return sorted(found, key=lambda swap: (swap.start, swap.id))


def _concerns_user(context: Context, schedule: Schedule, user: str) -> bool:
    """True where a user takes turns in a schedule, or it is their team's."""
    team = context.config.teams.get(schedule.team)
    return (team is not None and user in team.members) or any(
        user in turn for layer in schedule.layers for turn in layer.users
    )
