"""/routes: the tree of routes, and an alert's way through it.

For an alert with some labels: the groups that it falls into, the intervals and silences that mute
it, the people who are paged at once and those who are not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.config.structs import Route as AlertRoute
from amproxy.correlate import muting
from amproxy.grouping import placement
from amproxy.grouping.placement import RouteVisit
from amproxy.labels.matchers import Matcher
from amproxy.model import Group, Page
from amproxy.simulation.alert import (
    GroupMuting,
    SimulatedAlert,
    group_muting,
    muting_end,
    zone_of_alert,
)
from amproxy.simulation.explain import NotPagedReason, explain_groups, reasons_not_paged
from amproxy.simulation.incident import SimulatedIncident
from amproxy.simulation.surroundings import SimulatedSurroundings
from amproxy.text import Length, Phrase, PhraseValue, Texts
from amproxy.text.policies import step_phrase
from amproxy.text.render import length_text, render_phrase, time_text
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import SimulationQuery, parse_labels, parse_simulation_query
from amproxy.web.http.templates import PageTemplates, reader_texts, reader_zone
from amproxy.web.policies.page import full_name, policies_of_receiver

# taken: the alert ends here. passed: it matches, and a route below takes the alert. failed: a
# matcher does not hold. unreached: an earlier route has taken the alert. "": there is no alert.
RouteState = Literal["taken", "passed", "failed", "unreached", ""]
_TIMES = ("group_wait", "group_interval", "repeat_interval")

FormatTime = Callable[[datetime], str]  # a time as the reader's clock shows it


class RoutePageView(NamedTuple):
    """A page that is sent at once."""

    page: Page
    step: str  # the step that makes it, in words


class RoutePolicyView(NamedTuple):
    """The run of a policy, for one integration of a group's receiver."""

    policy: str
    pages: list[RoutePageView]
    due: float | None  # the next step, where nobody is paged at once
    not_paged: list[tuple[str, list[str]]]  # person, reasons


class RouteGroupView(NamedTuple):
    """One group that the alert falls into."""

    group: Group
    kinds: list[str]  # of the receiver's integrations beside `oncall`
    muting: GroupMuting
    until: float | None  # the end of the muting
    policies: list[RoutePolicyView]


class RoutesPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/routes", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        config, now, t = self._context.config, self._context.now(), reader_texts(request)
        zone, own_zone = self._zone(request), ZoneInfo(reader_zone(request, self._context))
        clock = partial(time_text, zone=own_zone, now=now, t=t)
        query = parse_simulation_query(request, zone, now)
        with_alert = query.labels is not None
        visit = placement.explain(config.route, query.labels) if query.labels is not None else None
        return await self._templates.page(
            request,
            "routes.html",
            tree=build_route_tree(config, visit),
            query=query,
            alert_zone=zone,
            groups=await self._group_views(query, clock, t) if with_alert else None,
            duration_in_words=lambda seconds: length_text(seconds, t),
        )

    def _zone(self, request: Request) -> str:
        """The zone of the first schedule that such an alert pages."""
        try:
            labels = parse_labels(request.query_params.get("labels", ""))
        except ValueError:
            return "UTC"
        return zone_of_alert(self._context.config, labels)

    async def _group_views(
        self, query: SimulationQuery, clock: FormatTime, t: Texts
    ) -> list[RouteGroupView]:
        context, roster, now = self._context, self._context.roster, query.at.timestamp()
        alert = SimulatedAlert(roster.config, query.labels or {})
        firing = [alert.firing(now)]
        surroundings = SimulatedSurroundings(
            roster,
            (await context.silences.all(context.wire)).values(),
            (await context.windows.all(context.wire)).values(),
            await muting.load_inhibition_sources(context, firing),
        )
        explained = explain_groups(alert, now, surroundings)
        views = []
        for group in alert.groups:
            policies = [
                self._policy_view(alert.policy(one.integration).name, one.simulated, now, clock, t)
                for one in explained
                if one.group is group and one.simulated is not None
            ]
            found = group_muting(group, firing, surroundings, now)
            until = muting_end(group, firing, surroundings, now) if found.is_muted else None
            kinds = [one.kind for one in alert.receiver(group).integrations if one.kind != "oncall"]
            views.append(RouteGroupView(group, kinds, found, until, policies))
        return views

    def _policy_view(
        self, name: str, simulated: SimulatedIncident, now: float, clock: FormatTime, t: Texts
    ) -> RoutePolicyView:
        pages = [RoutePageView(page, self._step_text(page, name, t)) for page in simulated.pages]
        plan = simulated.incident.plan
        found = reasons_not_paged(plan, simulated, utc(now), self._context.roster)
        not_paged = [
            (user, [self._text(_reason_phrase(reason, now, clock), t) for reason in reasons])
            for user, reasons in found
        ]
        return RoutePolicyView(name, pages, None if pages else simulated.due, not_paged)

    def _step_text(self, page: Page, name: str, t: Texts) -> str:
        """The step that makes a page; "" = it is one of another policy."""
        policy = self._context.config.policies.get(name)
        if policy is None or page.policy != name or not 0 < page.step <= len(policy.steps):
            return ""
        return self._text(step_phrase(policy.steps[page.step - 1]), t)

    def _text(self, phrase: Phrase, t: Texts) -> str:
        return render_phrase(phrase, t, partial(full_name, self._context.config))


def _reason_phrase(reason: NotPagedReason, now: float, clock: FormatTime) -> Phrase:
    """The reason for which somebody is not paged now."""
    values: dict[str, PhraseValue] = {
        "schedule": reason.schedule,
        "text": reason.why or reason.text,
    }
    if reason.at:
        values["at"] = clock(reason.at)
    if reason.kind == "absent" and reason.text:
        return Phrase("routes.absent_because", values)
    if page := reason.page:
        values |= {
            "after": Length(page.due - now),
            "channel": page.channel,
            "step": str(page.step),
        }
    return Phrase(f"routes.{reason.kind}", values)


class RouteNode(NamedTuple):
    """One route; settings that it has from the route above are left out."""

    route: AlertRoute
    state: RouteState
    failed: Matcher | None
    policies: list[str]  # that its receiver follows
    group_by: tuple[str, ...] | None  # () = all together; None = as in the route above
    group_by_all: bool
    times: dict[str, float]  # group_wait, group_interval, repeat_interval
    children: list[RouteNode]


def build_route_tree(config: Config, visit: RouteVisit | None) -> RouteNode:
    """The whole tree. visit: of an alert at its root; None = there is no alert."""
    return _build_route_node(config, config.route, None, visit, with_alert=visit is not None)


def _build_route_node(
    config: Config,
    route: AlertRoute,
    above: AlertRoute | None,
    visit: RouteVisit | None,
    *,
    with_alert: bool,
) -> RouteNode:
    receiver = config.receivers.get(route.receiver)
    grouped_anew = above is None or (
        (route.group_by, route.group_by_all) != (above.group_by, above.group_by_all)
    )
    times = {key: getattr(route, key) for key in _TIMES}
    visits = visit.children if visit else ()
    # The visit stops at the route that takes the alert: the routes after it have none.
    children = zip_longest(route.routes, visits)
    return RouteNode(
        route=route,
        state=_route_state(visit, with_alert=with_alert),
        failed=visit.failed if visit else None,
        policies=policies_of_receiver(receiver) if receiver else [],
        group_by=route.group_by if grouped_anew else None,
        group_by_all=route.group_by_all,
        times={
            key: value
            for key, value in times.items()
            if above is None or value != getattr(above, key)
        },
        children=[
            _build_route_node(config, child, route, child_visit, with_alert=with_alert)
            for child, child_visit in children
        ],
    )


def _route_state(visit: RouteVisit | None, *, with_alert: bool) -> RouteState:
    if visit is None:
        return "unreached" if with_alert else ""
    if visit.failed:
        return "failed"
    return "taken" if visit.taken else "passed"
