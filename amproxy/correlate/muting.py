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
from amproxy.grouping.inhibition import Source, muted_by, target_keys
from amproxy.grouping.maintenance import Opening, is_open, next_change
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Incident, Silence
from amproxy.store import groups, keys, muting, timers
from amproxy.store.commit import Operations, commit
from amproxy.store.groups import Loaded, all_groups
from amproxy.store.timers import Timer

_FAR = 4_000_000_000.0  # beyond the year 2096 "for ever" says it better

_source = msgspec.msgpack.Decoder(Source).decode


class Muting(NamedTuple):
    """By fingerprint; an alert that nothing mutes is in none of them."""

    silenced_by: dict[str, list[str]]  # ids of silences
    inhibited_by: dict[str, list[str]]  # fingerprints of sources
    maintained_by: dict[str, list[str]]  # ids of maintenance windows

    def holds(self, alert: Alert) -> bool:
        name = alert.fingerprint
        return name in self.silenced_by or name in self.maintained_by or name in self.inhibited_by


class ByHand(NamedTuple):
    """What people have set and is in force."""

    silences: list[Silence]
    openings: tuple[Opening, ...]  # of windows of the file too
    windows: dict[str, Maintenance]  # all made by hand, open or not


async def in_force(context: Context, now_ns: int) -> ByHand:
    """The silences and windows that hold at `now_ns`: one small look-up while nothing changes. Raises StoreUnavailable."""
    wire = context.wire
    of_silences, of_windows = await wire.call("MGET", keys.SILENCES_VERSION, keys.MAINTENANCE_VERSION)
    silences, windows = await context.silences.at(wire, of_silences), await context.windows.at(wire, of_windows)
    active = [silence for silence in silences.values() if silence.starts_ns <= now_ns <= silence.ends_ns]
    return ByHand(active, context.openings.now(windows, now_ns / 10**9), windows)


async def look(context: Context, alerts: Sequence[Alert], now_ns: int) -> Muting:
    """What mutes these alerts at `now_ns`. Raises StoreUnavailable."""
    return await look_by(context, await in_force(context, now_ns), alerts, now_ns)


async def look_by(context: Context, by_hand: ByHand, alerts: Sequence[Alert], now_ns: int) -> Muting:
    """The same where it is known already what is in force."""
    silenced = {alert.fingerprint: by for alert in alerts if (by := [s.id for s in by_hand.silences if silences_alert(s, alert)])}
    return Muting(silenced, await _inhibited(context, alerts, now_ns), _maintained(context, alerts, by_hand, now_ns))


async def reasons(context: Context, alerts: Sequence[Alert], now_ns: int) -> dict[str, list[str]]:
    """What mutes these alerts, in words, by fingerprint; alerts that nothing mutes are left out. Raises StoreUnavailable."""
    by_hand = await in_force(context, now_ns)
    return in_words(by_hand, await look_by(context, by_hand, alerts, now_ns))


def in_words(by_hand: ByHand, muting: Muting) -> dict[str, list[str]]:
    """What mutes alerts, told to people, by fingerprint."""
    silences = {silence.id: _said(silence) for silence in by_hand.silences}
    windows = {identity(opening.window): _said_of_window(opening) for opening in by_hand.openings}
    told: dict[str, list[str]] = {}
    for fingerprint, by in muting.inhibited_by.items():
        told[fingerprint] = [f"inhibited by alert {source}" for source in by]
    for fingerprint, ids in muting.silenced_by.items():
        told.setdefault(fingerprint, []).extend(silences[name] for name in ids)
    for fingerprint, ids in muting.maintained_by.items():
        # a window may hold an alert that ended within it although it is over itself
        told.setdefault(fingerprint, []).extend(windows.get(name, f"ended within maintenance {name}") for name in ids)
    return told


def identity(window: Maintenance) -> str:
    """What a window is called by programs: the id of one made by hand, the name of one of the file."""
    return window.id or window.name


def _said(silence: Silence) -> str:
    words = f"silenced by {silence.created_by or 'somebody'} {_until(silence.ends_ns / 10**9)}"
    return words + (f": {silence.comment}" if silence.comment else "") + f" (silence {silence.id})"


def _said_of_window(opening: Opening) -> str:
    window = opening.window
    words = f"maintenance {window.name} {_until(opening.until)}"
    return words + (f": {window.comment}" if window.comment else "") + (f" (window {window.id})" if window.id else "")


def _until(at: float) -> str:
    return f"until {utc(at):%Y-%m-%d %H:%M} UTC" if at < _FAR else "for ever"


def silences_alert(silence: Silence, alert: Alert) -> bool:
    """Whether a silence's matchers hold for an alert, whenever it is active."""
    return any(all_match(matchers, alert.labels) for matchers in silence.matcher_sets)


def _maintained(context: Context, alerts: Iterable[Alert], by_hand: ByHand, now_ns: int) -> dict[str, list[str]]:
    """The windows that hold alerts back. One that was open when an alert ended holds it back for ever: it is never told."""
    windows = context.openings.all(by_hand.windows)
    if not windows:
        return {}
    held = {}
    for alert in alerts:
        ids = [identity(opening.window) for opening in by_hand.openings if all_match(opening.window.matchers, alert.labels)]
        if not ids and alert.resolved(now_ns):
            ended = max(min(end for end in (alert.ends_ns, alert.lapses_ns) if end), alert.updated_ns) / 10**9  # not before it was heard of
            matching = (window for window in windows if all_match(window.matchers, alert.labels))
            ids = [identity(window) for window in matching if context.openings.was_open(window, ended)]
        if ids:
            held[alert.fingerprint] = ids
    return held


async def _inhibited(context: Context, alerts: Iterable[Alert], now_ns: int) -> dict[str, list[str]]:
    rules = context.config.inhibit_rules
    if not rules:
        return {}
    wanted = {alert.fingerprint: found for alert in alerts if (found := target_keys(rules, alert.labels))}
    names = {key for found in wanted.values() for key, _ in found}
    answers = {key: context.wire.call("HVALS", keys.source(key)) for key in names}
    sources = {key: [_source(data) for data in await answer] for key, answer in answers.items()}
    _sweep(context, sources, now_ns)
    return {fingerprint: [by] for fingerprint, found in wanted.items() if (by := muted_by(found, sources, now_ns))}


def _sweep(context: Context, sources: dict[str, list[Source]], now_ns: int) -> None:
    """Sources that ended are forgotten by whoever meets them; nobody waits for it."""
    for key, found in sources.items():
        over = [source.fingerprint for source in found if 0 < source.ends_ns <= now_ns]
        if over:
            context.wire.call("HDEL", keys.source(key), *over).add_done_callback(lambda answer: answer.exception())


TRIES = 20  # a group that is flushed meanwhile is looked at again


async def watch(context: Context) -> None:
    """Set the timer of every window that has none, or a later one: at a start and at a reload. Raises StoreUnavailable."""
    operations = Operations()
    for window in context.openings.all(await context.windows.all(context.wire)):
        if (change := _next_change(context, window)) is not None:
            muting.look_at(operations, identity(window), change)
    if operations.ops:
        await commit(context.wire, operations)


async def due(context: Context, timer: Timer) -> None:
    """A window has changed: where it is over, have told what still fires. Raises StoreUnavailable."""
    windows = context.openings.all(await context.windows.all(context.wire))
    window = next((window for window in windows if identity(window) == timer.id), None)
    if window is None:  # gone from the file: the reload has begun all groups anew
        await timers.drop(context.wire, timer)
        return
    if not is_open(window, context.config.time_intervals, utc(context.now())):
        await _tell_rest(context, window)
    operations = Operations()
    muting.look_next(operations, timer.id, _next_change(context, window))
    await commit(context.wire, operations)


def _next_change(context: Context, window: Maintenance) -> float | None:
    change = next_change(window, context.config.time_intervals, utc(context.now()))
    return None if change is None else change.timestamp()


async def _tell_rest(context: Context, window: Maintenance) -> None:
    for loaded in await all_groups(context.wire):
        await _bring_forward(context, window, loaded)
    context.wake(timers=True)


async def _bring_forward(context: Context, window: Maintenance, first: Loaded) -> None:
    loaded: Loaded | None = first
    for _ in range(TRIES):
        # a group that was never flushed has its first flush before it, after group_wait
        if loaded is None or not loaded.version or not _holds(window, loaded, int(context.now() * 10**9)):
            return
        if await commit(context.wire, muting.bring_forward(loaded, context.now())):
            return
        loaded = await groups.load(context.wire, first.group.id)
    raise StoreUnavailable(f"group {first.group.id} keeps changing")


def _holds(window: Maintenance, loaded: Loaded, now_ns: int) -> bool:
    return any(not alert.resolved(now_ns) and all_match(window.matchers, alert.labels) for alert in loaded.alerts)


LOOK = 60.0  # seconds after which one looks again: a silence may be deleted, the source of an inhibition may end
NAMED = 3  # reasons that are told; many alerts may each have their own


async def held(context: Context, incident: Incident) -> tuple[str, float] | None:
    """Why an incident must not page now, in words, and when to look again (Unix seconds, always later than now); None = it may.

    Muted are alerts under a silence, in a maintenance window or inhibited. As long as one alert of the incident fires that
    nothing mutes, or none fires, it may page. Where nothing could mute anything this costs one small look-up. Raises StoreUnavailable.
    """
    if not incident.group:  # opened by hand
        return None
    now = context.now()
    now_ns = int(now * 10**9)
    by_hand = await in_force(context, now_ns)
    if not (by_hand.silences or by_hand.openings or context.config.inhibit_rules):
        return None
    firing = await _firing(context, incident, now_ns)
    muting = await look_by(context, by_hand, firing, now_ns)
    if not firing or not all(map(muting.holds, firing)):
        return None
    told = in_words(by_hand, muting)
    until = min(_free(by_hand, muting, alert, now) for alert in firing)
    return _together(reason for alert in firing for reason in told[alert.fingerprint]), max(until, now + 0.001)


async def _firing(context: Context, incident: Incident, now_ns: int) -> list[Alert]:
    """As its groups hold them now: what an incident keeps of its alerts does not know that they were sent again."""
    alerts: dict[str, Alert] = {}
    for group_id in (incident.group, *incident.parts):
        loaded = await groups.load(context.wire, group_id)
        for alert in loaded.alerts if loaded else ():
            if not alert.resolved(now_ns):
                alerts[alert.fingerprint] = alert
    return list(alerts.values())


def _free(by_hand: ByHand, muting: Muting, alert: Alert, now: float) -> float:
    """When an alert may cease to be muted: at the end of the last cause, and not later than one looks again."""
    name, again = alert.fingerprint, now + LOOK
    if name in muting.inhibited_by:
        return again
    ends = [silence.ends_ns / 10**9 for silence in by_hand.silences if silence.id in muting.silenced_by.get(name, ())]
    ends += [opening.until for opening in by_hand.openings if identity(opening.window) in muting.maintained_by.get(name, ())]
    return min(again, max(ends))


def _together(reasons: Iterable[str]) -> str:
    found = list(dict.fromkeys(reasons))
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return "; ".join(found[:NAMED]) + more
