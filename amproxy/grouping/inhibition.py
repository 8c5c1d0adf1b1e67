"""Inhibition as values: an alert that fires (the source) mutes others (the targets). Pure.

Sources are stored under keys made of the rule and the values of its `equal` labels, so that a
target is checked by one look-up. A key does not depend on the place of a rule in the file: what is
stored outlives a reload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from amproxy.config.structs import InhibitRule
from amproxy.grouping.partial_match import PartialIndex
from amproxy.labels.matchers import (
    LabelsTest,
    Matcher,
    compile_matchers,
    matcher_sort_key,
    rarest_equality,
)
from amproxy.model import Alert

# The key to store or look under, and whether the alert matches both sides of that rule.
SourceKey = tuple[str, bool]


class InhibitionSource(msgspec.Struct, frozen=True, gc=False):
    """An alert as it is stored under one of its source keys."""

    fingerprint: str
    two_sided: bool = False
    ends_ns: int = 0  # 0 = no end


class InhibitionIndex:
    """The rules of a file, each side found by one of its equality matchers.

    So an alert is held against the few rules that may match it, however many there are.
    """

    def __init__(self, rules: Iterable[InhibitRule]) -> None:
        self.rules = tuple(rules)
        self._sources = _RuleSide(rule.source_matchers for rule in self.rules)
        self._targets = _RuleSide(rule.target_matchers for rule in self.rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def source_keys(self, labels: Mapping[str, str]) -> list[SourceKey]:
        """The keys to store an alert under: one for each rule whose source side it matches."""
        return self._keys(self._sources, self._targets, labels)

    def target_keys(self, labels: Mapping[str, str]) -> list[SourceKey]:
        """The keys to look for sources under: one for each rule whose target side it matches."""
        return self._keys(self._targets, self._sources, labels)

    def target_rules(self, labels: Mapping[str, str]) -> list[tuple[InhibitRule, SourceKey]]:
        """The rules whose target side an alert matches, with the key of each."""
        found = [self.rules[place] for place in self._targets.matching(labels)]
        return list(zip(found, self.target_keys(labels), strict=True))

    def may_mute(self, common_labels: Mapping[str, str]) -> bool:
        """Decide whether a rule may mute an alert of which only some labels are known."""
        return any(True for _ in self._partial.possible(common_labels))

    @cached_property
    def _partial(self) -> PartialIndex[InhibitRule]:
        return PartialIndex((rule, rule.target_matchers) for rule in self.rules)

    def _keys(
        self, side: _RuleSide, other: _RuleSide, labels: Mapping[str, str]
    ) -> list[SourceKey]:
        return [
            (_rule_key(self.rules[place], labels), other.matches(place, labels))
            for place in side.matching(labels)
        ]


class _RuleSide:
    """The matchers of one side of all rules, by the place of each rule in the file."""

    def __init__(self, sides: Iterable[Sequence[Matcher]]) -> None:
        self._tests = list[LabelsTest]()
        # label name → value → places of the rules that need it; under "" those that need none
        self._places: dict[str, dict[str, list[int]]] = {}
        for place, matchers in enumerate(sides):
            self._tests.append(compile_matchers(matchers))
            name, value = rarest_equality(matchers, lambda *pair: len(self._found_by(*pair)))
            self._places.setdefault(name, {}).setdefault(value, []).append(place)

    def matches(self, place: int, labels: Mapping[str, str]) -> bool:
        return self._tests[place](labels)

    def matching(self, labels: Mapping[str, str]) -> list[int]:
        """The places of the rules whose side matches, in the order of the file."""
        return sorted(
            place
            for name in self._places
            for place in self._found_by(name, labels.get(name, "") if name else "")
            if self._tests[place](labels)
        )

    def _found_by(self, name: str, value: str) -> Sequence[int]:
        return self._places.get(name, {}).get(value, ())


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


def wanted_sources(rules: InhibitionIndex, alerts: Iterable[Alert]) -> dict[str, list[SourceKey]]:
    """Fingerprint → the keys to look for sources under, where a rule may mute the alert."""
    return {
        alert.fingerprint: found for alert in alerts if (found := rules.target_keys(alert.labels))
    }


def find_inhibited(
    wanted: Mapping[str, Sequence[SourceKey]], firing: Mapping[str, FiringSources]
) -> dict[str, list[str]]:
    """Fingerprint → that of the alert which mutes it.

    wanted: from `wanted_sources`; firing: the sources under its keys, summed up.
    """
    return {
        fingerprint: [source]
        for fingerprint, found in wanted.items()
        if (source := find_inhibiting_alert(found, firing))
    }


def inhibiting_rule(
    index: InhibitionIndex,
    labels: Mapping[str, str],
    sources: Mapping[str, Iterable[InhibitionSource]],
    now_ns: int,
) -> InhibitRule | None:
    """The rule by which an alert with these labels is muted, as `find_inhibited` decides it."""
    for rule, (key, two_sided) in index.target_rules(labels):
        firing = {key: firing_sources(sources.get(key, ()), now_ns)}
        if find_inhibiting_alert([(key, two_sided)], firing):
            return rule
    return None


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
