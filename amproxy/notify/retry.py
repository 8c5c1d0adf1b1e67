"""When a message is tried again: exponential, with jitter; what the other side asked for comes first."""

from __future__ import annotations

import random

from tenacity import RetryCallState, wait_exponential

from amproxy.errors import DeliveryError

FIRST = 0.5  # seconds; then each wait is half as long again, as Alertmanager's
LONGEST = 60.0  # seconds between two attempts of ours, before jitter
JITTER = 0.5  # a wait is up to this share of it shorter or longer
PATIENCE = 3600.0  # seconds after which a page that nobody took counts as failed
_growing = wait_exponential(multiplier=FIRST, exp_base=1.5, max=LONGEST)


def next_attempt(error: DeliveryError, attempt: int, now: float) -> float:
    """Unix seconds of the next attempt after the `attempt`-th (from 1) failed."""
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    wait = _growing(state) * random.uniform(1 - JITTER, 1 + JITTER)
    return now + max(wait, error.retry_after or 0.0)
