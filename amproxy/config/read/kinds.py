"""Readers of what stands inside of an integration: texts, buttons, fields, responders.

Kinds of integrations as tables of their keys: those that amproxy can deliver. The rest is in kinds_foreign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import read_http_config, read_tls_config
from amproxy.config.read.values import (
    boolean,
    choice,
    file,
    go_duration,
    host_port,
    integer,
    list_of,
    literal,
    map_of,
    raw,
    secret,
    secret_url,
    section_of,
    text,
    url,
)
from amproxy.config.yaml import ScalarNode, SequenceNode

_RESPONDER_TYPES: Final = ("team", "teams", "user", "escalation", "schedule")


def template_keys(*keys: str) -> dict[str, Reader]:
    """Keys whose values may be templates: `${` in them is no environment variable."""
    return dict.fromkeys(keys, raw)


def _text_or_template(at: Cursor) -> str | None:
    return raw(at) if isinstance(at.node, ScalarNode) and "{{" in at.node.text else text(at)


def address_keys(*keys: str) -> dict[str, Reader]:
    """Keys that say where a message goes: environment variables are replaced, unless it is a template."""
    return dict.fromkeys(keys, _text_or_template)


def with_file_key(key: str, reader: Reader = secret) -> dict[str, Reader]:
    """A secret and its twin that names a file."""
    return {key: reader, f"{key}_file": file}


def template_or_url(at: Cursor) -> Any:
    """A secret URL, which Alertmanager may fill in by a template."""
    return secret(at) if isinstance(at.node, ScalarNode) and "{{" in at.node.text else secret_url(at)


def choice_or_template(*allowed: str) -> Reader:
    """One of a few words, or a template that gives one."""

    def read(at: Cursor) -> str | None:
        found = raw(at)
        if found is None or found in allowed or "{{" in found:
            return found
        at.error(f"{found!r} is not allowed here: expected {' or '.join(repr(word) for word in allowed if word)}")
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


def slack_action(at: Cursor) -> Section:
    """A button of Slack's: a link or a message."""
    confirm = section_requiring(template_keys("text", "title", "ok_text", "dismiss_text"), "text")
    section = at.section({**template_keys("type", "text", "url", "style", "name", "value"), "confirm": confirm})
    section.require("type")
    section.require("text")
    section.require("name", "url")
    return section


def opsgenie_responder(at: Cursor) -> Section:
    """Whom OpsGenie tells."""
    section = at.section(template_keys("id", "name", "username", "type"))
    section.require("id", "name", "username")
    found = section.get("type", "")
    if "{{" not in found and found.lower() not in _RESPONDER_TYPES:
        section.error("type", f"the type of a responder must be one of {', '.join(_RESPONDER_TYPES)}")
    return section


def jira_field(at: Cursor) -> Any:
    """A field of Jira: a text, or a map that also says whether it is updated."""
    return raw(at) if isinstance(at.node, ScalarNode) else at.section({"template": raw, "enable_update": boolean})


def jira_labels(at: Cursor) -> Any:
    """Labels of Jira: a list, or a map that also says whether they are updated."""
    if isinstance(at.node, SequenceNode):
        return list_of(raw)(at)
    return at.section({"values": list_of(raw), "enable_update": boolean})


NOT_NEGATIVE: Final = integer(0)
COMMON: Final[dict[str, Reader]] = {"send_resolved": boolean, "http_config": read_http_config}
TIMEOUT: Final[dict[str, Reader]] = {"timeout": go_duration}


@dataclass(frozen=True, kw_only=True)
class IntegrationKind:
    """What may stand in one entry of a `*_configs` list.

    `inherited` says which keys of `global` fill in keys that are missing; keys that exclude each other are filled in only
    where none of them is given. `one_of`: of each group one key must be there in the end, `at_most`: one may be given.
    """

    keys: dict[str, Reader]
    send_resolved: bool = True
    one_of: tuple[tuple[str, ...], ...] = ()
    at_most: tuple[tuple[str, ...], ...] = ()
    inherited: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    check: Callable[[Section], None] = lambda section: None


def _check_email(section: Section) -> None:
    headers = section.get("headers", {})
    seen: set[str] = set()
    for header in headers:
        if header.lower() in seen:
            section.error("headers", f"the header {header!r} is given twice (upper and lower case are the same)")
        seen.add(header.lower())
    threading = section.get("threading", {})
    if threading.get("enabled"):
        if seen & {"references", "in-reply-to"}:
            section.error("headers", "with threading enabled, References and In-Reply-To are set by the threading")
        if "thread_by_date" not in threading:
            section.error("threading", "missing thread_by_date: none or daily")


def _check_slack(section: Section) -> None:
    http = section.get("http_config", {})
    if section.given("app_token", "app_token_file") and "authorization" in http:
        section.error("http_config", "authorization may not stand beside an app_token, which is sent in its place")
    api_url = section.get("api_url")
    if section.get("update_message") and api_url is not None and api_url != section.get("app_url"):
        section.error("update_message", "an incoming webhook cannot change its messages: update_message needs an app_token")


WEBHOOK: Final = IntegrationKind(
    keys={**COMMON, **TIMEOUT, **with_file_key("url", template_or_url), "max_alerts": NOT_NEGATIVE, "payload": literal},
    one_of=(("url", "url_file"),),
    at_most=(("url", "url_file"),),
    defaults={"max_alerts": 0},
)

ALERTMANAGER: Final = IntegrationKind(  # amproxy's own: groups go on to another Alertmanager's API
    keys={**COMMON, **TIMEOUT, **with_file_key("url", template_or_url)},
    one_of=(("url", "url_file"),),
    at_most=(("url", "url_file"),),
)

EMAIL: Final = IntegrationKind(
    keys={
        "send_resolved": boolean,
        **address_keys("to", "from"),
        **template_keys("html", "text"),
        **dict.fromkeys(("hello", "auth_username", "auth_identity"), text),
        "smarthost": host_port,
        **with_file_key("auth_password"),
        **with_file_key("auth_secret"),
        "headers": map_of(raw),
        "require_tls": boolean,
        "tls_config": read_tls_config,
        "force_implicit_tls": boolean,
        "threading": section_of({"enabled": boolean, "thread_by_date": choice("none", "daily")}),
    },
    send_resolved=False,
    one_of=(("to",), ("from",), ("smarthost",)),
    at_most=(("auth_password", "auth_password_file"), ("auth_secret", "auth_secret_file")),
    inherited={
        key: f"smtp_{key}"
        for key in (
            *("from", "hello", "smarthost", "auth_username", "auth_password", "auth_password_file", "auth_secret"),
            *("auth_secret_file", "auth_identity", "require_tls", "tls_config", "force_implicit_tls"),
        )
    },
    check=_check_email,
)

SLACK: Final = IntegrationKind(
    keys={
        **COMMON,
        **TIMEOUT,
        **with_file_key("api_url", secret_url),
        **with_file_key("app_token"),
        "app_url": url,
        **address_keys("channel"),
        **template_keys("username", "color", "title", "title_link", "pretext", "text", "message_text", "footer", "fallback"),
        **template_keys("callback_id", "icon_emoji", "icon_url", "image_url", "thumb_url"),
        "fields": list_of(section_requiring({**template_keys("title", "value"), "short": boolean}, "title", "value")),
        **dict.fromkeys(("short_fields", "link_names", "update_message"), boolean),
        "mrkdwn_in": list_of(raw),
        "actions": list_of(slack_action),
    },
    send_resolved=False,
    one_of=(("api_url", "api_url_file", "app_token", "app_token_file"),),
    at_most=(("api_url", "api_url_file", "app_token", "app_token_file"),),
    inherited={
        "app_url": "slack_app_url",
        "app_token": "slack_app_token",
        "app_token_file": "slack_app_token_file",
        "api_url": "slack_api_url",
        "api_url_file": "slack_api_url_file",
    },
    defaults={"short_fields": False, "link_names": False},
    check=_check_slack,
)

TELEGRAM: Final = IntegrationKind(
    keys={
        **COMMON,
        "api_url": url,
        **with_file_key("bot_token"),
        **with_file_key("chat_id", integer()),
        "message_thread_id": integer(),
        "message": raw,
        "disable_notifications": boolean,
        "parse_mode": choice_or_template("", "Markdown", "MarkdownV2", "HTML"),
    },
    one_of=(("bot_token", "bot_token_file"), ("chat_id", "chat_id_file")),
    at_most=(("bot_token", "bot_token_file"), ("chat_id", "chat_id_file")),
    inherited={"api_url": "telegram_api_url", "bot_token": "telegram_bot_token", "bot_token_file": "telegram_bot_token_file"},
    defaults={"parse_mode": "HTML"},
)
