"""A receiver's message as it would go out, text by text and without secrets. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from amproxy.check.texts import example_data
from amproxy.config.channels import REGISTRY, channel_kind
from amproxy.config.structs import Config, Integration, Receiver
from amproxy.grouping.dedup import sort_alerts
from amproxy.model import Alert, Group, OutgoingMessage
from amproxy.notify.alertmanager_texts import render_route_labels, render_settings
from amproxy.notify.compose import group_card
from amproxy.notify.message import Card
from amproxy.secret import HIDDEN, Secret, hide_url_passwords, holds_secret

MAX_SHOWN_TEXT: Final = 10_000  # characters
MAX_SHOWN_TEXTS: Final = 200  # of one integration
_EXAMPLE_AGE: Final = 300  # seconds


class Excerpt(NamedTuple):
    text: str  # at most MAX_SHOWN_TEXT characters
    characters: int  # of the whole text

    @property
    def cut(self) -> bool:
        return self.characters > len(self.text)


class PreviewedText(NamedTuple):
    """One text of an integration; of a hidden one there is neither template nor text."""

    key: str  # of the file: "title", "fields[0].value"
    template: Excerpt  # as the file has it
    text: Excerpt  # as it would go out
    default: bool  # the file leaves it out
    hidden: bool  # it is a secret, or has one in it
    error: str  # Go's words, "" = it could be filled in
    replaced: bool  # it failed, and the default text goes out in its place

    @property
    def telling(self) -> bool:
        """It fails, or values were filled in; not a text that is always the same, or empty."""
        if self.hidden or (self.default and not self.text.text):
            return bool(self.error)
        return bool(self.error) or self.template != self.text


class PreviewedIntegration(NamedTuple):
    integration: Integration
    texts: list[PreviewedText]  # at most MAX_SHOWN_TEXTS
    left_out: int  # of the texts

    @property
    def failed(self) -> int:
        return sum(bool(one.error) for one in self.texts)


def preview_receiver(
    config: Config,
    receiver: Receiver,
    group: Group,
    alerts: list[Alert],
    *,
    now: float,
    external_url: str,
) -> list[PreviewedIntegration]:
    """The texts of each integration in a first notification of these alerts, ended ones too.

    group: it counts as one of the receiver's, whatever receiver its route has.
    """
    group, found = msgspec.structs.replace(group, receiver=receiver.name), []
    for integration in receiver.integrations:
        texts: list[PreviewedText] = []
        if integration.kind in REGISTRY:
            message = _message(integration, group, alerts, now)
            card = group_card(message, now=now, external_url=external_url)
            texts += _previewed_texts(config, integration, card)
        left_out = max(0, len(texts) - MAX_SHOWN_TEXTS)
        found.append(PreviewedIntegration(integration, texts[:MAX_SHOWN_TEXTS], left_out))
    return found


def example_group(receiver: str, now: float) -> tuple[Group, list[Alert]]:
    """The group that `check` tries texts on: one alert that fires, and one that has just ended."""
    data, begun = example_data(), int((now - _EXAMPLE_AGE) * 10**9)
    labels = dict(data.group_labels)
    group = Group(id="example", key="example", receiver=receiver, route_key="{}", labels=labels)
    alerts = [
        Alert(
            fingerprint=one.fingerprint,
            labels=dict(one.labels),
            annotations=dict(one.annotations),
            starts_ns=begun,
            ends_ns=int(now * 10**9) if one.status == "resolved" else 0,
            generator_url=one.generator_url,
        )
        for one in data.alerts
    ]
    return group, alerts


def _message(
    integration: Integration, group: Group, alerts: list[Alert], now: float
) -> OutgoingMessage:
    now_ns = int(now * 10**9)
    shown = sort_alerts(
        one for one in alerts if integration.send_resolved or not one.resolved(now_ns)
    )
    limit = getattr(integration.settings, "max_alerts", 0) or len(shown)
    return OutgoingMessage(
        id="preview",
        kind="notification",
        channel=integration.kind,
        due=now,
        group=group,
        alerts=shown[:limit],
        truncated=max(0, len(shown) - limit),
        reason="first notification",
    )


def _previewed_texts(
    config: Config, integration: Integration, card: Card
) -> Iterator[PreviewedText]:
    kind = channel_kind(integration.kind)
    filled_card, failed_labels = render_route_labels(config, card)
    for failed in failed_labels:
        template = card.route_labels[failed.key.removeprefix("labels.")]
        yield _shown(failed.key, template, "", error=failed.error)
    filled, failed_texts = render_settings(
        config, integration.kind, integration.settings, filled_card
    )
    for name in kind.templates:
        value, now = getattr(integration.settings, name), getattr(filled, name)
        if not value:
            continue
        is_default = value == kind.default_texts.get(name)
        before, after = list(_leaves(_key(name), value)), list(_leaves(_key(name), now))
        errors = [one.error for one in failed_texts if one.key == name]
        # A field that fails is given up whole, and keys of a map may become the same.
        if errors or len(before) != len(after):
            yield _shown(
                _key(name),
                _joined(before),
                _joined(after),
                default=is_default,
                secret=any(one.secret for one in (*before, *after)),
                error=errors[0] if errors else "",
                # a second error is that of the default text
                replaced=len(errors) == 1 and name in kind.default_texts,
            )
            continue
        for was, is_ in zip(before, after, strict=True):
            if was.text or is_.text:
                secret = was.secret or is_.secret
                yield _shown(is_.key, was.text, is_.text, default=is_default, secret=secret)


class _Leaf(NamedTuple):
    """A text in a field of the settings, and its place there."""

    key: str
    text: str
    secret: bool


def _leaves(key: str, value: Any) -> Iterator[_Leaf]:
    """The texts of a value, and what else it holds as JSON; as many before filling in as after."""
    if isinstance(value, Secret):
        yield _Leaf(key, value.reveal(), secret=True)
    elif isinstance(value, str):
        yield _Leaf(key, value, secret=False)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _leaves(f"{key}.{_key(name)}", getattr(value, name))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(f"{key}.{name}", one)
    elif isinstance(value, list | tuple):
        for place, one in enumerate(value):
            yield from _leaves(f"{key}[{place}]", one)
    elif value is not None:
        yield _Leaf(key, msgspec.json.encode(value).decode(), secret=False)


def _joined(leaves: list[_Leaf]) -> str:
    if len(leaves) == 1:
        return leaves[0].text
    return "\n".join(f"{one.key}: {one.text}" for one in leaves if one.text)


def _key(name: str) -> str:
    """The key of the file; fields have a "_" after those that are words of Python."""
    return name.rstrip("_")


def _shown(
    key: str,
    template: str,
    text: str,
    *,
    default: bool = False,
    secret: bool = False,
    error: str = "",
    replaced: bool = False,
) -> PreviewedText:
    hidden = secret or any(map(holds_secret, (key, template, text, error)))
    return PreviewedText(
        key=HIDDEN if holds_secret(key) else key,
        template=_excerpt("" if hidden else template),
        text=_excerpt("" if hidden else text),
        default=default,
        hidden=hidden,
        error=HIDDEN if hidden and error else _excerpt(error).text,
        replaced=replaced,
    )


def _excerpt(text: str) -> Excerpt:
    shown = hide_url_passwords(text)
    return Excerpt(shown[:MAX_SHOWN_TEXT], len(shown))
