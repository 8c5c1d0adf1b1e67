"""What an alert measures: the expression in its address, and its outermost comparison."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.model import Alert
from amproxy.notify.plots.expression import (
    Measurement,
    VmalertIds,
    read_expression,
    read_vmalert_ids,
    split_condition,
    work_out,
)

EXPRESSION = 'rate(errors{job="a b"}[5m]) > 5'


def alert(url: str) -> Alert:
    return Alert(fingerprint="f", labels={"alertname": "A"}, starts_ns=1, generator_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://prom:9090/graph?g0.expr={}&g0.tab=1",
        "http://vm:8428/vmui/#/?g0.expr={}&g0.range_input=1h",
        "https://grafana/explore?left=%5B%22now-1h%22,%22now%22,%22VM%22,%7B%22expr%22:{json}%7D%5D",
        "https://grafana/explore?panes=%7B%22a%22:%7B%22queries%22:%5B%7B%22expr%22:{json}%7D%5D%7D%7D",
    ],
)
def test_the_expression_is_read_from_the_address_that_senders_make(url: str) -> None:
    json = quote('"' + EXPRESSION.replace('"', '\\"') + '"')
    assert read_expression(alert(url.format(quote(EXPRESSION), json=json))) == EXPRESSION


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://[",
        "http://grafana/alerting/grafana/uid/view",
        "http://x/?left=%7B",
        "http://x/graph?g0.expr=" + "x" * 9000,
        "http://x/?left=" + quote("[" * 50 + '{"expr":"x"}' + "]" * 50),
        "http://x/?left=" + quote("[" * 100_000),
    ],
)
def test_an_address_without_a_usable_expression_has_none(url: str) -> None:
    assert read_expression(alert(url)) == ""
    assert read_vmalert_ids(alert(url)) is None


def test_of_vmalerts_own_address_only_ids_are_taken() -> None:
    address = "http://anywhere/vmalert/alert?group_id=123&alert_id=456"
    assert read_vmalert_ids(alert(address)) == VmalertIds("123", "456")
    assert read_vmalert_ids(alert(address + "/../x")) is None
    assert read_vmalert_ids(alert("http://x/other?group_id=1&alert_id=2")) is None


@pytest.mark.parametrize(
    ("expression", "measured", "comparison", "threshold"),
    [
        (EXPRESSION, 'rate(errors{job="a b"}[5m])', ">", 5),
        ("(up) == 0", "(up)", "==", 0),
        ("((up == bool 0))", "up", "==", 0),
        ("90 < load", "load", ">", 90),
        ("free / size * 100 <= 10", "free / size * 100", "<=", 10),
        ("used > 80 * 1024^3 # much", "used", ">", 80 * 1024**3),
        ("used > 1.5Gi", "used", ">", 1.5 * 1024**3),
        ("time() - last > 1h30m", "time() - last", ">", 5400),
        ("x > -2^2", "x", ">", -4),
        ("delta < -(3 + 0x10) % 4", "delta", "<", -3),
        ('x{a=~"a > 1 or b", b!="]"} != 1e-3', 'x{a=~"a > 1 or b", b!="]"}', "!=", 0.001),
        ("sum by (job) (x > 3) >= 2", "sum by (job) (x > 3)", ">=", 2),
    ],
)
def test_the_outermost_comparison_with_a_number_is_the_limit(
    expression: str, measured: str, comparison: str, threshold: float
) -> None:
    found = split_condition(expression)
    assert found == Measurement(measured, comparison, pytest.approx(threshold))


@pytest.mark.parametrize(
    ("expression", "measured"),
    [
        ("absent(up)", "absent(up)"),
        ("x > on (job) group_left y", "x"),
        ("x > 5 < 10", "x > 5 < 10"),
        ("x > 5 or y > 6", "x > 5 or y > 6"),
        ("x > 5 AND on (job) y > 6", "x"),
        ("(x > 5) unless y", "x"),
        ("x > NaN", "x"),
        ("x > 1 / 0", "x"),
        ("x > (5", "x > (5"),
        ("x) > (5", "x) > (5"),
        ("", ""),
    ],
)
def test_where_no_one_line_is_the_limit_there_is_none(expression: str, measured: str) -> None:
    assert split_condition(expression) == Measurement(measured)


@given(st.text(alphabet="x1 >=<()[]{}+-*/^%\"'`#\\.eEor", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    found = split_condition(text)
    assert (found.threshold is None) == (found.comparison == "")
    work_out(text)


def test_arithmetic_without_end_is_no_number() -> None:
    assert work_out("9^9^9^9^9") is None
    assert work_out("(" * 99 + "1" + ")" * 99) == 1
    assert work_out("1 2") is None
