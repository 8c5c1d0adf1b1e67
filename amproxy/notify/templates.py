"""Texts from the file: Jinja2, sandboxed. Alert text goes in as data and never as a template."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amproxy.config.channels import REGISTRY, Escape, channel_kind
from amproxy.log import EventLog
from amproxy.model import Alert, Group, common_pairs
from amproxy.notify.message import Card

log = EventLog(__name__)

LONGEST_TITLE = 500  # characters
MAX_TITLE_ALERTS = 100  # alerts that the template of a title gets


class TemplateFailed(ValueError):
    """A template that cannot be rendered with its values; the text says why."""


Settings = TypeVar("Settings", bound=msgspec.Struct)

# Whatever an expression over the card's values may raise.
_TEMPLATE_ERRORS: Final = (
    *(TemplateError, ArithmeticError, TypeError, ValueError, LookupError),
    *(AttributeError, RecursionError, MemoryError),
)

# Sandboxed and without globals: a template reaches nothing but the card's values.
# No autoescape: each text is escaped for its own place by `_escape_values`.
_environment = ImmutableSandboxedEnvironment(autoescape=False)
_environment.globals.clear()


def render_title(template: str, variables: dict[str, Any], fallback: str) -> str:
    """One line of text; `fallback` where the template fails or renders nothing.

    A page must not be lost to a typing error.
    """
    return " ".join(_render(template, variables, fallback).split())[:LONGEST_TITLE] or fallback


def render_settings(channel: str, settings: Settings, card: Card) -> Settings:
    """A receiver's settings with the card's values in its own texts and headers.

    Values are escaped as each text needs it. A text that fails is left out, so that the channel
    uses its own: a page must not be lost to a typing error.
    """
    if channel not in REGISTRY:
        return settings
    kind = channel_kind(channel)
    texts = {
        name: getattr(settings, name)
        for name in kind.templates
        if is_template(getattr(settings, name, None))
    }
    headers = getattr(settings, "headers", None)
    if not texts and not (isinstance(headers, dict) and any(map(is_template, headers.values()))):
        return settings
    variables = _variables(card)
    rendered: dict[str, Any] = {
        name: _render(text, _escape_values(variables, kind.escape(settings, name)), "")
        for name, text in texts.items()
    }
    if isinstance(headers, dict):
        rendered["headers"] = {
            name: render_title(text, variables, "-") for name, text in headers.items()
        }
    return msgspec.structs.replace(settings, **rendered)


def default_title(group_labels: dict[str, str], common_labels: dict[str, str]) -> str:
    """ "HighCPU (cluster=eu1)": the alert's name and the other group labels."""
    name = group_labels.get("alertname") or common_labels.get("alertname") or "Alerts"
    others = (item for item in sorted(group_labels.items()) if item[0] != "alertname")
    rest = ", ".join(f"{key}={value}" for key, value in others)
    return " ".join((f"{name} ({rest})" if rest else name).split())[:LONGEST_TITLE]


def incident_title(template: str, group: Group, firing: Sequence[Alert]) -> str:
    """The title of an incident that a group of firing alerts opens.

    template: the receiver's own, "" = the default title.
    """
    labels = common_pairs(alert.labels for alert in firing)
    title = default_title(group.labels, labels)
    if not template:
        return title
    variables = {
        "group_labels": group.labels,
        "common_labels": labels,
        "common_annotations": common_pairs(alert.annotations for alert in firing),
        "receiver": group.receiver,
        "alerts": [
            {"labels": alert.labels, "annotations": alert.annotations}
            for alert in firing[:MAX_TITLE_ALERTS]
        ],
        "firing": len(firing),
    }
    return render_title(template, variables, fallback=title)


def render_text(template: str, variables: dict[str, Any]) -> str:
    """A text with its values, unescaped. Raises TemplateFailed."""
    try:
        return _compile(template).render(variables)
    except _TEMPLATE_ERRORS as error:
        raise TemplateFailed(str(error) or type(error).__name__) from None


def _render(template: str, variables: dict[str, Any], fallback: str) -> str:
    try:
        return render_text(template, variables)
    except TemplateFailed as error:
        log.warning("template failed", template=template, error=str(error))
        return fallback


@lru_cache(maxsize=1000)
def _compile(text: str) -> Template:
    return _environment.from_string(text)


def is_template(text: object) -> bool:
    """True for a text with values to fill in."""
    return isinstance(text, str) and ("{{" in text or "{%" in text)


def _variables(card: Card) -> dict[str, Any]:
    return {
        "title": card.title,
        "number": card.number,
        "state": card.state,
        "text": card.text,
        "receiver": card.receiver,
        "firing": card.firing,
        "resolved": card.resolved,
        "url": card.url,
        "group_labels": card.group_labels,
        "common_labels": card.common_labels,
        "common_annotations": card.common_annotations,
        "external_url": card.external_url,
        "alerts": [
            {"labels": alert.labels, "annotations": alert.annotations} for alert in card.alerts
        ],
    }


def _escape_values(value: Any, escape: Escape) -> Any:
    """The value with every text in it escaped."""
    if escape == "none":
        return value
    if isinstance(value, str):
        return html.escape(value, quote=escape == "attribute")
    if isinstance(value, dict):
        return {name: _escape_values(inner, escape) for name, inner in value.items()}
    if isinstance(value, list):
        return [_escape_values(inner, escape) for inner in value]
    return value
