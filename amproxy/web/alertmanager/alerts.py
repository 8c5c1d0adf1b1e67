"""GET /alerts and GET /alerts/groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from amproxy.config.structs import Receiver, Route
from amproxy.context import Context
from amproxy.correlate.flusher import in_force
from amproxy.correlate.muting import Muting, look
from amproxy.grouping import flush
from amproxy.grouping.merge import sort_alerts
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Group
from amproxy.store.reading import all_groups
from amproxy.web.alertmanager import shown
from amproxy.web.alertmanager.answers import Answer, value
from amproxy.web.alertmanager.http import Asked, Query


class Held(NamedTuple):
    """A group with what fires in it, by the file that is in force."""

    group: Group
    receiver: Receiver
    alerts: list[Alert]


class Wanted:
    """Which alerts a query asks for. There are no unprocessed ones here, so `unprocessed` keeps nothing and drops nothing."""

    def __init__(self, query: Query, *, muted: bool = True) -> None:
        self.filters = query.matchers("filter")
        self._receiver, self._receiver_labels = query.receiver(), query.matchers("receiver_matchers")
        self._active, self._silenced, self._inhibited = query.flag("active"), query.flag("silenced"), query.flag("inhibited")
        self._muted = muted

    def receiver(self, receiver: Receiver) -> bool:
        if self._receiver is not None and not self._receiver.matches({"receiver": receiver.name}):
            return False
        return all_match(self._receiver_labels, labels_of(receiver))

    def labels(self, alert: Alert) -> bool:
        return all_match(self.filters, alert.labels)

    def state(self, alert: Alert, muting: Muting) -> bool:
        if not muting.holds(alert):
            return self._active
        silenced, inhibited = alert.fingerprint in muting.silenced_by, alert.fingerprint in muting.inhibited_by
        maintained = alert.fingerprint in muting.maintained_by
        return (self._silenced or not silenced) and (self._inhibited or not inhibited) and (self._muted or not maintained)


def labels_of(receiver: Receiver) -> dict[str, str]:
    """What `receiver_matchers` is held against: the receiver's labels and its name."""
    return {**receiver.labels, "name": receiver.name}


class Alerts:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, asked: Asked) -> Answer:
        """Every alert that fires, once, by fingerprint; with the receivers of all groups that hold it, in the order of the routes."""
        wanted, now = Wanted(asked.query), self._context.now()
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
        muting = await look(self._context, found, int(now * 10**9))
        return value([_shown(alert, receivers, muting, []) for alert in found if wanted.state(alert, muting)])

    async def groups(self, asked: Asked) -> Answer:
        """Every group that holds an alert asked for, by its labels; an alert's receivers are those of the groups asked for, by name."""
        query, now = asked.query, self._context.now()
        muted_too = query.flag("muted")
        wanted = Wanted(query, muted=muted_too)
        found = [
            held._replace(alerts=list(filter(wanted.labels, held.alerts)))
            for held in await self._held(now)
            if wanted.receiver(held.receiver)
        ]
        muting = await look(self._context, list(_once(found)), int(now * 10**9))
        found = [held._replace(alerts=[alert for alert in held.alerts if wanted.state(alert, muting)]) for held in found]
        receivers: dict[str, list[str]] = {}
        for held in sorted(found, key=lambda held: held.receiver.name):
            for alert in held.alerts:
                receivers.setdefault(alert.fingerprint, []).append(held.receiver.name)
        groups = []
        for held in sorted((held for held in found if held.alerts), key=_rank):
            muted_by = self._muted_by(held.group, now)
            if muted_too or not muted_by:
                groups.append(
                    shown.ShownGroup(
                        alerts=[_shown(alert, receivers, muting, muted_by) for alert in sort_alerts(held.alerts)],
                        labels=held.group.labels,
                        receiver=shown.ShownReceiver(held.receiver.name),
                        routeLabels=held.group.route_labels,
                    )
                )
        return value(groups)

    async def _held(self, now: float) -> list[Held]:
        """All groups, in the order of their routes; those whose route is gone come last."""
        now_ns = int(now * 10**9)
        order = {key: place for place, key in enumerate(_route_keys(self._context.config.route))}
        found = []
        for loaded in await all_groups(self._context.wire):
            group, receiver = in_force(self._context, loaded.group)
            found.append(Held(group, receiver, [alert for alert in loaded.alerts if not alert.resolved(now_ns)]))
        return sorted(found, key=lambda held: (order.get(held.group.route_key, len(order)), held.group.key, held.receiver.name))

    def _muted_by(self, group: Group, now: float) -> list[str]:
        try:
            return flush.muted(group, self._context.roster, now)
        except KeyError:  # the group's route is gone from the file, and its time interval with it
            return []


def _route_keys(route: Route) -> Iterator[str]:
    """In the order in which an alert tries the routes."""
    yield route.key
    for child in route.routes:
        yield from _route_keys(child)


def _once(found: Iterable[Held]) -> Iterator[Alert]:
    """Each alert once, however many groups hold it."""
    return iter({alert.fingerprint: alert for held in found for alert in held.alerts}.values())


def _shown(alert: Alert, receivers: dict[str, list[str]], muting: Muting, muted_by: list[str]) -> shown.ShownAlert:
    return shown.alert(
        alert,
        receivers[alert.fingerprint],
        silenced_by=muting.silenced_by.get(alert.fingerprint, []),
        inhibited_by=muting.inhibited_by.get(alert.fingerprint, []),
        muted_by=[*muted_by, *muting.maintained_by.get(alert.fingerprint, [])],
    )


def _rank(held: Held) -> tuple[object, ...]:
    """Alertmanager's order of label sets (fewer labels first; of names that differ, the later one first), then of receivers."""
    labels = sorted(held.group.labels.items())
    return len(labels), [((*(-ord(char) for char in name), 1), text) for name, text in labels], held.receiver.name
