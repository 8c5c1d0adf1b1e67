"""Pictures that senders put into their alerts: apart from the alerts, and only the last ones.

Alerts are read by the hundred thousand, pictures one at a time. What is kept of them is bounded in
number and age, so that no sender fills Redis; an alert may outlive its picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from amproxy.store import keys
from amproxy.store.wire import Wire

MAX_PICTURES: Final = 100  # that are kept
KEPT_SECONDS: Final = 7 * 86400  # without another picture


async def save_pictures(wire: Wire, pictures: Mapping[str, bytes], now: float) -> None:
    """Store pictures by digest; now: Unix seconds. Raises StoreUnavailable."""
    saved = [
        # One that is there is not written again: its sender repeats it with every push.
        wire.call("HSETNX", keys.PICTURES, digest, data)
        for digest, data in pictures.items()
    ]
    aged = [wire.call("ZADD", keys.PICTURE_TIMES, repr(now), digest) for digest in pictures]
    expiries = [
        wire.call("EXPIRE", key, KEPT_SECONDS) for key in (keys.PICTURES, keys.PICTURE_TIMES)
    ]
    await asyncio.gather(*saved, *aged, *expiries)
    surplus = await wire.call("ZCARD", keys.PICTURE_TIMES) - MAX_PICTURES
    if surplus > 0:
        oldest = await wire.call("ZPOPMIN", keys.PICTURE_TIMES, surplus)
        await wire.call("HDEL", keys.PICTURES, *oldest[::2])


async def load_picture(wire: Wire, digest: str) -> bytes | None:
    """The picture of a digest; None where it is not kept. Raises StoreUnavailable."""
    found = await wire.call("HGET", keys.PICTURES, digest)
    return found if isinstance(found, bytes) else None
