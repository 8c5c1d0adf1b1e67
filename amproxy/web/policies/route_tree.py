"""The tree of routes as a page draws it, with the way that an alert takes through it. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from amproxy.config.structs import Config, Route
from amproxy.grouping.routes import Visit
from amproxy.labels.matchers import Matcher

# taken: the alert lands here. passed: it matches, and a route below takes it. failed: a matcher does not hold. unseen: a route before
# it has taken the alert. "": nothing is asked.
State = Literal["taken", "passed", "failed", "unseen", ""]


class Node(NamedTuple):
    """One route; settings that it has from the route above are left out."""

    route: Route
    state: State
    failed: Matcher | None
    policies: list[str]  # that its receiver follows
    group_by: tuple[str, ...] | None  # () = all together; None = as above
    group_by_all: bool
    times: dict[str, float]  # group_wait, group_interval, repeat_interval
    children: list[Node]

    @property
    def on_the_way(self) -> bool:
        return self.state in ("taken", "passed")


def tree(config: Config, visit: Visit | None) -> Node:
    """The whole tree. visit: what became of an alert at its root, None where none is asked about."""
    return _node(config, config.route, None, visit, asked=visit is not None)


def _node(config: Config, route: Route, above: Route | None, visit: Visit | None, *, asked: bool) -> Node:
    receiver = config.receivers.get(route.receiver)
    policies = [one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"] if receiver else []
    grouped = (route.group_by, route.group_by_all)
    times = {key: getattr(route, key) for key in ("group_wait", "group_interval", "repeat_interval")}
    visits = visit.children if visit else ()
    return Node(
        route=route, state=_state(visit, asked=asked), failed=visit.failed if visit else None, policies=list(dict.fromkeys(policies)),
        group_by=route.group_by if above is None or grouped != (above.group_by, above.group_by_all) else None,
        group_by_all=route.group_by_all,
        times={key: value for key, value in times.items() if above is None or value != getattr(above, key)},
        children=[
            _node(config, child, route, visits[place] if place < len(visits) else None, asked=asked)
            for place, child in enumerate(route.routes)
        ],
    )  # fmt: skip


def _state(visit: Visit | None, *, asked: bool) -> State:
    if visit is None:
        return "unseen" if asked else ""
    if visit.failed:
        return "failed"
    return "taken" if visit.taken else "passed"
