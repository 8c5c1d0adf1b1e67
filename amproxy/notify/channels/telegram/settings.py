"""Telegram in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    TIMEOUT,
    IntegrationKind,
    choice_or_template,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import boolean, integer, raw, secret, url
from amproxy.config.structs import Global, HttpSettings, Receiver, Struct
from amproxy.secret import Secret, reveal
from amproxy.text import Phrase


class TelegramSettings(Struct, frozen=True, kw_only=True):
    """One chat of one bot."""

    api_url: str = "https://api.telegram.org"
    bot_token: Secret = Secret("")
    bot_token_file: str = ""
    chat_id: int = 0
    message_thread_id: int = 0
    message: str = ""  # "" = amproxy's own text, of an incident
    disable_notifications: bool = False
    parse_mode: str = "HTML"
    timeout: float = 0.0  # seconds; 0 = none of its own
    http: HttpSettings = HttpSettings()


def build_telegram_settings(section: Section) -> TelegramSettings:
    """`chat_id_file` is read here, once: a chat is no secret that changes. A bad file gives 0."""
    if "chat_id_file" in section:
        section["chat_id"] = _read_number_file(section["chat_id_file"])
    return TelegramSettings(
        **section.pick("api_url", "bot_token", "bot_token_file", "chat_id", "message_thread_id"),
        **written_texts(section, "message"),
        **section.pick("disable_notifications", "parse_mode"),
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
    )


def _read_number_file(path: str) -> int:
    try:
        return int(reveal(Secret(""), path))
    except (OSError, ValueError):
        # Not silent: the key has a warning already, or the integration becomes undeliverable.
        return 0


def _build_global(values: Section) -> TelegramSettings:
    return TelegramSettings(
        api_url=values["telegram_api_url"],
        bot_token=values.get("telegram_bot_token", Secret("")),
        bot_token_file=values.get("telegram_bot_token_file", ""),
        http=build_http_settings(values["http_config"]),
    )


def parse_telegram_id(text: str) -> int:
    """An id as Telegram has them (at most 52 bits); 0 where it is none."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 16 else 0


def _contact_fault(address: str, settings: TelegramSettings | None) -> Phrase | None:
    return None if parse_telegram_id(address) else Phrase("undeliverable.no_telegram_id")


def _entry_fault(section: Section, settings: TelegramSettings) -> Phrase | None:
    return None if settings.chat_id else Phrase("undeliverable.no_chat_id")


def _is_html(settings: TelegramSettings, key: str) -> bool:
    return settings.parse_mode == "HTML"


def _receives_presses(global_: Global, receivers: Mapping[str, Receiver]) -> bool:
    """Presses come by polling, which needs a bot's token."""
    bots = [
        one.settings
        for receiver in receivers.values()
        for one in receiver.integrations
        if isinstance(one.settings, TelegramSettings)
    ]
    bots.append(global_.channels.get("telegram", TelegramSettings()))
    return any(bot.bot_token or bot.bot_token_file for bot in bots)


def _account(address: str) -> str:
    """The id of a person, who can press buttons; that of a group is below 0, and nobody's own."""
    try:
        number = int(address)  # "0111" reaches the same chat as "111"
    except ValueError:
        return ""
    return str(number) if number > 0 else ""


TELEGRAM: Final = ChannelKind(
    channel="amproxy.notify.channels.telegram.channel:TelegramChannel",
    poller="amproxy.notify.channels.telegram.updates:TelegramPollers",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **TIMEOUT,
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
        inherited={
            "api_url": "telegram_api_url",
            "bot_token": "telegram_bot_token",
            "bot_token_file": "telegram_bot_token_file",
        },
        defaults={"parse_mode": "HTML"},
    ),
    build=build_telegram_settings,
    entry_fault=_entry_fault,
    templates=("message",),
    default_texts={"message": '{{ template "telegram.default.message" . }}'},
    is_html=_is_html,
    global_keys={"telegram_api_url": url},
    global_secrets={"telegram_bot_token": secret},
    global_defaults={"telegram_api_url": "https://api.telegram.org"},
    build_global=_build_global,
    receives_presses=_receives_presses,
    account=_account,
    needs={"telegram_bot_token": ("bot_token", "bot_token_file")},
    contact_fault=_contact_fault,
)
