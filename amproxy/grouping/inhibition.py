"""Inhibition as values: an alert that fires (the source) mutes others (the targets). Pure.

Sources are stored under keys made of the rule and the values of its `equal` labels, so that a
target is checked by one look-up. A key does not depend on the place of a rule in the file: what is
stored outlives a reload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from amproxy.config.structs import InhibitRule
from amproxy.labels.matchers import all_match, matcher_sort_key
from amproxy.model import Alert

# The key to store or look under, and whether the alert matches both sides of that rule.
SourceKey = tuple[str, bool]


class InhibitionSource(msgspec.Struct, frozen=True, gc=False):
    """An alert as it is stored under one of its source keys."""

    fingerprint: str
    two_sided: bool = False
    ends_ns: int = 0  # 0 = no end


def source_keys(rules: Iterable[InhibitRule], labels: Mapping[str, str]) -> list[SourceKey]:
    """The keys to store an alert under: one for each rule whose source side it matches."""
    return [
        (_rule_key(rule, labels), all_match(rule.target_matchers, labels))
        for rule in rules
        if all_match(rule.source_matchers, labels)
    ]


def target_keys(rules: Iterable[InhibitRule], labels: Mapping[str, str]) -> list[SourceKey]:
    """The keys to look for sources under: one for each rule whose target side the alert matches."""
    return [
        (_rule_key(rule, labels), all_match(rule.source_matchers, labels))
        for rule in rules
        if all_match(rule.target_matchers, labels)
    ]


class FiringSources(NamedTuple):
    """The lowest fingerprints of the sources under one key that fire; "" = there is none."""

    any: str
    one_sided: str  # of those that match the source side of the rule alone


_NO_SOURCES = FiringSources("", "")


def firing_sources(sources: Iterable[InhibitionSource], now_ns: int) -> FiringSources:
    """Sum up once what every target asks for: there may be thousands of both."""
    firing = [source for source in sources if _is_firing(source, now_ns)]
    one_sided = (source.fingerprint for source in firing if not source.two_sided)
    return FiringSources(
        min((source.fingerprint for source in firing), default=""), min(one_sided, default="")
    )


def find_inhibiting_alert(
    keys: Iterable[SourceKey], sources: Mapping[str, FiringSources]
) -> str | None:
    """The fingerprint of the alert that mutes a target now; None = nothing does.

    keys: the target's, from `target_keys`; sources: those stored under them. An alert that matches
    both sides of a rule is not muted by another that matches both, so never by itself. Of several
    sources the lowest fingerprint is named.
    """
    for key, two_sided in keys:
        known = sources.get(key, _NO_SOURCES)
        if found := known.one_sided if two_sided else known.any:
            return found
    return None


def stored_sources(
    found: Iterable[SourceKey], fingerprint: str, ends_ns: int, lapses_ns: int
) -> Iterator[tuple[str, InhibitionSource]]:
    """Each key to store an alert under, with its value. found: from `source_keys`."""
    for key, two_sided in found:
        yield key, InhibitionSource(fingerprint, two_sided, ends_ns or lapses_ns)


def wanted_sources(
    rules: Iterable[InhibitRule], alerts: Iterable[Alert]
) -> dict[str, list[SourceKey]]:
    """Fingerprint → the keys to look for sources under, where a rule may mute the alert."""
    return {
        alert.fingerprint: found for alert in alerts if (found := target_keys(rules, alert.labels))
    }


def find_inhibited(
    wanted: Mapping[str, Sequence[SourceKey]],
    sources: Mapping[str, Iterable[InhibitionSource]],
    now_ns: int,
) -> dict[str, list[str]]:
    """Fingerprint → that of the alert which mutes it.

    wanted: from `wanted_sources`; sources: those stored under its keys.
    """
    firing = {key: firing_sources(found, now_ns) for key, found in sources.items()}
    return {
        fingerprint: [source]
        for fingerprint, found in wanted.items()
        if (source := find_inhibiting_alert(found, firing))
    }


def _is_firing(source: InhibitionSource, now_ns: int) -> bool:
    return not 0 < source.ends_ns <= now_ns


def _rule_key(rule: InhibitRule, labels: Mapping[str, str]) -> str:
    identity, equal = _rule_identity(rule)
    return _digest([identity, *(labels.get(name, "") for name in equal)])


@lru_cache(maxsize=1024)
def _rule_identity(rule: InhibitRule) -> tuple[str, tuple[str, ...]]:
    equal = tuple(sorted(set(rule.equal)))
    sides = [
        [str(matcher) for matcher in sorted(side, key=matcher_sort_key)]
        for side in (rule.source_matchers, rule.target_matchers)
    ]
    return _digest([*sides, equal]), equal


def _digest(values: object) -> str:
    # JSON keeps the values apart: two that are joined otherwise must not have one digest
    return blake2b(msgspec.json.encode(values), digest_size=16).hexdigest()
