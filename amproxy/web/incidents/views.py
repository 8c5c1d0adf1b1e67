"""Incidents, their alerts, timelines and pages as the API shows them. Pure.

Times are RFC 3339 in UTC; missing values are null; people are named by their `name`. Addresses of
contacts are left out: some of them are secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec

from amproxy.clock import Timestamp, rfc3339
from amproxy.config.structs import Urgency
from amproxy.model import (
    Alert,
    Incident,
    IncidentState,
    Page,
    PageKind,
    PageState,
    TimelineEntry,
    current_annotations,
)
from amproxy.notify.compose import alert_picture
from amproxy.notify.grafana import embedded_picture, read_values
from amproxy.oncall.roster import Roster
from amproxy.text import Phrase, Words
from amproxy.text.render import PhraseRenderer, arguments_of, code_of, english, in_english
from amproxy.web.incidents.forecast import (
    FindHold,
    UpcomingIncidentStep,
    find_next_step,
    never_held,
)


class NextStepView(msgspec.Struct, kw_only=True):
    at: Timestamp | None
    what: str
    code: str | None
    arguments: dict[str, Any] | None


class ReasonView(msgspec.Struct, kw_only=True, gc=False):
    """A reason for programs; null where an earlier version stored its text alone."""

    code: str | None
    arguments: dict[str, Any] | None


# gc=False: an answer has thousands of them, and they hold no cycles.
class AlertView(msgspec.Struct, kw_only=True, gc=False):
    fingerprint: str
    state: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: Timestamp
    ends_at: Timestamp | None
    generator_url: str | None
    source: str | None
    extra: dict[str, Any]  # as the sender has it
    values: dict[str, str]  # of Grafana's rule, by name, as people see them
    picture: str | None
    muted_by: list[str]
    muted_by_codes: list[ReasonView]


class AlertCountsView(msgspec.Struct, kw_only=True):
    firing: int
    resolved: int


class AlertsView(AlertCountsView, kw_only=True):
    alerts: list[AlertView] = msgspec.field(name="list")


class TimelineEntryView(msgspec.Struct, kw_only=True, gc=False):
    at: Timestamp
    kind: str
    text: str
    code: str | None  # null where an earlier version stored the text alone
    arguments: dict[str, Any] | None
    user: str | None
    channel: str | None
    policy: str | None
    step: int | None


class PageView(msgspec.Struct, kw_only=True):
    id: str
    kind: PageKind
    user: str | None
    receiver: str | None
    channel: str
    policy: str
    step: int
    round: int
    reason: str
    reason_code: str | None
    reason_arguments: dict[str, Any] | None
    state: PageState
    due: Timestamp
    sent_at: Timestamp | None
    attempts: int
    error: str | None
    error_code: str | None
    error_arguments: dict[str, Any] | None


AnyAlerts = TypeVar("AnyAlerts", bound=AlertCountsView)


class _AnyIncidentView(msgspec.Struct, Generic[AnyAlerts], kw_only=True):
    id: str
    number: int
    state: IncidentState
    title: str
    receiver: str | None
    policy: str
    team: str | None
    urgency: Urgency | None
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    alerts: AnyAlerts
    started_at: Timestamp
    acknowledged_by: str | None
    acknowledged_at: Timestamp | None
    snoozed_by: str | None
    snoozed_until: Timestamp | None
    resolved_by: str | None
    resolved_at: Timestamp | None
    quiet_until: Timestamp | None
    merged_into: str | None
    responders: list[str]
    held_by: str | None
    held_by_code: str | None
    held_by_arguments: dict[str, Any] | None
    next_step: NextStepView | None
    url: str


class IncidentView(_AnyIncidentView[AlertCountsView], kw_only=True):
    pass


class WholeIncidentView(_AnyIncidentView[AlertsView], kw_only=True):
    text: str
    common_annotations: dict[str, str]
    timeline: list[TimelineEntryView]
    pages: list[PageView]


def incident_view(
    value: Incident,
    roster: Roster,
    external_url: str,
    turns: Mapping[str, int] | None = None,
    hold: FindHold = never_held,
) -> IncidentView:
    """One incident as lists have it. turns and hold: as find_next_step's."""
    words = english(roster.config.full_name)
    return IncidentView(
        id=value.id,
        number=value.number,
        state=value.state,
        title=value.title,
        receiver=value.receiver or None,
        policy=value.policy,
        team=value.team or None,
        urgency=value.urgency,
        group_labels=value.group_labels,
        common_labels=value.common_labels,
        alerts=AlertCountsView(firing=value.firing, resolved=value.resolved),
        started_at=rfc3339(value.started_at),
        acknowledged_by=value.acknowledged_by or None,
        acknowledged_at=rfc3339(value.acknowledged_at),
        snoozed_by=value.snoozed_by or None,
        snoozed_until=rfc3339(value.snoozed_until if value.state == "snoozed" else None),
        resolved_by=value.resolved_by or None,
        resolved_at=rfc3339(value.resolved_at),
        quiet_until=rfc3339(value.quiet_until),
        merged_into=value.merged_into or None,
        responders=value.responders,
        held_by=words.text(value.held_by) or None,
        held_by_code=code_of(value.held_by),
        held_by_arguments=arguments_of(value.held_by),
        next_step=_next_step_view(find_next_step(value, roster, turns, hold)),
        url=f"{external_url}/incidents/{value.id}",
    )


def whole_incident_view(
    value: Incident,
    alerts: list[Alert],
    timeline: list[TimelineEntry],
    muted: Mapping[str, list[Phrase]],
    *,
    roster: Roster,
    turns: Mapping[str, int],
    hold: FindHold,
    external_url: str,
    now: float,
) -> WholeIncidentView:
    """One incident with its alerts, timeline and pages.

    muted: fingerprint of an alert → the reasons that mute it now; now: Unix seconds.
    """
    words = english(roster.config.full_name)
    listed = msgspec.structs.asdict(incident_view(value, roster, external_url, turns, hold))
    listed["alerts"] = AlertsView(
        firing=value.firing,
        resolved=value.resolved,
        alerts=[
            _alert_view(one, muted.get(one.fingerprint, []), words, now, external_url)
            for one in alerts
        ],
    )
    return WholeIncidentView(
        **listed,
        text=value.text,
        common_annotations=current_annotations(value, alerts, now),
        timeline=[_timeline_entry_view(entry, words) for entry in timeline],
        pages=[page_view(one, words) for one in value.pages],
    )


def _next_step_view(value: UpcomingIncidentStep | None) -> NextStepView | None:
    if value is None:
        return None
    return NextStepView(
        at=rfc3339(value.at),
        what=in_english(value.what),  # people by their names, as in all else
        code=code_of(value.what),
        arguments=arguments_of(value.what),
    )


def reason_view(reason: Words) -> ReasonView:
    return ReasonView(code=code_of(reason), arguments=arguments_of(reason))


def _kept_picture(alert: Alert, external_url: str) -> str | None:
    digest = embedded_picture(alert)
    return f"{external_url}/pictures/{digest}" if digest else None


def _alert_view(
    value: Alert, muted_by: list[Phrase], words: PhraseRenderer, now: float, external_url: str
) -> AlertView:
    """One alert; it fires or not as of now (Unix seconds)."""
    resolved = value.resolved(int(now * 10**9))
    ended = [end for end in (value.ends_ns, value.lapses_ns) if end]
    return AlertView(
        fingerprint=value.fingerprint,
        state="resolved" if resolved else "firing",
        labels=value.labels,
        annotations=value.annotations,
        starts_at=rfc3339(value.starts_ns / 10**9),
        ends_at=rfc3339(min(ended) / 10**9) if resolved else None,
        generator_url=value.generator_url or None,
        source=value.source or None,
        extra=value.extra,
        values=dict(read_values(value)),
        picture=alert_picture(value) or _kept_picture(value, external_url),
        muted_by=[words.text(reason) for reason in muted_by],
        muted_by_codes=[reason_view(reason) for reason in muted_by],
    )


def page_view(value: Page, words: PhraseRenderer) -> PageView:
    return PageView(
        id=value.id,
        kind=value.kind,
        user=value.user or None,
        receiver=value.receiver or None,
        channel=value.channel,
        policy=value.policy,
        step=value.step,
        round=value.round,
        reason=words.text(value.reason),
        reason_code=code_of(value.reason),
        reason_arguments=arguments_of(value.reason),
        state=value.state,
        due=rfc3339(value.due),
        sent_at=rfc3339(value.sent_at),
        attempts=value.attempts,
        error=words.text(value.error) or None,
        error_code=code_of(value.error),
        error_arguments=arguments_of(value.error),
    )


def _timeline_entry_view(value: TimelineEntry, words: PhraseRenderer) -> TimelineEntryView:
    return TimelineEntryView(
        at=rfc3339(value.at),
        kind=value.kind,
        text=words.text(value.words),
        code=code_of(value.what),
        arguments=arguments_of(value.what),
        user=value.user or None,
        channel=value.channel or None,
        policy=value.policy or None,
        step=value.step or None,
    )
