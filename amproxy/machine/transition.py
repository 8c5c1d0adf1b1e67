"""`transition`: the reducer. What each event does stands in actions.py, steps.py, chains.py and deliveries.py."""

from __future__ import annotations

from msgspec.structs import replace

from amproxy.decide.roster import Roster
from amproxy.machine import actions, alerts, chains, deliveries, steps
from amproxy.machine.change import Draft
from amproxy.machine.events import Act, AlertsChanged, Event, Failed, Opened, Sent, Skipped, Tick, Updated
from amproxy.model import Change, Incident


def transition(incident: Incident, event: Event, now: float, roster: Roster, turns: dict[str, int] | None = None) -> Change:
    """Apply one event to an incident.

    incident: as stored (version 0 = new); it is not changed. now: Unix seconds. turns: round-robin pointers as stored.
    Returns the Change to commit. Raises Conflict when the state forbids the event (only for people's actions).
    """
    draft = Draft(incident=_copy(incident), now=now, roster=roster, turns=dict(turns or {}))
    draft.incident.version += 1
    draft.incident.updated_at = now
    _apply(draft, event)
    _advance(draft)
    return Change(
        incident=draft.incident,
        before=incident.state if incident.version else "",
        policy_before=incident.policy if incident.version else "",
        timeline=draft.timeline,
        timer=next_due(draft.incident),
        outbox=draft.outbox,
        turns=draft.moved_turns,
        nobody=draft.nobody,
    )


def _copy(incident: Incident) -> Incident:
    """A copy whose parts can be changed: pages and chains are; everything else in it is replaced, never changed."""
    return replace(incident, pages=[replace(page) for page in incident.pages], chains=[replace(chain) for chain in incident.chains])


def next_due(incident: Incident) -> float | None:
    """When time alone will change the incident next; None = never."""
    if incident.state == "triggered":
        due = [incident.step_due, *(chain.due for chain in incident.chains)]
    elif incident.state == "acknowledged":
        due = [incident.acknowledge_due]
    elif incident.state == "snoozed":
        due = [incident.snoozed_until]
    else:
        due = []
    return min((moment for moment in due if moment is not None), default=None)


def _apply(draft: Draft, event: Event) -> None:
    match event:
        case Opened():
            alerts.opened(draft, event)
        case AlertsChanged():
            alerts.changed(draft, event)
        case Act():
            actions.act(draft, event)
        case Sent():
            deliveries.sent(draft, event)
        case Failed():
            deliveries.failed(draft, event)
        case Skipped():
            deliveries.skipped(draft, event)
        case Updated():
            deliveries.updated(draft, event)
        case Tick():
            actions.run_out(draft)
        case _:
            raise TypeError(f"no such event: {event!r}")


def _advance(draft: Draft) -> None:
    """Do everything that is due by now: personal rules first, then the policy's steps, until nothing is."""
    while draft.incident.state == "triggered":
        if not (chains.run_due(draft) or steps.run_due(draft)):
            return
