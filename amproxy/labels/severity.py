"""The severity of an alert, by its labels: an order over the words that senders use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

# The first of these that an alert has says it.
SEVERITY_LABELS: Final = ("severity", "priority", "criticality", "level")
# A word that nobody knows, or none, is as grave as a warning.
UNKNOWN_RANK: Final = 3
_RANKS: Final = {
    word: rank
    for rank, words in (
        (1, "info information informational notice debug ok none p5 sev5"),
        (2, "minor low p4 sev4"),
        (3, "warning warn medium moderate average p3 sev3"),
        (4, "error err high major p2 sev2"),
        (5, "critical crit page severe urgent p1 sev1"),
        (6, "emergency emerg disaster fatal panic blocker p0 sev0"),
    )
    for word in words.split()
}


def severity_of(labels: Mapping[str, str]) -> str:
    """The severity as its sender words it; "" where there is none."""
    if severity := labels.get("severity"):  # nearly always, of a hundred thousand alerts
        return severity.strip()
    return next((labels[name].strip() for name in SEVERITY_LABELS if labels.get(name)), "")


@lru_cache(maxsize=1000)
def severity_rank(severity: str) -> int:
    """The place of a severity in the order: the graver, the greater."""
    return _RANKS.get(severity.casefold(), UNKNOWN_RANK)


def gravest(severities: Iterable[str]) -> str:
    """The gravest of severities, of equal ones the first; "" of none."""
    return max(severities, key=lambda one: (severity_rank(one), bool(one)), default="")
