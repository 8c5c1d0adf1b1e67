"""What a silence or window held back, as the API shows it; and the alerts that one would hold back now."""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.clock import rfc3339
from amproxy.context import Context
from amproxy.decide.matchers import BadMatcher, Matcher, all_match, parse_matchers
from amproxy.model import Alert
from amproxy.store import hidden
from amproxy.store.reading import all_groups
from amproxy.web.reading import invalid
from amproxy.web.views import View

SHOWN = 500  # alerts of a preview
LONGEST_MATCHER = 4000  # characters


async def record(context: Context, by: str) -> View:
    """by: "silence:ID" or "maintenance:ID". Raises StoreUnavailable."""
    found = (await hidden.load(context.wire, by))[: hidden.MOST]
    firing = await hidden.fires(context.wire, found, int(context.now() * 10**9))
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
        for one, fires in zip(found, firing, strict=True)
    ]
    return {"alerts": alerts, "count": len(alerts), "complete": len(alerts) < hidden.MOST}


async def preview(context: Context, matchers: Sequence[Matcher]) -> View:
    """The alerts that fire now and match. Raises StoreUnavailable."""
    now_ns = int(context.now() * 10**9)
    alerts: dict[str, Alert] = {}
    receivers: dict[str, set[str]] = {}
    for loaded in await all_groups(context.wire):
        for alert in loaded.alerts:
            if not alert.resolved(now_ns) and all_match(matchers, alert.labels):
                alerts[alert.fingerprint] = alert
                receivers.setdefault(alert.fingerprint, set()).add(loaded.group.receiver)
    shown = sorted(alerts.values(), key=lambda alert: (-alert.starts_ns, alert.fingerprint))[:SHOWN]
    return {
        "count": len(alerts),
        "alerts": [
            {
                "fingerprint": alert.fingerprint,
                "labels": alert.labels,
                "annotations": alert.annotations,
                "starts_at": rfc3339(alert.starts_ns / 10**9),
                "receivers": sorted(receivers[alert.fingerprint]),
            }
            for alert in shown
        ],
    }


def matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """Texts with one or more matchers each, as the file has them. Raises HTTPException 422, also where there is none at all."""
    found: list[Matcher] = []
    for text in texts:
        try:
            found += parse_matchers(text[:LONGEST_MATCHER])
        except BadMatcher as error:
            raise invalid(f"not a matcher: {str(error)[:300]}") from None
    if not found:
        raise invalid("matchers name no alerts: without any, everything would be hidden")
    return tuple(found)
