"""The loaded keys of an integration → the struct that its channel works with.

Texts with `{{ }}`: amproxy's own are Jinja2; Go templates, which a drop-in file has, are told from them and not run.

One entry of a `*_configs` list: read by the table of its kind, filled in from `global`, made into its struct.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amproxy.config.read import foreign_kinds, kinds
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import build_http_settings, build_tls_settings
from amproxy.config.read.kinds import IntegrationKind
from amproxy.config.read.values import boolean, choice, raw, reference
from amproxy.config.structs import EmailSettings, Integration, OncallSettings, SlackSettings, TelegramSettings, WebhookSettings
from amproxy.secret import Secret, reveal


def _pick_keys(section: Section, *keys: str) -> dict[str, Any]:
    """The keys that are there; the struct knows the defaults of the rest."""
    return {key: section[key] for key in keys if key in section}


def build_webhook_settings(section: Section) -> WebhookSettings:
    return WebhookSettings(
        **_pick_keys(section, "url", "url_file", "max_alerts"),
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
    )


def build_slack_settings(section: Section) -> SlackSettings:
    return SlackSettings(
        **_pick_keys(section, "channel", "api_url", "api_url_file", "app_token", "app_token_file", "app_url"),
        **_pick_keys(section, "title", "text", "username", "icon_emoji", "icon_url"),
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
    )


def build_telegram_settings(section: Section) -> TelegramSettings:
    """`chat_id_file` is read here, once: a chat is no secret that changes. A bad one gives chat 0."""
    if "chat_id_file" in section:
        section["chat_id"] = _read_number_file(section["chat_id_file"])
    return TelegramSettings(
        **_pick_keys(section, "api_url", "bot_token", "bot_token_file", "chat_id", "message_thread_id", "message"),
        **_pick_keys(section, "disable_notifications", "parse_mode"),
        http=build_http_settings(section["http_config"]),
    )


def _read_number_file(path: str) -> int:
    try:
        return int(reveal(Secret(""), path))
    except (OSError, ValueError):  # a warning stands where the file is named, or the integration says it has no chat
        return 0


def build_email_settings(section: Section) -> EmailSettings:
    return EmailSettings(
        **_pick_keys(section, "to", "hello", "smarthost", "auth_username", "auth_password", "auth_password_file", "auth_identity"),
        **_pick_keys(section, "headers", "html", "text", "require_tls"),
        from_=section.get("from", ""),
        implicit_tls=section.get("force_implicit_tls"),
        tls=build_tls_settings(section.get("tls_config")),
    )


# What only Go writes inside of {{ }}: a value that begins with a dot or a dollar, wherever it stands, its keywords, its
# declarations and its trimming dashes. The rest of Go is no Jinja2 either and fails there.
_GO_TEMPLATE = re.compile(
    r"\{\{-|-\}\}|\{\{\s*(?:[.$]|/\*|(?:if|else|end|range|with|template|block|define|break|continue)\b)"
    r"|\{\{[^}]*(?:[\s(|][.$](?:[A-Za-z_)\s]|$)|:=)"
)
_JINJA = ImmutableSandboxedEnvironment()


def is_go_template(text: str) -> bool:
    """Whether a text is a Go template."""
    return "{{" in text and _GO_TEMPLATE.search(text) is not None


def jinja_fault(text: str) -> str:
    """Why a text is no Jinja2 template; "" = it is one, or plain text."""
    try:
        _JINJA.parse(text)
    except TemplateError as error:
        return error.message or "not a template"
    return ""


def go_template_keys(values: Mapping[str, Any]) -> Iterator[str]:
    """The keys of an integration below which there is a Go template."""
    return (key for key, value in values.items() if key != "http_config" and any(map(is_go_template, _nested_texts(value))))


def _nested_texts(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _nested_texts(item)


INTEGRATION_KINDS: Final[dict[str, IntegrationKind]] = {  # in the order in which Alertmanager sends
    "webhook": kinds.WEBHOOK,
    "email": kinds.EMAIL,
    "pagerduty": foreign_kinds.PAGERDUTY,
    "opsgenie": foreign_kinds.OPSGENIE,
    "wechat": foreign_kinds.WECHAT,
    "slack": kinds.SLACK,
    "victorops": foreign_kinds.VICTOROPS,
    "pushover": foreign_kinds.PUSHOVER,
    "sns": foreign_kinds.SNS,
    "telegram": kinds.TELEGRAM,
    "discord": foreign_kinds.DISCORD,
    "webex": foreign_kinds.WEBEX,
    "msteams": foreign_kinds.MSTEAMS,
    "msteamsv2": foreign_kinds.MSTEAMSV2,
    "jira": foreign_kinds.JIRA,
    "incidentio": foreign_kinds.INCIDENTIO,
    "rocketchat": foreign_kinds.ROCKETCHAT,
    "mattermost": foreign_kinds.MATTERMOST,
    "alertmanager": kinds.ALERTMANAGER,
}
_SETTINGS_BUILDERS: Final[dict[str, Callable[[Section], Any]]] = {  # the kinds that amproxy can deliver
    "webhook": build_webhook_settings,
    "alertmanager": build_webhook_settings,
    "email": build_email_settings,
    "slack": build_slack_settings,
    "telegram": build_telegram_settings,
}
_UNUSED: Final[dict[str, tuple[str, ...]]] = {  # keys of these that change nothing, for amproxy draws its messages itself
    "email": ("auth_secret", "auth_secret_file", "threading"),
    "slack": (
        *("color", "title_link", "pretext", "message_text", "fields", "short_fields", "footer", "fallback", "callback_id"),
        *("image_url", "thumb_url", "link_names", "mrkdwn_in", "actions", "update_message"),
    ),
}
_JINJA_KEYS: Final = {"slack": ("title", "text"), "telegram": ("message",), "email": ("html", "text")}
_ONCALL: Final[dict[str, Reader]] = {
    "send_resolved": boolean,
    "escalation_policy": reference("escalation_policies", "escalation policy"),
    "title": raw,
    "urgency": choice("default", "important"),
}


def read_integration(kind: str, defaults: Section, at: Cursor) -> Section:
    """The keys of one entry, `global` filled in and checked. `defaults` are the keys of `global`."""
    table = INTEGRATION_KINDS[kind]
    section = at.section(table.keys)
    for group in table.at_most:
        section.exclusive(*group)
    _inherit_from_global(section, table, defaults)
    table.check(section)
    for group in table.one_of:
        if not any(section.get(key) or section.given(key) for key in group):
            from_global = [table.inherited[key] for key in group if key in table.inherited]
            section.require(*group, why=f"give it here, or {' or '.join(from_global)} in global" if from_global else "")
    for key, value in {"send_resolved": table.send_resolved, **table.defaults}.items():
        section.setdefault(key, value)
    return section


def _inherit_from_global(section: Section, table: IntegrationKind, defaults: Section) -> None:
    closed = {key for group in table.at_most if section.given(*group) for key in group}
    if "authorization" in section.get("http_config", {}):
        closed |= {"app_token", "app_token_file"}  # the authorization of its own stands in for them
    for key, source in table.inherited.items():
        if source in defaults and key not in closed and not section.given(key):
            section[key] = defaults[source]
    if "http_config" in table.keys:
        section.setdefault("http_config", defaults["http_config"])


def build_integration(kind: str, index: int, section: Section) -> Integration:
    """The struct of one entry; where amproxy cannot deliver it, a warning says why."""
    settings = _SETTINGS_BUILDERS.get(kind, dict)(section)
    reason = _why_undeliverable(kind, section)
    if reason:
        section.cursor.warn("undeliverable", reason)
    for key in _UNUSED.get(kind, ()):
        if section.given(key):
            section.places[key].warn("unused", f"{key} has no effect: amproxy draws its own message")
    return Integration(
        kind=kind,
        index=index,
        send_resolved=section["send_resolved"],
        settings=settings,
        undeliverable=reason,
        place=section.cursor.place,
    )


def _why_undeliverable(kind: str, section: Section) -> str:
    if kind not in _SETTINGS_BUILDERS:
        return f"amproxy cannot deliver {kind} yet"
    go = next(go_template_keys(section), "")
    if go:
        return f"{go} is a Go template, which amproxy does not run (its own texts are Jinja2)"
    for key in _JINJA_KEYS.get(kind, ()):
        fault = jinja_fault(section.get(key, ""))
        if fault:
            return f"{key} is neither plain text nor a Jinja2 template: {fault}"
    if "payload" in section:
        return "a payload of its own is not supported: amproxy sends Alertmanager's version 4"
    if "oauth2" in section.get("http_config", {}):
        return "amproxy cannot log in by oauth2 yet"
    if kind == "telegram" and not section.get("chat_id"):
        return "the file of chat_id_file does not hold a chat id"
    return ""


def read_oncall_integration(at: Cursor, index: int) -> Integration | None:
    """An entry of oncall_configs; None where it is broken."""
    section = at.section(_ONCALL)
    section.require("escalation_policy", why="the name of one of escalation_policies")
    fault = jinja_fault(section.get("title", ""))
    if fault:
        section.error("title", f"not a Jinja2 template: {fault}")
    if "escalation_policy" not in section:
        return None
    settings = OncallSettings(**{key: section[key] for key in ("escalation_policy", "title", "urgency") if key in section})
    return Integration(kind="oncall", index=index, send_resolved=section.get("send_resolved", True), settings=settings, place=at.place)
