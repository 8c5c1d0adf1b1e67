"""Groups that are due at once: the process that stores a push leases their timers in the same step.

So it flushes them without the round trip that leases what is due, which is a write to the disk.
Where no turn is free, or many groups are due, the timers are left to whoever leases them first.
"""

from __future__ import annotations

from amproxy.context import Context
from amproxy.store import groups, leases
from amproxy.store.groups import GroupWrite
from amproxy.store.leases import Timer
from amproxy.store.stated import StatedChanges

MOST = 4  # groups of one push that are flushed so


async def store_and_flush(
    context: Context, writes: list[GroupWrite], changes: StatedChanges, now_ns: int
) -> bool:
    """Store the changes of a push and begin the flushes that are due; False as `groups.ingest`.

    Raises StoreUnavailable.
    """
    turns, leased_at, now_ms = context.timer_turns, now_ns / 10**9, now_ns // 10**6
    due = len([write for write in writes if 0 < write.due_ms <= now_ms])
    ready = 0 < due <= MOST and leased_at >= context.dispatch_from
    if turns is None or not ready or not await turns.take(due):
        stored = await groups.ingest(context.wire, writes, changes) is not None
        if stored and any(write.due_ms for write in writes):
            context.wake(timers=True)
        return stored
    lease_ms = leases.lease_end(leased_at)
    asked = [
        write._replace(lease_ms=lease_ms) if 0 < write.due_ms <= now_ms else write
        for write in writes
    ]
    leased: list[str] | None = []
    try:
        leased = await groups.ingest(context.wire, asked, changes)
    except BaseException:  # nobody knows if they are leased: their timers must not wait for the end
        for write in asked:
            if write.lease_ms:
                turns.lose(Timer("flush", write.group_id, leased_at), leased_at)
        raise
    finally:
        turns.give_back(due - len(leased or ()))
    for group_id in leased or ():
        turns.begin(Timer("flush", group_id, leased_at), leased_at)
    if leased is not None and len(leased) < sum(write.due_ms > 0 for write in writes):
        context.wake(timers=True)
    return leased is not None
