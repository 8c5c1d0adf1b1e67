"""What holds a group's alerts back, how long, and why. All of foresight asks here: whatever else comes to mute alerts joins in here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.grouping.flush import muted
from amproxy.grouping.maintenance import is_open, next_change, next_opening, open_at
from amproxy.labels.matchers import all_match
from amproxy.model import Group
from amproxy.oncall.roster import Roster
from amproxy.zones import LATEST

_EDGES = 1000  # looked at in one go


def muting(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> list[str]:
    """Names of what holds alerts with these labels back in this group at a moment (Unix seconds): time intervals, maintenance windows."""
    return [*muted(group, roster, now), *(window.name for window in in_maintenance(labels, roster, now))]


def in_maintenance(labels: Mapping[str, str], roster: Roster, now: float) -> list[Maintenance]:
    """The maintenance windows of the file that are open for alerts with these labels."""
    return [window for window in _windows(labels, roster) if is_open(window, roster.config.time_intervals, utc(now))]


def until(windows: list[Maintenance], roster: Roster, now: float) -> float:
    """When the last of open windows is over, Unix seconds."""
    ends = (open_at(window, roster.config.time_intervals, utc(now)) or LATEST for window in windows)
    return max(ends, default=LATEST).timestamp()


def next_end(labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """When the next maintenance window of alerts with these labels is over: what still fires is told then; None = there is none."""
    at, intervals, ends = utc(now), roster.config.time_intervals, []
    for window in _windows(labels, roster):
        opens = at if is_open(window, intervals, at) else next_opening(window, intervals, at)
        closes = open_at(window, intervals, opens) if opens else None
        if closes and closes < LATEST:
            ends.append(closes.timestamp())
    return min(ends, default=None)


def still_muted(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """For a group that is muted now: the first moment at which that is no longer so, in Unix seconds; None = not within years.

    Where intervals change very often, an earlier moment may be given, up to which it is muted.
    """
    intervals = [roster.config.time_intervals[name] for name in roster.known((*group.mute_time_intervals, *group.active_time_intervals))]
    windows = list(_windows(labels, roster))
    at = utc(now)
    for _ in range(_EDGES):
        edges = [edge for interval in intervals if (edge := interval.changes(at))]
        edges += [edge for window in windows if (edge := next_change(window, roster.config.time_intervals, at))]
        if not edges:
            return None
        at = min(edges)
        if not muting(group, labels, roster, at.timestamp()):
            break
    return at.timestamp()


def because(group: Group, muted_by: list[str]) -> str:
    """Why a group is muted, in words: "muted by nights", "muted outside of business-hours", "in maintenance upgrade"."""
    muting, active = set(muted_by) & set(group.mute_time_intervals), set(muted_by) & set(group.active_time_intervals)
    named = [name for name in muted_by if name in muting] or [name for name in muted_by if name in active]
    windows = [name for name in muted_by if name not in muting | active]
    parts = [f"muted {'by' if muting else 'outside of'} {', '.join(named)}"] if named else []
    return " and ".join(parts + ([f"in maintenance {', '.join(windows)}"] if windows else []))


def _windows(labels: Mapping[str, str], roster: Roster) -> Iterator[Maintenance]:
    return (window for window in roster.config.maintenance.values() if all_match(window.matchers, labels))
