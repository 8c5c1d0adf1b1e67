"""A push is stored: load what is there, merge, write only what changed.

The sender's answer comes only after that: what is answered is in Redis.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import msgspec

from amproxy.context import Context
from amproxy.correlate.events import entry_events
from amproxy.correlate.incoming import IncomingAlert, StatedAlert, StatedGroup
from amproxy.correlate.own_flush import store_and_flush
from amproxy.correlate.stated import RENEWED_PER_LIFE, Followed, follow, is_old
from amproxy.correlate.writes import (
    IngestResult,
    group_write,
    has_ended,
    news_step,
    write_to_merge,
)
from amproxy.errors import StoreUnavailable
from amproxy.event_recorder import PendingEvent
from amproxy.grouping.flush import first_flush
from amproxy.model import Group
from amproxy.store import groups, keys
from amproxy.store.groups import GroupWrite
from amproxy.store.stated import (
    NO_CHANGES,
    StatedChanges,
    StoredGroup,
    change_group,
    change_records,
    decode_record,
    load_records,
    load_stated,
)
from amproxy.text import phrase

# Alerts of a push that are stored at a time: so few hold up neither this process nor Redis.
SLICE = 500
FEW = 10  # alerts of a push whose records are asked for before it is known that they are needed
INGEST_TRIES = 50  # each loses to another process that changed the same alerts meanwhile
# Tries after which the script merges the alerts with what is stored, so that they lose no more.
UNMERGED_TRIES = 3


class _Statement(msgspec.Struct):
    """A payload's statement of its sender's group, and the state of that group before it."""

    group: StatedGroup
    # Of a payload that is stored slice by slice:
    before: StoredGroup | None = None
    omitted: list[str] = []  # ids of alerts that fired in the group, and that it does not name
    old: bool = False
    named: set[str] = set()  # ids that fire in the group from now on
    gone: set[str] = set()  # ids that no longer do
    news: bool = False  # records have changed

    def add(self, found: Followed) -> None:
        """Count in a slice that is stored."""
        self.named |= found.named
        self.named -= found.gone
        self.gone |= found.gone
        self.gone -= found.named
        self.news = self.news or bool(found.records)


Wanted = dict[
    str, tuple[Group, dict[str, IncomingAlert]]
]  # group id → group, alerts by fingerprint


async def ingest(
    context: Context,
    push: list[IncomingAlert],
    now_ns: int,
    *,
    hurry: bool,
    stated: StatedGroup | None = None,
) -> IngestResult:
    """Store a push; a long one is taken out of the list, and stored slice by slice.

    hurry: the sender grouped and waited already, so the groups are flushed at once. stated: the
    push is a payload of webhook v4. Raises StoreUnavailable; then it may be sent again as it is.
    """
    statement = _Statement(stated) if stated else None
    if len(push) <= SLICE:
        stored = await _store(context, push, now_ns, hurry, statement)
        if stored is not None:
            return stored
    if statement is not None:
        await _look_up(context, push, statement, now_ns)
    return await _store_slices(context, push, now_ns, hurry, statement)


async def _store_slices(
    context: Context,
    push: list[IncomingAlert],
    now_ns: int,
    hurry: bool,
    statement: _Statement | None,
) -> IngestResult:
    result, timers = IngestResult(), dict[str, GroupWrite]()
    omitted = statement.omitted if statement else []
    while push or omitted:
        part, push[:SLICE] = push[:SLICE], []
        if statement is not None:  # what is named comes first, and what is not ends last
            statement.omitted = [] if part else omitted[:SLICE]
            del omitted[: len(statement.omitted)]
        stored = await _store(context, part, now_ns, hurry, statement, timers)
        if stored is not None:
            result.new += stored.new
            result.repeated += stored.repeated
            result.ended += stored.ended
    if statement is not None:
        await _save_named(context, statement)
    # The timers come last, so that a flush finds all of the push. All of its groups get theirs: a
    # push that broke off and comes again finds its first alerts as they are already.
    waiting = list(timers.values())
    for start in range(0, len(waiting), SLICE):
        await groups.ingest(context.wire, waiting[start : start + SLICE])
    context.wake(timers=True)
    return result


async def _look_up(
    context: Context, push: list[IncomingAlert], statement: _Statement, now_ns: int
) -> None:
    """Fill in what is known of the group of a long push."""
    group, wire = statement.group, context.wire
    before, _ = await load_stated(wire, group.id, ())
    statement.before, statement.omitted = before, _omitted(group, before, push)
    parts: list[tuple[list[IncomingAlert], list[str]]] = [
        ([], statement.omitted[at : at + SLICE]) for at in range(0, len(statement.omitted), SLICE)
    ]
    if statement.omitted:
        parts += [(push[at : at + SLICE], []) for at in range(0, len(push), SLICE)]
    for part, ids in parts:
        records = await load_records(wire, ids or _ids(part))
        known = {id_: decode_record(data) for id_, data in records.items()}
        statement.old = statement.old or is_old(part, ids, known, group, now_ns)


async def _save_named(context: Context, statement: _Statement) -> None:
    """Store what fires in the group after all slices."""
    group, wire = statement.group, context.wire
    async with wire.queues.of(keys.stated(group.id)) as place:
        for _ in range(INGEST_TRIES):
            before, _ = await load_stated(wire, group.id, ())
            named = (before.named | statement.named) - statement.gone
            if named == before.named and not statement.news:
                return
            change = change_group(group.id, before, named, _lifetime(group))
            if await groups.ingest(wire, [], change) is not None:
                return
            await place.join()
    raise StoreUnavailable(phrase("refusal.group_changing"))


def _omitted(group: StatedGroup, before: StoredGroup, push: list[IncomingAlert]) -> list[str]:
    return list(before.named.difference(_ids(push))) if group.complete else []


def _stated(push: list[IncomingAlert]) -> Iterator[StatedAlert]:
    return (one for one in push if isinstance(one, StatedAlert) and one.id)


def _ids(push: list[IncomingAlert]) -> list[str]:
    return [one.id for one in _stated(push)]


async def _load(
    context: Context, push: list[IncomingAlert], statement: _Statement
) -> tuple[StoredGroup, dict[str, bytes]]:
    """Load the alerts that fired in the sender's group; packed records by id, where few may be."""
    if statement.before is not None:
        return statement.before, {}
    few = _ids(push) if len(push) <= FEW else []
    return await load_stated(context.wire, statement.group.id, few)


async def _follow(
    context: Context,
    push: list[IncomingAlert],
    statement: _Statement,
    loaded: tuple[StoredGroup, dict[str, bytes]],
    repeated: Container[str],
    now_ns: int,
) -> tuple[Followed, StatedChanges] | None:
    """Sort out a statement, or a part of it; None = it omits too much to be stored at once.

    repeated: ids of the alerts that the payload only repeats.
    """
    group, wire, (stored, records) = statement.group, context.wire, loaded
    omitted = statement.omitted
    if statement.before is None:
        omitted = _omitted(group, stored, push)
        if len(push) + len(omitted) > SLICE:
            return None
    news = [one.id for one in _stated(push) if one.ends_ns or one.id not in repeated]
    if not (news or omitted):
        return Followed(alerts=push), NO_CHANGES
    asked = omitted if len(push) <= FEW and statement.before is None else [*news, *omitted]
    records |= await load_records(wire, asked)
    known = {id_: decode_record(data) for id_, data in records.items()}
    old = statement.old or is_old(push, omitted, known, group, now_ns)
    found = follow(push, omitted, known, repeated, group, context.placer, now_ns, old=old)
    lifetime, changes = _lifetime(group), NO_CHANGES
    if found.records:
        changes = change_records(records, found.records, lifetime)
    for other, ids in found.taken.items():
        theirs, _ = await load_stated(wire, other, ())
        changes = change_group(other, theirs, theirs.named - ids, lifetime, changes)
    if statement.before is None:
        named = (stored.named | found.named) - found.gone
        if found.records or named != stored.named:
            changes = change_group(group.id, stored, named, lifetime, changes)
    return found, changes


def _only_repeated(
    wanted: Wanted,
    leases: list[list[bytes | None]],
    statement: _Statement,
    named: Container[str],
    now_ns: int,
) -> set[str]:
    """The ids of alerts that fire as they did, and that their sender's group named last.

    They are most of what comes, so their records are not loaded; but now and then each is taken as
    news, so that its record lives on.
    """
    term = int(statement.group.expire_after * 10**9 / RENEWED_PER_LIFE)
    found = set[str]()
    for (_, members), packed in zip(wanted.values(), leases, strict=True):
        for one, data in zip(members.values(), packed, strict=True):
            if data is None or one.ends_ns or not isinstance(one, StatedAlert):
                continue
            if one.id not in named:
                continue
            lease = groups.unpack_lease(data)
            if (
                lease.starts_ns == one.starts_ns
                and lease.fires(now_ns)
                and lease.updated_ns // term == now_ns // term
            ):
                found.add(one.id)
    return found


def _lifetime(group: StatedGroup) -> int:
    """The seconds that records live: longer than the alerts, which lapse."""
    return max(60, int(group.expire_after * 1.5))


def _by_group(push: list[IncomingAlert]) -> Wanted:
    wanted: Wanted = {}
    for incoming in push:
        for group in incoming.placement.groups:
            slot = wanted.get(group.id)
            if slot is None:
                slot = wanted[group.id] = (group, {})
            slot[1][incoming.placement.fingerprint] = incoming  # twice in one push: the later wins
    return wanted


async def _store(
    context: Context,
    push: list[IncomingAlert],
    now_ns: int,
    hurry: bool,
    statement: _Statement | None = None,
    timers: dict[str, GroupWrite] | None = None,
) -> IngestResult | None:
    """Store alerts and set the timers of their groups; add those to `timers` where it is given.

    Return None where the statement ends too much to be stored at once: then nothing is stored.
    Raises StoreUnavailable.
    """
    wanted, wire = _by_group(push), context.wire
    names = list(map(keys.leases, wanted))
    if statement is not None:
        names.append(keys.stated(statement.group.id))
    # Pushes of the same alerts follow each other once they get in each other's way.
    async with wire.queues.of(*names) as place:
        for tries in range(INGEST_TRIES):
            # Alerts that are new to this process are not asked for: the script finds out.
            unheard = not tries and statement is None and all(one.unheard for one in push)
            prepared = await _prepare(
                context, push, wanted, now_ns, hurry, statement, unheard=unheard
            )
            if prepared is None:
                return None
            writes, changes = prepared.writes, prepared.changes
            if tries >= UNMERGED_TRIES:
                writes = [write_to_merge(*one, now_ns, hurry) for one in prepared.wanted.values()]
            if timers is not None:
                writes = [write._replace(due_ms=0, hurry=False) for write in writes]
            # Refused as a whole when something is not as it was loaded: load and merge anew.
            if not prepared.writes and changes is NO_CHANGES:
                break
            if await store_and_flush(context, writes, changes, now_ns):
                break
            if not unheard:
                await place.join()
            wanted = _by_group(push)
        else:
            raise StoreUnavailable(phrase("refusal.alerts_changing"))
    context.events.record_all(prepared.events)
    if timers is not None:
        _collect_timers(timers, prepared.wanted, now_ns, hurry)
        if statement is not None and prepared.found is not None:
            statement.add(prepared.found)
    return prepared.result


class _Prepared(NamedTuple):
    """The writes of a push, by what is stored now."""

    result: IngestResult
    wanted: Wanted
    writes: list[GroupWrite]
    found: Followed | None  # None: it is no statement
    changes: StatedChanges
    events: list[PendingEvent]  # to be recorded once it is stored


async def _prepare(
    context: Context,
    push: list[IncomingAlert],
    wanted: Wanted,
    now_ns: int,
    hurry: bool,
    statement: _Statement | None,
    *,
    unheard: bool,
) -> _Prepared | None:
    """Load what is stored of a push and decide; None as `_store` has it.

    unheard: nothing is loaded, as if no alert were stored; where one is, the write is refused.
    """
    found, changes = None, NO_CHANGES
    # Asked for at once with what is stored of the statement; it is seldom that an alert moves.
    asked = [] if unheard else groups.ask_leases(context.wire, _fields(wanted))
    try:
        loaded = await _load(context, push, statement) if statement else None
    except StoreUnavailable:
        for answer in asked:
            answer.cancel()
        raise
    stored = [await answer for answer in asked]
    if unheard:
        stored = [[None] * len(members) for _, members in wanted.values()]
    if statement is not None and loaded is not None:
        repeated = _only_repeated(wanted, stored, statement, loaded[0].named, now_ns)
        followed = await _follow(context, push, statement, loaded, repeated, now_ns)
        if followed is None:
            return None
        found, changes = followed
        if found.moved:
            wanted = _by_group(found.alerts)
            asked = groups.ask_leases(context.wire, _fields(wanted))
            stored = [await answer for answer in asked]
    result, writes = IngestResult(repeated=found.dropped if found else 0), []
    step = news_step(context.shortest_auto_resolve)
    events: list[PendingEvent] = []
    if context.events.active:
        events = entry_events(wanted.values(), stored, now_ns)
    for (group, members), leases in zip(wanted.values(), stored, strict=True):
        write = group_write(group, members, leases, now_ns, hurry, result, step)
        if write is not None:
            writes.append(write)
    return _Prepared(result, wanted, writes, found, changes, events)


def _fields(wanted: Wanted) -> list[tuple[str, Iterable[str]]]:
    return [(group_id, alerts) for group_id, (_, alerts) in wanted.items()]


def _collect_timers(
    timers: dict[str, GroupWrite], wanted: Wanted, now_ns: int, hurry: bool
) -> None:
    """Add to `timers` the write that sets the timer of each group, and stores nothing else."""
    for group, alerts in wanted.values():
        firing = [one.starts_ns for one in alerts.values() if not has_ended(one.ends_ns, now_ns)]
        if not (firing or hurry):
            continue
        due_ns = now_ns if hurry else first_flush(min(firing), group.group_wait, now_ns)
        known = timers.get(group.id)
        due_ms = min(due_ns // 10**6, known.due_ms) if known else due_ns // 10**6
        timers[group.id] = GroupWrite(group.id, False, due_ms, hurry, [], [], [], [], [])
