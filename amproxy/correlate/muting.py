"""What mutes alerts right now: silences, maintenance windows and inhibition, looked up for a whole group at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.grouping.inhibition import Source, muted_by, target_keys
from amproxy.grouping.openings import Opening
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Silence
from amproxy.store import keys

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
