"""Whether an incident that escalates must stand still, because by now all that fires of it is muted."""

from __future__ import annotations

from collections.abc import Iterable

from amproxy.context import Context
from amproxy.correlate.muting import ByHand, Muting, identity, in_force, in_words, look_by
from amproxy.model import Alert, Incident
from amproxy.store import groups

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
