"""The route tree: which routes an alert takes, in which group it lands, and why.

Where an alert belongs: its fingerprint and its groups, remembered per label set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from amproxy.config.structs import Config, Route
from amproxy.grouping.inhibition import SourceKey, source_keys
from amproxy.labels.fingerprint import fingerprint
from amproxy.labels.matchers import Matcher, all_match, matcher_sort_key, quote
from amproxy.model import Group


class RouteVisit(msgspec.Struct, frozen=True, kw_only=True):
    """What happened at one route. Siblings after a match without `continue` are not visited, so they do not appear."""

    route: Route
    failed: Matcher | None = None  # the first matcher that does not hold; None = all hold
    taken: bool = False  # the alert lands here: it matched, and none of its children did
    children: tuple[RouteVisit, ...] = ()

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


def explain(route: Route, labels: Mapping[str, str]) -> RouteVisit:
    """The same walk as `match`, with every visited route and the matcher at which it failed."""
    failed = next((matcher for matcher in route.matchers if not matcher.matches(labels)), None)
    if failed is not None:
        return RouteVisit(route=route, failed=failed)
    children: list[RouteVisit] = []
    for child in route.routes:
        children.append(explain(child, labels))
        if children[-1].matched and not child.continue_:
            break
    return RouteVisit(route=route, taken=not any(child.matched for child in children), children=tuple(children))


def select_group_labels(route: Route, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels by which the route groups, as far as the alert has them, sorted by name."""
    names = labels.keys() if route.group_by_all else labels.keys() & set(route.group_by)
    return {name: labels[name] for name in sorted(names)}


def group_key(route: Route, group_labels: Mapping[str, str]) -> str:
    """Alertmanager's key of a group: `{}/{team="a"}:{alertname="Down", cluster="eu1"}`."""
    return f"{route.key}:{{{', '.join(f'{name}={quote(value)}' for name, value in sorted(group_labels.items()))}}}"


def route_key(parent_key: str, matchers: Iterable[Matcher]) -> str:
    """Alertmanager's key of a route below the one with `parent_key`; the root has parent_key "" and the key `{}`."""
    own = "{" + ",".join(map(str, sorted(matchers, key=matcher_sort_key))) + "}"
    return f"{parent_key}/{own}" if parent_key else own


def label_names(route: Route) -> tuple[str, ...]:
    """The labels that any matcher of the tree looks at: two alerts alike in these take the same routes."""
    names = {matcher.name for matcher in route.matchers}
    return tuple(sorted(names.union(*map(label_names, route.routes))))


MAX_CACHED_LABEL_SETS = 250_000  # label sets; then everything is forgotten and learnt anew

HEARTBEAT_MISSING = "HeartbeatMissing"  # alertname of the alert that a heartbeat stays away


class SenderGroup(msgspec.Struct, frozen=True):
    """The group that a webhook's sender put its alerts into."""

    source: str
    key: str
    labels: dict[str, str]


class Placement(msgspec.Struct, frozen=True):
    fingerprint: str
    groups: tuple[Group, ...]
    sources: tuple[SourceKey, ...] = ()  # inhibition rules whose source side it matches
    beats: tuple[str, ...] = ()  # heartbeats whose matchers it matches; then it has no groups, because it goes no further


class Placer:
    """Of one configuration; a reload makes a new one."""

    def __init__(self, config: Config) -> None:
        self._route, self._rules = config.route, config.inhibit_rules
        self.beating = tuple(heartbeat for heartbeat in config.heartbeats.values() if heartbeat.matchers)  # by alerts
        self._known: dict[bytes, Placement] = {}
        self._groups: dict[object, Group] = {}
        self._used = label_names(config.route)
        self._matched: dict[tuple[str, ...], list[Route]] = {}

    def known(self, raw: bytes) -> Placement | None:
        """What is remembered for the raw JSON of a label set."""
        return self._known.get(raw)

    def place(self, labels: dict[str, str], raw: bytes | None = None) -> Placement:
        """Place an alert by the routes alone; with `raw` the answer is remembered."""
        placement = self._beat(labels) or Placement(fingerprint(labels), self._groups_of(labels, None), self._sources(labels))
        if raw is not None:
            if len(self._known) >= MAX_CACHED_LABEL_SETS:
                self._known.clear()
                self._groups.clear()
                self._matched.clear()
            self._known[raw] = placement
        return placement

    def place_in(self, labels: dict[str, str], given: str, sender: SenderGroup) -> Placement:
        """Place a webhook's alert: where no route says group_by, it stays in its sender's group.

        given: the sender's fingerprint, "" = ours.
        """
        return self._beat(labels) or Placement(given or fingerprint(labels), self._groups_of(labels, sender), self._sources(labels))

    def _beat(self, labels: dict[str, str]) -> Placement | None:
        """Where an alert that is a beat belongs: nowhere. That a heartbeat is missing is no beat, whatever the matchers say."""
        if not self.beating or labels.get("alertname") == HEARTBEAT_MISSING:
            return None
        beats = tuple(heartbeat.name for heartbeat in self.beating if all_match(heartbeat.matchers, labels))
        return Placement(fingerprint(labels), (), (), beats) if beats else None

    def _sources(self, labels: dict[str, str]) -> tuple[SourceKey, ...]:
        return tuple(source_keys(self._rules, labels)) if self._rules else ()

    def _groups_of(self, labels: dict[str, str], sender: SenderGroup | None) -> tuple[Group, ...]:
        found = {}
        for route in self._match(labels):
            group = self._group(route, labels, sender)
            found[group.id] = group
        return tuple(found.values())

    def _match(self, labels: dict[str, str]) -> list[Route]:
        """The routes of an alert, remembered by the labels that routes look at."""
        seen = tuple([labels.get(name, "") for name in self._used])
        found = self._matched.get(seen)
        if found is None:
            if len(self._matched) >= MAX_CACHED_LABEL_SETS:
                self._matched.clear()
            found = self._matched[seen] = match(self._route, labels)
        return found

    def _group(self, route: Route, labels: dict[str, str], sender: SenderGroup | None) -> Group:
        kept = sender if not route.group_by_given else None
        if kept is not None:
            remembered: object = (id(route), kept.source, kept.key)
        elif route.group_by_all:
            remembered = (id(route), frozenset(labels.items()))
        else:
            remembered = (id(route), *[labels.get(name) for name in route.group_by])
        known = self._groups.get(remembered)
        if known is None:
            if len(self._groups) >= MAX_CACHED_LABEL_SETS:
                self._groups.clear()
            known = self._groups[remembered] = _make_group(route, labels, kept)
        return known


def _make_group(route: Route, labels: dict[str, str], sender: SenderGroup | None) -> Group:
    if sender is not None:
        group_labels, key = sender.labels, f"{route.key}:{sender.source}:{sender.key}"
    else:
        group_labels = select_group_labels(route, labels)
        key = group_key(route, group_labels)
    return Group(
        id=hashlib.blake2b(f"{route.receiver}\0{key}".encode(), digest_size=10).hexdigest(),
        key=key,
        receiver=route.receiver,
        route_key=route.key,
        labels=group_labels,
        group_wait=route.group_wait,
        group_interval=route.group_interval,
        repeat_interval=route.repeat_interval,
        mute_time_intervals=route.mute_time_intervals,
        active_time_intervals=route.active_time_intervals,
        route_labels=route.labels,
        source=sender.source if sender else "",
        sender_key=sender.key if sender else "",
    )
