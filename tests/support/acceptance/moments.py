"""Moments: waiting for them, writing them, and comparing them with a tolerance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

# Seconds that a message may come later or earlier than planned. All plans have ticks of a second or
# more, and a message of the tick before or after is out of these bounds: so the tick at which
# something is told is judged on a busy machine too.
LATE, EARLY = 0.8, 0.2
AIM = 0.15  # seconds: what an idle machine keeps


def rfc3339(seconds: float) -> str:
    """Unix seconds → text in UTC with microseconds."""
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def unix(text: str) -> float | None:
    """The text of a payload → Unix seconds; None for the zero time."""
    moment = datetime.fromisoformat(text)
    return None if moment.year == 1 else moment.timestamp()


def sleep_until(moment: float) -> None:
    """Unix seconds."""
    time.sleep(max(0.0, moment - time.time()))


def check_moments(
    found: Sequence[float],
    wanted: Sequence[float],
    what: str,
    *,
    early: float = EARLY,
    late: float = LATE,
) -> None:
    """As many as wanted, each in time.

    Prints the worst, and says so where an idle machine would be nearer.
    """
    came, plan = ([round(moment, 2) for moment in moments] for moments in (found, wanted))
    text = f"{what}: came at {came}, wanted {plan}"
    assert len(found) == len(wanted), text
    after = [one - other for one, other in zip(found, wanted, strict=True)]
    worst = max(map(abs, after), default=0.0)
    above = f" (more than {AIM * 1000:.0f} ms)" if worst > AIM else ""
    print(f"{what}: worst deviation {worst * 1000:.0f} ms{above}")
    assert all(-early < seconds < late for seconds in after), text


def check_same_moments(
    found: Sequence[float], wanted: Sequence[float], what: str, within: float = LATE
) -> None:
    """Like `check_moments` where `wanted` was measured too, and may itself be late."""
    check_moments(found, wanted, what, early=within, late=within)


def check_ticks(found: Sequence[float], step: float, what: str) -> None:
    """Each moment is a whole number of ticks of `step` seconds after the first one."""
    ticks = [round((moment - found[0]) / step) * step for moment in found]
    check_same_moments([moment - found[0] for moment in found], ticks, what)
