"""Alerts, groups and silences as the API shows them. The order of the fields is the order of the keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from amproxy.grouping import silences
from amproxy.labels.matchers import Matcher
from amproxy.model import Alert, Silence

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # naive on purpose: the sender's offset is added as it stands
_FIRST, _LAST = -62135596800, 253402300799  # seconds: the years 1 and 9999
_ZERO = "0001-01-01T00:00:00.000Z"  # Go's "no time"


# gc=False: there are thousands of them in an answer, they hold no cycles, and the collector would walk them all


class ShownReceiver(msgspec.Struct, gc=False):
    name: str


class AlertStatus(msgspec.Struct, gc=False):
    inhibitedBy: list[str]
    mutedBy: list[str]
    silencedBy: list[str]
    state: Literal["active", "suppressed"]


class ShownAlert(msgspec.Struct, gc=False):
    annotations: dict[str, str]
    endsAt: str
    fingerprint: str
    receivers: list[ShownReceiver]
    startsAt: str
    status: AlertStatus
    updatedAt: str
    generatorURL: str | UnsetType
    labels: dict[str, str]


class ShownGroup(msgspec.Struct):
    alerts: list[ShownAlert]
    labels: dict[str, str]
    receiver: ShownReceiver
    routeLabels: dict[str, str]


class ShownMatcher(msgspec.Struct):
    isEqual: bool
    isRegex: bool
    name: str
    value: str


class SilenceStatus(msgspec.Struct):
    state: silences.State


class ShownSilence(msgspec.Struct):
    id: str
    status: SilenceStatus
    updatedAt: str
    annotations: dict[str, str] | UnsetType
    comment: str
    createdBy: str
    endsAt: str
    matchers: list[ShownMatcher]
    startsAt: str


def alert(shown: Alert, receivers: list[str], *, silenced_by: list[str], inhibited_by: list[str], muted_by: list[str]) -> ShownAlert:
    """An alert that fires. Where it has no end of its own, the time at which it is over without news."""
    ends_ns, offset = (shown.ends_ns, 0 if shown.timeout else shown.ends_offset) if shown.ends_ns else (shown.lapses_ns, 0)
    return ShownAlert(
        annotations=shown.annotations,
        endsAt=time(ends_ns, offset) if ends_ns else _ZERO,
        fingerprint=shown.fingerprint,
        receivers=[ShownReceiver(name) for name in receivers],
        startsAt=time(shown.starts_ns, shown.starts_offset),
        status=AlertStatus(
            inhibitedBy=inhibited_by,
            mutedBy=muted_by,
            silencedBy=sorted(silenced_by),
            state="suppressed" if silenced_by or inhibited_by or muted_by else "active",
        ),
        updatedAt=time(shown.updated_ns),
        generatorURL=shown.generator_url or UNSET,
        labels=shown.labels,
    )


def silence(shown: Silence, now_ns: int) -> ShownSilence:
    """Of several sets of matchers the first: the API knows no more than one."""
    return ShownSilence(
        id=shown.id,
        status=SilenceStatus(silences.shown_state(shown, now_ns)),
        updatedAt=time(shown.updated_ns),
        annotations=shown.annotations or UNSET,
        comment=shown.comment,
        createdBy=shown.created_by,
        endsAt=time(shown.ends_ns),
        matchers=[_matcher(matcher) for matcher in shown.matcher_sets[0]],
        startsAt=time(shown.starts_ns),
    )


def _matcher(shown: Matcher) -> ShownMatcher:
    return ShownMatcher(isEqual=shown.op in ("=", "=~"), isRegex=shown.op in ("=~", "!~"), name=shown.name, value=shown.value)


@lru_cache(maxsize=8192)  # alerts that came in one push share their times
def time(ns: int, offset: int = 0) -> str:
    """Nanoseconds since 1970 as RFC 3339 with milliseconds, at an offset from UTC in minutes."""
    seconds, rest = divmod(ns, 10**9)
    clock = _EPOCH + timedelta(seconds=min(max(seconds + offset * 60, _FIRST), _LAST))
    return f"{clock.isoformat()}.{rest // 10**6:03}{_zone(offset)}"


def _zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}" if offset else "Z"
