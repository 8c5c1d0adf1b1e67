"""Overrides by hand: made and taken back by pages and API alike. Who may is asked before.

Absences by hand: made and taken back by pages and API alike. Who may is asked before.

Swaps: asked for, taken, given back and forgotten by pages and API alike. Who may is asked before.
"""

from __future__ import annotations

import logging
from datetime import datetime

from amproxy.config.structs import Absence, Override, Schedule
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.machine.draft import new_id
from amproxy.model import Swap
from amproxy.oncall.swaps import give_back_swap, request_swap, take_swap
from amproxy.respond.targets import BadAction
from amproxy.shifts.notify import swap_request_operations
from amproxy.store import schedule_changes


async def add_override(context: Context, schedule: Schedule, *, user: str, start: datetime, end: datetime, reason: str = "") -> Override:
    """Put somebody on call between two moments (aware). Raises BadAction, StoreUnavailable."""
    if not user:
        raise BadAction("an override needs a user")
    if user not in context.config.users:
        raise BadAction(f"there is no user {user[:60]!r}")
    if end <= start:
        raise BadAction("the end of an override must lie after its start")
    made = Override(users=(user,), start=start, end=end, reason=reason.strip(), id=new_id())
    await schedule_changes.save_override(context.wire, schedule.name, made, context.now())
    await context.load_by_hand()
    return made


async def delete_override(context: Context, schedule: Schedule, override_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_override(context.wire, schedule.name, override_id)
    await context.load_by_hand()


async def add_absence(context: Context, user: str, *, start: datetime, end: datetime, reason: str = "") -> Absence:
    """Somebody is away between two moments (aware). Raises NotFound, BadAction, StoreUnavailable."""
    if user not in context.config.users:
        raise NotFound(f"there is no user {user[:60]}")
    if end <= start:
        raise BadAction("the end of an absence must lie after its start")
    made = Absence(start=start, end=end, reason=reason.strip(), id=new_id())
    await schedule_changes.save_absence(context.wire, user, made, context.now())
    await context.load_by_hand()
    return made


async def delete_absence(context: Context, user: str, absence_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_absence(context.wire, user, absence_id)
    await context.load_by_hand()


log = logging.getLogger(__name__)


async def create_swap(
    context: Context, schedule: Schedule, *, user: str, start: datetime, end: datetime, reason: str = "", by: str = ""
) -> Swap:
    """Ask others to take over somebody's shifts between two moments (aware). by: who asks, "" = nobody in particular.

    Raises BadAction, StoreUnavailable.
    """
    now = context.now()
    wish = Swap(
        id=new_id(), schedule=schedule.name, user=check_user(context, user), start=start.timestamp(), end=end.timestamp(),
        reason=reason.strip(), asked_by=by, asked_at=now,
    )  # fmt: skip
    try:
        swap = request_swap(wish, now)
    except ValueError as error:
        raise BadAction(str(error)) from None
    await schedule_changes.save_swap(context.wire, swap, swap_request_operations(context, swap))
    context.wake(outbox=True)
    await context.load_by_hand()
    return swap


async def accept_swap(context: Context, swap_id: str, *, user: str, by: str = "") -> Swap:
    """Somebody takes the shifts over. by: who says so. Raises BadAction, Conflict, NotFound, StoreUnavailable."""
    taker = check_user(context, user)
    swap = await schedule_changes.change_swap(context.wire, swap_id, lambda swap: take_swap(swap, taker, by, context.now()))
    await context.load_by_hand()
    return swap


async def return_swap(context: Context, swap_id: str, *, by: str = "") -> Swap:
    """Whoever took the shifts over gives them back. Raises Conflict, NotFound, StoreUnavailable."""
    swap = await schedule_changes.change_swap(context.wire, swap_id, give_back_swap)
    log.info("swap %s of %s is open again%s", swap.id, swap.user, f", says {by}" if by else "")
    await context.load_by_hand()
    return swap


async def delete_swap(context: Context, swap_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_swap(context.wire, swap_id)
    await context.load_by_hand()


def check_user(context: Context, user: str) -> str:
    """The name of a user of the file. Raises BadAction for one whom it does not know, or none."""
    if not user:
        raise BadAction("user names nobody")
    if user not in context.config.users:
        raise BadAction(f"there is no user {user[:60]!r}")
    return user
