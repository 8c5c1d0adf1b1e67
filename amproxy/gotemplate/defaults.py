"""Alertmanager's default templates by their names, with its output (as of 0.35).

Files call them (`{{ template "slack.default.title" . }}`), and a receiver that leaves a
text out has them. They are put together here from the few forms that they have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from amproxy.gotemplate.default_mail import MAIL

_ALERTMANAGER: Final = '{{ template "__alertmanager" . }}'
_LINK: Final = '{{ template "__alertmanagerURL" . }}'
_SUBJECT: Final = '{{ template "__subject" . }}'
_COLOR: Final = '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'
_ANNOTATIONS: Final = '{{ join " " .CommonAnnotations.SortedPairs.Values }}'

# "[FIRING:2] group labels (the other common labels)"
_SUBJECT_TEXT: Final = (
    '[{{ toUpper .Status }}{{ if eq .Status "firing" }}:{{ len .Alerts.Firing }}{{ end }}]'
    ' {{ join " " .GroupLabels.SortedPairs.Values }} '
    "{{ if gt (len .CommonLabels) (len .GroupLabels) }}("
    '{{ with .CommonLabels.Remove .GroupLabels.Names }}{{ join " " .Values }}{{ end }}'
    "){{ end }}"
)


def _alert_list(before: str, indent: str) -> str:
    """Alerts with their labels, annotations and source. before: a blank line, or nothing."""

    def pairs(field: str) -> str:
        line = f"{indent}- {{{{ .Name }}}} = {{{{ .Value }}}}\n"
        return f"{field}:\n{{{{ range .{field}.SortedPairs }}}}{line}{{{{ end }}}}"

    blocks = (pairs("Labels"), pairs("Annotations"), "Source: {{ .GeneratorURL }}\n")
    return f"{{{{ range . }}}}{before}{before.join(blocks)}{{{{ end }}}}"


def _both_lists(begin: str, end: str, *, list_name: str, mark: str = "") -> str:
    """The alerts that fire, then those that are resolved, each where there are any.

    begin, end: what stands around each of the two. mark: before their headings.
    """

    def one(status: str) -> str:
        alerts = f"{{{{ template {list_name!r} .Alerts.{status} }}}}".replace("'", '"')
        text = f"{begin}{mark}Alerts {status}:\n{alerts}{end}"
        return f"{{{{ if .Alerts.{status} }}}}{text}{{{{ end }}}}"

    return f"{one('Firing')}\n{one('Resolved')}"


_TEXT_LISTS: Final = _both_lists("\n", "\n", list_name="__text_alert_list") + "\n"
_CLOSE_LISTS: Final = _both_lists("", "", list_name="__text_alert_list")
_MARKDOWN_LISTS: Final = (
    "\n" + _both_lists("\n", "\n", list_name="__text_alert_list_markdown", mark="# ") + "\n"
)
# The gravest severity of the alerts that fire, or of those that are resolved where none has one.
_PRIORITY: Final = (
    '{{ $found := "" }}'
    '{{ range $alerts := list .Alerts.Firing .Alerts.Resolved }}{{ if eq $found "" }}'
    '{{ range $alerts }}{{ $severity := index .Labels "severity" }}'
    '{{ if eq $severity "critical" }}{{ $found = "High" }}'
    '{{ else if and (eq $severity "warning") (ne $found "High") }}{{ $found = "Medium" }}'
    '{{ else if and (eq $severity "info") (eq $found "") }}{{ $found = "Low" }}'
    "{{ end }}{{ end }}{{ end }}{{ end }}{{ $found }}"
)

_TEXTS: Final[dict[str, dict[str, str]]] = {
    "slack": {
        "title": _SUBJECT,
        "username": _ALERTMANAGER,
        "fallback": '{{ template "slack.default.title" . }} | '
        '{{ template "slack.default.titlelink" . }}',
        "titlelink": _LINK,
        "color": _COLOR,
        **dict.fromkeys(("callbackid", "pretext", "iconemoji", "iconurl", "text", "footer"), ""),
    },
    "pagerduty": {
        "description": _SUBJECT,
        "client": _ALERTMANAGER,
        "clientURL": _LINK,
        "instances": '{{ template "__text_alert_list" . }}',
    },
    "opsgenie": {
        "message": _SUBJECT,
        "description": f"{_ANNOTATIONS}\n{_CLOSE_LISTS}",
        "source": _LINK,
    },
    "wechat": {
        "message": f"{_SUBJECT}\n{_ANNOTATIONS}\n{_CLOSE_LISTS}\nAlertmanagerUrl:\n{_LINK}",
        **dict.fromkeys(("to_user", "to_party", "to_tag", "agent_id"), ""),
    },
    "victorops": {
        "state_message": f"{_ANNOTATIONS}\n{_CLOSE_LISTS}",
        "entity_display_name": _SUBJECT,
        "monitoring_tool": _ALERTMANAGER,
    },
    "pushover": {"title": _SUBJECT, "message": f"{_ANNOTATIONS}\n{_TEXT_LISTS}", "url": _LINK},
    "sns": {"subject": _SUBJECT, "message": f"{_ANNOTATIONS}\n{_TEXT_LISTS}"},
    "telegram": {"message": f"\n{_TEXT_LISTS}"},
    "discord": {"content": "", "title": _SUBJECT, "message": f"\n{_TEXT_LISTS}"},
    "webex": {"message": f"{_ANNOTATIONS}\n{_TEXT_LISTS}"},
    "msteams": {"summary": _SUBJECT, "title": _SUBJECT, "text": _MARKDOWN_LISTS},
    "msteamsv2": {"title": _SUBJECT, "text": _MARKDOWN_LISTS},
    "jira": {"summary": _SUBJECT, "description": _MARKDOWN_LISTS, "priority": _PRIORITY},
    "rocketchat": {
        "title": _SUBJECT,
        "alias": _ALERTMANAGER,
        "titlelink": _LINK,
        **dict.fromkeys(("emoji", "iconurl", "text"), ""),
    },
    "mattermost": {
        "color": _COLOR,
        "username": _ALERTMANAGER,
        "title": _SUBJECT,
        "titlelink": _LINK,
        "fallback": '{{ template "mattermost.default.title" . }} | '
        '{{ template "mattermost.default.titlelink" . }}',
        "text": _MARKDOWN_LISTS,
    },
    "email": {"subject": _SUBJECT, "html": MAIL},
}


def default_templates() -> Iterator[tuple[str, str]]:
    """Name and text of each, in any order."""
    yield "__alertmanager", "Alertmanager"
    yield "__alertmanagerURL", "{{ .ExternalURL }}/#/alerts?receiver={{ urlquery .Receiver }}"
    yield "__subject", _SUBJECT_TEXT
    yield "__description", ""
    yield "__text_alert_list", _alert_list("", " ")
    yield "__text_alert_list_markdown", _alert_list("\n", "  ") + "\n"
    for kind, texts in _TEXTS.items():
        for name, text in texts.items():
            yield f"{kind}.default.{name}", text
