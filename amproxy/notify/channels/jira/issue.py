"""Issues of Jira as its API has them: the fields of one, and the search for it. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from amproxy.labels.matchers import quote
from amproxy.notify.channels.jira.settings import JiraSettings
from amproxy.notify.channels.receiver import group_digest, incident_text, truncate_runes
from amproxy.notify.message import Card
from amproxy.notify.rendered_values import typed_tree

MAX_SUMMARY: Final = 255  # characters
MAX_DESCRIPTION: Final = 32_767  # characters


class JiraStatusCategory(msgspec.Struct, frozen=True):
    key: str = ""


class JiraStatus(msgspec.Struct, frozen=True):
    category: JiraStatusCategory = msgspec.field(
        name="statusCategory", default=JiraStatusCategory()
    )


class JiraFields(msgspec.Struct, frozen=True):
    status: JiraStatus | None = None


class JiraIssue(msgspec.Struct, frozen=True):
    """An issue that a search has found."""

    key: str = ""
    fields: JiraFields | None = None

    def is_done(self) -> bool | None:
        """True where its status counts as done; None where the answer does not tell."""
        if self.fields is None or self.fields.status is None:
            return None
        return self.fields.status.category.key == "done"


class JiraSearchResult(msgspec.Struct, frozen=True):
    issues: list[JiraIssue] | None = None


class JiraTransition(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class JiraTransitions(msgspec.Struct, frozen=True):
    transitions: list[JiraTransition] | None = None


def search_body(settings: JiraSettings, card: Card, *, firing: bool) -> dict[str, Any]:
    """The search for the group's issue: an open one, or one that may be reopened."""
    minutes = int(settings.reopen_duration // 60)
    conditions = []
    if settings.wont_fix_resolution:
        # an unresolved issue has no resolution, and `!=` alone would not find it
        unwanted = quote(settings.wont_fix_resolution)
        conditions.append(f"(resolution is EMPTY or resolution != {unwanted})")
    if firing and settings.reopen_transition and minutes > 0:
        conditions.append(f"(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m)")
    else:
        conditions.append("statusCategory != Done")
    conditions.append(f"project={quote(settings.project)}")
    conditions.append(f"labels={quote(group_label(card))}")
    order = "order by status ASC,resolutiondate DESC"
    return {
        "jql": f"{' and '.join(conditions)} {order}",
        "maxResults": 2,
        "fields": ["status"],
    }


def issue_body(settings: JiraSettings, card: Card, *, exists: bool) -> dict[str, Any]:
    """The body that makes or changes the group's issue."""
    summary = settings.summary or incident_text(card, card.title)
    fields: dict[str, Any] = {
        "project": {"key": settings.project},
        "issuetype": {"name": settings.issue_type} if settings.issue_type else {},
        "summary": truncate_runes(summary, MAX_SUMMARY),
        "labels": sorted([*settings.labels, group_label(card)]),
    }
    description = _description(settings, card)
    if description is not None:
        fields["description"] = description
    if settings.priority:
        fields["priority"] = {"name": settings.priority}
    if exists:
        kept = {
            "summary": settings.update_summary,
            "description": settings.update_description,
            "labels": settings.update_labels,
        }
        fields = {key: value for key, value in fields.items() if kept.get(key, True)}
    return {"fields": fields | typed_tree(settings.fields)}


def group_label(card: Card) -> str:
    """The label by which the group's issue is found again."""
    return f"ALERT{{{group_digest(card)}}}"


def _description(settings: JiraSettings, card: Card) -> Any:
    """The description as the version of the API in the address has it; None = nothing to say.

    Version 3 takes a document in JSON. A text that is none becomes one, where Alertmanager fails.
    """
    written = settings.description or incident_text(card, card.text)
    text = truncate_runes(written, MAX_DESCRIPTION)
    if not settings.api_url.rstrip("/").endswith("/3"):
        return text or None
    text = text.strip()
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _document(text)


def _document(text: str) -> dict[str, Any]:
    """A text in the Atlassian Document Format: a paragraph a line, empty ones left out."""
    return {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "paragraph", "content": [{"type": "text", "text": line}]}
            for line in text.splitlines()
            if line.strip()
        ],
    }
