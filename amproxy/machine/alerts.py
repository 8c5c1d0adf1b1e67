"""Events from alerts: they open an incident, change it, resolve it, or open it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from amproxy.labels.matchers import parse_matcher
from amproxy.labels.severity import gravest, severity_of, severity_rank
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
from amproxy.model import AlertRepair, Incident, MergedGroup, NotificationReason, common_pairs
from amproxy.text import Length, Moment, Phrase, PhraseValue, phrase

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
    incident.heard_at, incident.gravest = draft.now, incident.severity
    record_arrivals(draft, incident.firing)
    what = phrase("event.opened", reason=event.reason, policy=incident.policy)
    if incident.receiver:
        what = phrase("event.opened_for", receiver=incident.receiver, **what.values)
    draft.record("opened", what, user=event.by, **_facts(incident))
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
    why = phrase("news.unnamed") if event.unnamed else NEWS_PHRASES[event.reason]
    what = phrase("event.alerts", reason=why, **news.values)
    if event.fresh:
        what = phrase("event.alerts_new", fresh=event.fresh, **what.values)
    joined: dict[str, Any] = {"joined": event.joined} if event.joined else {}
    draft.record("alerts", what, **_facts(incident), fresh=event.fresh, **joined)
    if event.reopens is not None and _needs_anew(incident):
        _page_anew(draft, event.reopens)
    else:
        draft.refresh_messages(news)
    if event.fresh:
        release_hold(draft, phrase("hold.new_alerts"))
        record_arrivals(draft, event.fresh)


def find_joined(
    incident: Incident, fresh: Iterable[Mapping[str, str]]
) -> tuple[Phrase | None, dict[str, str]]:
    """The reason by `reopen_on` to page anew for new alerts (None = there is none), and labels.

    The labels are those of the alert that is the reason, or that is graver than all others ({} =
    none is). fresh: the labels of each new alert.
    """
    plan, gravest_of_all, known = incident.plan, dict[str, str](), incident.gravest
    matchers = [parse_matcher(text) for text in plan.reopen_matchers]
    for labels in fresh:
        if plan.reopen_on == "matchers" and all(one.matches(labels) for one in matchers):
            selected = ", ".join(plan.reopen_matchers)
            return phrase("joined.selected", matchers=selected), dict(labels)
        if severity_rank(severity_of(labels)) > severity_rank(known):
            gravest_of_all, known = dict(labels), severity_of(labels)
        if plan.reopen_on == "new_alerts" and not gravest_of_all:
            gravest_of_all = dict(labels)
    if plan.reopen_on == "new_alerts" and gravest_of_all:
        return phrase("joined.new"), gravest_of_all
    if plan.reopen_on == "severity" and gravest_of_all:
        severity: PhraseValue = known or phrase("joined.no_severity")
        return phrase("joined.graver", severity=severity), gravest_of_all
    return None, gravest_of_all


def _needs_anew(incident: Incident) -> bool:
    """True where nobody would be paged for a new alert: it is answered, or its policy is over."""
    if incident.state != "triggered":
        return True
    waits = incident.step_due is not None or incident.waiting or incident.held_until is not None
    return not waits and all(chain.due is None for chain in incident.chains)


def _page_anew(draft: Draft, why: Phrase) -> None:
    incident, what = draft.incident, phrase("event.paged_for_joined", why=why)
    trigger_again(draft, "reopened", what, "", **_facts(incident))
    incident.joined, incident.joined_at = why, draft.now


def on_returned(draft: Draft, event: Returned) -> None:
    """Open it again; while it is flapping its policy is delayed."""
    incident, alerts = draft.incident, event.alerts
    _update_counts(draft, alerts)
    after = Length(max(1, round(draft.now - (incident.resolved_at or draft.now))))
    begin_policy_anew(draft)
    what = phrase("event.returned", after=after)
    snoozed_by, snoozed_until = incident.snoozed_by, incident.snoozed_until
    trigger_again(draft, "reopened", what, "", **_facts(incident))
    _note_repairs(draft, alerts.repairs)
    record_arrivals(draft, alerts.fresh)
    _dampen_flapping(draft)
    if snoozed_until is not None and snoozed_until > draft.now:
        _snooze_on(draft, snoozed_by, snoozed_until)


def _facts(incident: Incident) -> dict[str, Any]:
    """Facts of an entry of the timeline, for programs: the counts, and how grave it is."""
    severity = {"severity": incident.severity} if incident.severity else {}
    return {"firing": incident.firing, "resolved": incident.resolved, **severity}


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
        severity=event.severity,
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
    incident.severity = gravest(group.severity for group in shown)
    incident.gravest = gravest((incident.gravest or incident.severity, incident.severity))
