"""Texts from the file: Jinja2, sandboxed. Alert text goes in as data and never as a template.

Jinja2 is imported where a text needs it. The load of a file that has one does so (config/read).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from amproxy.log import EventLog
from amproxy.model import Alert, Group, common_pairs
from amproxy.notify import grafana
from amproxy.notify.content import rank_labels

if TYPE_CHECKING:
    from jinja2 import Environment, Template

log = EventLog(__name__)

LONGEST_TITLE = 500  # characters
LONGEST_LABELS = 120  # of a default title
MAX_TITLE_ALERTS = 100  # alerts that the template of a title gets


class TemplateFailed(ValueError):
    """A template that cannot be rendered with its values; the text says why."""


# Whatever an expression over the card's values may raise.
_TEMPLATE_ERRORS: Final = (
    *(ArithmeticError, TypeError, ValueError, LookupError),
    *(AttributeError, RecursionError, MemoryError),
)


@cache
def _environment() -> Environment:
    """Sandboxed and without globals: a template reaches nothing but its values.

    No autoescape: what comes out is plain text.
    """
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    found = ImmutableSandboxedEnvironment(autoescape=False)
    found.globals.clear()
    return found


def render_title(template: str, variables: dict[str, Any], fallback: str) -> str:
    """One line of text; `fallback` where the template fails or renders nothing.

    A page must not be lost to a typing error.
    """
    return " ".join(_render(template, variables, fallback).split())[:LONGEST_TITLE] or fallback


def default_title(
    group_labels: dict[str, str], common_labels: dict[str, str], alerts: Sequence[Alert] = ()
) -> str:
    """ "HighCPU (cluster=eu1)": the alert's name and the other group labels.

    alerts: those that fire, for the rules that Grafana's stand-ins are of.
    """
    name = group_labels.get("alertname") or common_labels.get("alertname") or "Alerts"
    said = {"alertname"}
    if stand_in := grafana.stand_in_title(name, common_labels, alerts[:MAX_TITLE_ALERTS]):
        name, said = stand_in, {"alertname", grafana.RULE_LABEL}
    rest = _label_list({key: value for key, value in group_labels.items() if key not in said})
    return " ".join((f"{name} ({rest})" if rest else name).split())[:LONGEST_TITLE]


def _label_list(labels: dict[str, str]) -> str:
    """Labels by name; of many those that say most, and how many are not among them."""
    texts = [f"{key}={value}" for key, value in sorted(labels.items())]
    if len(whole := ", ".join(texts)) <= LONGEST_LABELS:
        return whole
    texts = [f"{key}={value}" for key, value in rank_labels(labels)]
    for number in range(len(texts) - 1, 0, -1):
        text = ", ".join((*texts[:number], f"… and {len(texts) - number} more"))
        if len(text) <= LONGEST_LABELS:
            return text
    return whole


def incident_title(template: str, group: Group, firing: Sequence[Alert]) -> str:
    """The title of an incident that a group of firing alerts opens.

    template: the receiver's own, "" = the default title.
    """
    labels = common_pairs(alert.labels for alert in firing)
    title = default_title(group.labels, labels, firing)
    if not template:
        return title
    variables = {
        "group_labels": group.labels,
        "common_labels": labels,
        "common_annotations": common_pairs(alert.annotations for alert in firing),
        "receiver": group.receiver,
        "alerts": [
            {"labels": alert.labels, "annotations": alert.annotations}
            for alert in firing[:MAX_TITLE_ALERTS]
        ],
        "firing": len(firing),
    }
    return render_title(template, variables, fallback=title)


def render_text(template: str, variables: dict[str, Any]) -> str:
    """A text with its values, unescaped. Raises TemplateFailed."""
    from jinja2 import TemplateError

    try:
        return _compile(template).render(variables)
    except (TemplateError, *_TEMPLATE_ERRORS) as error:
        raise TemplateFailed(str(error) or type(error).__name__) from None


def _render(template: str, variables: dict[str, Any], fallback: str) -> str:
    try:
        return render_text(template, variables)
    except TemplateFailed as error:
        log.warning("template failed", template=template, error=str(error))
        return fallback


@lru_cache(maxsize=1000)
def _compile(text: str) -> Template:
    return _environment().from_string(text)


def is_template(text: object) -> bool:
    """True for a text with values to fill in."""
    return isinstance(text, str) and ("{{" in text or "{%" in text)
