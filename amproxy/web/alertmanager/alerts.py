"""GET /alerts and /alerts/groups: what is asked for, read and answered in parts.

Whoever reads an answer slowly keeps nobody else from reading: `Context.big_read` is held while a
part is made, not while it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from amproxy import offload
from amproxy.config.structs import Receiver, Route
from amproxy.context import Context
from amproxy.correlate.flusher import current_group
from amproxy.correlate.muting import evaluate_muting, load_manual_mutes
from amproxy.grouping import flush
from amproxy.grouping.dedup import sort_alerts
from amproxy.grouping.inhibition import FiringSources
from amproxy.grouping.muting import Muting
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Group
from amproxy.notify.alertmanager_texts import group_route_labels
from amproxy.store.all_alerts import (
    GroupContent,
    PackedAlert,
    load_contents,
    load_leases,
    load_packed,
)
from amproxy.store.groups import load_group, unpack_alert
from amproxy.web.alertmanager.http import (
    AlertmanagerQuery,
    AlertmanagerRequest,
    AlertmanagerResponse,
    AlertmanagerStream,
    list_response,
)
from amproxy.web.alertmanager.views import (
    ACTIVE,
    alert_json,
    group_json,
    receiver_labels,
    receivers_json,
    suppressed_json,
)

READ_AT_ONCE: Final = 2000  # alerts: few are held, and few commands read them
MADE_AT_ONCE: Final = (
    100  # alerts: less than a millisecond, and few enough for the processor's caches
)


class ListedGroup(NamedTuple):
    """A group with the fingerprints of its alerts, and its receiver by today's file."""

    group: Group
    receiver: Receiver
    fingerprints: list[bytes]


class Holder(NamedTuple):
    """A group as far as the list of alerts needs it."""

    id: str
    receivers: tuple[str, ...]  # the name of its one
    wanted: bool  # the query wants its receiver


# Fingerprint → the groups that hold the alert, in the order of the routes.
Holders = dict[bytes, tuple[Holder, ...]]
Receivers = dict[str, tuple[str, ...]]  # fingerprint → names of receivers


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
        return not self._filters or all_match(self._filters, alert.labels)

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

    async def all(self, request: AlertmanagerRequest) -> AlertmanagerResponse | AlertmanagerStream:
        """All firing alerts of a query, once each, by fingerprint.

        Like Alertmanager, list the receivers of all groups that hold an alert, in the order of the
        routes, even if the query wants one receiver.
        """
        return await list_response(request, self._alerts(AlertQuery(request.query)))

    async def groups(
        self, request: AlertmanagerRequest
    ) -> AlertmanagerResponse | AlertmanagerStream:
        """All groups with an alert of the query, by labels.

        The receivers of an alert are those of the query's groups that hold it, by name.
        """
        shows_muted = request.query.flag("muted")
        query = AlertQuery(request.query, muted=shows_muted)
        return await list_response(request, self._groups(query, shows_muted=shows_muted))

    async def _alerts(self, query: AlertQuery) -> AsyncIterator[bytes]:
        """The inside of the list of alerts."""
        context, now_ns = self._context, int(self._context.now() * 10**9)
        async with context.big_read:
            listed, size = await self._list_groups()
            holders, names = await offload.run(size, _find_holders, query, listed)
            await offload.scrap(listed, *(one.fingerprints for one in listed))
            mutes = await load_manual_mutes(context, now_ns)
        known = dict[str, FiringSources]()
        before = b""
        for start in range(0, len(names), READ_AT_ONCE):
            async with context.big_read:
                some, made = names[start : start + READ_AT_ONCE], list[bytes]()
                copies = await self._load_copies(holders, some)
                for at in range(0, len(some), MADE_AT_ONCE):
                    part, receivers = some[at : at + MADE_AT_ONCE], Receivers()
                    chosen = _choose_alerts(query, part, holders, copies, receivers, now_ns)
                    alerts = list(chosen)
                    muting = await evaluate_muting(context, mutes, alerts, now_ns, known)
                    made.append(b",".join(_alerts_json(query, alerts, receivers, muting)))
                    await asyncio.sleep(0)
            for piece in filter(None, made):
                yield before + piece
                before = b","

    async def _load_copies(
        self, holders: Holders, names: Iterable[bytes]
    ) -> dict[Holder, dict[bytes, PackedAlert]]:
        """Alerts as each of their groups has them now, by fingerprint."""
        wanted: dict[Holder, list[bytes]] = {}
        for name in names:
            for holder in holders[name]:
                wanted.setdefault(holder, []).append(name)
        packed = await load_packed(
            self._context.wire, [(holder.id, some) for holder, some in wanted.items()]
        )
        return dict(zip(wanted, packed, strict=True))

    async def _groups(self, query: AlertQuery, *, shows_muted: bool) -> AsyncIterator[bytes]:
        """The inside of the list of groups."""
        context, now = self._context, self._context.now()
        now_ns = int(now * 10**9)
        async with context.big_read:
            listed, size = await self._list_groups()
            listed = [one for one in listed if query.matches_receiver(one.receiver)]
            groups = [one.group for one in listed]
            muted = await offload.collect(self._mute_intervals(group, now) for group in groups)
            intervals = {group.id: found for group, found in zip(groups, muted, strict=True)}
            if not shows_muted:
                listed = [one for one in listed if not intervals[one.group.id]]
            listed = await offload.run(len(listed), _sort_groups, listed)
            receivers = await self._load_receivers(listed, size, now_ns)
            mutes = await load_manual_mutes(context, now_ns)
        known = dict[str, FiringSources]()
        opening = b""
        for together in _read_together(listed):
            async with context.big_read:
                some = [await self._fill_labels(one, now) for one in together]
                firing = await self._load_firing(query, some, now_ns)
                unique = {alert.fingerprint: alert for alerts in firing for alert in alerts}
                alerts = list(unique.values())
                muting = await evaluate_muting(context, mutes, alerts, now_ns, known)
                made = await offload.collect(
                    _groups_json(query, some, firing, receivers, muting, intervals)
                )
                await offload.scrap(unique, alerts, *firing, *muting)
            for at in range(0, len(made), MADE_AT_ONCE):
                yield opening + b"".join(made[at : at + MADE_AT_ONCE])
                opening = b""
            opening = b"," if made else opening

    async def _load_firing(
        self, query: AlertQuery, listed: Sequence[ListedGroup], now_ns: int
    ) -> list[list[Alert]]:
        """For each group the alerts that the query asks for, whatever mutes them, in order."""
        packed = await load_packed(
            self._context.wire, [(one.group.id, one.fingerprints) for one in listed]
        )
        groups: list[list[Alert]] = [[] for _ in listed]
        for place, alert in await offload.collect(_firing(query, packed, now_ns)):
            groups[place].append(alert)
        await offload.scrap(*packed)
        return [await offload.run(len(alerts), sort_alerts, alerts) for alerts in groups]

    async def _fill_labels(self, one: ListedGroup, now: float) -> ListedGroup:
        """The group with the labels of its route filled in, which may name any of its alerts."""
        context, group = self._context, one.group
        loaded = await load_group(context.wire, group.id) if group.route_labels else None
        if loaded is None:
            return one
        labels = group_route_labels(context.config, group, loaded.alerts, now, context.external_url)
        return one._replace(group=replace(group, route_labels=labels))

    async def _load_receivers(
        self, listed: Sequence[ListedGroup], size: int, now_ns: int
    ) -> Receivers:
        """The receivers, by name, of alerts that are in several groups."""
        found: dict[str, list[str]] = {}
        holding = await offload.run(size, _only_shared, listed)
        for some in _read_together(holding):
            leases = await load_leases(
                self._context.wire, [(one.group.id, one.fingerprints) for one in some]
            )
            for one, known in zip(some, leases, strict=True):
                for name, lease in known.items():
                    if lease.fires(now_ns):
                        found.setdefault(name.decode(), []).append(one.receiver.name)
        return {name: tuple(sorted(receivers)) for name, receivers in found.items()}

    async def _list_groups(self) -> tuple[list[ListedGroup], int]:
        """All groups, in the order of their routes, and how many alerts and groups there are.

        Those whose route is gone come last. with_labels: those of their routes are filled in.
        """
        contents = await load_contents(self._context.wire)
        size = len(contents) + sum(len(one.fingerprints) for one in contents)
        return await offload.run(len(contents), self._rank_groups, contents), size

    def _rank_groups(self, contents: Iterable[GroupContent]) -> list[ListedGroup]:
        order = {key: place for place, key in enumerate(_route_keys(self._context.config.route))}

        def rank(listed: ListedGroup) -> tuple[int, str, str]:
            group = listed.group
            place = order.get((group.receiver, group.route_key, group.twin), len(order))
            return place, group.key, listed.receiver.name

        return sorted(
            (
                ListedGroup(*current_group(self._context, one.group), one.fingerprints)
                for one in contents
            ),
            key=rank,
        )

    def _mute_intervals(self, group: Group, now: float) -> list[str]:
        try:
            return flush.active_mute_intervals(group, self._context.roster, now)
        except KeyError:  # the group's route is gone from the file, and its time interval with it
            return []


def _find_holders(query: AlertQuery, listed: Sequence[ListedGroup]) -> tuple[Holders, list[bytes]]:
    """The groups of each alert, and the fingerprints of those that the query may want, in order."""
    holders: Holders = {}
    lists: dict[tuple[Holder, ...], tuple[Holder, ...]] = {}  # thousands of alerts share a few
    for one in listed:
        holder = Holder(one.group.id, (one.receiver.name,), query.matches_receiver(one.receiver))
        alone = (holder,)
        for name in one.fingerprints:
            others = holders.get(name)
            if others is None:
                holders[name] = alone
            else:
                joined = (*others, holder)
                holders[name] = lists.setdefault(joined, joined)
    # Sorted in parts: the interpreter can do nothing else while it sorts.
    parts: dict[bytes, list[bytes]] = {}
    for name, found in holders.items():
        if any(holder.wanted for holder in found):
            parts.setdefault(name[:1], []).append(name)
    return holders, [name for first in sorted(parts) for name in sorted(parts[first])]


def _choose_alerts(
    query: AlertQuery,
    names: Iterable[bytes],
    holders: Holders,
    copies: Mapping[Holder, Mapping[bytes, PackedAlert]],
    receivers: Receivers,
    now_ns: int,
) -> Iterator[Alert]:
    """The alerts of a query, whatever mutes them. Adds their receivers to `receivers`."""
    for name in names:
        newest, shown, wanted = None, tuple[str, ...](), False
        for holder in holders[name]:
            packed = copies[holder].get(name)
            alert = unpack_alert(*packed) if packed else None
            if alert is None or alert.resolved(now_ns) or not query.matches_labels(alert):
                continue
            shown += holder.receivers
            if newest is None or newest.updated_ns < alert.updated_ns:
                newest = alert
            wanted = wanted or holder.wanted
        if newest is not None and wanted:
            receivers[newest.fingerprint] = shown
            yield newest


def _alerts_json(
    query: AlertQuery, alerts: Iterable[Alert], receivers: Receivers, muting: Muting
) -> Iterator[bytes]:
    for alert in alerts:
        if query.matches_state(alert, muting):
            yield _alert_json(alert, receivers[alert.fingerprint], muting, ())


def _only_shared(listed: Sequence[ListedGroup]) -> list[ListedGroup]:
    """The groups with those of their alerts that are in other groups too."""
    seen, shared = set[bytes](), set[bytes]()
    for one in listed:
        shared.update(seen.intersection(one.fingerprints))
        seen.update(one.fingerprints)
    if not shared:
        return []
    cut = (
        one._replace(fingerprints=[name for name in one.fingerprints if name in shared])
        for one in listed
    )
    return [one for one in cut if one.fingerprints]


def _sort_groups(listed: Iterable[ListedGroup]) -> list[ListedGroup]:
    return sorted(listed, key=_group_order)


def _read_together(listed: Iterable[ListedGroup]) -> Iterator[list[ListedGroup]]:
    """Cut into groups that are read together: a big one, or many small ones."""
    some, size = list[ListedGroup](), 0
    for one in listed:
        if some and size + len(one.fingerprints) > READ_AT_ONCE:
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one.fingerprints) + 1
    if some:
        yield some


def _firing(
    query: AlertQuery, groups: Iterable[Mapping[bytes, PackedAlert]], now_ns: int
) -> Iterator[tuple[int, Alert]]:
    """The place of a group, and an alert of it that the query asks for, whatever mutes it."""
    for place, packed in enumerate(groups):
        for one in packed.values():
            alert = unpack_alert(*one)
            if not alert.resolved(now_ns) and query.matches_labels(alert):
                yield place, alert


def _groups_json(
    query: AlertQuery,
    listed: Iterable[ListedGroup],
    groups: Iterable[Iterable[Alert]],
    receivers: Receivers,
    muting: Muting,
    intervals: Mapping[str, list[str]],
) -> Iterator[bytes]:
    """The groups that have any alert left, with commas between them.

    receivers: those of alerts in several groups; intervals: group id → names of time intervals.
    """
    before, some = b"", False
    for one, alerts in zip(listed, groups, strict=True):
        alone, muted_by = (one.receiver.name,), intervals[one.group.id]
        left = (
            _alert_json(alert, receivers.get(alert.fingerprint, alone), muting, muted_by)
            for alert in alerts
            if query.matches_state(alert, muting)
        )
        for piece in group_json(left, one.group, one.receiver):
            yield before + piece
            before = b""
            some = True
        before = b"," if some else b""


def _alert_json(
    alert: Alert, receivers: tuple[str, ...], muting: Muting, muted_by: Sequence[str]
) -> bytes:
    name, status = alert.fingerprint, ACTIVE
    if muted_by or muting.is_muted(alert):
        status = suppressed_json(
            muting.silenced_by.get(name, ()),
            muting.inhibited_by.get(name, ()),
            (*muted_by, *muting.maintained_by.get(name, ())),
        )
    return alert_json(alert, receivers_json(receivers), status)


def _route_keys(route: Route) -> Iterator[tuple[str, str, int]]:
    """All that tells routes apart, in the order in which an alert tries them."""
    yield route.receiver, route.key, route.twin
    for child in route.routes:
        yield from _route_keys(child)


def _group_order(listed: ListedGroup) -> tuple[object, ...]:
    """Alertmanager's order of groups: by label set, then by receiver.

    Fewer labels come first; of names that differ, the alphabetically later one does.
    """
    labels = sorted(listed.group.labels.items())
    # the 1 at the end puts a name after the longer ones that begin with it
    order = [((*(-ord(char) for char in name), 1), text) for name, text in labels]
    return (len(labels), order, listed.receiver.name)
