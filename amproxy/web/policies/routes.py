"""The tree of routes as a page draws it, with the way that an alert takes through it. Pure.

/routes: the tree of routes, and what becomes of an alert with some labels: its way, what mutes it, whom it pages and whom not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
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
from amproxy.model import Alert, Group, Page
from amproxy.simulation.alert import SimulatedAlert, muting_end
from amproxy.simulation.alert import muting_names as muted_by
from amproxy.simulation.alert import zone_of_alert as zone_for
from amproxy.simulation.explain import NotPagedReason, explain_groups, reasons_not_paged
from amproxy.simulation.incident import SimulatedIncident
from amproxy.text import Phrase, PhraseValue, Texts, render_phrase
from amproxy.text.policies import duration_phrase, step_phrase
from amproxy.web.http import format
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import SimulationQuery, parse_labels, parse_simulation_query
from amproxy.web.http.templates import PageTemplates, acting_user, reader_texts

# taken: the alert lands here. passed: it matches, and a route below takes it. failed: a matcher does not hold. unseen: a route before
# it has taken the alert. "": nothing is asked.
RouteState = Literal["taken", "passed", "failed", "unseen", ""]


class RouteNode(NamedTuple):
    """One route; settings that it has from the route above are left out."""

    route: AlertRoute
    state: RouteState
    failed: Matcher | None
    policies: list[str]  # that its receiver follows
    group_by: tuple[str, ...] | None  # () = all together; None = as above
    group_by_all: bool
    times: dict[str, float]  # group_wait, group_interval, repeat_interval
    children: list[RouteNode]

    @property
    def on_the_way(self) -> bool:
        return self.state in ("taken", "passed")


def build_route_tree(config: Config, visit: RouteVisit | None) -> RouteNode:
    """The whole tree. visit: what became of an alert at its root, None where none is asked about."""
    return _build_route_node(config, config.route, None, visit, asked=visit is not None)


def _build_route_node(config: Config, route: AlertRoute, above: AlertRoute | None, visit: RouteVisit | None, *, asked: bool) -> RouteNode:
    receiver = config.receivers.get(route.receiver)
    policies = [one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"] if receiver else []
    grouped = (route.group_by, route.group_by_all)
    times = {key: getattr(route, key) for key in ("group_wait", "group_interval", "repeat_interval")}
    visits = visit.children if visit else ()
    return RouteNode(
        route=route, state=_route_state(visit, asked=asked), failed=visit.failed if visit else None, policies=list(dict.fromkeys(policies)),
        group_by=route.group_by if above is None or grouped != (above.group_by, above.group_by_all) else None,
        group_by_all=route.group_by_all,
        times={key: value for key, value in times.items() if above is None or value != getattr(above, key)},
        children=[
            _build_route_node(config, child, route, visits[place] if place < len(visits) else None, asked=asked)
            for place, child in enumerate(route.routes)
        ],
    )  # fmt: skip


def _route_state(visit: RouteVisit | None, *, asked: bool) -> RouteState:
    if visit is None:
        return "unseen" if asked else ""
    if visit.failed:
        return "failed"
    return "taken" if visit.taken else "passed"


FormatMoment = Callable[[datetime], str]  # a moment as the reader's clock shows it


class RoutePageView(NamedTuple):
    """A page that arrives at once, and what the step does that makes it."""

    page: Page
    step: str


class RoutePolicyView(NamedTuple):
    """What one integration of a group's receiver does: a policy runs."""

    policy: str
    paged: list[RoutePageView]
    waiting: str  # what the policy waits for, where it pages nobody at once
    due: float | None
    others: list[tuple[str, list[str]]]  # who is not paged, and why


class RouteGroupView(NamedTuple):
    """One group that the alert lands in."""

    group: Group
    kinds: list[str]  # of the receiver's integrations, those of oncall apart
    muted_by: list[str]
    until: float | None  # when that ends
    ways: list[RoutePolicyView]


class RoutesPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/routes", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        config, now, t = self._context.config, self._context.now(), reader_texts(request)
        zone = self._zone(request)
        reader = acting_user(request, self._context)
        clock = partial(format.time_text, zone=ZoneInfo(config.users[reader].timezone if reader else "UTC"), now=now, t=t)
        asks = parse_simulation_query(request, zone, now)
        visit = placement.explain(config.route, asks.labels) if asks.labels is not None else None
        held: list[str] = []
        if asks.labels and not asks.at_text:  # silences are known of now alone
            alert = Alert(fingerprint="asked", labels=asks.labels, starts_ns=int(now * 10**9))
            held = (await muting.load_muting_reasons(self._context, [alert], int(now * 10**9))).get("asked", [])
        return await self._looks.page(
            request, "routes.html", tree=build_route_tree(config, visit), question=asks, asked_zone=zone, held=held,
            landings=self._landings(asks, clock, t) if asks.labels is not None else None,
            seconds=lambda found: render_phrase(duration_phrase(found), t),
        )  # fmt: skip

    def _zone(self, request: Request) -> str:
        """Of the first schedule that such an alert asks."""
        try:
            return zone_for(self._context.config, parse_labels(request.query_params.get("labels", "")))
        except ValueError:
            return "UTC"

    def _landings(self, asks: SimulationQuery, clock: FormatMoment, t: Texts) -> list[RouteGroupView]:
        roster, now = self._context.roster, asks.at.timestamp()
        entry = SimulatedAlert(roster.config, asks.labels or {})
        ways = explain_groups(entry, now, roster)
        found = []
        for group in entry.groups:
            own = [
                self._way(entry.policy(way.integration).name, way.course, now, clock, t)
                for way in ways
                if way.group is group and way.course is not None
            ]
            by = muted_by(group, entry.labels, roster, now)
            kinds = [one.kind for one in entry.receiver(group).integrations if one.kind != "oncall"]
            found.append(RouteGroupView(group, kinds, by, muting_end(group, entry.labels, roster, now) if by else None, own))
        return found

    def _way(self, name: str, course: SimulatedIncident, now: float, clock: FormatMoment, t: Texts) -> RoutePolicyView:
        policy = self._context.config.policies.get(name)
        steps = policy.steps if policy else ()
        paged = [
            RoutePageView(
                page, self._say(step_phrase(steps[page.step - 1]), t) if page.policy == name and 0 < page.step <= len(steps) else ""
            )
            for page in course.pages
        ]
        waiting, due = course.incident.waiting_for, course.due
        found = reasons_not_paged(course.incident.plan, course, utc(now), self._context.roster)
        others = [(user, [self._say(_reason_phrase(reason, now, clock), t) for reason in why]) for user, why in found]
        return RoutePolicyView(name, paged, "" if paged else waiting, None if paged else due, others)

    def _say(self, phrase: Phrase, t: Texts) -> str:
        return render_phrase(phrase, t, self._called)

    def _called(self, name: str) -> str:
        known = self._context.config.users.get(name)
        return known.full_name or name if known else name


def _reason_phrase(reason: NotPagedReason, now: float, clock: FormatMoment) -> Phrase:
    """Why somebody is not paged now."""
    values: dict[str, PhraseValue] = {"schedule": reason.schedule, "text": reason.text}
    if reason.at:
        values["at"] = clock(reason.at)
    if reason.kind == "absent" and reason.text:
        return Phrase("routes.absent_because", values)
    if page := reason.page:
        values |= {"after": duration_phrase(page.due - now), "channel": page.channel, "step": str(page.step)}
    return Phrase(f"routes.{reason.kind}", values)
