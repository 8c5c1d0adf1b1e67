"""The route tree: Alertmanager's own table, and properties of matching against an oracle of another make."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.loader import load_text
from amproxy.config.read.routing import route_key
from amproxy.config.structs import Config, Route
from amproxy.grouping.placement import (
    Placer,
    RouteVisit,
    explain,
    group_key,
    match,
    select_group_labels,
)
from amproxy.labels.matchers import Matcher, matcher_sort_key, parse_matchers
from amproxy.times import parse_duration
from tests.support.cases import ALERTMANAGER

TABLE = json.loads((ALERTMANAGER / "routes.json").read_text("utf-8"))
ROOT = Route(
    receiver="root", key="", group_wait=30.0, group_interval=300.0, repeat_interval=14400.0
)


def tree(node: dict[str, Any], above: Route = ROOT) -> Route:
    """A route block of a configuration → Route, as the loader does it."""
    matchers = [Matcher(name, "=", value) for name, value in node.get("match", {}).items()]
    matchers += [
        Matcher(name, "=~", f"^(?:{value})$") for name, value in node.get("match_re", {}).items()
    ]
    matchers += [matcher for text in node.get("matchers", []) for matcher in parse_matchers(text)]

    def seconds(name: str) -> float:
        return parse_duration(node[name]) if name in node else getattr(above, name)

    here = Route(
        receiver=node.get("receiver", above.receiver),
        key=route_key(above.key, matchers),
        matchers=tuple(sorted(matchers, key=matcher_sort_key)),
        group_by=tuple(node["group_by"]) if "group_by" in node else above.group_by,
        group_by_all=node["group_by"] == ["..."] if "group_by" in node else above.group_by_all,
        group_wait=seconds("group_wait"),
        group_interval=seconds("group_interval"),
        repeat_interval=seconds("repeat_interval"),
        continue_=node.get("continue", False),
    )
    return replace(here, routes=tuple(tree(child, here) for child in node.get("routes", [])))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["id"])
def test_an_alert_takes_the_routes_that_alertmanager_takes(case: dict[str, Any]) -> None:
    labels = {name: value for name, value in case["labels"].items() if value}
    found = []
    for route in match(tree(TABLE["trees"][case["tree"]]["route"]), labels):
        group = select_group_labels(route, labels)
        found.append(
            {
                "receiver": route.receiver,
                "group_labels": group,
                "route_key": route.key,
                "group_key": group_key(route, group),
                "group_wait": route.group_wait,
                "group_interval": route.group_interval,
                "repeat_interval": route.repeat_interval,
            }
        )
    durations = ("group_wait", "group_interval", "repeat_interval")
    wanted = case.get("expect_since_0_31", case["expect"])
    assert found == [
        one | {name: parse_duration(one[name]) for name in durations} for one in wanted
    ]


@pytest.mark.parametrize(
    "case", [one for one in TABLE["cases"] if "checked" in one], ids=lambda case: case["id"]
)
def test_an_alert_is_in_as_many_groups_as_a_running_alertmanager_notifies(
    case: dict[str, Any],
) -> None:
    labels = {name: value for name, value in case["labels"].items() if value}
    loaded = load_text(TABLE["trees"][case["tree"]]["config_yaml"])
    groups = Placer(loaded.config).place(labels).groups
    checked = case["checked"]
    assert sorted(one.receiver for one in groups) == sorted(checked["receivers_in_api_v2_alerts"])
    assert len({one.id for one in groups}) == len(groups)


def test_only_the_second_of_equal_routes_has_groups_with_other_ids() -> None:
    text = "{receiver: r, continue: true, matchers: [a=b]}"
    head = "receivers: [{name: r}, {name: s}]\nroute: {receiver: s, routes: [%s]}\n"

    def ids(*routes: str) -> list[str]:
        config = load_text(head % ", ".join(routes)).config
        return [group.id for group in Placer(config).place({"a": "b"}).groups]

    [only] = ids(text)
    first, second = ids(text, text)
    assert (first, len({first, second})) == (only, 2)
    # One of another receiver beside them changes neither.
    other = text.replace("r,", "s,", 1)
    assert ids(text, other, text)[::2] == [first, second]
    keys = [
        one.key
        for one in Placer(load_text(head % f"{text}, {text}").config).place({"a": "b"}).groups
    ]
    assert keys == ['{}/{a="b"}:{}'] * 2


def test_a_group_key_escapes_what_is_in_the_labels() -> None:
    route = tree(
        {"receiver": "r", "routes": [{"matchers": ['"a b"="x"', 'c="say \\"hi\\""']}]}
    ).routes[0]
    assert (
        group_key(route, {"z": "\u200b", "a": 'tab\t"'})
        == '{}/{"a b"="x",c="say \\"hi\\""}:{a="tab\\t\\"", z="\\u200b"}'
    )


def test_the_explanation_names_the_matcher_that_failed_and_stops_where_matching_stops() -> None:
    root = tree(
        {
            "receiver": "root",
            "routes": [
                {"matchers": ["team=a", "severity=page"], "receiver": "first"},
                {
                    "matchers": ["team=a"],
                    "receiver": "second",
                    "routes": [{"matchers": ["env=prod"], "receiver": "inner"}],
                },
                {"receiver": "third"},
            ],
        }
    )
    visit = explain(root, {"team": "a", "severity": "info"})
    first, second = visit.children  # the third is not reached
    assert (visit.matched, visit.taken) == (True, False)
    assert (first.matched, first.taken, str(first.failed)) == (False, False, 'severity="page"')
    assert (second.matched, second.taken, second.route.receiver) == (True, True, "second")
    assert [str(child.failed) for child in second.children] == ['env="prod"']


# A small world in which routes often match.
names, values = st.sampled_from("abc"), st.sampled_from(["", "1", "2"])
alerts = st.dictionaries(names, values.filter(bool))
leaves = st.fixed_dictionaries(
    {
        "matchers": st.lists(
            st.builds(
                lambda name, op, value: f'{name}{op}"{value}"',
                names,
                st.sampled_from(["=", "!=", "=~", "!~"]),
                values,
            ),
            max_size=2,
        ),
        "continue": st.booleans(),
    }
)
nodes = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda node, routes: node | {"routes": routes}, leaves, st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)
trees = st.lists(nodes, max_size=4).map(lambda routes: tree({"receiver": "root", "routes": routes}))


def holds(route: Route, labels: Mapping[str, str]) -> bool:
    """The values of this small world are no patterns, so regular expressions compare as texts."""
    return all(
        (labels.get(one.name, "") == one.value) == (one.op in ("=", "=~")) for one in route.matchers
    )


def paths(route: Route, above: tuple[Route, ...] = ()) -> Iterator[tuple[Route, ...]]:
    yield (*above, route)
    for child in route.routes:
        yield from paths(child, (*above, route))


def oracle(root: Route, labels: Mapping[str, str]) -> list[Route]:
    """Without walking: a path is reached if all on it match and no earlier sibling of any stops the loop.

    The end of a reached path counts where no longer path is reached.
    """

    def reached(path: tuple[Route, ...]) -> bool:
        pairs = pairwise(path)
        return all(
            holds(child, labels)
            and not any(
                holds(earlier, labels) and not earlier.continue_
                for earlier in parent.routes[: position(parent, child)]
            )
            for parent, child in pairs
        )

    def position(parent: Route, child: Route) -> int:
        return next(index for index, one in enumerate(parent.routes) if one is child)

    every = [path for path in paths(root) if reached(path)]
    return [
        path[-1]
        for path in every
        if not any(longer[: len(path)] == path and len(longer) > len(path) for longer in every)
    ]


@given(trees, alerts)
def test_matching_agrees_with_the_oracle(root: Route, labels: dict[str, str]) -> None:
    found = match(root, labels)
    assert found
    assert list(map(id, found)) == list(map(id, oracle(root, labels)))


@given(trees, alerts)
def test_routes_come_depth_first(root: Route, labels: dict[str, str]) -> None:
    order = {id(path[-1]): number for number, path in enumerate(paths(root))}
    numbers = [order[id(route)] for route in match(root, labels)]
    assert numbers == sorted(set(numbers))


@given(trees, alerts)
def test_what_follows_a_match_without_continue_does_not_matter(
    root: Route, labels: dict[str, str]
) -> None:
    stop = next(
        (
            index
            for index, child in enumerate(root.routes)
            if holds(child, labels) and not child.continue_
        ),
        len(root.routes),
    )
    cut = replace(root, routes=root.routes[: stop + 1])
    assert match(root, labels) == match(cut, labels)


@given(trees, alerts)
def test_the_explanation_takes_the_same_routes_as_matching(
    root: Route, labels: dict[str, str]
) -> None:
    def taken(visit: RouteVisit) -> Iterator[Route]:
        if visit.taken:
            yield visit.route
        for child in visit.children:
            yield from taken(child)

    assert list(map(id, taken(explain(root, labels)))) == list(map(id, match(root, labels)))


@given(alerts, st.lists(names), st.booleans())
def test_group_labels_are_those_that_the_alert_has(
    labels: dict[str, str], group_by: list[str], everything: bool
) -> None:
    group = select_group_labels(
        Route(receiver="r", key="{}", group_by=tuple(group_by), group_by_all=everything), labels
    )
    assert group == {
        name: value for name, value in labels.items() if everything or name in group_by
    }


def test_the_place_of_a_label_set_is_remembered_without_its_bytes() -> None:
    placer, raw = Placer(Config(route=replace(ROOT, group_by=("alertname",)))), b'{"alertname":"A"}'
    before = sys.getrefcount(raw)
    placed = placer.place({"alertname": "A"}, raw)
    other = placer.place({"alertname": "A", "x": "1"}, b'{"alertname":"A","x":"1"}')
    assert placer.known(bytes(bytearray(raw))) is placed
    assert placer.known(b'{"alertname":"B"}') is None
    # a hundred thousand of them are remembered, in a few groups
    assert sys.getrefcount(raw) == before
    assert other.groups is placed.groups
