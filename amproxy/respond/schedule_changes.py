"""Overrides, absences and swaps as people make and delete them, by pages and API alike.

Permissions are checked before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from amproxy.config.structs import Absence, Override, Schedule
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound
from amproxy.log import EventLog
from amproxy.machine.draft import new_id
from amproxy.model import Swap
from amproxy.oncall.swaps import (
    check_period,
    give_back_swap,
    request_swap,
    swap_state,
    take_swap,
)
from amproxy.respond.targets import BadAction
from amproxy.shifts.record import swap_request_operations
from amproxy.store import schedule_changes
from amproxy.text import PeopleNames, Phrase
from amproxy.times import local_to_utc

log = EventLog(__name__)

# Each function ends by loading all changes: the caller's next request must see its own, and the
# message on which the processes load them may come later.


@asynccontextmanager
async def _in_turn(context: Context) -> AsyncIterator[None]:
    """Load all changes and keep others from adding more: of a press that comes twice, one counts.

    Raises StoreUnavailable.
    """
    async with context.wire.queues.of("schedule changes") as place:
        await place.join()
        await context.load_schedule_changes()
        yield


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

    Raises BadAction, Conflict where it would change nothing, StoreUnavailable.
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
    async with _in_turn(context):
        by_hand = context.schedule_changes.overrides.get(schedule.name, ())
        if overrides_already(by_hand, made):
            raise Conflict(
                Phrase("refusal.override_again", {"user": PeopleNames(users)})
                if users
                else Phrase("refusal.override_nobody_again")
            )
        await schedule_changes.save_override(context.wire, schedule.name, made, context.now())
    await context.load_schedule_changes()
    return made


def overrides_already(by_hand: Iterable[Override], made: Override) -> bool:
    """True where the override made last that concerns a period puts the same people on call.

    by_hand: in the order of their making, with aware times.
    """
    known = [one for one in by_hand if one.start < made.end and made.start < one.end]
    last = known[-1] if known else None
    return last is not None and (
        last.users == made.users and last.start <= made.start and made.end <= last.end
    )


async def delete_override(context: Context, schedule: Schedule, override_id: str) -> None:
    """Raises NotFound, StoreUnavailable."""
    await schedule_changes.delete_override(context.wire, schedule.name, override_id)
    await context.load_schedule_changes()


async def add_absence(
    context: Context, user: str, *, start: datetime, end: datetime, reason: str = ""
) -> Absence:
    """Store that a person is away between two times (aware).

    Raises NotFound, BadAction, Conflict where it is known already, StoreUnavailable.
    """
    if user not in context.config.users:
        raise NotFound(Phrase("refusal.no_user", {"user": user[:60]}))
    if end <= start:
        raise BadAction(Phrase("refusal.absence_end"))
    made = Absence(start=start, end=end, reason=reason.strip(), id=new_id())
    person = context.config.users[user]
    zone = ZoneInfo(person.timezone)
    async with _in_turn(context):
        for one in (*person.absences, *context.schedule_changes.absences.get(user, ())):
            if local_to_utc(one.start, zone) <= start and end <= local_to_utc(one.end, zone):
                raise Conflict(Phrase("refusal.absence_again", {"user": PeopleNames((user,))}))
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

    by: the person who requests it, "" = nobody in particular. Raises BadAction (also where they
    have no shift then), Conflict (where they ask for it already), StoreUnavailable.
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
    async with _in_turn(context):
        _check_swap(context, swap)
        # the notices to the others are in the same commit
        await schedule_changes.save_swap(context.wire, swap, swap_request_operations(context, swap))
    context.wake(outbox=True)
    await context.load_schedule_changes()
    return swap


def _check_swap(context: Context, swap: Swap) -> None:
    """Raises BadAction where the person has no shift then, Conflict where they ask for it already.

    A schedule whose calendar is not loaded yet has shifts that nobody knows: it allows any.
    """
    name, people = swap.schedule, PeopleNames((swap.user,))
    for one in context.schedule_changes.swaps.get(name, ()):
        is_same = one.user == swap.user and one.start <= swap.start and swap.end <= one.end
        if is_same and swap_state(one, context.now()) == "open":
            raise Conflict(Phrase("refusal.swap_again", {"user": people}))
    is_known = not context.config.schedules[name].ical or name in context.calendars
    # What is over cannot be handed over any more.
    ahead = replace(swap, start=max(swap.start, context.now()))
    if is_known and not context.roster.swapped_shifts(ahead):
        raise BadAction(Phrase("refusal.swap_no_shift", {"user": people}))


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


async def delete_swap(context: Context, swap_id: str) -> Swap:
    """Delete a swap and return it. Raises NotFound, StoreUnavailable."""
    swap = await schedule_changes.delete_swap(context.wire, swap_id)
    await context.load_schedule_changes()
    return swap


def _check_user(context: Context, user: str) -> str:
    """The name of a user of the file. Raises BadAction for an unknown one, or none."""
    if not user:
        raise BadAction(Phrase("refusal.user_empty"))
    if user not in context.config.users:
        raise BadAction(Phrase("refusal.unknown_user", {"user": user[:60]}))
    return user
