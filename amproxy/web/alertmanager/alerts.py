"""GET /alerts and /alerts/groups, and the JSON of alerts, groups and silences.

The order of a struct's fields is that of the JSON keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from amproxy import offload
from amproxy.clock import Timestamp
from amproxy.config.structs import Receiver, Route
from amproxy.context import Context
from amproxy.correlate.flusher import current_group
from amproxy.correlate.muting import look_up_muting
from amproxy.grouping import flush, silences
from amproxy.grouping.dedup import sort_alerts
from amproxy.grouping.muting import Muting
from amproxy.labels.matchers import Matcher, all_match
from amproxy.model import Alert, Group, LoadedGroup, Silence
from amproxy.store.groups import load_groups
from amproxy.web.alertmanager.http import (
    AlertmanagerQuery,
    AlertmanagerRequest,
    AlertmanagerResponse,
    encode_list,
)

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # naive: the sender's offset is added to it
_MIN_SECONDS, _MAX_SECONDS = -62135596800, 253402300799  # Unix seconds of the years 1 and 9999
_ZERO_TIME = "0001-01-01T00:00:00.000Z"  # Go's "no time"


# gc=False: a response has thousands of them; they hold no cycles, and the collector would walk
# them all.


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
    alerts: msgspec.Raw  # a list of GettableAlert
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


def view_alert(
    alert: Alert,
    receivers: list[str],
    *,
    silenced_by: list[str],
    inhibited_by: list[str],
    muted_by: list[str],
) -> GettableAlert:
    """The JSON of a firing alert. Its end, if the sender gave none, is the resolve timeout's."""
    if alert.ends_ns:
        ends_ns, offset = alert.ends_ns, 0 if alert.timeout else alert.ends_offset
    else:
        ends_ns, offset = alert.lapses_ns, 0
    return GettableAlert(
        annotations=alert.annotations,
        endsAt=format_time(ends_ns, offset) if ends_ns else _ZERO_TIME,
        fingerprint=alert.fingerprint,
        receivers=[GettableReceiver(name) for name in receivers],
        startsAt=format_time(alert.starts_ns, alert.starts_offset),
        status=AlertStatus(
            inhibitedBy=inhibited_by,
            mutedBy=muted_by,
            silencedBy=sorted(silenced_by),
            state="suppressed" if silenced_by or inhibited_by or muted_by else "active",
        ),
        updatedAt=format_time(alert.updated_ns),
        generatorURL=alert.generator_url or UNSET,
        labels=alert.labels,
    )


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


class FiringGroup(NamedTuple):
    """A group with its firing alerts, and its receiver by the current configuration."""

    group: Group
    receiver: Receiver
    alerts: list[Alert]


class AlertQuery:
    """The filters of a query. `unprocessed` is ignored: amproxy has no unprocessed alerts."""

    def __init__(self, query: AlertmanagerQuery, *, muted: bool = True) -> None:
        self._filters = query.matchers("filter")
        self._receiver = query.receiver()
        self._receiver_matchers = query.matchers("receiver_matchers")
        self._active = query.flag("active")
        self._silenced = query.flag("silenced")
        self._inhibited = query.flag("inhibited")
        self._muted = muted

    def matches_receiver(self, receiver: Receiver) -> bool:
        if self._receiver is not None and not self._receiver.matches({"receiver": receiver.name}):
            return False
        return all_match(self._receiver_matchers, receiver_labels(receiver))

    def matches_labels(self, alert: Alert) -> bool:
        return all_match(self._filters, alert.labels)

    def matches_state(self, alert: Alert, muting: Muting) -> bool:
        if not muting.is_muted(alert):
            return self._active
        name = alert.fingerprint
        return (
            (self._silenced or name not in muting.silenced_by)
            and (self._inhibited or name not in muting.inhibited_by)
            and (self._muted or name not in muting.maintained_by)
        )


class AlertmanagerAlertsApi:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """All firing alerts of a query, once each, by fingerprint.

        Like Alertmanager, list the receivers of all groups that hold an alert, in the order of the
        routes, even if the query wants one receiver.
        """
        query, now = AlertQuery(request.query), self._context.now()
        async with self._context.big_read:
            groups, size = await self._firing_groups(now)
            alerts, receivers = await offload.run(size, _choose_alerts, query, groups)
            muting = await look_up_muting(self._context, alerts, int(now * 10**9))
            body = await offload.run(size, _alerts_json, query, alerts, receivers, muting)
            await offload.scrap(*(one.alerts for one in groups), alerts, receivers, *muting)
        return AlertmanagerResponse(200, body + b"\n")

    async def groups(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """All groups with an alert of the query, by labels.

        The receivers of an alert are those of the query's groups that hold it, by name.
        """
        now, shows_muted = self._context.now(), request.query.flag("muted")
        query = AlertQuery(request.query, muted=shows_muted)
        async with self._context.big_read:
            groups, size = await self._firing_groups(now)
            listed = await offload.run(size, _choose_groups, query, groups)
            alerts = await offload.run(size, _unique_alerts, listed)
            muting = await look_up_muting(self._context, alerts, int(now * 10**9))
            muted_by = {one.group.id: self._mute_intervals(one.group, now) for one in listed}
            if not shows_muted:
                listed = [one for one in listed if not muted_by[one.group.id]]
            body = await offload.run(size, _groups_json, query, listed, muting, muted_by)
            await offload.scrap(*(one.alerts for one in (*groups, *listed)), alerts, *muting)
        return AlertmanagerResponse(200, body + b"\n")

    async def _firing_groups(self, now: float) -> tuple[list[FiringGroup], int]:
        """All groups, in the order of their routes, and how many alerts and groups there are.

        Those whose route is gone come last.
        """
        loaded = await load_groups(self._context.wire)
        size = len(loaded) + sum(len(one.alerts) for one in loaded)
        ranked = await offload.run(size, self._rank_groups, loaded, int(now * 10**9))
        await offload.scrap(*(one.alerts for one in loaded), *(one.revisions for one in loaded))
        return ranked, size

    def _rank_groups(self, groups: list[LoadedGroup], now_ns: int) -> list[FiringGroup]:
        order = {key: place for place, key in enumerate(_route_keys(self._context.config.route))}

        def rank(firing: FiringGroup) -> tuple[int, str, str]:
            place = order.get(firing.group.route_key, len(order))
            return place, firing.group.key, firing.receiver.name

        listed = []
        for loaded in groups:
            group, receiver = current_group(self._context, loaded.group)
            alerts = [alert for alert in loaded.alerts if not alert.resolved(now_ns)]
            listed.append(FiringGroup(group, receiver, alerts))
        return sorted(listed, key=rank)

    def _mute_intervals(self, group: Group, now: float) -> list[str]:
        try:
            return flush.active_mute_intervals(group, self._context.roster, now)
        except KeyError:  # the group's route is gone from the file, and its time interval with it
            return []


Receivers = dict[str, list[str]]  # fingerprint → names of receivers


def _choose_alerts(
    query: AlertQuery, groups: Iterable[FiringGroup]
) -> tuple[list[Alert], Receivers]:
    """The alerts of a query, whatever mutes them, and the receivers of each."""
    receivers: Receivers = {}
    newest: dict[str, Alert] = {}
    wanted: set[str] = set()
    for firing in groups:
        receiver_matches = query.matches_receiver(firing.receiver)
        for alert in filter(query.matches_labels, firing.alerts):
            name = alert.fingerprint
            receivers.setdefault(name, []).append(firing.receiver.name)
            if name not in newest or newest[name].updated_ns < alert.updated_ns:
                newest[name] = alert
            if receiver_matches:
                wanted.add(name)
    return [newest[name] for name in sorted(wanted)], receivers


def _alerts_json(
    query: AlertQuery, alerts: Iterable[Alert], receivers: Receivers, muting: Muting
) -> bytes:
    return encode_list(
        _gettable_alert(alert, receivers, muting, [])
        for alert in alerts
        if query.matches_state(alert, muting)
    )


def _choose_groups(query: AlertQuery, groups: Iterable[FiringGroup]) -> list[FiringGroup]:
    """The groups of a query with its alerts, whatever mutes them."""
    return [
        firing._replace(alerts=list(filter(query.matches_labels, firing.alerts)))
        for firing in groups
        if query.matches_receiver(firing.receiver)
    ]


def _groups_json(
    query: AlertQuery,
    groups: Iterable[FiringGroup],
    muting: Muting,
    muted_by: Mapping[str, list[str]],
) -> bytes:
    """muted_by: group id → names of time intervals."""
    listed = [
        firing._replace(
            alerts=[alert for alert in firing.alerts if query.matches_state(alert, muting)]
        )
        for firing in groups
    ]
    receivers: Receivers = {}
    for firing in sorted(listed, key=lambda firing: firing.receiver.name):
        for alert in firing.alerts:
            receivers.setdefault(alert.fingerprint, []).append(firing.receiver.name)
    return encode_list(
        _gettable_group(firing, receivers, muting, muted_by[firing.group.id])
        for firing in sorted((firing for firing in listed if firing.alerts), key=_group_order)
    )


def _route_keys(route: Route) -> Iterator[str]:
    """The keys of all routes, in the order in which an alert tries them."""
    yield route.key
    for child in route.routes:
        yield from _route_keys(child)


def _unique_alerts(groups: Iterable[FiringGroup]) -> list[Alert]:
    """Each alert once, however many groups hold it."""
    return list({alert.fingerprint: alert for group in groups for alert in group.alerts}.values())


def _gettable_group(
    firing: FiringGroup, receivers: Receivers, muting: Muting, muted_by: list[str]
) -> GettableAlertGroup:
    alerts = (
        _gettable_alert(alert, receivers, muting, muted_by) for alert in sort_alerts(firing.alerts)
    )
    return GettableAlertGroup(
        alerts=msgspec.Raw(encode_list(alerts)),
        labels=firing.group.labels,
        receiver=GettableReceiver(firing.receiver.name),
        routeLabels=firing.group.route_labels,
    )


def _gettable_alert(
    alert: Alert, receivers: Receivers, muting: Muting, muted_by: list[str]
) -> GettableAlert:
    return view_alert(
        alert,
        receivers[alert.fingerprint],
        silenced_by=muting.silenced_by.get(alert.fingerprint, []),
        inhibited_by=muting.inhibited_by.get(alert.fingerprint, []),
        muted_by=[*muted_by, *muting.maintained_by.get(alert.fingerprint, [])],
    )


def _group_order(firing: FiringGroup) -> tuple[object, ...]:
    """Alertmanager's order of groups: by label set, then by receiver.

    Fewer labels come first; of names that differ, the alphabetically later one does.
    """
    labels = sorted(firing.group.labels.items())
    # the 1 at the end puts a name after the longer ones that begin with it
    order = [((*(-ord(char) for char in name), 1), text) for name, text in labels]
    return (len(labels), order, firing.receiver.name)
