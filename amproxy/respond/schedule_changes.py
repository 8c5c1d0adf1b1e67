"""Overrides by hand: made and taken back by pages and API alike. Who may is asked before."""

from __future__ import annotations

from datetime import datetime

from amproxy.config.structs import Override, Schedule
from amproxy.context import Context
from amproxy.machine.draft import new_id
from amproxy.respond.targets import BadAction
from amproxy.store import overrides


async def add(context: Context, schedule: Schedule, *, user: str, start: datetime, end: datetime, reason: str = "") -> Override:
    """Put somebody on call between two moments (aware). Raises BadAction, StoreUnavailable."""
    if not user:
        raise BadAction("an override needs a user")
    if user not in context.config.users:
        raise BadAction(f"there is no user {user[:60]!r}")
    if end <= start:
        raise BadAction("the end of an override must lie after its start")
    made = Override(users=(user,), start=start, end=end, reason=reason.strip(), id=new_id())
    await overrides.save(context.wire, schedule.name, made, context.now())
    await context.load_by_hand()
    return made


async def take_back(context: Context, schedule: Schedule, override_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await overrides.delete(context.wire, schedule.name, override_id)
    await context.load_by_hand()
