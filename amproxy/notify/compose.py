"""From an incident, or a group of alerts, to the card that channels render.

From many incidents to the one card that tells of all of them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.machine.draft import RESOLVED_TEXTS
from amproxy.model import Alert, Incident, OutgoingMessage, Page, common_pairs
from amproxy.notify.message import Action, BundleEntry, Button, Card, Link
from amproxy.notify.templates import default_title

MAX_CARD_ALERTS = 20
SNOOZE_SECONDS = 3600  # seconds: what the Snooze button asks for
TEXT_ANNOTATIONS = ("summary", "description", "message")
LINK_ANNOTATIONS = {"runbook_url": "Runbook", "dashboard_url": "Dashboard"}
LINK_EXTRAS = {"dashboardURL": "Dashboard", "panelURL": "Panel", "silenceURL": "Silence in Grafana"}

SignLink = Callable[[str, Action, int, str, str], str]  # incident, action, epoch, user, argument → URL


def incident_card(
    config: Config, incident: Incident, alerts: list[Alert], page: Page, *, now: float, external_url: str, sign: SignLink
) -> Card:
    """What a message about an incident says to the one whom `page` reaches."""
    shown = _select_alerts(alerts, now)
    why = f"You are paged: {page.reason}." if page.user else f"Told by {page.reason}."
    return Card(
        kind="incident",
        key=page.id,
        title=incident.title,
        number=incident.number,
        state=incident.state,
        state_text=_expiry_text(incident) if _is_reminder(incident, page) else state_text(config, incident),
        why=why if incident.state == "triggered" or _needs_answer(incident, page) else "",
        text=incident.text or _text(incident.common_annotations, shown),
        labels={**incident.group_labels, **incident.common_labels},
        alerts=shown,
        firing=incident.firing,
        resolved=incident.resolved,
        links=_links(incident.common_annotations, shown),
        buttons=_buttons(incident, page, sign),
        url=f"{external_url}/incidents/{incident.id}",
        news=incident.news,
        at=now,
        incident=incident.id,
        receiver=incident.receiver or page.receiver,
        group_key=incident.group_key,
        group_labels=incident.group_labels,
        common_labels=incident.common_labels,
        common_annotations=incident.common_annotations,
        external_url=external_url,
    )


def group_card(message: OutgoingMessage, *, now: float, external_url: str) -> Card:
    """What a receiver's integration says about a group that nobody is paged for."""
    group = message.group
    assert group is not None
    now_ns = int(now * 10**9)
    firing = sum(not alert.resolved(now_ns) for alert in message.alerts)
    labels, annotations = common_pairs(a.labels for a in message.alerts), common_pairs(a.annotations for a in message.alerts)
    return Card(
        kind="group",
        key=message.id,
        title=default_title(group.labels, labels),
        state="firing" if firing else "resolved",
        state_text=f"{firing} firing" if firing else "All resolved",
        text=_text(annotations, message.alerts),
        labels=labels,
        alerts=message.alerts,
        firing=firing,
        resolved=len(message.alerts) - firing,
        links=_links(annotations, message.alerts),
        url=external_url,
        at=now,
        receiver=group.receiver,
        group_key=group.key,
        group_labels=group.labels,
        common_labels=labels,
        common_annotations=annotations,
        route_labels=group.route_labels,
        external_url=external_url,
        truncated=message.truncated,
        repeats_every=group.repeat_interval + group.group_interval,
        reason=message.reason,
    )


def state_text(config: Config, incident: Incident) -> str:
    """The state in a few words, with who and when."""

    def name(user: str) -> str:
        known = config.users.get(user)
        return (known.full_name or user) if known else user or "somebody"

    match incident.state:
        case "acknowledged":
            return f"Acknowledged by {name(incident.acknowledged_by)} at {_clock_text(incident.acknowledged_at)}"
        case "snoozed":
            return f"Snoozed by {name(incident.snoozed_by)} until {_clock_text(incident.snoozed_until)}"
        case "resolved" if incident.merged_into:
            return "Merged into another incident"
        case "resolved":
            by = RESOLVED_TEXTS.get(incident.resolved_by)
            return f"Resolved at {_clock_text(incident.resolved_at)}: {by}" if by else f"Resolved by {name(incident.resolved_by)}"
        case _:
            held = f", held back by {incident.held_by}" if incident.held_by else ""
            return f"Triggered at {_clock_text(incident.started_at)}{held}"


def _expiry_text(incident: Incident) -> str:
    return f"Your acknowledgement runs out at {_clock_text(incident.acknowledge_due)}"


def _is_reminder(incident: Incident, page: Page) -> bool:
    """Whether a message is still the reminder that it was sent as."""
    held = incident.state == "acknowledged" and incident.acknowledged_by == page.user
    return page.kind == "reminder" and held and incident.acknowledge_due is not None


def _needs_answer(incident: Incident, page: Page) -> bool:
    """Whether a message asks somebody for an answer although another has acknowledged."""
    return page.insists and incident.state == "acknowledged" and incident.acknowledged_by != page.user


def _clock_text(moment: float | None) -> str:
    return f"{utc(moment or 0):%H:%M} UTC"


def _buttons(incident: Incident, page: Page, sign: SignLink) -> list[Button]:
    state, offered = incident.state, list[tuple[Action, str, str]]()
    if state == "resolved":
        return []
    if state != "acknowledged" or _is_reminder(incident, page) or _needs_answer(incident, page):
        offered.append(("acknowledge", "Acknowledge", ""))
    offered.append(("resolve", "Resolve", ""))
    if state != "snoozed":
        offered.append(("snooze", "Snooze 1h", str(SNOOZE_SECONDS)))
    if state == "acknowledged":
        offered.append(("unacknowledge", "Unacknowledge", ""))
    return [
        Button(
            action=action,
            text=text,
            value=f"{action}:{incident.id}:{incident.epoch}" + (f":{argument}" if argument else ""),
            url=sign(incident.id, action, incident.epoch, page.user, argument),
        )
        for action, text, argument in offered
    ]


def _select_alerts(alerts: list[Alert], now: float) -> list[Alert]:
    now_ns = int(now * 10**9)
    return sorted(alerts, key=lambda alert: (alert.resolved(now_ns), alert.starts_ns))[:MAX_CARD_ALERTS]


def _text(annotations: dict[str, str], alerts: list[Alert]) -> str:
    found = [annotations[name] for name in TEXT_ANNOTATIONS if annotations.get(name)]
    if not found and len(alerts) == 1:
        found = [alerts[0].annotations[name] for name in TEXT_ANNOTATIONS if alerts[0].annotations.get(name)]
    return "\n".join(found)


def _links(annotations: dict[str, str], alerts: list[Alert]) -> list[Link]:
    """Links out of alerts: only http and https, each once."""
    wanted = [(text, annotations.get(name, "")) for name, text in LINK_ANNOTATIONS.items()]
    if alerts:
        first = alerts[0]
        wanted += [(text, first.extra.get(name, "")) for name, text in LINK_EXTRAS.items()]
        wanted.append(("Source", first.generator_url))
    links: dict[str, Link] = {}
    for text, url in wanted:
        if isinstance(url, str) and is_web_url(url):
            links.setdefault(url, Link(text=text, url=url))
    return list(links.values())


def is_web_url(url: str) -> bool:
    """Whether a URL out of an alert may be shown as a link."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not any(c.isspace() or ord(c) < 32 for c in url)


MAX_ALERTS_PER_INCIDENT = 20  # alerts of one incident that the payload of a webhook holds
MAX_BUNDLE_ALERTS = 500  # and of all of them


def bundle_card(
    message: OutgoingMessage, paged: Sequence[tuple[Incident, Page]], alerts: Sequence[Sequence[Alert]], *, now: float, external_url: str
) -> Card:
    """What a bundle says. paged: at least one incident, with the page that it is named for; alerts: those of each of them."""
    incidents = {incident.id: incident for incident, _ in paged}
    in_order = sorted(incidents.values(), key=lambda incident: incident.number)
    shown = _limit_alerts(alerts, int(now * 10**9))
    firing, resolved = sum(one.firing for one in in_order), sum(one.resolved for one in in_order)
    receivers = {incident.receiver for incident in in_order}
    return Card(
        kind="bundle",
        key=message.id,
        title=f"{len(in_order)} incidents of policy {paged[0][1].policy}",
        state="triggered",
        why=_bundle_reason([page for _, page in paged]),
        text=message.text,
        entries=[_bundle_entry(incident, external_url) for incident in in_order],
        alerts=shown,
        firing=firing,
        resolved=resolved,
        truncated=max(0, firing + resolved - len(shown)),
        buttons=[Button(action="acknowledge", text="Acknowledge all", value=f"acknowledge-all:{message.bundle}")],
        url=f"{external_url}/incidents",
        at=now,
        receiver=receivers.pop() if len(receivers) == 1 else "",
        group_key=f"bundle:{message.bundle}",
        common_labels=common_pairs(incident.common_labels for incident in in_order),
        common_annotations=common_pairs(incident.common_annotations for incident in in_order),
        external_url=external_url,
    )


def _bundle_entry(incident: Incident, external_url: str) -> BundleEntry:
    return BundleEntry(
        incident=incident.id, number=incident.number, state=incident.state, title=incident.title,
        url=f"{external_url}/incidents/{incident.id}",
    )  # fmt: skip


def _bundle_reason(pages: Sequence[Page]) -> str:
    reasons = {page.reason for page in pages}
    return f"You are paged for all of them: {reasons.pop()}." if len(reasons) == 1 else "You are paged for each of them."


def _limit_alerts(alerts: Sequence[Sequence[Alert]], now_ns: int) -> list[Alert]:
    """Some alerts of each, firing ones first, so that none is left out for the sake of another."""
    kept = [sorted(some, key=lambda alert: (alert.resolved(now_ns), alert.starts_ns))[:MAX_ALERTS_PER_INCIDENT] for some in alerts]
    each = max(1, MAX_BUNDLE_ALERTS // max(1, len(kept)))
    return [alert for some in kept for alert in some[:each]]
