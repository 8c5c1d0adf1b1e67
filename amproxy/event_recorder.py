"""Events of alerts, groups, notifications and silences, in the JSON of Alertmanager's recorder.

Whoever records an event waits for nothing: it joins a bounded queue, and is made into JSON when it
is written (notify/event_outputs.py). One that finds the queue full is dropped and counted.

The JSON is what protobuf makes of Alertmanager's schema events.v2: names in camel case, 64-bit
numbers as text, nothing that is empty.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from amproxy import clock, metrics
from amproxy.config.structs import EventRecorderSettings, InhibitRule
from amproxy.labels.fingerprint import fingerprint
from amproxy.labels.matchers import Matcher
from amproxy.model import Alert, Group, LogEntry, OutgoingMessage, Silence

QUEUE_SIZE: Final = 8192  # events, as Alertmanager's

Message = dict[str, Any]  # of protobuf, as JSON has it
# Makes the message of an event. Called in another thread, when the event is written.
Build = Callable[[], Message]

_encode = msgspec.json.Encoder().encode
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECONDS: Final = 253402300799  # the end of the year 9999
_NO_TIME: Final = "0001-01-01T00:00:00Z"  # Go's zero time: an alert that fires has this end
_TYPES: Final = {"=": "EQUAL", "=~": "REGEXP", "!=": "NOT_EQUAL", "!~": "NOT_REGEXP"}
_REASONS: Final = {
    "first notification": "FIRST_NOTIFICATION",
    "new alerts added": "NEW_ALERTS_IN_GROUP",
    "some alerts resolved": "NEW_RESOLVED_ALERTS",
    "all alerts resolved": "ALL_ALERTS_RESOLVED",
    "repeat interval elapsed": "REPEAT_INTERVAL_ELAPSED",
}


class PendingEvent(NamedTuple):
    """An event that is recorded once what it is about is stored."""

    kind: str  # "alert_created": as metrics name it
    build: Build
    size: int = 1  # alerts


class QueuedEvent(NamedTuple):
    """An event that waits to be written."""

    kind: str
    at_ns: int
    build: Build
    size: int  # alerts

    def encode(self, instance: str) -> bytes:
        """The event as JSON, in one line without its end."""
        first, *others = self.kind.split("_")
        data = {first + "".join(map(str.capitalize, others)): self.build()}
        event = {"@timestamp": _timestamp(self.at_ns), "instance": instance, "data": data}
        return _encode(event)


class EventRecorder:
    """The queue of events of this process. It takes none while the file names no output."""

    def __init__(self, now: Callable[[], float] = clock.now) -> None:
        self._now = now
        self.instance = socket.gethostname()
        self.settings = EventRecorderSettings()
        self.active = False
        self.changed = asyncio.Event()  # there are events, or other settings
        self._waiting: deque[QueuedEvent] = deque()

    def use(self, settings: EventRecorderSettings) -> None:
        """Put other outputs in force."""
        self.settings = settings
        self.active = bool(settings.files or settings.webhooks)
        self.changed.set()

    def record(self, kind: str, build: Build, size: int = 1) -> None:
        """Take an event, or drop it; a few microseconds either way, and it never fails.

        size: the number of its alerts.
        """
        self.record_all([PendingEvent(kind, build, size)])

    def record_all(self, events: Iterable[PendingEvent]) -> None:
        """The same of many; some hundred thousand hold nobody up."""
        if not self.active:
            return
        dropped, at_ns = Counter[str](), int(self._now() * 10**9)
        for kind, build, size in events:
            if len(self._waiting) < QUEUE_SIZE:
                self._waiting.append(QueuedEvent(kind, at_ns, build, size))
            else:
                dropped[kind] += 1
        for kind, number in dropped.items():
            metrics.events_dropped.labels(kind).inc(number)
        metrics.event_queue.set(len(self._waiting))
        self.changed.set()

    def take(self, most: int) -> list[QueuedEvent]:
        """Take out the oldest events."""
        number = min(most, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(number)]
        metrics.event_queue.set(len(self._waiting))
        return taken


# The messages of the schema.


def startup(version: str, build_context: str) -> Message:
    return _message(version=version, buildContext=build_context)


def alert_created(make: Callable[[], Alert], now_ns: int) -> Message:
    """The message of an alert that is new. make: makes the alert as it was pushed."""
    return {"alert": _alert(make(), now_ns)}


def alert_grouped(make: Callable[[], Alert], group: Group, now_ns: int) -> Message:
    """The message of an alert that has come into a group."""
    return {"alert": _grouped(make(), now_ns), "groupInfo": _group(group)}


def alert_resolved(alert: Alert, group: Group, now_ns: int) -> Message:
    """The message of an alert that is over and leaves its group."""
    return {"alert": _grouped(alert, now_ns), "groupInfo": _group(group)}


def silence_changed(silence: Silence) -> Message:
    """The message of a silence that was made or changed."""
    return {"silence": _silence(silence)}


def silence_muted_alert(silence: Silence, alert: Alert) -> Message:
    return {"silence": _silence(silence), "mutedAlert": _muted(alert)}


def inhibition_muted_alert(
    rule: InhibitRule | None, alert: Alert, sources: Iterable[str]
) -> Message:
    """The message of an alert that another mutes. sources: fingerprints of those that do."""
    return _message(
        inhibitRules=[_rule(rule)] if rule else [],
        mutedAlert=_muted(alert),
        inhibitingFingerprints=[_number(source) for source in sources],
    )


class Notified(NamedTuple):
    """A notification that has arrived, and the group that it was about."""

    group: Group
    matchers: tuple[Matcher, ...]  # of the group's route
    kind: str  # of the integration: "webhook"
    place: int  # in its list
    reason: str
    log: LogEntry
    alerts: tuple[Alert, ...]  # all of the group's, those that were muted or left out too
    flush: int  # the how-manieth of the group
    now_ns: int


def notification(told: Notified) -> Message:
    firing, resolved = frozenset(told.log.firing), frozenset(told.log.resolved)
    muted = [one for one in told.alerts if one.fingerprint not in firing | resolved]
    return _message(
        alerts=[
            _grouped(one, told.now_ns, firing=one.fingerprint in firing) for one in told.alerts
        ],
        firingAlerts=[_reference(one) for one in told.alerts if one.fingerprint in firing],
        resolvedAlerts=[_reference(one) for one in told.alerts if one.fingerprint in resolved],
        mutedAlerts=list(map(_reference, muted)),
        groupInfo=_group(told.group)
        | _message(
            matchers=list(map(_matcher, told.matchers)),
            groupUuid=_uuid(told.group),
        ),
        repeatInterval=_duration(told.group.repeat_interval),
        reason=f"NOTIFY_REASON_{_REASONS.get(told.reason, 'UNSPECIFIED')}",
        flushId=str(told.flush),
        integration=_message(name=told.kind, index=str(told.place) if told.place else ""),
    )


def message_told(
    message: OutgoingMessage, matchers: tuple[Matcher, ...], now_ns: int
) -> Notified | None:
    """A message of a receiver that was delivered; None where it is no notification."""
    if message.group is None or message.log is None:
        return None
    kind, _, index = message.integration.rpartition("/")
    return Notified(
        message.group,
        matchers,
        kind,
        int(index),
        message.reason,
        message.log,
        (*message.alerts, *message.others),
        message.flush_number,
        now_ns,
    )


def resolved_events(
    alerts: Iterable[Alert], removed: Iterable[str], group: Group, now_ns: int
) -> list[PendingEvent]:
    """An `alert_resolved` for each alert that was removed from its group."""
    known = {alert.fingerprint: alert for alert in alerts}
    return [
        PendingEvent("alert_resolved", partial(alert_resolved, known[name], group, now_ns))
        for name in removed
        if name in known
    ]


def _message(**fields: Any) -> Message:
    """A message without its empty fields."""
    return {name: value for name, value in fields.items() if value}


def _alert(alert: Alert, now_ns: int, *, firing: bool = False) -> Message:
    over = not firing and alert.resolved(now_ns)
    ends_ns = alert.ends_ns or alert.lapses_ns if over else alert.ends_ns
    return _message(
        fingerprint=_fingerprint(alert),
        name=alert.labels.get("alertname", ""),
        labels=_sorted(alert.labels),
        annotations=_sorted(alert.annotations),
        startsAt=_timestamp(alert.starts_ns),
        endsAt=_NO_TIME if firing or not ends_ns else _timestamp(ends_ns),
        resolved=over,
    )


def _grouped(alert: Alert, now_ns: int, *, firing: bool = False) -> Message:
    details = _alert(alert, now_ns, firing=firing)
    return {"fingerprint": details["fingerprint"], "details": details}


def _reference(alert: Alert) -> Message:
    return {"fingerprint": _fingerprint(alert)}


def _muted(alert: Alert) -> Message:
    return _message(labels=_sorted(alert.labels), fingerprint=_fingerprint(alert))


def _group(group: Group) -> Message:
    return _message(
        groupKey=group.key,
        groupLabels=_sorted(group.labels),
        groupId=hashlib.sha256(group.key.encode()).hexdigest(),
        receiverName=group.receiver,
    )


def _uuid(group: Group) -> str:
    """Alertmanager's is made anew with each group; this one tells groups apart just as well."""
    return str(uuid.UUID(bytes=hashlib.blake2b(group.id.encode(), digest_size=16).digest()))


def _silence(silence: Silence) -> Message:
    sets = [list(map(_matcher, matchers)) for matchers in silence.matcher_sets]
    return _message(
        id=silence.id,
        matchers=sets[0] if sets else [],
        annotations=_sorted(silence.annotations),
        startsAt=_timestamp(silence.starts_ns),
        endsAt=_timestamp(silence.ends_ns),
        updatedAt=_timestamp(silence.updated_ns),
        createdBy=silence.created_by,
        comment=silence.comment,
        matcherSets=[_message(matchers=matchers) for matchers in sets],
    )


def _rule(rule: InhibitRule) -> Message:
    return _message(
        sourceMatchers=list(map(_matcher, rule.source_matchers)),
        targetMatchers=list(map(_matcher, rule.target_matchers)),
        equalLabels=sorted(set(rule.equal)),
        name=rule.name,
    )


def _matcher(matcher: Matcher) -> Message:
    return _message(
        type=f"TYPE_{_TYPES[matcher.op]}",
        name=matcher.name,
        pattern=matcher.value,
        rendered=str(matcher),
    )


def _fingerprint(alert: Alert) -> str:
    return _number(alert.fingerprint, alert.labels)


def _number(hexadecimal: str, labels: Mapping[str, str] | None = None) -> str:
    """A fingerprint as a number. A sender may have one of another form: then that of the labels."""
    try:
        return str(int(hexadecimal, 16) & 0xFFFFFFFFFFFFFFFF)
    except ValueError:
        return str(int(fingerprint(labels or {"": hexadecimal}), 16))


def _sorted(pairs: Mapping[str, str]) -> Message:
    return dict(sorted(pairs.items()))


def _timestamp(ns: int) -> str:
    """A time as protobuf's JSON has it: in UTC, with 0, 3, 6 or 9 digits of a second."""
    seconds, rest = divmod(ns, 10**9)
    at = _EPOCH + timedelta(seconds=min(max(seconds, 0), _LATEST_SECONDS))
    return f"{at:%Y-%m-%dT%H:%M:%S}{_fraction(rest)}Z"


def _duration(seconds: float) -> str:
    whole, rest = divmod(round(seconds * 10**9), 10**9)
    return f"{whole}{_fraction(rest)}s"


def _fraction(ns: int) -> str:
    digits = f"{ns:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}" if digits else ""
