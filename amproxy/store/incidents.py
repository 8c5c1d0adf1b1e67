"""What lists are filtered by, kept apart from the incidents: small, in one hash, so that thousands are looked through in no time.

Incidents in Redis: read, list, and the operations that commit a Change.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from amproxy.errors import NotFound
from amproxy.model import Alert, Change, Incident, IncidentState, OutgoingMessage, TimelineEntry
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

SUMMARY_CHUNK = 500  # looked through at once: few enough that a push does not wait for them
LONGEST_SEARCH_TEXT = 2000  # characters of a description that can be searched


class IncidentSummary(msgspec.Struct, frozen=True, array_like=True):
    """An incident as far as lists ask for it. Fields are only ever added at the end, with a default."""

    number: int
    state: IncidentState
    policy: str
    team: str
    people: list[str]  # who was paged or asked for it, or answered
    labels: dict[str, str]  # those in common and those of the group
    text: str  # title, summary and description, casefolded


class ListPosition(NamedTuple):
    """Where an incident stands among all: newest first, of the same moment the later id first."""

    started: float  # Unix seconds
    id: str


FIRST_POSITION = ListPosition(float("inf"), "")

_encode = msgspec.msgpack.Encoder().encode
_summary = msgspec.msgpack.Decoder(IncidentSummary).decode
_incident = msgspec.msgpack.Decoder(Incident).decode


def summarize(incident: Incident) -> IncidentSummary:
    answered = (incident.acknowledged_by, incident.first_acknowledged_by, incident.resolved_by, incident.snoozed_by)
    paged = (page.user for page in incident.pages)
    people = dict.fromkeys(name for name in (*answered, *incident.responders, *paged) if name)
    annotations = incident.common_annotations
    texts = (incident.title, annotations.get("summary", ""), annotations.get("description", ""), incident.text)
    return IncidentSummary(
        number=incident.number, state=incident.state, policy=incident.policy, team=incident.team, people=list(people),
        labels={**incident.common_labels, **incident.group_labels},
        text="\n".join(text[:LONGEST_SEARCH_TEXT].casefold() for text in texts if text),
    )  # fmt: skip


def save_summary(result: Operations, incident: Incident) -> None:
    """Store it, in one commit with the incident."""
    result.do("HSET", keys.SUMMARIES, incident.id, _encode(summarize(incident)))


def delete_summaries(result: Operations, *ids: str) -> None:
    result.do("HDEL", keys.SUMMARIES, *ids)


async def walk_summaries(
    wire: Wire, states: Sequence[IncidentState], *, after: ListPosition = FIRST_POSITION, since: float = float("-inf")
) -> AsyncIterator[list[tuple[ListPosition, IncidentSummary]]]:
    """Incidents in these states, newest first, some at a time: those after a place that began at `since` (Unix seconds) or later.

    Raises StoreUnavailable.
    """
    while True:
        answers = [await _read_positions(wire, keys.incidents(state), after, since) for state in states]
        # the first of all are among the first of each
        places = sorted(itertools.chain.from_iterable(answers), reverse=True)[:SUMMARY_CHUNK]
        if not places:
            return
        yield [(place, found) for place, found in zip(places, await _read_summaries(wire, places), strict=True) if found]
        after = places[-1]


async def _read_positions(wire: Wire, key: str, after: ListPosition, since: float) -> list[ListPosition]:
    """The first CHUNK after a place."""
    found: list[ListPosition] = []
    passed = 0
    while len(found) < SUMMARY_CHUNK:
        flat = await wire.call(
            "ZRANGE", key, repr(after.started), repr(since), "BYSCORE", "REV", "LIMIT", passed, SUMMARY_CHUNK, "WITHSCORES"
        )
        places = [ListPosition(float(at), name.decode()) for name, at in zip(flat[::2], flat[1::2], strict=True)]
        found += [place for place in places if place < after]  # others of the same moment may lie before it
        passed += SUMMARY_CHUNK
        if len(places) < SUMMARY_CHUNK:
            break
    return found[:SUMMARY_CHUNK]


async def _read_summaries(wire: Wire, places: Sequence[ListPosition]) -> list[IncidentSummary | None]:
    """The summary of each; None for an incident that is gone."""
    kept = await wire.call("HMGET", keys.SUMMARIES, *(place.id for place in places))
    return [_summary(data) if data else await _rebuild_summary(wire, place.id) for place, data in zip(places, kept, strict=True)]


async def _rebuild_summary(wire: Wire, incident_id: str) -> IncidentSummary | None:
    """That of an incident which an earlier version stored: made, and kept where the incident is still the same."""
    version, data = await wire.call("HMGET", keys.incident(incident_id), "v", "data")
    if data is None:
        return None
    operations, incident = Operations(), _incident(data)
    operations.guard(keys.incident(incident_id), "v", version)
    save_summary(operations, incident)
    await commit(wire, operations)
    return summarize(incident)


_entry = msgspec.msgpack.Decoder(TimelineEntry).decode
_alert = msgspec.msgpack.Decoder(Alert).decode

STATES: tuple[IncidentState, ...] = ("triggered", "acknowledged", "snoozed", "resolved")
OPEN_STATES: tuple[IncidentState, ...] = ("triggered", "acknowledged", "snoozed")
READ_SIZE = 50  # incidents read at once where a whole span is read: so few are decoded in a row that a push does not wait for them


async def load(wire: Wire, incident_id: str) -> Incident:
    """Raises NotFound."""
    data = await wire.call("HGET", keys.incident(incident_id), "data")
    if data is None:
        raise NotFound(f"there is no incident {incident_id}")
    return _incident(data)


async def load_current(wire: Wire, incident_id: str) -> Incident:
    """An incident, or the one that it has become part of. Raises NotFound."""
    found = await load(wire, incident_id)
    while found.merged_into:
        found = await load(wire, found.merged_into)
    return found


async def load_many(wire: Wire, incident_ids: Iterable[str]) -> dict[str, Incident]:
    """Those that are there, in one round trip."""
    answers = {incident_id: wire.call("HGET", keys.incident(incident_id), "data") for incident_id in incident_ids}
    return {incident_id: _incident(data) for incident_id, answer in answers.items() if (data := await answer) is not None}


async def load_with_turns(wire: Wire, incident_id: str) -> tuple[Incident, dict[str, int]]:
    """An incident and the round-robin pointers, in one round trip. Raises NotFound."""
    data, flat = wire.call("HGET", keys.incident(incident_id), "data"), wire.call("HGETALL", keys.TURNS)
    incident, pointers = await data, await flat
    if incident is None:
        raise NotFound(f"there is no incident {incident_id}")
    return _incident(incident), {name.decode(): int(turn) for name, turn in _pairs(pointers)}


async def load_timeline(wire: Wire, incident_id: str) -> list[TimelineEntry]:
    """Oldest first."""
    return [_entry(data) for data in await wire.call("LRANGE", keys.timeline(incident_id), 0, -1)]


async def load_alerts(wire: Wire, incident_id: str) -> list[Alert]:
    """The alerts as they were last told, also after the end."""
    return [_alert(data) for data in await wire.call("HVALS", keys.incident_alerts(incident_id))]


async def load_counts(wire: Wire) -> dict[tuple[str, str], int]:
    """(policy, state) → number of incidents."""
    flat = await wire.call("HGETALL", keys.COUNTS)
    result = {}
    for name, number in zip(flat[::2], flat[1::2], strict=True):
        policy, _, state = name.decode().rpartition(" ")
        result[policy, state] = int(number)
    return result


async def list_incidents(
    wire: Wire, states: tuple[IncidentState, ...] = OPEN_STATES, *, keep: Callable[[IncidentSummary], bool] | None = None, limit: int = 100, before: str = "",
    since: float = float("-inf"), until: float = float("inf"),
) -> tuple[list[Incident], str]:  # fmt: skip
    """Incidents in these states, newest first, that `keep` keeps and that began from `since` to before `until` (Unix seconds).

    before: cursor of an earlier call. Returns them and the cursor of the rest, "" when there is none.
    """
    after = min(ListPosition(until, ""), _parse_cursor(before))
    found: list[ListPosition] = []
    async for some in walk_summaries(wire, states, after=after, since=since):
        found += [place for place, summary in some if summary.state in states and (keep is None or keep(summary))]
        if len(found) > limit:
            break
    shown = [incident for incident in await _read_incidents(wire, [place.id for place in found[:limit]]) if incident.state in states]
    return shown, f"{found[limit - 1].started!r}-{found[limit - 1].id}" if len(found) > limit else ""


async def find_by_number(wire: Wire, number: int, states: tuple[IncidentState, ...] = STATES) -> Incident | None:
    """The incident of this number, if it is in one of these states. Raises StoreUnavailable."""
    found, _ = await list_incidents(wire, states, keep=lambda summary: summary.number == number, limit=1)
    return found[0] if found else None


def _parse_cursor(cursor: str) -> ListPosition:
    """Where a cursor stands; "" = before the first."""
    started, _, last = cursor.partition("-")
    return ListPosition(float(started), last) if cursor else FIRST_POSITION


async def iterate_between(wire: Wire, start: float, end: float) -> AsyncIterator[list[Incident]]:
    """Incidents that began from `start` to before `end` (Unix seconds), oldest first, a slice at a time. Raises StoreUnavailable."""
    low, passed = start, 0  # passed: how many that began exactly at `low` were read
    while True:
        found = _pairs(
            await wire.call("ZRANGE", keys.INCIDENTS, repr(low), f"({end!r}", "BYSCORE", "LIMIT", passed, READ_SIZE, "WITHSCORES")
        )
        if not found:
            return
        yield await _read_incidents(wire, [name.decode() for name, _ in found])
        last = float(found[-1][1])
        passed = sum(float(at) == last for _, at in found) + (passed if last == low else 0)
        low = last


async def load_timelines(wire: Wire, ids: list[str]) -> list[list[TimelineEntry]]:
    """The timelines of several incidents, each oldest first, in one round trip. Raises StoreUnavailable."""
    answers = [wire.call("LRANGE", keys.timeline(incident_id), 0, -1) for incident_id in ids]
    return [[_entry(data) for data in await answer] for answer in answers]


def _pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


async def _read_incidents(wire: Wire, ids: list[str]) -> list[Incident]:
    answers = [wire.call("HGET", keys.incident(name), "data") for name in ids]
    return [_incident(data) for answer in answers if (data := await answer) is not None]


async def next_number(wire: Wire) -> int:
    """A number that no other incident has. A crash may leave a number unused."""
    return int(await wire.call("INCR", keys.NUMBER))


async def load_turns(wire: Wire) -> dict[str, int]:
    """Round-robin pointers."""
    return {name.decode(): int(turn) for name, turn in _pairs(await wire.call("HGETALL", keys.TURNS))}


def change_operations(change: Change) -> Operations:
    """What commits a Change, guarded by the incident's version (and by the turns it took)."""
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
        due_ms = math.ceil(change.timer * 1000)  # rounded down it would come before anything is due, and do nothing
        result.do("ZADD", keys.TIMERS, due_ms, f"incident:{incident.id}")
    for message in change.outbox:
        enqueue(result, message)
    result.do("PUBLISH", keys.CHANGES, f"incident {incident.id}")
    return result


def _move_state(result: Operations, change: Change) -> None:
    incident = change.incident
    if change.before:
        result.do("ZREM", keys.incidents(change.before), incident.id)
        result.do("HINCRBY", keys.COUNTS, f"{change.policy_before} {change.before}", -1)
    else:
        result.do("ZADD", keys.INCIDENTS, repr(incident.started_at), incident.id)
    result.do("ZADD", keys.incidents(incident.state), repr(incident.started_at), incident.id)
    result.do("HINCRBY", keys.COUNTS, f"{incident.policy} {incident.state}", 1)


def enqueue(result: Operations, message: OutgoingMessage) -> None:
    """Put a message into the outbox."""
    result.do("XADD", keys.OUTBOX, "*", "m", _encode(message))
    result.do("HINCRBY", keys.DEPTH, message.channel, 1)


def save_alert(result: Operations, incident_id: str, alert: Alert) -> None:
    """Remember an alert as the incident was told of it."""
    result.do("HSET", keys.incident_alerts(incident_id), alert.fingerprint, _encode(alert))


def policy_of(data: bytes) -> str:
    """The policy of a stored incident."""
    return _incident(data).policy
