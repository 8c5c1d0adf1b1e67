"""Prometheus durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.times import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1w", 604800),
        ("1y", 31536000),
        ("100ms", 0.1),
        ("1y2w3d4h5m6s7ms", 31536000 + 2 * 604800 + 3 * 86400 + 4 * 3600 + 5 * 60 + 6.007),
        ("007s", 7),
        ("292y", 292 * 31536000),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "5",
        "m",
        "1.5h",
        "5 m",
        " 5m",
        "5m ",
        "-5m",
        "+5m",
        "1h1h",
        "1m1h",
        "1ms1s",
        "1M",
        "5min",
        "5µs",
        "٣m",
        "300y",
        "9" * 5000 + "s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "0s"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (90 * 86400, "90d"),
        (7 * 86400, "1w"),
        (8 * 86400, "8d"),
        (0.25, "250ms"),
        (-90, "-1m30s"),
    ],
)
def test_seconds_print_as_prometheus_prints_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=1, max_value=10**12))
def test_a_printed_duration_reads_back_as_itself(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds
