"""How lengths of time are spread: count, mean, percentiles, maximum, in memory that does not grow with their number."""

from __future__ import annotations

from typing import Any


class Spread:
    """Lengths in seconds, not negative. Percentiles are kept to three significant digits; count, mean and maximum are exact."""

    __slots__ = ("_counts", "_sum", "count", "max")

    def __init__(self) -> None:
        self.count, self.max, self._sum = 0, 0.0, 0.0
        self._counts: dict[float, int] = {}

    def add(self, seconds: float) -> None:
        """A negative length, of a clock that was set back, counts as none."""
        seconds = max(0.0, seconds)
        self.count, self.max, self._sum = self.count + 1, max(self.max, seconds), self._sum + seconds
        rounded = float(f"{seconds:.3g}")
        self._counts[rounded] = self._counts.get(rounded, 0) + 1

    def percentile(self, percent: int) -> float | None:
        """The least length that so many percent do not exceed; None = there is none at all."""
        passed = 0
        for seconds in sorted(self._counts):
            passed += self._counts[seconds]
            if passed * 100 >= percent * self.count:
                return seconds
        return None

    def view(self) -> dict[str, Any]:
        """For JSON; without any length all but the count is None."""
        return {
            "count": self.count,
            "mean": round(self._sum / self.count, 3) if self.count else None,
            "p50": self.percentile(50),
            "p90": self.percentile(90),
            "max": round(self.max, 3) if self.count else None,
        }
