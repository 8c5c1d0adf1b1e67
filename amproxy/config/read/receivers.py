"""One entry of a `*_configs` list: read by the table of its kind, filled in from `global`, made into its struct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from amproxy.config.read import foreign_kinds, kinds
from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.kinds import Kind
from amproxy.config.read.quantities import boolean
from amproxy.config.read.settings import email_settings, slack_settings, telegram_settings, webhook_settings
from amproxy.config.read.templates import go_templates, jinja_fault
from amproxy.config.read.values import choice, raw, reference
from amproxy.config.structs import Integration, OncallSettings

KINDS: Final[dict[str, Kind]] = {  # in the order in which Alertmanager sends
    "webhook": kinds.WEBHOOK,
    "email": kinds.EMAIL,
    "pagerduty": foreign_kinds.PAGERDUTY,
    "opsgenie": foreign_kinds.OPSGENIE,
    "wechat": foreign_kinds.WECHAT,
    "slack": kinds.SLACK,
    "victorops": foreign_kinds.VICTOROPS,
    "pushover": foreign_kinds.PUSHOVER,
    "sns": foreign_kinds.SNS,
    "telegram": kinds.TELEGRAM,
    "discord": foreign_kinds.DISCORD,
    "webex": foreign_kinds.WEBEX,
    "msteams": foreign_kinds.MSTEAMS,
    "msteamsv2": foreign_kinds.MSTEAMSV2,
    "jira": foreign_kinds.JIRA,
    "incidentio": foreign_kinds.INCIDENTIO,
    "rocketchat": foreign_kinds.ROCKETCHAT,
    "mattermost": foreign_kinds.MATTERMOST,
    "alertmanager": kinds.ALERTMANAGER,
}
_SETTINGS: Final[dict[str, Callable[[Section], Any]]] = {  # the kinds that amproxy can deliver
    "webhook": webhook_settings,
    "alertmanager": webhook_settings,
    "email": email_settings,
    "slack": slack_settings,
    "telegram": telegram_settings,
}
_UNUSED: Final[dict[str, tuple[str, ...]]] = {  # keys of these that change nothing, for amproxy draws its messages itself
    "email": ("auth_secret", "auth_secret_file", "threading"),
    "slack": (
        *("color", "title_link", "pretext", "message_text", "fields", "short_fields", "footer", "fallback", "callback_id"),
        *("image_url", "thumb_url", "link_names", "mrkdwn_in", "actions", "update_message"),
    ),
}
_JINJA_KEYS: Final = {"slack": ("title", "text"), "telegram": ("message",), "email": ("html", "text")}
_ONCALL: Final[dict[str, Reader]] = {
    "send_resolved": boolean,
    "escalation_policy": reference("escalation_policies", "escalation policy"),
    "title": raw,
    "urgency": choice("default", "important"),
}


def read_integration(kind: str, defaults: Section, at: Cursor) -> Section:
    """The keys of one entry, `global` filled in and checked. `defaults` are the keys of `global`."""
    table = KINDS[kind]
    section = at.section(table.keys)
    for group in table.at_most:
        section.exclusive(*group)
    _inherit(section, table, defaults)
    table.check(section)
    for group in table.one_of:
        if not any(section.get(key) or section.given(key) for key in group):
            from_global = [table.inherited[key] for key in group if key in table.inherited]
            section.require(*group, why=f"give it here, or {' or '.join(from_global)} in global" if from_global else "")
    for key, value in {"send_resolved": table.send_resolved, **table.defaults}.items():
        section.setdefault(key, value)
    return section


def _inherit(section: Section, table: Kind, defaults: Section) -> None:
    closed = {key for group in table.at_most if section.given(*group) for key in group}
    if "authorization" in section.get("http_config", {}):
        closed |= {"app_token", "app_token_file"}  # the authorization of its own stands in for them
    for key, source in table.inherited.items():
        if source in defaults and key not in closed and not section.given(key):
            section[key] = defaults[source]
    if "http_config" in table.keys:
        section.setdefault("http_config", defaults["http_config"])


def integration(kind: str, index: int, section: Section) -> Integration:
    """The struct of one entry; where amproxy cannot deliver it, a warning says why."""
    settings = _SETTINGS.get(kind, dict)(section)
    reason = _undeliverable(kind, section)
    if reason:
        section.cursor.warn("undeliverable", reason)
    for key in _UNUSED.get(kind, ()):
        if section.given(key):
            section.places[key].warn("unused", f"{key} has no effect: amproxy draws its own message")
    return Integration(
        kind=kind,
        index=index,
        send_resolved=section["send_resolved"],
        settings=settings,
        undeliverable=reason,
        place=section.cursor.place,
    )


def _undeliverable(kind: str, section: Section) -> str:
    if kind not in _SETTINGS:
        return f"amproxy cannot deliver {kind} yet"
    go = next(go_templates(section), "")
    if go:
        return f"{go} is a Go template, which amproxy does not run (its own texts are Jinja2)"
    for key in _JINJA_KEYS.get(kind, ()):
        fault = jinja_fault(section.get(key, ""))
        if fault:
            return f"{key} is neither plain text nor a Jinja2 template: {fault}"
    if "payload" in section:
        return "a payload of its own is not supported: amproxy sends Alertmanager's version 4"
    if "oauth2" in section.get("http_config", {}):
        return "amproxy cannot log in by oauth2 yet"
    if kind == "telegram" and not section.get("chat_id"):
        return "the file of chat_id_file does not hold a chat id"
    return ""


def oncall(at: Cursor, index: int) -> Integration | None:
    """An entry of oncall_configs; None where it is broken."""
    section = at.section(_ONCALL)
    section.require("escalation_policy", why="the name of one of escalation_policies")
    fault = jinja_fault(section.get("title", ""))
    if fault:
        section.error("title", f"not a Jinja2 template: {fault}")
    if "escalation_policy" not in section:
        return None
    settings = OncallSettings(**{key: section[key] for key in ("escalation_policy", "title", "urgency") if key in section})
    return Integration(kind="oncall", index=index, send_resolved=section.get("send_resolved", True), settings=settings, place=at.place)
