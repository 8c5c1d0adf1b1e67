"""Readers of conditions on labels: matchers, and the older match, match_re, source_match …"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from amproxy.config.read.cursor import Cursor
from amproxy.config.read.values import classic_label_name, raw
from amproxy.labels.matchers import BadMatcher, Matcher, parse_matchers, sort_key


def matchers(at: Cursor) -> list[Matcher]:
    """A list of texts with one or more matchers each."""
    found = []
    for item in at.items():
        line = raw(item)
        if line is None:
            continue
        try:
            found += parse_matchers(line)
        except BadMatcher as error:
            item.error(f"not a matcher: {error}")
    return sorted(found, key=sort_key)


def match_re(at: Cursor) -> dict[str, str]:
    """Label → regular expression, as written."""
    found = {}
    for key, place, value in at.pairs():
        if classic_label_name(place) is None:
            continue
        if value.null:
            value.error(f"the regular expression for {key!r} is missing")
            continue
        pattern = raw(value)
        if pattern is None:
            continue
        try:
            _anchored(key, pattern)
        except BadMatcher as error:
            value.error(str(error))
        else:
            found[key] = pattern
    return found


def _anchored(name: str, pattern: str) -> Matcher:
    return Matcher(name, "=~", f"^(?:{pattern})$")  # the anchors show in group keys, as Alertmanager's do


def together(equal: Mapping[str, Any], regexes: Mapping[str, Any], newer: Iterable[Matcher]) -> tuple[Matcher, ...]:
    """The three ways to write conditions as one list of matchers, in Alertmanager's order."""
    found = [Matcher(name, "=", value) for name, value in equal.items()]
    found += [_anchored(name, pattern) for name, pattern in regexes.items()]
    return tuple(sorted((*found, *newer), key=sort_key))
