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
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.grouping.inhibition import InhibitionSource, find_inhibited, wanted_sources
from amproxy.grouping.maintenance import OpenWindows, is_open, is_told_at_close, next_change_at
from amproxy.grouping.muting import (
    IncidentMuting,
    ManualMutes,
    Muting,
    decide_hold,
    describe_muting,
    find_maintenance,
    find_silenced,
    may_match,
    mutes_at,
    window_key,
)
from amproxy.labels.matchers import Matcher
from amproxy.model import Alert, Incident, LoadedGroup
from amproxy.store import groups, keys, leases, muting
from amproxy.store.commit import Operations, commit
from amproxy.store.leases import Timer
from amproxy.text import Phrase

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
    return mutes_at(silences.values(), context.open_windows, windows, now_ns)


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
) -> dict[str, list[Phrase]]:
    """Fingerprint → the reasons that mute an alert. Raises StoreUnavailable.

    Alerts that nothing mutes are left out.
    """
    mutes = await load_manual_mutes(context, now_ns)
    muted = await evaluate_muting(context, mutes, alerts, now_ns)
    return await offload.run(len(alerts), describe_muting, mutes, muted)


async def find_hold(context: Context, incident: Incident) -> tuple[Phrase, float] | None:
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
    return (await load_incident_mutings(context, [incident]))[incident.id]


async def load_incident_mutings(
    context: Context, found: Iterable[Incident]
) -> dict[str, IncidentMuting]:
    """The same by the id of each incident. Raises StoreUnavailable.

    Alerts are read only where the labels that they share leave it open that something mutes them.
    """
    now_ns, wire = int(context.now() * 10**9), context.wire
    silences, windows = await context.silences.all(wire), await context.windows.all(wire)
    # of its own: the one of the context remembers the present
    openings, mutings = OpenWindows(context.config), dict[str, IncidentMuting]()
    to_come = [one for one in silences.values() if one.ends_ns >= now_ns]
    known: list[Sequence[Matcher]] = [sides for one in to_come for sides in one.matcher_sets]
    known += [one.matchers for one in openings.all(windows)]
    known += [rule.target_matchers for rule in context.config.inhibit_rules]
    for incident in found:
        alerts = list[Alert]()
        if (
            incident.state != "resolved"
            and incident.group
            and any(may_match(matchers, incident.common_labels) for matchers in known)
        ):
            alerts = await _load_firing_alerts(context, incident, now_ns)
            for alert in alerts:
                # Its sender moves the end that it has now with each push.
                alert.ends_ns = alert.lapses_ns = 0
        mutings[incident.id] = IncidentMuting(
            alerts,
            to_come,
            windows,
            openings,
            await _look_up_inhibition(context, alerts, now_ns) if alerts else {},
        )
    return mutings


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
    wanted = await offload.run(size, wanted_sources, rules, alerts)
    sources = await _load_sources(context, {key for found in wanted.values() for key, _ in found})
    over = await offload.run(size, _ended_sources, sources, now_ns)
    _remove_sources(context, over)
    inhibited = await offload.run(size, find_inhibited, wanted, sources, now_ns)
    await offload.scrap(wanted, sources)
    return inhibited


async def load_inhibition_sources(
    context: Context, alerts: Iterable[Alert]
) -> dict[str, list[InhibitionSource]]:
    """Key → the sources that may mute these alerts. Raises StoreUnavailable."""
    wanted = wanted_sources(context.config.inhibit_rules, alerts)
    return await _load_sources(context, {key for found in wanted.values() for key, _ in found})


async def _load_sources(
    context: Context, wanted: Iterable[str]
) -> dict[str, list[InhibitionSource]]:
    """Key → the sources that are stored under it."""
    names, sources = list(wanted), dict[str, list[InhibitionSource]]()
    for start in range(0, len(names), KEYS_AT_ONCE):
        some = names[start : start + KEYS_AT_ONCE]
        answers = [context.wire.call("HVALS", keys.source(key)) for key in some]
        for key, answer in zip(some, answers, strict=True):
            stored = await answer
            sources[key] = await offload.run(len(stored), _decode_sources, stored)
    return sources


def _decode_sources(stored: Iterable[bytes]) -> list[InhibitionSource]:
    return list(map(_decode_source, stored))


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
    return next_change_at(window, context.config.time_intervals, context.now())


async def _flush_still_firing(context: Context, window: Maintenance) -> None:
    for loaded in await groups.load_groups(context.wire):
        await _flush_group_now(context, window, loaded)
    context.wake(timers=True)


async def _flush_group_now(context: Context, window: Maintenance, first: LoadedGroup) -> None:
    loaded: LoadedGroup | None = first
    for _ in range(WINDOW_TRIES):
        # a group that was never flushed has its first flush before it, after group_wait
        if loaded is None or not loaded.version:
            return
        if not is_told_at_close(window, loaded.alerts, int(context.now() * 10**9)):
            return
        if await commit(context.wire, muting.flush_now(loaded, context.now())):
            return
        loaded = await groups.load_group(context.wire, first.group.id)
    raise StoreUnavailable(f"group {first.group.id} keeps changing")
