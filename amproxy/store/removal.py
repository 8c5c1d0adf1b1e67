"""Incidents are deleted: those past their retention, and those that an admin wants gone."""

from __future__ import annotations

from amproxy.errors import NotFound
from amproxy.model import Incident
from amproxy.store import deliveries, incidents, keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

TRIM_LIMIT = 500  # incidents, or manual changes of one kind, deleted in one commit


async def removal_operations(wire: Wire, incident: Incident) -> Operations:
    """The operations that delete an incident as it is, with its entries in the log of deliveries.

    Raises StoreUnavailable.
    """
    result = Operations()
    _delete(result, incident)
    await deliveries.remove_of_incident(wire, result, incident.id, incident.started_at)
    result.do("PUBLISH", keys.CHANGES, f"incident {incident.id}")
    return result


async def trim_incidents(wire: Wire, before: float) -> int:
    """Delete resolved incidents that started before a time (Unix seconds), TRIM_LIMIT at most.

    One that is part of an open one stays: the alerts of its groups find that one through it.
    Returns how many. Raises StoreUnavailable.
    """
    resolved, passed = keys.incidents("resolved"), 0
    while True:
        limit = ("LIMIT", passed, TRIM_LIMIT)
        found = await wire.call("ZRANGE", resolved, "-inf", before, "BYSCORE", *limit)
        ids = [name.decode() for name in found]
        loaded = await incidents.load_many(wire, ids)
        over = [one for one in loaded.values() if await find_open_root(wire, one) is None]
        operations = Operations()
        for incident in over:
            _delete(operations, incident)
        for incident_id in ids:
            if incident_id not in loaded:  # whatever else was left of it
                _remove_from_lists(operations, incident_id)
        if operations.ops:
            # Refused where one has changed meanwhile: it is opened again. They wait for the next
            # turn then.
            gone = len(ids) - len(loaded) + len(over)
            return gone if await commit(wire, operations) else 0
        if len(ids) < TRIM_LIMIT:
            return 0
        passed += len(ids)


async def find_open_root(wire: Wire, incident: Incident) -> Incident | None:
    """The open incident that a merged one is part of; None where there is none (any more).

    Raises StoreUnavailable.
    """
    if not incident.merged_into:
        return None
    try:
        root = await incidents.load_current(wire, incident.merged_into)
    except NotFound:
        return None
    return None if root.state == "resolved" else root


def _delete(result: Operations, incident: Incident) -> None:
    """Delete an incident, unless it changes meanwhile."""
    result.guard(keys.incident(incident.id), "v", str(incident.version))
    _remove_from_lists(result, incident.id)
    result.do("HINCRBY", keys.COUNTS, f"{incident.policy} {incident.state}", -1)


def _remove_from_lists(result: Operations, name: str) -> None:
    result.do("DEL", keys.incident(name), keys.timeline(name), keys.incident_alerts(name))
    result.do("ZREM", keys.INCIDENTS, name)
    for state in incidents.STATES:
        result.do("ZREM", keys.incidents(state), name)
    result.do("HDEL", keys.SUMMARIES, name)
    result.do("ZREM", keys.TIMERS, f"incident:{name}")
