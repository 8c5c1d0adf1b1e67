"""`route`: the tree, first as written, then with everything inherited filled in."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from amproxy.config.read.conditions import match_re, matchers, together
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.quantities import boolean, duration, span
from amproxy.config.read.templates import is_go
from amproxy.config.read.values import classic_label_name, label_name, list_of, map_of, raw, reference, text
from amproxy.config.structs import Route
from amproxy.grouping.routes import route_key

ALL: Final = "..."  # group by all labels
_receiver: Final = reference("receivers", "receiver")
_intervals: Final = list_of(reference("time_intervals", "time interval"))


def _receiver_or_parents(at: Cursor) -> Any:
    return None if text(at) == "" else _receiver(at)


def _group_by(at: Cursor) -> list[str] | None:
    found: list[str] | None = list_of(label_name)(at)
    names = [label for label in found or () if label != ALL]
    if found and names and ALL in found:
        at.error(f"{ALL!r} means all labels, so it stands alone")
    for label in dict.fromkeys(label for label in names if names.count(label) > 1):
        at.error(f"the label {label!r} is given twice")
    return found


def read_route(at: Cursor) -> Section:
    """The keys of one route, its children below `routes`."""
    section = at.section(_TABLE)
    section.setdefault("continue", False)
    return section


_TABLE: Final[dict[str, Reader]] = {
    "receiver": _receiver_or_parents,
    "group_by": _group_by,
    "match": map_of(raw, key=classic_label_name),
    "match_re": match_re,
    "matchers": matchers,
    "mute_time_intervals": _intervals,
    "active_time_intervals": _intervals,
    "continue": boolean,
    "group_wait": duration,
    "group_interval": span,
    "repeat_interval": span,
    "labels": map_of(raw, key=label_name),
    "routes": list_of(read_route),
}


def check_root(root: Section) -> None:
    """What the root may not have: it takes every alert, always."""
    root.require("receiver", why="the root names the receiver of all alerts that no other route takes")
    for key in ("match", "match_re", "matchers"):
        if root.get(key):
            root.error(key, "the root route takes every alert, so it may not have matchers")
    for key in ("mute_time_intervals", "active_time_intervals"):
        if root.get(key):
            root.error(key, f"the root route may not have {key}")
    if root.get("continue"):
        root.error("continue", "the root route has no sibling to continue with")


def build_root(root: Section) -> Route:
    """The tree that the sections mean."""
    return _build(root, Route(receiver="", key=""))


def _build(section: Section, parent: Route) -> Route:
    conditions = together(section.get("match", {}), section.get("match_re", {}), section.get("matchers", ()))
    for label in (label for label, value in section.get("labels", {}).items() if is_go(value)):
        section.places["labels"].warn("undeliverable", f"the label {label!r} is a Go template, which amproxy does not run")
    group_by = section.get("group_by")
    names = parent.group_by if group_by is None else tuple(label for label in group_by if label != ALL)
    own = Route(
        receiver=section.get("receiver", parent.receiver),
        key=route_key(parent.key, conditions),
        matchers=conditions,
        group_by=names,
        group_by_all=parent.group_by_all if group_by is None else ALL in group_by,
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
    return msgspec.structs.replace(own, routes=tuple(_build(child, own) for child in section.get("routes", ())))
