"""Copies of the silences in several processes: each reads what has changed, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from amproxy.grouping.silence_index import SilenceIndex
from amproxy.labels.matchers import Matcher
from amproxy.model import Silence
from amproxy.store import keys, muting
from amproxy.store.commit import Operations, commit
from amproxy.store.muting import MAX_CHANGES, SilenceCache
from amproxy.store.wire import Wire


class Replica:
    """One process' copy; `read` is what it has read of the silences since it was looked at last."""

    def __init__(self, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wire = wire
        self.cache = SilenceCache(SilenceIndex(), SilenceIndex.changed)
        self.read = list[str]()
        call = wire.call

        def noted(*words: Any) -> Any:
            if words[0] in ("HGETALL", "HMGET") and words[1] == keys.SILENCES:
                self.read += words[2:] or ("all",)
            return call(*words)

        monkeypatch.setattr(wire, "call", noted)

    async def known(self) -> dict[str, int]:
        """Id → end."""
        self.read.clear()
        return {name: one.ends_ns for name, one in (await self.cache.all(self.wire)).items()}


@pytest.fixture
async def replica(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replica]:
    wire = Wire(redis_url)
    wire.open()
    await wire.connected()
    yield Replica(wire, monkeypatch)
    await wire.close()


async def change(wire: Wire, *names: str, ends: int = 1, delete: bool = False) -> None:
    operations = Operations()
    if delete:
        muting.delete_silences(operations, *names)
    else:
        made = [
            Silence(id=name, matcher_sets=[[Matcher("a", "=", name)]], starts_ns=0, ends_ns=ends)
            for name in names
        ]
        muting.save_silences(operations, *made)
    assert await commit(wire, operations)


async def test_of_many_silences_only_those_are_read_that_another_process_has_changed(
    wire: Wire, replica: Replica
) -> None:
    await change(wire, *(f"s{number}" for number in range(50)))
    assert len(await replica.known()) == 50
    await change(wire, "s7", ends=9)
    await change(wire, "new")
    await change(wire, "s8", delete=True)
    known = await replica.known()
    assert (known["s7"], known["new"], "s8" in known, len(known)) == (9, 1, False, 50)
    assert sorted(replica.read) == ["new", "s7", "s8"]
    await replica.known()
    assert replica.read == []


async def missed_too_many(wire: Wire) -> None:
    for number in range(MAX_CHANGES + 1):
        await change(wire, "often", ends=number)


async def changed_by_an_older_version(wire: Wire) -> None:
    await wire.call("SET", keys.version(keys.SILENCES), 5)
    await wire.call("HDEL", keys.SILENCES, "s0")
    await change(wire, "often")


async def lost_and_made_anew(wire: Wire) -> None:
    await wire.call("FLUSHALL")
    await change(wire, "often")
    await change(wire, "again")


@pytest.mark.parametrize(
    "happen", [missed_too_many, changed_by_an_older_version, lost_and_made_anew]
)
async def test_a_process_that_cannot_know_what_has_changed_reads_all(
    wire: Wire, replica: Replica, happen: Callable[[Wire], Any]
) -> None:
    await change(wire, "s0", "s1")
    await replica.known()
    await happen(wire)
    known = await replica.known()
    assert replica.read == ["all"]
    stored = await wire.call("HKEYS", keys.SILENCES)
    assert sorted(known) == sorted(name.decode() for name in stored)
