"""Saved views: the lists of incidents that a person has saved, each a name and a query."""

from __future__ import annotations

from typing import Final

from amproxy.errors import Conflict
from amproxy.store import keys
from amproxy.store.wire import Wire
from amproxy.text import Phrase

MAX_VIEWS: Final = 20  # of one person


async def load_views(wire: Wire, user: str) -> dict[str, str]:
    """Name → query of a person's views, in the order of names. Raises StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.views(user))
    found = {
        name.decode(): query.decode() for name, query in zip(flat[::2], flat[1::2], strict=True)
    }
    return dict(sorted(found.items(), key=lambda view: (view[0].casefold(), view[0])))


async def save_view(wire: Wire, user: str, name: str, query: str) -> None:
    """Save a view, in the place of one of the same name.

    Raises Conflict where a person has too many, StoreUnavailable.
    """
    known = await load_views(wire, user)
    if name not in known and len(known) >= MAX_VIEWS:
        raise Conflict(Phrase("refusal.views_many", {"most": MAX_VIEWS}))
    await wire.call("HSET", keys.views(user), name, query)


async def delete_view(wire: Wire, user: str, name: str) -> None:
    """Forget a view, if it is there. Raises StoreUnavailable."""
    await wire.call("HDEL", keys.views(user), name)
