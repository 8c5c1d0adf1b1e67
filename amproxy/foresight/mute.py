"""What holds a group's alerts back, how long, and why. All of foresight asks here: whatever else comes to mute alerts joins in here."""

from __future__ import annotations

from collections.abc import Mapping

from amproxy.clock import utc
from amproxy.correlate.flush import muted
from amproxy.decide.roster import Roster
from amproxy.model import Group

_EDGES = 1000  # looked at in one go


def muting(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> list[str]:
    """Names of what holds alerts with these labels back in this group at a moment (Unix seconds); nothing does = []."""
    return muted(group, roster, now)


def still_muted(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """For a group that is muted now: the first moment at which that is no longer so, in Unix seconds; None = not within years.

    Where intervals change very often, an earlier moment may be given, up to which it is muted.
    """
    intervals = [roster.config.time_intervals[name] for name in (*group.mute_time_intervals, *group.active_time_intervals)]
    at = utc(now)
    for _ in range(_EDGES):
        edges = [edge for interval in intervals if (edge := interval.changes(at))]
        if not edges:
            return None
        at = min(edges)
        if not muting(group, labels, roster, at.timestamp()):
            break
    return at.timestamp()


def because(group: Group, muted_by: list[str]) -> str:
    """Why a group is muted, in words: "muted by nights", "muted outside of business-hours"."""
    return f"muted {'by' if set(muted_by) & set(group.mute_time_intervals) else 'outside of'} {', '.join(muted_by)}"
