"""Alerts, groups and silences as the API shows them. The order of the fields is the order of the keys.

GET /alerts and GET /alerts/groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from amproxy.config.structs import Receiver, Route
from amproxy.context import Context
from amproxy.correlate.flusher import current_group
from amproxy.correlate.muting import Muting, look_up_muting
from amproxy.grouping import flush, silences
from amproxy.grouping.dedup import sort_alerts
from amproxy.labels.matchers import Matcher, all_match
from amproxy.model import Alert, Group, Silence
from amproxy.store.groups import load_groups
from amproxy.web.alertmanager.http import AlertmanagerQuery, AlertmanagerRequest, AlertmanagerResponse, value_response

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # naive on purpose: the sender's offset is added as it stands
_MIN_SECONDS, _MAX_SECONDS = -62135596800, 253402300799  # seconds: the years 1 and 9999
_ZERO_TIME = "0001-01-01T00:00:00.000Z"  # Go's "no time"


# gc=False: there are thousands of them in an answer, they hold no cycles, and the collector would walk them all


class GettableReceiver(msgspec.Struct, gc=False):
    name: str


class AlertStatus(msgspec.Struct, gc=False):
    inhibitedBy: list[str]
    mutedBy: list[str]
    silencedBy: list[str]
    state: Literal["active", "suppressed"]


class GettableAlert(msgspec.Struct, gc=False):
    annotations: dict[str, str]
    endsAt: str
    fingerprint: str
    receivers: list[GettableReceiver]
    startsAt: str
    status: AlertStatus
    updatedAt: str
    generatorURL: str | UnsetType
    labels: dict[str, str]


class GettableAlertGroup(msgspec.Struct):
    alerts: list[GettableAlert]
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


class GettableSilence(msgspec.Struct):
    id: str
    status: SilenceStatus
    updatedAt: str
    annotations: dict[str, str] | UnsetType
    comment: str
    createdBy: str
    endsAt: str
    matchers: list[GettableMatcher]
    startsAt: str


def view_alert(
    shown: Alert, receivers: list[str], *, silenced_by: list[str], inhibited_by: list[str], muted_by: list[str]
) -> GettableAlert:
    """An alert that fires. Where it has no end of its own, the time at which it is over without news."""
    ends_ns, offset = (shown.ends_ns, 0 if shown.timeout else shown.ends_offset) if shown.ends_ns else (shown.lapses_ns, 0)
    return GettableAlert(
        annotations=shown.annotations,
        endsAt=format_time(ends_ns, offset) if ends_ns else _ZERO_TIME,
        fingerprint=shown.fingerprint,
        receivers=[GettableReceiver(name) for name in receivers],
        startsAt=format_time(shown.starts_ns, shown.starts_offset),
        status=AlertStatus(
            inhibitedBy=inhibited_by,
            mutedBy=muted_by,
            silencedBy=sorted(silenced_by),
            state="suppressed" if silenced_by or inhibited_by or muted_by else "active",
        ),
        updatedAt=format_time(shown.updated_ns),
        generatorURL=shown.generator_url or UNSET,
        labels=shown.labels,
    )


def view_silence(shown: Silence, now_ns: int) -> GettableSilence:
    """Of several sets of matchers the first: the API knows no more than one."""
    return GettableSilence(
        id=shown.id,
        status=SilenceStatus(silences.display_state(shown, now_ns)),
        updatedAt=format_time(shown.updated_ns),
        annotations=shown.annotations or UNSET,
        comment=shown.comment,
        createdBy=shown.created_by,
        endsAt=format_time(shown.ends_ns),
        matchers=[_view_matcher(matcher) for matcher in shown.matcher_sets[0]],
        startsAt=format_time(shown.starts_ns),
    )


def _view_matcher(shown: Matcher) -> GettableMatcher:
    return GettableMatcher(isEqual=shown.op in ("=", "=~"), isRegex=shown.op in ("=~", "!~"), name=shown.name, value=shown.value)


@lru_cache(maxsize=8192)  # alerts that came in one push share their times
def format_time(ns: int, offset: int = 0) -> str:
    """Nanoseconds since 1970 as RFC 3339 with milliseconds, at an offset from UTC in minutes."""
    seconds, rest = divmod(ns, 10**9)
    clock = _EPOCH + timedelta(seconds=min(max(seconds + offset * 60, _MIN_SECONDS), _MAX_SECONDS))
    return f"{clock.isoformat()}.{rest // 10**6:03}{_offset_zone(offset)}"


def _offset_zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}" if offset else "Z"


class FiringGroup(NamedTuple):
    """A group with what fires in it, by the file that is in force."""

    group: Group
    receiver: Receiver
    alerts: list[Alert]


class AlertQuery:
    """Which alerts a query asks for. There are no unprocessed ones here, so `unprocessed` keeps nothing and drops nothing."""

    def __init__(self, query: AlertmanagerQuery, *, muted: bool = True) -> None:
        self.filters = query.matchers("filter")
        self._receiver, self._receiver_labels = query.receiver(), query.matchers("receiver_matchers")
        self._active, self._silenced, self._inhibited = query.flag("active"), query.flag("silenced"), query.flag("inhibited")
        self._muted = muted

    def receiver(self, receiver: Receiver) -> bool:
        if self._receiver is not None and not self._receiver.matches({"receiver": receiver.name}):
            return False
        return all_match(self._receiver_labels, receiver_labels(receiver))

    def labels(self, alert: Alert) -> bool:
        return all_match(self.filters, alert.labels)

    def state(self, alert: Alert, muting: Muting) -> bool:
        if not muting.holds(alert):
            return self._active
        silenced, inhibited = alert.fingerprint in muting.silenced_by, alert.fingerprint in muting.inhibited_by
        maintained = alert.fingerprint in muting.maintained_by
        return (self._silenced or not silenced) and (self._inhibited or not inhibited) and (self._muted or not maintained)


def receiver_labels(receiver: Receiver) -> dict[str, str]:
    """What `receiver_matchers` is held against: the receiver's labels and its name."""
    return {**receiver.labels, "name": receiver.name}


class AlertmanagerAlertsApi:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """Every alert that fires, once, by fingerprint; with the receivers of all groups that hold it, in the order of the routes."""
        wanted, now = AlertQuery(asked.query), self._context.now()
        receivers: dict[str, list[str]] = {}
        newest: dict[str, Alert] = {}
        asked_for: set[str] = set()
        for held in await self._held(now):
            right = wanted.receiver(held.receiver)
            for alert in filter(wanted.labels, held.alerts):
                name = alert.fingerprint
                receivers.setdefault(name, []).append(held.receiver.name)
                known = newest.get(name)
                newest[name] = alert if known is None or known.updated_ns < alert.updated_ns else known
                if right:
                    asked_for.add(name)
        found = [newest[name] for name in sorted(asked_for)]
        muting = await look_up_muting(self._context, found, int(now * 10**9))
        return value_response([_gettable_alert(alert, receivers, muting, []) for alert in found if wanted.state(alert, muting)])

    async def groups(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """Every group that holds an alert asked for, by its labels; an alert's receivers are those of the groups asked for, by name."""
        query, now = asked.query, self._context.now()
        muted_too = query.flag("muted")
        wanted = AlertQuery(query, muted=muted_too)
        found = [
            held._replace(alerts=list(filter(wanted.labels, held.alerts)))
            for held in await self._held(now)
            if wanted.receiver(held.receiver)
        ]
        muting = await look_up_muting(self._context, list(_unique_alerts(found)), int(now * 10**9))
        found = [held._replace(alerts=[alert for alert in held.alerts if wanted.state(alert, muting)]) for held in found]
        receivers: dict[str, list[str]] = {}
        for held in sorted(found, key=lambda held: held.receiver.name):
            for alert in held.alerts:
                receivers.setdefault(alert.fingerprint, []).append(held.receiver.name)
        groups = []
        for held in sorted((held for held in found if held.alerts), key=_group_order):
            muted_by = self._muted_by(held.group, now)
            if muted_too or not muted_by:
                groups.append(
                    GettableAlertGroup(
                        alerts=[_gettable_alert(alert, receivers, muting, muted_by) for alert in sort_alerts(held.alerts)],
                        labels=held.group.labels,
                        receiver=GettableReceiver(held.receiver.name),
                        routeLabels=held.group.route_labels,
                    )
                )
        return value_response(groups)

    async def _held(self, now: float) -> list[FiringGroup]:
        """All groups, in the order of their routes; those whose route is gone come last."""
        now_ns = int(now * 10**9)
        order = {key: place for place, key in enumerate(_route_keys(self._context.config.route))}
        found = []
        for loaded in await load_groups(self._context.wire):
            group, receiver = current_group(self._context, loaded.group)
            found.append(FiringGroup(group, receiver, [alert for alert in loaded.alerts if not alert.resolved(now_ns)]))
        return sorted(found, key=lambda held: (order.get(held.group.route_key, len(order)), held.group.key, held.receiver.name))

    def _muted_by(self, group: Group, now: float) -> list[str]:
        try:
            return flush.active_mute_intervals(group, self._context.roster, now)
        except KeyError:  # the group's route is gone from the file, and its time interval with it
            return []


def _route_keys(route: Route) -> Iterator[str]:
    """In the order in which an alert tries the routes."""
    yield route.key
    for child in route.routes:
        yield from _route_keys(child)


def _unique_alerts(found: Iterable[FiringGroup]) -> Iterator[Alert]:
    """Each alert once, however many groups hold it."""
    return iter({alert.fingerprint: alert for held in found for alert in held.alerts}.values())


def _gettable_alert(alert: Alert, receivers: dict[str, list[str]], muting: Muting, muted_by: list[str]) -> GettableAlert:
    return view_alert(
        alert,
        receivers[alert.fingerprint],
        silenced_by=muting.silenced_by.get(alert.fingerprint, []),
        inhibited_by=muting.inhibited_by.get(alert.fingerprint, []),
        muted_by=[*muted_by, *muting.maintained_by.get(alert.fingerprint, [])],
    )


def _group_order(held: FiringGroup) -> tuple[object, ...]:
    """Alertmanager's order of label sets (fewer labels first; of names that differ, the later one first), then of receivers."""
    labels = sorted(held.group.labels.items())
    return len(labels), [((*(-ord(char) for char in name), 1), text) for name, text in labels], held.receiver.name
