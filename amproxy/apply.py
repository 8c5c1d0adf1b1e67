"""Apply an event to a stored incident: load it, let the machine decide, commit."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.incident_log import log_change
from amproxy.machine import transition
from amproxy.machine.events import Event, Renamed
from amproxy.machine.lost_names import follow_rename
from amproxy.model import Change, Incident
from amproxy.store import incidents
from amproxy.store.commit import Operations, commit_decided

# (incident as stored, Unix seconds) → the event
EventDecider = Callable[[Incident, float], Awaitable[Event]]


async def apply_event(
    context: Context, incident_id: str, event: Event | EventDecider, also: Operations | None = None
) -> Incident:
    """Apply an event, or the event that a function decides on; return the incident as it is then.

    also: operations that are committed together with the change. Raises NotFound, Conflict (the
    state forbids it) and StoreUnavailable.
    """

    async def decide() -> tuple[Operations, Change]:
        incident, turns = await incidents.load_with_turns(context.wire, incident_id)
        now = context.now()
        decided = event if isinstance(event, Event) else await event(incident, now)
        change = transition(incident, decided, now, context.roster, turns)
        operations = incidents.change_operations(change)
        if change.incident.state == "resolved" != incident.state:
            await incidents.keep_alerts(context.wire, operations, change.incident, incident)
        if also:
            operations.extend(also)
        return operations, change

    # The commit is guarded by the incident's version: where another one was first, all begins
    # anew with the incident as it is now.
    guarded, subject = incidents.version_name(incident_id), f"incident {incident_id}"
    change = await commit_decided(context.wire, subject, decide, guarded)
    after_commit(context, change)
    return change.incident


async def follow_rename_in_file(context: Context, renamed: Renamed) -> None:
    """Let all open incidents follow a rename. Raises StoreUnavailable."""
    for incident in await incidents.load_open(context.wire):
        followed = replace(incident)
        follow_rename(followed, renamed.section, renamed.old, renamed.new)
        if followed != incident:
            with contextlib.suppress(NotFound):  # trimmed by retention
                await apply_event(context, incident.id, renamed)


def after_commit(context: Context, change: Change) -> None:
    """Wake the loops that a committed change concerns, log it, and count it in the metrics."""
    context.wake(timers=change.timer is not None, outbox=bool(change.outbox))
    log_change(change)
    incident = change.incident
    took = incident.updated_at - incident.started_at
    if not change.before:
        metrics.incidents_total.labels(incident.policy).inc()
    if incident.state == "acknowledged" and incident.first_acknowledged_at == incident.updated_at:
        metrics.time_to_acknowledge.labels(incident.policy).observe(took)
        metrics.acknowledgements.labels(incident.acknowledged_by).inc()
    if incident.state != change.before and incident.state == "resolved":
        metrics.time_to_resolve.labels(incident.policy).observe(took)
    for schedule in change.nobody:
        metrics.nobody_on_call.labels(schedule).inc()


def guard_turns(change: Change, stored: dict[str, int]) -> Change:
    """Guard the turns by what is stored.

    Another incident of the same commit may have taken some before; Redis has not seen those yet.
    """
    turns = {name: (stored.get(name, 0), turn) for name, (_, turn) in change.turns.items()}
    return replace(change, turns=turns)
