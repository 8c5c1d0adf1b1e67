"""Kinds of integrations as tables of their keys, and the readers of those keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import read_http_config
from amproxy.config.read.values import (
    boolean,
    file,
    go_duration,
    integer,
    list_of,
    raw,
    secret,
    secret_url,
    text,
)
from amproxy.config.yaml import ScalarNode, SequenceNode
from amproxy.text.problems import alternatives

_RESPONDER_TYPES: Final = ("team", "teams", "user", "escalation", "schedule")


# A template, Go's and Jinja's alike, that renders nothing.
EMPTY_TEXT: Final = '{{ "" }}'
NOT_NEGATIVE: Final = integer(0)
COMMON: Final[dict[str, Reader]] = {"send_resolved": boolean, "http_config": read_http_config}
TIMEOUT: Final[dict[str, Reader]] = {"timeout": go_duration}


@dataclass(frozen=True, kw_only=True)
class IntegrationKind:
    """The keys of one entry of a `*_configs` list.

    `inherited` maps keys to the keys of `global` that fill them in where they are missing; of keys
    that exclude each other only where none is given. `one_of`: of each group one key must be
    present in the end, `at_most`: at most one may be given.
    """

    keys: dict[str, Reader]
    send_resolved: bool = True
    one_of: tuple[tuple[str, ...], ...] = ()
    at_most: tuple[tuple[str, ...], ...] = ()
    inherited: dict[str, str] = field(default_factory=dict)
    # Whether an http_config without a proxy of its own takes that of `global`.
    inherits_proxy: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)
    check: Callable[[Section], None] = lambda section: None


def template_keys(*keys: str) -> dict[str, Reader]:
    """Keys whose values may be templates: `${` in them is no environment variable."""
    return dict.fromkeys(keys, raw)


def address_keys(*keys: str) -> dict[str, Reader]:
    """Keys for the recipient of a message: a template, or a text with environment variables."""
    return dict.fromkeys(keys, _text_or_template)


def written_texts(section: Section, *keys: str) -> dict[str, Any]:
    """The texts of keys that are given, for a struct whose "" stands for "left out".

    A text written as "" wants nothing in the place of the default text: it becomes a template that
    renders nothing.
    """
    return {key: section[key] or EMPTY_TEXT for key in keys if key in section}


def _is_template(at: Cursor) -> bool:
    return isinstance(at.node, ScalarNode) and "{{" in at.node.text


def _text_or_template(at: Cursor) -> str | None:
    return raw(at) if _is_template(at) else text(at)


def template_or_url(at: Cursor) -> Any:
    """A secret URL, which Alertmanager may fill in by a template."""
    return secret(at) if _is_template(at) else secret_url(at)


def with_file_key(key: str, reader: Reader = secret) -> dict[str, Reader]:
    """A secret key and its twin that names a file."""
    return {key: reader, f"{key}_file": file}


def has_authorization(http: Mapping[str, Any]) -> bool:
    """True where an http_config sets `authorization`, or `bearer_token`, its older form."""
    return any(http.get(key) for key in ("authorization", "bearer_token", "bearer_token_file"))


def chat_webhook_kind(*keys: str, inherits_proxy: bool = False) -> IntegrationKind:
    """A chat with incoming webhooks, and the keys of its texts."""
    address = ("webhook_url", "webhook_url_file")
    return IntegrationKind(
        keys={**COMMON, **with_file_key("webhook_url", secret_url), **template_keys(*keys)},
        one_of=(address,),
        at_most=(address,),
        inherits_proxy=inherits_proxy,
    )


def choice_or_template(*allowed: str) -> Reader:
    """One of a few words, or a template that gives one."""

    def read(at: Cursor) -> str | None:
        found = raw(at)
        if found is None or found in allowed or "{{" in found:
            return found
        words = alternatives([word for word in allowed if word], quoted=True)
        at.error("problem.not_allowed", value=found, allowed=words)
        return None

    return read


def section_requiring(table: dict[str, Reader], *required: str) -> Reader:
    """A map in which some keys must be given."""

    def read(at: Cursor) -> Section:
        section = at.section(table)
        for key in required:
            section.require(key)
        return section

    return read


_ATTACHMENT_FIELD: Final[dict[str, Reader]] = {
    **template_keys("title", "value"),
    "short": boolean,
}
attachment_field: Final = section_requiring(_ATTACHMENT_FIELD, "title", "value")


def slack_action(at: Cursor) -> Section:
    """A button of a Slack message: a link or an action."""
    confirm = section_requiring(template_keys("text", "title", "ok_text", "dismiss_text"), "text")
    section = at.section(
        {**template_keys("type", "text", "url", "style", "name", "value"), "confirm": confirm}
    )
    section.require("type")
    section.require("text")
    section.require("name", "url")
    return section


def opsgenie_responder(at: Cursor) -> Section:
    """A person or team that OpsGenie notifies."""
    section = at.section(template_keys("id", "name", "username", "type"))
    section.require("id", "name", "username")
    found = section.get("type", "")
    if "{{" not in found and found.lower() not in _RESPONDER_TYPES:
        section.error("type", "problem.responder_type", types=", ".join(_RESPONDER_TYPES))
    return section


def jira_field(at: Cursor) -> Any:
    """A field of Jira: a text, or a map with a switch for updates."""
    if isinstance(at.node, ScalarNode):
        return raw(at)
    return at.section({"template": raw, "enable_update": boolean})


def jira_labels(at: Cursor) -> Any:
    """Labels of Jira: a list, or a map with a switch for updates."""
    if isinstance(at.node, SequenceNode):
        return list_of(raw)(at)
    return at.section({"values": list_of(raw), "enable_update": boolean})
