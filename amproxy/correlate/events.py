"""Events of pushes and flushes for the event recorder: gathered here, recorded once stored."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from amproxy import offload
from amproxy.context import Context
from amproxy.correlate.incoming import UNKNOWN_CONTENT, IncomingAlert
from amproxy.correlate.muting import load_inhibition_sources
from amproxy.correlate.writes import has_ended
from amproxy.event_recorder import (
    Notified,
    PendingEvent,
    alert_created,
    alert_grouped,
    inhibition_muted_alert,
    notification,
    resolved_events,
    silence_muted_alert,
)
from amproxy.grouping.flush import DueNotification, FlushDecision
from amproxy.grouping.inhibition import InhibitionIndex, InhibitionSource, inhibiting_rule
from amproxy.grouping.muting import Muting
from amproxy.model import Alert, Group, LoadedGroup, Silence


def entry_events(
    groups: Iterable[tuple[Group, dict[str, IncomingAlert]]],
    stored: Iterable[Sequence[bytes | None]],
    now_ns: int,
) -> list[PendingEvent]:
    """The events of alerts that fire and are in none of their groups yet, or not in all.

    stored: of each group the packed leases of its alerts, None for one that is not stored.
    """
    known, grouped = set[str](), list[tuple[Group, str, IncomingAlert]]()
    for (group, alerts), leases in zip(groups, stored, strict=True):
        for (name, incoming), lease in zip(alerts.items(), leases, strict=True):
            if lease is not None:
                known.add(name)
            elif not has_ended(incoming.ends_ns, now_ns):
                grouped.append((group, name, incoming))
    # What a reload moves is not new.
    created = {
        name: one
        for _, name, one in grouped
        if name not in known and one.content != UNKNOWN_CONTENT
    }
    return [
        *(
            PendingEvent("alert_created", partial(alert_created, one.make, now_ns))
            for one in created.values()
        ),
        *(
            PendingEvent("alert_grouped", partial(alert_grouped, one.make, group, now_ns))
            for group, _, one in grouped
        ),
    ]


class FlushEvents(NamedTuple):
    """The events of a flush. `removed` is filled in by its commit."""

    group: Group
    muted: list[PendingEvent]
    paged: list[PendingEvent]  # notifications of people: they have arrived once they are stored
    resolved: list[Alert]  # those that may be deleted
    removed: list[str]  # fingerprints of those that were
    now_ns: int

    async def record(self, context: Context) -> None:
        """Record them, after the commit."""
        ended = await offload.run(
            len(self.resolved),
            *(resolved_events, self.resolved, self.removed, self.group, self.now_ns),
        )
        context.events.record_all((*self.muted, *self.paged, *ended))


async def flush_events(
    context: Context,
    loaded: LoadedGroup,
    group: Group,
    muting: Muting,
    decision: FlushDecision,
    now_ns: int,
) -> FlushEvents:
    """Gather the events of a flush that is decided. Raises StoreUnavailable."""
    size, by = len(loaded.alerts), muting.inhibited_by
    inhibited = await offload.run(size, _alerts_in, loaded.alerts, by) if by else []
    sources = await load_inhibition_sources(context, inhibited) if inhibited else {}
    muted = await offload.run(
        size, _inhibited, context.placer.inhibition, inhibited, sources, muting, now_ns
    )
    if not decision.muted_by:  # what a time interval mutes is held against no silence
        silences = await context.silences.all(context.wire) if muting.silenced_by else {}
        muted += await offload.run(size, _silenced, silences, loaded.alerts, muting)
    paged = await offload.run(size, _paged, context, loaded, group, decision, now_ns)
    over = {name for name, _ in decision.resolved}
    resolved = await offload.run(size, _alerts_in, loaded.alerts, over) if over else []
    return FlushEvents(group, muted, paged, resolved, [], now_ns)


def _alerts_in(alerts: Iterable[Alert], names: Container[str]) -> list[Alert]:
    return [alert for alert in alerts if alert.fingerprint in names]


def other_alerts(loaded: LoadedGroup, due: DueNotification) -> list[Alert]:
    """The alerts of a group that a notification does not carry."""
    carried = {alert.fingerprint for alert in due.alerts}
    return [alert for alert in loaded.alerts if alert.fingerprint not in carried]


def flush_number(loaded: LoadedGroup) -> int:
    """The how-manieth flush of a group comes next."""
    return int(loaded.version or 0) + 1


def _inhibited(
    rules: InhibitionIndex,
    alerts: Iterable[Alert],
    sources: Mapping[str, Sequence[InhibitionSource]],
    muting: Muting,
    now_ns: int,
) -> list[PendingEvent]:
    found = []
    for alert in alerts:
        rule = inhibiting_rule(rules, alert.labels, sources, now_ns)
        by = tuple(muting.inhibited_by[alert.fingerprint])
        build = partial(inhibition_muted_alert, rule, alert, by)
        found.append(PendingEvent("inhibition_muted_alert", build))
    return found


def _silenced(
    silences: Mapping[str, Silence], alerts: Iterable[Alert], muting: Muting
) -> list[PendingEvent]:
    return [
        PendingEvent(
            "silence_muted_alert", partial(silence_muted_alert, silences[silence_id], alert)
        )
        for alert in alerts
        if alert.fingerprint not in muting.inhibited_by
        for silence_id in muting.silenced_by.get(alert.fingerprint, ())
        if silence_id in silences
    ]


def _paged(
    context: Context, loaded: LoadedGroup, group: Group, decision: FlushDecision, now_ns: int
) -> list[PendingEvent]:
    route, found = context.route_of(group), list[PendingEvent]()
    for due in decision.notifications:
        if due.integration.kind != "oncall":
            continue
        told = Notified(
            group,
            route.matchers if route else (),
            due.integration.kind,
            due.integration.index,
            due.reason,
            due.log_entry,
            (*due.alerts, *other_alerts(loaded, due)),
            flush_number(loaded),
            now_ns,
        )
        found.append(PendingEvent("notification", partial(notification, told), len(told.alerts)))
    return found
