"""The devices that subscribe to Web Push, and the key that amproxy signs its pushes with.

They are few, so that every process has all of them; a change is published to all processes.
"""

from __future__ import annotations

import msgspec

from amproxy.config.subscriptions import Subscription
from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.commit import Operations, commit, commit_decided, field_name
from amproxy.store.wire import Wire
from amproxy.text import Phrase

SUBSCRIPTIONS_CHANGED = "subscriptions"  # published on keys.CHANGES
MAX_DEVICES = 10  # of one person; the oldest gives way

_encode = msgspec.msgpack.Encoder().encode
_subscription = msgspec.msgpack.Decoder(Subscription).decode


async def load_subscriptions(wire: Wire) -> list[Subscription]:
    """All of them, ended ones too, in the order of their making. Raises StoreUnavailable."""
    found = [_subscription(data) for data in await wire.call("HVALS", keys.SUBSCRIPTIONS)]
    return sorted(found, key=lambda one: (one.made, one.id))


async def save_subscription(wire: Wire, made: Subscription, replaces: str = "") -> None:
    """Store a subscription, whoever had it before. Raises StoreUnavailable.

    Ended ones of the same device go, and what it replaces (an id), if that is the same person's.
    """
    operations = Operations()
    own = [one for one in await load_subscriptions(wire) if one.user == made.user]
    kept = [one for one in own if one.id not in (made.id, replaces)]
    going = [one.id for one in own if one.id == replaces and replaces != made.id]
    going += [one.id for one in kept if one.ended and one.name == made.name]
    active = [one for one in kept if not one.ended]
    going += [one.id for one in active[: max(0, len(active) - MAX_DEVICES + 1)]]
    if going:
        operations.do("HDEL", keys.SUBSCRIPTIONS, *going)
    operations.do("HSET", keys.SUBSCRIPTIONS, made.id, _encode(made))
    operations.do("PUBLISH", keys.CHANGES, SUBSCRIPTIONS_CHANGED)
    await commit(wire, operations)


async def delete_subscription(wire: Wire, user: str, subscription_id: str) -> Subscription:
    """Delete one of a person's subscriptions; return it. Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.SUBSCRIPTIONS, subscription_id)
    known = _subscription(data) if data is not None else None
    if known is None or known.user != user:
        raise NotFound(Phrase("refusal.no_device"))
    operations = Operations()
    operations.do("HDEL", keys.SUBSCRIPTIONS, subscription_id)
    operations.do("PUBLISH", keys.CHANGES, SUBSCRIPTIONS_CHANGED)
    await commit(wire, operations)
    return known


async def end_subscription(
    wire: Wire, gone: Subscription, now: float, also: Operations
) -> Subscription | None:
    """Note that a push service has given a subscription up, and commit `also` with that.

    None where that is noted already, or the device has subscribed anew: then nothing is done.
    Its address is forgotten, the rest is kept so that the person can be told. Raises
    StoreUnavailable.
    """

    async def decide() -> tuple[Operations | None, Subscription | None]:
        data = await wire.call("HGET", keys.SUBSCRIPTIONS, gone.id)
        known = _subscription(data) if data is not None else None
        if data is None or known is None or known.ended or known.made != gone.made:
            return None, None
        over = msgspec.structs.replace(known, endpoint="", p256dh="", auth="", ended=now)
        operations = Operations()
        operations.guard(keys.SUBSCRIPTIONS, gone.id, data)
        operations.do("HSET", keys.SUBSCRIPTIONS, gone.id, _encode(over))
        operations.do("PUBLISH", keys.CHANGES, SUBSCRIPTIONS_CHANGED)
        operations.extend(also)
        return operations, over

    return await commit_decided(
        wire, "a push subscription", decide, field_name(keys.SUBSCRIPTIONS, gone.id)
    )


async def load_push_key(wire: Wire) -> str:
    """The VAPID key that amproxy made, "" = none was needed yet. Raises StoreUnavailable."""
    data = await wire.call("GET", keys.PUSH_KEY)
    return data.decode() if data else ""


async def save_push_key(wire: Wire, made: str) -> str:
    """Store a new VAPID key; return the one that counts. Raises StoreUnavailable."""
    # NX, then read: browsers subscribe to one key, which all replicas must sign with
    await wire.call("SET", keys.PUSH_KEY, made, "NX")
    await wire.call("PUBLISH", keys.CHANGES, SUBSCRIPTIONS_CHANGED)
    return str((await wire.call("GET", keys.PUSH_KEY)).decode())
