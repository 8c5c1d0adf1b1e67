"""Inhibition: an alert that fires (the source) mutes others (the targets).

Sources are stored under keys made of the rule and the values of its `equal` labels, so that a target is checked by one
look-up. A key does not depend on the place of a rule in the file: what is stored outlives a reload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

import msgspec

from amproxy.config.structs import InhibitRule
from amproxy.labels.matchers import all_match, matcher_sort_key

SourceKey = tuple[str, bool]  # where to store or look; whether the alert matches both sides of that rule


class InhibitionSource(msgspec.Struct, frozen=True):
    """An alert as it is stored under one of its source keys."""

    fingerprint: str
    two_sided: bool = False
    ends_ns: int = 0  # 0 = no end


def source_keys(rules: Iterable[InhibitRule], labels: Mapping[str, str]) -> list[SourceKey]:
    """The keys under which an alert is stored as a source: one for each rule whose source side it matches."""
    return [(_rule_key(rule, labels), all_match(rule.target_matchers, labels)) for rule in rules if all_match(rule.source_matchers, labels)]


def target_keys(rules: Iterable[InhibitRule], labels: Mapping[str, str]) -> list[SourceKey]:
    """The keys under which to look for what mutes an alert: one for each rule whose target side it matches."""
    return [(_rule_key(rule, labels), all_match(rule.source_matchers, labels)) for rule in rules if all_match(rule.target_matchers, labels)]


def find_inhibiting_alert(keys: Iterable[SourceKey], sources: Mapping[str, Iterable[InhibitionSource]], now_ns: int) -> str | None:
    """The fingerprint of the alert that mutes a target now; None = nothing does.

    keys: the target's, from `target_keys`; sources: what was found under them. An alert that matches both sides of a rule
    is not muted by another that matches both, so never by itself. Of several sources the lowest fingerprint is named.
    """
    for key, two_sided in keys:
        muting = (source for source in sources.get(key, ()) if not (two_sided and source.two_sided) and _is_firing(source, now_ns))
        if found := min((source.fingerprint for source in muting), default=None):
            return found
    return None


def _is_firing(source: InhibitionSource, now_ns: int) -> bool:
    return not 0 < source.ends_ns <= now_ns


def _rule_key(rule: InhibitRule, labels: Mapping[str, str]) -> str:
    identity, equal = _rule_identity(rule)
    return _digest([identity, *(labels.get(name, "") for name in equal)])


@lru_cache(maxsize=1024)
def _rule_identity(rule: InhibitRule) -> tuple[str, tuple[str, ...]]:
    equal = tuple(sorted(set(rule.equal)))
    sides = [[str(matcher) for matcher in sorted(side, key=matcher_sort_key)] for side in (rule.source_matchers, rule.target_matchers)]
    return _digest([*sides, equal]), equal


def _digest(parts: object) -> str:
    return blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()  # JSON keeps the parts apart
