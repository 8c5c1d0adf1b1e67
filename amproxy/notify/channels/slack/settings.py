"""Slack in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    TIMEOUT,
    IntegrationKind,
    address_keys,
    attachment_field,
    slack_action,
    template_keys,
    with_file_key,
)
from amproxy.config.read.values import boolean, list_of, raw, secret, secret_url, url
from amproxy.config.structs import Global, HttpSettings, Receiver, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase

_CHANNEL: Final = re.compile("#|[CG][A-Z0-9]{7,}$", re.ASCII)
_API_URL: Final = "https://slack.com/api/chat.postMessage"


class SlackSettings(Struct, frozen=True, kw_only=True):
    """Either api_url (an incoming webhook) or app_token (the Web API: buttons and changes)."""

    channel: str = ""
    api_url: Secret = Secret("")
    api_url_file: str = ""
    app_token: Secret = Secret("")
    app_token_file: str = ""
    app_url: str = _API_URL
    # Of `global` only, and amproxy's: Slack signs button presses with it.
    signing_secret: Secret = Secret("")
    signing_secret_file: str = ""
    title: str = ""  # texts: "" = amproxy's own; otherwise plain text or Jinja2
    text: str = ""
    username: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    timeout: float = 0.0  # seconds; 0 = none of its own
    http: HttpSettings = HttpSettings()


def _build(section: Section) -> SlackSettings:
    return SlackSettings(
        **section.pick("channel", "api_url", "api_url_file"),
        **section.pick("app_token", "app_token_file", "app_url"),
        **section.pick("title", "text", "username", "icon_emoji", "icon_url"),
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
    )


def _build_global(values: Section) -> SlackSettings:
    return SlackSettings(
        api_url=values.get("slack_api_url", Secret("")),
        api_url_file=values.get("slack_api_url_file", ""),
        app_token=values.get("slack_app_token", Secret("")),
        app_token_file=values.get("slack_app_token_file", ""),
        app_url=values["slack_app_url"],
        signing_secret=values.get("slack_signing_secret", Secret("")),
        signing_secret_file=values.get("slack_signing_secret_file", ""),
        http=build_http_settings(values["http_config"]),
    )


def _check(section: Section) -> None:
    http = section.get("http_config", {})
    if section.given("app_token", "app_token_file") and "authorization" in http:
        section.error("http_config", "problem.slack_authorization")
    api_url = section.get("api_url")
    # Where api_url is the address of the Web API, it is no incoming webhook.
    if section.get("update_message") and api_url is not None and api_url != section.get("app_url"):
        section.error("update_message", "problem.slack_update_message")


def _check_global(section: Section) -> None:
    app = section.given("slack_app_token", "slack_app_token_file")
    api = section.given("slack_api_url", "slack_api_url_file")
    # Alertmanager allows both where they are one address: older files set the Web API's address
    # as the webhook.
    if app and api and section.get("slack_api_url") != section.get("slack_app_url", _API_URL):
        section.error(app, "problem.only_one_of_two", one=api, other=app)


def _receives_presses(global_: Global, receivers: Mapping[str, Receiver]) -> bool:
    """Presses come signed, so that the secret of the signature must be known."""
    settings = global_.channels.get("slack", SlackSettings())
    return bool(settings.signing_secret or settings.signing_secret_file)


def _account(address: str) -> str:
    """The id of a member; a channel ("#ops", "C012AB3CD") is nobody's own."""
    account = address.strip().upper()
    return "" if _CHANNEL.match(account) else account


def _contact_fault(address: str, settings: SlackSettings | None) -> Phrase | None:
    blank = not address or any(char.isspace() for char in address)
    return Phrase("undeliverable.no_slack_id") if blank else None


def _entry_fault(section: Section, settings: SlackSettings) -> Phrase | None:
    """An incoming webhook has a channel of its own; an app must be told one."""
    by_app = settings.app_token or settings.app_token_file
    return Phrase("undeliverable.no_slack_channel") if by_app and not settings.channel else None


_DESTINATION: Final = ("api_url", "api_url_file", "app_token", "app_token_file")

SLACK: Final = ChannelKind(
    channel="amproxy.notify.channels.slack.channel:SlackChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **TIMEOUT,
            **with_file_key("api_url", secret_url),
            **with_file_key("app_token"),
            "app_url": url,
            **address_keys("channel"),
            **template_keys("username", "color", "title", "title_link", "pretext", "text"),
            **template_keys("message_text", "footer", "fallback", "callback_id"),
            **template_keys("icon_emoji", "icon_url", "image_url", "thumb_url"),
            "fields": list_of(attachment_field),
            **dict.fromkeys(("short_fields", "link_names", "update_message"), boolean),
            "mrkdwn_in": list_of(raw),
            "actions": list_of(slack_action),
        },
        send_resolved=False,
        one_of=(_DESTINATION,),
        at_most=(_DESTINATION,),
        inherited={
            "app_url": "slack_app_url",
            "app_token": "slack_app_token",
            "app_token_file": "slack_app_token_file",
            "api_url": "slack_api_url",
            "api_url_file": "slack_api_url_file",
        },
        defaults={"short_fields": False, "link_names": False},
        check=_check,
    ),
    build=_build,
    entry_fault=_entry_fault,
    # amproxy draws its messages itself.
    unused=(
        *("color", "title_link", "pretext", "message_text", "fields", "short_fields"),
        *("footer", "fallback", "callback_id", "image_url", "thumb_url"),
        *("link_names", "mrkdwn_in", "actions", "update_message"),
    ),
    templates=("title", "text"),
    global_keys={"slack_app_url": url},
    global_secrets={
        "slack_app_token": secret,
        "slack_signing_secret": secret,
        "slack_api_url": secret_url,
    },
    global_defaults={"slack_app_url": _API_URL},
    check_global=_check_global,
    build_global=_build_global,
    receives_presses=_receives_presses,
    account=_account,
    needs={"slack_app_token": ("app_token", "app_token_file")},
    contact_fault=_contact_fault,
)
