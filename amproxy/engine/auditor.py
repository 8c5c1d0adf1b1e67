"""The auditor: gives back timers that are lost, and deletes what is past its retention."""

from __future__ import annotations

import asyncio
import logging

from amproxy import metrics
from amproxy.context import Context
from amproxy.correlate import heartbeats, muting
from amproxy.errors import StoreUnavailable
from amproxy.machine.transition import next_due
from amproxy.model import Incident
from amproxy.shifts import record
from amproxy.shifts.record import shift_retention
from amproxy.store import audit as store_audit
from amproxy.store import deliveries, groups, incidents, leases, schedule_changes, shifts
from amproxy.store.leases import LeaseStore

log = logging.getLogger(__name__)

AUDIT_EVERY = 60.0  # seconds


async def run_auditor(context: Context, name: str) -> None:
    """Audit for ever, in one process of all; cancel to stop."""
    while True:
        await asyncio.sleep(AUDIT_EVERY)
        try:
            # longer than a turn, so that the holder keeps it; soon over when the holder dies
            if await LeaseStore(context.wire).lease("auditor", name, 2 * AUDIT_EVERY):
                await audit_once(context)
        except StoreUnavailable:
            log.debug("Redis is away; the audit waits")


async def audit_once(context: Context) -> int:
    """Audit; return how many incidents and groups had no timer. Raises StoreUnavailable."""
    stuck = await _restore_timers(context)
    metrics.stuck.inc(stuck)
    # Redis may have been away when the file was loaded: then these timers were not set.
    await heartbeats.schedule_heartbeat_timers(context)
    await muting.schedule_window_timers(context)
    await record.restore_schedule_timers(context)
    await _trim(context)
    return stuck


async def _restore_timers(context: Context) -> int:
    """Give every open incident and group that has no timer its timer back; return how many."""
    stuck = 0
    for incident in await _open_incidents(context):
        due = next_due(incident)
        if due is not None and await leases.restore(context.wire, f"incident:{incident.id}", due):
            stuck += 1
            log.error("incident #%s had no timer; it has one again", incident.number)
    for group_id in await groups.load_group_ids(context.wire):
        if await leases.restore(context.wire, f"flush:{group_id}", context.now()):
            stuck += 1
            log.error("group %s had no timer; it has one again", group_id)
    return stuck


async def _trim(context: Context) -> None:
    """Delete what is past its retention."""
    before = context.now() - context.config.store.retention
    trimmed = await store_audit.trim_incidents(context.wire, before)
    if trimmed:
        log.info("forgot %s resolved incidents that began before the retention", trimmed)
    await deliveries.trim(context.wire, before)
    over = await schedule_changes.trim_manual_changes(context.wire, before)
    if over:
        log.info("forgot %s overrides, absences and swaps that ended before the retention", over)
    await shifts.trim_facts(context.wire, before=context.now() - shift_retention(context))


async def _open_incidents(context: Context) -> list[Incident]:
    found, cursor = list[Incident](), ""
    while True:
        page, cursor = await incidents.list_incidents(context.wire, limit=500, before=cursor)
        found += page
        if not cursor:
            return found
