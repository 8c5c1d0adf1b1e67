"""The web application: all routes, and the middleware around them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import cached_property

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from amproxy.errors import AmproxyError
from amproxy.web.alertmanager.api import AlertmanagerApi
from amproxy.web.http.api import api_routes
from amproxy.web.http.deps import Deps
from amproxy.web.http.guard import CrossSiteGuard
from amproxy.web.http.live import LiveEvents
from amproxy.web.http.middleware import PressMiddleware
from amproxy.web.http.monitoring import ManagementApi, Metrics
from amproxy.web.http.page_cache import PageCache, page_seen
from amproxy.web.http.response import exception_handlers
from amproxy.web.http.templates import (
    STATIC,
    PageTemplates,
    PreferencesPage,
    readable_address,
)
from amproxy.web.http.transfer import Transfer
from amproxy.web.signin.gate import SignInGate

_SUBJECT_ROUTE = "amproxy.web.app"  # key of an ASGI scope: the route of a Subject that matches


class ImmutableFiles(StaticFiles):
    """Static files: their address changes with their content, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def build_web_app(deps: Deps) -> ASGIApp:
    """Return the application for people, their tools and Prometheus; without the alert intake."""
    context, templates = deps.context, PageTemplates(deps.context)
    handlers = exception_handlers(templates.error, context, readable_address)
    routes = build_routes(deps, templates)
    # Outermost first: compression, sign-in, then the API v2 (which lets any site read it), the
    # guard against other sites, and the cache, whose key needs the principal of the sign-in.
    app = Starlette(routes=routes, exception_handlers=handlers)
    guarded = CrossSiteGuard(PageCache(app, deps.hub, context), context)
    gate = SignInGate(AlertmanagerApi(context, guarded), context, handlers[AmproxyError])
    return Transfer(PressMiddleware(gate))


class Subject(BaseRoute):
    """The routes below some paths, whose modules are imported when one is first asked for.

    All pages together take a third of a start and 15 MB, and a service that takes in alerts and
    pages people needs none of them. One of them is imported within some hundredths of a second.
    """

    def __init__(self, paths: Iterable[str], build: Callable[[], Iterator[BaseRoute]]) -> None:
        """paths: the first segment of each, for the API "/api/v1/" and the next one."""
        self._paths, self._build = frozenset(paths), build

    @cached_property
    def routes(self) -> list[BaseRoute]:
        return list(self._build())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found: tuple[Match, Scope] = Match.NONE, {}
        if scope["type"] != "http" or _first_segments(scope["path"]) not in self._paths:
            return found
        for route in self.routes:
            match, inner_scope = route.matches(scope)
            if match.value > found[0].value:  # Match.FULL has the greatest
                found = match, {**inner_scope, _SUBJECT_ROUTE: route}
            if match is Match.FULL:
                break
        return found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope[_SUBJECT_ROUTE].handle(scope, receive, send)


def _first_segments(path: str) -> str:
    return "/".join(path.split("/", 4)[: 4 if path.startswith("/api/v1/") else 2])


def build_routes(deps: Deps, templates: PageTemplates) -> list[BaseRoute]:
    """All routes, in matching order: a fixed path goes before one with a parameter."""

    def subject(
        build: Callable[[Deps, PageTemplates], Iterator[BaseRoute]], *paths: str
    ) -> Subject:
        return Subject(paths, lambda: build(deps, templates))

    return [
        *api_routes(ManagementApi(deps)),
        *api_routes(Metrics(deps)),
        Route("/events", _live_events(deps).stream, methods=["GET"]),
        Mount("/static", ImmutableFiles(directory=STATIC)),
        *PreferencesPage(deps).routes(),
        subject(_app_routes, "/manifest.webmanifest", "/service-worker.js"),
        subject(_slack_routes, "/slack"),
        subject(_now_routes, "/", "/test-alert"),
        subject(_incident_api_routes, "/api/v1/incidents", "/api/v1/test-alert"),
        subject(_incident_routes, "/incidents", "/page", "/pictures", "/act"),
        subject(_report_api_routes, "/api/v1/incidents", "/api/v1/insights", "/api/v1/history"),
        subject(_insights_routes, "/insights"),
        subject(_oncall_api_routes, "/api/v1/oncall", "/api/v1/schedules", "/api/v1/swaps"),
        subject(_calendar_routes, "/api/v1/schedules", "/api/v1/users", "/calendar"),
        subject(_layer_routes, "/schedules", "/change"),
        subject(_schedule_routes, "/schedules"),
        subject(_people_api_routes, "/api/v1/users"),
        subject(_people_routes, "/people"),
        subject(_search_routes, "/search", "/api/v1/search"),
        subject(_me_routes, "/me"),
        subject(_mute_api_routes, "/api/v1/maintenance", "/api/v1/silences"),
        subject(_silence_routes, "/silences"),
        subject(
            _delivery_routes,
            *("/deliveries", "/api/v1/deliveries", "/api/v1/channels", "/api/v1/receivers"),
        ),
        subject(_source_routes, "/sources", "/api/v1/sources"),
        subject(_receiver_routes, "/receivers", "/api/v1/receivers"),
        subject(_routing_routes, "/policies", "/routes", "/change"),
        subject(
            _service_api_routes,
            *("/api/v1/redis", "/api/v1/replicas", "/api/v1/heartbeats", "/api/v1/health"),
            "/api/v1/config",
        ),
        subject(_sign_in_routes, "/sign-in", "/sign-out"),
        subject(_admin_routes, "/admin", "/api/v1/tokens", "/api/v1/audit", "/api/v1/sessions"),
        subject(_document_routes, "/api", "/api/v1/openapi.json"),
    ]


def _live_events(deps: Deps) -> LiveEvents:
    def sees(request: Request, path: str, query: bytes) -> Hashable:
        return page_seen(request, deps.context, path, query)

    return LiveEvents(deps.hub, sees)


def _app_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.http.installed import InstalledApp

    yield from InstalledApp(deps).routes()


def _slack_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.respond.slack_endpoint import SlackEndpoint

    yield from SlackEndpoint(deps.context).routes()


def _now_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.incidents.now import NowPage

    yield from NowPage(deps, templates).routes()


def _incident_api_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.incidents.api import IncidentsApi

    yield from api_routes(IncidentsApi(deps))


def _incident_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.incidents.act import OpenIncidentPage
    from amproxy.web.incidents.link import ActPage
    from amproxy.web.incidents.list import IncidentsPage
    from amproxy.web.incidents.page import IncidentPage
    from amproxy.web.incidents.plot import IncidentPlot

    yield from IncidentsPage(deps, templates).routes()
    yield from OpenIncidentPage(deps, templates).routes()
    yield from IncidentPage(deps, templates).routes()
    yield from IncidentPlot(deps).routes()
    yield from ActPage(deps, templates).routes()


def _report_api_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.reports.api import ReportsApi

    yield from api_routes(ReportsApi(deps))


def _insights_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.reports.insights import InsightsPage

    yield from InsightsPage(deps, templates).routes()


def _oncall_api_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.schedules.api import OncallApi, ShiftsApi
    from amproxy.web.schedules.swaps_api import SwapsApi

    for api in (OncallApi(deps), SwapsApi(deps), ShiftsApi(deps)):
        yield from api_routes(api)


def _calendar_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.schedules.calendars_api import CalendarsApi

    yield from api_routes(CalendarsApi(deps))


def _schedule_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.schedules.page import SchedulePage, SchedulesPage

    yield from SchedulesPage(deps, templates).routes()
    yield from SchedulePage(deps, templates).routes()


def _layer_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.schedules.layers import LayersPage

    yield from LayersPage(deps, templates).routes()


def _people_api_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.people.api import AbsencesApi, UsersApi

    yield from api_routes(AbsencesApi(deps))
    yield from api_routes(UsersApi(deps))


def _people_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.people.page import PeoplePage

    yield from PeoplePage(deps, templates).routes()


def _search_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.search.page import SearchApi, SearchPage
    from amproxy.web.search.titles import IncidentTitles

    titles = IncidentTitles(deps.context.wire)
    yield from api_routes(SearchApi(deps, titles))
    yield from SearchPage(deps, templates, titles).routes()


def _me_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.incidents.saved_views import SavedViewForms
    from amproxy.web.people.me import MePage

    yield from MePage(deps, templates).routes()
    yield from SavedViewForms(deps).routes()


def _mute_api_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.silences.api import MaintenanceApi, SilencesApi

    yield from api_routes(MaintenanceApi(deps))
    yield from api_routes(SilencesApi(deps))


def _silence_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.silences.form import SilenceFormPage
    from amproxy.web.silences.page import SilencesPage

    yield from SilenceFormPage(deps, templates).routes()
    yield from SilencesPage(deps, templates).routes()


def _delivery_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.reports.deliveries import DeliveriesPage
    from amproxy.web.reports.deliveries_api import DeliveriesApi

    yield from api_routes(DeliveriesApi(deps))
    yield from DeliveriesPage(deps, templates).routes()


def _source_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.reports.sources import SourcesApi, SourcesPage

    yield from api_routes(SourcesApi(deps))
    yield from SourcesPage(deps, templates).routes()


def _receiver_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.policies.receivers import ReceiverPage, ReceiversApi

    yield from api_routes(ReceiversApi(deps))
    yield from ReceiverPage(deps, templates).routes()


def _routing_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.config.page import ChangePage
    from amproxy.web.people.edit import PeopleEditPage
    from amproxy.web.policies.edit import PolicyEditPage
    from amproxy.web.policies.page import PoliciesPage
    from amproxy.web.policies.routes import RoutesPage

    yield from PoliciesPage(deps, templates).routes()
    yield from PolicyEditPage(deps, templates).routes()
    yield from ChangePage(deps, templates).routes()
    yield from PeopleEditPage(deps, templates).routes()
    yield from RoutesPage(deps, templates).routes()


def _service_api_routes(deps: Deps, _templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.config.api import ConfigApi
    from amproxy.web.service import ServiceApi

    yield from api_routes(ServiceApi(deps))
    yield from api_routes(ConfigApi(deps))


def _sign_in_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.signin.pages import SignInPage

    yield from SignInPage(deps, templates).routes()


def _admin_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.admin import AdminPage
    from amproxy.web.signin.api import SignInApi

    yield from api_routes(SignInApi(deps))
    yield from AdminPage(deps, templates).routes()


def _document_routes(deps: Deps, templates: PageTemplates) -> Iterator[BaseRoute]:
    from amproxy.web.openapi.document import DocumentApi
    from amproxy.web.openapi.page import ApiPage

    yield from api_routes(DocumentApi(deps))
    yield from ApiPage(deps, templates).routes()
