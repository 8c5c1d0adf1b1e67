"""From many incidents to the one card that tells of all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.model import Alert, Incident, Outgoing, Page, common
from amproxy.notify.message import Button, Card, Entry

ALERTS_EACH = 20  # alerts of one incident that the payload of a webhook holds
ALERTS = 500  # and of all of them


def bundle_card(
    message: Outgoing, paged: Sequence[tuple[Incident, Page]], alerts: Sequence[Sequence[Alert]], *, now: float, external_url: str
) -> Card:
    """What a bundle says. paged: at least one incident, with the page that it is named for; alerts: those of each of them."""
    incidents = {incident.id: incident for incident, _ in paged}
    in_order = sorted(incidents.values(), key=lambda incident: incident.number)
    shown = _bounded(alerts, int(now * 10**9))
    firing, resolved = sum(one.firing for one in in_order), sum(one.resolved for one in in_order)
    receivers = {incident.receiver for incident in in_order}
    return Card(
        kind="bundle",
        key=message.id,
        title=f"{len(in_order)} incidents of policy {paged[0][1].policy}",
        state="triggered",
        why=_why([page for _, page in paged]),
        text=message.text,
        entries=[_entry(incident, external_url) for incident in in_order],
        alerts=shown,
        firing=firing,
        resolved=resolved,
        truncated=max(0, firing + resolved - len(shown)),
        buttons=[Button(action="acknowledge", text="Acknowledge all", value=f"acknowledge-all:{message.bundle}")],
        url=f"{external_url}/incidents",
        at=now,
        receiver=receivers.pop() if len(receivers) == 1 else "",
        group_key=f"bundle:{message.bundle}",
        common_labels=common(incident.common_labels for incident in in_order),
        common_annotations=common(incident.common_annotations for incident in in_order),
        external_url=external_url,
    )


def _entry(incident: Incident, external_url: str) -> Entry:
    return Entry(
        incident=incident.id, number=incident.number, state=incident.state, title=incident.title,
        url=f"{external_url}/incidents/{incident.id}",
    )  # fmt: skip


def _why(pages: Sequence[Page]) -> str:
    reasons = {page.reason for page in pages}
    return f"You are paged for all of them: {reasons.pop()}." if len(reasons) == 1 else "You are paged for each of them."


def _bounded(alerts: Sequence[Sequence[Alert]], now_ns: int) -> list[Alert]:
    """Some alerts of each, firing ones first, so that none is left out for the sake of another."""
    kept = [sorted(some, key=lambda alert: (alert.resolved(now_ns), alert.starts_ns))[:ALERTS_EACH] for some in alerts]
    each = max(1, ALERTS // max(1, len(kept)))
    return [alert for some in kept for alert in some[:each]]
