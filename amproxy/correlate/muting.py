"""Muting looked up in Redis: what mutes a group's alerts or an incident's, and the window timers.

Each maintenance window has a timer for its next change. When a window closes, the flush of every
group that has a matching alert is brought forward: what still fires is notified at once, without
waiting for group_interval.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from amproxy import offload
from amproxy.clock import utc
from amproxy.config.structs import InhibitRule, Maintenance
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.grouping.maintenance import OpenWindows, is_open, next_change
from amproxy.grouping.muting import (
    IncidentMuting,
    InhibitionSource,
    ManualMutes,
    Muting,
    SourceKey,
    decide_hold,
    describe_muting,
    find_inhibiting_alert,
    find_maintenance,
    find_silenced,
    firing_sources,
    target_keys,
    window_key,
)
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Incident, LoadedGroup
from amproxy.store import groups, keys, leases, muting
from amproxy.store.commit import Operations, commit
from amproxy.store.leases import Timer

WINDOW_TRIES = 20  # each loses to a flush of the group that was quicker
KEYS_AT_ONCE = 200  # of sources: so few hold up nobody

_decode_source = msgspec.msgpack.Decoder(InhibitionSource).decode


async def load_manual_mutes(context: Context, now_ns: int) -> ManualMutes:
    """The silences and windows in force at `now_ns`. Raises StoreUnavailable.

    One small look-up while nothing changes.
    """
    wire = context.wire
    versions = await wire.call("MGET", keys.SILENCES_VERSION, keys.MAINTENANCE_VERSION)
    silences = await context.silences.at(wire, versions[0])
    windows = await context.windows.at(wire, versions[1])
    active = [one for one in silences.values() if one.starts_ns <= now_ns <= one.ends_ns]
    return ManualMutes(active, context.open_windows.open_now(windows, now_ns / 10**9), windows)


async def look_up_muting(context: Context, alerts: Sequence[Alert], now_ns: int) -> Muting:
    """The muting of these alerts at `now_ns`. Raises StoreUnavailable."""
    return await evaluate_muting(context, await load_manual_mutes(context, now_ns), alerts, now_ns)


async def evaluate_muting(
    context: Context, mutes: ManualMutes, alerts: Sequence[Alert], now_ns: int
) -> Muting:
    """The same where silences and windows are loaded already. Raises StoreUnavailable."""
    return Muting(
        await offload.run(len(alerts), find_silenced, mutes.silences, alerts),
        await _look_up_inhibition(context, alerts, now_ns),
        await offload.run(
            len(alerts), find_maintenance, context.open_windows, mutes, alerts, now_ns
        ),
    )


async def load_muting_reasons(
    context: Context, alerts: Sequence[Alert], now_ns: int
) -> dict[str, list[str]]:
    """Fingerprint → the reasons that mute an alert, for people. Raises StoreUnavailable.

    Alerts that nothing mutes are left out.
    """
    mutes = await load_manual_mutes(context, now_ns)
    muted = await evaluate_muting(context, mutes, alerts, now_ns)
    return await offload.run(len(alerts), describe_muting, mutes, muted)


async def find_hold(context: Context, incident: Incident) -> tuple[str, float] | None:
    """The reason why an incident must not page now, and the time of the next check; None = it may.

    The time is Unix seconds, always later than now. It may page as long as an alert of it fires
    that nothing mutes, or none fires. Where nothing could mute anything this costs one small
    look-up. Raises StoreUnavailable.
    """
    if not incident.group:  # opened by hand
        return None
    now = context.now()
    now_ns = int(now * 10**9)
    mutes = await load_manual_mutes(context, now_ns)
    if not (mutes.silences or mutes.open_windows or context.config.inhibit_rules):
        return None
    firing = await _load_firing_alerts(context, incident, now_ns)
    muted = await evaluate_muting(context, mutes, firing, now_ns)
    return await offload.run(len(firing), decide_hold, mutes, muted, firing, now)


async def load_incident_muting(context: Context, incident: Incident) -> IncidentMuting:
    """All that may mute an incident's alerts from now on. Raises StoreUnavailable."""
    now_ns, wire = int(context.now() * 10**9), context.wire
    silences, windows = await context.silences.all(wire), await context.windows.all(wire)
    alerts = await _load_firing_alerts(context, incident, now_ns) if incident.group else []
    return IncidentMuting(
        alerts,
        list(silences.values()),
        windows,
        # of its own: the one of the context remembers the present
        OpenWindows(context.config),
        await _look_up_inhibition(context, alerts, now_ns),
    )


async def _load_firing_alerts(context: Context, incident: Incident, now_ns: int) -> list[Alert]:
    """The firing alerts of an incident's groups: those stored with it miss later pushes."""
    alerts: dict[str, Alert] = {}
    for group_id in (incident.group, *incident.parts):
        loaded = await groups.load_group(context.wire, group_id)
        for alert in loaded.alerts if loaded else ():
            if not alert.resolved(now_ns):
                alerts[alert.fingerprint] = alert
    return list(alerts.values())


async def _look_up_inhibition(
    context: Context, alerts: Sequence[Alert], now_ns: int
) -> dict[str, list[str]]:
    rules, size = context.config.inhibit_rules, len(alerts)
    if not rules:
        return {}
    wanted, names = await offload.run(size, _wanted_sources, rules, alerts)
    sources: dict[str, list[InhibitionSource]] = {}
    for start in range(0, len(names), KEYS_AT_ONCE):
        some = names[start : start + KEYS_AT_ONCE]
        answers = [context.wire.call("HVALS", keys.source(key)) for key in some]
        for key, answer in zip(some, answers, strict=True):
            stored = await answer
            sources[key] = await offload.run(len(stored), _decode_sources, stored)
    over = await offload.run(size, _ended_sources, sources, now_ns)
    _remove_sources(context, over)
    inhibited = await offload.run(size, _find_inhibited, wanted, sources, now_ns)
    await offload.scrap(wanted, sources)
    return inhibited


def _wanted_sources(
    rules: Iterable[InhibitRule], alerts: Iterable[Alert]
) -> tuple[dict[str, list[SourceKey]], list[str]]:
    """Fingerprint → the keys to look for sources under, where a rule may mute it; and all keys."""
    wanted = {
        alert.fingerprint: found for alert in alerts if (found := target_keys(rules, alert.labels))
    }
    return wanted, list({key for found in wanted.values() for key, _ in found})


def _decode_sources(stored: Iterable[bytes]) -> list[InhibitionSource]:
    return list(map(_decode_source, stored))


def _find_inhibited(
    wanted: Mapping[str, list[SourceKey]],
    sources: Mapping[str, Sequence[InhibitionSource]],
    now_ns: int,
) -> dict[str, list[str]]:
    """Fingerprint → that of the alert which mutes it."""
    firing = {key: firing_sources(found, now_ns) for key, found in sources.items()}
    return {
        fingerprint: [source]
        for fingerprint, found in wanted.items()
        if (source := find_inhibiting_alert(found, firing))
    }


def _ended_sources(
    sources: Mapping[str, Sequence[InhibitionSource]], now_ns: int
) -> dict[str, list[str]]:
    """Key → fingerprints of the sources under it that ended."""
    return {
        key: over
        for key, found in sources.items()
        if (over := [source.fingerprint for source in found if 0 < source.ends_ns <= now_ns])
    }


def _remove_sources(context: Context, over: Mapping[str, Sequence[str]]) -> None:
    """Delete some sources that ended, in the background."""
    for key, fingerprints in itertools.islice(over.items(), KEYS_AT_ONCE):
        # Nobody waits for it: a failure, and what is beyond, is left for the next look-up.
        context.wire.call("HDEL", keys.source(key), *fingerprints[:KEYS_AT_ONCE]).add_done_callback(
            lambda answer: answer.exception()
        )


async def schedule_window_timers(context: Context) -> None:
    """Set the timer of every window that has none, or a later one. Raises StoreUnavailable.

    For a start and a reload.
    """
    operations = Operations()
    for window in context.open_windows.all(await context.windows.all(context.wire)):
        if (change := _next_window_change(context, window)) is not None:
            muting.schedule_window_check(operations, window_key(window), change)
    if operations.ops:
        await commit(context.wire, operations)


async def handle_window_timer(context: Context, timer: Timer) -> None:
    """Flush what still fires where the window has closed; set the next timer.

    Raises StoreUnavailable.
    """
    windows = context.open_windows.all(await context.windows.all(context.wire))
    window = next((window for window in windows if window_key(window) == timer.id), None)
    if window is None:  # gone from the file: the reload has begun all groups anew
        await leases.drop(context.wire, timer)
        return
    if not is_open(window, context.config.time_intervals, utc(context.now())):
        await _flush_still_firing(context, window)
    # Only now: after a crash in between, the old timer comes again and the groups are flushed.
    operations = Operations()
    muting.set_next_window_check(operations, timer.id, _next_window_change(context, window))
    await commit(context.wire, operations)


def _next_window_change(context: Context, window: Maintenance) -> float | None:
    change = next_change(window, context.config.time_intervals, utc(context.now()))
    return None if change is None else change.timestamp()


async def _flush_still_firing(context: Context, window: Maintenance) -> None:
    for loaded in await groups.load_groups(context.wire):
        await _flush_group_now(context, window, loaded)
    context.wake(timers=True)


async def _flush_group_now(context: Context, window: Maintenance, first: LoadedGroup) -> None:
    loaded: LoadedGroup | None = first
    for _ in range(WINDOW_TRIES):
        # a group that was never flushed has its first flush before it, after group_wait
        if loaded is None or not loaded.version or not _has_firing(context, loaded, window):
            return
        if await commit(context.wire, muting.flush_now(loaded, context.now())):
            return
        loaded = await groups.load_group(context.wire, first.group.id)
    raise StoreUnavailable(f"group {first.group.id} keeps changing")


def _has_firing(context: Context, loaded: LoadedGroup, window: Maintenance) -> bool:
    now_ns = int(context.now() * 10**9)
    return any(
        not alert.resolved(now_ns) and all_match(window.matchers, alert.labels)
        for alert in loaded.alerts
    )
