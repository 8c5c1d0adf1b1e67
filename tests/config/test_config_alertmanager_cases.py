"""The collected cases of what Alertmanager accepts, refuses and makes of a text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.config.loader import load_text
from amproxy.errors import ConfigError
from tests.support.cases import ALERTMANAGER
from tests.support.config.configs import config

SCALARS: dict[str, Any] = json.loads((ALERTMANAGER / "yaml_scalars.json").read_text())


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ALERTMANAGER / name).read_text())["cases"]
    return found


# What 0.35 takes and 0.34 refused, or the other way round.
NEWER = {
    **dict.fromkeys(("ti_weekday_backwards", "ti_weekday_sat_sun"), True),
}


def _is_valid(case: dict[str, Any]) -> bool:
    return bool(NEWER.get(case["name"], case.get("valid_0_34", case["valid_0_25"])))


def _loads(text: str) -> bool:
    try:
        load_text(text, env={})
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("case", _cases("config_good_bad.json"), ids=lambda case: case["name"])
def test_a_file_loads_exactly_where_alertmanager_takes_it(case: dict[str, Any]) -> None:
    assert _loads(case["yaml"]) is _is_valid(case), case["reason"]


@pytest.mark.parametrize(
    "case",
    [case for case in _cases("config_good_bad.json") if not _is_valid(case)],
)
def test_every_refusal_says_where_and_why(case: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(case["yaml"], env={})
    for problem in caught.value.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@pytest.mark.parametrize("case", SCALARS["match_scalars"]["cases"], ids=lambda case: case["scalar"])
def test_a_value_of_match_keeps_its_literal_text(case: dict[str, Any]) -> None:
    text = f"route: {{receiver: d, routes: [{{receiver: hit, match: {{a: {case['scalar']}}}}}]}}\nreceivers: [{{name: d}}, {{name: hit}}]\n"
    (matcher,) = config(text).route.routes[0].matchers
    assert matcher.value == case["value"]


@pytest.mark.parametrize(
    "case", SCALARS["group_by_scalars"]["cases"], ids=lambda case: case["scalar"]
)
def test_a_label_of_group_by_keeps_its_literal_text(case: dict[str, Any]) -> None:
    route = config(
        f"route: {{receiver: d, group_by: [{case['scalar']}]}}\nreceivers: [{{name: d}}]\n"
    ).route
    assert (["..."] if route.group_by_all else list(route.group_by)) == case["read_back"]


@pytest.mark.parametrize("case", SCALARS["bool_scalars"]["cases"], ids=lambda case: case["scalar"])
def test_a_bool_is_read_as_alertmanager_reads_it(case: dict[str, Any]) -> None:
    text = f"route: {{receiver: d, routes: [{{continue: {case['scalar']}}}]}}\nreceivers: [{{name: d}}]\n"
    assert _loads(text) is case["accepted"]
    if case["accepted"]:
        assert config(text).route.routes[0].continue_ is (case["read_back"] == "true")


@pytest.mark.parametrize(
    "case", SCALARS["duration_scalars"]["cases"], ids=lambda case: case["scalar"]
)
def test_a_duration_is_read_as_alertmanager_reads_it(case: dict[str, Any]) -> None:
    text = f"route: {{receiver: d, group_wait: {case['scalar']}}}\nreceivers: [{{name: d}}]\n"
    assert _loads(text) is case["accepted"]
    if case["read_back"]:
        assert f"group_wait: {case['read_back']}\n" in config(text).original


@pytest.mark.parametrize(
    "case",
    SCALARS["interval_scalars"]["cases"],
    ids=lambda case: f"{case['field']}={case['scalar']}",
)
def test_a_range_of_a_time_interval_is_read_and_written_back_as_alertmanager_does(
    case: dict[str, Any],
) -> None:
    scalar = f"{{{case['scalar']}}}" if case["field"] == "times" else case["scalar"]
    text = (
        f"time_intervals: [{{name: t, time_intervals: [{{{case['field']}: [{scalar}]}}]}}]\n"
        "route: {receiver: d}\nreceivers: [{name: d}]\n"
    )
    written = config(text).original
    for value in case["read_back"][case["field"]]:
        for part in value.values() if isinstance(value, dict) else [value]:
            assert f'"{part}"' in written or f"- {part}\n" in written
