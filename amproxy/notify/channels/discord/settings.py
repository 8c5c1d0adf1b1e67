"""Discord in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import chat_webhook_kind, written_texts
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase

_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_USER: Final = re.compile(r"[\w\-.:~!$&'()*+,;=%@]*", re.ASCII)
_HOST: Final = re.compile(
    r"(?:\[(?P<ip>[^\]%]+)(?:%25[^\]]*)?\]|(?:[^\s\x00-\x7f]|[\w\-.~!$&'()*+,;=<>\"])*)(?::[0-9]*)?"
)


class DiscordSettings(Struct, frozen=True, kw_only=True):
    """One incoming webhook."""

    webhook_url: Secret = Secret("")
    webhook_url_file: str = ""
    content: str = ""
    title: str = ""
    message: str = ""
    username: str = ""  # this and avatar_url are no templates, as in Alertmanager
    avatar_url: str = ""
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> DiscordSettings:
    avatar_url = section.get("avatar_url", "")
    if not _is_url_to_go(avatar_url):
        # Alertmanager leaves it out as well; Discord would refuse the whole message.
        section.cursors["avatar_url"].warn("unused", Phrase("problem.avatar_url"))
        avatar_url = ""
    return DiscordSettings(
        **section.pick("webhook_url", "webhook_url_file", "content", "username"),
        **written_texts(section, "title", "message"),
        avatar_url=avatar_url,
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _is_url_to_go(url: str) -> bool:
    """True for what Go's url.Parse takes, which is much: relative addresses, for instance."""
    url, _, fragment = url.partition("#")
    if re.search(r"[\x00-\x1f\x7f]", url) or _BROKEN_ESCAPE.search(fragment):
        return False
    scheme = _SCHEME.match(url)
    path = url[scheme.end() if scheme else 0 :].partition("?")[0]
    if not path.startswith("/"):  # with a scheme it is opaque: "mailto:x"
        fine = ":" not in path.partition("/")[0] and not _BROKEN_ESCAPE.search(path)
        return scheme is not None or fine
    if path.startswith("//") and (scheme or not path.startswith("///")):
        authority, _, path = path[2:].partition("/")
        if not _is_authority_to_go(authority):
            return False
    return not _BROKEN_ESCAPE.search(path)


def _is_authority_to_go(authority: str) -> bool:
    """True for `USER@HOST:PORT`; the user and the port may miss, and the host may be empty."""
    user, _, rest = authority.rpartition("@")
    host = _HOST.fullmatch(rest)
    if host is None or not _USER.fullmatch(user) or _BROKEN_ESCAPE.search(user):
        return False
    try:
        return not host["ip"] or bool(IPv6Address(host["ip"]))
    except ValueError:
        return False


DISCORD: Final = ChannelKind(
    channel="amproxy.notify.channels.discord.channel:DiscordChannel",
    integration=chat_webhook_kind("content", "title", "message", "username", "avatar_url"),
    build=_build,
    templates=("content", "title", "message"),
    default_texts={
        "title": '{{ template "discord.default.title" . }}',
        "message": '{{ template "discord.default.message" . }}',
    },
    reaches_people=False,
    addresses_people=False,
)
