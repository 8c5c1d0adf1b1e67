"""What became of the last delivery to each person over each channel."""

from __future__ import annotations

import msgspec

from amproxy.model import Outcome
from amproxy.store import keys
from amproxy.store.commit import Operations
from amproxy.store.wire import Wire

_encode = msgspec.msgpack.Encoder().encode
_outcome = msgspec.msgpack.Decoder(Outcome).decode

FRESH = 3600.0  # seconds within which an equal outcome is not written again

Outcomes = dict[tuple[str, str], Outcome]  # (user, channel) → outcome


async def load_all(wire: Wire) -> Outcomes:
    """Raises StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.CONTACTS)
    found: Outcomes = {}
    for name, data in zip(flat[::2], flat[1::2], strict=True):
        channel, _, user = name.decode().partition(" ")
        found[user, channel] = _outcome(data)
    return found


async def load(wire: Wire, user: str, channel: str) -> Outcome | None:
    """Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.CONTACTS, _name(user, channel))
    return None if data is None else _outcome(data)


def note(result: Operations, user: str, channel: str, before: Outcome | None, outcome: Outcome) -> None:
    """Remember an outcome, unless it says nothing new. before: what was remembered when the delivery began."""
    if before and before.at > outcome.at - FRESH and msgspec.structs.replace(before, at=outcome.at) == outcome:
        return
    result.do("HSET", keys.CONTACTS, _name(user, channel), _encode(outcome))


def _name(user: str, channel: str) -> str:
    return f"{channel} {user}"  # names of channels hold no spaces
