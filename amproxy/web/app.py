"""The web part put together."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from amproxy.errors import AmproxyError
from amproxy.respond.slack_endpoint import SlackEndpoint
from amproxy.web.admin import AdminPage, HealthApi, ReplicasApi
from amproxy.web.alertmanager.api import AlertmanagerApi
from amproxy.web.config.api import ConfigApi
from amproxy.web.config.page import ChangePage
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import exception_handlers
from amproxy.web.http.guard import CrossSiteGuard
from amproxy.web.http.live import LiveEvents
from amproxy.web.http.monitoring import ManagementApi, Metrics
from amproxy.web.http.page_cache import PageCache
from amproxy.web.http.templates import STATIC, PageTemplates, PreferencesPage
from amproxy.web.incidents.act import ActPage, OpenIncidentPage
from amproxy.web.incidents.api import IncidentsApi
from amproxy.web.incidents.list import IncidentsPage
from amproxy.web.incidents.now import NowPage
from amproxy.web.incidents.page import IncidentPage
from amproxy.web.openapi.document import OpenApi
from amproxy.web.people.api import AbsencesApi, UsersApi
from amproxy.web.people.me import MePage
from amproxy.web.people.page import PeoplePage
from amproxy.web.policies.edit import PolicyEditPage
from amproxy.web.policies.page import PoliciesPage
from amproxy.web.policies.routes import RoutesPage
from amproxy.web.reports.api import ReportsApi
from amproxy.web.reports.deliveries import DeliveriesApi, DeliveriesPage
from amproxy.web.reports.insights import InsightsPage
from amproxy.web.schedules.api import OncallApi, ShiftsApi
from amproxy.web.schedules.calendars_api import CalendarsApi
from amproxy.web.schedules.layers import LayersPage
from amproxy.web.schedules.page import SchedulePage, SchedulesPage
from amproxy.web.schedules.swaps_api import SwapsApi
from amproxy.web.signin.api import SignInApi
from amproxy.web.signin.gate import SignInGate
from amproxy.web.signin.pages import SignInPage
from amproxy.web.silences.api import MaintenanceApi, SilencesApi
from amproxy.web.silences.form import SilenceFormPage
from amproxy.web.silences.page import SilencesPage


class ImmutableFiles(StaticFiles):
    """Files whose address changes with their content, so that browsers need not ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def build_web_app(deps: Deps) -> ASGIApp:
    """Everything that people, their tools and Prometheus ask for, guarded; the doors for alerts are not in it."""
    looks = PageTemplates(deps.context)
    drawn = exception_handlers(looks.error)
    shared = PageCache(Starlette(routes=build_routes(deps, looks), exception_handlers=drawn), deps.hub, deps.context)
    guarded = CrossSiteGuard(shared, deps.context)
    return SignInGate(AlertmanagerApi(deps.context, guarded), deps.context, drawn[AmproxyError])


def build_routes(deps: Deps, looks: PageTemplates) -> list[BaseRoute]:
    """All routes, in the order in which they are tried."""
    return [
        *IncidentsApi(deps).routes(),
        *OncallApi(deps).routes(),
        *ReportsApi(deps).routes(),
        *SwapsApi(deps).routes(),
        *AbsencesApi(deps).routes(),
        *UsersApi(deps).routes(),
        *ShiftsApi(deps).routes(),
        *MaintenanceApi(deps).routes(),
        *SilencesApi(deps).routes(),
        *DeliveriesApi(deps).routes(),
        *HealthApi(deps).routes(),
        *ReplicasApi(deps).routes(),
        *ConfigApi(deps).routes(),
        *CalendarsApi(deps).routes(),
        *OpenApi(deps, looks).routes(),
        *NowPage(deps, looks).routes(),
        *IncidentsPage(deps, looks).routes(),
        *OpenIncidentPage(deps, looks).routes(),
        *PreferencesPage(deps).routes(),
        *IncidentPage(deps, looks).routes(),
        *InsightsPage(deps, looks).routes(),
        *DeliveriesPage(deps, looks).routes(),
        *SilenceFormPage(deps, looks).routes(),
        *SilencesPage(deps, looks).routes(),
        *ActPage(deps, looks).routes(),
        *SchedulesPage(deps, looks).routes(),
        *SchedulePage(deps, looks).routes(),
        *LayersPage(deps, looks).routes(),
        *PoliciesPage(deps, looks).routes(),
        *PolicyEditPage(deps, looks).routes(),
        *ChangePage(deps, looks).routes(),
        *RoutesPage(deps, looks).routes(),
        *PeoplePage(deps, looks).routes(),
        *MePage(deps, looks).routes(),
        *AdminPage(deps, looks).routes(),
        *SignInPage(deps, looks).routes(),
        *SignInApi(deps).routes(),
        Route("/events", LiveEvents(deps.hub).stream, methods=["GET"]),
        *Metrics(deps).routes(),
        *ManagementApi(deps).routes(),
        *SlackEndpoint(deps.context).routes(),
        Mount("/static", ImmutableFiles(directory=STATIC)),
    ]
