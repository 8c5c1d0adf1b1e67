"""Pages from templates, and the reader's preferences as cookies: user, language, zone, clock.

All values are escaped; templates clean and cut texts from outside by their filters.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy import __version__, offload
from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.grouping.rights import (
    Principal,
    incident_refusal,
    person_refusal,
    refusal,
    schedule_refusal,
)
from amproxy.labels.matchers import Matcher
from amproxy.notify import grafana
from amproxy.notify.channels.text import is_link_url, visible_text
from amproxy.notify.compose import alert_picture_text
from amproxy.store import incidents
from amproxy.text import (
    LANGUAGES,
    Phrase,
    Texts,
    as_sentence,
    choose_language,
    load_texts,
)
from amproxy.text.formats import CLOCKS, choose_format, clock_text, hour_text
from amproxy.text.render import LinkKind, PhraseRenderer, end_text, time_text, weekday_text
from amproxy.web.http import format
from amproxy.web.http.deps import Deps
from amproxy.web.http.middleware import link_root
from amproxy.web.http.permissions import may, may_act, principal_of
from amproxy.web.http.request import (
    MAX_LABELS_LENGTH,
    known_user,
    own_path,
    parse_form,
    sent_fields,
    typed_values,
)
from amproxy.web.http.response import WebErrorResponse
from amproxy.web.http.transfer import UNCHANGED_CACHE

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context as TemplateContext

    from amproxy.web.http.drawing import DrawingContext

WEB_FOLDER = Path(__file__).parent.parent  # web/
STATIC = WEB_FOLDER / "static"
TEMPLATES = WEB_FOLDER / "templates"
_NAMED_TEMPLATE: Final = re.compile(r'{% (?:extends|import|from) "([^"]+)"')
USER_COOKIE = "amproxy_user"  # the acting user where there is no sign-in
LANGUAGE_COOKIE = "amproxy_language"
THEME_COOKIE = "amproxy_theme"
CLOCK_COOKIE = "amproxy_clock"
ZONE_COOKIE = "amproxy_zone"  # of a reader who is nobody in particular; set by live.js
MAX_ZONE_LENGTH = 60  # characters of a zone's name
# Sent by live.js, which fills in the times that pass by itself: a page that it fetches has none, so
# that it stays the same as long as nothing happens.
LIVE_HEADER: Final = "x-page-age"
# Where such a time stands until the whole page is drawn. No text from outside looks like it: "<" is
# escaped there.
_PASSING_TIME: Final = re.compile(r"<\?(now|in|ago) ([0-9.e+-]*)\?>")
MAX_PARTS: Final = 3000  # parts of pages that are remembered
COOKIE_AGE = 365 * 86400  # seconds
# The themes on offer; "system": light or dark as the reader's system is.
THEMES: Final = ("system", "light", "dark")
# Theme → the ground of pages in style.css and dark.css, for the frame that a phone draws around it.
THEME_COLOURS: Final = {"light": "#f4f5f8", "dark": "#0d1017"}


# Name in the section `page` of the texts → path, in the order of the menu: what people work with,
# then what they set up.
NAVIGATION_PATHS = {
    "now": "/",
    "incidents": "/incidents",
    "schedules": "/schedules",
    "people": "/people",
    "silences": "/silences",
    "insights": "/insights",
    "me": "/me",
    "policies": "/policies",
    "routes": "/routes",
    "deliveries": "/deliveries",
    "sources": "/sources",
    "admin": "/admin",
}
_SET_UP = frozenset(("policies", "routes", "deliveries", "sources", "admin"))
# Reason of `grouping.rights` → the text in the place of a button.
_RIGHTS_TEXTS: Final = {
    "refusal.needs_team": "rights.only_team",
    "refusal.needs_role": "rights.only_role",
}
# The forms of these lie below the thing that they change; of all others below the list.
_PAGES_OF_THINGS: Final = ("/incidents", "/schedules", "/silences")
# Kind of a link in a text → the path before the name.
LINK_PATHS: Final[dict[LinkKind, str]] = {
    "person": "/people#person-",
    "schedule": "/schedules/",
    "incident": "/incidents/",
}
# Texts of live.js and press.js, in the sections `page` and `time`; they fill in the values.
_LIVE_PAGE_TEXTS = (
    *("live", "reconnecting", "no_connection", "redis_away", "signed_out", "press_ended"),
    *("press_offline", "press_failed", "press_undone", "again", "do_now", "close", "sign_in"),
)
_LIVE_TIME_TEXTS = (
    *("just_now", "now", "in", "hours", "days"),
    *("minutes_ago", "hours_ago", "days_ago"),
)
# Statuses whose pages have a title of their own, in the section `error` of the texts.
TITLED_STATUSES = frozenset({400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 500, 503})
_SEARCH_TEXTS = (
    *("incident", "person", "schedule", "policy", "page"),
    *("all", "none", "no_answer"),
)
_LIVE_VALUES = ("duration", "h", "m", "d", "name", "status")


class NavigationItem(NamedTuple):
    """A page in the menu."""

    key: str  # of NAVIGATION_PATHS
    path: str
    here: bool
    group: Literal["work", "set_up"]


def navigation(request: Request) -> list[NavigationItem]:
    """The pages in this reader's menu, the current one marked."""
    current, is_admin = request.url.path, may(principal_of(request), "admin")
    return [
        NavigationItem(
            key,
            path,
            current == path or (path != "/" and current.startswith(f"{path}/")),
            "set_up" if key in _SET_UP else "work",
        )
        for key, path in NAVIGATION_PATHS.items()
        if is_admin or key != "admin"
    ]


def reader_texts(request: Request) -> Texts:
    """The texts in the reader's language and format: those of cookies, else of the browser."""
    accepted = request.headers.get("accept-language", "")
    language = choose_language(request.cookies.get(LANGUAGE_COOKIE, ""), accepted)
    return load_texts(language, choose_format(language, accepted, reader_clock(request)))


def reader_clock(request: Request) -> str:
    """The clock that the reader has chosen: one of CLOCKS, "" = that of the browser's region."""
    chosen = request.cookies.get(CLOCK_COOKIE, "")
    return chosen if chosen in CLOCKS else ""


def reader_theme(request: Request) -> str:
    """The theme that the reader has chosen."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def live_texts(t: Texts) -> str:
    """The texts of live.js and press.js, as JSON."""
    texts = {name: _raw_text(t, f"page.{name}") for name in _LIVE_PAGE_TEXTS}
    texts |= {name: _raw_text(t, f"time.{name}") for name in _LIVE_TIME_TEXTS}
    return msgspec.json.encode(texts).decode()


def search_texts(t: Texts) -> str:
    """The texts of keys.js, as JSON."""
    kinds = {name: t.plain(f"search.{name}") for name in _SEARCH_TEXTS}
    return msgspec.json.encode(
        kinds | {s: t.plain(f"state.{s}") for s in incidents.STATES}
    ).decode()


def _raw_text(t: Texts, key: str) -> str:
    """A text with its {placeholders} still in it."""
    return t.plain(key, **{name: f"{{{name}}}" for name in _LIVE_VALUES})


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


class PageParts:
    """Parts of pages that were drawn before, by all that they depend on.

    In a template: `{% call part('row', incident.id, incident.version) %} … {% endcall %}`. What
    every part may depend on is added: the configuration, language, zone and date.
    """

    def __init__(self) -> None:
        self._parts: OrderedDict[Hashable, Markup] = OrderedDict()
        self._config: Config | None = None

    def of_page(self, config: Config, *shared: Hashable) -> Callable[..., Markup]:
        """Return the function `part` of one page."""
        if config is not self._config:
            self._config = config
            self._parts.clear()
        return partial(self._find, shared)

    def _find(self, *key: Hashable, caller: Callable[[], Markup]) -> Markup:
        """A part that is known, or as `caller` draws it."""
        if (known := self._parts.get(key)) is not None:
            self._parts.move_to_end(key)
            return known
        drawn = self._parts[key] = caller()
        if len(self._parts) > MAX_PARTS:
            self._parts.popitem(last=False)
        return drawn


class PageTemplates:
    """The renderer of all pages."""

    def __init__(self, context: Context) -> None:
        self._context, self._parts = context, PageParts()
        self._compiled = set[str]()  # templates that can be used at once

    @cached_property
    def _environment(self) -> Environment:
        # imported with the first page: programs need none
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

        from amproxy.web.http.drawing import DrawingContext

        found = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        found.context_class = DrawingContext
        found.filters |= {
            "short": pass_context(_short),
            "long": pass_context(_long),
            "sentence": pass_context(_sentence),
            "source": visible_text,
            "zone_name": format.zone_name,
            "initials": format.initials,
            "iso": rfc3339,
            "choose": _choose,
        }
        found.globals |= {
            "labels": format.order_labels,
            "links": format.alert_links,
            "public": grafana.public_pairs,
            "values": format.alert_values,
            "picture_text": alert_picture_text,
            "is_web": is_link_url,
            "label_query": _label_query,
            "labels_query": _labels_query,
            "route_query": _route_query,
            "version": __version__,
            "stamp": static_version(),
            "languages": LANGUAGES,
            "themes": THEMES,
            "clocks": CLOCKS,
            "theme_colours": THEME_COLOURS,
        }
        return found

    async def page(
        self,
        request: Request,
        template: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        clock: str = "",
        has_secret: bool = False,
        **values: Any,
    ) -> HTMLResponse:
        """Render a page with its own values and those of every page.

        clock: the zone of its times, "" = the reader's. has_secret: it shows one, so that it must
        not be compressed.
        """
        shared = await self._shared_values(request, clock)
        if template not in self._compiled:
            await asyncio.to_thread(self._compile, template)
            self._compiled.add(template)
        text = await self._draw(template, {**values, **shared})
        is_live = LIVE_HEADER in request.headers
        text = _PASSING_TIME.sub(partial(_passing_time, shared["now"], shared["t"], is_live), text)
        if has_secret:
            headers = {"Cache-Control": UNCHANGED_CACHE, **(headers or {})}
        return HTMLResponse(text, status, headers)

    async def _draw(self, template: str, values: dict[str, Any]) -> str:
        contexts: list[DrawingContext] = []
        pieces = self._environment.get_template(template).generate(values, page_contexts=contexts)
        try:
            return "".join(await offload.collect(pieces))
        finally:
            for one in contexts:
                one.forget()

    def _compile(self, template: str) -> None:
        """Compile a template and those that it names, which takes up to a tenth of a second."""
        self._environment.get_template(template)
        for name in _NAMED_TEMPLATE.findall((TEMPLATES / template).read_text("utf-8")):
            self._compile(name)

    async def error(self, request: Request, error: WebErrorResponse) -> HTMLResponse:
        # The reason that Redis is away is for those who can mend it.
        is_admin = error.status == 503 and may(principal_of(request), "admin")
        reason = self._context.wire.reason if is_admin else None
        t, is_press = reader_texts(request), request.method == "POST"
        titled = error.status if error.status in TITLED_STATUSES else "other"
        return await self.page(
            request,
            "error.html",
            error.status,
            error.headers,
            error=error,
            title=t(f"error.status_{titled}"),
            reason=reason,
            again=await sent_fields(request) if is_press else None,
            back=_pressed_on(request, link_root(self._context.external_url)) if is_press else "",
        )

    async def _shared_values(self, request: Request, clock: str) -> dict[str, Any]:
        context, t, principal = self._context, reader_texts(request), principal_of(request)
        now, person = context.now(), partial(self._person, t)
        zone, acting = clock or reader_zone(request, context), acting_user(request, context)

        def moment(at: float | datetime, of: str = "") -> str:
            """A time in words. of: the zone of its clock, named where it is not the page's."""
            text = time_text(at, ZoneInfo(of or zone), now, t)
            return f"{text} ({format.zone_name(of)})" if of not in ("", zone) else text

        def period(start: float | datetime, end: float | datetime) -> Markup:
            """A period in words; its day once where it begins and ends on the same."""
            until = end_text(start, end, ZoneInfo(zone), now, t)
            return t("people.away_from_to", start=moment(start), end=until)

        words = PhraseRenderer(
            t,
            full_name=person,
            zone=ZoneInfo(zone),
            now=now,
            names_zone=False,
            link=self._link,
            clean=partial(format.shorten_text, limit=format.MAX_FOREIGN_LENGTH, t=t),
        )
        today, root = utc(now).astimezone(ZoneInfo(zone)).date(), link_root(context.external_url)
        return {
            "t": t,
            "now": now,
            "part": self._parts.of_page(context.config, t.language, t.times, zone, today, root),
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
            # reasons of refusals, None = allowed; `why_not` says one where the button would be
            "needs": lambda role, *teams: refusal(principal, role, teams),
            "needs_incident": partial(incident_refusal, principal),
            "needs_schedule": partial(schedule_refusal, principal, context.config),
            "needs_person": partial(person_refusal, principal, context.config),
            "why_not": partial(_why_not, t, principal, words.text),
            "signing_in": context.config.sign_in is not None,
            "root": root,
            # about Redis and the clock, for those who can mend it
            "service_warnings": context.warnings if may(principal, "admin") else (),
            "path": request.url.path,
            "navigation": navigation(request),
            "theme": reader_theme(request),
            "live_texts": live_texts(t),
            "search_texts": search_texts(t),
            "here": page_address(request),
            # the page of a POST cannot be fetched again, so live.js leaves it alone
            "still": request.method != "GET",
            # what somebody has typed, for the page that says why nothing was done
            "typed": typed_values(request),
            "paused": "pause" in request.query_params,
            "pause_query": _paused_query(request),
            "moment": moment,
            "period": period,
            "clock": partial(clock_text, times=t.times),
            "hour": partial(hour_text, times=t.times),
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


def _short(shown: TemplateContext, text: str, limit: int = format.MAX_VALUE_LENGTH) -> str:
    return format.shorten_line(text, limit, shown["t"])


def _long(shown: TemplateContext, text: str, limit: int = format.MAX_TEXT_LENGTH) -> str:
    return format.shorten_text(text, limit, shown["t"])


def _sentence(shown: TemplateContext, reason: Phrase | str) -> str:
    """A reason in the reader's words, as a sentence; words about the file stay as they are."""
    return as_sentence(shown["phrase_text"](reason)) if isinstance(reason, Phrase) else reason


def _why_not(
    t: Texts, principal: Principal, words: Callable[[Phrase], str], reason: Phrase | None
) -> Markup:
    """A line that says who may do what a reader may not; nothing where they may."""
    if reason is None:
        return Markup()
    kind = reason.key.removesuffix("_of")
    if not principal.user and principal.via == "open":
        text: str = t("rights.sign_in")
    elif (key := _RIGHTS_TEXTS.get(kind)) is not None:
        values = {name: reason.values[name] for name in ("teams", "role", "own")}
        text = words(Phrase(key, values))
    else:
        text = as_sentence(words(reason))
    return Markup('<p class="hint no-right">{}</p>').format(text)


def _choose(options: Markup, value: str) -> Markup:
    """The options of a select, one of them selected: they are drawn once for all selects."""
    mark = f'value="{escape(value)}"'
    chosen = str(options).replace(mark, f"{mark} selected", 1)
    return Markup(chosen)  # noqa: S704  # both were escaped


def _passing_time(now: float, t: Texts, is_live: bool, found: re.Match[str]) -> str:
    """A time that passes, in words; "" where live.js does that."""
    kind, at = found.groups()
    if is_live:
        return ""
    if kind == "now":
        return str(now)
    left = float(at) - now
    if kind == "ago":
        return str(escape(format.age_text(-left, t=t)))
    if left <= 0:
        return str(t("time.now"))
    return str(t("time.in", duration=format.duration_text(left, t=t)))


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


def readable_address(path: str) -> str:
    """The address of a page for one at which forms are sent, which shows nothing by itself."""
    first = f"/{path.split('/')[1]}"
    if first in _PAGES_OF_THINGS:
        return path.rpartition("/")[0]
    return first if first in NAVIGATION_PATHS.values() else "/"


def _pressed_on(request: Request, root: str) -> str:
    """The page on which a form was sent, as the browser says, else the one of its address."""
    page = urlsplit(request.headers.get("referer", ""))
    if page.netloc != request.url.netloc or page.path == f"{root}{request.url.path}":
        return readable_address(request.url.path)
    path = page._replace(scheme="", netloc="", fragment="").geturl()
    return own_path(path.removeprefix(root))


def _paused_query(request: Request) -> str:
    query = request.url.query
    return f"?{query}&pause=1" if query else "?pause=1"


@cache
def static_version() -> str:
    """A digest of all static files, part of their addresses: browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


class PreferencesPage:
    """The forms at the edge of every page: the acting user, language, theme and clock."""

    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/me", self.choose_me, methods=["POST"]),
            Route("/language", self.choose_language, methods=["POST"]),
            Route("/theme", self.choose_theme, methods=["POST"]),
            Route("/clock", self.choose_clock, methods=["POST"]),
        ]

    async def choose_me(self, request: Request) -> Response:
        """Remember the acting user in a cookie."""
        fields = await parse_form(request)
        user = known_user(self._context, fields.get("user"))
        response = RedirectResponse(own_path(fields.get("back", "")), 303)
        # quoted: names may hold any character. An empty one deletes the cookie.
        set_preference(response, USER_COOKIE, quote(user), COOKIE_AGE if user else 0)
        return response

    async def choose_language(self, request: Request) -> Response:
        """Remember the language in a cookie."""
        fields = await parse_form(request)
        response = RedirectResponse(own_path(fields.get("back", "")), 303)
        if fields.get("language") in LANGUAGES:
            set_preference(response, LANGUAGE_COOKIE, fields["language"], COOKIE_AGE)
        return response

    async def choose_theme(self, request: Request) -> Response:
        """Remember the theme in a cookie; that of the system needs none."""
        fields = await parse_form(request)
        response = RedirectResponse(own_path(fields.get("back", "")), 303)
        theme = fields.get("theme", "")
        if theme in THEMES:
            age = 0 if theme == THEMES[0] else COOKIE_AGE
            set_preference(response, THEME_COOKIE, theme, age)
        return response

    async def choose_clock(self, request: Request) -> Response:
        """Remember the clock in a cookie."""
        fields = await parse_form(request)
        response = RedirectResponse(own_path(fields.get("back", "")), 303)
        if (clock := fields.get("clock", "")) in CLOCKS:
            set_preference(response, CLOCK_COOKIE, clock, COOKIE_AGE)
        return response


def set_preference(response: Response, name: str, value: str, max_age: int) -> None:
    """Remember something in the browser; an empty value with the age 0 forgets it."""
    response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="lax")
