"""Alertmanager's sections of a configuration written back, for `/api/v2/status`.

Defaults are filled in, secrets hidden. amtool loads this text with a strict loader, and the most
common amtool is 0.25: keys that it does not know are left out, or replaced by older ones. A comment
at the top names those that are missing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from ruamel.yaml.cyaml import CEmitter  # type: ignore[attr-defined]  # of ruamel.yaml.clib
from ruamel.yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from amproxy.config.read.cursor import Section
from amproxy.config.read.values import SECRET_PLACEHOLDER, Duration
from amproxy.labels.intervals import WEEKDAYS, TimeInterval, TimeIntervalEntry
from amproxy.labels.matchers import Matcher
from amproxy.secret import Secret, hide_url_passwords

_NEWER_KINDS: Final = frozenset(
    ("incidentio", "jira", "mattermost", "msteams", "msteamsv2", "rocketchat")
)
# Section or map → its keys that came after 0.25, or are amproxy's own.
_NEWER_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "global": (
        *("smtp_auth_secret_file", "smtp_tls_config", "smtp_force_implicit_tls"),
        *("slack_app_token", "slack_app_token_file", "slack_app_url"),
        "contact_networks",
        *("slack_signing_secret", "slack_signing_secret_file", "wechat_api_secret_file"),
        *("telegram_bot_token", "telegram_bot_token_file", "jira_api_url"),
        *("rocketchat_api_url", "rocketchat_token", "rocketchat_token_file"),
        *("rocketchat_token_id", "rocketchat_token_id_file"),
        *("mattermost_webhook_url", "mattermost_webhook_url_file"),
    ),
    "route": ("labels",),
    "inhibit_rules": ("name",),
    "receivers": ("labels", "oncall_configs", "alertmanager_configs"),
    "webhook_configs": ("timeout", "payload", "url_file"),
    "email_configs": ("auth_secret_file", "force_implicit_tls", "threading"),
    "slack_configs": (
        *("app_token", "app_token_file", "app_url"),
        *("message_text", "update_message", "post_updates_to_thread", "timeout"),
    ),
    "pagerduty_configs": ("timeout",),
    "telegram_configs": ("bot_token_file", "chat_id_file", "message_thread_id", "timeout"),
    "discord_configs": ("content", "username", "avatar_url", "webhook_url_file"),
    "wechat_configs": ("api_secret_file",),
    "pushover_configs": ("user_key_file", "token_file", "device", "ttl", "monospace"),
    "sns_configs": ("use_aws_http_client",),
    "http_config": ("no_proxy", "proxy_from_environment", "http_headers"),
    "basic_auth": ("username_file",),
    "tls_config": ("ca", "cert", "key"),
    "oauth2": (
        *("client_certificate_key_id", "client_certificate_key", "client_certificate_key_file"),
        *("signature_algorithm", "grant_type", "iss", "audience", "claims"),
        *("no_proxy", "proxy_from_environment", "proxy_connect_header"),
    ),
    "sigv4": ("external_id", "service_name", "session_name", "tags", "use_fips_sts_endpoint"),
}
_SAME_KEYS: Final = {"smtp_tls_config": "tls_config", "routes": "route"}  # other names of a map
# List of integrations → the secret that 0.25 asks for, and the newer keys that replace it.
_OLDER_SECRET_KEYS: Final = {
    "slack_configs": ("api_url", ("app_token", "app_token_file")),
    "telegram_configs": ("bot_token", ("bot_token_file",)),
    "discord_configs": ("webhook_url", ("webhook_url_file",)),
    "wechat_configs": ("api_secret", ("api_secret_file",)),
}
_ALERTMANAGER_SECTIONS: Final = (
    *("global", "route", "inhibit_rules", "receivers"),
    *("mute_time_intervals", "time_intervals", "templates"),
)
_TYPED_TEXT = re.compile(
    r"|[-+]?\.?\d[\d._:]*(?:e[-+]?\d+)?|[-+]?0[xob][\da-f_]+|[-+]?\.(?:inf|nan)|\d{4}-\d.*"
    r"|y|n|yes|no|on|off|true|false|null|~|=|<<",
    re.IGNORECASE,
)


def render_original(root: Section) -> str:
    """The sections of a loaded file as YAML text."""
    left_out = [key for key in ("tracing", "event_recorder") if key in root]
    shown = {
        key: _plain_value(root[key], key, key, left_out)
        for key in _ALERTMANAGER_SECTIONS
        if key in root
    }
    shown.setdefault("templates", [])
    missing = [f"# left out, because amtool 0.25 would refuse it: {path}\n" for path in left_out]
    return "".join(missing) + _dump_yaml(shown)


def _plain_value(value: Any, key: str, path: str, left_out: list[str]) -> Any:
    """A loaded value as plain data, without secrets.

    `key` is its key, or that of the list around it; `left_out` collects the paths of omitted keys.
    """
    if isinstance(value, Secret):
        return SECRET_PLACEHOLDER if len(value) else None
    if isinstance(value, TimeInterval):
        return [render_interval_entry(entry) for entry in value.entries]
    if isinstance(value, Duration | Matcher):
        return str(value)
    if isinstance(value, str):
        return hide_url_passwords(value)
    if isinstance(value, list | tuple):
        return [
            _plain_value(item, key, f"{path}[{position}]", left_out)
            for position, item in enumerate(value)
        ]
    if isinstance(value, Mapping):
        return dict(_plain_pairs(value, key, path, left_out))
    return value


def _plain_pairs(
    section: Mapping[str, Any], key: str, path: str, left_out: list[str]
) -> Iterator[tuple[str, Any]]:
    newer = _NEWER_KEYS.get(_SAME_KEYS.get(key, key), ())
    if key == "webhook_configs" and "url" not in section:
        yield "url", _public_url(Secret(""))
    older, replacements = _OLDER_SECRET_KEYS.get(key, ("", ()))
    if older and older not in section and any(newer_key in section for newer_key in replacements):
        yield older, SECRET_PLACEHOLDER
    for name, value in section.items():
        if name in newer or name.removesuffix("_configs") in _NEWER_KINDS:
            if _is_missed(section, name):
                left_out.append(f"{path}.{name}")
        elif key == "webhook_configs" and name == "url":
            yield name, _public_url(value)
        else:
            yield name, _plain_value(value, name, f"{path}.{name}", left_out)


def _is_missed(section: Mapping[str, Any], name: str) -> bool:
    """Return True for a key of the file; not for a default, nor for amproxy's own receivers."""
    own = name in ("oncall_configs", "alertmanager_configs")
    return isinstance(section, Section) and bool(section.given(name)) and not own


def _public_url(url: Secret) -> str:
    """The address of a webhook with only its host.

    For 0.25 it is no secret, so it must look like a URL.
    """
    found = re.match(r"https?://(?:[^/@]*@)?([\w.:\[\]-]+)", url.reveal())
    return f"http://{found[1] if found else 'hidden'}/{SECRET_PLACEHOLDER}"


def render_interval_entry(entry: TimeIntervalEntry) -> dict[str, Any]:
    """An entry of a time interval as Alertmanager writes it: its given fields, as texts."""
    fields: dict[str, Any] = {}
    if entry.times is not None:
        fields["times"] = [
            {"start_time": _clock_text(start), "end_time": _clock_text(end)}
            for start, end in entry.times
        ]
    if entry.weekdays is not None:
        fields["weekdays"] = _range_texts(entry.weekdays, WEEKDAYS.__getitem__)
    for key in ("days_of_month", "months", "years"):
        ranges = getattr(entry, key)
        if ranges is not None:
            fields[key] = _range_texts(ranges, str)
    if entry.location:
        fields["location"] = entry.location
    return fields


def _range_texts(ranges: tuple[tuple[int, int], ...], name: Callable[[int], str]) -> list[str]:
    return [name(start) if start == end else f"{name(start)}:{name(end)}" for start, end in ranges]


def _clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _dump_yaml(data: Any) -> str:
    out = io.StringIO()
    emitter = CEmitter(out, width=10_000, allow_unicode=True)  # no folded lines
    # Events instead of ruamel's representer, which takes ten times as long.
    for event in (StreamStartEvent(), DocumentStartEvent(explicit=False), *_events(data)):
        emitter.emit(event)
    for event in (DocumentEndEvent(explicit=False), StreamEndEvent()):
        emitter.emit(event)
    return out.getvalue()


def _events(data: Any) -> Iterator[Any]:
    """The events that write plain data; empty lists and maps are written with brackets."""
    if isinstance(data, dict):
        yield MappingStartEvent(None, None, implicit=True, flow_style=not data)
        for key, value in data.items():
            yield from _events(key)
            yield from _events(value)
        yield MappingEndEvent()
    elif isinstance(data, list):
        yield SequenceStartEvent(None, None, implicit=True, flow_style=not data)
        for item in data:
            yield from _events(item)
        yield SequenceEndEvent()
    elif isinstance(data, str):
        # In quotes where an older YAML would take it for a number, a bool, a time or null.
        style = '"' if _TYPED_TEXT.fullmatch(data) else None
        yield ScalarEvent(None, None, (True, True), data, style=style)
    else:
        yield ScalarEvent(None, None, (True, True), msgspec.json.encode(data).decode())
