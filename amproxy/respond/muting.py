"""Silences and maintenance windows as people and programs make, change, prolong and end them.

Requests for windows are checked here, those for silences in amproxy.grouping.silences.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound
from amproxy.event_recorder import silence_changed
from amproxy.grouping import silences
from amproxy.grouping.maintenance import is_open, next_change_at, window_bounds
from amproxy.grouping.muting import window_key
from amproxy.grouping.silences import BadSilence
from amproxy.machine.draft import new_id
from amproxy.model import Silence
from amproxy.respond.targets import BadAction
from amproxy.store import keys, muting
from amproxy.store.commit import Operations, commit, commit_decided, field_name
from amproxy.text import Moment, Phrase
from amproxy.times import LATEST, to_utc

# After its end a window is stored for this time, as a silence is.
WINDOW_RETENTION = timedelta(hours=120)
LONGEST_NAME = 200  # characters: it is the label of a metric


async def load_silences(context: Context) -> dict[str, Silence]:
    """All silences by id, without those that ended long ago. Raises StoreUnavailable."""
    found, now_ns = await context.silences.all(context.wire), _now_ns(context)
    return {
        silence.id: silence
        for silence in found.values()
        if not silences.is_past_retention(silence, now_ns)
    }


async def get_silence(context: Context, silence_id: str) -> Silence | None:
    """The silence of this id, unless it ended long ago. Raises StoreUnavailable."""
    silence = (await context.silences.all(context.wire)).get(silence_id)
    if silence is None or silences.is_past_retention(silence, _now_ns(context)):
        return None
    return silence


async def find_silence(context: Context, silence_id: str) -> Silence:
    """The silence of this id. Raises NotFound, StoreUnavailable."""
    silence = await get_silence(context, silence_id)
    if silence is None:
        raise NotFound(Phrase("refusal.no_silence", {"silence": silence_id[:60]}))
    return silence


async def put_silence(context: Context, wanted: Silence) -> Silence:
    """Make a silence, or change the one with the id of `wanted`; return the one that holds now.

    It may have another id. Raises BadSilence, NotFound, StoreUnavailable.
    """

    async def decide() -> tuple[Operations, Silence]:
        operations, now_ns = Operations(), _now_ns(context)
        old = await _load_guarded_silence(context, operations, wanted.id, now_ns)
        changed = silences.put_silence({old.id: old} if old else {}, wanted, now_ns, str(uuid4()))
        await _save_silences(context, operations, now_ns, *changed)
        return operations, changed[0]

    silence = await _commit_silence(context, wanted.id, decide)
    kind = "silence_updated" if silence.id == wanted.id else "silence_created"
    context.events.record(kind, partial(silence_changed, silence))
    return silence


async def extend_silence(context: Context, silence_id: str, ends_ns: int) -> Silence:
    """Put a silence's end off.

    Raises NotFound, Conflict (it is over), BadSilence, StoreUnavailable.
    """
    old = await find_silence(context, silence_id)
    if silences.display_state(old, _now_ns(context)) == "expired":
        raise Conflict(Phrase("refusal.silence_over"))
    if ends_ns <= old.ends_ns:
        raise BadSilence(Phrase("refusal.ends_later"))
    return await put_silence(context, replace(old, ends_ns=ends_ns))


async def expire_silence(context: Context, silence_id: str) -> Silence:
    """End a silence now; one that is over stays as it is. Raises NotFound, StoreUnavailable."""

    async def decide() -> tuple[Operations | None, Silence]:
        operations, now_ns = Operations(), _now_ns(context)
        old = await _load_guarded_silence(context, operations, silence_id, now_ns)
        if old is None:
            raise NotFound(Phrase("refusal.no_silence", {"silence": silence_id[:60]}))
        ended = silences.expire_silence(old, now_ns)
        if ended == old:
            return None, old
        await _save_silences(context, operations, now_ns, ended)
        return operations, ended

    return await _commit_silence(context, silence_id, decide)


async def _commit_silence(
    context: Context,
    silence_id: str,
    decide: Callable[[], Awaitable[tuple[Operations | None, Silence]]],
) -> Silence:
    # Guarded by the silence as it was loaded: where another change was first, all begins anew.
    guarded, subject = field_name(keys.SILENCES, silence_id), f"silence {silence_id}"
    return await commit_decided(context.wire, subject, decide, guarded)


async def _load_guarded_silence(
    context: Context, operations: Operations, silence_id: str, now_ns: int
) -> Silence | None:
    """A silence as it is stored, and a guard that the operations change nothing else."""
    stored = await muting.load_silence(context.wire, silence_id) if silence_id else None
    if stored is None or silences.is_past_retention(stored.silence, now_ns):
        return None
    muting.guard_silence(operations, stored)
    return stored.silence


async def _save_silences(
    context: Context, operations: Operations, now_ns: int, *changed: Silence
) -> None:
    """Store silences, and delete those that ended long ago."""
    muting.save_silences(operations, *changed)
    # Here, because nothing else grows their number.
    known = await context.silences.all(context.wire)
    over = known.ended_before(now_ns - silences.SILENCE_RETENTION_NS)
    if over:
        muting.delete_silences(operations, *over)


def _now_ns(context: Context) -> int:
    return int(context.now() * 10**9)


async def load_windows(context: Context) -> list[Maintenance]:
    """Every window, those of the file first, without those made by hand that ended long ago.

    Raises StoreUnavailable.
    """
    windows = context.open_windows.all(await context.windows.all(context.wire))
    return [window for window in windows if not (window.id and _is_past_retention(context, window))]


async def find_window(context: Context, name: str) -> Maintenance:
    """The window of the file of this name, or the one made by hand of this id.

    Raises NotFound, StoreUnavailable.
    """
    for window in await load_windows(context):
        if window_key(window) == name:
            return window
    raise NotFound(Phrase("refusal.no_window", {"window": name[:60]}))


async def create_window(context: Context, wanted: Maintenance) -> Maintenance:
    """Store a new window, which gets an id; it starts now unless it has a start or recurs.

    Raises BadAction, StoreUnavailable.
    """
    now = utc(context.now())
    start = wanted.start or (None if wanted.active_time_intervals else now)
    name = wanted.name or _default_name(wanted)
    made = replace(wanted, id=new_id(), start=start, name=name)
    _check_window(context, made)
    operations = Operations()
    await _save_window(context, operations, made, was_open=False)
    await commit(context.wire, operations)
    context.wake(timers=True)
    return made


async def change_window(
    context: Context, window_id: str, change: Callable[[Maintenance], Maintenance]
) -> Maintenance:
    """Change a window that is not over; `change` may be called several times.

    Raises NotFound, Conflict (a window of the file, or one that is over), BadAction,
    StoreUnavailable.
    """

    def changed(old: Maintenance) -> Maintenance:
        if _is_over(context, old):
            raise Conflict(Phrase("refusal.window_over", {"window": old.name}))
        new = change(old)
        _check_window(context, new)
        return new

    return await _update_window(context, window_id, changed)


async def end_window(context: Context, window_id: str) -> Maintenance:
    """End a window now; one that is over stays as it is.

    Raises NotFound, Conflict (a window of the file), StoreUnavailable.
    """

    def ended(old: Maintenance) -> Maintenance:
        now = utc(context.now())
        # a window that has not begun yet gets an empty period
        start = min(old.start, now) if old.start else None
        return old if _is_over(context, old) else replace(old, start=start, end=now)

    return await _update_window(context, window_id, ended)


async def extend_window(
    context: Context, window_id: str, *, until: datetime | None = None, by: timedelta = timedelta()
) -> Maintenance:
    """Put a window's end off, to a time or by a duration. Raises as `change_window` does."""

    def extended(old: Maintenance) -> Maintenance:
        if old.end is None:
            raise Conflict(Phrase("refusal.window_endless", {"window": old.name}))
        new = until or add_time(old.end, by)
        if new <= old.end:
            end = Moment(old.end.timestamp())
            raise BadAction(Phrase("refusal.not_longer", {"end": end}))
        return replace(old, end=new)

    return await change_window(context, window_id, extended)


def add_time(at: datetime, by: timedelta) -> datetime:
    """A time so much later, LATEST at the latest."""
    try:
        return to_utc(at + by)
    except OverflowError:
        return LATEST


async def _update_window(
    context: Context, window_id: str, change: Callable[[Maintenance], Maintenance]
) -> Maintenance:
    """Store a window as `change` returns it, which may be unchanged; guarded as silences are."""
    if window_id in context.config.maintenance:
        name = window_id[:60]
        raise Conflict(Phrase("refusal.window_in_file", {"window": name}))

    async def decide() -> tuple[Operations | None, Maintenance]:
        stored = await muting.load_window(context.wire, window_id)
        if stored is None or _is_past_retention(context, stored.window):
            raise NotFound(Phrase("refusal.no_window", {"window": window_id[:60]}))
        new = change(stored.window)
        if new == stored.window:
            return None, new
        operations = Operations()
        muting.guard_window(operations, stored)
        was_open = is_open(stored.window, context.config.time_intervals, utc(context.now()))
        await _save_window(context, operations, new, was_open=was_open)
        return operations, new

    guarded, subject = field_name(keys.MAINTENANCE, window_id), f"window {window_id}"
    changed = await commit_decided(context.wire, subject, decide, guarded)
    context.wake(timers=True)
    return changed


async def _save_window(
    context: Context, operations: Operations, window: Maintenance, *, was_open: bool
) -> None:
    """Store a window, set its next check, and delete those that ended long ago."""
    muting.save_window(operations, window)
    # A check of a window that is not open flushes the groups that it matches. One that was open
    # until now is checked at once, because it may have muted something. Any other has muted
    # nothing: a check before its next change would flush groups earlier than group_interval.
    now, intervals = context.now(), context.config.time_intervals
    check_at = now if was_open else next_change_at(window, intervals, now)
    muting.set_next_window_check(operations, window.id, check_at)
    over = [
        name
        for name, known in (await context.windows.all(context.wire)).items()
        if _is_past_retention(context, known)
    ]
    if over:
        muting.delete_windows(operations, *over)


def _check_window(context: Context, window: Maintenance) -> None:
    if window.end is None and not window.active_time_intervals:
        raise BadAction(Phrase("refusal.window_until_when"))
    for name in window.active_time_intervals:
        if name not in context.config.time_intervals:
            raise BadAction(Phrase("refusal.no_interval", {"interval": name[:60]}))
    start, end = window_bounds(window)
    if end <= start:
        raise BadAction(Phrase("refusal.end_after_start"))
    if end <= utc(context.now()):
        raise BadAction(Phrase("refusal.end_past"))
    if len(window.name) > LONGEST_NAME:
        raise BadAction(Phrase("refusal.name_length", {"most": LONGEST_NAME}))


def _is_over(context: Context, window: Maintenance) -> bool:
    return window_bounds(window)[1] <= utc(context.now())


def _is_past_retention(context: Context, window: Maintenance) -> bool:
    return window_bounds(window)[1] < utc(context.now()) - WINDOW_RETENTION


def _default_name(window: Maintenance) -> str:
    return ", ".join(map(str, window.matchers))[:LONGEST_NAME]
