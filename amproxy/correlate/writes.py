"""The writes of a push to its groups, by the leases that are stored: pure, given the clock."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from amproxy.correlate.incoming import IncomingAlert
from amproxy.grouping.dedup import merge_alerts
from amproxy.grouping.flush import first_flush
from amproxy.grouping.inhibition import stored_sources
from amproxy.grouping.silences import FOREVER_NS
from amproxy.model import Alert, Group
from amproxy.store import groups
from amproxy.store.commit import binary
from amproxy.store.groups import GroupWrite, Lease

# ns. The lapse of a webhook's alert moves in steps of a minute, so that repeats write nothing.
LAPSE_STEP = 60 * 10**9
# ns. An `auto_resolve` shorter than this needs the time of every push, not of one a minute.
EXACT_BELOW = 2 * LAPSE_STEP


class IngestResult(msgspec.Struct):
    """The counts of a push's alerts."""

    new: int = 0
    repeated: int = 0  # stored already, in the same state
    ended: int = 0  # that fired until now


def group_write(
    group: Group,
    alerts: dict[str, IncomingAlert],
    stored: list[bytes | None],
    now_ns: int,
    hurry: bool,
    result: IngestResult,
    step: int,
) -> GroupWrite | None:
    """The write of one group, counted in `result`; None when all of it is stored as it is.

    step: a repeat so many ns after the last push that was written is written too.
    """
    write = GroupWrite(group.id, False, now_ns // 10**6, hurry, [], [], [], [], [])
    earliest, fresh = 0, False
    for (fingerprint, incoming), data in zip(alerts.items(), stored, strict=True):
        old = groups.unpack_lease(data) if data is not None else None
        if incoming.times_only:
            if old is None and incoming.ends_ns:
                continue
            if old is not None:
                incoming.starts_ns, incoming.content = old.starts_ns, old.content
        if old is None:
            alert: Alert | None
            alert, lease = _new_alert(incoming, now_ns)
            # An alert that is over at its first push joins a living group, as Alertmanager's do,
            # but makes none: then it is not fresh.
            if not has_ended(incoming.ends_ns, now_ns):
                result.new += 1
                fresh, earliest = True, min(earliest or lease.starts_ns, lease.starts_ns)
        else:
            is_same = _is_same_state(old, incoming, now_ns)
            if not (incoming.times_only and incoming.ends_ns):  # nobody has sent that
                result.repeated += is_same
                result.ended += not is_same and has_ended(incoming.ends_ns, now_ns)
            if _is_unchanged(old, incoming) and now_ns - old.updated_ns < step:
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


def write_to_merge(
    group: Group, alerts: dict[str, IncomingAlert], now_ns: int, hurry: bool
) -> GroupWrite:
    """The write of alerts that the script merges with what is stored, whatever that is."""
    write = GroupWrite(group.id, False, now_ns // 10**6, hurry, [], [], [], [], [])
    earliest = 0
    for fingerprint, incoming in alerts.items():
        times_only, lease = incoming.times_only, _make_lease(incoming, incoming, now_ns)
        if not has_ended(incoming.ends_ns, now_ns):
            earliest = min(earliest or lease.starts_ns, lease.starts_ns)
        write.fingerprints.append(fingerprint)
        write.expected.append(groups.MERGED_TIMES if times_only else groups.MERGED)
        write.leases.append(lease.pack())
        # an end that nobody has sent makes no alert
        record = not (times_only and incoming.ends_ns) and groups.encode_alert(
            _new_alert(incoming, now_ns)[0]
        )
        write.records.append(record)
        write.sources.extend(_source_words(fingerprint, incoming, lease))
    if earliest:  # sets the group's timer unless it runs
        due_ns = now_ns if hurry else first_flush(earliest, group.group_wait, now_ns)
        return write._replace(meta=groups.encode_group(group), due_ms=due_ns // 10**6)
    return write if hurry else write._replace(due_ms=0)


def _source_words(
    fingerprint: str, incoming: IncomingAlert, lease: Lease
) -> Iterator[str | msgspec.Raw]:
    """Key, fingerprint and packed source for each inhibition rule that an alert is a source of."""
    sources = stored_sources(
        incoming.placement.sources, fingerprint, lease.ends_ns, lease.lapses_ns
    )
    for key, source in sources:
        yield from (key, fingerprint, binary(groups.encode_source(source)))


def has_ended(ends_ns: int, now_ns: int) -> bool:
    """Check that there is an end, and that it has come."""
    return 0 < ends_ns <= now_ns


def news_step(auto_resolve: float) -> int:
    """The ns after which a repeat is written, so that `auto_resolve` (seconds) counts from it."""
    if not auto_resolve:
        return FOREVER_NS
    return LAPSE_STEP if auto_resolve * 10**9 >= EXACT_BELOW else 0


def _is_same_state(old: Lease, new: IncomingAlert, now_ns: int) -> bool:
    return has_ended(old.ends_ns, now_ns) == has_ended(new.ends_ns, now_ns)


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


def _make_lease(times: Alert | IncomingAlert, incoming: IncomingAlert, now_ns: int) -> Lease:
    return Lease(
        groups.new_revision(),
        times.starts_ns,
        times.ends_ns,
        incoming.lapses_ns,
        now_ns,
        incoming.content,
        times.timeout,
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
