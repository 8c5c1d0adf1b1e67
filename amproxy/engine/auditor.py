"""The auditor: finds what is stuck, though nothing should be, and lets go of what is past its retention."""

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
from amproxy.shifts.record import keeping
from amproxy.store import audit as store_audit
from amproxy.store import deliveries, groups, incidents, schedule_changes, shifts, timers
from amproxy.store.leases import Polling

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds


async def audit_for_ever(context: Context, name: str) -> None:
    """One process of all audits; cancel to stop."""
    while True:
        await asyncio.sleep(EVERY)
        try:
            if await Polling(context.wire).lease("auditor", name, 2 * EVERY):
                await audit(context)
        except StoreUnavailable:
            log.debug("Redis is away; the audit waits")


async def audit(context: Context) -> int:
    """Give every open incident and every group without a timer its timer back; returns how many had none."""
    stuck = 0
    for incident in await _all_open(context):
        due = next_due(incident)
        if due is not None and await timers.restore(context.wire, f"incident:{incident.id}", due):
            stuck += 1
            log.error("incident #%s had no timer; it has one again", incident.number)
    for group_id in await groups.all_ids(context.wire):
        if await timers.restore(context.wire, f"flush:{group_id}", context.now()):
            stuck += 1
            log.error("group %s had no timer; it has one again", group_id)
    metrics.stuck.inc(stuck)
    before = context.now() - context.config.store.retention
    # Redis may have been away when the file was loaded
    await heartbeats.watch(context)
    await muting.watch(context)
    trimmed = await store_audit.trim(context.wire, before)
    if trimmed:
        log.info("forgot %s resolved incidents that began before the retention", trimmed)
    await deliveries.trim(context.wire, before)
    over = await schedule_changes.trim(context.wire, before)
    if over:
        log.info("forgot %s overrides, absences and swaps that ended before the retention", over)
    await record.restore(context)
    await shifts.trim(context.wire, before=context.now() - keeping(context))
    return stuck


async def _all_open(context: Context) -> list[Incident]:
    found, cursor = list[Incident](), ""
    while True:
        page, cursor = await incidents.listing(context.wire, limit=500, before=cursor)
        found += page
        if not cursor:
            return found
