"""/routes: the tree of routes, and an alert's way through it.

For an alert with some labels: the groups that it falls into, the intervals and silences that mute
it, the people who are paged at once and those who are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby, zip_longest
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
from amproxy.web.http.paging import page_of_list
from amproxy.web.http.request import SimulationQuery, parse_labels, parse_simulation_query
from amproxy.web.http.templates import PageTemplates, reader_texts, reader_zone
from amproxy.web.policies.page import full_name, policies_of_receiver

# taken: the alert ends here. passed: it matches, and a route below takes the alert. failed: a
# matcher does not hold. unreached: an earlier route has taken the alert. "": there is no alert.
RouteState = Literal["taken", "passed", "failed", "unreached", ""]
MAX_DRAWN_WHOLE = 100  # routes; of more, those right below one are listed in pages
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
        route, above, visit = _find_route(config, visit, request.query_params.get("under", ""))
        branches = [*zip_longest(route.routes, visit.children if visit else ())]
        is_whole = _count_routes(config.route) <= MAX_DRAWN_WHOLE
        if not is_whole:  # what the alert takes must not be on a later page
            branches.sort(key=lambda branch: branch[1] is None or branch[1].failed is not None)
        listed = page_of_list(
            request,
            branches,
            lambda branch: _route_texts(branch[0]),
            others=("labels", "at", "under"),
        )
        tree = build_route_tree(
            config, visit, route, above, branches=None if is_whole else listed.shown
        )
        found = find_routes(tree, listed.text) if is_whole and listed.text else frozenset[int]()

        def is_shown(node: RouteNode) -> bool:
            if listed.text and not is_whole:  # what is listed was searched for
                return True
            return not (with_alert or listed.text) or node.matched or id(node) in found

        return await self._templates.page(
            request,
            "routes.html",
            tree=tree,
            runs=partial(fold_routes, is_shown=is_shown),
            is_whole=is_whole,
            listed=listed,
            under=route.key if above else "",
            unrouted=sorted(config.receivers.keys() - _route_receivers(config.route)),
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


def _find_route(
    config: Config, visit: RouteVisit | None, key: str
) -> tuple[AlertRoute, AlertRoute | None, RouteVisit | None]:
    """The route with a key, the one above it, and the alert's visit; else the root's."""
    todo: list[tuple[AlertRoute, AlertRoute | None, RouteVisit | None]] = [
        (config.route, None, visit)
    ]
    for route, above, at in todo if key else ():
        if route.key == key:
            return route, above, at
        below = zip_longest(route.routes, at.children if at else ())
        todo += [(child, route, child_visit) for child, child_visit in below]
    return config.route, None, visit


def _count_routes(route: AlertRoute) -> int:
    return 1 + sum(map(_count_routes, route.routes))


def _route_texts(route: AlertRoute) -> Iterator[str]:
    """The texts that a route is found by: matchers and receivers, of those below it too."""
    yield route.receiver
    yield from map(str, route.matchers)
    for child in route.routes:
        yield from _route_texts(child)


def _route_receivers(route: AlertRoute) -> set[str]:
    """The names of the receivers of a route and of all below it."""
    return {route.receiver}.union(*map(_route_receivers, route.routes))


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
    hidden: int = 0  # routes right below that are not drawn

    @property
    def matched(self) -> bool:
        """True for one that the alert goes through or lands at."""
        return self.state in ("taken", "passed")


class RouteRun(NamedTuple):
    """Routes below another that follow each other, and are folded away together or not."""

    folded: bool
    nodes: list[RouteNode]
    size: int  # themselves and all routes below them


_Branch = tuple[AlertRoute, RouteVisit | None]  # a route, and the alert's visit there


def build_route_tree(
    config: Config,
    visit: RouteVisit | None,
    route: AlertRoute | None = None,
    above: AlertRoute | None = None,
    branches: Sequence[_Branch] | None = None,
) -> RouteNode:
    """The tree below a route, by default the root. visit: of an alert there; None = there is none.

    branches: those right below the route that are drawn, with the alert's path alone below them;
    None = the whole tree.
    """
    node = partial(_build_route_node, config, with_alert=visit is not None)
    route = route or config.route
    if branches is None:
        return node(route, above, visit)
    top = node(route, above, visit, path_only=True)
    children = [node(child, route, at, path_only=True) for child, at in branches]
    return top._replace(children=children, hidden=0)


def find_routes(tree: RouteNode, text: str) -> frozenset[int]:
    """The ids (`id()`) of the nodes in which a text stands, and of all above them."""
    wanted, found = text.casefold(), set[int]()

    def look(node: RouteNode) -> bool:
        own = (node.route.receiver, *map(str, node.route.matchers))
        is_found = any(wanted in one.casefold() for one in own)
        below = [look(child) for child in node.children]  # all of them: each is noted down
        if is_found or any(below):
            found.add(id(node))
        return id(node) in found

    look(tree)
    return frozenset(found)


def fold_routes(
    nodes: Sequence[RouteNode], is_shown: Callable[[RouteNode], bool]
) -> Iterator[RouteRun]:
    """The routes below another in runs. One alone is not worth a fold."""
    for shown, run in groupby(nodes, is_shown):
        together = list(run)
        size = sum(_count_routes(node.route) for node in together)
        yield RouteRun(not shown and size > 1, together, size)


def _build_route_node(
    config: Config,
    route: AlertRoute,
    above: AlertRoute | None,
    visit: RouteVisit | None,
    *,
    with_alert: bool,
    path_only: bool = False,
) -> RouteNode:
    receiver = config.receivers.get(route.receiver)
    grouped_anew = above is None or (
        (route.group_by, route.group_by_all) != (above.group_by, above.group_by_all)
    )
    times = {key: getattr(route, key) for key in _TIMES}
    visits = visit.children if visit else ()
    # The visit stops at the route that takes the alert: the routes after it have none.
    branches = [*zip_longest(route.routes, visits)]
    drawn = [one for one in branches if one[1] and not one[1].failed] if path_only else branches
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
            _build_route_node(
                config, child, route, child_visit, with_alert=with_alert, path_only=path_only
            )
            for child, child_visit in drawn
        ],
        hidden=len(branches) - len(drawn),
    )


def _route_state(visit: RouteVisit | None, *, with_alert: bool) -> RouteState:
    if visit is None:
        return "unreached" if with_alert else ""
    if visit.failed:
        return "failed"
    return "taken" if visit.taken else "passed"
