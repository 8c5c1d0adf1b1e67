"""The mail of a group as a page, `email.default.html`: Alertmanager's words, a look of its own.

Styles stand in the tags, where all mail programs read them. Nothing sets the colour of the page or
of plain text, so that the dark mode of the reader's program works.
"""

from __future__ import annotations

from typing import Final

_RED, _GREEN = "#c62828", "#2e7d32"
_FONT: Final = "-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_HEADING: Final = (
    "{{ len .Alerts }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} for"
    "{{ range .GroupLabels.SortedPairs }} {{ .Name }}={{ .Value }}{{ end }}"
)
_HEAD: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{{ template "__subject" . }}</title>
</head>
"""


def _pairs(field: str) -> str:
    """A heading, and a line for each label or annotation."""
    return (
        '<div style="margin:8px 0 2px; font-size:13px; font-weight:bold; opacity:.7">'
        f"{field}</div>\n"
        f"{{{{ range .{field}.SortedPairs }}}}"
        '<div style="overflow-wrap:anywhere"><span style="opacity:.7">{{ .Name }}</span>'
        " = {{ .Value }}</div>\n"
        "{{ end }}"
    )


def _alerts(status: str, color: str) -> str:
    """The alerts that fire, or those that are resolved, where there are any."""
    return (
        f"{{{{ if .Alerts.{status} }}}}"
        '<h2 style="margin:22px 0 10px; font-size:15px">'
        '<span style="display:inline-block; padding:2px 10px; border-radius:4px; color:#ffffff; '
        f'background:{color}">[{{{{ len .Alerts.{status} }}}}] {status}</span></h2>\n'
        f"{{{{ range .Alerts.{status} }}}}"
        f'<div style="margin:0 0 14px; padding:2px 0 2px 12px; border-left:4px solid {color}">\n'
        f"{_pairs('Labels')}"
        f"{{{{ if .Annotations }}}}{_pairs('Annotations')}{{{{ end }}}}"
        '<div style="margin-top:8px"><a href="{{ .GeneratorURL }}">Source</a></div>\n'
        "</div>\n{{ end }}{{ end }}"
    )


MAIL: Final = f"""{_HEAD}\
<body style="margin:0; padding:16px 10px; font:15px/1.45 {_FONT}">
<div style="max-width:640px; margin:0 auto">
<div style="padding:14px 18px; border-radius:8px 8px 0 0; color:#ffffff; font-size:19px; \
font-weight:bold; overflow-wrap:anywhere; \
background:{{{{ if .Alerts.Firing }}}}{_RED}{{{{ else }}}}{_GREEN}{{{{ end }}}}">{_HEADING}</div>
<div style="padding:18px; border:1px solid #88888866; border-top:0; border-radius:0 0 8px 8px">
<a href="{{{{ template "__alertmanagerURL" . }}}}" style="display:inline-block; padding:10px 16px; \
border-radius:6px; background:#1f6feb; color:#ffffff; text-decoration:none; font-weight:bold">\
View in {{{{ template "__alertmanager" . }}}}</a>
{_alerts("Firing", _RED)}{_alerts("Resolved", _GREEN)}\
</div>
<p style="margin:12px 18px; font-size:13px; opacity:.7">\
<a href="{{{{ .ExternalURL }}}}" style="color:inherit">\
Sent by {{{{ template "__alertmanager" . }}}}</a></p>
</div>
</body>
</html>
"""
