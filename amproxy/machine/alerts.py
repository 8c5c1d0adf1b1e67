"""Events from alerts: they open an incident, change it, resolve it, or open it again."""

from __future__ import annotations

from typing import Final

from amproxy.machine.draft import (
    END_PHRASES,
    Draft,
    clear_wait,
    close_incident,
    restart_steps,
    set_wait,
    trigger_again,
)
from amproxy.machine.events import AlertsChanged, Opened, Returned
from amproxy.machine.holds import record_arrivals, release_hold
from amproxy.machine.steps import begin_policy, begin_policy_anew
from amproxy.model import AlertRepair, MergedGroup, NotificationReason, common_pairs
from amproxy.text import Length, Moment, Phrase, phrase

NEWS_PHRASES: Final[dict[NotificationReason, Phrase]] = {
    "first notification": phrase("news.first"),
    "new alerts added": phrase("news.added"),
    "some alerts resolved": phrase("news.some_resolved"),
    "all alerts resolved": phrase("news.all_resolved"),
    "repeat interval elapsed": phrase("news.repeated"),
}


def on_opened(draft: Draft, event: Opened) -> None:
    incident = draft.incident
    begin_policy(draft, incident.plan)
    incident.heard_at = draft.now
    record_arrivals(draft, incident.firing)
    what = phrase("event.opened", reason=event.reason, policy=incident.policy)
    if incident.receiver:
        what = phrase("event.opened_for", receiver=incident.receiver, **what.values)
    draft.record("opened", what, user=event.by, firing=incident.firing, resolved=incident.resolved)
    _note_repairs(draft, event.repairs)
    restart_steps(draft)


def on_alerts_changed(draft: Draft, event: AlertsChanged) -> None:
    """Update counts and messages; resolve the incident when nothing fires any more."""
    incident = draft.incident
    _update_counts(draft, event)
    # A repeated notification is no news: only amproxy's own clock caused it.
    if incident.state == "resolved" or event.reason == "repeat interval elapsed":
        return
    incident.heard_at = draft.now
    _note_repairs(draft, event.repairs)
    # The group "" is of an incident opened by hand, which the end of merged alerts does not end.
    if not incident.firing and "" not in incident.parts:
        what = phrase("event.resolved", reason=END_PHRASES[event.ended_by])
        close_incident(draft, event.ended_by, what)
        return
    news = phrase("event.counts", firing=incident.firing, resolved=incident.resolved)
    why = NEWS_PHRASES[event.reason]
    what = phrase("event.alerts", reason=why, **news.values)
    if event.fresh:
        what = phrase("event.alerts_new", fresh=event.fresh, **what.values)
    draft.record(
        "alerts",
        what,
        firing=incident.firing,
        resolved=incident.resolved,
        fresh=event.fresh,
    )
    draft.refresh_messages(news)
    if event.fresh:
        release_hold(draft, phrase("hold.new_alerts"))
        record_arrivals(draft, event.fresh)


def on_returned(draft: Draft, event: Returned) -> None:
    """Open it again; while it is flapping its policy is delayed."""
    incident, alerts = draft.incident, event.alerts
    _update_counts(draft, alerts)
    after = Length(max(1, round(draft.now - (incident.resolved_at or draft.now))))
    begin_policy_anew(draft)
    what = phrase("event.returned", after=after)
    snoozed_by, snoozed_until = incident.snoozed_by, incident.snoozed_until
    trigger_again(draft, "reopened", what, "", firing=incident.firing, resolved=incident.resolved)
    _note_repairs(draft, alerts.repairs)
    record_arrivals(draft, alerts.fresh)
    _dampen_flapping(draft)
    if snoozed_until is not None and snoozed_until > draft.now:
        _snooze_on(draft, snoozed_by, snoozed_until)


def _snooze_on(draft: Draft, by: str, until: float) -> None:
    """Let a snooze go on that the end of the alerts had cut short."""
    incident = draft.incident
    clear_wait(draft)
    incident.state, incident.snoozed_by, incident.snoozed_until = "snoozed", by, until
    what = phrase("event.snooze_goes_on", by=draft.people(by), until=Moment(until))
    draft.record("snoozed", what, user=by, until=until)
    draft.refresh_messages(what)


def _note_repairs(draft: Draft, repairs: tuple[AlertRepair, ...]) -> None:
    """Tell what was odd in the alerts as they came: somebody may want to mend their sender."""
    if repairs:
        told = tuple(
            phrase(f"repair.{one.code}", field=one.field, given=one.given) for one in repairs
        )
        draft.record("repaired", phrase("event.repaired", repairs=told))


def _dampen_flapping(draft: Draft) -> None:
    """Begin the policy only if the alerts go on firing, where they came back too often."""
    incident, flapping = draft.incident, draft.incident.plan.flapping
    if flapping is None:
        return
    recent = [at for at in incident.returns if at > draft.now - flapping.within]
    incident.returns = [*recent, draft.now]
    times = len(incident.returns)
    if times > flapping.more_than:
        hold, within = Length(flapping.hold), Length(flapping.within)
        waiting_for = phrase("wait.flapping", hold=hold)
        set_wait(draft, "flapping", draft.now + flapping.hold, waiting_for)
        draft.record("flapping", phrase("event.flapping", n=times, within=within, hold=hold))


def _update_counts(draft: Draft, event: AlertsChanged) -> None:
    """Replace the counts and labels of the event's group.

    An incident that others were merged into adds up all of its groups.
    """
    incident = draft.incident
    group = MergedGroup(
        firing=event.firing,
        resolved=event.resolved,
        common_labels=event.common_labels,
        common_annotations=event.common_annotations,
    )
    if incident.parts:
        incident.parts = {**incident.parts, event.group: group}
    sum_groups(draft, list(incident.parts.values()) or [group])


def sum_groups(draft: Draft, groups: list[MergedGroup]) -> None:
    """Set the counts, and the labels and annotations that all groups with firing alerts share."""
    incident = draft.incident
    incident.firing = sum(group.firing for group in groups)
    incident.resolved = sum(group.resolved for group in groups)
    shown = [group for group in groups if group.firing] or groups
    incident.common_labels = common_pairs(group.common_labels for group in shown)
    incident.common_annotations = common_pairs(group.common_annotations for group in shown)
