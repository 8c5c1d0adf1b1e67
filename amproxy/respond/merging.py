"""Merge one incident into another: two changes, one commit."""

from __future__ import annotations

import re

from amproxy.apply import TRIES, committed
from amproxy.context import Context
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.machine import responders, transition
from amproxy.machine.events import Absorb, Merge
from amproxy.model import Incident
from amproxy.respond.targets import BadAction
from amproxy.store import incidents
from amproxy.store.commit import commit

_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)  # an id is longer


async def meant(context: Context, text: str) -> str:
    """The id of the incident that somebody means by its number ("12", "#12"), which must be open, or by its id.

    Raises BadAction, StoreUnavailable.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return text.strip()
    incident = await incidents.numbered(context.wire, int(found[1]), incidents.OPEN)
    if incident is None:
        raise BadAction(f"there is no open incident #{found[1]}")
    return incident.id


async def merge(context: Context, incident_id: str, into: str, *, user: str, via: str) -> Incident:
    """End an incident as part of another; returns it.

    Raises NotFound, Conflict (one of them is over, or they are the same), BadAction (there is no other), StoreUnavailable.
    """
    if not into:
        raise BadAction("into is needed: the id of the incident that takes this one in")
    for _ in range(TRIES):
        one = await incidents.load(context.wire, incident_id)
        try:
            other, turns = await incidents.load_with_turns(context.wire, into)
        except NotFound:
            raise BadAction(f"there is no incident {into[:60]!r} to merge into") from None
        now, roster = context.now(), context.roster
        ended = transition(one, Merge(user=user, via=via, into=other.id, number=other.number), now, roster)
        event = Absorb(user=user, via=via, number=one.number, title=one.title, parts=responders.parts(one))
        taken_in = transition(other, event, now, roster, turns)
        operations = incidents.operations(ended)
        operations.extend(incidents.operations(taken_in))
        for alert in await incidents.load_alerts(context.wire, one.id):
            incidents.keep_alert(operations, other.id, alert)
        if await commit(context.wire, operations):
            committed(context, ended)
            committed(context, taken_in)
            return ended.incident
    raise StoreUnavailable(f"incident {incident_id} keeps changing")
