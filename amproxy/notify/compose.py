"""Cards of an incident, of a group of alerts and of a bundle, for channels to render. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from amproxy.config.structs import Config
from amproxy.machine.draft import END_PHRASES
from amproxy.model import Alert, Incident, OutgoingMessage, Page, common_pairs
from amproxy.notify.message import Action, BundleEntry, Button, Card, Link
from amproxy.notify.templates import default_title
from amproxy.text import DEFAULT_LANGUAGE, Moment, PeopleNames, Phrase, load_texts, phrase
from amproxy.text.render import PhraseRenderer, in_english

MAX_CARD_ALERTS = 20
MAX_ALERTS_PER_INCIDENT = 20  # alerts of one incident of a bundle, for the webhook's payload
MAX_BUNDLE_ALERTS = 500  # and of all its incidents
SNOOZE_SECONDS = 3600  # of the Snooze button
TEXT_ANNOTATIONS = ("summary", "description", "message")
LINK_ANNOTATIONS = {"runbook_url": "Runbook", "dashboard_url": "Dashboard"}
LINK_EXTRAS = {"dashboardURL": "Dashboard", "panelURL": "Panel", "silenceURL": "Silence in Grafana"}

# incident, action, epoch, user, argument → URL
SignLink = Callable[[str, Action, int, str, str], str]


def incident_card(
    config: Config,
    incident: Incident,
    alerts: list[Alert],
    page: Page,
    *,
    now: float,
    external_url: str,
    sign: SignLink,
) -> Card:
    """The card of an incident for the person or receiver of `page`."""
    shown = _firing_first(alerts, now)[:MAX_CARD_ALERTS]
    words = _reader_words(config, page.user, now)
    is_reminder = _is_reminder(incident, page)
    why = phrase("card.why" if page.user else "card.why_receiver", reason=page.reason)
    return Card(
        kind="incident",
        key=page.id,
        title=incident.title,
        number=incident.number,
        state=incident.state,
        state_text=words.text(_expiry_phrase(incident) if is_reminder else state_phrase(incident)),
        why=words.text(why)
        if incident.state == "triggered" or _needs_answer(incident, page)
        else "",
        text=incident.text or _text(incident.common_annotations, shown),
        labels={**incident.group_labels, **incident.common_labels},
        alerts=shown,
        firing=incident.firing,
        resolved=incident.resolved,
        links=_links(incident.common_annotations, shown),
        buttons=_buttons(incident, page, sign),
        url=_incident_url(incident, external_url),
        news=words.text(incident.news),
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
    """The card of a group that nobody is paged for, for a receiver's integration."""
    group, alerts = message.group, message.alerts
    assert group is not None
    now_ns = int(now * 10**9)
    firing = sum(not alert.resolved(now_ns) for alert in alerts)
    labels = common_pairs(alert.labels for alert in alerts)
    annotations = common_pairs(alert.annotations for alert in alerts)
    return Card(
        kind="group",
        key=message.id,
        title=default_title(group.labels, labels),
        state="firing" if firing else "resolved",
        state_text=in_english(_group_state(firing)),
        text=_text(annotations, alerts),
        labels=labels,
        alerts=alerts,
        firing=firing,
        resolved=len(alerts) - firing,
        links=_links(annotations, alerts),
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


def bundle_card(
    config: Config,
    message: OutgoingMessage,
    paged: Sequence[tuple[Incident, Page]],
    alerts: Sequence[Sequence[Alert]],
    *,
    now: float,
    external_url: str,
) -> Card:
    """The card of a bundle.

    paged: at least one incident, with its page in the bundle. alerts: those of each of them.
    """
    incidents = {incident.id: incident for incident, _ in paged}
    in_order = sorted(incidents.values(), key=lambda incident: incident.number)
    shown = _limit_alerts(alerts, now)
    firing, resolved = sum(one.firing for one in in_order), sum(one.resolved for one in in_order)
    receivers = {incident.receiver for incident in in_order}
    press = f"acknowledge-all:{message.bundle}"
    return Card(
        kind="bundle",
        key=message.id,
        title=f"{len(in_order)} incidents of policy {paged[0][1].policy}",
        state="triggered",
        why=_bundle_reason(config, [page for _, page in paged], now),
        text=message.text,
        entries=[_bundle_entry(incident, external_url) for incident in in_order],
        alerts=shown,
        firing=firing,
        resolved=resolved,
        truncated=max(0, firing + resolved - len(shown)),
        buttons=[Button(action="acknowledge", text="Acknowledge all", value=press)],
        url=f"{external_url}/incidents",
        at=now,
        receiver=receivers.pop() if len(receivers) == 1 else "",
        group_key=f"bundle:{message.bundle}",
        common_labels=common_pairs(incident.common_labels for incident in in_order),
        common_annotations=common_pairs(incident.common_annotations for incident in in_order),
        external_url=external_url,
    )


def state_phrase(incident: Incident) -> Phrase:
    """The state, with the person and the time."""
    match incident.state:
        case "acknowledged":
            by, at = PeopleNames((incident.acknowledged_by,)), Moment(incident.acknowledged_at or 0)
            return phrase("card.acknowledged", by=by, at=at)
        case "snoozed":
            by, until = PeopleNames((incident.snoozed_by,)), Moment(incident.snoozed_until or 0)
            return phrase("card.snoozed", by=by, until=until)
        case "resolved" if incident.merged_into:
            return phrase("card.merged")
        case "resolved" if end := incident.end_reason:
            at = Moment(incident.resolved_at or 0)
            return phrase("card.ended", at=at, reason=END_PHRASES[end])
        case "resolved":
            return phrase("card.resolved", by=PeopleNames((incident.resolved_by,)))
        case _:
            at = Moment(incident.started_at)
            if incident.held_by:
                return phrase("card.held", at=at, reason=incident.held_by)
            return phrase("card.triggered", at=at)


def _expiry_phrase(incident: Incident) -> Phrase:
    return phrase("card.runs_out", at=Moment(incident.acknowledge_due or 0))


def _group_state(firing: int) -> Phrase:
    return phrase("card.firing", n=firing) if firing else phrase("card.all_resolved")


def _reader_words(config: Config, user: str, now: float) -> PhraseRenderer:
    """The words for the reader of a message: a person, or a chat of unknown people ("")."""
    reader = config.users.get(user)
    return PhraseRenderer(
        load_texts(DEFAULT_LANGUAGE),
        full_name=config.full_name,
        zone=ZoneInfo(reader.timezone if reader else "UTC"),
        now=now,
    )


def _is_reminder(incident: Incident, page: Page) -> bool:
    """True while a message that was sent as a reminder still is one."""
    own = incident.state == "acknowledged" and incident.acknowledged_by == page.user
    return page.kind == "reminder" and own and incident.acknowledge_due is not None


def _needs_answer(incident: Incident, page: Page) -> bool:
    """True where a person paged by hand must answer although another has acknowledged."""
    return (
        page.insists and incident.state == "acknowledged" and incident.acknowledged_by != page.user
    )


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
            # with the epoch: a press of an old message must not act on an incident that came back
            value=f"{action}:{incident.id}:{incident.epoch}" + (f":{argument}" if argument else ""),
            url=sign(incident.id, action, incident.epoch, page.user, argument),
        )
        for action, text, argument in offered
    ]


def _firing_first(alerts: Sequence[Alert], now: float) -> list[Alert]:
    now_ns = int(now * 10**9)
    return sorted(alerts, key=lambda alert: (alert.resolved(now_ns), alert.starts_ns))


def _limit_alerts(alerts: Sequence[Sequence[Alert]], now: float) -> list[Alert]:
    """Some alerts of each incident, firing ones first: none is left out in favour of another."""
    each = max(1, MAX_BUNDLE_ALERTS // max(1, len(alerts)))
    limit = min(MAX_ALERTS_PER_INCIDENT, each)
    return [alert for some in alerts for alert in _firing_first(some, now)[:limit]]


def _text(annotations: dict[str, str], alerts: list[Alert]) -> str:
    def texts(of: dict[str, str]) -> list[str]:
        return [of[name] for name in TEXT_ANNOTATIONS if of.get(name)]

    found = texts(annotations)
    if not found and len(alerts) == 1:
        found = texts(alerts[0].annotations)
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
        if isinstance(url, str) and _is_web_url(url):
            links.setdefault(url, Link(text=text, url=url))
    return list(links.values())


def _is_web_url(url: str) -> bool:
    """True for a URL out of an alert that may be shown as a link."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    return is_web and not any(char.isspace() or ord(char) < 32 for char in url)


def _incident_url(incident: Incident, external_url: str) -> str:
    return f"{external_url}/incidents/{incident.id}"


def _bundle_entry(incident: Incident, external_url: str) -> BundleEntry:
    return BundleEntry(
        incident=incident.id,
        number=incident.number,
        state=incident.state,
        title=incident.title,
        url=_incident_url(incident, external_url),
    )


def _bundle_reason(config: Config, pages: Sequence[Page], now: float) -> str:
    words, reasons = _reader_words(config, pages[0].user, now), {page.reason for page in pages}
    if len(reasons) == 1:
        return words.text(phrase("card.why_all", reason=reasons.pop()))
    return words.text(phrase("card.why_each"))
