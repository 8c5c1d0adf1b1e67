"""Overrides, absences and swaps as people make and delete them, by pages and API alike.

Permissions are checked before.
"""

from __future__ import annotations

from datetime import datetime

from amproxy.config.structs import Absence, Override, Schedule
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.log import EventLog
from amproxy.machine.draft import new_id
from amproxy.model import Swap
from amproxy.oncall.swaps import check_period, give_back_swap, request_swap, take_swap
from amproxy.respond.targets import BadAction
from amproxy.shifts.record import swap_request_operations
from amproxy.store import schedule_changes
from amproxy.text import Phrase

log = EventLog(__name__)

# Each function ends by loading all changes: the caller's next request must see its own, and the
# message on which the processes load them may come later.


async def add_override(
    context: Context,
    schedule: Schedule,
    *,
    user: str | None,
    start: datetime,
    end: datetime,
    reason: str = "",
) -> Override:
    """Put a person on call between two times (aware); None = nobody, on purpose.

    Raises BadAction, StoreUnavailable.
    """
    if user == "":
        raise BadAction(Phrase("refusal.override_user"))
    if user is not None:
        _check_user(context, user)
    try:
        check_period("override", start.timestamp(), end.timestamp(), context.now())
    except ValueError as error:
        raise BadAction(*error.args) from None
    users = (user,) if user is not None else ()
    made = Override(users=users, start=start, end=end, reason=reason.strip(), id=new_id())
    await schedule_changes.save_override(context.wire, schedule.name, made, context.now())
    await context.load_schedule_changes()
    return made


async def delete_override(context: Context, schedule: Schedule, override_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_override(context.wire, schedule.name, override_id)
    await context.load_schedule_changes()


async def add_absence(
    context: Context, user: str, *, start: datetime, end: datetime, reason: str = ""
) -> Absence:
    """Store that a person is away between two times (aware).

    Raises NotFound, BadAction, StoreUnavailable.
    """
    if user not in context.config.users:
        raise NotFound(Phrase("refusal.no_user", {"user": user[:60]}))
    if end <= start:
        raise BadAction(Phrase("refusal.absence_end"))
    made = Absence(start=start, end=end, reason=reason.strip(), id=new_id())
    await schedule_changes.save_absence(context.wire, user, made, context.now())
    await context.load_schedule_changes()
    return made


async def delete_absence(context: Context, user: str, absence_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_absence(context.wire, user, absence_id)
    await context.load_schedule_changes()


async def create_swap(
    context: Context,
    schedule: Schedule,
    *,
    user: str,
    start: datetime,
    end: datetime,
    reason: str = "",
    by: str = "",
) -> Swap:
    """Request others to take over a person's shifts between two times (aware).

    by: the person who requests it, "" = nobody in particular. Raises BadAction, StoreUnavailable.
    """
    now = context.now()
    wanted = Swap(
        id=new_id(),
        schedule=schedule.name,
        user=_check_user(context, user),
        start=start.timestamp(),
        end=end.timestamp(),
        reason=reason.strip(),
        asked_by=by,
        asked_at=now,
    )
    try:
        swap = request_swap(wanted, now)
    except ValueError as error:
        raise BadAction(*error.args) from None
    # the notices to the others are in the same commit
    await schedule_changes.save_swap(context.wire, swap, swap_request_operations(context, swap))
    context.wake(outbox=True)
    await context.load_schedule_changes()
    return swap


async def accept_swap(context: Context, swap_id: str, *, user: str, by: str = "") -> Swap:
    """Give the shifts of a swap to a user. by: the person who accepts in their name.

    Raises BadAction, Conflict, NotFound, StoreUnavailable.
    """
    taker = _check_user(context, user)
    swap = await schedule_changes.change_swap(
        context.wire, swap_id, lambda swap: take_swap(swap, taker, by, context.now())
    )
    await context.load_schedule_changes()
    return swap


async def return_swap(context: Context, swap_id: str, *, by: str = "") -> Swap:
    """Give the shifts back to their owner. Raises Conflict, NotFound, StoreUnavailable."""
    swap = await schedule_changes.change_swap(context.wire, swap_id, give_back_swap)
    log.info("swap is open again", swap=swap.id, user=swap.user, by=by)
    await context.load_schedule_changes()
    return swap


async def delete_swap(context: Context, swap_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_swap(context.wire, swap_id)
    await context.load_schedule_changes()


def _check_user(context: Context, user: str) -> str:
    """The name of a user of the file. Raises BadAction for an unknown one, or none."""
    if not user:
        raise BadAction(Phrase("refusal.user_empty"))
    if user not in context.config.users:
        raise BadAction(Phrase("refusal.unknown_user", {"user": user[:60]}))
    return user
