"""The web part put together."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from amproxy.errors import AmproxyError
from amproxy.respond.slack_endpoint import SlackEndpoint
from amproxy.web.admin import AdminPage, PartsApi, VitalsApi
from amproxy.web.alertmanager.api import V2
from amproxy.web.config.api import ConfigApi
from amproxy.web.config.page import ChangePage
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import handlers
from amproxy.web.http.guard import Guard
from amproxy.web.http.live import Events
from amproxy.web.http.monitoring import Health, Metrics
from amproxy.web.http.page_cache import Shared
from amproxy.web.http.templates import STATIC, Looks, Pages
from amproxy.web.incidents.act import ActPage, HandPage
from amproxy.web.incidents.api import IncidentsApi
from amproxy.web.incidents.list import ListPage
from amproxy.web.incidents.now import NowPage
from amproxy.web.incidents.page import IncidentPage
from amproxy.web.openapi.document import OpenApi
from amproxy.web.people.api import AbsencesApi, UsersApi
from amproxy.web.people.me import MePage
from amproxy.web.people.page import PeoplePage
from amproxy.web.policies.edit import PolicyEdit
from amproxy.web.policies.page import PoliciesPage
from amproxy.web.policies.routes import RoutesPage
from amproxy.web.reports.api import HindsightApi
from amproxy.web.reports.deliveries import DeliveriesApi, DeliveriesPage
from amproxy.web.reports.insights import InsightsPage
from amproxy.web.schedules.api import OncallApi, ShiftsApi
from amproxy.web.schedules.calendars_api import CalendarsApi
from amproxy.web.schedules.layers import LayersPage
from amproxy.web.schedules.page import SchedulePage, SchedulesPage
from amproxy.web.schedules.swaps_api import SwapsApi
from amproxy.web.signin.api import SignInApi
from amproxy.web.signin.gate import Gate
from amproxy.web.signin.pages import SignInPages
from amproxy.web.silences.api import MaintenanceApi, SilencesApi
from amproxy.web.silences.form import SilenceForm
from amproxy.web.silences.page import SilencesPage


class Kept(StaticFiles):
    """Files whose address changes with their content, so that browsers need not ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def web(deps: Deps) -> ASGIApp:
    """Everything that people, their tools and Prometheus ask for, guarded; the doors for alerts are not in it."""
    looks = Looks(deps.context)
    drawn = handlers(looks.error)
    shared = Shared(Starlette(routes=routes(deps, looks), exception_handlers=drawn), deps.hub, deps.context)
    guarded = Guard(shared, deps.context)
    return Gate(V2(deps.context, guarded), deps.context, drawn[AmproxyError])


def routes(deps: Deps, looks: Looks) -> list[BaseRoute]:
    """All routes, in the order in which they are tried."""
    return [
        *IncidentsApi(deps).routes(),
        *OncallApi(deps).routes(),
        *HindsightApi(deps).routes(),
        *SwapsApi(deps).routes(),
        *AbsencesApi(deps).routes(),
        *UsersApi(deps).routes(),
        *ShiftsApi(deps).routes(),
        *MaintenanceApi(deps).routes(),
        *SilencesApi(deps).routes(),
        *DeliveriesApi(deps).routes(),
        *VitalsApi(deps).routes(),
        *PartsApi(deps).routes(),
        *ConfigApi(deps).routes(),
        *CalendarsApi(deps).routes(),
        *OpenApi(deps, looks).routes(),
        *NowPage(deps, looks).routes(),
        *ListPage(deps, looks).routes(),
        *HandPage(deps, looks).routes(),
        *Pages(deps).routes(),
        *IncidentPage(deps, looks).routes(),
        *InsightsPage(deps, looks).routes(),
        *DeliveriesPage(deps, looks).routes(),
        *SilenceForm(deps, looks).routes(),
        *SilencesPage(deps, looks).routes(),
        *ActPage(deps, looks).routes(),
        *SchedulesPage(deps, looks).routes(),
        *SchedulePage(deps, looks).routes(),
        *LayersPage(deps, looks).routes(),
        *PoliciesPage(deps, looks).routes(),
        *PolicyEdit(deps, looks).routes(),
        *ChangePage(deps, looks).routes(),
        *RoutesPage(deps, looks).routes(),
        *PeoplePage(deps, looks).routes(),
        *MePage(deps, looks).routes(),
        *AdminPage(deps, looks).routes(),
        *SignInPages(deps, looks).routes(),
        *SignInApi(deps).routes(),
        Route("/events", Events(deps.hub).stream, methods=["GET"]),
        *Metrics(deps).routes(),
        *Health(deps).routes(),
        *SlackEndpoint(deps.context).routes(),
        Mount("/static", Kept(directory=STATIC)),
    ]
