"""Texts with `{{ }}`: amproxy's own are Jinja2; Go templates, which a drop-in file has, are told from them and not run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amproxy.secret import Secret

# What only Go writes inside of {{ }}: a value that begins with a dot or a dollar, wherever it stands, its keywords, its
# declarations and its trimming dashes. The rest of Go is no Jinja2 either and fails there.
_GO = re.compile(
    r"\{\{-|-\}\}|\{\{\s*(?:[.$]|/\*|(?:if|else|end|range|with|template|block|define|break|continue)\b)"
    r"|\{\{[^}]*(?:[\s(|][.$](?:[A-Za-z_)\s]|$)|:=)"
)
_JINJA = ImmutableSandboxedEnvironment()


def is_go(text: str) -> bool:
    """Whether a text is a Go template."""
    return "{{" in text and _GO.search(text) is not None


def jinja_fault(text: str) -> str:
    """Why a text is no Jinja2 template; "" = it is one, or plain text."""
    try:
        _JINJA.parse(text)
    except TemplateError as error:
        return error.message or "not a template"
    return ""


def go_templates(values: Mapping[str, Any]) -> Iterator[str]:
    """The keys of an integration below which there is a Go template."""
    return (key for key, value in values.items() if key != "http_config" and any(map(is_go, _texts(value))))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
