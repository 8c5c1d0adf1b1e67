"""The auditor: nothing stays stuck for want of its timer, and nothing is stored for ever."""

from __future__ import annotations

import logging

import pytest

from amproxy.config.structs import NotifyStep, Wait
from amproxy.context import Context
from amproxy.engine.auditor import audit_once
from amproxy.errors import NotFound
from amproxy.machine import transition
from amproxy.machine.events import Opened, Resolve
from amproxy.machine.transition import next_due
from amproxy.model import Incident
from amproxy.store import incidents, keys
from amproxy.store.commit import commit
from tests.support.integration.house import plan

PLAN = plan(NotifyStep(users=("ann",)), Wait(seconds=600), NotifyStep(users=("bob",)))


async def opened(context: Context, id: str = "i", age: float = 0.0) -> Incident:
    """A stored incident, opened so many seconds ago."""
    at = context.now() - age
    incident = Incident(id=id, number=1, policy="main", plan=PLAN, started_at=at)
    change = transition(incident, Opened(reason="first notification"), at, context.roster, {})
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
    assert "incident #1 had no timer" in caplog.text
    assert await audit_once(context) == 0, "the second audit finds all well"


async def test_a_group_that_lost_its_timer_is_flushed_now(context: Context) -> None:
    await context.wire.call("SADD", keys.GROUPS, "g")
    assert await audit_once(context) == 1
    due = int(await context.wire.call("ZSCORE", keys.TIMERS, "flush:g")) / 1000
    assert due <= context.now()


async def test_a_timer_that_is_there_stays_as_it_is(context: Context) -> None:
    await opened(context)
    before = await context.wire.call("ZSCORE", keys.TIMERS, "incident:i")
    assert await audit_once(context) == 0
    assert await context.wire.call("ZSCORE", keys.TIMERS, "incident:i") == before


async def test_what_is_resolved_and_past_its_retention_is_deleted_and_what_is_open_is_not(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    long_ago = context.config.store.retention + 3600
    await opened(context, "open", age=long_ago)
    for name, age in (("old", long_ago), ("young", 60.0)):
        incident = await opened(context, name, age)
        event = Resolve(user="ann", via="web")
        change = transition(incident, event, context.now(), context.roster, {})
        assert await commit(context.wire, incidents.change_operations(change))
    with caplog.at_level(logging.INFO):
        await audit_once(context)
    with pytest.raises(NotFound):
        await incidents.load(context.wire, "old")
    found = await incidents.load_many(context.wire, ["open", "young"])
    assert sorted(found) == ["open", "young"]
    assert "forgot 1 resolved incidents" in caplog.text
