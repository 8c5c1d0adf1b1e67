"""WeChat in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    address_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import choice, raw, url
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret

_SECRET: Final = ("api_secret", "api_secret_file")
# Who gets the messages: those of incidents too, so that these defaults are no default texts.
_RECIPIENTS: Final = {
    key: f'{{{{ template "wechat.default.{key}" . }}}}'
    for key in ("to_user", "to_party", "to_tag", "agent_id")
}


class WechatSettings(Struct, frozen=True, kw_only=True):
    """An application of a company, and who gets its messages."""

    api_url: str = ""
    corp_id: str = ""
    api_secret: Secret = Secret("")
    api_secret_file: str = ""
    message: str = ""
    message_type: str = "text"  # or "markdown"
    to_user: str = ""
    to_party: str = ""
    to_tag: str = ""
    agent_id: str = ""
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> WechatSettings:
    return WechatSettings(
        **section.pick("api_url", "corp_id", *_SECRET),
        **written_texts(section, "message"),
        **_RECIPIENTS | section.pick(*_RECIPIENTS),
        message_type=section.get("message_type") or "text",
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


WECHAT: Final = ChannelKind(
    channel="amproxy.notify.channels.wechat.channel:WechatChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            **with_file_key("api_secret"),
            "api_url": url,
            **address_keys("corp_id", *_RECIPIENTS),
            "message": raw,
            "message_type": choice("", "text", "markdown"),
        },
        send_resolved=False,
        one_of=(_SECRET, ("corp_id",)),
        at_most=(_SECRET,),
        inherited={
            "api_url": "wechat_api_url",
            "api_secret": "wechat_api_secret",
            "api_secret_file": "wechat_api_secret_file",
            "corp_id": "wechat_api_corp_id",
        },
    ),
    build=_build,
    templates=("corp_id", "api_secret", "message", *_RECIPIENTS),
    default_texts={"message": '{{ template "wechat.default.message" . }}'},
    reaches_people=False,
    addresses_people=False,
)
