"""Settings of a receiver's integration with their Go templates filled in, for one message.

A text that fails is the default one in this message, and the failure is told: a page must not be
lost to a typing error.

The language of the templates is imported where a text needs it: it is large, and most files of
people on call have no such text. `prepare_texts` does so at the load of a file that has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from amproxy import metrics
from amproxy.config.channels import REGISTRY, ChannelKind, channel_kind
from amproxy.config.go_templates import GoTemplates, go_templates
from amproxy.config.structs import Config
from amproxy.gotemplate.errors import GoTemplateError
from amproxy.grouping.dedup import sort_alerts
from amproxy.log import EventLog
from amproxy.model import Alert, Group, common_pairs
from amproxy.notify.alertmanager_payload import QUOTED
from amproxy.notify.message import Card
from amproxy.secret import Secret
from amproxy.text import Phrase, phrase

if TYPE_CHECKING:
    from amproxy.gotemplate.alertmanager_data import NotificationData, NotifiedAlert
    from amproxy.gotemplate.execution import Limits
    from amproxy.gotemplate.times import GoLocation

log = EventLog(__name__)

# Seconds for all texts of a message, and what each of its alerts adds: default texts need a tenth.
LONGEST_RENDERING, RENDERING_PER_ALERT = 2.0, 0.001
# The same of characters of one text, and of its steps.
MAX_TEXT, TEXT_PER_ALERT = 1_000_000, 5000
MAX_STEPS, STEPS_PER_ALERT = 1_000_000, 1000

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


class FailedText(NamedTuple):
    """A text of the file that could not be filled in."""

    key: str
    error: str  # Go's words


class FilledSettings(NamedTuple):
    settings: Any
    failed: list[FailedText]


def prepare_texts(config: Config) -> None:
    """Load what the first message of a receiver would otherwise wait for: a tenth of a second."""
    for receiver in config.receivers.values():
        for integration in receiver.integrations:
            kind = channel_kind(integration.kind) if integration.kind in REGISTRY else None
            if kind is not None and kind.default_texts:
                go_templates(config.templates).compile("{{ . }}")
                return


def fill_settings(config: Config, channel: str, settings: Any, card: Card) -> FilledSettings:
    """The settings of a message that goes out: what fails is counted and logged."""
    filled = render_settings(config, channel, settings, card)
    for failed in filled.failed:
        metrics.template_failures.labels(channel, card.receiver).inc()
        log.warning(
            "template failed",
            receiver=card.receiver,
            channel=channel,
            key=failed.key,
            error=failed.error,
        )
    return filled


def render_settings(config: Config, channel: str, settings: Any, card: Card) -> FilledSettings:
    """The settings with every template filled in; an incident has amproxy's words for defaults."""
    if channel not in REGISTRY:
        return FilledSettings(settings, [])
    kind, filler = channel_kind(channel), _Filler(go_templates(config.templates), card)
    if card.kind != "group":
        settings = _without_defaults(kind, settings)
    filled = {
        name: filler.fill(kind, settings, name)
        for name in kind.templates
        if getattr(settings, name)
    }
    return FilledSettings(replace(settings, **filled) if filled else settings, filler.failed)


def fill_route_labels(config: Config, card: Card) -> Card:
    """The card of a message that goes out, with its route's labels: what fails is logged."""
    filled, failed = render_route_labels(config, card)
    for one in failed:
        log.warning("template failed", receiver=card.receiver, key=one.key, error=one.error)
    return filled


def render_route_labels(config: Config, card: Card) -> tuple[Card, list[FailedText]]:
    """The card with its route's labels filled in; one whose template fails is left out."""
    if not any("{{" in text for text in card.route_labels.values()):
        return card, []
    from amproxy.gotemplate.values import Pointer

    templates, data = go_templates(config.templates), notification_data(card)
    # the reason of the notification is not for them
    data.notification_reason, data.route_labels_rendered = "unknown", False
    filled, failed = dict[str, str](), list[FailedText]()
    for label in card.route_labels:
        try:
            template = templates.compile(f'{{{{ routeLabels "{label}" }}}}')
            filled[label] = template.render(Pointer(data), int(card.at * 10**9), _limits(card))
        except GoTemplateError as error:
            failed.append(FailedText(f"labels.{label}", str(error)))
    return replace(card, route_labels=filled), failed


def group_route_labels(
    config: Config, group: Group, alerts: Sequence[Alert], now: float, external_url: str
) -> dict[str, str]:
    """The labels of a group's route as a message about all of these alerts would have them.

    now: Unix seconds. What fails is left out, and nobody is told: the messages tell it.
    """
    if not any("{{" in text for text in group.route_labels.values()):
        return group.route_labels
    card = Card(
        kind="group",
        title="",
        alerts=sort_alerts(alerts),
        at=now,
        receiver=group.receiver,
        group_labels=group.labels,
        route_labels=group.route_labels,
        external_url=external_url,
    )
    return render_route_labels(config, card)[0].route_labels


def failure_note(failed: Sequence[FailedText]) -> Phrase | None:
    """A note on a message whose texts failed; None where none did."""
    if not failed:
        return None
    keys = ", ".join(dict.fromkeys(one.key for one in failed))
    return phrase("outcome.template_failed", keys=keys, error=failed[0].error)


def _without_defaults(kind: ChannelKind, settings: _Settings) -> _Settings:
    blank = {
        name: type(text)()
        for name, text in kind.default_texts.items()
        if getattr(settings, name) == text
    }
    return replace(settings, **blank) if blank else settings


class _Filler:
    """The texts of one message: they share its data and the time that they may take."""

    def __init__(self, templates: GoTemplates, card: Card) -> None:
        self.failed: list[FailedText] = []
        self._templates, self._card, self._now = templates, card, int(card.at * 10**9)

    @cached_property
    def _data(self) -> NotificationData:
        return notification_data(self._card)

    @cached_property
    def _limits(self) -> Limits:
        return _limits(self._card)

    def fill(self, kind: ChannelKind, settings: Any, name: str) -> Any:
        """A field of the settings; its default, else nothing, where it fails."""
        html = kind.is_html(settings, name)
        for value in (getattr(settings, name), kind.default_texts.get(name)):
            if value is None:
                break
            try:
                return self._fill(value, html=html, keys=name in kind.templated_keys)
            except GoTemplateError as error:
                self.failed.append(FailedText(name, str(error)))
        return type(getattr(settings, name))()

    def _fill(self, value: Any, *, html: bool, keys: bool) -> Any:
        """A value with its texts filled in. keys: those of a map are templates too."""
        render = partial(self._render, html=html)
        if isinstance(value, Mapping) and not keys:
            return {key: _each_text(item, render) for key, item in value.items()}
        return _each_text(value, render)

    def _render(self, text: str, *, html: bool) -> str:
        if "{{" not in text:
            return text
        from amproxy.gotemplate.values import Pointer

        template = self._templates.compile(text, html=html)
        return template.render(Pointer(self._data), self._now, self._limits)


def _limits(card: Card) -> Limits:
    """The limits of a message's texts; Alertmanager, which has none, sends those of many alerts."""
    from amproxy.gotemplate.execution import Limits

    number = len(card.alerts)
    deadline = time.monotonic() + LONGEST_RENDERING + number * RENDERING_PER_ALERT
    return Limits(
        steps=MAX_STEPS + number * STEPS_PER_ALERT,
        output=MAX_TEXT + number * TEXT_PER_ALERT,
        out_of_time=lambda: time.monotonic() > deadline,
    )


def _each_text(value: Any, render: Callable[[str], str]) -> Any:
    """The value with each text in it rendered, keys of maps too."""
    if isinstance(value, Secret):
        return Secret(render(value.reveal()))
    if isinstance(value, str):
        return render(value)
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return replace(value, **{name: _each_text(one, render) for name, one in fields.items()})
    if isinstance(value, Mapping):
        return {render(name): _each_text(one, render) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_each_text(one, render) for one in value)
    return value


def notification_data(card: Card) -> NotificationData:
    """The data of a message as Alertmanager's templates know it."""
    from amproxy.gotemplate.alertmanager_data import NotificationData, alerts_of, labels_of

    now_ns = int(card.at * 10**9)
    alerts = [_notified_alert(alert, now_ns) for alert in card.alerts]
    firing = (
        any(alert.status == "firing" for alert in alerts) if alerts else (card.state != "resolved")
    )
    annotations = common_pairs(alert.annotations for alert in card.alerts)
    if not card.alerts:
        annotations = {"summary": card.title} | ({"description": card.text} if card.text else {})
    return NotificationData(
        receiver=card.receiver.translate(QUOTED),
        status="firing" if firing else "resolved",
        alerts=alerts_of(alerts),
        notification_reason=card.reason or "unknown",
        group_labels=labels_of(card.group_labels),
        common_labels=labels_of(
            common_pairs(alert.labels for alert in card.alerts) or card.common_labels
        ),
        common_annotations=labels_of(annotations),
        route_labels=labels_of(card.route_labels),
        external_url=card.external_url,
        route_labels_rendered=True,
    )


def _notified_alert(alert: Alert, now_ns: int) -> NotifiedAlert:
    from amproxy.gotemplate.alertmanager_data import NotifiedAlert, labels_of
    from amproxy.gotemplate.times import ZERO_TIME, GoTime

    resolved = alert.resolved(now_ns)
    ends_ns, offset = alert.ends_ns, alert.ends_offset
    if not 0 < ends_ns <= now_ns:
        ends_ns, offset = alert.lapses_ns, 0  # silence ended it
    return NotifiedAlert(
        status="resolved" if resolved else "firing",
        labels=labels_of(alert.labels),
        annotations=labels_of(alert.annotations),
        starts_at=GoTime(alert.starts_ns, _place(alert.starts_offset)),
        ends_at=GoTime(ends_ns, _place(offset)) if resolved else ZERO_TIME,
        generator_url=alert.generator_url,
        fingerprint=alert.fingerprint,
    )


def _place(offset: int) -> GoLocation:
    """The clock of an offset, in minutes east of UTC."""
    from amproxy.gotemplate.times import GO_UTC, GoLocation

    return GoLocation("", seconds=offset * 60) if offset else GO_UTC
