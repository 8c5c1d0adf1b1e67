"""When a message is tried again: exponential, with jitter; what the other side asked for comes first."""

from __future__ import annotations

from tenacity import RetryCallState, wait_exponential_jitter

from amproxy.errors import DeliveryError

LONGEST = 60.0  # seconds between two attempts of ours
PATIENCE = 3600.0  # seconds after which a page that nobody took counts as failed
_wait = wait_exponential_jitter(multiplier=0.5, max=LONGEST, exp_base=1.7, jitter=0.5)


def next_attempt(error: DeliveryError, attempt: int, now: float) -> float:
    """Unix seconds of the next attempt after the `attempt`-th (from 1) failed."""
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    wait = _wait(state)
    return now + max(wait, error.retry_after or 0.0)
