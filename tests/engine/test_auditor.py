"""The auditor: nothing stays stuck for want of its timer, and nothing is stored for ever."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from amproxy.apply import apply_event
from amproxy.config.structs import NotifyStep, Wait
from amproxy.context import Context
from amproxy.engine import auditor
from amproxy.engine.auditor import audit_once
from amproxy.engine.worker import run_worker
from amproxy.errors import StoreUnavailable
from amproxy.machine import transition
from amproxy.machine.events import Event, Merge, Opened, Resolve
from amproxy.machine.transition import next_due
from amproxy.model import Incident, OutgoingMessage
from amproxy.store import incidents, keys, leases, removal
from amproxy.store.commit import commit
from amproxy.store.wire import Wire
from tests.support.integration.house import plan
from tests.support.waiting import soon
from tests.support.words import FIRST_NOTIFICATION

PLAN = plan(NotifyStep(users=("ann",)), Wait(seconds=600), NotifyStep(users=("bob",)))


async def opened(context: Context, id: str = "i", age: float = 0.0) -> Incident:
    """A stored incident, opened so many seconds ago."""
    at = context.now() - age
    incident = Incident(id=id, number=1, policy="main", plan=PLAN, started_at=at)
    change = transition(incident, Opened(reason=FIRST_NOTIFICATION), at, context.roster, {})
    assert await commit(context.wire, incidents.change_operations(change))
    return change.incident


async def test_an_incident_that_lost_its_timer_gets_it_back_and_the_log_says_so(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    incident = await opened(context)
    await context.wire.call("ZREM", keys.TIMERS, "incident:i")
    assert await audit_once(context) == 1
    due = next_due(incident)
    assert due is not None
    assert int(await context.wire.call("ZSCORE", keys.TIMERS, "incident:i")) == int(due * 1000)
    assert "had no timer; it has one again incident=1" in caplog.text
    assert await audit_once(context) == 0, "the second audit finds all well"


async def test_a_group_that_lost_its_timer_is_flushed_now(context: Context) -> None:
    await context.wire.call("SADD", keys.GROUPS, "g")
    assert await audit_once(context) == 1
    due = int(await context.wire.call("ZSCORE", keys.TIMERS, "flush:g")) / 1000
    assert due <= context.now()


@pytest.mark.parametrize("meanwhile", ["resolved", "changed", "set"])
async def test_what_changes_while_the_auditor_looks_is_not_reported(
    context: Context, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    await opened(context)
    await context.wire.call("SADD", keys.GROUPS, "g")
    load = leases.load_waiting_messages

    async def change(wire: Wire, now: float) -> list[leases.TimedWork]:
        """What another process does between the auditor's reading and its writing."""
        await wire.call("SREM", keys.GROUPS, "g")
        if meanwhile == "resolved":
            stored = await incidents.load(wire, "i")
            event = Resolve(user="ann", via="web")
            done = transition(stored, event, context.now(), context.roster, {})
            assert await commit(wire, incidents.change_operations(done))
        elif meanwhile == "changed":
            await wire.call("HINCRBY", keys.incident("i"), "v", 1)
        else:
            await leases.restore(wire, "incident:i", context.now() + 5)
        return await load(wire, now)

    await context.wire.call("ZREM", keys.TIMERS, "incident:i")
    monkeypatch.setattr(leases, "load_waiting_messages", change)
    assert await audit_once(context) == 0


async def test_a_message_that_lost_its_retry_timer_is_sent_and_a_storm_goes_on(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    wire, page = context.wire, OutgoingMessage(id="m", kind="page", channel="chat", due=0.0)
    await wire.call("HSET", keys.RETRIES, "m", msgspec.msgpack.encode(page))
    await wire.call("RPUSH", keys.storm_pages("k"), msgspec.msgpack.encode(page))
    assert await audit_once(context) == 2
    due = await wire.call("ZRANGE", keys.TIMERS, 0, -1)
    assert {b"retry:m", b"bundle:k"} <= set(due)
    assert "timer=retry:m" in caplog.text and "timer=bundle:k" in caplog.text
    assert await audit_once(context) == 0
    working = asyncio.create_task(run_worker(context))

    async def sent() -> bool:
        waiting = await wire.call("EXISTS", keys.storm_pages("k"), keys.RETRIES)
        return not waiting and await wire.call("XLEN", keys.OUTBOX) == 2

    await soon(sent)
    working.cancel()


async def test_links_go_on_working_after_redis_has_lost_their_key(context: Context) -> None:
    context.signing_key = await leases.load_signing_key(context.wire)
    await context.wire.call("FLUSHALL")
    await audit_once(context)
    assert await leases.load_signing_key(context.wire) == context.signing_key


async def test_after_trouble_with_redis_the_audit_does_not_wait_for_its_turn(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(auditor, "CALM_AFTER", 0.05)
    await opened(context)
    auditing = asyncio.create_task(auditor.run_auditor(context, "me"))
    await asyncio.sleep(0.05)
    with pytest.raises(StoreUnavailable):
        await context.wire.call("NOSUCHCOMMAND")
    await context.wire.call("ZREM", keys.TIMERS, "incident:i")
    await soon(lambda: context.wire.call("EXISTS", keys.TIMERS), 20)
    auditing.cancel()


async def test_a_timer_that_is_there_stays_as_it_is(context: Context) -> None:
    await opened(context)
    before = await context.wire.call("ZSCORE", keys.TIMERS, "incident:i")
    assert await audit_once(context) == 0
    assert await context.wire.call("ZSCORE", keys.TIMERS, "incident:i") == before


async def test_what_is_resolved_and_past_its_retention_is_deleted_and_what_is_open_is_not(
    context: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "TRIM_LIMIT", 2)  # one audit deletes more than a commit does
    long_ago = context.config.store.retention + 3600
    await opened(context, "open", age=long_ago)
    old = [(f"old{number}", long_ago + number) for number in range(5)]
    for name, age in (*old, ("young", 60.0)):
        incident = await opened(context, name, age)
        event = Resolve(user="ann", via="web")
        change = transition(incident, event, context.now(), context.roster, {})
        assert await commit(context.wire, incidents.change_operations(change))
    with caplog.at_level(logging.INFO):
        await audit_once(context)
    found = await incidents.load_many(context.wire, ["open", "young", *(name for name, _ in old)])
    assert sorted(found) == ["open", "young"]
    assert "past its retention incidents=5" in caplog.text


async def test_what_is_part_of_an_open_incident_is_kept_as_long_as_that(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alerts of its groups find the open one through it: else they would page anew."""
    monkeypatch.setattr(removal, "TRIM_LIMIT", 1)  # nor may it keep others from being deleted
    long_ago = context.config.store.retention + 3600
    for name, age in (("part", long_ago + 60), ("old", long_ago), ("root", 60.0)):
        incident = await opened(context, name, age)
        event: Event = Resolve(user="ann", via="web")
        if name == "part":
            event = Merge(user="ann", via="web", into="root", number=3)
        if name != "root":
            change = transition(incident, event, context.now(), context.roster, {})
            assert await commit(context.wire, incidents.change_operations(change))
    await audit_once(context)
    assert sorted(await incidents.load_many(context.wire, ["part", "old", "root"])) == [
        "part",
        "root",
    ]
    await apply_event(context, "root", Resolve(user="ann", via="web"))
    await audit_once(context)
    assert list(await incidents.load_many(context.wire, ["part", "root"])) == ["root"]
