"""Texts from the file: Jinja2, sandboxed. Alert text goes in as data and never as a template."""

from __future__ import annotations

import html
import logging
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amproxy.config.structs import EmailSettings, TelegramSettings
from amproxy.notify.message import Card

log = logging.getLogger(__name__)

LONGEST_TITLE = 500  # characters
TEMPLATE_FIELDS = ("title", "text", "message", "html")
Settings = TypeVar("Settings", bound=msgspec.Struct)
_environment = ImmutableSandboxedEnvironment(autoescape=False)
_environment.globals.clear()


@lru_cache(maxsize=1000)
def _compile(text: str) -> Template:
    return _environment.from_string(text)


def render_title(template: str, variables: dict[str, Any], fallback: str) -> str:
    """One line. A template that fails, or says nothing, gives `fallback`: a page must not be lost to a typing error."""
    return " ".join(_render(template, variables, fallback).split())[:LONGEST_TITLE] or fallback


def _render(template: str, variables: dict[str, Any], fallback: str) -> str:
    try:
        return _compile(template).render(variables)
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        log.warning("template %r failed: %s", template, error)
        return fallback


def render_settings(settings: Settings, card: Card) -> Settings:
    """A receiver's own texts (title, text, message, html, headers) with the card's values in them; others as they are.

    Values are escaped as the place wants it. A text that fails is left out, and the channel says it in its own words.
    """
    texts = {name: getattr(settings, name) for name in TEMPLATE_FIELDS if _is_template(getattr(settings, name, None))}
    headers = getattr(settings, "headers", None)
    if not texts and not (isinstance(headers, dict) and any(map(_is_template, headers.values()))):
        return settings
    variables = _variables(card)
    made: dict[str, Any] = {name: _render(text, _escape_variables(settings, name, variables), "") for name, text in texts.items()}
    if isinstance(headers, dict):
        made["headers"] = {name: render_title(text, variables, "-") for name, text in headers.items()}
    return msgspec.structs.replace(settings, **made)


def _is_template(text: object) -> bool:
    return isinstance(text, str) and ("{{" in text or "{%" in text)


def _variables(card: Card) -> dict[str, Any]:
    return {
        "title": card.title, "number": card.number, "state": card.state, "text": card.text, "receiver": card.receiver,
        "firing": card.firing, "resolved": card.resolved, "url": card.url, "group_labels": card.group_labels,
        "common_labels": card.common_labels, "common_annotations": card.common_annotations, "external_url": card.external_url,
        "alerts": [{"labels": alert.labels, "annotations": alert.annotations} for alert in card.alerts],
    }  # fmt: skip


def _escape_variables(settings: object, field: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The variables made safe for one text. Slack's channel escapes the whole text itself; a mail's plain part needs nothing."""
    if isinstance(settings, TelegramSettings) and settings.parse_mode == "HTML":
        return {name: escape_markup(value, quote=False) for name, value in variables.items()}
    if isinstance(settings, EmailSettings) and field == "html":
        return {name: escape_markup(value, quote=True) for name, value in variables.items()}
    return variables


def escape_markup(value: Any, *, quote: bool) -> Any:
    """The same with every text in it safe within markup; quote: within attributes too."""
    if isinstance(value, str):
        return html.escape(value, quote=quote)
    if isinstance(value, dict):
        return {name: escape_markup(inner, quote=quote) for name, inner in value.items()}
    if isinstance(value, list):
        return [escape_markup(inner, quote=quote) for inner in value]
    return value


def default_title(group_labels: dict[str, str], common_labels: dict[str, str]) -> str:
    """ "HighCPU (cluster=eu1)": the alert's name and what else sets the group apart."""
    name = group_labels.get("alertname") or common_labels.get("alertname") or "Alerts"
    rest = ", ".join(f"{key}={value}" for key, value in sorted(group_labels.items()) if key != "alertname")
    return " ".join(f"{name} ({rest})".split() if rest else name.split())[:LONGEST_TITLE]
