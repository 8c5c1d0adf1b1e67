"""Grafana's additions to an alert: values, links, pictures, and the rule that a failed query is of.

Its webhook has them as fields of their own. Its contact point of type Alertmanager, and a Grafana
that uses an Alertmanager, have them as annotations named `__…__`. Pure; all of it is data from
outside, and unchecked where a docstring does not say so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from amproxy.model import EMBEDDED_FIELD, Alert

MAX_VALUES: Final = 10  # of one alert
MAX_READ_VALUES: Final = 100  # of which they are the first by name
MAX_READ_LENGTH: Final = 4000  # characters of a text that is read for values
LONGEST_VALUE: Final = 60  # characters of a value, or of its name
LONGEST_CAUSE: Final = 100  # characters of an error in a title
MAX_TITLE_RULES: Final = 2  # rules that a title names

# The names that alerts get in place of their rules' while a query fails or returns nothing.
STAND_INS: Final = frozenset(("DatasourceError", "DatasourceNoData"))
RULE_LABEL: Final = "rulename"  # of a stand-in: the rule's name
ERROR_ANNOTATION: Final = "Error"  # of a DatasourceError
_RULE_UID_LABEL: Final = "__alert_rule_uid__"
_FOLDER_LABEL: Final = "grafana_folder"
# A picture's address; the second has "token://…" where the picture was uploaded nowhere.
_PICTURES: Final = ("__alert_image_url__", "__alertImageToken__", "image")

# "[ var='B0' metric='load' labels={instance=web1} type='…' value=7.42 ]"; each part but the last
# may be missing.
_VALUE = re.compile(
    r"\[ (?:var='([^']*)' )?(?:metric='([^']*)' )?(?:labels=\{[^}]*\} )?"
    r"(?:type='[^']*' )?value=([^\s\]]+) \]"
)
_DIGEST = re.compile(r"[0-9a-f]{32}", re.ASCII)
_RULE_PAGE = re.compile(r"/alerting/(?:grafana/)?[^/]+/(?:view|edit)/?$")


class AlertValue(NamedTuple):
    """One number that a rule was evaluated to."""

    name: str  # its RefID: "A"; "" where it has none
    value: str  # "7.4214", "NaN"

    @property
    def text(self) -> str:
        return f"{self.name} = {self.value}" if self.name else self.value


def is_private(name: str) -> bool:
    """Check for a label or annotation that is for Grafana itself, not for people."""
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def public_pairs(pairs: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without those that are for Grafana itself."""
    return {name: value for name, value in pairs.items() if not is_private(name)}


def read_values(alert: Alert) -> list[AlertValue]:
    """The values of an alert by name, at most MAX_VALUES; [] where it has none."""
    given = alert.extra.get("values")
    if not isinstance(given, dict):
        given = _decode_object(alert.annotations.get("__values__", ""))
    if values := list(_named_values(given)):
        return values
    told = alert.extra.get("valueString") or alert.annotations.get("__value_string__", "")
    return list(_told_values(told)) if isinstance(told, str) else []


def values_text(alert: Alert) -> str:
    """The values of an alert in one line, "A = 7.4214, C = 1"; "" where it has none."""
    return ", ".join(value.text for value in read_values(alert))


def _decode_object(text: str) -> dict[str, Any]:
    if not text or len(text) > MAX_READ_LENGTH:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}


def _named_values(given: Mapping[Any, Any]) -> Iterator[AlertValue]:
    looked_at = islice(given.items(), MAX_READ_VALUES)
    named = sorted((str(name), value) for name, value in looked_at if _is_value(value))
    for name, value in named[:MAX_VALUES]:
        yield AlertValue(_one_line(name), _one_line(number_text(value)))


def _is_value(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def number_text(value: float | str) -> str:
    """A number with its whole part and six digits that count, "7.4214"; a text as it is."""
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except OverflowError:  # an integer beyond floats
        number = math.inf if value > 0 else -math.inf
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    if abs(number) < 1e15 and number == int(number):
        return str(int(number))
    if not 1e-4 <= abs(number) < 1e15:
        return f"{number:.6g}"
    digits = max(0, 5 - math.floor(math.log10(abs(number))))
    return f"{number:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{number:.0f}"


def _told_values(text: str) -> Iterator[AlertValue]:
    """The values that a text tells; the text itself, cut, where it tells them in another form."""
    found = list(_VALUE.findall(text[:MAX_READ_LENGTH]))
    for name, metric, value in found[:MAX_VALUES]:
        yield AlertValue(_one_line(name or metric), _one_line(_told_number(value)))
    if not found and text.strip():
        yield AlertValue("", _one_line(text))


def _told_number(text: str) -> str:
    try:
        return number_text(float(text))
    except ValueError:  # "null"
        return text


def _one_line(text: str) -> str:
    line = " ".join(text[: LONGEST_VALUE * 8].split())
    return line if len(line) <= LONGEST_VALUE else line[: LONGEST_VALUE - 1] + "…"


# Links and pictures


def read_link(alert: Alert, field: str) -> str:
    """The link of a field of Grafana's webhook, made from annotations where it is missing.

    field: "dashboardURL", "panelURL", "silenceURL". "" where there is none.
    """
    given = alert.extra.get(field)
    if isinstance(given, str) and given:
        return given
    base = _grafana_url(alert)
    return _LINKS[field](alert, base) if base and field in _LINKS else ""


def picture_candidates(alert: Alert) -> Iterator[str]:
    """Candidates for the address of the picture, the likeliest first."""
    given = alert.extra.get("imageURL")
    if given and isinstance(given, str):
        yield given
    for name in _PICTURES:
        if text := alert.annotations.get(name):
            yield text


def embedded_picture(alert: Alert) -> str:
    """The digest under which the picture that came in the alert is kept; "" = none came."""
    given = alert.extra.get(EMBEDDED_FIELD)
    return given if isinstance(given, str) and _DIGEST.fullmatch(given) else ""


def _grafana_url(alert: Alert) -> str:
    """The address of the Grafana that an alert's annotations are of; "" = they are of none."""
    if not any(map(is_private, (*alert.annotations, *alert.labels))):
        return ""
    try:
        parts = urlsplit(alert.generator_url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    path = _RULE_PAGE.sub("", parts.path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _dashboard_url(alert: Alert, base: str) -> str:
    """The dashboard, from an hour before the alert began to its end, or to now."""
    dashboard = alert.annotations.get("__dashboardUid__")
    if not dashboard:
        return ""
    over = 0 < alert.ends_ns <= alert.updated_ns
    ends = str(alert.ends_ns // 10**6) if over else "now"
    times = [("from", str(alert.starts_ns // 10**6 - 3_600_000)), ("to", ends)]
    return f"{base}/d/{quote(dashboard, safe='')}?{urlencode([*_organisation(alert), *times])}"


def _panel_url(alert: Alert, base: str) -> str:
    dashboard, panel = _dashboard_url(alert, base), alert.annotations.get("__panelId__")
    return f"{dashboard}&{urlencode({'viewPanel': panel})}" if dashboard and panel else ""


def _silence_url(alert: Alert, base: str) -> str:
    """The form for a new silence; the rule's own label stands for its name and folder."""
    rule = alert.labels.get(_RULE_UID_LABEL)
    if not rule:
        return ""
    said_by_rule = ("alertname", _FOLDER_LABEL)
    matched = sorted(
        (name, value)
        for name, value in public_pairs(alert.labels).items()
        if name not in said_by_rule
    )
    matched.insert(0, (_RULE_UID_LABEL, rule))
    matchers = [("matcher", f"{name}={value}") for name, value in matched]
    query = urlencode([("alertmanager", "grafana"), *matchers, *_organisation(alert)])
    return f"{base}/alerting/silence/new?{query}"


def _organisation(alert: Alert) -> list[tuple[str, str]]:
    given = alert.annotations.get("__orgId__", "")
    return [("orgId", given)] if given.isascii() and given.isdigit() else []


_LINKS: Final = {
    "dashboardURL": _dashboard_url,
    "panelURL": _panel_url,
    "silenceURL": _silence_url,
}


# Titles


def stand_in_title(alertname: str, common: Mapping[str, str], alerts: Sequence[Alert]) -> str:
    """Rule, stand-in and cause: "Orders: DatasourceError: connection refused"; "" for others.

    common: the labels that all alerts share; they are enough where no alerts are known.
    """
    if alertname not in STAND_INS:
        return ""
    rules = [*map(_rule_name, alerts)] if alerts else [common.get(RULE_LABEL, "")]
    named = list(dict.fromkeys(filter(None, rules)))
    first = ", ".join(named[:MAX_TITLE_RULES])
    more = f" and {len(named) - MAX_TITLE_RULES} more" if len(named) > MAX_TITLE_RULES else ""
    causes = {_cause(alert) for alert in alerts}
    cause = causes.pop() if len(causes) == 1 else ""
    return ": ".join(filter(None, (f"{first}{more}", alertname, cause)))


def _rule_name(alert: Alert) -> str:
    return alert.labels.get(RULE_LABEL, "")


def _cause(alert: Alert) -> str:
    """The error in one line; of a long one the end, since Go's errors end with what happened."""
    line = " ".join(alert.annotations.get(ERROR_ANNOTATION, "")[:MAX_READ_LENGTH].split())
    if len(line) <= LONGEST_CAUSE:
        return line
    end = line[2 - LONGEST_CAUSE :]
    _, colon, whole = end.partition(": ")
    return f"… {whole if colon else end}"
