"""Texts from the file: Jinja2, sandboxed. Alert text goes in as data and never as a template."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

log = logging.getLogger(__name__)

LONGEST_TITLE = 500  # characters
_environment = ImmutableSandboxedEnvironment(autoescape=False)
_environment.globals.clear()


@lru_cache(maxsize=1000)
def _compile(text: str) -> Template:
    return _environment.from_string(text)


def render_title(template: str, variables: dict[str, Any], fallback: str) -> str:
    """One line. A template that fails, or says nothing, gives `fallback`: a page must not be lost to a typing error."""
    try:
        text = " ".join(_compile(template).render(variables).split())
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        log.warning("title template %r failed: %s", template, error)
        return fallback
    return text[:LONGEST_TITLE] or fallback


def default_title(group_labels: dict[str, str], common_labels: dict[str, str]) -> str:
    """ "HighCPU (cluster=eu1)": the alert's name and what else sets the group apart."""
    name = group_labels.get("alertname") or common_labels.get("alertname") or "Alerts"
    rest = ", ".join(f"{key}={value}" for key, value in sorted(group_labels.items()) if key != "alertname")
    return " ".join(f"{name} ({rest})".split() if rest else name.split())[:LONGEST_TITLE]
