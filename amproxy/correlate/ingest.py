"""A push is stored: load what is there, merge, write only what changed.

The sender's answer comes only after that: what is answered is in Redis.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.grouping.dedup import merge_alerts
from amproxy.grouping.flush import first_flush
from amproxy.grouping.inhibition import stored_sources
from amproxy.grouping.placement import Placement
from amproxy.grouping.silences import FOREVER_NS
from amproxy.model import Alert, Group
from amproxy.store import groups
from amproxy.store.commit import binary
from amproxy.store.groups import GroupWrite, Lease

# Alerts of a push that are stored at a time: so few hold up neither this process nor Redis.
SLICE = 500
INGEST_TRIES = 20  # each loses to another process that changed the same alerts meanwhile
# ns. The lapse of a webhook's alert moves in steps of a minute, so that repeats write nothing.
LAPSE_STEP = 60 * 10**9
# ns. An `auto_resolve` shorter than this needs the time of every push, not of one a minute.
EXACT_BELOW = 2 * LAPSE_STEP


class IncomingAlert(msgspec.Struct, gc=False):
    """One alert of a push; `make` is the whole alert with these times, made when it is written."""

    placement: Placement
    starts_ns: int
    ends_ns: int  # 0 = no end
    timeout: bool
    lapses_ns: int
    content: bytes  # 8 bytes: digest of everything but labels and times

    def make(self) -> Alert:
        raise NotImplementedError


class WholeAlert(IncomingAlert, gc=False):
    """One that was made already."""

    alert: Alert

    def make(self) -> Alert:
        return msgspec.structs.replace(self.alert)


class IngestResult(msgspec.Struct):
    """The counts of a push's alerts."""

    new: int = 0
    repeated: int = 0  # stored already, in the same state
    ended: int = 0  # that fired until now


async def ingest(
    context: Context, push: list[IncomingAlert], now_ns: int, *, hurry: bool
) -> IngestResult:
    """Store a push; a long one is taken out of the list, and stored slice by slice.

    hurry: the sender grouped and waited already, so the groups are flushed at once.
    Raises StoreUnavailable; then the push may be sent again as it is.
    """
    if len(push) <= SLICE:
        return await _store(context, _by_group(push), now_ns, hurry)
    result, timers = IngestResult(), dict[str, GroupWrite]()
    while push:
        part, push[:SLICE] = _by_group(push[:SLICE]), []
        stored = await _store(context, part, now_ns, hurry, timers)
        result.new += stored.new
        result.repeated += stored.repeated
        result.ended += stored.ended
    # The timers come last, so that a flush finds all of the push. All of its groups get theirs: a
    # push that broke off and comes again finds its first alerts as they are already.
    waiting = list(timers.values())
    for start in range(0, len(waiting), SLICE):
        await groups.ingest(context.wire, waiting[start : start + SLICE])
    context.wake(timers=True)
    return result


Wanted = dict[
    str, tuple[Group, dict[str, IncomingAlert]]
]  # group id → group, alerts by fingerprint


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
    wanted: Wanted,
    now_ns: int,
    hurry: bool,
    timers: dict[str, GroupWrite] | None = None,
) -> IngestResult:
    """Store alerts and set the timers of their groups; add those to `timers` where it is given.

    Raises StoreUnavailable.
    """
    news_step = _news_step(context.shortest_auto_resolve)
    for _ in range(INGEST_TRIES):
        stored = await groups.load_leases(
            context.wire, [(group_id, list(alerts)) for group_id, (_, alerts) in wanted.items()]
        )
        result, writes = IngestResult(), []
        for (group, alerts), leases in zip(wanted.values(), stored, strict=True):
            write = _group_write(group, alerts, leases, now_ns, hurry, result, news_step)
            if write is not None:
                writes.append(write)
        if timers is not None:
            writes = [write._replace(due_ms=0, hurry=False) for write in writes]
        # Refused as a whole when one of the alerts is not as it was loaded: load and merge anew.
        if not writes or await groups.ingest(context.wire, writes):
            break
    else:
        raise StoreUnavailable("the same alerts keep changing")
    if timers is not None:
        _collect_timers(timers, wanted, now_ns, hurry)
    elif any(write.due_ms for write in writes):
        context.wake(timers=True)
    return result


def _collect_timers(
    timers: dict[str, GroupWrite], wanted: Wanted, now_ns: int, hurry: bool
) -> None:
    """Add to `timers` the write that sets the timer of each group, and stores nothing else."""
    for group, alerts in wanted.values():
        firing = [one.starts_ns for one in alerts.values() if not _has_ended(one.ends_ns, now_ns)]
        if not (firing or hurry):
            continue
        due_ns = now_ns if hurry else first_flush(min(firing), group.group_wait, now_ns)
        known = timers.get(group.id)
        due_ms = min(due_ns // 10**6, known.due_ms) if known else due_ns // 10**6
        timers[group.id] = GroupWrite(group.id, False, due_ms, hurry, [], [], [], [], [])


def _group_write(
    group: Group,
    alerts: dict[str, IncomingAlert],
    stored: list[bytes | None],
    now_ns: int,
    hurry: bool,
    result: IngestResult,
    news_step: int,
) -> GroupWrite | None:
    """The write of one group, counted in `result`; None when all of it is stored as it is.

    news_step: a repeat so many ns after the last push that was written is written too.
    """
    write = GroupWrite(group.id, False, now_ns // 10**6, hurry, [], [], [], [], [])
    earliest, fresh = 0, False
    for (fingerprint, incoming), data in zip(alerts.items(), stored, strict=True):
        old = groups.unpack_lease(data) if data is not None else None
        if old is None:
            alert: Alert | None
            alert, lease = _new_alert(incoming, now_ns)
            # An alert that is over at its first push joins a living group, as Alertmanager's do,
            # but makes none: then it is not fresh.
            if not _has_ended(incoming.ends_ns, now_ns):
                result.new += 1
                fresh, earliest = True, min(earliest or lease.starts_ns, lease.starts_ns)
        else:
            is_same = _is_same_state(old, incoming, now_ns)
            result.repeated += is_same
            result.ended += not is_same and _has_ended(incoming.ends_ns, now_ns)
            if _is_unchanged(old, incoming) and now_ns - old.updated_ns < news_step:
                continue
            alert, lease = _merge_stored(fingerprint, old, incoming, now_ns)
        write.fingerprints.append(fingerprint)
        write.expected.append(binary(old.revision) if old else groups.ABSENT)
        write.leases.append(lease.pack())
        write.records.append(groups.encode_alert(alert) if alert is not None else False)
        write.sources.extend(_source_words(fingerprint, incoming, lease))
    if not write.fingerprints:
        return None
    if fresh:
        due_ns = now_ns if hurry else first_flush(earliest, group.group_wait, now_ns)
        return write._replace(meta=groups.encode_group(group), due_ms=due_ns // 10**6)
    return write if hurry else write._replace(due_ms=0)  # the group's timer runs already


def _source_words(
    fingerprint: str, incoming: IncomingAlert, lease: Lease
) -> Iterator[str | msgspec.Raw]:
    """Key, fingerprint and packed source for each inhibition rule that an alert is a source of."""
    keys = incoming.placement.sources
    for key, source in stored_sources(keys, fingerprint, lease.ends_ns, lease.lapses_ns):
        yield from (key, fingerprint, binary(groups.encode_source(source)))


def _has_ended(ends_ns: int, now_ns: int) -> bool:
    return 0 < ends_ns <= now_ns


def _news_step(auto_resolve: float) -> int:
    """The ns after which a repeat is written, so that `auto_resolve` (seconds) counts from it."""
    if not auto_resolve:
        return FOREVER_NS
    return LAPSE_STEP if auto_resolve * 10**9 >= EXACT_BELOW else 0


def _is_same_state(old: Lease, new: IncomingAlert, now_ns: int) -> bool:
    return _has_ended(old.ends_ns, now_ns) == _has_ended(new.ends_ns, now_ns)


def _is_unchanged(old: Lease, new: IncomingAlert) -> bool:
    return (
        old.ends_ns == new.ends_ns
        and old.starts_ns == new.starts_ns
        and old.content == new.content
        and old.timeout == new.timeout
        and new.lapses_ns - old.lapses_ns < LAPSE_STEP
    )


def _new_alert(incoming: IncomingAlert, now_ns: int) -> tuple[Alert, Lease]:
    alert = incoming.make()
    alert.updated_ns = now_ns
    return alert, _make_lease(alert, incoming, now_ns)


def _make_lease(alert: Alert, incoming: IncomingAlert, now_ns: int) -> Lease:
    return Lease(
        groups.new_revision(),
        alert.starts_ns,
        alert.ends_ns,
        incoming.lapses_ns,
        now_ns,
        incoming.content,
        alert.timeout,
    )


def _merge_stored(
    fingerprint: str, old: Lease, incoming: IncomingAlert, now_ns: int
) -> tuple[Alert | None, Lease]:
    """The merged alert (None where its record stays as it is) and its lease."""
    same = old.content == incoming.content
    if same and old.starts_ns == incoming.starts_ns and incoming.ends_ns >= old.ends_ns > 0:
        # the ordinary repeat: only its end moves on, and most pushes are nothing else
        lease = Lease(
            groups.new_revision(),
            old.starts_ns,
            incoming.ends_ns,
            incoming.lapses_ns,
            now_ns,
            old.content,
            incoming.timeout,
        )
        return None, lease
    before = _times_only(fingerprint, old, old.updated_ns)
    if same:
        merged = merge_alerts(before, _times_only(fingerprint, incoming, now_ns))
        return None, _make_lease(merged, incoming, now_ns)
    new = incoming.make()
    new.updated_ns = now_ns
    alert = merge_alerts(before, new)
    return alert, _make_lease(alert, incoming, now_ns)


def _times_only(fingerprint: str, source: Lease | IncomingAlert, updated_ns: int) -> Alert:
    """An alert with the times of a lease or a push: a merge looks at nothing else."""
    return Alert(
        fingerprint=fingerprint,
        labels={},
        starts_ns=source.starts_ns,
        ends_ns=source.ends_ns,
        updated_ns=updated_ns,
        timeout=source.timeout,
    )
