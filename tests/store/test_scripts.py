"""A script that Redis refuses half-way leaves nothing half done: Redis itself undoes nothing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import msgspec
import pytest

from amproxy.config.structs import Storm
from amproxy.model import OutgoingMessage
from amproxy.store import incidents, keys, leases, outbox, sign_in, storms
from amproxy.store.commit import Operations, binary, commit
from amproxy.store.leases import TimedWork
from amproxy.store.outbox import OutboxMessage, RateLimit
from amproxy.store.wire import SCRIPTS, RedisRefused, Wire, script_source

NOW = 1_900_000_000.0
LIMIT = RateLimit(("chat", "bot"), 1.0)
STORM = Storm(more_than=1, within=60.0)
encode = msgspec.msgpack.Encoder().encode
COUNTERS = sign_in.attempt_counters("ada", "192.0.2.1")
# Commands that a change of an incident has among its operations.
OPERATIONS = ("DEL", "ZADD", "PUBLISH")

Action = Callable[[], Awaitable[object]]


class Case(NamedTuple):
    """A script, and the making of a state in which it writes all that it can write."""

    script: str
    prepare: Callable[[Wire], Awaitable[Action]]


async def read(wire: Wire, *ids: str, consumer: str = "me") -> list[OutboxMessage]:
    await outbox.join(wire)
    operations = Operations()
    for id_ in ids:
        message = OutgoingMessage(id=id_, kind="page", channel="chat", due=0, page=id_)
        incidents.enqueue(operations, message)
    assert await commit(wire, operations)
    return await outbox.read(wire, consumer, 10)


async def prepare_settling(wire: Wire) -> Action:
    [queued] = await read(wire, "m")
    settle = encode([("f1", binary(b"12345678"))])
    words = ("flush", "x", "pending", 1, "settle", settle, "late", 1)
    await wire.call("HSET", keys.group("g"), "meta", "g", *words)
    await wire.call("HSET", keys.leases("g"), "f1", b"12345678rest")
    await wire.call("HSET", keys.alerts("g"), "f1", "alert")
    await wire.call("HSET", keys.log("g"), "webhook/0", "entry")
    await wire.call("SADD", keys.GROUPS, "g")
    await wire.call("ZADD", keys.TIMERS, 5000, "flush:g")
    operations = outbox.finish(queued)
    operations.do("!settle", "g", "x", 1, 1000)
    operations.do("DEL", keys.offset("o"))
    operations.do("PUBLISH", keys.CHANGES, "x")
    return lambda: commit(wire, operations)


async def prepare_postponing(wire: Wire) -> Action:
    [queued] = await read(wire, "m")
    return lambda: commit(wire, outbox.postpone(queued, queued.message, NOW))


async def prepare_ingest(wire: Wire) -> Action:
    source = ["s", "f1", "source"]
    first = ["g", "meta", 1000, True, ["f1"], [""], ["lease"], ["alert"], source, 9000]
    second = ["h", False, 1000, False, ["f1"], [""], ["lease"], ["alert"], [], 0]
    stated = [[keys.record("r"), keys.stated("s")], ["", "gone"], ["record", "r"], 60]
    await wire.call("SET", keys.stated("s"), "gone")
    await wire.call("HSET", keys.group("h"), "meta", "h")
    return lambda: wire.script("ingest", keys.P, encode([[first, second], stated]))


async def prepare_holding(wire: Wire) -> Action:
    first, second = await read(wire, "m", "n")
    assert not await storms.hold_page(wire, STORM, "k", first, NOW)
    await wire.call("HSET", keys.P + "begun", second.entry, "me")
    return lambda: storms.hold_page(wire, STORM, "k", second, NOW)


async def prepare_release(wire: Wire) -> Action:
    await (await prepare_holding(wire))()
    backlog = await storms.load_backlog(wire, "k")
    assert backlog.messages
    return lambda: backlog.release(wire, backlog.messages, NOW)


async def prepare_permit(wire: Wire) -> Action:
    [queued] = await read(wire, "m")
    await wire.call("SET", keys.P + "pace:bot", 1000)
    return lambda: outbox.permit(wire, queued, LIMIT)


async def prepare_throttle(wire: Wire) -> Action:
    await wire.call("ZADD", keys.P + "refusing:bot", int(2000 * NOW), "another chat")
    await wire.call("SET", keys.P + "pace:chat", 1000)
    return lambda: outbox.throttle(wire, LIMIT, 30, NOW)


async def prepare_taking_over(wire: Wire) -> Action:
    await read(wire, "m", consumer="dead")
    await outbox.keep_alive(wire, "gone")
    [nothing] = await read(wire, "n", consumer="a gone one")
    assert await commit(wire, outbox.finish(nothing))
    await outbox.leave(wire, "gone")
    return lambda: outbox.take_over(wire, "me")


async def prepare_strays(wire: Wire) -> Action:
    for queued in await read(wire, "m", "n"):
        await wire.call("XACK", keys.OUTBOX, outbox.CONSUMER_GROUP, queued.entry)
    return lambda: outbox.restore_strays(wire, "")


async def prepare_restoring(wire: Wire) -> Action:
    await wire.call("HSET", keys.RETRIES, "m", "message")
    await wire.call("SADD", keys.GROUPS, "g")
    works = [
        TimedWork("retry:m", NOW, ("HEXISTS", keys.RETRIES, "m")),
        TimedWork("flush:g", NOW, ("SISMEMBER", keys.GROUPS, "g")),
    ]
    return lambda: leases.restore_lost(wire, works)


async def prepare_attempts(wire: Wire) -> Action:
    for _ in range(sign_in.NAME_TRIES - 1):
        assert await sign_in.begin_attempt(wire, *COUNTERS) == 0
    return lambda: sign_in.begin_attempt(wire, *COUNTERS)


async def prepare_clearing(wire: Wire) -> Action:
    await (await prepare_attempts(wire))()
    await wire.call("SET", f"{keys.P}blocked:{COUNTERS[1].key}", 1)
    return lambda: sign_in.clear_attempts(wire, *COUNTERS)


async def prepare_leasing(wire: Wire) -> Action:
    await wire.call("ZADD", keys.TIMERS, 1000, "retry:m", 1000, "retry:n")
    return lambda: leases.lease_due(wire, NOW, 10)


async def prepare_giving_back(wire: Wire) -> Action:
    await (await prepare_leasing(wire))()
    timer = leases.Timer("retry", "m", 1.0)
    return lambda: leases.give_back(wire, timer, NOW, NOW)


CASES = [
    Case("commit", prepare_settling),
    Case("commit", prepare_postponing),
    Case("ingest", prepare_ingest),
    Case("hold", prepare_holding),
    Case("release", prepare_release),
    Case("permit", prepare_permit),
    Case("throttle", prepare_throttle),
    Case("take_over", prepare_taking_over),
    Case("strays", prepare_strays),
    Case("restore", prepare_restoring),
    Case("begin_attempt", prepare_attempts),
    Case("clear_attempts", prepare_clearing),
    Case("lease_timers", prepare_leasing),
    Case("give_back", prepare_giving_back),
]
CASE_IDS = [case.prepare.__name__ for case in CASES]


@pytest.fixture
async def allowed(wire: Wire) -> AsyncIterator[None]:
    """Give the user in Redis all rights back, because other tests use it too."""
    yield
    await wire.call("ACL", "SETUSER", "default", "+@all")


async def dump(wire: Wire) -> dict[bytes, object]:
    """Key → its value, and whether it expires."""
    names = await wire.call("KEYS", "*")
    return {
        name: (await wire.call("DUMP", name), await wire.call("TTL", name) >= 0) for name in names
    }


async def refusal_of(wire: Wire, action: Action) -> str:
    """The refusal that the action meets, "" = none. Fails where it has changed something then."""
    before = await dump(wire)
    try:
        await action()
    except RedisRefused as error:
        await wire.call("ACL", "SETUSER", "default", "+@all")
        assert await dump(wire) == before, f"half done: {error}"
        return str(error)
    return ""


def test_each_script_has_a_case() -> None:
    assert {case.script for case in CASES} == set(SCRIPTS)


@pytest.mark.parametrize("case", CASES, ids=CASE_IDS)
async def test_a_command_that_may_not_be_used_leaves_nothing_half_done(
    wire: Wire, allowed: None, case: Case
) -> None:
    named = re.findall(r"redis\.call\('([A-Z]+)'", script_source(case.script))
    if case.script == "commit":
        named += OPERATIONS
    refused = set[str]()
    for command in sorted(set(named)):
        await wire.call("FLUSHALL")
        action = await case.prepare(wire)
        await wire.call("ACL", "SETUSER", "default", f"-{command}")
        if await refusal_of(wire, action):
            refused.add(command)
        await wire.call("ACL", "SETUSER", "default", "+@all")
    assert len(refused) > 1, "it writes nothing here"


@pytest.mark.parametrize("case", CASES, ids=CASE_IDS)
async def test_a_key_of_another_type_leaves_nothing_half_done(wire: Wire, case: Case) -> None:
    await (await case.prepare(wire))()
    for key in sorted(await dump(wire)):
        await wire.call("FLUSHALL")
        action = await case.prepare(wire)
        await wire.call("DEL", key)
        if key.decode() == keys.OUTBOX:
            await wire.call("HSET", key, "a", "b")
        else:
            await wire.call("XADD", key, "*", "a", "b")
        await refusal_of(wire, action)


@pytest.mark.parametrize("command", ["expire", "pexpire", "incr", "decr", "set"])
async def test_what_expires_never_stays_for_ever(wire: Wire, allowed: None, command: str) -> None:
    async def use() -> None:
        await storms.save_bundle_epochs(wire, "b", {"i": 1})
        await sign_in.begin_attempt(wire, *COUNTERS)
        await sign_in.clear_attempts(wire, *COUNTERS)

    await wire.call("ACL", "SETUSER", "default", f"-{command}")
    with contextlib.suppress(RedisRefused):
        await use()
    with contextlib.suppress(RedisRefused):
        await sign_in.begin_attempt(wire, *COUNTERS)
    await wire.call("ACL", "SETUSER", "default", f"+{command}")
    assert all(expires for _, expires in (await dump(wire)).values())
    await use()
    await sign_in.clear_attempts(
        wire, *COUNTERS
    )  # forgotten already: there is nothing to take back
    assert all(expires for _, expires in (await dump(wire)).values())
