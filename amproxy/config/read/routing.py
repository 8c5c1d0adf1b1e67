"""Alertmanager's routing: `route`, `receivers`, `inhibit_rules`, `time_intervals`, and matchers.

Each is read as written first, which /api/v2/status shows, and then built as a struct: of routes,
with everything inherited filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.receivers import (
    build_integration,
    check_template,
    integration_kinds,
    read_integration,
    read_oncall_integration,
)
from amproxy.config.read.values import (
    boolean,
    classic_label_name,
    duration,
    interval_names,
    label_name,
    list_of,
    literal,
    map_of,
    name,
    positive_duration,
    raw,
    reference,
    text,
)
from amproxy.config.structs import InhibitRule, Integration, Receiver, Route
from amproxy.config.yaml import MappingNode, SequenceNode
from amproxy.labels.intervals import BadInterval, TimeInterval, parse_time_interval
from amproxy.labels.matchers import BadMatcher, Matcher, matcher_sort_key, parse_matchers
from amproxy.text import Phrase
from amproxy.text.problems import matcher_fault

GROUP_BY_ALL: Final = "..."  # group by all labels
_receiver_name: Final = reference("receivers", "problem.no_receiver")


def read_matchers(at: Cursor) -> list[Matcher]:
    """A list of texts with one or more matchers each."""
    found = []
    for item in at.items():
        line = raw(item)
        if line is None:
            continue
        try:
            found += parse_matchers(line)
        except BadMatcher as error:
            item.error("problem.no_matcher", reason=matcher_fault(error))
    return sorted(found, key=matcher_sort_key)


def read_match_re(at: Cursor) -> dict[str, str]:
    """Label → regular expression, as written."""
    found = {}
    for key, place, value in at.pairs():
        if classic_label_name(place) is None:
            continue
        if value.null:
            value.error("problem.missing_regex", label=key)
            continue
        pattern = raw(value)
        if pattern is None:
            continue
        try:
            _anchored_regex_matcher(key, pattern)
        except BadMatcher as error:
            value.error("problem.bad_regex", reason=matcher_fault(error))
        else:
            found[key] = pattern
    return found


def _anchored_regex_matcher(name: str, pattern: str) -> Matcher:
    # The anchors show in group keys, as Alertmanager's do.
    return Matcher(name, "=~", f"^(?:{pattern})$")


def combine_matchers(
    equal: Mapping[str, Any], regexes: Mapping[str, Any], newer: Iterable[Matcher]
) -> tuple[Matcher, ...]:
    """The three forms of conditions as one list of matchers, in Alertmanager's order."""
    found = [Matcher(name, "=", value) for name, value in equal.items()]
    found += [_anchored_regex_matcher(name, pattern) for name, pattern in regexes.items()]
    return tuple(sorted((*found, *newer), key=matcher_sort_key))


def _receiver_name_or_inherited(at: Cursor) -> Any:
    # An empty name means the parent's, as in Alertmanager.
    return None if text(at) == "" else _receiver_name(at)


def _read_group_by(at: Cursor) -> list[str] | None:
    found: list[str] | None = list_of(label_name)(at)
    names = [label for label in found or () if label != GROUP_BY_ALL]
    if found and names and GROUP_BY_ALL in found:
        at.error("problem.group_by_all", word=GROUP_BY_ALL)
    for label in [label for label, number in Counter(names).items() if number > 1]:
        at.error("problem.repeated_label", label=label)
    return found


def read_route(at: Cursor) -> Section:
    """The keys of one route, its children below `routes`."""
    section = at.section(_ROUTE_KEYS)
    section.setdefault("continue", False)
    return section


_ROUTE_KEYS: Final[dict[str, Reader]] = {
    "receiver": _receiver_name_or_inherited,
    "group_by": _read_group_by,
    "match": map_of(raw, key=classic_label_name),
    "match_re": read_match_re,
    "matchers": read_matchers,
    "mute_time_intervals": interval_names,
    "active_time_intervals": interval_names,
    "continue": boolean,
    "group_wait": duration,
    "group_interval": positive_duration,
    "repeat_interval": positive_duration,
    "labels": map_of(raw, key=label_name),
    "routes": list_of(read_route),
}


def check_root_route(root: Section) -> None:
    """Record errors for keys that the root may not have, because it takes every alert, always."""
    root.require("receiver", why=Phrase("problem.why_root_receiver"))
    for key in ("match", "match_re", "matchers"):
        if root.get(key):
            root.error(key, "problem.root_matchers")
    for key in ("mute_time_intervals", "active_time_intervals"):
        if root.get(key):
            root.error(key, "problem.root_key", key=key)
    if root.get("continue"):
        root.error("continue", "problem.root_continue")


def build_root_route(root: Section) -> Route:
    """The struct of the whole tree."""
    return _build_route(root, Route(receiver="", key=""), Counter())


def _build_route(section: Section, parent: Route, seen: Counter[tuple[str, str]]) -> Route:
    """seen: (receiver, key) → how many routes before this one have both."""
    conditions = combine_matchers(
        section.get("match", {}), section.get("match_re", {}), section.get("matchers", ())
    )
    check_template(section, "labels", section.get("labels", {}))
    group_by = section.get("group_by")
    names, group_all = parent.group_by, parent.group_by_all
    if group_by is not None:
        names = tuple(label for label in group_by if label != GROUP_BY_ALL)
        group_all = GROUP_BY_ALL in group_by
    receiver, key = section.get("receiver", parent.receiver), route_key(parent.key, conditions)
    twin = seen[receiver, key]
    seen[receiver, key] += 1
    own = Route(
        receiver=receiver,
        key=key,
        twin=twin,
        matchers=conditions,
        group_by=names,
        group_by_all=group_all,
        group_by_given=parent.group_by_given or group_by is not None,
        group_wait=float(section.get("group_wait", parent.group_wait)),
        group_interval=float(section.get("group_interval", parent.group_interval)),
        repeat_interval=float(section.get("repeat_interval", parent.repeat_interval)),
        continue_=section["continue"],
        mute_time_intervals=tuple(section.get("mute_time_intervals", ())),
        active_time_intervals=tuple(section.get("active_time_intervals", ())),
        labels={**parent.labels, **section.get("labels", {})},
        place=section.cursor.place,
    )
    return msgspec.structs.replace(
        own, routes=tuple(_build_route(child, own, seen) for child in section.get("routes", ()))
    )


def route_key(parent_key: str, matchers: Iterable[Matcher]) -> str:
    """Alertmanager's key of a route below the one with `parent_key`.

    The root has the parent_key "" and the key `{}`.
    """
    own = "{" + ",".join(map(str, sorted(matchers, key=matcher_sort_key))) + "}"
    return f"{parent_key}/{own}" if parent_key else own


def read_receivers(at: Cursor, defaults: Section) -> list[Section]:
    """The keys of each receiver, its integrations filled in from `global`."""
    table: dict[str, Reader] = {
        "name": name,
        "labels": map_of(raw, key=label_name),
        "oncall_configs": lambda at: list(_read_oncall_configs(at)),
    }
    for kind in integration_kinds():
        table[f"{kind}_configs"] = list_of(partial(read_integration, kind, defaults))
    found = []
    for item in at.items(nulls=True):
        section = item.section(table)
        section.require("name")
        if section.get("labels", {}).get("name", section.get("name")) != section.get("name"):
            section.error("labels", "problem.receiver_name_label")
        found.append(section)
    return found


def _read_oncall_configs(at: Cursor) -> Iterator[Integration]:
    for index, item in enumerate(at.items()):
        found = read_oncall_integration(item, index)
        if found is not None:
            yield found


def build_receiver(section: Section) -> Receiver:
    """The struct of one receiver: on-call integrations first, then by Alertmanager's order."""
    integrations: list[Any] = list(section.get("oncall_configs", ()))
    for kind in integration_kinds():
        integrations += [
            build_integration(kind, index, entry)
            for index, entry in enumerate(section.get(f"{kind}_configs", ()))
        ]
    return Receiver(
        name=section.get("name", ""),
        integrations=tuple(integrations),
        labels=section.get("labels", {}),
        place=section.cursor.place,
    )


_INHIBIT_MATCHER_KEYS: Final[dict[str, Reader]] = {
    f"{side}_{key}": reader
    for side in ("source", "target")
    for key, reader in (
        ("match", map_of(raw, key=classic_label_name)),
        ("match_re", read_match_re),
        ("matchers", read_matchers),
    )
}
_INHIBIT_RULE_KEYS: Final[dict[str, Reader]] = {
    "name": text,
    **_INHIBIT_MATCHER_KEYS,
    "equal": list_of(label_name),
}


def read_inhibit_rules(at: Cursor) -> list[Section]:
    """The keys of each rule. An empty entry does nothing, as in Alertmanager."""
    return [item.section(_INHIBIT_RULE_KEYS) for item in at.items(nulls=True)]


def build_inhibit_rule(section: Section) -> InhibitRule:
    source, target = (
        combine_matchers(
            section.get(f"{side}_match", {}),
            section.get(f"{side}_match_re", {}),
            section.get(f"{side}_matchers", ()),
        )
        for side in ("source", "target")
    )
    return InhibitRule(
        name=section.get("name", ""),
        source_matchers=source,
        target_matchers=target,
        equal=tuple(section.get("equal", ())),
        place=section.cursor.place,
    )


def read_time_intervals(at: Cursor) -> list[Section]:
    """The keys of each interval, with the struct in the place of `time_intervals`."""
    found = []
    for item in at.items(nulls=True):
        section = item.section({"name": name, "time_intervals": lambda at: literal(at, text)})
        section.require("name")
        try:
            parsed = parse_time_interval(section.get("name", ""), section.get("time_intervals"))
        except BadInterval as error:
            at_fault = _cursor_below(section.cursors["time_intervals"], error.path)
            at_fault.error(f"problem.interval_{error.fault}", **error.values)
        else:
            found.append(section)
            section["time_intervals"] = parsed
    return found


def _cursor_below(at: Cursor, path: tuple[int | str, ...]) -> Cursor:
    """The cursor at the end of a path, or as far along it as the file goes."""
    for key in path:
        node = at.node
        if isinstance(key, int) and isinstance(node, SequenceNode) and key < len(node.items):
            at = at.child(node.items[key], key)
        elif isinstance(key, str) and isinstance(node, MappingNode) and key in node.pairs:
            at = at.child(node.pairs[key][1], key)
        else:
            break
    return at


def build_time_intervals(sections: list[Section]) -> dict[str, TimeInterval]:
    """The structs by name."""
    return {section["time_intervals"].name: section["time_intervals"] for section in sections}
