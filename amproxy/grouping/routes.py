"""The route tree: which routes an alert takes, in which group it lands, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from amproxy.config.structs import Route
from amproxy.labels.matchers import Matcher, all_match, sort_key
from amproxy.labels.quoting import quote


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What happened at one route. Siblings after a match without `continue` are not visited, so they do not appear."""

    route: Route
    failed: Matcher | None = None  # the first matcher that does not hold; None = all hold
    taken: bool = False  # the alert lands here: it matched, and none of its children did
    children: tuple[Visit, ...] = ()

    @property
    def matched(self) -> bool:
        return self.failed is None


def match(route: Route, labels: Mapping[str, str]) -> list[Route]:
    """The routes that an alert with these labels takes, in Alertmanager's order; never empty.

    `route` itself is taken to match, as the root of a tree always does.
    """
    found: list[Route] = []
    for child in route.routes:
        if all_match(child.matchers, labels):
            found += match(child, labels)
            if not child.continue_:
                break
    return found or [route]


def explain(route: Route, labels: Mapping[str, str]) -> Visit:
    """The same walk as `match`, with every visited route and the matcher at which it failed."""
    failed = next((matcher for matcher in route.matchers if not matcher.matches(labels)), None)
    if failed is not None:
        return Visit(route=route, failed=failed)
    children: list[Visit] = []
    for child in route.routes:
        children.append(explain(child, labels))
        if children[-1].matched and not child.continue_:
            break
    return Visit(route=route, taken=not any(child.matched for child in children), children=tuple(children))


def group_labels(route: Route, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels by which the route groups, as far as the alert has them, sorted by name."""
    names = labels.keys() if route.group_by_all else labels.keys() & set(route.group_by)
    return {name: labels[name] for name in sorted(names)}


def group_key(route: Route, group_labels: Mapping[str, str]) -> str:
    """Alertmanager's key of a group: `{}/{team="a"}:{alertname="Down", cluster="eu1"}`."""
    return f"{route.key}:{{{', '.join(f'{name}={quote(value)}' for name, value in sorted(group_labels.items()))}}}"


def route_key(parent_key: str, matchers: Iterable[Matcher]) -> str:
    """Alertmanager's key of a route below the one with `parent_key`; the root has parent_key "" and the key `{}`."""
    own = "{" + ",".join(map(str, sorted(matchers, key=sort_key))) + "}"
    return f"{parent_key}/{own}" if parent_key else own


def label_names(route: Route) -> tuple[str, ...]:
    """The labels that any matcher of the tree looks at: two alerts alike in these take the same routes."""
    names = {matcher.name for matcher in route.matchers}
    return tuple(sorted(names.union(*map(label_names, route.routes))))
