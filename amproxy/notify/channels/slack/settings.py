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
    written_texts,
)
from amproxy.config.read.values import boolean, list_of, raw, secret, secret_url, url
from amproxy.config.structs import Global, HttpSettings, Receiver, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase

_CHANNEL: Final = re.compile("#|[CG][A-Z0-9]{7,}$", re.ASCII)
_API_URL: Final = "https://slack.com/api/chat.postMessage"


class SlackField(Struct, frozen=True, kw_only=True):
    """A short table cell of an attachment."""

    title: str = ""
    value: str = ""
    short: bool | None = None  # None = as `short_fields` says


class SlackConfirmation(Struct, frozen=True, kw_only=True):
    """The question before a button takes effect."""

    text: str = ""
    title: str = ""
    ok_text: str = ""
    dismiss_text: str = ""


class SlackAction(Struct, frozen=True, kw_only=True):
    """A button of an attachment: it leads to a URL, or tells the app its name and value."""

    type: str = ""
    text: str = ""
    url: str = ""
    style: str = ""
    name: str = ""
    value: str = ""
    confirm: SlackConfirmation | None = None


class SlackSettings(Struct, frozen=True, kw_only=True):
    """Either api_url (an incoming webhook) or app_token (the Web API: buttons and changes).

    The texts are templates until a message is sent. A group of alerts uses all of them; an
    incident has a layout of its own, with `title`, `text` and the sender of the file.
    """

    channel: str = ""
    api_url: Secret = Secret("")
    api_url_file: str = ""
    app_token: Secret = Secret("")
    app_token_file: str = ""
    app_url: str = _API_URL
    # Of `global` only, and amproxy's: Slack signs button presses with it.
    signing_secret: Secret = Secret("")
    signing_secret_file: str = ""
    title: str = ""
    text: str = ""
    username: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    title_link: str = ""
    pretext: str = ""
    message_text: str = ""
    color: str = ""
    footer: str = ""
    fallback: str = ""
    callback_id: str = ""
    image_url: str = ""
    thumb_url: str = ""
    fields: tuple[SlackField, ...] = ()
    actions: tuple[SlackAction, ...] = ()
    short_fields: bool = False
    link_names: bool = False
    mrkdwn_in: tuple[str, ...] = ()
    update_message: bool = False  # a group's later messages change its first one …
    post_updates_to_thread: bool = False  # … or are replies to it
    timeout: float = 0.0  # seconds; 0 = none of its own
    http: HttpSettings = HttpSettings()


def _build(section: Section) -> SlackSettings:
    return SlackSettings(
        **section.pick("channel", "api_url", "api_url_file"),
        **section.pick("app_token", "app_token_file", "app_url"),
        **written_texts(section, *_TEXTS),
        **section.pick("short_fields", "link_names"),
        **section.pick("update_message", "post_updates_to_thread"),
        fields=tuple(
            SlackField(**one.pick("title", "value", "short")) for one in section.get("fields", ())
        ),
        actions=tuple(map(_build_action, section.get("actions", ()))),
        mrkdwn_in=tuple(section.get("mrkdwn_in", ())),
        timeout=float(section.get("timeout", 0)),
        http=build_http_settings(section["http_config"]),
    )


def _build_action(section: Section) -> SlackAction:
    confirm = section.get("confirm")
    keys = ("text", "title", "ok_text", "dismiss_text")
    return SlackAction(
        **section.pick("type", "text", "url", "style", "name", "value"),
        confirm=SlackConfirmation(**confirm.pick(*keys)) if confirm else None,
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
    by_file = api_url is None and section.get("api_url_file")
    if by_file or (api_url is not None and api_url != section.get("app_url")):
        for key in ("update_message", "post_updates_to_thread"):
            if section.get(key):
                section.error(key, "problem.slack_needs_app", key=key)


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


_TEXTS: Final = (
    *("title", "text", "username", "icon_emoji", "icon_url", "title_link", "pretext"),
    *("message_text", "color", "footer", "fallback", "callback_id", "image_url", "thumb_url"),
)
_DEFAULT_TEXTS: Final = {
    key: f'{{{{ template "slack.default.{key.replace("_", "")}" . }}}}'
    for key in _TEXTS
    if key not in ("message_text", "image_url", "thumb_url")
}
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
            **dict.fromkeys(("short_fields", "link_names"), boolean),
            **dict.fromkeys(("update_message", "post_updates_to_thread"), boolean),
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
    templates=("channel", *_TEXTS, "fields", "actions"),
    default_texts=_DEFAULT_TEXTS,
    updates_groups=lambda settings: settings.update_message or settings.post_updates_to_thread,
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
