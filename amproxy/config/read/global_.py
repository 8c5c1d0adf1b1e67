"""`global`: Alertmanager's defaults for all receivers, and what channels use for people."""

from __future__ import annotations

from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import HTTP_DEFAULTS, build_http_settings, build_tls_settings, read_http_config, read_tls_config
from amproxy.config.read.values import Duration, boolean, duration, file, host_port, secret, secret_url, text, url
from amproxy.config.structs import EmailSettings, Global, SlackSettings, TelegramSettings, WebhookSettings
from amproxy.secret import Secret

_DEFAULTS: Final[dict[str, Any]] = {
    "resolve_timeout": Duration(300),
    "smtp_hello": "localhost",
    "smtp_require_tls": True,
    "slack_app_url": "https://slack.com/api/chat.postMessage",
    "pagerduty_url": "https://events.pagerduty.com/v2/enqueue",
    "opsgenie_api_url": "https://api.opsgenie.com/",
    "wechat_api_url": "https://qyapi.weixin.qq.com/cgi-bin/",
    "victorops_api_url": "https://alert.victorops.com/integrations/generic/20131114/alert/",
    "telegram_api_url": "https://api.telegram.org",
    "webex_api_url": "https://webexapis.com/v1/messages",
    "rocketchat_api_url": "https://open.rocket.chat/",
}
_SECRETS: Final = (  # each has a twin that names a file; the two exclude each other
    "smtp_auth_password",
    "smtp_auth_secret",
    "slack_app_token",
    "slack_signing_secret",  # amproxy's own
    "opsgenie_api_key",
    "victorops_api_key",
    "telegram_bot_token",
    "rocketchat_token",
    "rocketchat_token_id",
    "wechat_api_secret",
)
_SECRET_URLS: Final = ("slack_api_url", "mattermost_webhook_url")
_URLS: Final = (*(key for key in _DEFAULTS if key.endswith("_url")), "jira_api_url")

_GLOBAL_KEYS: Final[dict[str, Reader]] = {
    "resolve_timeout": duration,
    "http_config": read_http_config,
    "smtp_from": text,
    "smtp_hello": text,
    "smtp_smarthost": host_port,
    "smtp_auth_username": text,
    "smtp_auth_identity": text,
    "smtp_require_tls": boolean,
    "smtp_tls_config": read_tls_config,
    "smtp_force_implicit_tls": boolean,
    "wechat_api_corp_id": text,
    **dict.fromkeys(_URLS, url),
    **dict.fromkeys(_SECRETS, secret),
    **dict.fromkeys(_SECRET_URLS, secret_url),
    **{f"{key}_file": file for key in _SECRETS + _SECRET_URLS},
}


def read_global(at: Cursor) -> Section:
    """The keys of `global` with Alertmanager's defaults filled in."""
    section = at.section(_GLOBAL_KEYS)
    for key in _SECRETS + _SECRET_URLS:
        section.exclusive(key, f"{key}_file")
    app, api = section.given("slack_app_token", "slack_app_token_file"), section.given("slack_api_url", "slack_api_url_file")
    # Alertmanager lets both stand where they lead to one place: older files set the Web API's address as the webhook.
    if app and api and section.get("slack_api_url") != section.get("slack_app_url", _DEFAULTS["slack_app_url"]):
        section.error(app, f"only one of {api} and {app} may be given")
    for key, value in {**_DEFAULTS, "http_config": HTTP_DEFAULTS}.items():
        section.setdefault(key, value)
    return section


def build_global(values: Section) -> Global:
    """The struct of `global`."""
    http = build_http_settings(values["http_config"])
    return Global(
        resolve_timeout=float(values["resolve_timeout"]),
        telegram=TelegramSettings(
            api_url=values["telegram_api_url"],
            bot_token=values.get("telegram_bot_token", Secret("")),
            bot_token_file=values.get("telegram_bot_token_file", ""),
            http=http,
        ),
        slack=SlackSettings(
            api_url=values.get("slack_api_url", Secret("")),
            api_url_file=values.get("slack_api_url_file", ""),
            app_token=values.get("slack_app_token", Secret("")),
            app_token_file=values.get("slack_app_token_file", ""),
            app_url=values["slack_app_url"],
            http=http,
        ),
        slack_signing_secret=values.get("slack_signing_secret", Secret("")),
        slack_signing_secret_file=values.get("slack_signing_secret_file", ""),
        email=EmailSettings(
            from_=values.get("smtp_from", ""),
            hello=values["smtp_hello"],
            smarthost=values.get("smtp_smarthost", ""),
            auth_username=values.get("smtp_auth_username", ""),
            auth_password=values.get("smtp_auth_password", Secret("")),
            auth_password_file=values.get("smtp_auth_password_file", ""),
            auth_identity=values.get("smtp_auth_identity", ""),
            require_tls=values["smtp_require_tls"],
            implicit_tls=values.get("smtp_force_implicit_tls"),
            tls=build_tls_settings(values.get("smtp_tls_config")),
        ),
        webhook=WebhookSettings(http=http),
    )
