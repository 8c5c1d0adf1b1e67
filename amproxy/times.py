"""Prometheus durations: "1h30m" ↔ seconds."""

from __future__ import annotations

import re

_UNITS = (("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_GRAMMAR = re.compile("".join(f"(?:(0*[0-9]{{1,19}}){unit})?" for unit, _ in _UNITS))
_LONGEST_MS = (2**63 - 1) // 1_000_000  # Prometheus counts nanoseconds in 64 bits: about 292 years
_WHOLE_ONLY = ("y", "w")  # printed only where nothing is left over: 90d reads better than 12w6d


def parse_duration(text: str) -> float:
    """A Prometheus duration ("5m", "1h30m", "100ms", "0") in seconds.

    Units are y w d h m s ms, in that order, each at most once, with whole numbers. Raises ValueError with the reason.
    """
    if text == "0":
        return 0.0
    if not text:
        raise ValueError("empty duration")
    found = _GRAMMAR.fullmatch(text)
    if found is None:
        raise ValueError(f"not a valid duration: {text!r} (units are y w d h m s ms, in that order, such as 1h30m)")
    total = sum(int(count.lstrip("0") or 0) * size for count, (_, size) in zip(found.groups("0"), _UNITS, strict=True))
    if total > _LONGEST_MS:
        raise ValueError(f"duration out of range: {text!r}")
    return total / 1000


def format_duration(seconds: float) -> str:
    """Seconds, to the millisecond, as Prometheus writes them: "1h30m", "90d", "0s"; a negative one has a leading minus."""
    left = round(abs(seconds) * 1000)
    if not left:
        return "0s"
    text = ""
    for unit, size in _UNITS:
        if unit in _WHOLE_ONLY and left % size:
            continue
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return f"-{text}" if seconds < 0 else text
