"""Incidents, pages and shifts as the API shows them: plain dicts for JSON. Pure.

Times are RFC 3339 in UTC; missing values are null; people are named by their `name`. Addresses of
contacts are left out: some of them are secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from amproxy.clock import rfc3339
from amproxy.config.structs import Override, Schedule
from amproxy.model import Alert, Incident, Page, TimelineEntry
from amproxy.oncall.roster import OnCall, Roster, Shift
from amproxy.text import DEFAULT_LANGUAGE, load_texts, render_phrase
from amproxy.times import local_to_utc
from amproxy.web.http.response import View
from amproxy.web.incidents.forecast import FindHold, UpcomingIncidentStep, find_next_step


def incident_view(
    value: Incident,
    roster: Roster,
    external_url: str,
    turns: Mapping[str, int] | None = None,
    hold: FindHold | None = None,
) -> View:
    """One incident as lists have it. turns and hold: as find_next_step's."""
    return {
        "id": value.id,
        "number": value.number,
        "state": value.state,
        "title": value.title,
        "receiver": value.receiver or None,
        "policy": value.policy,
        "team": value.team or None,
        "urgency": value.urgency,
        "group_labels": value.group_labels,
        "common_labels": value.common_labels,
        "alerts": {"firing": value.firing, "resolved": value.resolved},
        "started_at": rfc3339(value.started_at),
        "acknowledged_by": value.acknowledged_by or None,
        "acknowledged_at": rfc3339(value.acknowledged_at),
        "snoozed_by": value.snoozed_by or None,
        "snoozed_until": rfc3339(value.snoozed_until),
        "resolved_by": value.resolved_by or None,
        "resolved_at": rfc3339(value.resolved_at),
        "merged_into": value.merged_into or None,
        "responders": value.responders,
        "held_by": value.held_by or None,
        "next_step": upcoming_view(find_next_step(value, roster, turns, hold)),
        "url": f"{external_url}/incidents/{value.id}",
    }


def incident_detail_view(
    value: Incident,
    alerts: list[Alert],
    timeline: list[TimelineEntry],
    muted: Mapping[str, list[str]],
    *,
    roster: Roster,
    turns: Mapping[str, int],
    hold: FindHold,
    external_url: str,
    now: float,
) -> View:
    """One incident with its alerts, timeline and pages.

    muted: fingerprint of an alert → the reasons that mute it now; now: Unix seconds.
    """
    view = incident_view(value, roster, external_url, turns, hold)
    view["text"] = value.text
    view["common_annotations"] = value.common_annotations
    view["alerts"] |= {
        "list": [
            alert_view(one, now) | {"muted_by": muted.get(one.fingerprint, [])} for one in alerts
        ]
    }
    view["timeline"] = [timeline_entry_view(entry) for entry in timeline]
    view["pages"] = [page_view(one) for one in value.pages]
    return view


def upcoming_view(value: UpcomingIncidentStep | None) -> View | None:
    return value and {
        "at": rfc3339(value.at),
        "what": render_phrase(value.what, load_texts(DEFAULT_LANGUAGE)),
    }


def alert_view(value: Alert, now: float) -> View:
    """One alert; it fires or not as of now (Unix seconds)."""
    resolved = value.resolved(int(now * 10**9))
    ended = [end for end in (value.ends_ns, value.lapses_ns) if end]
    return {
        "fingerprint": value.fingerprint,
        "state": "resolved" if resolved else "firing",
        "labels": value.labels,
        "annotations": value.annotations,
        "starts_at": rfc3339(value.starts_ns / 10**9),
        "ends_at": rfc3339(min(ended) / 10**9) if resolved else None,
        "generator_url": value.generator_url or None,
        "source": value.source or None,
        "extra": value.extra,
    }


def page_view(value: Page) -> View:
    return {
        "id": value.id,
        "kind": value.kind,
        "user": value.user or None,
        "receiver": value.receiver or None,
        "channel": value.channel,
        "policy": value.policy,
        "step": value.step,
        "round": value.round,
        "reason": value.reason,
        "state": value.state,
        "due": rfc3339(value.due),
        "sent_at": rfc3339(value.sent_at),
        "attempts": value.attempts,
        "error": value.error or None,
    }


def timeline_entry_view(value: TimelineEntry) -> View:
    return {
        "at": rfc3339(value.at),
        "kind": value.kind,
        "text": value.text,
        "user": value.user or None,
        "channel": value.channel or None,
        "policy": value.policy or None,
        "step": value.step or None,
    }


def on_call_view(value: OnCall) -> View:
    return {
        "schedule": value.schedule,
        "at": rfc3339(value.at.timestamp()),
        "users": value.users,
        "until": value.until and rfc3339(value.until.timestamp()),
        "next": value.next,
        "reason": value.reason,
    }


def planned_shift_view(value: Shift) -> View:
    """One planned shift; the API of shifts has those that are final."""
    return {
        "start": rfc3339(value.start.timestamp()),
        "end": rfc3339(value.end.timestamp()),
        "users": value.users,
        "reason": value.reason,
        "layer": value.layer or None,
        "override": value.override or None,
    }


def override_view(value: Override, schedule: Schedule) -> View:
    """One override of a schedule; `id` is null for one of the file."""
    zone = ZoneInfo(schedule.timezone)
    return {
        "id": value.id or None,
        "schedule": schedule.name,
        "user": value.users[0],
        "start": rfc3339(local_to_utc(value.start, zone).timestamp()),
        "end": rfc3339(local_to_utc(value.end, zone).timestamp()),
        "reason": value.reason or None,
    }
