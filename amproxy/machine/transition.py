"""`transition`: the reducer. What each event does stands in alerts.py, actions.py, steps.py, chains.py and deliveries.py."""

from __future__ import annotations

from msgspec.structs import replace

from amproxy.machine import actions, alerts, chains, deliveries, holds, steps
from amproxy.machine.draft import Draft
from amproxy.machine.events import Act, AlertsChanged, Event, Failed, Hold, Opened, Returned, Sent, Skipped, TimerTick, Updated
from amproxy.model import Change, Incident
from amproxy.oncall.roster import Roster


def transition(incident: Incident, event: Event, now: float, roster: Roster, turns: dict[str, int] | None = None) -> Change:
    """Apply one event to an incident.

    incident: as stored (version 0 = new); it is not changed. now: Unix seconds. turns: round-robin pointers as stored.
    Returns the Change to commit. Raises Conflict when the state forbids the event (only for people's actions).
    """
    draft = Draft(incident=_copy_incident(incident), now=now, roster=roster, turns=dict(turns or {}))
    draft.incident.version += 1
    draft.incident.updated_at = now
    _apply_event(draft, event)
    _run_all_due(draft)
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


def _copy_incident(incident: Incident) -> Incident:
    """A copy whose parts can be changed: pages and chains are; everything else in it is replaced, never changed."""
    return replace(incident, pages=[replace(page) for page in incident.pages], chains=[replace(chain) for chain in incident.chains])


def next_due(incident: Incident) -> float | None:
    """When time alone will change the incident next; None = never."""
    if incident.state == "resolved":
        return None
    due = [chain.due for chain in incident.chains if chains.is_running(incident, chain)]
    match incident.state:
        case "triggered":
            # While it is held the plan stands still; its end is looked for even where nothing else is due.
            due.append(incident.step_due if incident.held_until is None else incident.held_until)
        case "acknowledged":
            due += [incident.acknowledge_due, incident.reminder_due]
        case "snoozed":
            due.append(incident.snoozed_until)
    due.append(holds.auto_resolve_due(incident))
    return min((moment for moment in due if moment is not None), default=None)


def _apply_event(draft: Draft, event: Event) -> None:
    match event:
        case Opened():
            alerts.on_opened(draft, event)
        case AlertsChanged():
            alerts.on_alerts_changed(draft, event)
        case Returned():
            alerts.on_returned(draft, event)
        case Act():
            actions.act(draft, event)
        case Sent():
            deliveries.on_sent(draft, event)
        case Failed():
            deliveries.on_failed(draft, event)
        case Skipped():
            deliveries.on_skipped(draft, event)
        case Updated():
            deliveries.on_updated(draft, event)
        case Hold():
            _expire_due(draft, event.heard)
            holds.hold_incident(draft, event)
        case TimerTick():
            holds.expire_hold(draft)
            _expire_due(draft, event.heard)
        case _:
            raise TypeError(f"no such event: {event!r}")


def _expire_due(draft: Draft, heard: float | None) -> None:
    """What is over by itself; the plan goes on in `_advance`."""
    actions.expire_acknowledgement(draft)
    actions.expire_snooze(draft)
    holds.auto_resolve(draft, heard)


def _run_all_due(draft: Draft) -> None:
    """Do everything that is due by now: personal rules first, then the policy's steps, until nothing is."""
    while draft.incident.state != "resolved":
        if chains.run_due_chains(draft):
            continue
        if draft.incident.state != "triggered" or draft.incident.held_until is not None or not steps.run_due_step(draft):
            return
