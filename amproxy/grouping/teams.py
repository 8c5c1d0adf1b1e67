"""Teams of alerts: those of the policies that an alert's routes lead to. Pure.

Of one alert that is certain. Of matchers, which many alerts may fit, every way through the route
tree is followed: what is certain about such alerts is kept, and all else is taken to be possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from amproxy.config.structs import Config, OncallSettings, Route
from amproxy.grouping.placement import match
from amproxy.labels.matchers import Matcher, Op, all_match

MAX_OUTCOMES: Final = 2000  # ways through the tree; beyond these all teams are taken to be possible
MAX_HELD: Final = 30  # matchers that are remembered to hold
MAX_ALTERNATIVES: Final = 20  # values that the regular expressions of one set of matchers list

_NEGATED: Final[dict[Op, Op]] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
# A regular expression that only lists values.
_ALTERNATIVES: Final = re.compile(r"[\w -]+(?:\|[\w -]+)*")

Teams = frozenset[str]


class _TooManyOutcomes(Exception):
    """The tree has more ways than are followed."""


class _Known(NamedTuple):
    """Knowledge of the labels of an alert: values, and matchers that hold besides."""

    values: Mapping[str, str]
    held: frozenset[Matcher]


def receiver_teams(config: Config, name: str) -> Teams:
    """The teams of the policies that a receiver begins; none where it only notifies."""
    receiver = config.receivers.get(name)
    policies = (
        config.policies.get(one.settings.escalation_policy)
        for one in (receiver.integrations if receiver else ())
        if isinstance(one.settings, OncallSettings)
    )
    return frozenset(policy.team for policy in policies if policy and policy.team)


def alert_teams(config: Config, labels: Mapping[str, str]) -> Teams:
    """The teams of an alert with these labels; none where it is everybody's."""
    return Teams().union(
        *(receiver_teams(config, route.receiver) for route in match(config.route, labels))
    )


def possible_teams(config: Config, matchers: Sequence[Matcher]) -> set[Teams]:
    """The teams of each kind of alert that may fit all of these matchers; empty = none can."""
    found: set[Teams] = set()
    try:
        for known in _alternatives(matchers):
            for _, receivers in _outcomes(config.route, known):
                found.add(Teams().union(*(receiver_teams(config, name) for name in receivers)))
    except _TooManyOutcomes:
        found = {Teams(), *(Teams({team}) for team in config.teams)}
    return found


def is_pinned(matchers: Iterable[Matcher]) -> bool:
    """True where a matcher names values of a label, so that the others do not fit."""
    return any(_listed_values(matcher) not in ((), ("",)) for matcher in matchers)


def _listed_values(matcher: Matcher) -> tuple[str, ...]:
    """The only values for which a matcher holds; () = they are not listed."""
    if matcher.op == "=":
        return (matcher.value,)
    if matcher.op == "=~" and _ALTERNATIVES.fullmatch(matcher.value):
        return tuple(matcher.value.split("|"))
    return ()


def _alternatives(matchers: Sequence[Matcher]) -> Iterator[_Known]:
    """The knowledge of an alert that fits, once for each combination of listed values."""
    known = [_Known({}, frozenset())]
    for matcher in matchers:
        values = _listed_values(matcher)
        if len(known) * len(values) > MAX_ALTERNATIVES:
            values = ()
        wanted = [Matcher(matcher.name, "=", value) for value in values] or [matcher]
        assumed = (_assume(one, [each]) for one in known for each in wanted)
        known = [one for one in assumed if one is not None]
    yield from known


def _outcomes(route: Route, known: _Known) -> list[tuple[_Known, frozenset[str]]]:
    """Each possible knowledge in the end, and the receivers that are notified then.

    It walks as `placement.match` does; where a route may match or not, it goes both ways.
    """
    open_ways: list[tuple[_Known, frozenset[str]]] = [(known, frozenset())]
    ended: list[tuple[_Known, frozenset[str]]] = []
    for child in route.routes:
        following: list[tuple[_Known, frozenset[str]]] = []
        for at, taken in open_ways:
            undecided = _undecided(child.matchers, at)
            if undecided is None:
                following.append((at, taken))
                continue
            if (inside := _assume(at, undecided)) is not None:
                ways = [(deeper, taken | got) for deeper, got in _outcomes(child, inside)]
                (following if child.continue_ else ended).extend(ways)
            # Of several, one at least does not hold: which one is not followed up. Nor is what a
            # long row of routes excludes, because each step would cost as much as the row.
            follow = len(undecided) == 1 and len(at.held) < MAX_HELD
            failed = [_negate(undecided[0])] if follow else []
            if undecided and (outside := _assume(at, failed)) is not None:
                following.append((outside, taken))
        open_ways = following
        if len(open_ways) + len(ended) > MAX_OUTCOMES:
            raise _TooManyOutcomes
    return [*ended, *((at, taken or frozenset({route.receiver})) for at, taken in open_ways)]


def _undecided(matchers: Iterable[Matcher], known: _Known) -> list[Matcher] | None:
    """The matchers of which it is not known that they hold; None = one surely does not."""
    found = []
    for matcher in matchers:
        if matcher.name in known.values:
            if not matcher.matches(known.values):
                return None
        elif _negate(matcher) in known.held:
            return None
        elif matcher not in known.held:
            found.append(matcher)
    return found


def _assume(known: _Known, matchers: Iterable[Matcher]) -> _Known | None:
    """The same with these matchers holding too; None where they cannot."""
    values, held = dict(known.values), set(known.held)
    for matcher in matchers:
        if matcher.op == "=":
            if values.setdefault(matcher.name, matcher.value) != matcher.value:
                return None
        else:
            held.add(matcher)
    decided = [matcher for matcher in held if matcher.name in values]
    if not all_match(decided, values):
        return None
    return _Known(values, frozenset(held.difference(decided)))


def _negate(matcher: Matcher) -> Matcher:
    return Matcher(matcher.name, _NEGATED[matcher.op], matcher.value)
