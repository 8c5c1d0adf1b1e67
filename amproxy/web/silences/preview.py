"""What a silence or window held back, as the API shows it; and the alerts that one would hold back now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from amproxy.clock import rfc3339
from amproxy.context import Context
from amproxy.labels.matchers import BadMatcher, Matcher, all_match, parse_matchers
from amproxy.model import Alert, Incident
from amproxy.store import incidents, muting
from amproxy.store.groups import LoadedGroup, load_groups
from amproxy.store.muting import SuppressedAlertRecord
from amproxy.web.http.request import invalid
from amproxy.web.incidents.views import View

MAX_PREVIEWED_ALERTS = 500  # alerts of a preview
MAX_SEARCHED_INCIDENTS = 500  # open incidents that a preview looks through, the newest ones
MAX_MATCHER_LENGTH = 4000  # characters

MatcherSets = Sequence[Sequence[Matcher]]  # any of the sets will do; all matchers of a set must hold


class FiringSnapshot(NamedTuple):
    """Every alert that fires now, once."""

    alerts: dict[str, Alert]  # by fingerprint
    groups: list[LoadedGroup]

    def matching(self, sets: MatcherSets) -> set[str]:
        """Fingerprints of those that a silence with these matchers hides."""
        return {name for name, alert in self.alerts.items() if any(all_match(held, alert.labels) for held in sets)}


class AffectedIncident(NamedTuple):
    """An open incident of which alerts would be hidden."""

    incident: Incident
    hidden: int
    firing: int  # of its groups; when all are hidden it pages nobody any more


class MutePreview(NamedTuple):
    """What a silence or window with certain matchers hides at this moment."""

    alerts: list[Alert]  # newest first
    receivers: dict[str, list[str]]  # fingerprint → those that would have been told
    incidents: list[AffectedIncident]
    firing: int  # alerts that fire at all


class HiddenAlertRow(NamedTuple):
    """An alert that was held back."""

    hidden: SuppressedAlertRecord
    firing: bool  # now


async def load_firing(context: Context) -> FiringSnapshot:
    """Raises StoreUnavailable."""
    now_ns, groups = int(context.now() * 10**9), await load_groups(context.wire)
    return FiringSnapshot({alert.fingerprint: alert for one in groups for alert in one.alerts if not alert.resolved(now_ns)}, groups)


async def match_firing(context: Context, wanted: Mapping[str, MatcherSets]) -> dict[str, set[str]]:
    """Name → fingerprints of the alerts that fire now and match its matchers. Raises StoreUnavailable."""
    known, found = await load_firing(context), dict[str, set[str]]()
    for name, sets in wanted.items():
        found[name] = known.matching(sets)
        await asyncio.sleep(0)  # many silences over many alerts take a while: a push that comes in goes first
    return found


async def preview_muting(context: Context, sets: MatcherSets) -> MutePreview:
    """Raises StoreUnavailable."""
    known = await load_firing(context)
    found = known.matching(sets)
    receivers: dict[str, set[str]] = {}
    for loaded in known.groups:
        for alert in loaded.alerts:
            if alert.fingerprint in found:
                receivers.setdefault(alert.fingerprint, set()).add(loaded.group.receiver)
    alerts = sorted((known.alerts[name] for name in found), key=lambda alert: (-alert.starts_ns, alert.fingerprint))
    touched = await _affected_incidents(context, known, found) if found else []
    return MutePreview(alerts, {name: sorted(names) for name, names in receivers.items()}, touched, len(known.alerts))


async def muting_preview_view(context: Context, matchers: Sequence[Matcher]) -> View:
    """The alerts that fire now and match, and the open incidents that they belong to. Raises StoreUnavailable."""
    found = await preview_muting(context, [matchers])
    return {
        "count": len(found.alerts),
        "alerts": [
            {
                "fingerprint": alert.fingerprint,
                "labels": alert.labels,
                "annotations": alert.annotations,
                "starts_at": rfc3339(alert.starts_ns / 10**9),
                "receivers": found.receivers[alert.fingerprint],
            }
            for alert in found.alerts[:MAX_PREVIEWED_ALERTS]
        ],
        "incidents": [
            {
                "id": one.incident.id, "number": one.incident.number, "title": one.incident.title, "state": one.incident.state,
                "hidden": one.hidden, "firing": one.firing,
            }
            for one in found.incidents
        ],
    }  # fmt: skip


async def load_hidden_rows(context: Context, by: str) -> list[HiddenAlertRow]:
    """What was held back, newest first. by: "silence:ID" or "maintenance:ID". Raises StoreUnavailable."""
    found = (await muting.load_suppressed(context.wire, by))[: muting.MAX_SUPPRESSED]
    fires = await muting.check_firing(context.wire, found, int(context.now() * 10**9))
    return [HiddenAlertRow(*pair) for pair in zip(found, fires, strict=True)]


async def hidden_alerts_view(context: Context, by: str) -> View:
    """The same as the API shows it. Raises StoreUnavailable."""
    alerts = [
        {
            "fingerprint": one.fingerprint,
            "labels": one.labels,
            "receiver": one.receiver,
            "group": one.group,
            "first_hidden": rfc3339(one.first),
            "last_hidden": rfc3339(one.last),
            "firing": fires,
            "told_at": rfc3339(one.told),
        }
        for one, fires in await load_hidden_rows(context, by)
    ]
    return {"alerts": alerts, "count": len(alerts), "complete": len(alerts) < muting.MAX_SUPPRESSED}


def parse_matcher_texts(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """Texts with one or more matchers each, as the file has them. Raises HTTPException 422, also where there is none at all."""
    found: list[Matcher] = []
    for text in texts:
        try:
            found += parse_matchers(text[:MAX_MATCHER_LENGTH])
        except BadMatcher as error:
            raise invalid(f"not a matcher: {str(error)[:300]}") from None
    if not found:
        raise invalid("matchers name no alerts: without any, everything would be hidden")
    return tuple(found)


async def _affected_incidents(context: Context, known: FiringSnapshot, found: Iterable[str]) -> list[AffectedIncident]:
    """Open incidents of groups that hold some of these alerts, newest first."""
    names, groups = set(found), {loaded.group.id: loaded for loaded in known.groups}
    listed, _ = await incidents.list_incidents(context.wire, limit=MAX_SEARCHED_INCIDENTS)
    touched = []
    for incident in listed:
        theirs = {
            alert.fingerprint
            for group_id in (incident.group, *incident.parts)
            if (loaded := groups.get(group_id)) is not None
            for alert in loaded.alerts
            if alert.fingerprint in known.alerts
        }
        if theirs & names:
            touched.append(AffectedIncident(incident, len(theirs & names), len(theirs)))
    return touched
