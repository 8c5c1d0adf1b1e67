"""Go's time.Duration."""

from __future__ import annotations

import re
from typing import ClassVar

from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.numbers import INT64_MAX, INT64_MIN
from amproxy.gotemplate.quoting import quote_bytes
from amproxy.gotemplate.values import Function, GoType, Int64, TypeKind

NANOSECOND = 1
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
_UNITS = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "μs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
# More digits than any number of nanoseconds has.
_MOST_DIGITS = 20
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


class GoTimeDuration(int):
    """A length of time in nanoseconds."""

    go_type: ClassVar[GoType]

    def __str__(self) -> str:
        sign, length = ("-", -int(self)) if self < 0 else ("", int(self))
        if length < SECOND:
            return sign + _below_a_second(length)
        minutes, rest = divmod(length, MINUTE)
        text = f"{_decimal(rest, SECOND)}s"
        if minutes:
            hours, minutes = divmod(minutes, 60)
            text = f"{minutes}m{text}"
            if hours:
                text = f"{hours}h{text}"
        return sign + text


def _below_a_second(length: int) -> str:
    if not length:
        return "0s"
    for unit, size in (("ns", NANOSECOND), ("µs", MICROSECOND), ("ms", MILLISECOND)):
        if length < size * 1000:
            return _decimal(length, size) + unit
    raise AssertionError(length)


def _decimal(length: int, size: int) -> str:
    whole, rest = divmod(length, size)
    if not rest:
        return str(whole)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}"


def bounded(length: int) -> GoTimeDuration:
    """The duration nearest to a number of nanoseconds."""
    return GoTimeDuration(min(max(length, INT64_MIN), INT64_MAX))


def wrapped(number: int) -> int:
    """A number as 64 bits hold it."""
    return (number + 2**63) % 2**64 - 2**63


def parse_duration(text: str) -> GoTimeDuration:
    """The duration of a text like 1h30m. Raises GoCallError."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return GoTimeDuration(0)
    invalid = GoCallError(f"time: invalid duration {quote_bytes(text)}")
    if not rest:
        raise invalid
    total = 0
    at = 0
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None or not (found[1] or found[2]) or len(found[1]) > _MOST_DIGITS:
            raise invalid
        if not found[3]:
            raise GoCallError(f"time: missing unit in duration {quote_bytes(text)}")
        if found[3] not in _UNITS:
            raise GoCallError(
                f"time: unknown unit {quote_bytes(found[3])} in duration {quote_bytes(text)}"
            )
        unit = _UNITS[found[3]]
        fraction = (found[2] or "")[:_MOST_DIGITS]
        total += int(found[1] or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        at = found.end()
    total = -total if text[0] == "-" else total
    if not INT64_MIN <= total <= INT64_MAX:
        raise invalid
    return GoTimeDuration(total)


def truncated(number: int, step: int) -> int:
    """A number rounded towards zero to a multiple of a step; as it is where the step is not > 0."""
    if step <= 0:
        return number
    rest = abs(number) % step
    return number - rest if number >= 0 else number + rest


def rounded(number: int, step: int) -> int:
    """A number rounded to the nearest multiple of a step, halves away from zero."""
    if step <= 0:
        return number
    rest = abs(number) % step
    nearest = abs(number) - rest + (step if rest + rest >= step else 0)
    return nearest if number >= 0 else -nearest


def _hours(duration: int, unit: int) -> float:
    whole, rest = divmod(abs(duration), unit)
    value = float(whole) + float(rest) / unit
    return -value if duration < 0 else value


DURATION = GoTimeDuration.go_type = GoType(
    "time.Duration", TypeKind.INT, make=GoTimeDuration, zero=lambda: GoTimeDuration(0)
)


def _whole(duration: int, unit: int) -> Int64:
    return Int64(truncated(duration, unit) // unit)


DURATION.methods |= {
    method.name: method
    for method in (
        Function("String", str),
        Function("Abs", lambda duration: bounded(abs(duration))),
        Function("Hours", lambda duration: _hours(duration, HOUR)),
        Function("Minutes", lambda duration: _hours(duration, MINUTE)),
        Function("Seconds", lambda duration: _hours(duration, SECOND)),
        Function("Milliseconds", lambda duration: _whole(duration, MILLISECOND)),
        Function("Microseconds", lambda duration: _whole(duration, MICROSECOND)),
        Function("Nanoseconds", Int64),
        Function("Round", lambda duration, step: bounded(rounded(duration, step)), (DURATION,)),
        Function(
            "Truncate", lambda duration, step: bounded(truncated(duration, step)), (DURATION,)
        ),
    )
}
