"""Alertmanager's part of the file: read by its own grammar, then made into structs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from amproxy.config.read.conditions import match_re, matchers, together
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.receivers import KINDS, integration, oncall, read_integration
from amproxy.config.read.values import classic_label_name, label_name, list_of, literal, map_of, name, raw, text
from amproxy.config.structs import InhibitRule, Integration, Receiver
from amproxy.config.yaml import Mapping, Sequence
from amproxy.labels.interval_grammar import BadInterval
from amproxy.labels.intervals import TimeInterval, parse_time_interval

_CONDITIONS: Final[dict[str, Reader]] = {
    f"{side}_{key}": reader
    for side in ("source", "target")
    for key, reader in (("match", map_of(raw, key=classic_label_name)), ("match_re", match_re), ("matchers", matchers))
}
_INHIBIT: Final[dict[str, Reader]] = {"name": text, **_CONDITIONS, "equal": list_of(label_name)}


def read_inhibit_rules(at: Cursor) -> list[Section]:
    """Alertmanager takes an empty entry and lets it do nothing."""
    return [item.section(_INHIBIT) for item in at.items(nulls=True)]


def inhibit_rule(section: Section) -> InhibitRule:
    source, target = (
        together(section.get(f"{side}_match", {}), section.get(f"{side}_match_re", {}), section.get(f"{side}_matchers", ()))
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
    """Named intervals: below `time_intervals` stands the struct."""
    found = []
    for item in at.items(nulls=True):
        section = item.section({"name": name, "time_intervals": lambda at: literal(at, text)})
        section.require("name")
        try:
            parsed = parse_time_interval(section.get("name", ""), section.get("time_intervals"))
        except BadInterval as error:
            _below(section.places["time_intervals"], error.path).error(str(error))
        else:
            found.append(section)
            section["time_intervals"] = parsed
    return found


def _below(at: Cursor, path: tuple[int | str, ...]) -> Cursor:
    """The cursor of the part to which a path leads, or of the last part of it that is there."""
    for part in path:
        node = at.node
        if isinstance(part, int) and isinstance(node, Sequence) and part < len(node.items):
            at = at.to(node.items[part], part)
        elif isinstance(part, str) and isinstance(node, Mapping) and part in node.pairs:
            at = at.to(node.pairs[part][1], part)
        else:
            break
    return at


def time_intervals(sections: list[Section]) -> dict[str, TimeInterval]:
    """The structs by name."""
    return {section["time_intervals"].name: section["time_intervals"] for section in sections}


def read_receivers(at: Cursor, defaults: Section) -> list[Section]:
    """The keys of each receiver, its integrations filled in from `global`."""
    table: dict[str, Reader] = {"name": name, "labels": map_of(raw, key=label_name), "oncall_configs": lambda at: list(_oncalls(at))}
    for kind in KINDS:
        table[f"{kind}_configs"] = list_of(partial(read_integration, kind, defaults))
    found = []
    for item in at.items(nulls=True):
        section = item.section(table)
        section.require("name")
        if section.get("labels", {}).get("name", section.get("name")) != section.get("name"):
            section.error("labels", "the label `name` of a receiver must be its name")
        found.append(section)
    return found


def _oncalls(at: Cursor) -> Iterator[Integration]:
    for index, item in enumerate(at.items()):
        found = oncall(item, index)
        if found is not None:
            yield found


def receiver(section: Section) -> Receiver:
    """The struct of one receiver, its integrations in Alertmanager's order of kinds, on-call ones first."""
    integrations: list[Any] = list(section.get("oncall_configs", ()))
    for kind in KINDS:
        integrations += [integration(kind, index, entry) for index, entry in enumerate(section.get(f"{kind}_configs", ()))]
    return Receiver(
        name=section.get("name", ""),
        integrations=tuple(integrations),
        labels=section.get("labels", {}),
        place=section.cursor.place,
    )
