"""`global`: Alertmanager's defaults for all receivers, and the settings of pages to people."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from amproxy.config.channels import channel_kinds
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import HTTP_DEFAULTS, build_http_settings, read_http_config
from amproxy.config.read.values import Duration, duration, file, secret, secret_url, text, url
from amproxy.config.structs import Global

# Of all receivers, and of kinds that page nobody; channels that do add their own.
_DEFAULTS: Final[dict[str, Any]] = {
    "resolve_timeout": Duration(300),
    "http_config": HTTP_DEFAULTS,
    "pagerduty_url": "https://events.pagerduty.com/v2/enqueue",
    "opsgenie_api_url": "https://api.opsgenie.com/",
    "wechat_api_url": "https://qyapi.weixin.qq.com/cgi-bin/",
    "victorops_api_url": "https://alert.victorops.com/integrations/generic/20131114/alert/",
    "webex_api_url": "https://webexapis.com/v1/messages",
    "rocketchat_api_url": "https://open.rocket.chat/",
}
_KEYS: Final[dict[str, Reader]] = {
    "resolve_timeout": duration,
    "http_config": read_http_config,
    "wechat_api_corp_id": text,
    "jira_api_url": url,
    **{key: url for key in _DEFAULTS if key.endswith("_url")},
}
# Each has a twin that names a file; the two exclude each other.
_SECRETS: Final[dict[str, Reader]] = {
    "opsgenie_api_key": secret,
    "victorops_api_key": secret,
    "rocketchat_token": secret,
    "rocketchat_token_id": secret,
    "wechat_api_secret": secret,
    "mattermost_webhook_url": secret_url,
}


@cache
def _secrets() -> dict[str, Reader]:
    """Every secret of `global`, those of channels too."""
    return {
        **_SECRETS,
        **{
            key: reader
            for kind in channel_kinds().values()
            for key, reader in kind.global_secrets.items()
        },
    }


@cache
def _table() -> dict[str, Reader]:
    """Every key of `global`, those of channels too."""
    table = {**_KEYS, **_secrets(), **{f"{key}_file": file for key in _secrets()}}
    for kind in channel_kinds().values():
        table |= kind.global_keys
    return table


def read_global(at: Cursor) -> Section:
    """The keys of `global` with Alertmanager's defaults filled in."""
    section = at.section(_table())
    for key in _secrets():
        section.exclusive(key, f"{key}_file")
    defaults = dict(_DEFAULTS)
    for kind in channel_kinds().values():
        kind.check_global(section)
        defaults |= kind.global_defaults
    for key, value in defaults.items():
        section.setdefault(key, value)
    return section


def build_global(values: Section) -> Global:
    """The struct of `global`."""
    return Global(
        resolve_timeout=float(values["resolve_timeout"]),
        http=build_http_settings(values["http_config"]),
        channels={
            name: kind.build_global(values)
            for name, kind in channel_kinds().items()
            if kind.build_global is not None
        },
    )
