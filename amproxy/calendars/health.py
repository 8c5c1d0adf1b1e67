"""What became of the calendars that a schedule comes from."""

from __future__ import annotations

from typing import NamedTuple

from amproxy.calendars.sources import sources
from amproxy.context import Context
from amproxy.oncall.calendars import OVERRIDES, PRIMARY
from amproxy.store import calendars
from amproxy.store.calendars import Kept


class Health(NamedTuple):
    calendar: str  # PRIMARY or OVERRIDES
    loaded: bool  # by this process
    kept: Kept


async def health(context: Context, schedule: str) -> list[Health]:
    """One entry for each calendar of a schedule; [] for one that comes from none. Raises StoreUnavailable."""
    found, held = [], context.calendars.get(schedule)
    for source in sources(context.config):
        if source.schedule == schedule:
            loaded = held is not None and (held.overrides if source.is_override else held.primary) is not None
            kept = await calendars.load(context.wire, source.id)
            found.append(Health(OVERRIDES if source.is_override else PRIMARY, loaded, kept))
    return found
