"""Moments: waiting for them, writing them, and comparing them with a tolerance."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

TOLERANCE = 0.5  # seconds: so much later or earlier than recorded is fine on a busy machine
AIM = 0.15  # seconds: what an idle machine keeps


def rfc3339(seconds: float) -> str:
    """Unix seconds → text in UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def unix(text: str) -> float | None:
    """The text of a payload → Unix seconds; None for the zero time."""
    moment = datetime.fromisoformat(text)
    return None if moment.year == 1 else moment.timestamp()


def sleep_until(moment: float) -> None:
    """Unix seconds."""
    time.sleep(max(0.0, moment - time.time()))


def eventually(look: Callable[[], object], seconds: float = 20.0, why: str = "it did not happen in time") -> None:
    """Look again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def check_moments(found: Sequence[float], wanted: Sequence[float], what: str, tolerance: float = TOLERANCE) -> None:
    """As many as wanted, each within the tolerance; prints the worst, and says so where an idle machine would be nearer."""
    text = f"{what}: came at {[round(moment, 2) for moment in found]}, wanted {[round(moment, 2) for moment in wanted]}"
    assert len(found) == len(wanted), text
    worst = max((abs(one - other) for one, other in zip(found, wanted, strict=True)), default=0.0)
    print(f"{what}: worst deviation {worst * 1000:.0f} ms" + (f" (more than {AIM * 1000:.0f} ms)" if worst > AIM else ""))
    assert found == pytest.approx(wanted, abs=tolerance), text


def check_ticks(found: Sequence[float], step: float, what: str) -> None:
    """Each moment is a whole number of ticks of `step` seconds after the first one."""
    ticks = [round((moment - found[0]) / step) * step for moment in found]
    check_moments([moment - found[0] for moment in found], ticks, what)
