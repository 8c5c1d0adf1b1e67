"""The answers of GET /alerts and /alerts/groups as they are to be, made from everything at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from amproxy.config.structs import Receiver, Route
from amproxy.context import Context
from amproxy.correlate.flusher import current_group
from amproxy.correlate.muting import look_up_muting
from amproxy.grouping.dedup import sort_alerts
from amproxy.grouping.flush import active_mute_intervals
from amproxy.grouping.muting import Muting
from amproxy.model import Alert, Group
from amproxy.store.groups import load_groups
from amproxy.web.alertmanager.alerts import AlertQuery
from amproxy.web.alertmanager.http import AlertmanagerQuery
from amproxy.web.alertmanager.views import format_time


class Shown(NamedTuple):
    group: Group
    receiver: Receiver
    alerts: list[Alert]  # that fire and match the query's labels


async def expected_alerts(context: Context, query: str) -> bytes:
    asked = AlertQuery(AlertmanagerQuery(query.encode()))
    shown = await _shown(context, asked)
    copies: dict[str, list[tuple[Receiver, Alert]]] = {}
    for one in shown:
        for alert in one.alerts:
            copies.setdefault(alert.fingerprint, []).append((one.receiver, alert))
    muting = await _muting(context, shown)
    listed = []
    for _, held in sorted(copies.items()):
        newest = max((alert for _, alert in held), key=lambda alert: alert.updated_ns)
        wanted = any(asked.matches_receiver(receiver) for receiver, _ in held)
        if wanted and asked.matches_state(newest, muting):
            listed.append(_alert(newest, [receiver.name for receiver, _ in held], muting, []))
    return _encoded(listed)


async def expected_groups(context: Context, query: str) -> bytes:
    parsed = AlertmanagerQuery(query.encode())
    asked = AlertQuery(parsed, muted=parsed.flag("muted"))
    shown = [one for one in await _shown(context, asked) if asked.matches_receiver(one.receiver)]
    intervals = {
        one.group.id: active_mute_intervals(one.group, context.roster, context.now())
        for one in shown
    }
    if not parsed.flag("muted"):
        shown = [one for one in shown if not intervals[one.group.id]]
    muting = await _muting(context, shown)
    receivers: dict[str, list[str]] = {}
    for one in shown:
        one.alerts[:] = [alert for alert in one.alerts if asked.matches_state(alert, muting)]
        for alert in one.alerts:
            receivers.setdefault(alert.fingerprint, []).append(one.receiver.name)
    return _encoded(
        [
            {
                "alerts": [
                    _alert(
                        alert,
                        sorted(receivers[alert.fingerprint]),
                        muting,
                        intervals[one.group.id],
                    )
                    for alert in sort_alerts(one.alerts)
                ],
                "labels": dict(sorted(one.group.labels.items())),
                "receiver": {"name": one.receiver.name},
                "routeLabels": dict(sorted(one.group.route_labels.items())),
            }
            for one in sorted(shown, key=_group_order)
            if one.alerts
        ]
    )


async def _shown(context: Context, asked: AlertQuery) -> list[Shown]:
    """All groups in the order of their routes."""
    now_ns, routes = int(context.now() * 10**9), _keys(context.config.route)
    shown = []
    for loaded in await load_groups(context.wire):
        group, receiver = current_group(context, loaded.group)
        alerts = [
            alert
            for alert in loaded.alerts
            if not alert.resolved(now_ns) and asked.matches_labels(alert)
        ]
        shown.append(Shown(group, receiver, alerts))
    return sorted(
        shown, key=lambda one: (routes.index(one.group.route_key), one.group.key, one.receiver.name)
    )


def _keys(route: Route) -> list[str]:
    return [route.key, *(key for child in route.routes for key in _keys(child))]


async def _muting(context: Context, shown: list[Shown]) -> Muting:
    alerts = {alert.fingerprint: alert for one in shown for alert in one.alerts}
    return await look_up_muting(context, list(alerts.values()), int(context.now() * 10**9))


def _alert(
    alert: Alert, receivers: list[str], muting: Muting, muted_by: list[str]
) -> dict[str, Any]:
    name, ends_ns = alert.fingerprint, alert.ends_ns or alert.lapses_ns
    offset = alert.ends_offset if alert.ends_ns and not alert.timeout else 0
    status = {
        "inhibitedBy": muting.inhibited_by.get(name, []),
        "mutedBy": [*muted_by, *muting.maintained_by.get(name, [])],
        "silencedBy": sorted(muting.silenced_by.get(name, [])),
    }
    return {
        "annotations": dict(sorted(alert.annotations.items())),
        "endsAt": format_time(ends_ns, offset) if ends_ns else "0001-01-01T00:00:00.000Z",
        "fingerprint": name,
        "receivers": [{"name": receiver} for receiver in receivers],
        "startsAt": format_time(alert.starts_ns, alert.starts_offset),
        "status": {**status, "state": "suppressed" if any(status.values()) else "active"},
        "updatedAt": format_time(alert.updated_ns),
        **({"generatorURL": alert.generator_url} if alert.generator_url else {}),
        "labels": dict(sorted(alert.labels.items())),
    }


def _group_order(one: Shown) -> tuple[object, ...]:
    labels = sorted(one.group.labels.items())
    backwards = [((*(-ord(char) for char in name), 1), text) for name, text in labels]
    return len(labels), backwards, one.receiver.name


def _encoded(listed: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(listed) + b"\n"
