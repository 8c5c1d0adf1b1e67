"""The ends of maintenance windows: what still fires then is told at once, without waiting for group_interval.

Each window has a timer for its next change. When it comes up and the window is closed, the flush of every group that holds a
matching alert is brought forward; the flush finds that nothing holds the alert back any more, and tells it.
"""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.correlate.muting import identity
from amproxy.errors import StoreUnavailable
from amproxy.grouping.maintenance import is_open, next_change
from amproxy.labels.matchers import all_match
from amproxy.store import groups, maintenance, timers
from amproxy.store.commit import Operations, commit
from amproxy.store.groups import Loaded
from amproxy.store.reading import all_groups
from amproxy.store.timers import Timer

TRIES = 20  # a group that is flushed meanwhile is looked at again


async def watch(context: Context) -> None:
    """Set the timer of every window that has none, or a later one: at a start and at a reload. Raises StoreUnavailable."""
    operations = Operations()
    for window in context.openings.all(await context.windows.all(context.wire)):
        if (change := _next_change(context, window)) is not None:
            maintenance.look_at(operations, identity(window), change)
    if operations.ops:
        await commit(context.wire, operations)


async def due(context: Context, timer: Timer) -> None:
    """A window has changed: where it is over, have told what still fires. Raises StoreUnavailable."""
    windows = context.openings.all(await context.windows.all(context.wire))
    window = next((window for window in windows if identity(window) == timer.id), None)
    if window is None:  # gone from the file: the reload has begun all groups anew
        await timers.drop(context.wire, timer)
        return
    if not is_open(window, context.config.time_intervals, utc(context.now())):
        await _tell_rest(context, window)
    operations = Operations()
    maintenance.look_next(operations, timer.id, _next_change(context, window))
    await commit(context.wire, operations)


def _next_change(context: Context, window: Maintenance) -> float | None:
    change = next_change(window, context.config.time_intervals, utc(context.now()))
    return None if change is None else change.timestamp()


async def _tell_rest(context: Context, window: Maintenance) -> None:
    for loaded in await all_groups(context.wire):
        await _bring_forward(context, window, loaded)
    context.wake(timers=True)


async def _bring_forward(context: Context, window: Maintenance, first: Loaded) -> None:
    loaded: Loaded | None = first
    for _ in range(TRIES):
        # a group that was never flushed has its first flush before it, after group_wait
        if loaded is None or not loaded.version or not _holds(window, loaded, int(context.now() * 10**9)):
            return
        if await commit(context.wire, maintenance.bring_forward(loaded, context.now())):
            return
        loaded = await groups.load(context.wire, first.group.id)
    raise StoreUnavailable(f"group {first.group.id} keeps changing")


def _holds(window: Maintenance, loaded: Loaded, now_ns: int) -> bool:
    return any(not alert.resolved(now_ns) and all_match(window.matchers, alert.labels) for alert in loaded.alerts)
