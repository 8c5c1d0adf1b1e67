"""Absences by hand: made and taken back by pages and API alike. Who may is asked before."""

from __future__ import annotations

from datetime import datetime

from amproxy.config.structs import Absence
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.machine.draft import new_id
from amproxy.respond.targets import BadAction
from amproxy.store import absences


async def add(context: Context, user: str, *, start: datetime, end: datetime, reason: str = "") -> Absence:
    """Somebody is away between two moments (aware). Raises NotFound, BadAction, StoreUnavailable."""
    if user not in context.config.users:
        raise NotFound(f"there is no user {user[:60]}")
    if end <= start:
        raise BadAction("the end of an absence must lie after its start")
    made = Absence(start=start, end=end, reason=reason.strip(), id=new_id())
    await absences.save(context.wire, user, made, context.now())
    await context.load_by_hand()
    return made


async def take_back(context: Context, user: str, absence_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await absences.delete(context.wire, user, absence_id)
    await context.load_by_hand()
