"""Reading across groups: everything that fires, in as few turns with Redis as one group takes."""

from __future__ import annotations

import asyncio

from amproxy.store import groups
from amproxy.store.groups import Loaded
from amproxy.store.wire import Wire


async def all_groups(wire: Wire) -> list[Loaded]:
    """All live groups with their alerts, in no order. Raises StoreUnavailable.

    Loads that are begun together leave as one write. Each is decoded in a turn of its own, so that even ten thousand
    alerts do not hold up the rest of the process for long.
    """
    found = await asyncio.gather(*(groups.load(wire, group_id) for group_id in await groups.all_ids(wire)))
    return [loaded for loaded in found if loaded is not None]
