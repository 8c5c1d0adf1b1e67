"""What a flush finds held back by silences and windows, compared with what the last one wrote: pure. Most flushes change nothing."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from amproxy.correlate.muting import Muting
from amproxy.model import Alert, Following, Group
from amproxy.store.groups import Loaded
from amproxy.store.hidden import MOST, Hidden, Seen

SEEN_EVERY = 3600.0  # seconds: so often it is written that an alert is still held back


class Found(NamedTuple):
    """What is to be written."""

    seen: list[Seen]
    following: Following


def found(loaded: Loaded, group: Group, muting: Muting, told: Set[str], now: float) -> Found | None:
    """None = there is nothing new to write. told: fingerprints of the firing alerts that this flush tells; now: Unix seconds."""
    before = loaded.following
    if not (before or muting.silenced_by or muting.maintained_by):
        return None
    was = before.by if before else {}
    held = _held(loaded.alerts, muting, was)
    again = before is None or now - before.at >= SEEN_EVERY
    now_ns, seen, following = int(now * 10**9), list[Seen](), dict[str, list[str]]()
    for alert in loaded.alerts:
        name = alert.fingerprint
        known, causes = was.get(name, []), held.get(name, [])
        over = alert.resolved(now_ns)
        told_now = not causes and name in told
        if told_now:
            seen += [Seen(by, _hidden(alert, group, now, told=now)) for by in known]
        else:
            seen += [Seen(by, _hidden(alert, group, now)) for by in causes if again or over or by not in known]
        if not over and not told_now and (known or causes):
            following[name] = list(dict.fromkeys((*known, *causes)))
    if not seen and following == was:
        return None
    return Found(seen, Following(at=now, by=following))


def _held(alerts: list[Alert], muting: Muting, was: dict[str, list[str]]) -> dict[str, list[str]]:
    """Fingerprint → what holds it back; of very many alerts those that are followed already, and as many more as there is room for."""
    held: dict[str, list[str]] = {}
    for alert in sorted(alerts, key=lambda alert: alert.fingerprint not in was):
        causes = [f"silence:{name}" for name in muting.silenced_by.get(alert.fingerprint, ())]
        causes += [f"maintenance:{name}" for name in muting.maintained_by.get(alert.fingerprint, ())]
        if causes and len(held) < MOST:
            held[alert.fingerprint] = causes
    return held


def _hidden(alert: Alert, group: Group, now: float, told: float | None = None) -> Hidden:
    return Hidden(
        fingerprint=alert.fingerprint, labels=alert.labels, group=group.id, receiver=group.receiver, first=now, last=now, told=told
    )
