"""The loaded keys of an integration → the struct that its channel works with."""

from __future__ import annotations

from typing import Any

from amproxy.config.read.cursor import Section
from amproxy.config.read.http import http_settings, tls_settings
from amproxy.config.structs import EmailSettings, SlackSettings, TelegramSettings, WebhookSettings
from amproxy.secret import Secret, reveal


def _picked(section: Section, *keys: str) -> dict[str, Any]:
    """The keys that are there; the struct knows the defaults of the rest."""
    return {key: section[key] for key in keys if key in section}


def webhook_settings(section: Section) -> WebhookSettings:
    return WebhookSettings(
        **_picked(section, "url", "url_file", "max_alerts"),
        timeout=float(section.get("timeout", 0)),
        http=http_settings(section["http_config"]),
    )


def slack_settings(section: Section) -> SlackSettings:
    return SlackSettings(
        **_picked(section, "channel", "api_url", "api_url_file", "app_token", "app_token_file", "app_url"),
        **_picked(section, "title", "text", "username", "icon_emoji", "icon_url"),
        timeout=float(section.get("timeout", 0)),
        http=http_settings(section["http_config"]),
    )


def telegram_settings(section: Section) -> TelegramSettings:
    """`chat_id_file` is read here, once: a chat is no secret that changes. A bad one gives chat 0."""
    if "chat_id_file" in section:
        section["chat_id"] = _number_in(section["chat_id_file"])
    return TelegramSettings(
        **_picked(section, "api_url", "bot_token", "bot_token_file", "chat_id", "message_thread_id", "message"),
        **_picked(section, "disable_notifications", "parse_mode"),
        http=http_settings(section["http_config"]),
    )


def _number_in(path: str) -> int:
    try:
        return int(reveal(Secret(""), path))
    except (OSError, ValueError):  # a warning stands where the file is named, or the integration says it has no chat
        return 0


def email_settings(section: Section) -> EmailSettings:
    return EmailSettings(
        **_picked(section, "to", "hello", "smarthost", "auth_username", "auth_password", "auth_password_file", "auth_identity"),
        **_picked(section, "headers", "html", "text", "require_tls"),
        from_=section.get("from", ""),
        implicit_tls=section.get("force_implicit_tls"),
        tls=tls_settings(section.get("tls_config")),
    )
