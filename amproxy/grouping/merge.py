"""What becomes of an alert that is posted again, and the order of alerts in a message."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from msgspec.structs import replace

from amproxy.model import Alert

_FOREVER = 2**63  # later than any time in nanoseconds


def merge(old: Alert, new: Alert) -> Alert:
    """The stored alert and the one now posted, of the same fingerprint → what to store.

    Where the two do not overlap, the new one as it is. Otherwise the earlier start, and of the ends the one that says more:
    a resolution wins (the later of two), an end that was sent outlives an earlier one. "Now" is `new.updated_ns`.
    """
    if not _overlap(old, new):
        return new
    merged = new
    if old.starts_ns < new.starts_ns:
        merged = replace(merged, starts_ns=old.starts_ns, starts_offset=old.starts_offset)
    if _old_end_stands(old, new):
        merged = replace(merged, ends_ns=old.ends_ns, ends_offset=old.ends_offset)
    return merged


def sort_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    """Alertmanager's order: by job, then instance (who lacks it comes after), then fewer labels first, then by name and value."""
    return sorted(alerts, key=lambda alert: _rank(alert.labels))


def _overlap(old: Alert, new: Alert) -> bool:
    return old.starts_ns < _end(new) < _end(old) or old.starts_ns < new.starts_ns < _end(old)


def _end(alert: Alert) -> int:
    return alert.ends_ns or _FOREVER


def _old_end_stands(old: Alert, new: Alert) -> bool:
    # An alert without an end is one whose end nobody knew, so it never outlives an end that is now given.
    if not 0 < new.ends_ns < old.ends_ns:
        return False
    now = new.updated_ns
    if new.ends_ns <= now:
        return old.ends_ns <= now
    return not old.timeout


def _rank(labels: dict[str, str]) -> tuple[object, ...]:
    job, instance = labels.get("job"), labels.get("instance")
    pairs = tuple((_later_first(name), value) for name, value in sorted(labels.items()))
    return job is None, job or "", instance is None, instance or "", len(labels), pairs


@lru_cache(maxsize=4096)
def _later_first(name: str) -> tuple[int, ...]:
    # Of two sets that differ first in a name, the one that lacks the smaller name comes first: names sort backwards.
    return (*(-ord(char) for char in name), 1)
