"""What a due timer means to an incident, from what only the store knows: its alerts are muted, or were pushed again."""

from __future__ import annotations

from amproxy.context import Context
from amproxy.correlate import holding
from amproxy.machine import silent
from amproxy.machine.events import Event, Hold, Tick
from amproxy.model import Incident
from amproxy.store import groups


async def tick(context: Context, incident: Incident, now: float) -> Event:
    """The event for an incident whose timer is due at `now` (Unix seconds). Raises StoreUnavailable."""
    end, heard = silent.due(incident), None
    if end is not None and end <= now:
        heard = await groups.last_push(context.wire, list(incident.parts) or [incident.group])
    # An answer or a snooze may run out now: what triggers again must not page either while its alerts are muted.
    held = await holding.held(context, incident) if incident.state != "resolved" else None
    return Tick(heard=heard) if held is None else Hold(reason=held[0], until=held[1], heard=heard)
