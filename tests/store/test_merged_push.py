"""Alerts that the script merges with what is stored: by the same rule as `merge_alerts`."""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from amproxy.grouping.dedup import merge_alerts
from amproxy.model import Alert, Group
from amproxy.store import groups, keys
from amproxy.store.commit import binary
from amproxy.store.groups import GroupWrite, Lease
from amproxy.store.wire import Wire

NOW = 1_775_000_000 * 10**9 + 123
GROUP = Group(id="g", key="k", receiver="r", route_key="{}")


class Stated(NamedTuple):
    """What one push says of an alert."""

    starts_ns: int
    ends_ns: int
    timeout: bool
    content: bytes

    def lease(self, updated_ns: int) -> Lease:
        times = (self.starts_ns, self.ends_ns, 0, updated_ns)
        return Lease(groups.new_revision(), *times, self.content, self.timeout)

    def alert(self, updated_ns: int) -> Alert:
        return Alert(
            fingerprint="f",
            labels={},
            annotations={"said": self.content.decode()},
            starts_ns=self.starts_ns,
            ends_ns=self.ends_ns,
            updated_ns=updated_ns,
            timeout=self.timeout,
        )


def anything(dice: random.Random) -> Stated:
    """Times around now, often the same or one nanosecond apart, as a double cannot tell them."""
    about = [NOW + step * 10**9 + dice.randint(-1, 1) for step in (-120, -60, -1, 0, 0, 1, 60, 120)]
    starts = dice.choice([*about, 0, -5, 5])
    ends = dice.choice([0, 0, *about])
    return Stated(starts, ends, dice.random() < 0.5, dice.choice((b"one     ", b"other   ")))


def write(said: dict[str, Stated], expected: bytes, updated_ns: int) -> GroupWrite:
    result = GroupWrite("g", groups.encode_group(GROUP), 1000, False, [], [], [], [], [])
    for name, one in said.items():
        result.fingerprints.append(name)
        result.expected.append(binary(expected))
        result.leases.append(one.lease(updated_ns).pack())
        result.records.append(groups.encode_alert(replace(one.alert(updated_ns), fingerprint=name)))
    return result


async def test_what_the_script_merges_is_what_python_would_have(wire: Wire) -> None:
    dice = random.Random(14)
    names = [f"f{number}" for number in range(2000)]
    before = {name: anything(dice) for name in names}
    after = {name: anything(dice) for name in names}
    assert await groups.ingest(wire, [write(before, b"", NOW - 10**9)]) is not None
    assert await groups.ingest(wire, [write(after, b"merge", NOW)]) is not None
    loaded = await groups.load_group(wire, "g")
    assert loaded is not None and len(loaded.alerts) == len(names)
    for stored in loaded.alerts:
        old, new = before[stored.fingerprint], after[stored.fingerprint]
        wanted = merge_alerts(old.alert(NOW - 10**9), new.alert(NOW))
        assert (stored.starts_ns, stored.ends_ns) == (wanted.starts_ns, wanted.ends_ns), (old, new)
        assert (stored.timeout, stored.updated_ns) == (new.timeout, NOW)
        assert stored.annotations == wanted.annotations


async def test_what_the_script_merges_into_nothing_is_stored_as_it_came(wire: Wire) -> None:
    said = Stated(NOW - 5, NOW + 5, False, b"one     ")
    assert await groups.ingest(wire, [write({"f": said}, b"merge", NOW)]) is not None
    loaded = await groups.load_group(wire, "g")
    assert loaded is not None
    assert [(one.starts_ns, one.ends_ns) for one in loaded.alerts] == [(NOW - 5, NOW + 5)]
    assert await wire.call("ZSCORE", keys.TIMERS, "flush:g") == b"1000"


async def test_an_end_that_nobody_sent_keeps_start_and_content_and_makes_no_alert(
    wire: Wire,
) -> None:
    fires = Stated(NOW - 50, 0, False, b"one     ")
    assert await groups.ingest(wire, [write({"f": fires}, b"", NOW - 9)]) is not None
    unnamed = write({name: Stated(NOW, NOW, True, b"") for name in ("f", "gone")}, b"times", NOW)
    unnamed = unnamed._replace(records=[False, False])
    assert await groups.ingest(wire, [unnamed]) is not None
    loaded = await groups.load_group(wire, "g")
    assert loaded is not None
    (alert,) = loaded.alerts
    assert (alert.starts_ns, alert.ends_ns) == (NOW - 50, NOW)
    assert alert.annotations == {"said": "one     "}


async def test_an_old_end_that_outlives_a_new_one_keeps_its_source_of_inhibition(
    wire: Wire,
) -> None:
    sources = {}
    for expected, ends, said in ((b"", 60, "long"), (b"merge", 30, "short")):
        one = Stated(NOW - 5, NOW + ends * 10**9, False, b"one     ")
        sources[said] = write({"f": one}, expected, NOW)._replace(sources=["rule", "f", said])
    for said in ("long", "short"):
        assert await groups.ingest(wire, [sources[said]]) is not None
    assert await wire.call("HGET", keys.source("rule"), "f") == b"long"


async def test_the_times_of_an_alert_are_stored_once_and_come_back(wire: Wire) -> None:
    said = Stated(NOW - 5, NOW + 60 * 10**9, True, b"one     ")
    assert await groups.ingest(wire, [write({"f": said}, b"", NOW)]) is not None
    loaded = await groups.load_group(wire, "g")
    assert loaded is not None
    assert loaded.alerts == [said.alert(NOW)]
    record = await wire.call("HGET", keys.alerts("g"), "f")
    assert msgspec.msgpack.decode(record)["starts_ns"] == 0
    assert b"ends_ns" not in record and b"updated_ns" not in record
    # a record of earlier days has them too
    await wire.call("HSET", keys.alerts("g"), "f", msgspec.msgpack.encode(said.alert(NOW)))
    [alert] = (await groups.load_alerts(wire, "g", [b"f"])).values()
    assert alert == said.alert(NOW)
