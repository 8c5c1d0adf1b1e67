"""A payload of webhook v4 as a statement of its sender's group: pure, the clock is an argument.

Payloads come late, twice and in any order, and none says when it was made. So each alert is held
against the record of what its source said of it last (store/stated.py), by its own start and end.
Same source and same labels are the same alert, whatever group and fingerprint it comes with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from amproxy.correlate.incoming import IncomingAlert, StatedAlert, StatedGroup
from amproxy.grouping.placement import Placement, Placer, SenderGroup
from amproxy.store.stated import StatedRecord, decode_labels

# ns. A payload may be so late: Alertmanager tries to deliver one for a group_interval, 5m.
LATEST_DELIVERY: Final = 600 * 10**9
AT_ONCE: Final = 10**8  # ns. What began within this is of one evaluation of its rules.
OVERTAKEN: Final = 10 * 10**9  # ns. Payloads that are on their way together come within this.
RENEWED_PER_LIFE: Final = 4  # times that the record of what only repeats is written while it lives

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class Followed(msgspec.Struct):
    """The part of a payload that is to be stored."""

    alerts: list[IncomingAlert] = []
    records: dict[str, StatedRecord] = {}  # those that change, by id
    named: set[str] = set()  # ids that fire in the group from now on
    gone: set[str] = set()  # ids that no longer do
    # ids that another group of the sender named until now, by its id
    taken: dict[str, set[str]] = {}
    dropped: int = 0  # older than what is known
    moved: bool = False  # not all of the payload's alerts are stored, and where they were placed


def alert_id(source: str, labels: Mapping[str, str]) -> str:
    """The id of an alert among all alerts of all sources."""
    return hashlib.blake2b(_encode((source, labels)), digest_size=8).hexdigest()


def statement_id(source: str, address: list[str], key: str) -> str:
    """The id of a sender's group. Two senders that share a source do not speak for one another."""
    return hashlib.blake2b(_encode((source, address, key)), digest_size=10).hexdigest()


def follow(
    push: Iterable[IncomingAlert],
    omitted: Collection[str],
    known: Mapping[str, StatedRecord],
    repeated: Container[str],
    stated: StatedGroup,
    placer: Placer,
    now_ns: int,
    *,
    old: bool,
) -> Followed:
    """Sort out what a payload changes, or a slice of it.

    omitted: ids of alerts that fired in the group, and that the payload does not name. repeated:
    ids of alerts of which it tells nothing new. known: the records of all others. old: an older
    payload than one that was followed before (`is_old`).
    """
    now = dict(known)
    result = Followed()
    here = dict[str, StatedAlert]()
    renewed_ns = now_ns - int(stated.expire_after * 10**9 / RENEWED_PER_LIFE)
    for one in push:
        if not isinstance(one, StatedAlert) or not one.id:
            result.alerts.append(one)
            continue
        record = now.get(one.id)
        if (one.id in repeated and not one.ends_ns) or (
            record is not None and _only_repeats(one, record, stated, renewed_ns)
        ):
            here[one.id] = one
            result.alerts.append(one)
            result.named.add(one.id)
            result.gone.discard(one.id)
            continue
        after = _after(one, record, stated, now_ns, old=old)
        if after is None:
            # It is older than what is known. While the alert fires it may still be all that comes.
            if one.ends_ns or record is None or record.over or one.id in here:
                result.moved = True
                result.dropped += 1
                continue
            after, one.times_only = record, True
        if record is not None and _join(one, after, placer):
            result.moved = True
        now[one.id], here[one.id] = after, one
        result.alerts.append(one)
        (result.gone if after.over else result.named).add(one.id)
        (result.named if after.over else result.gone).discard(one.id)
        if after is not record:
            result.records[one.id] = after
            if record is not None and record.named_by != after.named_by:
                result.taken.setdefault(record.named_by, set()).add(one.id)
    if not old:
        _close(result, omitted, now, here.values(), stated, placer, now_ns)
    return result


def is_old(
    push: Iterable[IncomingAlert],
    omitted: Collection[str],
    known: Mapping[str, StatedRecord],
    stated: StatedGroup,
    now_ns: int,
) -> bool:
    """Decide whether a payload may be older than one that was followed before.

    It does not name what fires in its group and began after all that it names, or it says what is
    known to be over.
    """
    for id_ in omitted:
        record = known.get(id_)
        if record is None or record.over or record.named_by != stated.id:
            continue
        if (
            record.starts_ns > stated.latest_ns + AT_ONCE
            and now_ns < record.at_ns + LATEST_DELIVERY
        ):
            return True
    for one in push:
        if isinstance(one, StatedAlert) and one.id and not one.ends_ns:
            record = known.get(one.id)
            if record is None or not (record.over or one.starts_ns < record.starts_ns):
                continue
            if _is_late(_start(one, now_ns), record, stated, now_ns, old=False):
                return True
    return False


def _only_repeats(
    one: StatedAlert, record: StatedRecord, stated: StatedGroup, renewed_ns: int
) -> bool:
    """Check for the ordinary case: all of it is as it was, where it was, and was told lately."""
    return (
        not (one.ends_ns or record.over)
        and one.starts_ns == record.starts_ns
        and one.placement.fingerprint == record.fingerprint
        and one.sender.key == record.sender_key
        and record.named_by == stated.id
        and record.at_ns > renewed_ns
    )


def _after(
    one: StatedAlert, record: StatedRecord | None, stated: StatedGroup, now_ns: int, *, old: bool
) -> StatedRecord | None:
    """The record after an alert; None = it is older than what is known, and changes nothing."""
    start = _start(one, now_ns)
    if record is None:
        return StatedRecord(
            labels=msgspec.Raw(_encode(one.labels)),
            fingerprint=one.placement.fingerprint,
            sender_key=one.sender.key,
            sender_labels=msgspec.Raw(_encode(one.sender.labels)),
            named_by=stated.id,
            at_ns=now_ns,
            starts_ns=start,
            ends_ns=one.said_ns,
            over=one.ends_ns > 0,
            over_at_ns=stated.latest_ns if one.ends_ns else 0,
        )
    if one.ends_ns:
        if 0 < one.said_ns < record.starts_ns:
            return None
        if record.over and not record.unnamed and one.said_ns <= record.ends_ns:
            return None
        return replace(
            record,
            over=True,
            unnamed=False,
            ends_ns=max(one.said_ns, record.ends_ns),
            over_at_ns=max(stated.latest_ns, record.over_at_ns),
            at_ns=now_ns,
        )
    if _is_late(start, record, stated, now_ns, old=old):
        return None
    start = max(start, record.starts_ns)
    if record.over:  # what fires anew does so where its sender has it now
        return replace(
            record,
            over=False,
            unnamed=False,
            starts_ns=start,
            ends_ns=0,
            over_at_ns=0,
            sender_key=one.sender.key,
            sender_labels=msgspec.Raw(_encode(one.sender.labels)),
            at_ns=now_ns,
            named_by=stated.id,
        )
    return replace(record, starts_ns=start, at_ns=now_ns, named_by=stated.id)


def _start(one: StatedAlert, now_ns: int) -> int:
    """The start as it was sent; 0 = none was, or it says nothing."""
    return one.starts_ns if one.starts_ns != now_ns else 0


def _is_late(
    start: int, record: StatedRecord, stated: StatedGroup, now_ns: int, *, old: bool
) -> bool:
    """Decide whether a firing alert is a late copy from an earlier time than its record's."""
    if not start:
        return False
    if not record.over:
        return start < record.starts_ns
    if record.unnamed:
        # Nobody has said its end: it may have been silenced, and fire on. What knows no less than
        # the payload that ended it was made after that; anything else may have been made before,
        # and would come soon.
        soon = now_ns < record.at_ns + OVERTAKEN and stated.latest_ns < record.over_at_ns
        return start < record.starts_ns or (start == record.starts_ns and (old or soon))
    # What knows more than the payload that told the end, or comes later than any copy, is none:
    # its sender had lost sight of the alert for a while.
    soon = now_ns < record.at_ns + LATEST_DELIVERY
    soon = soon and stated.latest_ns <= record.over_at_ns + AT_ONCE
    return soon and (start <= record.starts_ns or start < record.ends_ns)


def _join(one: StatedAlert, record: StatedRecord, placer: Placer) -> bool:
    """Have an alert go on, or end, where it is open; return whether it was placed elsewhere."""
    placed = one.placement
    if placed.fingerprint == record.fingerprint and one.sender.key == record.sender_key:
        return False
    one.placement = _place(record, placer, one.sender.source)
    return True


def _place(record: StatedRecord, placer: Placer, source: str) -> Placement:
    sender = SenderGroup(source, record.sender_key, decode_labels(record.sender_labels))
    return placer.place_in(decode_labels(record.labels), record.fingerprint, sender)


def _close(
    result: Followed,
    omitted: Collection[str],
    known: Mapping[str, StatedRecord],
    push: Iterable[StatedAlert],
    stated: StatedGroup,
    placer: Placer,
    now_ns: int,
) -> None:
    """End what its sender's group named last, and names no more."""
    firing = {one.placement.fingerprint: one.placement for one in push if not one.ends_ns}
    result.moved = result.moved or bool(omitted)
    for id_ in omitted:
        result.gone.add(id_)
        record = known.get(id_)
        if record is None or record.over or record.named_by != stated.id:
            continue
        result.records[id_] = replace(
            record, over=True, unnamed=True, over_at_ns=stated.latest_ns, at_ns=now_ns
        )
        placement = _place(record, placer, stated.source)
        if (other := firing.get(record.fingerprint)) is not None:  # it goes on, with other labels
            ids = {group.id for group in other.groups}
            groups = tuple(group for group in placement.groups if group.id not in ids)
            placement = replace(placement, groups=groups)
        # An end that was not sent, of an alert that lapses: model.Alert.unnamed
        result.alerts.append(
            IncomingAlert(placement, now_ns, now_ns, True, now_ns, b"", times_only=True)
        )
