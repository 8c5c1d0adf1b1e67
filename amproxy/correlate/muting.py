"""What mutes alerts right now: silences and inhibition, looked up for a whole group at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from amproxy.clock import utc
from amproxy.context import Context
from amproxy.correlate.inhibit import Source, muted_by, target_keys
from amproxy.decide.matchers import all_match
from amproxy.model import Alert, Silence
from amproxy.store import keys

_FAR_NS = 4_000_000_000 * 10**9  # beyond the year 2096 "for ever" says it better

_source = msgspec.msgpack.Decoder(Source).decode


class Muting(NamedTuple):
    """By fingerprint; an alert that nothing mutes is in neither."""

    silenced_by: dict[str, list[str]]  # ids of silences
    inhibited_by: dict[str, list[str]]  # fingerprints of sources

    def holds(self, alert: Alert) -> bool:
        return alert.fingerprint in self.silenced_by or alert.fingerprint in self.inhibited_by


async def look(context: Context, alerts: Sequence[Alert], now_ns: int) -> Muting:
    """What mutes these alerts at `now_ns`. Raises StoreUnavailable."""
    silences = (await context.silences.all(context.wire)).values()
    active = [silence for silence in silences if silence.starts_ns <= now_ns <= silence.ends_ns]
    silenced = {alert.fingerprint: by for alert in alerts if (by := [s.id for s in active if silences_alert(s, alert)])}
    return Muting(silenced, await _inhibited(context, alerts, now_ns))


async def reasons(context: Context, alerts: Sequence[Alert], now_ns: int) -> dict[str, list[str]]:
    """What mutes these alerts, in words, by fingerprint; alerts that nothing mutes are left out. Raises StoreUnavailable."""
    muting, silences = await look(context, alerts, now_ns), await context.silences.all(context.wire)
    told = {fingerprint: [f"inhibited by alert {source}" for source in by] for fingerprint, by in muting.inhibited_by.items()}
    for fingerprint, ids in muting.silenced_by.items():
        told.setdefault(fingerprint, []).extend(_said(silences[name]) for name in ids if name in silences)
    return told


def _said(silence: Silence) -> str:
    until = utc(silence.ends_ns / 10**9) if silence.ends_ns < _FAR_NS else None
    words = [f"silenced by {silence.created_by or 'somebody'}", f"until {until:%Y-%m-%d %H:%M} UTC" if until else "for ever"]
    return " ".join(words) + (f": {silence.comment}" if silence.comment else "") + f" (silence {silence.id})"


def silences_alert(silence: Silence, alert: Alert) -> bool:
    """Whether a silence's matchers hold for an alert, whenever it is active."""
    return any(all_match(matchers, alert.labels) for matchers in silence.matcher_sets)


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
