"""Cards of an incident, of a group of alerts and of a bundle, for channels to render. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from amproxy.config.structs import Config
from amproxy.labels.severity import gravest, severity_of, severity_rank
from amproxy.machine.draft import END_PHRASES
from amproxy.model import (
    LEFT_OUT_FIELD,
    Alert,
    Incident,
    OutgoingMessage,
    Page,
    common_pairs,
    current_annotations,
)
from amproxy.notify import grafana
from amproxy.notify.channels.text import is_link_url
from amproxy.notify.content import is_web_url, place_text, places_of, text_of
from amproxy.notify.message import Action, BundleEntry, Button, Card, Link, Picture
from amproxy.notify.templates import default_title
from amproxy.text import DEFAULT_LANGUAGE, Moment, PeopleNames, Phrase, load_texts, phrase
from amproxy.text.render import PhraseRenderer, in_english

MAX_CARD_ALERTS = 20
EARLIEST_START = 10.0**9  # Unix seconds: an alert that began before 2001 does not know when
MAX_GIST_ALERTS = 1000  # that are looked at for the places in a heading
MAX_PICTURES = 4  # of one card
MAX_ALERTS_PER_INCIDENT = 20  # alerts of one incident of a bundle, for the webhook's payload
MAX_BUNDLE_ALERTS = 500  # and of all its incidents
SNOOZE_SECONDS = 3600  # of the Snooze button
LINK_ANNOTATIONS = {"runbook_url": "Runbook", "dashboard_url": "Dashboard"}
_PICTURE_ANNOTATIONS = ("image",)
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
    in_order = _firing_first(alerts, now)
    shown, gist = in_order[:MAX_CARD_ALERTS], _gist(in_order, now)
    annotations = current_annotations(incident, alerts, now)
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
        text=incident.text or text_of(annotations, shown),
        severity=gist.severity,
        place=place_text(gist.places, incident.title, gist.unlooked),
        since=_since(gist.since, words),
        began=_began(shown, gist.since, words),
        labels={**incident.group_labels, **incident.common_labels},
        alerts=shown,
        firing=incident.firing,
        resolved=incident.resolved,
        left_out=left_out(shown),
        links=_links(annotations, shown),
        pictures=_pictures(shown),
        buttons=_buttons(incident, page, sign),
        url=_incident_url(incident, external_url),
        news=words.text(incident.news),
        at=now,
        incident=incident.id,
        receiver=incident.receiver or page.receiver,
        group_key=incident.group_key,
        group_labels=incident.group_labels,
        common_labels=incident.common_labels,
        common_annotations=annotations,
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
    title = default_title(group.labels, labels, alerts)
    in_order = _firing_first(alerts, now)
    gist = _gist(in_order, now)
    words = PhraseRenderer(load_texts(DEFAULT_LANGUAGE), now=now)
    return Card(
        kind="group",
        key=message.id,
        title=title,
        state="firing" if firing else "resolved",
        state_text=in_english(_group_state(firing)),
        text=text_of(annotations, in_order),
        severity=gist.severity,
        place=place_text(gist.places, title, gist.unlooked),
        since=_since(gist.since, words),
        began=_began(in_order[:MAX_CARD_ALERTS], gist.since, words),
        labels=labels,
        alerts=alerts,
        firing=firing,
        resolved=len(alerts) - firing,
        left_out=left_out(alerts),
        links=_links(annotations, in_order),
        pictures=_pictures(in_order[:MAX_CARD_ALERTS]),
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
        severity=gravest(incident.severity for incident in in_order),
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
        case "resolved" if incident.quiet_until:
            by, until = PeopleNames((incident.resolved_by,)), Moment(incident.quiet_until)
            return phrase("card.resolved_firing", by=by, until=until)
        case "resolved":
            return phrase("card.resolved", by=PeopleNames((incident.resolved_by,)))
        case _:
            at = Moment(incident.started_at)
            if incident.held_by:
                return phrase("card.held", at=at, reason=incident.held_by)
            if incident.joined_at is not None:
                again = Moment(incident.joined_at)
                return phrase("card.triggered_again", at=at, again=again, why=incident.joined)
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


class _Gist(NamedTuple):
    """The gist of those alerts that fire, or of all where none does, for the heading."""

    severity: str  # the gravest; "" = none says
    places: list[str]
    unlooked: int  # alerts whose places were not looked at
    since: float  # Unix seconds: when the first of those that fire began; 0 = none fires


def _gist(alerts: Sequence[Alert], now: float) -> _Gist:
    """alerts: in the order of _firing_first."""
    now_ns = int(now * 10**9)
    firing = [alert for alert in alerts if not alert.resolved(now_ns)]
    about = firing or alerts
    began = [start for alert in firing if (start := _start(alert, now))]
    return _Gist(
        severity_of(about[0].labels) if about else "",
        places_of(about[:MAX_GIST_ALERTS]),
        max(0, len(about) - MAX_GIST_ALERTS),
        min(began, default=0.0),
    )


def _start(alert: Alert, now: float) -> float:
    """The beginning of an alert, Unix seconds; 0 where its sender cannot know it."""
    start = alert.starts_ns / 10**9
    return start if EARLIEST_START <= start <= now else 0.0


def _since(start: float, words: PhraseRenderer) -> str:
    return words.text(phrase("card.since", at=Moment(start))) if start else ""


def _began(alerts: Sequence[Alert], first: float, words: PhraseRenderer) -> dict[str, str]:
    """Fingerprint → since when it fires, of those that began a minute or more after the first."""
    found = {}
    for alert in alerts:
        start = alert.starts_ns / 10**9
        if first and start >= first + 60 and not alert.ends_ns:
            found[alert.fingerprint] = _since(start, words)
    return found


def _firing_first(alerts: Sequence[Alert], now: float) -> list[Alert]:
    now_ns = int(now * 10**9)
    return sorted(
        alerts,
        key=lambda alert: (
            alert.resolved(now_ns),
            -severity_rank(severity_of(alert.labels)),
            alert.starts_ns,
        ),
    )


def _limit_alerts(alerts: Sequence[Sequence[Alert]], now: float) -> list[Alert]:
    """Some alerts of each incident, firing ones first: none is left out in favour of another."""
    each = max(1, MAX_BUNDLE_ALERTS // max(1, len(alerts)))
    limit = min(MAX_ALERTS_PER_INCIDENT, each)
    return [alert for some in alerts for alert in _firing_first(some, now)[:limit]]


def _links(annotations: dict[str, str], alerts: Sequence[Alert]) -> list[Link]:
    """Links out of alerts: only http and https, each once."""
    links: dict[str, Link] = {}
    for text, url in _wanted_links(annotations, alerts):
        if is_web_url(url):
            links.setdefault(url, Link(text=text, url=url))
    return list(links.values())


def _wanted_links(
    annotations: dict[str, str], alerts: Sequence[Alert]
) -> Iterator[tuple[str, str]]:
    """Text and address: the usual ones of all alerts or of the first, then all other annotations.

    The others count where all alerts share them, and may be no addresses.
    """
    for name, text in LINK_ANNOTATIONS.items():
        given = (alert.annotations.get(name, "") for alert in alerts)
        yield text, annotations.get(name) or next(filter(None, given), "")
    if alerts:
        for name, text in LINK_EXTRAS.items():
            yield text, grafana.read_link(alerts[0], name)
    for name, url in annotations.items():
        if name not in _PICTURE_ANNOTATIONS and not name.startswith("__"):
            text = name.removesuffix("_url").removesuffix("_link").replace("_", " ").strip()
            yield text[:1].upper() + text[1:], url
    if alerts:
        yield "Source", alerts[0].generator_url


def alert_picture(alert: Alert) -> str:
    """The address of an alert's picture: http or https, without a password; "" = it has none."""
    return next(filter(_is_picture_url, grafana.picture_candidates(alert)), "")


def _is_picture_url(url: str) -> bool:
    return is_link_url(url) and "@" not in urlsplit(url).netloc


def alert_picture_text(alert: Alert) -> str:
    """The name of what an alert's picture shows."""
    name = alert.labels.get(grafana.RULE_LABEL) or alert.labels.get("alertname", "")
    return f"Picture: {name}" if name else "Picture"


def _pictures(alerts: Iterable[Alert]) -> list[Picture]:
    """The pictures of alerts, each address once."""
    pictures: dict[str, Picture] = {}
    for alert in alerts:
        if len(pictures) == MAX_PICTURES:
            break
        if url := alert_picture(alert):
            pictures.setdefault(url, Picture(url=url, text=alert_picture_text(alert)))
    return list(pictures.values())


def left_out(alerts: Iterable[Alert]) -> int:
    """The number of alerts that the sender cut off the last push of these alerts."""
    counts = (alert.extra.get(LEFT_OUT_FIELD) for alert in alerts)
    return max((count for count in counts if isinstance(count, int)), default=0)


def _incident_url(incident: Incident, external_url: str) -> str:
    return f"{external_url}/incidents/{incident.id}"


def _bundle_entry(incident: Incident, external_url: str) -> BundleEntry:
    return BundleEntry(
        incident=incident.id,
        number=incident.number,
        state=incident.state,
        title=incident.title,
        severity=incident.severity,
        url=_incident_url(incident, external_url),
    )


def _bundle_reason(config: Config, pages: Sequence[Page], now: float) -> str:
    words, reasons = _reader_words(config, pages[0].user, now), {page.reason for page in pages}
    if len(reasons) == 1:
        return words.text(phrase("card.why_all", reason=reasons.pop()))
    return words.text(phrase("card.why_each"))
