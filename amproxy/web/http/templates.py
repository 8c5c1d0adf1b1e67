"""Pages from templates, and the reader's preferences as cookies: acting user, language, zone.

All values are escaped; templates clean and cut texts from outside by their filters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context as TemplateContext
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy import __version__, offload
from amproxy.clock import rfc3339
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import Matcher
from amproxy.notify.channels.text import is_link_url
from amproxy.store import incidents
from amproxy.text import (
    LANGUAGES,
    Phrase,
    Texts,
    as_sentence,
    choose_language,
    load_texts,
)
from amproxy.text.render import LinkKind, PhraseRenderer, time_text, weekday_text
from amproxy.web.http import format
from amproxy.web.http.deps import Deps
from amproxy.web.http.middleware import link_root
from amproxy.web.http.permissions import may, may_act, principal_of
from amproxy.web.http.request import MAX_LABELS_LENGTH, known_user, own_path, parse_form
from amproxy.web.http.response import WebErrorResponse

WEB_FOLDER = Path(__file__).parent.parent  # web/
STATIC = WEB_FOLDER / "static"
USER_COOKIE = "amproxy_user"  # the acting user where there is no sign-in
LANGUAGE_COOKIE = "amproxy_language"
ZONE_COOKIE = "amproxy_zone"  # of a reader who is nobody in particular; set by live.js
MAX_ZONE_LENGTH = 60  # characters of a zone's name
COOKIE_AGE = 365 * 86400  # seconds


# Name in the section `page` of the texts → path, in the order of the menu.
NAVIGATION_PATHS = {
    "now": "/",
    "incidents": "/incidents",
    "schedules": "/schedules",
    "policies": "/policies",
    "routes": "/routes",
    "people": "/people",
    "silences": "/silences",
    "deliveries": "/deliveries",
    "sources": "/sources",
    "insights": "/insights",
    "me": "/me",
    "admin": "/admin",
}
# Kind of a link in a text → the path before the name.
LINK_PATHS: Final[dict[LinkKind, str]] = {
    "person": "/people#person-",
    "schedule": "/schedules/",
    "incident": "/incidents/",
}
# Texts of live.js, in the sections `page` and `time`; it fills in the latter's values itself.
_LIVE_PAGE_TEXTS = ("live", "reconnecting", "no_connection", "redis_away")
_LIVE_TIME_TEXTS = (
    *("just_now", "now", "in", "hours", "days"),
    *("minutes_ago", "hours_ago", "days_ago"),
)
# Statuses whose pages have a title of their own, in the section `error` of the texts.
TITLED_STATUSES = frozenset({400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 500, 503})
_LIVE_TIME_VALUES = ("duration", "h", "m", "d")


class NavigationItem(NamedTuple):
    """A page in the menu."""

    key: str  # of NAVIGATION_PATHS
    path: str
    here: bool


def navigation(request: Request) -> list[NavigationItem]:
    """The pages in this reader's menu, the current one marked."""
    current, is_admin = request.url.path, may(principal_of(request), "admin")
    return [
        NavigationItem(
            key, path, current == path or (path != "/" and current.startswith(f"{path}/"))
        )
        for key, path in NAVIGATION_PATHS.items()
        if is_admin or key != "admin"
    ]


def reader_texts(request: Request) -> Texts:
    """The texts in the reader's language: that of the cookie, else of the browser."""
    accepted = request.headers.get("accept-language", "")
    return load_texts(choose_language(request.cookies.get(LANGUAGE_COOKIE, ""), accepted))


def live_texts(t: Texts) -> str:
    """The texts of live.js, as JSON."""
    texts = {name: t.plain(f"page.{name}") for name in _LIVE_PAGE_TEXTS}
    texts |= {name: _raw_text(t, f"time.{name}") for name in _LIVE_TIME_TEXTS}
    return msgspec.json.encode(texts).decode()


def _raw_text(t: Texts, key: str) -> str:
    """A text with its {placeholders} still in it."""
    return t.plain(key, **{name: f"{{{name}}}" for name in _LIVE_TIME_VALUES})


def acting_user(request: Request, context: Context) -> str:
    """The user who is signed in or, where nobody signs in, chosen by cookie; "" = nobody."""
    if context.config.sign_in:
        return principal_of(request).user
    name = unquote(request.cookies.get(USER_COOKIE, ""))
    return name if name in context.config.users else ""


def reader_zone(request: Request, context: Context) -> str:
    """The time zone of the acting user; of anybody else that of the browser, if it has told.

    Without either it is the zone that all schedules of the file share, else "UTC".
    """
    user = context.config.users.get(acting_user(request, context))
    if user:
        return user.timezone
    zones = {schedule.timezone for schedule in context.config.schedules.values()}
    return browser_zone(request) or (zones.pop() if len(zones) == 1 else "UTC")


def browser_zone(request: Request) -> str:
    """The time zone that live.js has read from the browser; "" = none that is known."""
    name = unquote(request.cookies.get(ZONE_COOKIE, ""))[:MAX_ZONE_LENGTH]
    try:
        return ZoneInfo(name).key if name else ""
    # unknown; not a name at all; a folder of the database, such as "Europe"
    except (KeyError, ValueError, OSError):
        return ""


class PageTemplates:
    """The renderer of all pages."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._environment = Environment(
            loader=FileSystemLoader(WEB_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "short": _short,
            "long": _long,
            "sentence": _sentence,
            "zone_name": format.zone_name,
            "initials": format.initials,
            "iso": rfc3339,
        }
        self._environment.globals |= {
            "labels": format.order_labels,
            "links": format.alert_links,
            "is_web": is_link_url,
            "label_query": _label_query,
            "labels_query": _labels_query,
            "route_query": _route_query,
            "version": __version__,
            "stamp": _static_version(),
            "languages": LANGUAGES,
        }

    async def page(
        self,
        request: Request,
        template: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        clock: str = "",
        **values: Any,
    ) -> HTMLResponse:
        """Render a page with its own values and those of every page.

        clock: the zone of its times, "" = the reader's.
        """
        shared = await self._shared_values(request, clock)
        pieces = self._environment.get_template(template).generate(**values, **shared)
        return HTMLResponse("".join(await offload.collect(pieces)), status, headers)

    async def error(self, request: Request, error: WebErrorResponse) -> HTMLResponse:
        # The reason that Redis is away is for those who can mend it.
        is_admin = error.status == 503 and may(principal_of(request), "admin")
        reason = self._context.wire.reason if is_admin else ""
        t = reader_texts(request)
        titled = error.status if error.status in TITLED_STATUSES else "other"
        return await self.page(
            request,
            "error.html",
            error.status,
            error.headers,
            error=error,
            title=t(f"error.status_{titled}"),
            reason=reason,
        )

    async def _shared_values(self, request: Request, clock: str) -> dict[str, Any]:
        context, t, principal = self._context, reader_texts(request), principal_of(request)
        now, person = context.now(), partial(self._person, t)
        zone, acting = clock or reader_zone(request, context), acting_user(request, context)

        def moment(at: float | datetime) -> str:
            return time_text(at, ZoneInfo(zone), now, t)

        words = PhraseRenderer(
            t,
            full_name=person,
            zone=ZoneInfo(zone),
            now=now,
            names_zone=False,
            link=self._link,
            clean=partial(format.shorten_text, limit=format.MAX_FOREIGN_LENGTH, t=t),
        )
        return {
            "t": t,
            "now": now,
            "zone": zone,
            # None for people of the file, whose zone it has
            "browser_zone": None if acting in context.config.users else browser_zone(request),
            # strangers on the sign-in page learn nothing, not even a number
            "counts": await self._counts() if may(principal, "viewer") else None,
            "acting": acting,
            "users": context.config.users.values(),
            "principal": principal,
            "may": partial(may, principal),
            "may_act": partial(may_act, principal),
            "signing_in": context.config.sign_in is not None,
            "root": link_root(context.external_url),
            # about Redis and the clock, for those who can mend it
            "service_warnings": context.warnings if may(principal, "admin") else (),
            "path": request.url.path,
            "navigation": navigation(request),
            "live_texts": live_texts(t),
            "here": page_address(request),
            # the page of a POST cannot be fetched again, so live.js leaves it alone
            "still": request.method != "GET",
            "paused": "pause" in request.query_params,
            "pause_query": _paused_query(request),
            "moment": moment,
            "duration": partial(format.duration_text, t=t),
            "age": partial(format.age_text, t=t),
            "weekday": partial(weekday_text, t=t),
            "person": person,
            "phrase_text": words.text,
            "phrase_markup": words.markup,
        }

    async def _counts(self) -> dict[str, int] | None:
        """State → number of incidents; None while Redis is away."""
        try:
            counts = await incidents.load_counts(self._context.wire)
        except StoreUnavailable:
            return None
        totals: dict[str, int] = dict.fromkeys(incidents.STATES, 0)
        for (_, state), number in counts.items():
            if state in totals:  # Redis may still have counts of an older version's states
                totals[state] += number
        return totals

    def _link(self, kind: LinkKind, name: str, text: Markup) -> Markup:
        """The page of a person, schedule or incident; the text alone where there is none."""
        config = self._context.config
        known = kind == "incident" or name in (
            config.users if kind == "person" else config.schedules
        )
        if not known:
            return text
        path = LINK_PATHS[kind] + quote(name, safe="")
        return Markup('<a href="{}{}">{}</a>').format(
            link_root(self._context.external_url), path, text
        )

    def _person(self, t: Texts, name: str) -> str:
        """The full name of a user, or the name itself; "" = somebody."""
        user = self._context.config.users.get(name)
        return (user.full_name or name) if user else name or t.plain("page.somebody")


@pass_context
def _short(shown: TemplateContext, text: str, limit: int = format.MAX_VALUE_LENGTH) -> str:
    return format.shorten_line(text, limit, shown["t"])


@pass_context
def _long(shown: TemplateContext, text: str, limit: int = format.MAX_TEXT_LENGTH) -> str:
    return format.shorten_text(text, limit, shown["t"])


@pass_context
def _sentence(shown: TemplateContext, reason: Phrase | str) -> str:
    """A reason in the reader's words, as a sentence; words about the file stay as they are."""
    return as_sentence(shown["phrase_text"](reason)) if isinstance(reason, Phrase) else reason


def _labels_query(labels: Mapping[str, str]) -> str:
    """The query that lists incidents with these labels, as many as fit into an address."""
    queries = [_label_query(name, value) for name, value in format.order_labels(dict(labels))]
    queries = [query for query in queries if query]
    while len("&".join(queries)) > MAX_LABELS_LENGTH:
        queries.pop()
    return "&".join(queries)


def _label_query(name: str, value: str) -> str:
    """The query that lists incidents with a label; "" where it is too long for an address."""
    if len(name) + len(value) > format.MAX_FILTER_VALUE:
        return ""
    return f"label={quote(str(Matcher(name, '=', value)))}"


def _route_query(labels: Mapping[str, str]) -> str:
    """The value of `labels` for /routes, cut to an address: useful labels first, no long ones."""
    matchers: list[str] = []
    for name, value in format.order_labels(dict(labels)):
        matcher = str(Matcher(name, "=", value))
        fits = sum(map(len, matchers)) + len(matcher) <= MAX_LABELS_LENGTH
        if fits and len(matcher) <= format.MAX_FILTER_VALUE:
            matchers.append(matcher)
    return quote(", ".join(matchers), safe="")


def page_address(request: Request) -> str:
    """The path and query of the current page, for forms and redirects that lead back to it."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _paused_query(request: Request) -> str:
    query = request.url.query
    return f"?{query}&pause=1" if query else "?pause=1"


def _static_version() -> str:
    """A digest of all static files, part of their addresses: browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


class PreferencesPage:
    """The forms at the edge of every page: the acting user and the language."""

    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/me", self.choose_me, methods=["POST"]),
            Route("/language", self.choose_language, methods=["POST"]),
        ]

    async def choose_me(self, request: Request) -> Response:
        """Remember the acting user in a cookie."""
        fields = await parse_form(request)
        user = known_user(self._context, fields.get("user"))
        response = RedirectResponse(own_path(fields.get("back", "")), 303)
        # quoted: names may hold any character. An empty one deletes the cookie.
        _set_cookie(response, USER_COOKIE, quote(user), COOKIE_AGE if user else 0)
        return response

    async def choose_language(self, request: Request) -> Response:
        """Remember the language in a cookie."""
        fields = await parse_form(request)
        response = RedirectResponse(own_path(fields.get("back", "")), 303)
        if fields.get("language") in LANGUAGES:
            _set_cookie(response, LANGUAGE_COOKIE, fields["language"], COOKIE_AGE)
        return response


def _set_cookie(response: Response, name: str, value: str, max_age: int) -> None:
    response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="lax")
