"""Alerts that come again: the reason to notify again, the merge of a repeated push, their order."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Set
from functools import lru_cache

from msgspec.structs import replace

from amproxy.model import Alert, LogEntry, NotificationReason

SORTED_AT_ONCE = 2000  # alerts
_NO_END = 2**63  # later than any time in nanoseconds


def notification_reason(
    entry: LogEntry | None,
    firing: Set[str],
    resolved: Set[str],
    *,
    send_resolved: bool,
    repeat_interval: float,
    now: float,
) -> NotificationReason | None:
    """Return the reason to notify; None = stay quiet.

    entry: the last notification, None = none (or it was forgotten). firing, resolved: fingerprints
    of the group's alerts that are not muted. repeat_interval, now: seconds. "all alerts resolved"
    comes without send_resolved too: then nothing is sent, but the log entry must be written, so
    that the next firing is news again.
    """
    if entry is None:
        return "first notification" if firing else None
    if not firing <= set(entry.firing):
        return "new alerts added" if entry.firing else "first notification"
    if not firing:
        return "all alerts resolved" if entry.firing else None
    if send_resolved and not resolved <= set(entry.resolved):
        return "some alerts resolved"
    return "repeat interval elapsed" if entry.at < now - repeat_interval else None


def merge_alerts(old: Alert, new: Alert) -> Alert:
    """Merge the stored alert and the one now posted, of the same fingerprint, as Alertmanager does.

    Where the two do not overlap, the new one as it is. Otherwise the earlier start, and of the ends
    the one that says more: a resolution wins (the later of two), an end that was sent outlives an
    earlier one. "Now" is `new.updated_ns`.
    """
    if not _do_overlap(old, new):
        return new
    merged = new
    if old.starts_ns < new.starts_ns:
        merged = replace(merged, starts_ns=old.starts_ns, starts_offset=old.starts_offset)
    if _keeps_old_end(old, new):
        merged = replace(merged, ends_ns=old.ends_ns, ends_offset=old.ends_offset)
    return merged


def sort_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    """Sort as Alertmanager does.

    By job, then instance (an alert without it comes after), then fewer labels first, then by name
    and value.
    """
    keyed = [(_alert_sort_key(alert.labels), place, alert) for place, alert in enumerate(alerts)]
    # Some at a time: the interpreter can do nothing else while it sorts.
    parts = [sorted(keyed[at : at + SORTED_AT_ONCE]) for at in range(0, len(keyed), SORTED_AT_ONCE)]
    return [alert for _, _, alert in heapq.merge(*parts)]


def _do_overlap(old: Alert, new: Alert) -> bool:
    old_end = _end_ns(old)
    return old.starts_ns < _end_ns(new) < old_end or old.starts_ns < new.starts_ns < old_end


def _end_ns(alert: Alert) -> int:
    return alert.ends_ns or _NO_END


def _keeps_old_end(old: Alert, new: Alert) -> bool:
    # An alert without an end is one whose end nobody knew: it never outlives an end given now.
    if not 0 < new.ends_ns < old.ends_ns:
        return False
    now = new.updated_ns
    if new.ends_ns <= now:
        return old.ends_ns <= now
    return not old.timeout


def _alert_sort_key(labels: dict[str, str]) -> tuple[object, ...]:
    job, instance = labels.get("job"), labels.get("instance")
    pairs: list[object] = []  # flat: a tuple for each pair of 100,000 alerts would take its time
    for name, value in sorted(labels.items()):
        pairs += (_descending_key(name), value)
    return job is None, job or "", instance is None, instance or "", len(labels), pairs


@lru_cache(maxsize=4096)
def _descending_key(name: str) -> tuple[int, ...]:
    # Of two label sets that differ first in a name, the one without the smaller name comes first:
    # names sort backwards.
    return (*(-ord(char) for char in name), 1)
