"""Page someone by hand: an incident without alerts."""

from __future__ import annotations

from amproxy.apply import TRIES, committed
from amproxy.config.structs import NotifyStep, Policy, Urgency
from amproxy.context import Context
from amproxy.correlate.opening import open_by_hand
from amproxy.errors import Conflict, StoreUnavailable
from amproxy.machine import transition
from amproxy.machine.events import Opened
from amproxy.model import Incident
from amproxy.respond.targets import BadAction, Target, step
from amproxy.store import incidents
from amproxy.store.commit import commit


async def open_incident(context: Context, *, title: str, by: str, to: Target, urgency: Urgency | None = None, text: str = "") -> Incident:
    """Returns the incident, whose first page is on its way. Raises BadAction, Conflict (nobody is there), StoreUnavailable."""
    if not title.strip():
        raise BadAction("a title is needed")
    found = step(context.config, to)
    plan = found if isinstance(found, Policy) else Policy(name="by hand", team=to.team, steps=(found,))
    incident = await open_by_hand(context, title=title.strip(), policy=plan, urgency=urgency, text=text, now=context.now())
    for _ in range(TRIES):
        turns = await incidents.turns(context.wire)
        opened = Opened(reason=f"paged by hand by {by or 'somebody'}", by=by)
        change = transition(incident, opened, context.now(), context.roster, turns)
        if change.nobody and isinstance(found, NotifyStep):
            raise Conflict(f"nobody to page: {'; '.join(entry.text for entry in change.timeline if entry.kind == 'nobody')}")
        if await commit(context.wire, incidents.operations(change)):
            committed(context, change)
            return change.incident
    raise StoreUnavailable("other incidents keep taking the same turn")
