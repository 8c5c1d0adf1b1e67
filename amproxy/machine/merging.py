"""An incident becomes part of another one, and comes out of it again; its alerts go with it.

An incident that is part of another keeps its groups in the notification log: `merged_into` says who
has their alerts meanwhile. `parts` of that one are the alerts by group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from amproxy.errors import Conflict
from amproxy.machine.alerts import sum_groups
from amproxy.machine.draft import (
    END_PHRASES,
    Draft,
    close_incident,
    set_triggered,
    start_acknowledge_timeout,
    stop_steps,
    trigger_again,
)
from amproxy.machine.events import Absorb, Merge, Regrouped, TakeOut, Unmerge
from amproxy.machine.holds import hold_incident, record_arrivals
from amproxy.machine.steps import begin_policy_anew
from amproxy.model import Incident, MergedGroup
from amproxy.text import IncidentNumber, Moment, Phrase, phrase


def merge(draft: Draft, event: Merge) -> None:
    """Resolve it: it becomes part of another incident."""
    incident = draft.incident
    if event.into == incident.id:
        raise Conflict(Phrase("refusal.merge_itself"))
    incident.merged_into = event.into
    what = phrase(
        "event.merged",
        into=IncidentNumber(event.number),
        by=draft.people(event.user),
        via=event.via,
    )
    close_incident(draft, "merged", what, user=event.user)


def absorb(draft: Draft, event: Absorb) -> None:
    """Add another incident's alerts: this one ends when the alerts of both are resolved."""
    incident = draft.incident
    incident.parts = {**_all_groups(incident), **event.groups}
    sum_groups(draft, list(incident.parts.values()))
    what = phrase(
        "event.absorbed",
        incident=IncidentNumber(event.number),
        title=event.title,
        by=draft.people(event.user),
        via=event.via,
    )
    draft.record(
        "merged",
        what,
        user=event.user,
        number=event.number,
        id=event.id,
        firing=incident.firing,
        resolved=incident.resolved,
    )
    draft.refresh_messages(what)
    record_arrivals(draft, sum(group.firing for group in event.groups.values()))


def unmerge(draft: Draft, event: Unmerge) -> None:
    """Make it an incident of its own again, with those of its groups that the other has.

    What fires is answered as the other is: it is acknowledged by the same person, or snoozed for as
    long. Where nobody has answered the other, its policy begins anew. Raises Conflict where nothing
    of it fires and the other is over.
    """
    incident, root = draft.incident, event.root
    incident.merged_into = ""
    _take_groups(draft, event.groups)
    if root.state == "resolved" and not incident.firing:
        numbers = {"number": str(incident.number), "other": str(root.number)}
        raise Conflict(Phrase("refusal.over_with_other", numbers))
    what = phrase(
        "event.unmerged",
        root=IncidentNumber(root.number),
        by=draft.people(event.user),
        via=event.via,
    )
    facts = _facts(incident, root.number)
    if not incident.firing and incident.group:
        draft.record("unmerged", what, user=event.user, **facts)
        close_incident(draft, "source", phrase("event.resolved", reason=END_PHRASES["source"]))
        return
    begin_policy_anew(draft)
    until = root.snoozed_until or 0.0
    if root.state == "acknowledged" or (root.state == "snoozed" and until > draft.now):
        set_triggered(draft)
        stop_steps(draft)
        draft.record("unmerged", what, user=event.user, **facts)
        _answer_as(draft, root)
        return
    trigger_again(draft, "unmerged", what, event.user, **facts)
    record_arrivals(draft, incident.firing)
    if event.hold is not None:
        hold_incident(draft, event.hold)


class GroupDivision(NamedTuple):
    """The groups that two incidents have once one was taken out of the other, by Group.id."""

    taken: dict[str, MergedGroup]  # of the one that is its own again
    left: frozenset[str]  # of the other one


def divide_groups(
    incident: Incident,
    root: Incident,
    named: Mapping[str, Iterable[str]],
    lines: Mapping[str, Sequence[str]],
) -> GroupDivision:
    """Divide the groups of an incident between it and one that was merged into it.

    incident: the latter. named: Group.id → the incidents that its log names: those that it opened.
    lines: id → it, what it was merged into, what this was merged into, and so on. A group
    of two incidents, which two integrations of its receiver opened, is of both; one whose log names
    neither, because it opened another incident since, stays where it is. Of one without a log, long
    over, the incident knows whether it had it.
    """
    taken, left = dict[str, MergedGroup](), set[str]()
    had = incident_groups(incident)
    for group, part in root.parts.items():
        if not named.get(group):
            if group in had:
                taken[group] = part
            else:
                left.add(group)
            continue
        of_root = [line for name in named[group] if root.id in (line := lines[name])]
        if any(incident.id in line for line in of_root):
            taken[group] = part
        if any(incident.id not in line for line in of_root) or group not in taken:
            left.add(group)
    return GroupDivision(taken, frozenset(left))


def _take_groups(draft: Draft, groups: dict[str, MergedGroup]) -> None:
    """Have these groups of an incident that it was merged into, and no others."""
    incident = draft.incident
    if not incident.group:
        groups = {"": MergedGroup(), **groups}
    incident.parts = {} if groups.keys() <= {incident.group} else groups
    sum_groups(draft, list(groups.values()) or [_ended(incident)])


def _ended(incident: Incident) -> MergedGroup:
    """An incident's own alerts, none of which fires any more."""
    return MergedGroup(
        resolved=incident.firing + incident.resolved,
        common_labels=incident.common_labels,
        common_annotations=incident.common_annotations,
    )


def _facts(incident: Incident, other: int) -> dict[str, Any]:
    """Facts of an entry of the timeline, for programs. other: number of the other incident."""
    return {"number": other, "firing": incident.firing, "resolved": incident.resolved}


def _answer_as(draft: Draft, root: Incident) -> None:
    """Acknowledge it, or snooze it, as the incident is that it was part of."""
    incident, this = draft.incident, IncidentNumber(root.number)
    if root.state == "acknowledged":
        # Its alerts were answered then, but not before they fired.
        at = max(root.acknowledged_at or draft.now, incident.started_at)
        incident.state = "acknowledged"
        incident.acknowledged_by, incident.acknowledged_at = root.acknowledged_by, at
        if incident.first_acknowledged_at is None:
            incident.first_acknowledged_by = root.acknowledged_by
            incident.first_acknowledged_at = at
        start_acknowledge_timeout(draft)
        person = draft.people(root.acknowledged_by)
        what = phrase("event.acknowledged_with", person=person, root=this)
        draft.record("acknowledged", what, user=root.acknowledged_by)
    else:
        until = root.snoozed_until or draft.now
        incident.state, incident.snoozed_by, incident.snoozed_until = (
            "snoozed",
            root.snoozed_by,
            until,
        )
        person = draft.people(root.snoozed_by)
        what = phrase("event.snoozed_with", person=person, root=this, until=Moment(until))
        draft.record("snoozed", what, user=root.snoozed_by, until=until)
    draft.refresh_messages(what)


def take_out(draft: Draft, event: TakeOut) -> None:
    """Lose the groups of an incident that was merged into this; it ends where nothing else fires.

    One opened by hand does not end by that.
    """
    incident, fired = draft.incident, draft.incident.firing
    others = _all_groups(incident).items()  # its own too, where it has no other left
    stay = {group: alerts for group, alerts in others if group not in event.groups}
    incident.parts = {} if stay.keys() <= {incident.group} else stay
    sum_groups(draft, list(stay.values()) or [_ended(incident)])
    incident.gravest = incident.severity  # that of what left is none of its own
    what = phrase(
        "event.taken_out",
        incident=IncidentNumber(event.number),
        title=event.title,
        by=draft.people(event.user),
        via=event.via,
    )
    draft.record("taken_out", what, user=event.user, **_facts(incident, event.number))
    over = fired and not incident.firing and incident.group and incident.state != "resolved"
    if over:
        close_incident(draft, "source", phrase("event.resolved", reason=END_PHRASES["source"]))
    else:
        draft.refresh_messages(what)


def regroup(draft: Draft, event: Regrouped) -> None:
    """Let the incident go with its alerts to other groups; who has answered it stays."""
    incident, only = draft.incident, event.only
    if only is not None and not incident.parts:
        incident.group, incident.group_key = only.id, only.key
        incident.group_labels = only.labels
    else:
        others = _all_groups(incident).items()
        stay = {group: alerts for group, alerts in others if group != event.left}
        incident.parts = {**stay, **event.groups}
    draft.record("regrouped", phrase("event.regrouped"))


def incident_groups(incident: Incident) -> dict[str, MergedGroup]:
    """The groups (Group.id → alerts) that an incident brings along when it is merged."""
    return {group: alerts for group, alerts in _all_groups(incident).items() if group}


def _all_groups(incident: Incident) -> dict[str, MergedGroup]:
    """Its own group, "" for one opened by hand, and those of incidents merged into it."""
    own = MergedGroup(
        firing=incident.firing,
        resolved=incident.resolved,
        common_labels=incident.common_labels,
        common_annotations=incident.common_annotations,
        severity=incident.severity,
    )
    return incident.parts or {incident.group: own}
