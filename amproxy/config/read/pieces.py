"""Readers of what stands inside of an integration: texts, buttons, fields, responders."""

from __future__ import annotations

from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.quantities import boolean
from amproxy.config.read.values import file, list_of, raw, secret, secret_url, text
from amproxy.config.yaml import Scalar, Sequence

_RESPONDERS: Final = ("team", "teams", "user", "escalation", "schedule")


def texts(*keys: str) -> dict[str, Reader]:
    """Keys whose values may be templates: `${` in them is no environment variable."""
    return dict.fromkeys(keys, raw)


def _text_or_template(at: Cursor) -> str | None:
    return raw(at) if isinstance(at.node, Scalar) and "{{" in at.node.text else text(at)


def addresses(*keys: str) -> dict[str, Reader]:
    """Keys that say where a message goes: environment variables are replaced, unless it is a template."""
    return dict.fromkeys(keys, _text_or_template)


def pair(key: str, reader: Reader = secret) -> dict[str, Reader]:
    """A secret and its twin that names a file."""
    return {key: reader, f"{key}_file": file}


def template_or_url(at: Cursor) -> Any:
    """A secret URL, which Alertmanager may fill in by a template."""
    return secret(at) if isinstance(at.node, Scalar) and "{{" in at.node.text else secret_url(at)


def option(*allowed: str) -> Reader:
    """One of a few words, or a template that gives one."""

    def read(at: Cursor) -> str | None:
        found = raw(at)
        if found is None or found in allowed or "{{" in found:
            return found
        at.error(f"{found!r} is not allowed here: expected {' or '.join(repr(word) for word in allowed if word)}")
        return None

    return read


def filled(table: dict[str, Reader], *required: str) -> Reader:
    """A map in which some keys must be given."""

    def read(at: Cursor) -> Section:
        section = at.section(table)
        for key in required:
            section.require(key)
        return section

    return read


def action(at: Cursor) -> Section:
    """A button of Slack's: a link or a message."""
    confirm = filled(texts("text", "title", "ok_text", "dismiss_text"), "text")
    section = at.section({**texts("type", "text", "url", "style", "name", "value"), "confirm": confirm})
    section.require("type")
    section.require("text")
    section.require("name", "url")
    return section


def responder(at: Cursor) -> Section:
    """Whom OpsGenie tells."""
    section = at.section(texts("id", "name", "username", "type"))
    section.require("id", "name", "username")
    found = section.get("type", "")
    if "{{" not in found and found.lower() not in _RESPONDERS:
        section.error("type", f"the type of a responder must be one of {', '.join(_RESPONDERS)}")
    return section


def text_or_update(at: Cursor) -> Any:
    """A field of Jira: a text, or a map that also says whether it is updated."""
    return raw(at) if isinstance(at.node, Scalar) else at.section({"template": raw, "enable_update": boolean})


def labels_or_update(at: Cursor) -> Any:
    """Labels of Jira: a list, or a map that also says whether they are updated."""
    if isinstance(at.node, Sequence):
        return list_of(raw)(at)
    return at.section({"values": list_of(raw), "enable_update": boolean})
