"""History is bounded: resolved incidents that began long ago are forgotten."""

from __future__ import annotations

from amproxy.store import keys, summaries
from amproxy.store.commit import Operations, commit
from amproxy.store.incidents import STATES, policy_of
from amproxy.store.wire import Wire

AT_ONCE = 500


async def trim(wire: Wire, before: float) -> int:
    """Forget resolved incidents that started before a time (Unix seconds), at most AT_ONCE; returns how many."""
    ids = [name.decode() for name in await wire.call("ZRANGE", keys.incidents("resolved"), "-inf", before, "BYSCORE", "LIMIT", 0, AT_ONCE)]
    if not ids:
        return 0
    operations = Operations()
    for name in ids:
        data = await wire.call("HGET", keys.incident(name), "data")
        operations.do("DEL", keys.incident(name), keys.timeline(name), keys.incident_alerts(name))
        operations.do("ZREM", keys.INCIDENTS, name)
        summaries.forget(operations, name)
        for state in STATES:
            operations.do("ZREM", keys.incidents(state), name)
        if data is not None:
            operations.do("HINCRBY", keys.COUNTS, f"{policy_of(data)} resolved", -1)
    await commit(wire, operations)
    return len(ids)
