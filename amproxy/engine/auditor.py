"""The auditor: gives back timers that are lost, and deletes what is past its retention."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from amproxy import metrics
from amproxy.context import Context
from amproxy.correlate import heartbeats, muting
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.machine.transition import next_due
from amproxy.model import Incident
from amproxy.shifts import record
from amproxy.shifts.record import shift_retention
from amproxy.store import (
    deliveries,
    groups,
    incidents,
    leases,
    removal,
    schedule_changes,
    shifts,
)
from amproxy.store.leases import LeaseStore, TimedWork

log = EventLog(__name__)

AUDIT_EVERY = 60.0  # seconds
LOOK_EVERY = 1.0  # seconds between two looks at how Redis is
# Seconds without an error of Redis after which its trouble counts as over. Redis may have lost what
# nothing else sets again, so that the next audit does not wait for its turn.
CALM_AFTER = 2.0


async def run_auditor(context: Context, name: str) -> None:
    """Audit for ever, in one process of all; cancel to stop."""
    audited = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if not _is_due(audited, context.wire.troubled_at, time.monotonic()):
            continue
        try:
            # longer than a turn, so that the holder keeps it; soon over when the holder dies
            if await LeaseStore(context.wire).lease("auditor", name, 2 * AUDIT_EVERY):
                await audit_once(context)
        except StoreUnavailable:
            log.debug("Redis is away; the audit waits")
        else:
            audited = time.monotonic()


def _is_due(audited: float, troubled: float, now: float) -> bool:
    """Decide whether to audit, by monotonic seconds: the last audit and Redis' last error."""
    return now - audited >= AUDIT_EVERY or (audited < troubled <= now - CALM_AFTER)


async def audit_once(context: Context) -> int:
    """Audit; return how many incidents, groups and messages had no timer.

    Raises StoreUnavailable.
    """
    stuck = await _restore_timers(context)
    metrics.stuck.inc(stuck)
    if context.signing_key:
        await leases.restore_signing_key(context.wire, context.signing_key)
    # Redis may have been away when the file was loaded: then these timers were not set.
    await heartbeats.schedule_heartbeat_timers(context)
    await muting.schedule_window_timers(context)
    await record.restore_schedule_timers(context)
    await _trim(context)
    return stuck


async def _restore_timers(context: Context) -> int:
    """Give all work that has no timer its timer back; return how much there was."""
    wire, now = context.wire, context.now()
    works = list[tuple[dict[str, Any], TimedWork]]()  # with the log's fields
    for incident in await _open_incidents(context):
        if (due := next_due(incident)) is not None:
            work = leases.incident_work(incident.id, incident.version, due)
            works.append(({"incident": incident.number, "policy": incident.policy}, work))
    for group_id in await groups.load_group_ids(wire):
        works.append(({"group": group_id}, leases.group_work(group_id, now)))
    for work in await leases.load_waiting_messages(wire, now):
        works.append(({"timer": work.timer}, work))
    restored = set(await leases.restore_lost(wire, [work for _, work in works]))
    for fields, work in works:
        if work.timer in restored:
            log.error("had no timer; it has one again", **fields)
    if restored:
        context.wake(timers=True)
    return len(restored)


async def _trim(context: Context) -> None:
    """Delete what is past its retention."""
    before = context.now() - context.config.store.retention
    trimmed = 0
    # All of them, some at a time: more may come in a minute than one commit should delete.
    while some := await removal.trim_incidents(context.wire, before):
        trimmed += some
    if trimmed:
        log.info("forgot what is past its retention", incidents=trimmed)
    await deliveries.trim(context.wire, before)
    over = await schedule_changes.trim_manual_changes(context.wire, before)
    if over:
        log.info("forgot what is past its retention", overrides_absences_swaps=over)
    await shifts.trim_facts(context.wire, before=context.now() - shift_retention(context))


async def _open_incidents(context: Context) -> list[Incident]:
    found, cursor = list[Incident](), ""
    while True:
        page, cursor = await incidents.list_incidents(context.wire, limit=500, before=cursor)
        found += page
        if not cursor:
            return found
