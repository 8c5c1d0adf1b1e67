"""When a message that was not delivered is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from amproxy.errors import DeliveryError
from amproxy.notify.delivery import next_attempt

NOW = 1_767_603_600.0


def shortest(low: float, high: float) -> float:
    return low


def longest(low: float, high: float) -> float:
    return high


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [
        (1, 0.5),
        (2, 0.75),
        (3, 1.125),
        (12, 0.5 * 1.5**11),
        (13, 60),
        (14, 60),
        (2_000, 60),
        (10**9, 60),
    ],
)
@pytest.mark.parametrize(("jitter", "share"), [(shortest, 0.5), (longest, 1.5)])
def test_each_wait_is_half_as_long_again_up_to_a_minute_give_or_take_half(
    monkeypatch: pytest.MonkeyPatch,
    attempt: int,
    wait: float,
    jitter: Callable[[float, float], float],
    share: float,
) -> None:
    monkeypatch.setattr(random, "uniform", jitter)
    at = next_attempt(DeliveryError("away"), attempt, NOW)
    assert at - NOW == pytest.approx(wait * share, abs=1e-3)


@pytest.mark.parametrize("attempt", [1, 10])
def test_a_longer_wait_that_the_other_side_wants_goes_first(attempt: int) -> None:
    error = DeliveryError("slow down", retry_after=600.0)
    assert next_attempt(error, attempt, NOW) == NOW + 600


def test_a_shorter_wait_that_the_other_side_wants_shortens_nothing() -> None:
    at = next_attempt(DeliveryError("slow down", retry_after=1.0), 20, NOW)
    assert NOW + 30 <= at <= NOW + 90
