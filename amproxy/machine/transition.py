"""`transition`, the reducer: it applies an event and then runs all that is due."""

from __future__ import annotations

from msgspec.structs import replace

from amproxy.machine import actions, alerts, chains, deliveries, holds, merging, steps
from amproxy.machine.draft import Draft
from amproxy.machine.events import (
    Act,
    AlertsChanged,
    Event,
    Failed,
    Hold,
    Opened,
    Regrouped,
    Renamed,
    Returned,
    Sent,
    Skipped,
    TimerTick,
    Updated,
)
from amproxy.machine.lost_names import follow_rename
from amproxy.model import Change, Incident
from amproxy.oncall.roster import Roster
from amproxy.text import PhraseValue, phrase


def transition(
    incident: Incident,
    event: Event,
    now: float,
    roster: Roster,
    turns: dict[str, int] | None = None,
) -> Change:
    """Apply one event to an incident and return the Change to commit.

    incident: as stored (version 0 = new); it is not changed. now: Unix seconds. turns: round-robin
    pointers as stored. Raises Conflict when the state forbids a person's action.
    """
    draft = Draft(
        incident=_copy_incident(incident), now=now, roster=roster, turns=dict(turns or {})
    )
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
        page=event.page if isinstance(event, Sent | Failed | Skipped) else "",
        via=event.via if isinstance(event, Act) else "",
    )


def _copy_incident(incident: Incident) -> Incident:
    """A copy that a draft may change.

    Pages and chains are changed in place; all other values are replaced, and may be shared.
    """
    return replace(
        incident,
        pages=[replace(page) for page in incident.pages],
        chains=[replace(chain) for chain in incident.chains],
    )


def next_due(incident: Incident) -> float | None:
    """The time (Unix seconds) at which time alone changes the incident next; None = never."""
    due = (next_due_with_news(incident), holds.auto_resolve_due(incident))
    return min((at for at in due if at is not None), default=None)


def next_due_with_news(incident: Incident) -> float | None:
    """The same while there is always news of its alerts, so that silence never resolves it."""
    if incident.state == "resolved":
        return None
    due = [chain.due for chain in incident.chains if chains.is_running(incident, chain)]
    match incident.state:
        case "triggered":
            # A hold delays the policy, and needs a timer for its end even where no step is due.
            due.append(incident.step_due if incident.held_until is None else incident.held_until)
        case "acknowledged":
            due += [incident.acknowledge_due, incident.reminder_due]
        case "snoozed":
            due.append(incident.snoozed_until)
    return min((at for at in due if at is not None), default=None)


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
        case Regrouped():
            merging.regroup(draft, event)
        case Renamed():
            _follow_rename(draft, event)
        case Hold():
            _expire_due(draft, event.pushed_at)
            holds.hold_incident(draft, event)
        case TimerTick():
            holds.expire_hold(draft)
            _expire_due(draft, event.pushed_at)
        case _:
            raise TypeError(f"no such event: {event!r}")


def _follow_rename(draft: Draft, event: Renamed) -> None:
    follow_rename(draft.incident, event.section, event.old, event.new)
    values: dict[str, PhraseValue] = {"old": event.old, "new": event.new}
    what = phrase("event.renamed_policy", **values)
    if event.section == "schedules":
        what = phrase("event.renamed_schedule", **values)
    draft.record("renamed", what)


def _expire_due(draft: Draft, pushed_at: float | None) -> None:
    """End what is over by itself; steps and rules that are due then run in `_run_all_due`."""
    actions.expire_acknowledgement(draft)
    actions.expire_snooze(draft)
    holds.auto_resolve(draft, pushed_at)


def _run_all_due(draft: Draft) -> None:
    """Run all personal rules and steps that are due by now, until none is.

    Rules come first: they belong to an earlier step, and may end the wait for an answer.
    """
    while draft.incident.state != "resolved":
        if steps.replace_gone_people(draft) or chains.run_due_chains(draft):
            continue
        if (
            draft.incident.state != "triggered"
            or draft.incident.held_until is not None
            or not steps.run_due_step(draft)
        ):
            return
