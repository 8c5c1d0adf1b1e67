"""Commits: whole, or nothing where somebody else was quicker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Maintenance, Policy
from amproxy.grouping.silence_index import SilenceIndex
from amproxy.labels.matchers import parse_matcher
from amproxy.model import (
    Change,
    Group,
    Incident,
    LoadedGroup,
    OutgoingMessage,
    Silence,
    TimelineEntry,
)
from amproxy.store import groups, incidents, keys, muting, outbox, shifts
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import RedisRefused, Wire

Guarded = Callable[[Wire], Awaitable[Operations]]
GROUP = Group(id="g", key="k", receiver="r", route_key="{}")


def a_change(version: int, turns: dict[str, tuple[int, int]] | None = None) -> Change:
    incident = Incident(id="i", version=version, policy="p", plan=Policy(name="p"), started_at=1)
    page = OutgoingMessage(id="m", kind="page", channel="chat", due=0)
    return Change(
        incident=incident,
        before="triggered" if version > 1 else "",
        policy_before="p",
        timeline=[],
        timer=5.0,
        outbox=[page],
        turns=turns or {},
        nobody=[],
    )


def a_loaded_group(version: str = "", touched: str = "", busy_until: float = 0.0) -> LoadedGroup:
    return LoadedGroup(GROUP, version, touched, [], {}, {}, busy_until, None)


async def opened_twice(wire: Wire) -> Operations:
    assert await commit(wire, incidents.change_operations(a_change(1)))
    return incidents.change_operations(a_change(1))


async def changed_by_two(wire: Wire) -> Operations:
    assert await commit(wire, incidents.change_operations(a_change(1)))
    assert await commit(wire, incidents.change_operations(a_change(2)))
    return incidents.change_operations(a_change(2))


async def turn_taken_by_another(wire: Wire) -> Operations:
    await wire.call("HSET", keys.TURNS, "team", 1)
    return incidents.change_operations(a_change(1, {"team": (0, 1)}))


async def flushed_by_another(wire: Wire) -> Operations:
    assert await commit(wire, groups.begin_flush(a_loaded_group(), next_due=9.0, now=0.0))
    return groups.begin_flush(a_loaded_group(), next_due=9.0, now=0.0)


async def pushed_in_a_hurry(wire: Wire) -> Operations:
    await wire.call("HSET", keys.group("g"), "touched", 1)
    return groups.begin_flush(a_loaded_group(), next_due=9.0, now=0.0)


async def flush_just_ended(wire: Wire) -> Operations:
    return groups.wait_for_flush(a_loaded_group(busy_until=7.0))


async def silence_changed(wire: Wire) -> Operations:
    first = Silence(id="s", matcher_sets=[[parse_matcher("a=b")]], starts_ns=0, ends_ns=1)
    created, changed, result = Operations(), Operations(), Operations()
    muting.save_silences(created, first)
    assert await commit(wire, created)
    stored = await muting.load_silence(wire, "s")
    assert stored
    muting.save_silences(changed, replace(first, ends_ns=2))
    assert await commit(wire, changed)
    muting.guard_silence(result, stored)
    muting.delete_silences(result, "s")
    return result


async def window_deleted(wire: Wire) -> Operations:
    created = Operations()
    muting.save_window(created, Maintenance(name="w", id="w", matchers=()))
    assert await commit(wire, created)
    stored, deleted, result = await muting.load_window(wire, "w"), Operations(), Operations()
    assert stored
    muting.delete_windows(deleted, "w")
    assert await commit(wire, deleted)
    muting.guard_window(result, stored)
    muting.save_window(result, stored.window)
    return result


async def shifts_recorded_by_another(wire: Wire) -> Operations:
    nothing = await shifts.load_progress(wire, "main")
    assert await commit(wire, shifts.write_facts(nothing, "main", (), until=10.0, zone="UTC"))
    return shifts.write_facts(nothing, "main", (), until=20.0, zone="UTC")


async def retry_put_back_by_another(wire: Wire) -> Operations:
    await outbox.join(wire)
    created = Operations()
    incidents.enqueue(created, OutgoingMessage(id="m", kind="page", channel="chat", due=0))
    assert await commit(wire, created)
    [read] = await outbox.read(wire, "a", 1)
    assert await commit(wire, outbox.postpone(read, read.message, 5.0))
    first, second = await outbox.requeue(wire, "m"), await outbox.requeue(wire, "m")
    assert first and second and await commit(wire, first)
    return second


async def everything(wire: Wire) -> dict[bytes, bytes]:
    """All that is stored, byte by byte."""
    return {key: await wire.call("DUMP", key) for key in await wire.call("KEYS", "*")}


@pytest.mark.parametrize(
    "guarded",
    [
        opened_twice,
        changed_by_two,
        turn_taken_by_another,
        flushed_by_another,
        pushed_in_a_hurry,
        flush_just_ended,
        silence_changed,
        window_deleted,
        shifts_recorded_by_another,
        retry_put_back_by_another,
    ],
)
async def test_who_comes_second_is_refused_and_changes_nothing(
    wire: Wire, guarded: Guarded
) -> None:
    operations = await guarded(wire)
    before = await everything(wire)
    assert not await commit(wire, operations)
    assert await everything(wire) == before


async def test_who_comes_first_changes_all_of_it(wire: Wire) -> None:
    assert await commit(wire, incidents.change_operations(a_change(1, {"team": (0, 1)})))
    assert (await incidents.load(wire, "i")).version == 1
    assert await incidents.load_turns(wire) == {"team": 1}
    assert await outbox.load_depths(wire) == {"chat": 1}
    assert await wire.call("ZSCORE", keys.TIMERS, "incident:i") == b"5000"


async def test_of_many_guards_one_is_enough_to_refuse(wire: Wire) -> None:
    await wire.call("HSET", "h", "a", "1", "b", "2")
    operations = Operations()
    operations.guard("h", "a", "1")
    operations.guard("h", "c", "")
    operations.guard("h", "b", b"\xff\x00")
    operations.do("DEL", "h")
    assert not await commit(wire, operations)
    await wire.call("HSET", "h", "b", b"\xff\x00")
    assert await commit(wire, operations), "bytes that are no text are compared as they are"


async def test_an_alert_that_was_pushed_again_is_not_deleted_by_an_older_decision(
    wire: Wire,
) -> None:
    await wire.call("HSET", keys.leases("g"), "same", b"AAAAAAAA...", "pushed", b"CCCCCCCC...")
    await wire.call("HSET", keys.alerts("g"), "same", b"alert", "pushed", b"alert")
    operations = Operations()
    operations.do("!remove", "g", "same", b"AAAAAAAA")
    operations.do("!remove", "g", "pushed", b"BBBBBBBB")
    assert await commit(wire, operations)
    assert await wire.call("HKEYS", keys.leases("g")) == [b"pushed"]
    assert await wire.call("HKEYS", keys.alerts("g")) == [b"pushed"]


@pytest.mark.parametrize("command", ["xadd", "publish", "zadd", "rpush", "hincrby"])
async def test_a_commit_that_redis_would_refuse_half_way_changes_nothing(
    wire: Wire, command: str
) -> None:
    await wire.call("ACL", "SETUSER", "default", f"-{command}")
    change = replace(a_change(1), timeline=[TimelineEntry(at=1.0, kind="opened", text="x")])
    try:
        with pytest.raises(RedisRefused, match="NOPERM"):
            await commit(wire, incidents.change_operations(change))
    finally:
        await wire.call("ACL", "SETUSER", "default", f"+{command}")
    assert await wire.call("KEYS", "*") == []
    assert await commit(wire, incidents.change_operations(change))


@pytest.mark.parametrize("key", [keys.OUTBOX, keys.TIMERS, keys.COUNTS, keys.SUMMARIES])
async def test_a_key_of_another_type_makes_a_commit_fail_before_its_first_change(
    wire: Wire, key: str
) -> None:
    await wire.call("SET", key, "somebody's")
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        await commit(wire, incidents.change_operations(a_change(1)))
    assert await wire.call("KEYS", "*") == [key.encode()]


async def test_a_redis_that_has_lost_its_silences_comes_to_no_version_that_caches_know(
    wire: Wire,
) -> None:
    cache = muting.SilenceCache(SilenceIndex(), SilenceIndex.changed)
    for name in ("before", "after"):
        operations = Operations()
        muting.save_silences(
            operations,
            Silence(id=name, matcher_sets=[], starts_ns=0, ends_ns=1),
        )
        assert await commit(wire, operations)
        assert list(await cache.all(wire)) == [name]
        await wire.call("FLUSHALL")
