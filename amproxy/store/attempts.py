"""Wrong passwords, counted by name and by address, so that nobody can try many.

Every attempt counts as wrong until it was right: attempts made at the same moment do not pass beside the counter.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from amproxy.store import keys
from amproxy.store.wire import Wire

TRIES: Final = 5  # wrong passwords for one name before it has to wait
ADDRESS_TRIES: Final = 20  # from one address: a whole office may stand behind it
WINDOW: Final = 60.0  # seconds without an attempt after which they are forgotten, as long as nobody had to wait
LONGEST: Final = 900.0  # seconds


class Counter(NamedTuple):
    """What attempts are counted by."""

    key: str
    tries: int


def by_name(name: str) -> Counter:
    return Counter(f"name:{hashlib.sha256(name.casefold().encode('utf-8', 'replace')).hexdigest()[:32]}", TRIES)


def by_address(address: str) -> Counter:
    return Counter(f"address:{address}", ADDRESS_TRIES)


def wait_after(wrong: int, tries: int) -> float:
    """Seconds until the next attempt after so many wrong ones: none, then 1, 2, 4 … minutes, 15 at most."""
    return 0.0 if wrong < tries else min(LONGEST, WINDOW * 2.0 ** min(wrong - tries, 10))


async def begin(wire: Wire, *counters: Counter) -> float:
    """Count an attempt. Seconds to wait, where it must not be made; 0 = it may. Raises StoreUnavailable."""
    for counter in counters:
        wait = await _begin(wire, counter)
        if wait:
            return wait
    return 0.0


async def succeeded(wire: Wire, name: Counter, address: Counter) -> None:
    """The password was right. Of the address only this attempt is taken back: whoever knows one password may not try others."""
    await wire.call("DEL", keys.attempts(name.key), keys.blocked(name.key))
    if await wire.call("DECR", keys.attempts(address.key)) < address.tries:
        await wire.call("DEL", keys.blocked(address.key))


async def _begin(wire: Wire, counter: Counter) -> float:
    blocked = keys.blocked(counter.key)
    left = await wire.call("PTTL", blocked)
    if left > 0:
        return float(left) / 1000
    attempts = keys.attempts(counter.key)
    wrong = int(await wire.call("INCR", attempts))
    wait = wait_after(wrong, counter.tries)
    await wire.call("PEXPIRE", attempts, int((wait + (LONGEST if wait else WINDOW)) * 1000))
    if not wait or await wire.call("SET", blocked, 1, "NX", "PX", int(wait * 1000)):
        return 0.0
    await wire.call("DECR", attempts)  # somebody else's attempt was faster, and has closed the door
    return wait
