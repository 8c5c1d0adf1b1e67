"""Alerts that a silence or window would hide now, and the records of those that it has hidden."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

import msgspec

from amproxy import offload
from amproxy.clock import Timestamp, rfc3339
from amproxy.context import Context
from amproxy.grouping.rights import Principal, hiding_refusal, mute_refusal
from amproxy.labels.matchers import BadMatcher, LabelsTest, Matcher, all_match, parse_matchers
from amproxy.model import (
    MAX_SUPPRESSED,
    Alert,
    Incident,
    IncidentState,
    LoadedGroup,
    SuppressedAlertRecord,
)
from amproxy.store import incidents, muting
from amproxy.store.groups import load_groups
from amproxy.text import Phrase
from amproxy.text.problems import matcher_fault
from amproxy.web.http.permissions import HasScope, principal_of, require
from amproxy.web.http.request import invalid

MAX_PREVIEWED_ALERTS = 500
MAX_SEARCHED_INCIDENTS = 500  # of the open incidents, the newest ones
MAX_MATCHER_LENGTH = 4000  # characters

# Any of the sets is enough; all matchers of a set must hold.
MatcherSets = Sequence[Sequence[Matcher]]


class FiringSnapshot(NamedTuple):
    """Every alert that fires now, once."""

    alerts: dict[str, Alert]  # by fingerprint
    groups: list[LoadedGroup]

    def matching(self, sets: MatcherSets) -> set[str]:
        """Fingerprints of the alerts that a silence with these matchers hides."""
        return {
            fingerprint
            for fingerprint, alert in self.alerts.items()
            if any(all_match(matchers, alert.labels) for matchers in sets)
        }

    def count(self, test: LabelsTest) -> int:
        """The number of alerts whose labels pass a test."""
        return sum(test(alert.labels) for alert in self.alerts.values())

    async def scrap(self) -> None:
        """Give back what it holds."""
        lists = [loaded.alerts for loaded in self.groups]
        await offload.scrap(*lists, *(loaded.revisions for loaded in self.groups), self.alerts)


class AffectedIncident(NamedTuple):
    """An open incident, some of whose alerts would be hidden."""

    incident: Incident
    hidden: int
    firing: int  # alerts of its groups; when all are hidden it no longer pages


class MutePreview(NamedTuple):
    """Alerts and incidents that a silence or window with certain matchers hides now."""

    hidden: int  # alerts
    alerts: list[Alert]  # the newest MAX_PREVIEWED_ALERTS of them, newest first
    receivers: dict[str, list[str]]  # fingerprint of `alerts` → receivers that are not notified
    incidents: list[AffectedIncident]
    firing: int  # alerts that fire at all


class HiddenAlertRow(NamedTuple):
    """The record of an alert that was hidden."""

    hidden: SuppressedAlertRecord
    firing: bool  # now


class PreviewAlertView(msgspec.Struct, kw_only=True):
    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: Timestamp
    receivers: list[str]


class PreviewIncidentView(msgspec.Struct, kw_only=True):
    id: str
    number: int
    title: str
    state: IncidentState
    hidden: int
    firing: int


class SilencePreviewView(msgspec.Struct, kw_only=True):
    count: int
    alerts: list[PreviewAlertView]
    incidents: list[PreviewIncidentView]


class HiddenAlertView(msgspec.Struct, kw_only=True):
    fingerprint: str
    labels: dict[str, str]
    receiver: str
    group: str
    first_hidden: Timestamp
    last_hidden: Timestamp
    firing: bool
    told_at: Timestamp | None


class HiddenView(msgspec.Struct, kw_only=True):
    alerts: list[HiddenAlertView]
    count: int
    complete: bool


class MuteRights(NamedTuple):
    """The reasons why somebody may not use a silence or window, None = they may."""

    end: Phrase | None
    extend: Phrase | None  # or make it, or change it to these matchers


class FiringMatches(NamedTuple):
    """The alerts that fire now, by what they match."""

    matching: dict[str, MatchingAlerts]  # by the name of some matchers
    hidden: int  # of all alerts


class MatchingAlerts(NamedTuple):
    """The alerts that a silence or window hides now, and the rights of a reader to it."""

    fingerprints: set[str]
    rights: MuteRights


async def match_firing(
    context: Context,
    principal: Principal,
    wanted: Mapping[str, MatcherSets],
    hides: LabelsTest = lambda _: False,
) -> FiringMatches:
    """The alerts that fire now and match. Raises StoreUnavailable.

    hides: decides which of all alerts count as hidden.
    """
    config = context.config
    # In a thread: a large route tree takes a while, and pushes go on.
    ends = await asyncio.to_thread(
        lambda: {name: mute_refusal(principal, config, sets) for name, sets in wanted.items()}
    )

    def look(snapshot: FiringSnapshot, name: str) -> MatchingAlerts:
        found, end = snapshot.matching(wanted[name]), ends[name]
        labels = (snapshot.alerts[fingerprint].labels for fingerprint in found)
        extend = end or hiding_refusal(principal, config, labels)
        return MatchingAlerts(found, MuteRights(end, extend))

    async with context.big_read:
        snapshot, size = await _load_firing(context)
        matching = {name: await offload.run(size, look, snapshot, name) for name in wanted}
        hidden = await offload.run(size, snapshot.count, hides)
        await snapshot.scrap()
        return FiringMatches(matching, hidden)


async def load_mute_rights(context: Context, principal: Principal, sets: MatcherSets) -> MuteRights:
    """The rights of somebody to a silence or window. Raises StoreUnavailable."""
    end = await asyncio.to_thread(mute_refusal, principal, context.config, sets)
    if end or principal.role == "admin":  # whatever fires
        return MuteRights(end, end)
    found = await match_firing(context, principal, {"": sets})
    return found.matching[""].rights


async def require_mute(
    request: HasScope, context: Context, sets: MatcherSets, *, ends: bool = False
) -> None:
    """Check the right to make or change a silence or window with these matchers, or to end it.

    Raises Forbidden, StoreUnavailable.
    """
    principal = principal_of(request)
    if ends:
        reason = await asyncio.to_thread(mute_refusal, principal, context.config, sets)
    else:
        reason = (await load_mute_rights(context, principal, sets)).extend
    require(request, reason)


async def preview_muting(context: Context, sets: MatcherSets) -> MutePreview:
    """Raises StoreUnavailable."""
    async with context.big_read:
        snapshot, size = await _load_firing(context)
        newest, _ = await incidents.list_incidents(context.wire, limit=MAX_SEARCHED_INCIDENTS)
        preview = await offload.run(size, _preview, snapshot, sets, newest)
        await snapshot.scrap()
        return preview


async def _load_firing(context: Context) -> tuple[FiringSnapshot, int]:
    """The alerts that fire, and how many alerts and groups there are. Raises StoreUnavailable."""
    now_ns, groups = int(context.now() * 10**9), await load_groups(context.wire)
    size = len(groups) + sum(len(loaded.alerts) for loaded in groups)
    return await offload.run(size, _snapshot, groups, now_ns), size


def _snapshot(groups: list[LoadedGroup], now_ns: int) -> FiringSnapshot:
    alerts = (alert for loaded in groups for alert in loaded.alerts if not alert.resolved(now_ns))
    return FiringSnapshot({alert.fingerprint: alert for alert in alerts}, groups)


def _preview(snapshot: FiringSnapshot, sets: MatcherSets, newest: list[Incident]) -> MutePreview:
    hidden = snapshot.matching(sets)
    # No more than are shown: whoever holds a hundred thousand alerts frees them in one go.
    shown = heapq.nsmallest(
        MAX_PREVIEWED_ALERTS,
        (snapshot.alerts[fingerprint] for fingerprint in hidden),
        key=lambda alert: (-alert.starts_ns, alert.fingerprint),
    )
    receivers = {alert.fingerprint: set[str]() for alert in shown}
    for loaded in snapshot.groups:
        for alert in loaded.alerts:
            if alert.fingerprint in receivers:
                receivers[alert.fingerprint].add(loaded.group.receiver)
    return MutePreview(
        len(hidden),
        shown,
        {fingerprint: sorted(names) for fingerprint, names in receivers.items()},
        _affected_incidents(newest, snapshot, hidden) if hidden else [],
        len(snapshot.alerts),
    )


async def silence_preview_view(context: Context, matchers: Sequence[Matcher]) -> SilencePreviewView:
    """The preview as the API shows it. Raises StoreUnavailable."""
    preview = await preview_muting(context, [matchers])
    return SilencePreviewView(
        count=preview.hidden,
        alerts=[
            PreviewAlertView(
                fingerprint=alert.fingerprint,
                labels=alert.labels,
                annotations=alert.annotations,
                starts_at=rfc3339(alert.starts_ns / 10**9),
                receivers=preview.receivers[alert.fingerprint],
            )
            for alert in preview.alerts
        ],
        incidents=[
            PreviewIncidentView(
                id=one.incident.id,
                number=one.incident.number,
                title=one.incident.title,
                state=one.incident.state,
                hidden=one.hidden,
                firing=one.firing,
            )
            for one in preview.incidents
        ],
    )


async def load_hidden_rows(context: Context, by: str) -> list[HiddenAlertRow]:
    """The alerts that were hidden, newest first. Raises StoreUnavailable.

    by: "silence:ID" or "maintenance:ID".
    """
    records = (await muting.load_suppressed(context.wire, by))[:MAX_SUPPRESSED]
    firing = await muting.check_firing(context.wire, records, int(context.now() * 10**9))
    return [HiddenAlertRow(*pair) for pair in zip(records, firing, strict=True)]


async def hidden_alerts_view(context: Context, by: str) -> HiddenView:
    """The alerts that were hidden as the API shows them. Raises StoreUnavailable."""
    alerts = [
        HiddenAlertView(
            fingerprint=record.fingerprint,
            labels=record.labels,
            receiver=record.receiver,
            group=record.group,
            first_hidden=rfc3339(record.first),
            last_hidden=rfc3339(record.last),
            firing=firing,
            told_at=rfc3339(record.told),
        )
        for record, firing in await load_hidden_rows(context, by)
    ]
    return HiddenView(alerts=alerts, count=len(alerts), complete=len(alerts) < MAX_SUPPRESSED)


def parse_matcher_texts(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """Matchers of texts that hold one or more each, in the syntax of the file.

    Raises HTTPException 422, also for none at all.
    """
    matchers: list[Matcher] = []
    for text in texts:
        try:
            matchers += parse_matchers(text[:MAX_MATCHER_LENGTH])
        except BadMatcher as error:
            raise invalid(Phrase("refusal.matcher", {"error": matcher_fault(error)})) from None
    if not matchers:
        raise invalid(Phrase("refusal.no_matchers"))
    return tuple(matchers)


def _affected_incidents(
    newest: Iterable[Incident], snapshot: FiringSnapshot, hidden: Set[str]
) -> list[AffectedIncident]:
    """Of these open incidents those whose groups hold some of the hidden alerts."""
    groups = {loaded.group.id: loaded for loaded in snapshot.groups}
    affected = []
    for incident in newest:
        firing = {
            alert.fingerprint
            for group_id in (incident.group, *incident.parts)
            if (loaded := groups.get(group_id)) is not None
            for alert in loaded.alerts
            if alert.fingerprint in snapshot.alerts
        }
        if firing & hidden:
            affected.append(AffectedIncident(incident, len(firing & hidden), len(firing)))
    return affected
