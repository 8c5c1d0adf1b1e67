"""What lists are filtered by, kept apart from the incidents: small, in one hash, so that thousands are looked through in no time."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import msgspec

from amproxy.model import Incident, State
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

CHUNK = 500  # looked through at once: few enough that a push does not wait for them
LONGEST_TEXT = 2000  # characters of a description that can be searched


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """An incident as far as lists ask for it. Fields are only ever added at the end, with a default."""

    number: int
    state: State
    policy: str
    team: str
    people: list[str]  # who was paged or asked for it, or answered
    labels: dict[str, str]  # those in common and those of the group
    text: str  # title, summary and description, casefolded


class Place(NamedTuple):
    """Where an incident stands among all: newest first, of the same moment the later id first."""

    started: float  # Unix seconds
    id: str


FIRST = Place(float("inf"), "")

_encode = msgspec.msgpack.Encoder().encode
_summary = msgspec.msgpack.Decoder(Summary).decode
_incident = msgspec.msgpack.Decoder(Incident).decode


def summary(incident: Incident) -> Summary:
    answered = (incident.acknowledged_by, incident.first_acknowledged_by, incident.resolved_by, incident.snoozed_by)
    paged = (page.user for page in incident.pages)
    people = dict.fromkeys(name for name in (*answered, *incident.responders, *paged) if name)
    annotations = incident.common_annotations
    texts = (incident.title, annotations.get("summary", ""), annotations.get("description", ""), incident.text)
    return Summary(
        number=incident.number, state=incident.state, policy=incident.policy, team=incident.team, people=list(people),
        labels={**incident.common_labels, **incident.group_labels},
        text="\n".join(text[:LONGEST_TEXT].casefold() for text in texts if text),
    )  # fmt: skip


def keep(result: Operations, incident: Incident) -> None:
    """Store it, in one commit with the incident."""
    result.do("HSET", keys.SUMMARIES, incident.id, _encode(summary(incident)))


def forget(result: Operations, *ids: str) -> None:
    result.do("HDEL", keys.SUMMARIES, *ids)


async def walk(
    wire: Wire, states: Sequence[State], *, after: Place = FIRST, since: float = float("-inf")
) -> AsyncIterator[list[tuple[Place, Summary]]]:
    """Incidents in these states, newest first, some at a time: those after a place that began at `since` (Unix seconds) or later.

    Raises StoreUnavailable.
    """
    while True:
        answers = [await _places(wire, keys.incidents(state), after, since) for state in states]
        # the first of all are among the first of each
        places = sorted(itertools.chain.from_iterable(answers), reverse=True)[:CHUNK]
        if not places:
            return
        yield [(place, found) for place, found in zip(places, await _read(wire, places), strict=True) if found]
        after = places[-1]


async def _places(wire: Wire, key: str, after: Place, since: float) -> list[Place]:
    """The first CHUNK after a place."""
    found: list[Place] = []
    passed = 0
    while len(found) < CHUNK:
        flat = await wire.call("ZRANGE", key, repr(after.started), repr(since), "BYSCORE", "REV", "LIMIT", passed, CHUNK, "WITHSCORES")
        places = [Place(float(at), name.decode()) for name, at in zip(flat[::2], flat[1::2], strict=True)]
        found += [place for place in places if place < after]  # others of the same moment may lie before it
        passed += CHUNK
        if len(places) < CHUNK:
            break
    return found[:CHUNK]


async def _read(wire: Wire, places: Sequence[Place]) -> list[Summary | None]:
    """The summary of each; None for an incident that is gone."""
    kept = await wire.call("HMGET", keys.SUMMARIES, *(place.id for place in places))
    return [_summary(data) if data else await _made(wire, place.id) for place, data in zip(places, kept, strict=True)]


async def _made(wire: Wire, incident_id: str) -> Summary | None:
    """That of an incident which an earlier version stored: made, and kept where the incident is still the same."""
    version, data = await wire.call("HMGET", keys.incident(incident_id), "v", "data")
    if data is None:
        return None
    operations, incident = Operations(), _incident(data)
    operations.guard(keys.incident(incident_id), "v", version)
    keep(operations, incident)
    await commit(wire, operations)
    return summary(incident)
