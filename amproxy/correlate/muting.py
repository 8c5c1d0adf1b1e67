"""What mutes alerts right now: silences, maintenance windows and inhibition, looked up for a whole group at once.

The ends of maintenance windows: what still fires then is told at once, without waiting for group_interval.

Each window has a timer for its next change. When it comes up and the window is closed, the flush of every group that holds a
matching alert is brought forward; the flush finds that nothing holds the alert back any more, and tells it.

Whether an incident that escalates must stand still, because by now all that fires of it is muted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.grouping.inhibition import InhibitionSource, find_inhibiting_alert, target_keys
from amproxy.grouping.maintenance import OpenWindow, is_open, next_change
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Incident, Silence
from amproxy.store import groups, keys, muting, timers
from amproxy.store.commit import Operations, commit
from amproxy.store.groups import LoadedGroup, load_groups
from amproxy.store.timers import Timer

_FAR_FUTURE = 4_000_000_000.0  # beyond the year 2096 "for ever" says it better

_decode_source = msgspec.msgpack.Decoder(InhibitionSource).decode


class Muting(NamedTuple):
    """By fingerprint; an alert that nothing mutes is in none of them."""

    silenced_by: dict[str, list[str]]  # ids of silences
    inhibited_by: dict[str, list[str]]  # fingerprints of sources
    maintained_by: dict[str, list[str]]  # ids of maintenance windows

    def holds(self, alert: Alert) -> bool:
        name = alert.fingerprint
        return name in self.silenced_by or name in self.maintained_by or name in self.inhibited_by


class ManualMutes(NamedTuple):
    """What people have set and is in force."""

    silences: list[Silence]
    openings: tuple[OpenWindow, ...]  # of windows of the file too
    windows: dict[str, Maintenance]  # all made by hand, open or not


async def load_manual_mutes(context: Context, now_ns: int) -> ManualMutes:
    """The silences and windows that hold at `now_ns`: one small look-up while nothing changes. Raises StoreUnavailable."""
    wire = context.wire
    of_silences, of_windows = await wire.call("MGET", keys.SILENCES_VERSION, keys.MAINTENANCE_VERSION)
    silences, windows = await context.silences.at(wire, of_silences), await context.windows.at(wire, of_windows)
    active = [silence for silence in silences.values() if silence.starts_ns <= now_ns <= silence.ends_ns]
    return ManualMutes(active, context.openings.now(windows, now_ns / 10**9), windows)


async def look_up_muting(context: Context, alerts: Sequence[Alert], now_ns: int) -> Muting:
    """What mutes these alerts at `now_ns`. Raises StoreUnavailable."""
    return await evaluate_muting(context, await load_manual_mutes(context, now_ns), alerts, now_ns)


async def evaluate_muting(context: Context, by_hand: ManualMutes, alerts: Sequence[Alert], now_ns: int) -> Muting:
    """The same where it is known already what is in force."""
    silenced = {alert.fingerprint: by for alert in alerts if (by := [s.id for s in by_hand.silences if silences_alert(s, alert)])}
    return Muting(silenced, await _look_up_inhibition(context, alerts, now_ns), _evaluate_windows(context, alerts, by_hand, now_ns))


async def load_muting_reasons(context: Context, alerts: Sequence[Alert], now_ns: int) -> dict[str, list[str]]:
    """What mutes these alerts, in words, by fingerprint; alerts that nothing mutes are left out. Raises StoreUnavailable."""
    by_hand = await load_manual_mutes(context, now_ns)
    return describe_muting(by_hand, await evaluate_muting(context, by_hand, alerts, now_ns))


def describe_muting(by_hand: ManualMutes, muting: Muting) -> dict[str, list[str]]:
    """What mutes alerts, told to people, by fingerprint."""
    silences = {silence.id: _describe_silence(silence) for silence in by_hand.silences}
    windows = {window_key(opening.window): _describe_window(opening) for opening in by_hand.openings}
    told: dict[str, list[str]] = {}
    for fingerprint, by in muting.inhibited_by.items():
        told[fingerprint] = [f"inhibited by alert {source}" for source in by]
    for fingerprint, ids in muting.silenced_by.items():
        told.setdefault(fingerprint, []).extend(silences[name] for name in ids)
    for fingerprint, ids in muting.maintained_by.items():
        # a window may hold an alert that ended within it although it is over itself
        told.setdefault(fingerprint, []).extend(windows.get(name, f"ended within maintenance {name}") for name in ids)
    return told


def window_key(window: Maintenance) -> str:
    """What a window is called by programs: the id of one made by hand, the name of one of the file."""
    return window.id or window.name


def _describe_silence(silence: Silence) -> str:
    words = f"silenced by {silence.created_by or 'somebody'} {_until_text(silence.ends_ns / 10**9)}"
    return words + (f": {silence.comment}" if silence.comment else "") + f" (silence {silence.id})"


def _describe_window(opening: OpenWindow) -> str:
    window = opening.window
    words = f"maintenance {window.name} {_until_text(opening.until)}"
    return words + (f": {window.comment}" if window.comment else "") + (f" (window {window.id})" if window.id else "")


def _until_text(at: float) -> str:
    return f"until {utc(at):%Y-%m-%d %H:%M} UTC" if at < _FAR_FUTURE else "for ever"


def silences_alert(silence: Silence, alert: Alert) -> bool:
    """Whether a silence's matchers hold for an alert, whenever it is active."""
    return any(all_match(matchers, alert.labels) for matchers in silence.matcher_sets)


def _evaluate_windows(context: Context, alerts: Iterable[Alert], by_hand: ManualMutes, now_ns: int) -> dict[str, list[str]]:
    """The windows that hold alerts back. One that was open when an alert ended holds it back for ever: it is never told."""
    windows = context.openings.all(by_hand.windows)
    if not windows:
        return {}
    held = {}
    for alert in alerts:
        ids = [window_key(opening.window) for opening in by_hand.openings if all_match(opening.window.matchers, alert.labels)]
        if not ids and alert.resolved(now_ns):
            ended = max(min(end for end in (alert.ends_ns, alert.lapses_ns) if end), alert.updated_ns) / 10**9  # not before it was heard of
            matching = (window for window in windows if all_match(window.matchers, alert.labels))
            ids = [window_key(window) for window in matching if context.openings.was_open(window, ended)]
        if ids:
            held[alert.fingerprint] = ids
    return held


async def _look_up_inhibition(context: Context, alerts: Iterable[Alert], now_ns: int) -> dict[str, list[str]]:
    rules = context.config.inhibit_rules
    if not rules:
        return {}
    wanted = {alert.fingerprint: found for alert in alerts if (found := target_keys(rules, alert.labels))}
    names = {key for found in wanted.values() for key, _ in found}
    answers = {key: context.wire.call("HVALS", keys.source(key)) for key in names}
    sources = {key: [_decode_source(data) for data in await answer] for key, answer in answers.items()}
    _remove_ended_sources(context, sources, now_ns)
    return {fingerprint: [by] for fingerprint, found in wanted.items() if (by := find_inhibiting_alert(found, sources, now_ns))}


def _remove_ended_sources(context: Context, sources: dict[str, list[InhibitionSource]], now_ns: int) -> None:
    """Sources that ended are forgotten by whoever meets them; nobody waits for it."""
    for key, found in sources.items():
        over = [source.fingerprint for source in found if 0 < source.ends_ns <= now_ns]
        if over:
            context.wire.call("HDEL", keys.source(key), *over).add_done_callback(lambda answer: answer.exception())


WINDOW_TRIES = 20  # a group that is flushed meanwhile is looked at again


async def schedule_window_timers(context: Context) -> None:
    """Set the timer of every window that has none, or a later one: at a start and at a reload. Raises StoreUnavailable."""
    operations = Operations()
    for window in context.openings.all(await context.windows.all(context.wire)):
        if (change := _next_window_change(context, window)) is not None:
            muting.schedule_window_check(operations, window_key(window), change)
    if operations.ops:
        await commit(context.wire, operations)


async def handle_window_timer(context: Context, timer: Timer) -> None:
    """A window has changed: where it is over, have told what still fires. Raises StoreUnavailable."""
    windows = context.openings.all(await context.windows.all(context.wire))
    window = next((window for window in windows if window_key(window) == timer.id), None)
    if window is None:  # gone from the file: the reload has begun all groups anew
        await timers.drop(context.wire, timer)
        return
    if not is_open(window, context.config.time_intervals, utc(context.now())):
        await _flush_still_firing(context, window)
    operations = Operations()
    muting.set_next_window_check(operations, timer.id, _next_window_change(context, window))
    await commit(context.wire, operations)


def _next_window_change(context: Context, window: Maintenance) -> float | None:
    change = next_change(window, context.config.time_intervals, utc(context.now()))
    return None if change is None else change.timestamp()


async def _flush_still_firing(context: Context, window: Maintenance) -> None:
    for loaded in await load_groups(context.wire):
        await _flush_group_now(context, window, loaded)
    context.wake(timers=True)


async def _flush_group_now(context: Context, window: Maintenance, first: LoadedGroup) -> None:
    loaded: LoadedGroup | None = first
    for _ in range(WINDOW_TRIES):
        # a group that was never flushed has its first flush before it, after group_wait
        if loaded is None or not loaded.version or not _is_group_in_window(window, loaded, int(context.now() * 10**9)):
            return
        if await commit(context.wire, muting.flush_now(loaded, context.now())):
            return
        loaded = await groups.load_group(context.wire, first.group.id)
    raise StoreUnavailable(f"group {first.group.id} keeps changing")


def _is_group_in_window(window: Maintenance, loaded: LoadedGroup, now_ns: int) -> bool:
    return any(not alert.resolved(now_ns) and all_match(window.matchers, alert.labels) for alert in loaded.alerts)


RECHECK_SECONDS = 60.0  # seconds after which one looks again: a silence may be deleted, the source of an inhibition may end
MAX_REASONS = 3  # reasons that are told; many alerts may each have their own


async def find_hold(context: Context, incident: Incident) -> tuple[str, float] | None:
    """Why an incident must not page now, in words, and when to look again (Unix seconds, always later than now); None = it may.

    Muted are alerts under a silence, in a maintenance window or inhibited. As long as one alert of the incident fires that
    nothing mutes, or none fires, it may page. Where nothing could mute anything this costs one small look-up. Raises StoreUnavailable.
    """
    if not incident.group:  # opened by hand
        return None
    now = context.now()
    now_ns = int(now * 10**9)
    by_hand = await load_manual_mutes(context, now_ns)
    if not (by_hand.silences or by_hand.openings or context.config.inhibit_rules):
        return None
    firing = await _firing_alerts(context, incident, now_ns)
    muting = await evaluate_muting(context, by_hand, firing, now_ns)
    if not firing or not all(map(muting.holds, firing)):
        return None
    told = describe_muting(by_hand, muting)
    until = min(_may_unmute_at(by_hand, muting, alert, now) for alert in firing)
    return _join_reasons(reason for alert in firing for reason in told[alert.fingerprint]), max(until, now + 0.001)


async def _firing_alerts(context: Context, incident: Incident, now_ns: int) -> list[Alert]:
    """As its groups hold them now: what an incident keeps of its alerts does not know that they were sent again."""
    alerts: dict[str, Alert] = {}
    for group_id in (incident.group, *incident.parts):
        loaded = await groups.load_group(context.wire, group_id)
        for alert in loaded.alerts if loaded else ():
            if not alert.resolved(now_ns):
                alerts[alert.fingerprint] = alert
    return list(alerts.values())


def _may_unmute_at(by_hand: ManualMutes, muting: Muting, alert: Alert, now: float) -> float:
    """When an alert may cease to be muted: at the end of the last cause, and not later than one looks again."""
    name, again = alert.fingerprint, now + RECHECK_SECONDS
    if name in muting.inhibited_by:
        return again
    ends = [silence.ends_ns / 10**9 for silence in by_hand.silences if silence.id in muting.silenced_by.get(name, ())]
    ends += [opening.until for opening in by_hand.openings if window_key(opening.window) in muting.maintained_by.get(name, ())]
    return min(again, max(ends))


def _join_reasons(reasons: Iterable[str]) -> str:
    found = list(dict.fromkeys(reasons))
    more = f" and {len(found) - MAX_REASONS} more" if len(found) > MAX_REASONS else ""
    return "; ".join(found[:MAX_REASONS]) + more
