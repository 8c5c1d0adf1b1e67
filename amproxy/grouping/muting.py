"""Muting as values: the silences, maintenance windows and inhibitions of alerts, and their wording.

Pure; correlate/muting.py looks them up, grouping/inhibition.py has the values of inhibition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from amproxy.config.structs import Maintenance
from amproxy.grouping.maintenance import OpenWindow, OpenWindows
from amproxy.grouping.silence_index import ActiveSilences, SilenceIndex
from amproxy.labels.matchers import Matcher, all_match
from amproxy.model import Alert, Silence
from amproxy.text import Moment, PeopleNames, Phrase, phrase

# Seconds after which an incident is checked again, however long its alerts are muted: a silence
# may be deleted, the source of an inhibition may end.
RECHECK_SECONDS = 60.0
SHORTEST_HOLD = 0.001  # seconds: a hold that ends now would have its timer come at once, for ever
MAX_REASONS = 3  # reasons in one text: many alerts may each have their own
_FAR_FUTURE = 4_000_000_000.0  # beyond the year 2096 "for ever" says it better


class Muting(NamedTuple):
    """The causes by fingerprint; an alert that nothing mutes is in none of them."""

    silenced_by: dict[str, list[str]]  # ids of silences
    inhibited_by: dict[str, list[str]]  # fingerprints of sources
    maintained_by: dict[str, list[str]]  # keys of maintenance windows

    def is_muted(self, alert: Alert) -> bool:
        name = alert.fingerprint
        return name in self.silenced_by or name in self.maintained_by or name in self.inhibited_by


class ManualMutes(NamedTuple):
    """The silences and windows in force."""

    silences: ActiveSilences
    open_windows: tuple[OpenWindow, ...]  # of the file too
    windows: dict[str, Maintenance]  # all made by hand, open or not


def window_key(window: Maintenance) -> str:
    """The name of a window for programs: the id of one made by hand, the name of the file's."""
    return window.id or window.name


def find_maintenance(
    openings: OpenWindows, mutes: ManualMutes, alerts: Iterable[Alert], now_ns: int
) -> dict[str, list[str]]:
    """Fingerprint → keys of the windows that mute an alert.

    A window that was open when an alert ended mutes it for ever: nobody is notified of its end.
    """
    windows = openings.all(mutes.windows)
    if not windows:
        return {}
    muted = {}
    for alert in alerts:
        matching = [
            one.window for one in mutes.open_windows if all_match(one.window.matchers, alert.labels)
        ]
        if not matching and alert.resolved(now_ns):
            ended = _ended_at(alert)
            matching = [
                window
                for window in windows
                if all_match(window.matchers, alert.labels) and openings.was_open(window, ended)
            ]
        if matching:
            muted[alert.fingerprint] = [window_key(window) for window in matching]
    return muted


def _ended_at(resolved: Alert) -> float:
    """The end of a resolved alert, Unix seconds; not before amproxy heard of it."""
    end_ns = min(end for end in (resolved.ends_ns, resolved.lapses_ns) if end)
    return max(end_ns, resolved.updated_ns) / 10**9


def mutes_at(
    silences: SilenceIndex, openings: OpenWindows, windows: dict[str, Maintenance], at_ns: int
) -> ManualMutes:
    """The silences and windows that are in force at a time.

    windows: all made by hand, by id; the same dict as long as none of them changes.
    """
    openings_now = openings.open_now(windows, at_ns / 10**9)
    return ManualMutes(silences.active_at(at_ns), openings_now, windows)


class IncidentMuting(NamedTuple):
    """All that may mute the alerts of one incident from now on, as far as it is known."""

    alerts: Sequence[Alert]  # those that fire now: nobody knows when they end
    silences: SilenceIndex  # those that have not begun too
    windows: dict[str, Maintenance]  # made by hand
    openings: OpenWindows
    inhibited_by: dict[str, list[str]]  # for as long as anybody knows

    def hold_at(self, at: float) -> tuple[Phrase, float] | None:
        """decide_hold at a time to come (Unix seconds), until the muting ends; inf = not known."""
        if not self.alerts:
            return None
        at_ns = int(at * 10**9)
        mutes = mutes_at(self.silences, self.openings, self.windows, at_ns)
        windows = find_maintenance(self.openings, mutes, self.alerts, at_ns)
        muting = Muting(find_silenced(mutes.silences, self.alerts), self.inhibited_by, windows)
        return decide_hold(mutes, muting, self.alerts, at, recheck=math.inf)


def may_match(matchers: Iterable[Matcher], common_labels: Mapping[str, str]) -> bool:
    """Decide whether matchers may match an alert of which only some labels are known."""
    return all(
        matcher.matches(common_labels) for matcher in matchers if matcher.name in common_labels
    )


def find_silenced(silences: ActiveSilences, alerts: Iterable[Alert]) -> dict[str, list[str]]:
    """Fingerprint → ids, in order, of the silences whose matchers match an alert."""
    if not silences:
        return {}
    return {alert.fingerprint: ids for alert in alerts if (ids := silences.matching(alert.labels))}


def decide_hold(
    mutes: ManualMutes,
    muting: Muting,
    firing: Sequence[Alert],
    now: float,
    *,
    recheck: float = RECHECK_SECONDS,
) -> tuple[Phrase, float] | None:
    """The reason why an incident must not page now, and the time of the next check; None = it may.

    firing: its alerts that fire. recheck: seconds to the next check at the latest. The time is Unix
    seconds, always later than now.
    """
    if not firing or not all(map(muting.is_muted, firing)):
        return None
    reasons = describe_muting(mutes, muting)
    until = min(may_unmute_at(mutes, muting, alert, now + recheck) for alert in firing)
    reason = join_reasons([reason for alert in firing for reason in reasons[alert.fingerprint]])
    return reason, max(until, now + SHORTEST_HOLD)


def may_unmute_at(mutes: ManualMutes, muting: Muting, alert: Alert, recheck: float) -> float:
    """The time (Unix seconds) until which a muted alert certainly stays so.

    The end of its last silence or window, and `recheck` at the latest.
    """
    name = alert.fingerprint
    if name in muting.inhibited_by:
        return recheck  # nobody knows when a source ends
    silences = muting.silenced_by.get(name, ())
    windows = muting.maintained_by.get(name, ())
    ends = [mutes.silences.known[one].ends_ns / 10**9 for one in silences]
    ends += [one.until for one in mutes.open_windows if window_key(one.window) in windows]
    return min(recheck, max(ends))


def describe_muting(mutes: ManualMutes, muting: Muting) -> dict[str, list[Phrase]]:
    """Fingerprint → the reasons that mute an alert."""
    named = {name for ids in muting.silenced_by.values() for name in ids}
    silences = {name: _describe_silence(mutes.silences.known[name]) for name in named}
    windows = {window_key(one.window): _describe_window(one) for one in mutes.open_windows}
    reasons: dict[str, list[Phrase]] = {}
    for fingerprint, sources in muting.inhibited_by.items():
        reasons[fingerprint] = [phrase("mute.inhibited", alert=source) for source in sources]
    for fingerprint, ids in muting.silenced_by.items():
        reasons.setdefault(fingerprint, []).extend(silences[name] for name in ids)
    for fingerprint, ids in muting.maintained_by.items():
        # a window may mute an alert that ended within it although it is over itself
        reasons.setdefault(fingerprint, []).extend(
            windows.get(name, phrase("mute.ended_within", window=name)) for name in ids
        )
    return reasons


def join_reasons(reasons: Sequence[Phrase]) -> Phrase:
    """One reason made of at least one, each once, MAX_REASONS of them."""
    first, *rest = dict.fromkeys(reasons)
    for reason in rest[: MAX_REASONS - 1]:
        first = phrase("mute.and", first=first, second=reason)
    more = len(rest) + 1 - MAX_REASONS
    return phrase("mute.more", reasons=first, n=more) if more > 0 else first


def _describe_silence(silence: Silence) -> Phrase:
    known = phrase(
        "mute.silence",
        by=PeopleNames((silence.created_by,)),
        until=_until(silence.ends_ns / 10**9),
        silence=silence.id,
    )
    if not silence.comment:
        return known
    return phrase("mute.silence_for", comment=silence.comment, **known.values)


def _describe_window(opening: OpenWindow) -> Phrase:
    window = opening.window
    known = phrase("mute.window", window=window.name, until=_until(opening.until))
    if window.comment:
        known = phrase("mute.window_for", comment=window.comment, **known.values)
    return phrase("mute.window_by_hand", what=known, id=window.id) if window.id else known


def _until(at: float) -> Phrase:
    return phrase("mute.until", at=Moment(at)) if at < _FAR_FUTURE else phrase("mute.for_ever")
