"""The web part put together."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from amproxy.errors import AmproxyError
from amproxy.respond.slack_endpoint import SlackEndpoint
from amproxy.web.act_page import ActPage
from amproxy.web.admin_page import AdminPage
from amproxy.web.api_absences import AbsencesApi
from amproxy.web.api_calendars import CalendarsApi
from amproxy.web.api_config import ConfigApi
from amproxy.web.api_deliveries import DeliveriesApi
from amproxy.web.api_hindsight import HindsightApi
from amproxy.web.api_incidents import IncidentsApi
from amproxy.web.api_maintenance import MaintenanceApi
from amproxy.web.api_oncall import OncallApi
from amproxy.web.api_openapi import OpenApi
from amproxy.web.api_parts import PartsApi
from amproxy.web.api_shifts import ShiftsApi
from amproxy.web.api_silences import SilencesApi
from amproxy.web.api_swaps import SwapsApi
from amproxy.web.api_users import UsersApi
from amproxy.web.api_vitals import VitalsApi
from amproxy.web.change_page import ChangePage
from amproxy.web.deliveries_page import DeliveriesPage
from amproxy.web.deps import Deps
from amproxy.web.errors import handlers
from amproxy.web.guard import Guard
from amproxy.web.hand_page import HandPage
from amproxy.web.health import Health
from amproxy.web.incident_page import IncidentPage
from amproxy.web.insights_page import InsightsPage
from amproxy.web.layers_page import LayersPage
from amproxy.web.list_page import ListPage
from amproxy.web.live import Events
from amproxy.web.looks import STATIC, Looks
from amproxy.web.me_page import MePage
from amproxy.web.metrics import Metrics
from amproxy.web.now_page import NowPage
from amproxy.web.pages import Pages
from amproxy.web.people_page import PeoplePage
from amproxy.web.policies_page import PoliciesPage
from amproxy.web.policy_edit import PolicyEdit
from amproxy.web.routes_page import RoutesPage
from amproxy.web.schedule_page import SchedulePage
from amproxy.web.schedules_page import SchedulesPage
from amproxy.web.shared import Shared
from amproxy.web.signin.api import SignInApi
from amproxy.web.signin.gate import Gate
from amproxy.web.signin.pages import SignInPages
from amproxy.web.silence_form import SilenceForm
from amproxy.web.silences_page import SilencesPage
from amproxy.web.v2.api import V2


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
