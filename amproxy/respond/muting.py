"""Silences as people and programs ask for them: made, changed, prolonged, ended. The rules are correlate.silencing's."""

from __future__ import annotations

from uuid import uuid4

from msgspec.structs import replace

from amproxy.context import Context
from amproxy.errors import Conflict, NotFound, StoreUnavailable
from amproxy.grouping import silences
from amproxy.grouping.silences import BadSilence
from amproxy.model import Silence
from amproxy.store import muting
from amproxy.store.commit import Operations, commit

TRIES = 20  # somebody else changed the same silence meanwhile: ask again


async def known(context: Context) -> dict[str, Silence]:
    """By id, those that ended not too long ago among them. Raises StoreUnavailable."""
    found, now_ns = await context.silences.all(context.wire), _now_ns(context)
    return {silence.id: silence for silence in found.values() if not silences.forgotten(silence, now_ns)}


async def find(context: Context, silence_id: str) -> Silence:
    """Raises NotFound, StoreUnavailable."""
    silence = (await known(context)).get(silence_id)
    if silence is None:
        raise NotFound(f"there is no silence {silence_id[:60]}")
    return silence


async def put(context: Context, wanted: Silence) -> Silence:
    """Make a silence, or change the one whose id is wanted; returns the one that holds now, which may have another id.

    Raises BadSilence, NotFound, StoreUnavailable.
    """
    for _ in range(TRIES):
        operations, now_ns = Operations(), _now_ns(context)
        old = await _expect(context, operations, wanted.id, now_ns)
        changed = silences.put({old.id: old} if old else {}, wanted, now_ns, str(uuid4()))
        if await _commit(context, operations, now_ns, *changed):
            return changed[0]
    raise StoreUnavailable("the same silence keeps changing")


async def extend(context: Context, silence_id: str, ends_ns: int) -> Silence:
    """Put a silence's end off. Raises NotFound, Conflict (it is over), BadSilence, StoreUnavailable."""
    old = await find(context, silence_id)
    if silences.shown_state(old, _now_ns(context)) == "expired":
        raise Conflict("this silence is over: make another one")
    if ends_ns <= old.ends_ns:
        raise BadSilence("it ends then already, or later")
    return await put(context, replace(old, ends_ns=ends_ns))


async def expire(context: Context, silence_id: str) -> Silence:
    """End a silence now; one that is over stays as it is. Raises NotFound, StoreUnavailable."""
    for _ in range(TRIES):
        operations, now_ns = Operations(), _now_ns(context)
        old = await _expect(context, operations, silence_id, now_ns)
        if old is None:
            raise NotFound(f"there is no silence {silence_id[:60]}")
        ended = silences.expired(old, now_ns)
        if ended == old or await _commit(context, operations, now_ns, ended):
            return ended
    raise StoreUnavailable("the same silence keeps changing")


async def _expect(context: Context, operations: Operations, silence_id: str, now_ns: int) -> Silence | None:
    """A silence as it is stored at this moment, and the condition that it still is when the operations are committed."""
    stored = await muting.load(context.wire, silence_id) if silence_id else None
    if stored is None or silences.forgotten(stored.silence, now_ns):
        return None
    muting.expect(operations, stored)
    return stored.silence


async def _commit(context: Context, operations: Operations, now_ns: int, *changed: Silence) -> bool:
    """Store silences, and forget those that ended long ago."""
    muting.save(operations, *changed)
    over = [silence.id for silence in (await context.silences.all(context.wire)).values() if silences.forgotten(silence, now_ns)]
    if over:
        muting.forget(operations, *over)
    return await commit(context.wire, operations)


def _now_ns(context: Context) -> int:
    return int(context.now() * 10**9)
