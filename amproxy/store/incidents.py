"""Incidents in Redis: read, list, and the operations that commit a Change.

Lists are filtered by summaries, kept apart from the incidents: small, in one hash, so that
thousands are searched in no time.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from amproxy import offload
from amproxy.errors import NotFound
from amproxy.labels.severity import severity_of
from amproxy.model import Alert, Change, Incident, IncidentState, OutgoingMessage, TimelineEntry
from amproxy.store import groups, keys
from amproxy.store.commit import Operations, commit, field_name
from amproxy.store.wire import Wire
from amproxy.text import Phrase

STATES: tuple[IncidentState, ...] = ("triggered", "acknowledged", "snoozed", "resolved")
OPEN_STATES: tuple[IncidentState, ...] = ("triggered", "acknowledged", "snoozed")

# Read and decoded in one go: so few that a push does not wait for them.
SUMMARY_CHUNK = 500  # summaries
ALERTS_AT_ONCE = 500  # stored by one command
UNCOMMITTED_TTL = 86400  # seconds
READ_SIZE = 50  # incidents
LONGEST_SEARCH_TEXT = 2000  # characters of a description that can be searched


class IncidentSummary(msgspec.Struct, frozen=True, array_like=True):
    """The fields that lists filter by. New ones come at the end, with a default: it is an array."""

    number: int
    state: IncidentState
    policy: str
    team: str
    people: list[str]  # who was paged or asked for it, or answered
    labels: dict[str, str]  # those in common and those of the group
    text: str  # title, summary and description, casefolded
    severity: str = ""  # of the gravest alert that fires; once all are over, of those that fired

    @property
    def gravity(self) -> str:
        """The severity to sort by and to show; "" = none is known."""
        return self.severity or severity_of(self.labels)


class SortPosition(NamedTuple):
    """The position of an incident in a sorted list, least first."""

    keys: tuple[str, ...]
    at: float  # Unix seconds at which it began; negative where the newest come first
    id: str


class ListPosition(NamedTuple):
    """The position of an incident among all: newest first, of the same time the later id first."""

    started: float  # Unix seconds
    id: str


FIRST_POSITION = ListPosition(float("inf"), "")

_encode = msgspec.msgpack.Encoder().encode
_incident = msgspec.msgpack.Decoder(Incident).decode
_summary = msgspec.msgpack.Decoder(IncidentSummary).decode
_entry = msgspec.msgpack.Decoder(TimelineEntry).decode
_alert = msgspec.msgpack.Decoder(Alert).decode


async def load(wire: Wire, incident_id: str) -> Incident:
    """Raises NotFound, StoreUnavailable."""
    data = await wire.call("HGET", keys.incident(incident_id), "data")
    if data is None:
        raise NotFound(Phrase("refusal.no_incident", {"incident": incident_id}))
    return _incident(data)


async def load_current(wire: Wire, incident_id: str) -> Incident:
    """An incident, or the one that it was merged into. Raises NotFound, StoreUnavailable."""
    return (await load_line(wire, incident_id))[-1]


async def load_line(wire: Wire, incident_id: str) -> list[Incident]:
    """An incident, the one that it was merged into, the one that this was merged into, and so on.

    Raises NotFound (also where one of them is gone), StoreUnavailable.
    """
    line = [await load(wire, incident_id)]
    while line[-1].merged_into:
        line.append(await load(wire, line[-1].merged_into))
    return line


async def load_many(wire: Wire, incident_ids: Iterable[str]) -> dict[str, Incident]:
    """Id → incident for those that exist, in one round trip. Raises StoreUnavailable."""
    found = await _read_incidents(wire, list(incident_ids))
    return {incident.id: incident for incident in found}


async def load_with_turns(wire: Wire, incident_id: str) -> tuple[Incident, dict[str, int]]:
    """An incident and the round-robin pointers, in one round trip.

    Raises NotFound, StoreUnavailable.
    """
    incident = wire.call("HGET", keys.incident(incident_id), "data")
    turns = wire.call("HGETALL", keys.TURNS)
    data, flat = await incident, await turns
    if data is None:
        raise NotFound(Phrase("refusal.no_incident", {"incident": incident_id}))
    return _incident(data), _parse_turns(flat)


async def load_timeline(wire: Wire, incident_id: str) -> list[TimelineEntry]:
    """Oldest first. Raises StoreUnavailable."""
    return [_entry(data) for data in await wire.call("LRANGE", keys.timeline(incident_id), 0, -1)]


async def load_timelines(wire: Wire, ids: list[str]) -> list[list[TimelineEntry]]:
    """The timelines of several incidents, each oldest first, in one round trip.

    Raises StoreUnavailable.
    """
    answers = [wire.call("LRANGE", keys.timeline(incident_id), 0, -1) for incident_id in ids]
    return [[_entry(data) for data in await answer] for answer in answers]


async def load_alerts(wire: Wire, incident_id: str) -> list[Alert]:
    """The alerts as they were last notified, also after the end. Raises StoreUnavailable."""
    stored = await wire.call("HVALS", keys.incident_alerts(incident_id))
    return await offload.run(len(stored), lambda: [_alert(data) for data in stored])


async def load_alert_names(wire: Wire, incident_id: str) -> list[str]:
    """The fingerprints of the alerts that are stored of an incident. Raises StoreUnavailable."""
    names = await wire.call("HKEYS", keys.incident_alerts(incident_id))
    return [name.decode() for name in names]


async def load_current_alerts(wire: Wire, incident: Incident) -> list[Alert]:
    """The alerts as their senders tell them now; after the end, as they were then.

    Raises StoreUnavailable.
    """
    if incident.state == "resolved":
        return await load_alerts(wire, incident.id)
    stored = _pairs(await wire.call("HGETALL", keys.incident_alerts(incident.id)))
    live = await _load_live_alerts(wire, incident, [name for name, _ in stored])
    return await offload.run(
        len(stored), lambda: [live.get(name) or _alert(data) for name, data in stored]
    )


async def _load_live_alerts(
    wire: Wire, incident: Incident, names: Sequence[bytes]
) -> dict[bytes, Alert]:
    """Fingerprint → the alert as it is in the incident's group now, for those that are there."""
    found: dict[bytes, Alert] = {}
    for group_id in list(incident.parts) or [incident.group]:
        if group_id:  # one opened by hand has none of its own
            found |= await groups.load_alerts(wire, group_id, names)
    return found


async def load_counts(wire: Wire) -> dict[tuple[str, str], int]:
    """(policy, state) → number of incidents. Raises StoreUnavailable."""
    result = {}
    for name, number in _pairs(await wire.call("HGETALL", keys.COUNTS)):
        policy, _, state = name.decode().rpartition(" ")
        result[policy, state] = int(number)
    return result


async def load_turns(wire: Wire) -> dict[str, int]:
    """The round-robin pointers. Raises StoreUnavailable."""
    return _parse_turns(await wire.call("HGETALL", keys.TURNS))


async def next_number(wire: Wire) -> int:
    """A number that no other incident has. A crash may leave a number unused."""
    return int(await wire.call("INCR", keys.NUMBER))


async def list_incidents(
    wire: Wire,
    states: tuple[IncidentState, ...] = OPEN_STATES,
    *,
    keep: Callable[[IncidentSummary], bool] | None = None,
    limit: int = 100,
    before: str = "",
    since: float = float("-inf"),
    until: float = float("inf"),
) -> tuple[list[Incident], str]:
    """Incidents in these states that `keep` accepts, newest first, and the cursor of the rest.

    They began from `since` to before `until` (Unix seconds). before: cursor of an earlier call;
    "" = there are no more. Raises StoreUnavailable.
    """
    after = min(ListPosition(until, ""), _parse_cursor(before))
    found: list[ListPosition] = []
    async for chunk in walk_summaries(wire, states, after=after, since=since):
        found += [
            position
            for position, summary in chunk
            if summary.state in states and (keep is None or keep(summary))
        ]
        if len(found) > limit:
            break
    shown = await _read_incidents(wire, [position.id for position in found[:limit]])
    cursor = _format_cursor(found[limit - 1]) if len(found) > limit else ""
    # one may have changed since its summary was read
    return [incident for incident in shown if incident.state in states], cursor


async def list_sorted(
    wire: Wire,
    states: tuple[IncidentState, ...],
    sort: Callable[[ListPosition, IncidentSummary], SortPosition],
    *,
    keep: Callable[[IncidentSummary], bool],
    limit: int,
    after: SortPosition | None = None,
    since: float = float("-inf"),
    until: float = float("inf"),
) -> tuple[list[Incident], SortPosition | None]:
    """As `list_incidents`, in another order, and the position that the rest lies behind.

    The summaries of all incidents in these states are read, and no more than one page of positions
    is kept. Raises StoreUnavailable.
    """
    best: list[SortPosition] = []
    start = ListPosition(until, "")
    async for chunk in walk_summaries(wire, states, after=start, since=since):
        places = (
            sort(position, summary)
            for position, summary in chunk
            if summary.state in states and keep(summary)
        )
        behind = (place for place in places if after is None or place > after)
        best = heapq.nsmallest(limit + 1, itertools.chain(best, behind))
    shown = await _read_incidents(wire, [place.id for place in best[:limit]])
    rest = best[limit - 1] if len(best) > limit else None
    return [incident for incident in shown if incident.state in states], rest


async def load_open(wire: Wire) -> list[Incident]:
    """All open incidents, newest first. Raises StoreUnavailable."""
    found, cursor = await list_incidents(wire)
    while cursor:
        more, cursor = await list_incidents(wire, before=cursor)
        found += more
    return found


async def find_by_number(
    wire: Wire, number: int, states: tuple[IncidentState, ...] = STATES
) -> Incident | None:
    """The incident of this number, if it is in one of these states. Raises StoreUnavailable."""
    found, _ = await list_incidents(
        wire, states, keep=lambda summary: summary.number == number, limit=1
    )
    return found[0] if found else None


async def iterate_between(wire: Wire, start: float, end: float) -> AsyncIterator[list[Incident]]:
    """Incidents that began from `start` to before `end` (Unix seconds), oldest first, in chunks.

    Raises StoreUnavailable.
    """
    # By score, not by rank: incidents that are trimmed meanwhile would move the ranks.
    low, passed = start, 0  # passed: how many that began exactly at `low` were read
    while True:
        limit = ("LIMIT", passed, READ_SIZE, "WITHSCORES")
        found = _pairs(
            await wire.call("ZRANGE", keys.INCIDENTS, repr(low), f"({end!r}", "BYSCORE", *limit)
        )
        if not found:
            return
        yield await _read_incidents(wire, [name.decode() for name, _ in found])
        last = float(found[-1][1])
        passed = sum(float(at) == last for _, at in found) + (passed if last == low else 0)
        low = last


async def _read_incidents(wire: Wire, ids: list[str]) -> list[Incident]:
    found: list[Incident] = []
    for start in range(0, len(ids), READ_SIZE):
        some = ids[start : start + READ_SIZE]
        answers = [wire.call("HGET", keys.incident(name), "data") for name in some]
        stored = [data for answer in answers if (data := await answer) is not None]
        found += await offload.collect(map(_incident, stored))
    return found


def _parse_turns(flat: list[bytes]) -> dict[str, int]:
    return {name.decode(): int(turn) for name, turn in _pairs(flat)}


def _parse_cursor(cursor: str) -> ListPosition:
    started, _, last = cursor.partition("-")
    return ListPosition(float(started), last) if cursor else FIRST_POSITION


def _format_cursor(position: ListPosition) -> str:
    return f"{position.started!r}-{position.id}"


def _pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def version_name(incident_id: str) -> str:
    """The name of what changes of an incident are guarded by, for `commit_decided`."""
    return field_name(keys.incident(incident_id), "v")


def change_operations(change: Change) -> Operations:
    """The operations that commit a Change, guarded by the incident's version and its turns."""
    incident, result = change.incident, Operations()
    key = keys.incident(incident.id)
    result.guard(key, "v", str(incident.version - 1) if change.before else "")
    for name, (expected, turn) in change.turns.items():
        result.guard(keys.TURNS, name, str(expected) if expected else "")
        result.do("HSET", keys.TURNS, name, turn)
    result.do("HSET", key, "v", incident.version, "data", _encode(incident))
    save_summary(result, incident)
    if change.timeline:
        result.do("RPUSH", keys.timeline(incident.id), *map(_encode, change.timeline))
    if (change.before, change.policy_before) != (incident.state, incident.policy):
        _move_state(result, change)
    if change.timer is None:
        result.do("ZREM", keys.TIMERS, f"incident:{incident.id}")
    else:
        # Rounded up: a timer that came a moment too early would find nothing due, and be set anew.
        due_ms = math.ceil(change.timer * 1000)
        result.do("ZADD", keys.TIMERS, due_ms, f"incident:{incident.id}")
    for message in change.outbox:
        enqueue(result, message)
    result.do("PUBLISH", keys.CHANGES, f"incident {incident.id}")
    return result


def _move_state(result: Operations, change: Change) -> None:
    incident, started = change.incident, repr(change.incident.started_at)
    if change.before:
        result.do("ZREM", keys.incidents(change.before), incident.id)
        result.do("HINCRBY", keys.COUNTS, f"{change.policy_before} {change.before}", -1)
    else:
        result.do("ZADD", keys.INCIDENTS, started, incident.id)
    result.do("ZADD", keys.incidents(incident.state), started, incident.id)
    result.do("HINCRBY", keys.COUNTS, f"{incident.policy} {incident.state}", 1)


def enqueue(result: Operations, message: OutgoingMessage) -> None:
    """Put a message into the outbox."""
    result.do("XADD", keys.OUTBOX, "*", "m", _encode(message))
    result.sends = True
    result.do("HINCRBY", keys.DEPTH, message.channel, 1)


async def save_alerts(
    wire: Wire, result: Operations, incident: Incident, alerts: Sequence[Alert]
) -> None:
    """Store alerts as the incident is notified of them. Raises StoreUnavailable.

    Many of them are stored before the commit, some at a time. Those of a new incident expire
    without it.
    """
    key, is_new = keys.incident_alerts(incident.id), incident.version == 1
    if len(alerts) <= ALERTS_AT_ONCE:
        for alert in alerts:
            result.do("HSET", key, alert.fingerprint, _encode(alert))
        return
    for start in range(0, len(alerts), ALERTS_AT_ONCE):
        some = alerts[start : start + ALERTS_AT_ONCE]
        words = [word for alert in some for word in (alert.fingerprint, _encode(alert))]
        stored = Operations()
        stored.do("HSET", key, *words)
        if is_new:
            stored.do("EXPIRE", key, UNCOMMITTED_TTL)
        await commit(wire, stored)
    if is_new:
        result.do("PERSIST", key)


async def keep_alerts(wire: Wire, result: Operations, ended: Incident, before: Incident) -> None:
    """Store what the alerts of an incident that ends say, which its page shows from then on.

    before: the same while it is open. Raises StoreUnavailable.
    """
    await save_alerts(wire, result, ended, await load_current_alerts(wire, before))


def remove_alerts(result: Operations, source: str, fingerprints: Sequence[str]) -> None:
    """Remove alerts from those that are stored of an incident. source: its id."""
    for start in range(0, len(fingerprints), ALERTS_AT_ONCE):
        some = fingerprints[start : start + ALERTS_AT_ONCE]
        result.do("HDEL", keys.incident_alerts(source), *some)


def summarize(incident: Incident) -> IncidentSummary:
    """The summary of an incident."""
    answered = (
        incident.acknowledged_by,
        incident.first_acknowledged_by,
        incident.resolved_by,
        incident.snoozed_by,
    )
    paged = (page.user for page in incident.pages)
    people = dict.fromkeys(name for name in (*answered, *incident.responders, *paged) if name)
    annotations = incident.common_annotations
    texts = (
        incident.title,
        annotations.get("summary", ""),
        annotations.get("description", ""),
        incident.text,
    )
    return IncidentSummary(
        number=incident.number,
        state=incident.state,
        policy=incident.policy,
        team=incident.team,
        people=list(people),
        labels={**incident.common_labels, **incident.group_labels},
        text="\n".join(text[:LONGEST_SEARCH_TEXT].casefold() for text in texts if text),
        severity=incident.severity or incident.gravest,
    )


def save_summary(result: Operations, incident: Incident) -> None:
    """Store the summary, in one commit with the incident."""
    result.do("HSET", keys.SUMMARIES, incident.id, _encode(summarize(incident)))


async def walk_summaries(
    wire: Wire,
    states: Sequence[IncidentState],
    *,
    after: ListPosition = FIRST_POSITION,
    since: float = float("-inf"),
) -> AsyncIterator[list[tuple[ListPosition, IncidentSummary]]]:
    """The summaries of incidents in these states, newest first, in chunks.

    Those behind a position that began at `since` (Unix seconds) or later. Raises StoreUnavailable.
    """
    while True:
        by_state = [
            await _read_positions(wire, keys.incidents(state), after, since) for state in states
        ]
        # the first of all are among the first of each state
        positions = sorted(itertools.chain.from_iterable(by_state), reverse=True)[:SUMMARY_CHUNK]
        if not positions:
            return
        summaries = await _read_summaries(wire, positions)
        yield [(at, one) for at, one in zip(positions, summaries, strict=True) if one]
        after = positions[-1]


async def _read_positions(
    wire: Wire, key: str, after: ListPosition, since: float
) -> list[ListPosition]:
    """The first SUMMARY_CHUNK positions behind another."""
    found: list[ListPosition] = []
    passed, period = 0, (repr(after.started), repr(since))
    while len(found) < SUMMARY_CHUNK:
        limit = ("LIMIT", passed, SUMMARY_CHUNK, "WITHSCORES")
        flat = await wire.call("ZRANGE", key, *period, "BYSCORE", "REV", *limit)
        positions = [ListPosition(float(at), name.decode()) for name, at in _pairs(flat)]
        # others that began at the very same time may lie before it
        found += [position for position in positions if position < after]
        passed += SUMMARY_CHUNK
        if len(positions) < SUMMARY_CHUNK:
            break
    return found[:SUMMARY_CHUNK]


async def _read_summaries(
    wire: Wire, positions: Sequence[ListPosition]
) -> list[IncidentSummary | None]:
    """The summary of each; None for an incident that is deleted."""
    stored = await wire.call("HMGET", keys.SUMMARIES, *(position.id for position in positions))
    return [
        _summary(data) if data else await _rebuild_summary(wire, position.id)
        for position, data in zip(positions, stored, strict=True)
    ]


async def _rebuild_summary(wire: Wire, incident_id: str) -> IncidentSummary | None:
    """Make the summary of an incident that a version of amproxy without summaries stored."""
    version, data = await wire.call("HMGET", keys.incident(incident_id), "v", "data")
    if data is None:
        return None
    operations, incident = Operations(), _incident(data)
    # stored only while the incident is the same; otherwise its change has brought a summary
    operations.guard(keys.incident(incident_id), "v", version)
    save_summary(operations, incident)
    await commit(wire, operations)
    return summarize(incident)
