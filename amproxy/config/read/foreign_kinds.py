"""Kinds of integrations that load as in Alertmanager, but that amproxy cannot deliver yet."""

from __future__ import annotations

from typing import Final

from amproxy.config.read.cursor import Reader, Section
from amproxy.config.read.kinds import (
    COMMON,
    NOT_NEGATIVE,
    TIMEOUT,
    IntegrationKind,
    address_keys,
    attachment_field,
    jira_field,
    jira_labels,
    opsgenie_responder,
    template_keys,
    with_file_key,
)
from amproxy.config.read.values import (
    boolean,
    choice,
    duration,
    go_duration,
    list_of,
    literal,
    map_of,
    raw,
    secret,
    secret_url,
    section_of,
    text,
    url,
)

_WEBHOOK_URL: Final = ("webhook_url", "webhook_url_file")
_KEY: Final = ("api_key", "api_key_file")
_ATTACHMENT: Final[dict[str, Reader]] = {
    **template_keys("fallback", "color", "pretext", "text", "title", "title_link"),
    **template_keys("author_name", "author_link", "author_icon"),
    **template_keys("thumb_url", "footer", "footer_icon", "image_url"),
    "fields": list_of(attachment_field),
}
_PRIORITY: Final[dict[str, Reader]] = {
    "priority": raw,
    "requested_ack": boolean,
    "persistent_notifications": boolean,
}
_ROCKETCHAT_ACTION: Final[dict[str, Reader]] = {
    **template_keys(
        "type", "text", "url", "image_url", "webview_height_ratio", "msg", "msg_processing_type"
    ),
    **dict.fromkeys(("is_webview", "msg_in_chat_window"), boolean),
}
_SIGV4: Final[dict[str, Reader]] = {
    **dict.fromkeys(("region", "access_key", "profile", "role_arn", "external_id"), text),
    "secret_key": secret,
    "use_fips_sts_endpoint": boolean,
}
# VictorOps would read these custom fields as its own.
_RESERVED_CUSTOM_FIELDS: Final = frozenset(
    (
        *("routing_key", "message_type", "state_message", "entity_display_name"),
        *("monitoring_tool", "entity_id", "entity_state"),
    )
)


def _chat_webhook_kind(*keys: str) -> IntegrationKind:
    """A chat with incoming webhooks."""
    return IntegrationKind(
        keys={**COMMON, **with_file_key("webhook_url", secret_url), **template_keys(*keys)},
        one_of=(_WEBHOOK_URL,),
        at_most=(_WEBHOOK_URL,),
    )


def _check_incidentio(section: Section) -> None:
    http = section.get("http_config")
    token = section.given("alert_source_token", "alert_source_token_file")
    if http is not None and ("authorization" in http) == bool(token):
        section.error("http_config", "problem.incidentio_token")


def _check_victorops(section: Section) -> None:
    for key in section.get("custom_fields", ()):
        if key in _RESERVED_CUSTOM_FIELDS:
            section.error("custom_fields", "problem.reserved_field", field=key)


def _check_sns(section: Section) -> None:
    targets = ("target_arn", "topic_arn", "phone_number")
    section.require(*targets)
    section.exclusive(*targets)
    sigv4 = section.get("sigv4")
    if sigv4 is not None and bool(sigv4.given("access_key")) != bool(sigv4.given("secret_key")):
        section.error("sigv4", "problem.sns_keys")


def _check_webex(section: Section) -> None:
    if "http_config" in section and "authorization" not in section["http_config"]:
        section.error("http_config", "problem.webex_authorization")


def _check_pushover(section: Section) -> None:
    if section.get("html") and section.get("monospace"):
        section.error("monospace", "problem.html_or_monospace")


PAGERDUTY: Final = IntegrationKind(
    keys={
        **COMMON,
        **TIMEOUT,
        **with_file_key("service_key"),
        **with_file_key("routing_key"),
        "url": url,
        **template_keys("client", "client_url", "description", "source"),
        **template_keys("severity", "class", "component", "group"),
        "details": literal,
        "images": list_of(section_of(template_keys("src", "alt", "href"))),
        "links": list_of(section_of(template_keys("href", "text"))),
    },
    one_of=(("service_key", "service_key_file", "routing_key", "routing_key_file"),),
    at_most=(("service_key", "service_key_file"), ("routing_key", "routing_key_file")),
    inherited={"url": "pagerduty_url"},
)

OPSGENIE: Final = IntegrationKind(
    keys={
        **COMMON,
        **with_file_key("api_key"),
        "api_url": url,
        **template_keys("message", "description", "source", "entity"),
        **template_keys("actions", "tags", "note", "priority"),
        "details": map_of(raw),
        "responders": list_of(opsgenie_responder),
        "update_alerts": boolean,
    },
    one_of=(_KEY,),
    at_most=(_KEY,),
    inherited={
        "api_url": "opsgenie_api_url",
        "api_key": "opsgenie_api_key",
        "api_key_file": "opsgenie_api_key_file",
    },
)

WECHAT: Final = IntegrationKind(
    keys={
        **COMMON,
        **with_file_key("api_secret"),
        "api_url": url,
        **address_keys("corp_id", "to_user", "to_party", "to_tag", "agent_id"),
        "message": raw,
        "message_type": choice("", "text", "markdown"),
    },
    send_resolved=False,
    one_of=(("api_secret", "api_secret_file"), ("corp_id",)),
    at_most=(("api_secret", "api_secret_file"),),
    inherited={
        "api_url": "wechat_api_url",
        "api_secret": "wechat_api_secret",
        "api_secret_file": "wechat_api_secret_file",
        "corp_id": "wechat_api_corp_id",
    },
)

VICTOROPS: Final = IntegrationKind(
    keys={
        **COMMON,
        **with_file_key("api_key"),
        "api_url": url,
        **address_keys("routing_key"),
        **template_keys("message_type", "state_message", "entity_display_name", "monitoring_tool"),
        "custom_fields": map_of(raw),
    },
    one_of=(_KEY, ("routing_key",)),
    at_most=(_KEY,),
    inherited={
        "api_url": "victorops_api_url",
        "api_key": "victorops_api_key",
        "api_key_file": "victorops_api_key_file",
    },
    check=_check_victorops,
)

PUSHOVER: Final = IntegrationKind(
    keys={
        **COMMON,
        **with_file_key("user_key"),
        **with_file_key("token"),
        **address_keys("device"),
        **template_keys("title", "message", "url", "url_title", "sound", "priority"),
        **dict.fromkeys(("retry", "expire", "ttl"), go_duration),
        **dict.fromkeys(("html", "monospace"), boolean),
    },
    one_of=(("user_key", "user_key_file"), ("token", "token_file")),
    at_most=(("user_key", "user_key_file"), ("token", "token_file")),
    check=_check_pushover,
)

SNS: Final = IntegrationKind(
    keys={
        **COMMON,
        "api_url": text,
        "sigv4": section_of(_SIGV4),
        **address_keys("topic_arn", "phone_number", "target_arn"),
        **template_keys("subject", "message"),
        "attributes": map_of(raw),
        "use_aws_http_client": boolean,
    },
    check=_check_sns,
)

DISCORD: Final = _chat_webhook_kind("content", "title", "message", "username", "avatar_url")
MSTEAMS: Final = _chat_webhook_kind("title", "summary", "text")
MSTEAMSV2: Final = _chat_webhook_kind("title", "text")

WEBEX: Final = IntegrationKind(
    keys={**COMMON, "api_url": url, "message": raw, **address_keys("room_id")},
    one_of=(("room_id",), ("http_config",)),
    inherited={"api_url": "webex_api_url"},
    check=_check_webex,
)

JIRA: Final = IntegrationKind(
    keys={
        **COMMON,
        "api_url": url,
        "api_type": choice("auto", "cloud", "datacenter"),
        **address_keys("project"),
        **template_keys("priority", "issue_type"),
        **template_keys("reopen_transition", "resolve_transition", "wont_fix_resolution"),
        **dict.fromkeys(("summary", "description"), jira_field),
        "labels": jira_labels,
        "reopen_duration": duration,
        "fields": literal,
    },
    one_of=(("project",), ("issue_type",), ("api_url",)),
    inherited={"api_url": "jira_api_url"},
)

INCIDENTIO: Final = IntegrationKind(
    keys={
        **COMMON,
        **TIMEOUT,
        **with_file_key("url", url),
        **with_file_key("alert_source_token"),
        "max_alerts": NOT_NEGATIVE,
    },
    one_of=(("url", "url_file"),),
    at_most=(("url", "url_file"), ("alert_source_token", "alert_source_token_file")),
    check=_check_incidentio,
)

ROCKETCHAT: Final = IntegrationKind(
    keys={
        **COMMON,
        "api_url": url,
        **with_file_key("token_id"),
        **with_file_key("token"),
        **address_keys("channel"),
        **template_keys("color", "title", "title_link", "text"),
        **template_keys("emoji", "icon_url", "image_url", "thumb_url"),
        "fields": list_of(section_of({**template_keys("title", "value"), "short": boolean})),
        **dict.fromkeys(("short_fields", "link_names"), boolean),
        "actions": list_of(section_of(_ROCKETCHAT_ACTION)),
    },
    send_resolved=False,
    one_of=(("token", "token_file"), ("token_id", "token_id_file")),
    at_most=(("token", "token_file"), ("token_id", "token_id_file")),
    inherited={
        "api_url": "rocketchat_api_url",
        **{
            key: f"rocketchat_{key}" for key in ("token", "token_file", "token_id", "token_id_file")
        },
    },
)

MATTERMOST: Final = IntegrationKind(
    keys={
        **COMMON,
        **with_file_key("webhook_url", secret_url),
        **address_keys("channel"),
        **template_keys("username", "icon_url", "icon_emoji", "type"),
        **_ATTACHMENT,
        "attachments": list_of(section_of(_ATTACHMENT)),
        "props": section_of(template_keys("card")),
        "priority": section_of(_PRIORITY),
    },
    one_of=(_WEBHOOK_URL,),
    at_most=(_WEBHOOK_URL,),
    inherited={
        "webhook_url": "mattermost_webhook_url",
        "webhook_url_file": "mattermost_webhook_url_file",
    },
)

FOREIGN_KINDS: Final = {
    "discord": DISCORD,
    "msteams": MSTEAMS,
    "msteamsv2": MSTEAMSV2,
    "pagerduty": PAGERDUTY,
    "opsgenie": OPSGENIE,
    "wechat": WECHAT,
    "victorops": VICTOROPS,
    "pushover": PUSHOVER,
    "sns": SNS,
    "webex": WEBEX,
    "jira": JIRA,
    "incidentio": INCIDENTIO,
    "rocketchat": ROCKETCHAT,
    "mattermost": MATTERMOST,
}
