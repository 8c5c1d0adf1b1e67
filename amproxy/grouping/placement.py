"""The place of an alert: its routes with the reason, its fingerprint, its groups; cached."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping

import msgspec

from amproxy.config.structs import Config, Route
from amproxy.grouping.inhibition import InhibitionIndex, SourceKey
from amproxy.labels.fingerprint import fingerprint
from amproxy.labels.matchers import Matcher, all_match, quote
from amproxy.model import Group

MAX_CACHED_LABEL_SETS = 250_000  # label sets; then the caches are emptied
HEARTBEAT_MISSING = "HeartbeatMissing"  # alertname of the alert that a heartbeat is missing


class RouteVisit(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one visited route.

    Siblings after a match without `continue` are not visited, so they do not appear.
    """

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
    """Walk as `match` does; return every visited route with the matcher at which it failed."""
    failed = next((matcher for matcher in route.matchers if not matcher.matches(labels)), None)
    if failed is not None:
        return RouteVisit(route=route, failed=failed)
    children: list[RouteVisit] = []
    for child in route.routes:
        children.append(explain(child, labels))
        if children[-1].matched and not child.continue_:
            break
    return RouteVisit(
        route=route, taken=not any(child.matched for child in children), children=tuple(children)
    )


def select_group_labels(route: Route, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels by which the route groups, as far as the alert has them, sorted by name."""
    names = labels.keys() if route.group_by_all else labels.keys() & set(route.group_by)
    return {name: labels[name] for name in sorted(names)}


def group_key(route: Route, group_labels: Mapping[str, str]) -> str:
    """Alertmanager's key of a group: `{}/{team="a"}:{alertname="Down", cluster="eu1"}`."""
    pairs = ", ".join(f"{name}={quote(value)}" for name, value in sorted(group_labels.items()))
    return f"{route.key}:{{{pairs}}}"


def label_names(route: Route) -> tuple[str, ...]:
    """The labels in any matcher of the tree: two alerts alike in these take the same routes."""
    names = {matcher.name for matcher in route.matchers}
    return tuple(sorted(names.union(*map(label_names, route.routes))))


class SenderGroup(msgspec.Struct, frozen=True):
    """The group that a webhook's sender put its alerts into."""

    source: str
    key: str
    labels: dict[str, str]


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The place of an alert. One that matches a heartbeat has no groups: it goes no further."""

    fingerprint: str
    groups: tuple[Group, ...]
    sources: tuple[SourceKey, ...] = ()  # inhibition rules whose source side it matches
    heartbeats: tuple[str, ...] = ()  # names of heartbeats whose matchers it matches


class Placer:
    """The routes, groups and heartbeats of one configuration; a reload makes a new one.

    Every push asks for every alert, and most alerts were there before: hence the caches.
    """

    def __init__(self, config: Config) -> None:
        self._route, self.inhibition = config.route, InhibitionIndex(config.inhibit_rules)
        # those that alerts may call; the others have only their address
        self.alert_heartbeats = tuple(one for one in config.heartbeats.values() if one.matchers)
        self._known: dict[int, Placement] = {}
        self._groups: dict[object, Group] = {}
        self._alone: dict[str, tuple[Group]] = {}  # group id → it alone: most alerts have one
        self._routing_labels = label_names(config.route)
        self._matched: dict[tuple[str, ...], list[Route]] = {}

    def known(self, raw: bytes) -> Placement | None:
        """The cached placement for the raw JSON of a label set; None = it is not cached."""
        return self._known.get(_digest(raw))

    def place(self, labels: dict[str, str], raw: bytes | None = None) -> Placement:
        """Place an alert by the routes alone; with `raw` the placement is cached."""
        placement = self._heartbeats(labels) or Placement(
            fingerprint(labels), self._groups_of(labels, None), self._sources(labels)
        )
        if raw is not None:
            if len(self._known) >= MAX_CACHED_LABEL_SETS:
                self._known.clear()
                self._groups.clear()
                self._alone.clear()
                self._matched.clear()
            self._known[_digest(raw)] = placement
        return placement

    def place_in(self, labels: dict[str, str], given: str, sender: SenderGroup) -> Placement:
        """Place a webhook's alert: where no route says group_by, it stays in its sender's group.

        given: the sender's fingerprint, "" = amproxy's own.
        """
        return self._heartbeats(labels) or Placement(
            given or fingerprint(labels), self._groups_of(labels, sender), self._sources(labels)
        )

    def _heartbeats(self, labels: dict[str, str]) -> Placement | None:
        """The placement of an alert that calls a heartbeat; None = it calls none."""
        # An alert that a heartbeat is missing must never call it, whatever the matchers are.
        if not self.alert_heartbeats or labels.get("alertname") == HEARTBEAT_MISSING:
            return None
        names = tuple(one.name for one in self.alert_heartbeats if all_match(one.matchers, labels))
        return Placement(fingerprint(labels), (), (), names) if names else None

    def _sources(self, labels: dict[str, str]) -> tuple[SourceKey, ...]:
        return tuple(self.inhibition.source_keys(labels)) if self.inhibition else ()

    def _groups_of(self, labels: dict[str, str], sender: SenderGroup | None) -> tuple[Group, ...]:
        found = {}
        for route in self._match(labels):
            group = self._group(route, labels, sender)
            found[group.id] = group
        if len(found) == 1:
            return self._alone.setdefault(group.id, (group,))
        return tuple(found.values())

    def _match(self, labels: dict[str, str]) -> list[Route]:
        """The routes of an alert, cached by the labels that routes match."""
        key = tuple([labels.get(name, "") for name in self._routing_labels])
        found = self._matched.get(key)
        if found is None:
            if len(self._matched) >= MAX_CACHED_LABEL_SETS:
                self._matched.clear()
            found = self._matched[key] = match(self._route, labels)
        return found

    def _group(self, route: Route, labels: dict[str, str], sender: SenderGroup | None) -> Group:
        if route.group_by_given:
            sender = None
        if sender is not None:
            key: object = (id(route), sender.source, sender.key)
        elif route.group_by_all:
            key = (id(route), frozenset(labels.items()))
        else:
            key = (id(route), *[labels.get(name) for name in route.group_by])
        known = self._groups.get(key)
        if known is None:
            if len(self._groups) >= MAX_CACHED_LABEL_SETS:
                self._groups.clear()
                self._alone.clear()
            known = self._groups[key] = _make_group(route, labels, sender)
        return known


def _digest(raw: bytes) -> int:
    """96 bits that stand for a label set, which is five times as large.

    The first 64 are the interpreter's hash, keyed at random in each process, so that nobody can
    look for two label sets that share it.
    """
    return hash(raw) << 32 | zlib.crc32(raw)


def _make_group(route: Route, labels: dict[str, str], sender: SenderGroup | None) -> Group:
    if sender is not None:
        group_labels, key = sender.labels, f"{route.key}:{sender.source}:{sender.key}"
    else:
        group_labels = select_group_labels(route, labels)
        key = group_key(route, group_labels)
    identity = f"{route.receiver}\0{key}"
    if route.twin:  # the first keeps the id that stored groups have
        identity += f"\0{route.twin}"
    return Group(
        id=hashlib.blake2b(identity.encode(), digest_size=10).hexdigest(),
        key=key,
        receiver=route.receiver,
        route_key=route.key,
        twin=route.twin,
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
