"""Jira in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    EMPTY_TEXT,
    IntegrationKind,
    address_keys,
    jira_field,
    jira_labels,
    template_keys,
    written_texts,
)
from amproxy.config.read.values import choice, duration, literal, map_of, url
from amproxy.config.structs import HttpSettings, Struct

_DEFAULT_TEXTS: Final = {
    "summary": '{{ template "jira.default.summary" . }}',
    "description": '{{ template "jira.default.description" . }}',
    "priority": '{{ template "jira.default.priority" . }}',
}


class JiraSettings(Struct, frozen=True, kw_only=True):
    """One project of a Jira. `update_…`: whether an issue that exists gets the text anew."""

    api_url: str = ""  # "https://example.atlassian.net/rest/api/2/"
    api_type: str = "auto"  # "cloud", "datacenter", or "auto" = by the host
    project: str = ""
    issue_type: str = ""
    summary: str = ""
    update_summary: bool = True
    description: str = ""
    update_description: bool = True
    labels: list[str] = msgspec.field(default_factory=list)
    update_labels: bool = True
    priority: str = ""
    reopen_transition: str = ""
    resolve_transition: str = ""
    wont_fix_resolution: str = ""
    reopen_duration: float = 0.0  # seconds after its resolution in which an issue is reopened
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> JiraSettings:
    summary, update_summary = _text_field(section, "summary")
    description, update_description = _text_field(section, "description")
    labels = section.get("labels", [])
    by_map = isinstance(labels, dict)
    return JiraSettings(
        **section.pick("api_url", "api_type", "project", "issue_type", "fields"),
        **section.pick("reopen_transition", "resolve_transition", "wont_fix_resolution"),
        **written_texts(section, "priority"),
        summary=summary,
        update_summary=update_summary,
        description=description,
        update_description=update_description,
        labels=labels.get("values", []) if by_map else labels,
        update_labels=labels.get("enable_update", True) if by_map else True,
        reopen_duration=float(section.get("reopen_duration", 0)),
        http=build_http_settings(section["http_config"]),
        send_resolved=section["send_resolved"],
    )


def _text_field(section: Section, key: str) -> tuple[str, bool]:
    """The text of a field, "" where it is left out, and whether updates have it."""
    found = section.get(key)
    if isinstance(found, dict):
        text = found["template"] or EMPTY_TEXT if "template" in found else ""
        return text, found.get("enable_update", True)
    return ("" if found is None else found or EMPTY_TEXT), True


JIRA: Final = ChannelKind(
    channel="amproxy.notify.channels.jira.channel:JiraChannel",
    integration=IntegrationKind(
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
            "fields": map_of(literal),
        },
        one_of=(("project",), ("issue_type",), ("api_url",)),
        inherited={"api_url": "jira_api_url"},
    ),
    build=_build,
    templates=(
        *("project", "issue_type", "summary", "description", "labels", "priority", "fields"),
    ),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
