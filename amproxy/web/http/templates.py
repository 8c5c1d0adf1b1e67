"""Pages from templates: everything that goes in is escaped, everything from outside is cleaned and cut.

What a browser remembers for its reader: who acts, and the language.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy import __version__
from amproxy.clock import rfc3339
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import Matcher
from amproxy.machine import draft
from amproxy.notify.channels.text import is_link_url
from amproxy.store import incidents
from amproxy.text import LANGUAGES, Texts, choose_language, load_texts, render_phrase
from amproxy.web.http import format
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import WebErrorResponse
from amproxy.web.http.middleware import link_root
from amproxy.web.http.permissions import may, may_act, principal_of
from amproxy.web.http.request import MAX_LABELS_LENGTH, known_user, own_path, parse_form

WEB_FOLDER = Path(__file__).parent.parent  # web/
STATIC = WEB_FOLDER / "static"
USER_COOKIE = "amproxy_user"  # who acts, as long as there is no sign-in
LANGUAGE_COOKIE = "amproxy_language"
COOKIE_AGE = 365 * 86400  # seconds


class NavigationItem(NamedTuple):
    """A page that every page leads to."""

    key: str  # of its name, in section `page` of the texts
    path: str
    here: bool


NAVIGATION_PATHS = {
    "now": "/", "incidents": "/incidents", "schedules": "/schedules", "policies": "/policies", "routes": "/routes", "people": "/people",
    "silences": "/silences", "deliveries": "/deliveries", "insights": "/insights", "me": "/me",
    "admin": "/admin",
}  # fmt: skip


def navigation(request: Request) -> list[NavigationItem]:
    """The pages that there are for this reader, and which of them this is."""
    path, manages = request.url.path, may(principal_of(request), "admin")
    return [
        NavigationItem(key, where, path == where or (where != "/" and path.startswith(f"{where}/")))
        for key, where in NAVIGATION_PATHS.items()
        if manages or key != "admin"
    ]


def reader_texts(request: Request) -> Texts:
    """What pages say to this reader."""
    return load_texts(choose_language(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", "")))


def live_texts(t: Texts) -> str:
    """What the script that keeps a page up to date has to say, as JSON."""
    wanted = {name: t.plain(f"page.{name}") for name in ("live", "reconnecting", "no_connection", "redis_away")}
    wanted |= {
        name: _raw_text(t, f"time.{name}") for name in ("just_now", "now", "in", "hours", "days", "minutes_ago", "hours_ago", "days_ago")
    }
    return msgspec.json.encode(wanted).decode()


def _raw_text(t: Texts, key: str) -> str:
    """A text with its places still in it."""
    return t.plain(key, **{name: f"{{{name}}}" for name in ("span", "h", "m", "d")})


def acting_user(request: Request, context: Context) -> str:
    """The user as whom this browser acts: who is signed in; where nobody need, who the cookie says; "" = nobody."""
    if context.config.sign_in:
        return principal_of(request).user
    name = unquote(request.cookies.get(USER_COOKIE, ""))
    return name if name in context.config.users else ""


def reader_zone(request: Request, context: Context) -> str:
    """The time zone of whoever acts here; UTC where nobody has said."""
    user = acting_user(request, context)
    return context.config.users[user].timezone if user in context.config.users else "UTC"


class PageTemplates:
    """Draws the templates."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._templates = Environment(
            loader=FileSystemLoader(WEB_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "short": format.shorten_line, "long": format.shorten_text, "zone_name": format.zone_name, "initials": format.initials, "iso": rfc3339,
        }  # fmt: skip
        self._templates.globals |= {
            "labels": format.order_labels, "links": format.alert_links, "is_web": is_link_url, "label_query": _label_query, "labels_query": _labels_query,
            "route_query": _route_query,
            "version": __version__, "stamp": _static_version(), "languages": LANGUAGES, "ends": draft.RESOLVED_TEXTS,
        }  # fmt: skip

    async def page(
        self, request: Request, template: str, status: int = 200, headers: dict[str, str] | None = None, *, clock: str = "", **values: Any
    ) -> HTMLResponse:
        """A page, with what every page shows beside its own values. clock: the zone of its times, "" = the reader's."""
        context, user, t, asking = self._context, acting_user(request, self._context), reader_texts(request), principal_of(request)
        now, zone, person = context.now(), clock or reader_zone(request, context), partial(self._person, t)
        text = self._templates.get_template(template).render(
            **values, t=t, now=now, zone=zone, counts=await self._counts() if may(asking, "viewer") else None, acting=user,
            users=context.config.users.values(), asking=asking, may=partial(may, asking), may_act=partial(may_act, asking),
            signing_in=context.config.sign_in is not None,
            root=link_root(context.external_url), path=request.url.path, navigation=navigation(request), live_texts=live_texts(t),
            here=_page_address(request), still=request.method != "GET", paused="pause" in request.query_params, pause_query=_paused_query(request),
            moment=lambda at: format.time_text(at, ZoneInfo(zone), now, t), span=partial(format.duration_text, t=t), age=partial(format.age_text, t=t),
            weekday=partial(format.weekday_text, t=t), person=person, said=lambda phrase: render_phrase(phrase, t, person),
        )  # fmt: skip
        return HTMLResponse(text, status, headers)

    async def error(self, request: Request, what: WebErrorResponse) -> HTMLResponse:
        return await self.page(request, "error.html", what.status, what.headers, what=what)

    async def _counts(self) -> dict[str, int] | None:
        """State → number of incidents; None while Redis is away."""
        try:
            counts = await incidents.load_counts(self._context.wire)
        except StoreUnavailable:
            return None
        return {state: sum(n for (_, held), n in counts.items() if held == state) for state in incidents.STATES}

    def _person(self, t: Texts, name: str) -> str:
        """How a user is called."""
        known = self._context.config.users.get(name)
        return (known.full_name or name) if known else name or t.plain("page.somebody")


def _labels_query(labels: Mapping[str, str]) -> str:
    """The query that names all of these labels, as far as they fit into an address."""
    parts = [part for name, value in format.order_labels(dict(labels)) if (part := _label_query(name, value))]
    while len("&".join(parts)) > MAX_LABELS_LENGTH:
        parts.pop()
    return "&".join(parts)


def _label_query(name: str, value: str) -> str:
    """The query that lists incidents with this label; "" where the value is too long for an address."""
    return f"label={quote(str(Matcher(name, '=', value)))}" if len(name) + len(value) <= format.MAX_FILTER_VALUE else ""


def _route_query(found: Mapping[str, str]) -> str:
    """Labels as /routes asks for them, as far as they fit into an address: the most telling ones first, the longest left out."""
    told: list[str] = []
    for name, value in format.order_labels(dict(found)):
        matcher = str(Matcher(name, "=", value))
        if len(matcher) <= format.MAX_FILTER_VALUE and sum(map(len, told)) + len(matcher) <= MAX_LABELS_LENGTH:
            told.append(matcher)
    return quote(", ".join(told), safe="")


def _page_address(request: Request) -> str:
    """The address of this page, for a form that leads back to it."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _paused_query(request: Request) -> str:
    query = request.url.query
    return f"?{query}&pause=1" if query else "?pause=1"


def _static_version() -> str:
    """Changes with the style and the script, so that browsers may keep them."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


class PreferencesPage:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/me", self.choose_me, methods=["POST"]),
            Route("/language", self.choose_language, methods=["POST"]),
        ]

    async def choose_me(self, request: Request) -> Response:
        """Remember in a cookie who acts here."""
        fields = await parse_form(request)
        user = known_user(self._context, fields.get("user"))
        answer = RedirectResponse(own_path(fields.get("back", "")), 303)
        answer.set_cookie(USER_COOKIE, quote(user), max_age=COOKIE_AGE if user else 0, httponly=True, samesite="lax")
        return answer

    async def choose_language(self, request: Request) -> Response:
        """Remember in a cookie which language this browser reads."""
        fields = await parse_form(request)
        answer = RedirectResponse(own_path(fields.get("back", "")), 303)
        if fields.get("language") in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, fields["language"], max_age=COOKIE_AGE, httponly=True, samesite="lax")
        return answer
