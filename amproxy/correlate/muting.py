"""Muting looked up in Redis: what mutes a group's alerts or an incident's, and the window timers.

Each maintenance window has a timer for its next change. When a window closes, the flush of every
group that has a matching alert is brought forward: what still fires is notified at once, without
waiting for group_interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from amproxy import offload
from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.grouping.inhibition import (
    FiringSources,
    InhibitionSource,
    SourceKey,
    find_inhibited,
    firing_sources,
    wanted_sources,
)
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
from amproxy.model import Alert, Incident, LoadedGroup
from amproxy.store import groups, keys, leases, muting
from amproxy.store.commit import Operations, commit, commit_decided, field_name
from amproxy.store.leases import Timer
from amproxy.store.wire import Wire
from amproxy.text import Phrase

KEYS_AT_ONCE = 200  # of sources: so few hold up nobody
MAX_QUIET = 500  # keys of sources that a commit looks at once more: they hold up Redis meanwhile
INCIDENTS_AT_ONCE = 25  # whose alerts are read together

_decode_source = msgspec.msgpack.Decoder(InhibitionSource).decode


async def load_manual_mutes(context: Context, now_ns: int) -> ManualMutes:
    """The silences and windows in force at `now_ns`. Raises StoreUnavailable.

    One small look-up while nothing changes.
    """
    wire = context.wire
    versions = await wire.call("MGET", *map(keys.version, (keys.SILENCES, keys.MAINTENANCE)))
    silences = await context.silences.at(wire, versions[0])
    windows = await context.windows.at(wire, versions[1])
    return mutes_at(silences, context.open_windows, windows, now_ns)


async def look_up_muting(
    context: Context, alerts: Sequence[Alert], now_ns: int, quiet: set[SourceKey] | None = None
) -> Muting:
    """The muting of these alerts at `now_ns`. Raises StoreUnavailable.

    quiet: filled with the keys under which no source fires that would inhibit one of them.
    """
    mutes = await load_manual_mutes(context, now_ns)
    return await evaluate_muting(context, mutes, alerts, now_ns, quiet=quiet)


async def evaluate_muting(
    context: Context,
    mutes: ManualMutes,
    alerts: Sequence[Alert],
    now_ns: int,
    known: dict[str, FiringSources] | None = None,
    quiet: set[SourceKey] | None = None,
) -> Muting:
    """The same where silences and windows are loaded already. Raises StoreUnavailable.

    known: the inhibiting alerts that an earlier call for the same moment has read, and this one
    adds to, where alerts come in parts.
    """
    return Muting(
        await offload.run(len(alerts), find_silenced, mutes.silences, alerts),
        await _look_up_inhibition(context, alerts, now_ns, {} if known is None else known, quiet),
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
    async with context.room_for(incident.firing):
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
    known = [one.matchers for one in openings.all(windows)]
    rules = context.placer.inhibition

    def may_be_muted(labels: Mapping[str, str]) -> bool:
        if silences.may_match(labels, now_ns) or rules.may_mute(labels):
            return True
        return any(may_match(matchers, labels) for matchers in known)

    async def load(incident: Incident) -> None:
        alerts = list[Alert]()
        if incident.id in mutable:
            alerts = await _load_firing_alerts(context, incident, now_ns)
            for alert in alerts:
                # Its sender moves the end that it has now with each push.
                alert.ends_ns = alert.lapses_ns = 0
        inhibited = await _look_up_inhibition(context, alerts, now_ns, {}) if alerts else {}
        mutings[incident.id] = IncidentMuting(alerts, silences, windows, openings, inhibited)

    found = list(found)
    mutable = await _find_mutable(wire, found, may_be_muted)
    # A whole list waits for Redis a few times, not once for each incident and more.
    for start in range(0, len(found), INCIDENTS_AT_ONCE):
        await asyncio.gather(*map(load, found[start : start + INCIDENTS_AT_ONCE]))
    return mutings


async def _find_mutable(
    wire: Wire, found: Iterable[Incident], may_be_muted: Callable[[Mapping[str, str]], bool]
) -> set[str]:
    """The ids of the open incidents of which something may mute an alert."""
    open_now = [one for one in found if one.state != "resolved" and one.group]
    mutable = {one.id for one in open_now if may_be_muted(one.common_labels)}
    # Alerts that were muted when they came are not among those whose common labels an incident
    # has: of them only the labels of their group are known.
    doubtful = [
        one
        for one in open_now
        if one.id not in mutable and may_be_muted({} if one.parts else one.group_labels)
    ]
    known = [((one.group, *one.parts), one.firing) for one in doubtful]
    others = await groups.load_others(wire, known)
    return mutable.union(one.id for one, there in zip(doubtful, others, strict=True) if there)


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
    context: Context,
    alerts: Sequence[Alert],
    now_ns: int,
    known: dict[str, FiringSources],
    quiet: set[SourceKey] | None = None,
) -> dict[str, list[str]]:
    rules, size = context.placer.inhibition, len(alerts)
    if not rules:
        return {}
    wanted = await offload.run(size, wanted_sources, rules, alerts)
    missing = {key for found in wanted.values() for key, _ in found} - known.keys()
    sources = await _load_sources(context, missing)
    over = await offload.run(size, _ended_sources, sources, now_ns)
    await _remove_sources(context, over)
    known |= await offload.run(size, _sum_up, sources, now_ns)
    inhibited = await offload.run(size, find_inhibited, wanted, known)
    if quiet is not None:
        found = (key for name, keys_ in wanted.items() if name not in inhibited for key in keys_)
        quiet.update(itertools.islice(found, MAX_QUIET))
    await offload.scrap(wanted, sources)
    return inhibited


def _sum_up(
    sources: Mapping[str, Sequence[InhibitionSource]], now_ns: int
) -> dict[str, FiringSources]:
    return {key: firing_sources(found, now_ns) for key, found in sources.items()}


async def load_inhibition_sources(
    context: Context, alerts: Iterable[Alert]
) -> dict[str, list[InhibitionSource]]:
    """Key → the sources that may mute these alerts. Raises StoreUnavailable."""
    wanted = wanted_sources(context.placer.inhibition, alerts)
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
) -> dict[str, list[InhibitionSource]]:
    """Key → the sources under it that ended."""
    return {
        key: over
        for key, found in sources.items()
        if (over := [source for source in found if 0 < source.ends_ns <= now_ns])
    }


async def _remove_sources(context: Context, over: Mapping[str, Sequence[InhibitionSource]]) -> None:
    """Delete some sources that ended, unless they fire again by now."""
    operations = Operations()
    ended = ((key, source) for key, sources in over.items() for source in sources)
    for key, source in itertools.islice(ended, KEYS_AT_ONCE):
        groups.forget_source(operations, key, source.fingerprint, source)
    if operations.ops:
        # What fails, and what is beyond, is left for the next look-up.
        with contextlib.suppress(StoreUnavailable):
            await commit(context.wire, operations)


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
    async for some in groups.walk_groups(context.wire):
        for loaded in some:
            await _flush_group_now(context, window, loaded)
    context.wake(timers=True)


async def _flush_group_now(context: Context, window: Maintenance, first: LoadedGroup) -> None:
    found: list[LoadedGroup | None] = [first]

    async def decide() -> tuple[Operations | None, None]:
        loaded = found.pop() if found else await groups.load_group(context.wire, first.group.id)
        # a group that was never flushed has its first flush before it, after group_wait
        if loaded is None or not loaded.version:
            return None, None
        if not is_told_at_close(window, loaded.alerts, int(context.now() * 10**9)):
            return None, None
        return muting.flush_now(loaded, context.now()), None

    guarded = field_name(keys.group(first.group.id), "v")
    await commit_decided(context.wire, f"group {first.group.id}", decide, guarded)
