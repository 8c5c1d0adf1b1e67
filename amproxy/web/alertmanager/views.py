"""The JSON of alerts, groups and silences.

The order of a struct's fields is that of the JSON keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from amproxy.clock import Timestamp
from amproxy.config.structs import Receiver
from amproxy.grouping import silences
from amproxy.labels.matchers import Matcher
from amproxy.model import Alert, Group, Silence
from amproxy.web.alertmanager.http import encode_value

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # naive: the sender's offset is added to it
_MIN_SECONDS, _MAX_SECONDS = -62135596800, 253402300799  # Unix seconds of the years 1 and 9999
_ZERO_TIME = "0001-01-01T00:00:00.000Z"  # Go's "no time"


class GettableReceiver(msgspec.Struct):
    name: str


class AlertStatus(msgspec.Struct):
    inhibitedBy: list[str]
    mutedBy: list[str]
    silencedBy: list[str]
    state: Literal["active", "suppressed"]


class GettableAlert(msgspec.Struct, gc=False):  # thousands come and go
    annotations: dict[str, str]
    endsAt: str
    fingerprint: str
    receivers: msgspec.Raw  # a list of GettableReceiver
    startsAt: str
    status: msgspec.Raw  # an AlertStatus
    updatedAt: str
    generatorURL: str | UnsetType
    labels: dict[str, str]


class GettableAlertGroup(msgspec.Struct):
    """All of a group but its alerts, which come before it."""

    labels: dict[str, str]
    receiver: GettableReceiver
    routeLabels: dict[str, str]


class GettableMatcher(msgspec.Struct):
    isEqual: bool
    isRegex: bool
    name: str
    value: str


class SilenceStatus(msgspec.Struct):
    state: silences.SilenceState


class GettableSilence(msgspec.Struct, kw_only=True):
    id: str
    status: SilenceStatus
    updatedAt: Timestamp
    annotations: dict[str, str] | UnsetType = UNSET
    comment: str
    createdBy: str
    endsAt: Timestamp
    matchers: list[GettableMatcher]
    startsAt: Timestamp


def alert_json(alert: Alert, receivers: msgspec.Raw, status: msgspec.Raw) -> bytes:
    """The JSON of a firing alert. Its end, if the sender gave none, is the resolve timeout's."""
    if alert.ends_ns:
        ends_ns, offset = alert.ends_ns, 0 if alert.timeout else alert.ends_offset
    else:
        ends_ns, offset = alert.lapses_ns, 0
    return encode_value(
        GettableAlert(
            alert.annotations,
            format_time(ends_ns, offset) if ends_ns else _ZERO_TIME,
            alert.fingerprint,
            receivers,
            format_time(alert.starts_ns, alert.starts_offset),
            status,
            format_time(alert.updated_ns),
            alert.generator_url or UNSET,
            alert.labels,
        )
    )


def group_json(alerts: Iterable[bytes], group: Group, receiver: Receiver) -> Iterator[bytes]:
    """The JSON of a group in pieces, from that of its alerts; none where it has none."""
    before = b'{"alerts":['
    for alert in alerts:
        yield before + alert
        before = b","
    if before == b",":
        receiver_view = GettableReceiver(receiver.name)
        rest = GettableAlertGroup(group.labels, receiver_view, group.route_labels)
        yield b"]," + encode_value(rest)[1:]


@lru_cache(maxsize=1024)  # thousands of alerts share a few lists
def receivers_json(names: tuple[str, ...]) -> msgspec.Raw:
    """A list of receivers."""
    return msgspec.Raw(encode_value([GettableReceiver(name) for name in names]))


def suppressed_json(
    silenced_by: Sequence[str], inhibited_by: Sequence[str], muted_by: Sequence[str]
) -> msgspec.Raw:
    """The status of an alert that something mutes."""
    status = AlertStatus(list(inhibited_by), list(muted_by), sorted(silenced_by), "suppressed")
    return msgspec.Raw(encode_value(status))


ACTIVE: Final = msgspec.Raw(encode_value(AlertStatus([], [], [], "active")))


def view_silence(silence: Silence, now_ns: int) -> GettableSilence:
    """The JSON of a silence, with the first of its sets of matchers: the API knows only one."""
    return GettableSilence(
        id=silence.id,
        status=SilenceStatus(silences.display_state(silence, now_ns)),
        updatedAt=format_time(silence.updated_ns),
        annotations=silence.annotations or UNSET,
        comment=silence.comment,
        createdBy=silence.created_by,
        endsAt=format_time(silence.ends_ns),
        matchers=[_view_matcher(matcher) for matcher in silence.matcher_sets[0]],
        startsAt=format_time(silence.starts_ns),
    )


def _view_matcher(matcher: Matcher) -> GettableMatcher:
    return GettableMatcher(
        isEqual=matcher.op in ("=", "=~"),
        isRegex=matcher.op in ("=~", "!~"),
        name=matcher.name,
        value=matcher.value,
    )


def receiver_labels(receiver: Receiver) -> dict[str, str]:
    """The labels that `receiver_matchers` is compared with: the receiver's, and its name."""
    return {**receiver.labels, "name": receiver.name}


@lru_cache(maxsize=8192)  # alerts that came in one push share their times
def format_time(ns: int, offset: int = 0) -> str:
    """Unix nanoseconds as RFC 3339 with milliseconds, at an offset from UTC in minutes."""
    seconds, rest = divmod(ns, 10**9)
    clock = _EPOCH + timedelta(seconds=min(max(seconds + offset * 60, _MIN_SECONDS), _MAX_SECONDS))
    return f"{clock.isoformat()}.{rest // 10**6:03}{_offset_zone(offset)}"


def _offset_zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}" if offset else "Z"
