"""The web application: all routes, and the middleware around them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from amproxy.errors import AmproxyError
from amproxy.respond.slack_endpoint import SlackEndpoint
from amproxy.web.admin import AdminPage
from amproxy.web.alertmanager.api import AlertmanagerApi
from amproxy.web.config.page import ChangePage
from amproxy.web.http.api import api_routes
from amproxy.web.http.deps import Deps
from amproxy.web.http.guard import CrossSiteGuard
from amproxy.web.http.live import LiveEvents
from amproxy.web.http.page_cache import PageCache
from amproxy.web.http.response import exception_handlers
from amproxy.web.http.templates import STATIC, PageTemplates, PreferencesPage
from amproxy.web.incidents.act import ActPage, OpenIncidentPage
from amproxy.web.incidents.list import IncidentsPage
from amproxy.web.incidents.now import NowPage
from amproxy.web.incidents.page import IncidentPage
from amproxy.web.openapi.document import APIS
from amproxy.web.openapi.page import ApiPage
from amproxy.web.people.me import MePage
from amproxy.web.people.page import PeoplePage
from amproxy.web.policies.edit import PolicyEditPage
from amproxy.web.policies.page import PoliciesPage
from amproxy.web.policies.routes import RoutesPage
from amproxy.web.reports.deliveries import DeliveriesPage
from amproxy.web.reports.insights import InsightsPage
from amproxy.web.reports.sources import SourcesPage
from amproxy.web.schedules.layers import LayersPage
from amproxy.web.schedules.page import SchedulePage, SchedulesPage
from amproxy.web.signin.gate import SignInGate
from amproxy.web.signin.pages import SignInPage
from amproxy.web.silences.form import SilenceFormPage
from amproxy.web.silences.page import SilencesPage


class ImmutableFiles(StaticFiles):
    """Static files: their address changes with their content, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def build_web_app(deps: Deps) -> ASGIApp:
    """Return the application for people, their tools and Prometheus; without the alert intake."""
    context, templates = deps.context, PageTemplates(deps.context)
    handlers = exception_handlers(templates.error, context)
    routes = build_routes(deps, templates)
    # Outermost first: sign-in, then the API v2 (which lets any site read it), the guard against
    # other sites, and the cache, whose key needs the principal of the sign-in.
    app = Starlette(routes=routes, exception_handlers=handlers)
    guarded = CrossSiteGuard(PageCache(app, deps.hub, context), context)
    return SignInGate(AlertmanagerApi(context, guarded), context, handlers[AmproxyError])


def build_routes(deps: Deps, templates: PageTemplates) -> list[BaseRoute]:
    """All routes, in matching order: a fixed path goes before one with a parameter."""
    return [
        *(route for api in APIS for route in api_routes(api(deps))),
        *_page_routes(deps, templates),
        Route("/events", LiveEvents(deps.hub).stream, methods=["GET"]),
        *SlackEndpoint(deps.context).routes(),
        Mount("/static", ImmutableFiles(directory=STATIC)),
    ]


def _page_routes(deps: Deps, templates: PageTemplates) -> list[BaseRoute]:
    return [
        *ApiPage(deps, templates).routes(),
        *NowPage(deps, templates).routes(),
        *IncidentsPage(deps, templates).routes(),
        *OpenIncidentPage(deps, templates).routes(),
        *PreferencesPage(deps).routes(),
        *IncidentPage(deps, templates).routes(),
        *InsightsPage(deps, templates).routes(),
        *DeliveriesPage(deps, templates).routes(),
        *SourcesPage(deps, templates).routes(),
        *SilenceFormPage(deps, templates).routes(),
        *SilencesPage(deps, templates).routes(),
        *ActPage(deps, templates).routes(),
        *SchedulesPage(deps, templates).routes(),
        *SchedulePage(deps, templates).routes(),
        *LayersPage(deps, templates).routes(),
        *PoliciesPage(deps, templates).routes(),
        *PolicyEditPage(deps, templates).routes(),
        *ChangePage(deps, templates).routes(),
        *RoutesPage(deps, templates).routes(),
        *PeoplePage(deps, templates).routes(),
        *MePage(deps, templates).routes(),
        *AdminPage(deps, templates).routes(),
        *SignInPage(deps, templates).routes(),
    ]
