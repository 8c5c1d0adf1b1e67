"""Whether a group is notified again, decided from what was told last."""

from __future__ import annotations

from collections.abc import Set

from amproxy.model import LogEntry, Reason


def needs_notify(
    entry: LogEntry | None, firing: Set[str], resolved: Set[str], *, send_resolved: bool, repeat_interval: float, now: float
) -> Reason | None:
    """The reason to notify; None = stay quiet.

    entry: what was told last, None = nothing (or it was forgotten). firing, resolved: fingerprints of the group's alerts
    that are not muted. repeat_interval, now: seconds. "all alerts resolved" comes without send_resolved too: then nothing
    is sent, but the log entry must be written, so that the next firing is news again.
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
