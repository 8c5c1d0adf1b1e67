"""Apply an event to a stored incident: load, let the machine decide, commit; again when somebody else was quicker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.machine import transition
from amproxy.machine.events import Event
from amproxy.model import Change, Incident
from amproxy.store import incidents
from amproxy.store.commit import Operations, commit

APPLY_TRIES = 50
EventDecider = Callable[[Incident, float], Awaitable[Event]]


async def apply_event(context: Context, incident_id: str, event: Event | EventDecider, also: Operations | None = None) -> Incident:
    """Returns the incident as it is now.

    event: what happens, or a function that says so of the incident as it is, at a time (Unix seconds). also: operations that are
    committed together with the change. Raises NotFound, Conflict (the state forbids it) and StoreUnavailable.
    """
    for _ in range(APPLY_TRIES):
        incident, turns = await incidents.load_with_turns(context.wire, incident_id)
        now = context.now()
        happening = event if isinstance(event, Event) else await event(incident, now)
        change = transition(incident, happening, now, context.roster, turns)
        operations = incidents.change_operations(change)
        if also:
            operations.extend(also)
        if await commit(context.wire, operations):
            after_commit(context, change)
            return change.incident
    raise StoreUnavailable(f"incident {incident_id} keeps changing")


def after_commit(context: Context, change: Change) -> None:
    """A change is in Redis: wake who has to act on it, and count it."""
    context.wake(timers=change.timer is not None, outbox=bool(change.outbox))
    incident = change.incident
    if not change.before:
        metrics.incidents_total.labels(incident.policy).inc()
    if incident.state == "acknowledged" and incident.first_acknowledged_at == incident.updated_at:
        metrics.time_to_acknowledge.labels(incident.policy).observe(incident.updated_at - incident.started_at)
        metrics.acknowledgements.labels(incident.acknowledged_by).inc()
    if incident.state != change.before and incident.state == "resolved":
        metrics.time_to_resolve.labels(incident.policy).observe(incident.updated_at - incident.started_at)
    for schedule in change.nobody:
        metrics.nobody_on_call.labels(schedule).inc()
