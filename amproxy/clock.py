"""The clock and the zone of this machine, read only here; decisions take `now` as an argument.

Also the conversions of Unix seconds, and zones by name, as Alertmanager's `location` has them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Annotated, overload
from zoneinfo import ZoneInfo

import msgspec

# A text as `rfc3339` writes it.
Timestamp = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]

_LOCALTIME = Path("/etc/localtime")

# Seconds by which the system's clock may be corrected without anybody noticing: it is followed.
SMALL_CORRECTION = 2.0
# Seconds that a jump must last before it is followed: a mistake is often undone by then, and what
# waits for less is not touched by it.
CONFIRMED_AFTER = 600.0
# Seconds by which amproxy's time approaches the system's, for each second: five minutes then take
# a minute more or less, and an hour is made up in five.
APPROACH = 0.2
# Seconds after the start of the machine in which its clock is set for the first time.
BOOT = 180.0
# Seconds: what the last run noted may lie so far ahead, or it is of a clock that was nonsense.
LONGEST_RESUMED = 86400.0


class SteadyClock:
    """The system's clock without its jumps.

    A wait that has begun takes as long as it should, whatever is done to the system's clock: the
    time goes on by a count of seconds that nobody sets, and that goes on while the machine is
    suspended. It equals the system's time but for a jump, which it approaches slowly.
    """

    def __init__(self, system: Callable[[], float], count: Callable[[], float]) -> None:
        """system: Unix seconds. count: seconds since the start of the machine."""
        self._system, self._count = system, count
        self._offset = system() - count()  # of the time from the count
        self._jumped_at: float | None = None  # by the count; None: no jump to make up for
        self._looked_at = count()
        self._ahead = 0.0

    def now(self) -> float:
        """The time in Unix seconds."""
        ahead, count = self._compare()
        if abs(ahead) > SMALL_CORRECTION:
            # The process may have been stopped between the two readings; then this one is good.
            ahead, count = self._compare()
        offset = self._offset
        if abs(ahead) <= SMALL_CORRECTION or (ahead > 0 and count < BOOT):
            offset += ahead
            self._jumped_at, self._ahead = None, 0.0
        else:
            offset += self._approach(ahead, count)
        # Assigned, not added to: threads that check files ask for the time as well.
        self._offset, self._looked_at = offset, count
        return count + offset

    @property
    def jump(self) -> float:
        """Seconds by which the system's clock is ahead of the time (negative: behind); 0 = none.

        It is so after a jump, until that is made up for.
        """
        self.now()
        return self._ahead

    def resume(self, last: float) -> bool:
        """Go on from the time that an earlier process noted last, where that lies ahead.

        Then the system's clock was set back while nobody looked. False: it was not.
        """
        behind = last - self.now()
        if not SMALL_CORRECTION < behind <= LONGEST_RESUMED:
            return False
        self._offset += behind
        return True

    def _compare(self) -> tuple[float, float]:
        """The seconds by which the system's clock is ahead of the time, and the count."""
        count = self._count()
        return self._system() - count - self._offset, count

    def _approach(self, ahead: float, count: float) -> float:
        """The seconds that the time is to be moved now."""
        if self._jumped_at is None or abs(ahead - self._ahead) > SMALL_CORRECTION:
            self._jumped_at, self._ahead = count, ahead
            return 0.0
        since = max(self._looked_at, self._jumped_at + CONFIRMED_AFTER)
        step = math.copysign(max(0.0, count - since) * APPROACH, ahead)
        self._ahead = ahead - step
        return step


def system_time() -> float:
    """The system's clock, jumps included, in Unix seconds."""
    return time.time()


def _seconds_since_boot() -> float:
    """Those in which the machine was suspended included, where the system counts them (Linux)."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


steady = SteadyClock(system_time, _seconds_since_boot)


def now() -> float:
    """The current time in Unix seconds, without the jumps of the system's clock."""
    return steady.now()


def utc(seconds: float) -> datetime:
    """Unix seconds → aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


@overload
def rfc3339(seconds: float) -> str: ...
@overload
def rfc3339(seconds: float | None) -> str | None: ...
def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds → RFC 3339 in UTC, such as "2026-01-05T09:00:00.000Z"; None stays None."""
    if seconds is None:
        return None
    return utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=1024)
def location(name: str) -> tzinfo:
    """The zone with a name of the tz database; "" is UTC, "Local" the zone of this machine.

    Raises ValueError for any other name.
    """
    if name == "":
        return UTC
    return _machine_zone() if name == "Local" else _named_zone(name)


def _named_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # In this order: unknown; not a name at all; a folder of the database, such as "Europe".
        raise ValueError(
            f"unknown location: {name!r}"
            " (expected a name of the tz database, such as Europe/Berlin)"
        ) from None


def _machine_zone() -> tzinfo:
    """The zone of the environment variable TZ, else of /etc/localtime, else UTC, as in Go."""
    try:
        if "TZ" in os.environ:
            return location(os.environ["TZ"].removeprefix(":"))
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (ValueError, OSError):
        return UTC
