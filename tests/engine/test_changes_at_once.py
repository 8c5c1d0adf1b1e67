"""Many changes of the same thing at a time: each of them comes to its turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from amproxy.apply import apply_event
from amproxy.context import Context
from amproxy.correlate import flusher
from amproxy.correlate.flusher import flush_group
from amproxy.machine import events
from amproxy.respond.targets import PageTarget, open_incident
from amproxy.store import incidents, keys, leases
from amproxy.store.leases import Timer
from amproxy.store.queues import ChangeQueues
from amproxy.store.wire import Wire
from tests.support.integration.house import House, config
from tests.support.words import said

CHANGES = 150


async def test_every_one_of_many_notes_written_at_once_by_two_processes_is_in_the_timeline(
    context: Context, redis_url: str
) -> None:
    wire = Wire(redis_url)
    wire.open()
    await wire.connected()
    processes = (context, Context(config(), wire))
    made = await open_incident(context, title="Disk", by="ann", to=PageTarget(users=("ann",)))
    notes = [events.Note(user="ann", via="api", text=f"note {n}!") for n in range(CHANGES)]
    await asyncio.gather(
        *(apply_event(processes[n % 2], made.id, note) for n, note in enumerate(notes))
    )
    timeline = " ".join(said(entry.words) for entry in await incidents.load_timeline(wire, made.id))
    await wire.close()
    assert [note.text for note in notes if note.text not in timeline] == []


async def test_a_group_that_is_pushed_in_a_hurry_all_the_time_is_flushed_and_then_at_once_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that it is loaded another push comes before its flush is committed."""
    house, wire = House(context), context.wire
    alert = {"labels": {"alertname": "Disk"}, "endsAt": "2200-01-01T00:00:00Z"}
    assert (await house.post("/api/v2/alerts", [alert]))[0] == 200
    (group_id,) = [name.decode() for name in await wire.call("SMEMBERS", keys.GROUPS)]
    flush_operations = flusher._flush_operations

    async def pushed_meanwhile(*words: Any, **more: Any) -> Any:
        await wire.call("HINCRBY", keys.group(group_id), "touched", 1)
        return await flush_operations(*words, **more)

    monkeypatch.setattr(flusher, "_flush_operations", pushed_meanwhile)
    now = context.now()
    await flush_group(context, Timer("flush", group_id, now))
    assert [one.title for one in await house.incidents()] == ["Disk"]
    due = await leases.next_due(wire)
    assert due is not None and due <= context.now(), "what was pushed meanwhile is told now"


async def test_who_never_loses_waits_for_nobody_and_who_lost_lets_nobody_pass() -> None:
    queues, order = ChangeQueues(), list[str]()

    async def change(name: str, *, loses: bool = False) -> None:
        async with queues.of("a", "b") as place:
            if loses:
                await place.join()
            order.append(f"{name} begins")
            await asyncio.sleep(0.01)
            order.append(f"{name} ends")

    await asyncio.gather(change("one"), change("two"))
    assert order == ["one begins", "two begins", "one ends", "two ends"]
    order.clear()
    await asyncio.gather(change("lost", loses=True), change("next"), change("last"))
    assert order == [
        f"{who} {what}" for who in ("lost", "next", "last") for what in ("begins", "ends")
    ]


async def test_a_change_that_is_given_up_while_it_queues_holds_up_no_other() -> None:
    queues = ChangeQueues()

    async def change() -> None:
        async with queues.of("a") as place:
            await place.join()
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(change()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks[:2]:  # the one that has its turn, and the one behind it
        task.cancel()
    async with asyncio.timeout(5):
        assert [type(one) for one in await asyncio.gather(*tasks, return_exceptions=True)] == [
            asyncio.CancelledError,
            asyncio.CancelledError,
            type(None),
        ]
        async with queues.of("a") as place:
            await place.join()
