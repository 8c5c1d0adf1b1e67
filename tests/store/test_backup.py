"""`amproxy backup` and `amproxy restore`: the whole state goes from one Redis into another."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from amproxy.cli import main
from amproxy.store import keys, replicas
from amproxy.store.backup import BadBackup, back_up, opened, restore
from amproxy.store.replicas import Replica
from amproxy.store.wire import Wire
from tests.support.redis_cluster import running_cluster

LONG = [f"{number}" for number in range(3000)]  # more than one piece
STATE: dict[str, tuple[str | bytes | int, ...]] = {
    "number": ("SET", 17),
    "secret": ("SET", b"\xff\x00 no text"),
    "summaries": ("HSET", *LONG),
    "incident:a:timeline": ("RPUSH", *LONG, b"\xc0"),
    "groups": ("SADD", *LONG),
    "timers": ("ZADD", 1.5, "flush:a", "-inf", b"\xc1"),
    "stated:ü": ("SET", "x", "PX", 3_600_000),
}
READ = {
    "summaries": ("HGETALL",),
    "incident:a:timeline": ("LRANGE", 0, -1),
    "groups": ("SMEMBERS",),
    "timers": ("ZRANGE", 0, -1, "WITHSCORES"),
    "outbox": ("XRANGE", "-", "+"),
}


async def fill(wire: Wire) -> None:
    for name, (command, *words) in STATE.items():
        await wire.call(command, keys.P + name, *words)
    for number in range(1200):
        await wire.call("XADD", keys.OUTBOX, f"{1000 + number}-1", "m", b"\xd0 message")
    await wire.call("SET", "another:program", "x")


async def load(wire: Wire) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in (*STATE, "outbox"):
        command, *words = READ.get(name, ("GET",))
        answer = await wire.call(command, keys.P + name, *words)
        found[name] = sorted(answer) if name in ("groups", "summaries") else answer
    return found


async def test_a_state_goes_into_a_cluster_and_back_unchanged(wire: Wire, tmp_path: Path) -> None:
    await fill(wire)
    before, there, back = await load(wire), tmp_path / "there", tmp_path / "back"
    with there.open("wb") as file:
        assert await back_up(wire, file, time.time()) == len(STATE) + 1
    with running_cluster() as cluster:
        async with opened(cluster.url) as other:
            await restore(other, there, replace=False)
            assert await load(other) == before
            with back.open("wb") as file:
                await back_up(other, file, time.time())
    await restore(wire, back, replace=True)
    assert await load(wire) == before
    assert await wire.call("GET", "another:program") == b"x"
    left = await wire.call("PTTL", f"{keys.P}stated:ü")
    assert 3_000_000 < left <= 3_600_000 + 60_000  # however long the test took
    assert await wire.call("PTTL", keys.NUMBER) == -1


async def test_a_file_that_is_not_whole_changes_nothing(wire: Wire, tmp_path: Path) -> None:
    await fill(wire)
    before, path = await load(wire), tmp_path / "file"
    with path.open("wb") as file:
        await back_up(wire, file, time.time())
    lines = path.read_bytes().splitlines(keepends=True)
    later = lines[0].replace(b'"state":1', b'"state":2')
    for wrong in (
        lines[:-1],
        lines[:4] + lines[5:],
        [*lines[:4], lines[4][:-9]],
        [],
        [later, *lines[1:]],
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(BadBackup):
            await restore(wire, path, replace=True)
    assert await load(wire) == before


async def test_a_state_is_replaced_only_if_one_says_so_and_never_under_a_running_amproxy(
    wire: Wire, tmp_path: Path
) -> None:
    await wire.call("SET", keys.NUMBER, 17)
    path = tmp_path / "file"
    with path.open("wb") as file:
        await back_up(wire, file, time.time())
    await wire.call("SET", keys.NUMBER, 18)
    with pytest.raises(BadBackup, match="--replace"):
        await restore(wire, path, replace=False)
    replica = Replica(
        name="r", host="h", pid=1, version="1", started=1, digest="", since=1, loaded=1
    )
    await replicas.publish_replica(wire, replica)
    with pytest.raises(BadBackup, match="stop all replicas"):
        await restore(wire, path, replace=True)
    await replicas.forget_replica(wire, "r")
    assert await wire.call("GET", keys.NUMBER) == b"18"
    await restore(wire, path, replace=True)
    assert await wire.call("GET", keys.NUMBER) == b"17"


def run(*words: str | Path) -> int:
    """The exit code of `amproxy …`."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_the_commands_start_the_embedded_redis_where_no_service_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other, file = tmp_path / "one", tmp_path / "other", tmp_path / "state.jsonl"

    async def ask(folder: Path, *words: str) -> Any:
        async with opened(str(folder)) as wire:
            return await wire.call(*words)

    asyncio.run(ask(one, "SET", keys.NUMBER, "17"))
    assert run("backup", one, file) == 0
    assert capsys.readouterr().out == f"saved: 1 keys in {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()][1:] == [
        {"key": "number", "type": "string", "value": ["17"]},
        {"pieces": 1},
    ]
    assert run("backup", one, file) == 1  # one that is there is kept
    assert run("backup", tmp_path / "nowhere", tmp_path / "x") == 1
    assert "no data folder" in capsys.readouterr().err
    assert run("restore", file, other) == 0
    assert asyncio.run(ask(other, "GET", keys.NUMBER)) == b"17"
