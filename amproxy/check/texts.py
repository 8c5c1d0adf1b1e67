"""Templates of receivers, tried on an example: what would fail at the first alert is told now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from amproxy.config.channels import REGISTRY, channel_kind
from amproxy.config.go_templates import GoTemplates, go_templates
from amproxy.config.read.receivers import nested_texts
from amproxy.config.structs import Config, Integration
from amproxy.errors import ConfigProblem
from amproxy.gotemplate.errors import GoParseError, GoTemplateError
from amproxy.text import Phrase

if TYPE_CHECKING:
    from amproxy.gotemplate.alertmanager_data import NotificationData

_NOW: Final = 1_767_225_600 * 10**9  # nanoseconds; any time will do
_MAX_STEPS: Final = 100_000
_COMMON: Final = {"alertname": "Example", "severity": "critical", "job": "node"}
_ANNOTATIONS: Final = {
    "summary": "An example",
    "description": "Nothing is wrong.",
    "runbook_url": "https://runbooks.example.org/example",
}


def failing_texts(config: Config) -> Iterator[ConfigProblem]:
    """A warning of kind `template` for each text that fails for an example.

    Those that are no templates at all have been told where they were read.
    """
    trial = _Trial(go_templates(config.templates))
    for receiver in config.receivers.values():
        for integration in receiver.integrations:
            if integration.kind in REGISTRY:
                for key, fault in trial.faults(integration):
                    yield _problem(integration, key, fault)


class _Trial:
    """Renders each text once, however many receivers have it."""

    def __init__(self, templates: GoTemplates) -> None:
        self._templates = templates
        self._known: dict[tuple[str, bool, bool], tuple[str, str]] = {}

    def faults(self, integration: Integration) -> Iterator[tuple[str, tuple[str, str]]]:
        """Key and fault of each text that fails."""
        kind = channel_kind(integration.kind)
        for key in kind.templates:
            value = getattr(integration.settings, key)
            if value == kind.default_texts.get(key):
                continue
            html = kind.is_html(integration.settings, key)
            for text in nested_texts(value):
                if "{{" in text:
                    fault = self._fault(text, html=html, over=integration.send_resolved)
                    if fault[1]:
                        yield key, fault

    def _fault(self, text: str, *, html: bool, over: bool) -> tuple[str, str]:
        """The key of the problem, and Go's words; "" = none. over: ends are told too."""
        known = text, html, over
        if known not in self._known:
            tried: Sequence[_Example] = (_BOTH, _FIRING, _RESOLVED) if over else (_FIRING,)
            found = ((key, self._render(text, html=html, data=make())) for key, make in tried)
            self._known[known] = next((one for one in found if one[1]), ("", ""))
        return self._known[known]

    def _render(self, text: str, *, html: bool, data: NotificationData) -> str:
        # here: the language is large, and most files of people on call have no text in it
        from amproxy.gotemplate.execution import Limits

        try:
            template = self._templates.compile(text, html=html)
            template.render(data, _NOW, Limits(steps=_MAX_STEPS))
        except GoParseError:
            return ""
        except GoTemplateError as error:
            return str(error)
        return ""


def _problem(integration: Integration, key: str, fault: tuple[str, str]) -> ConfigProblem:
    place = integration.place
    return ConfigProblem(
        Phrase(fault[0], {"key": key, "fault": fault[1]}),
        file=place.file,
        line=place.line,
        column=place.column,
        kind="template",
    )


def example_data(
    states: Collection[str] = ("firing", "resolved"),
) -> NotificationData:
    """An alert in each of these states: "firing", "resolved"."""
    from amproxy.gotemplate.alertmanager_data import (
        NotificationData,
        NotifiedAlert,
        alerts_of,
        labels_of,
    )
    from amproxy.gotemplate.times import ZERO_TIME, GoTime

    alerts = [
        NotifiedAlert(
            status=state,
            labels=labels_of({**_COMMON, "instance": instance}),
            annotations=labels_of(_ANNOTATIONS),
            starts_at=GoTime(_NOW),
            ends_at=ends_at,
            generator_url="https://prometheus.example.org/graph",
            fingerprint=fingerprint,
        )
        for state, instance, ends_at, fingerprint in (
            ("firing", "db1:9100", ZERO_TIME, "0123456789abcdef"),
            ("resolved", "db2:9100", GoTime(_NOW), "fedcba9876543210"),
        )
        if state in states
    ]
    return NotificationData(
        receiver="example",
        status="firing" if "firing" in states else "resolved",
        alerts=alerts_of(alerts),
        notification_reason="first notification",
        group_labels=labels_of({"alertname": "Example"}),
        common_labels=labels_of(_COMMON),
        common_annotations=labels_of(_ANNOTATIONS),
        external_url="https://amproxy.example.org",
    )


# The key of the problem, and the example that shows it.
_Example = tuple[str, Callable[[], "NotificationData"]]
_BOTH: Final[_Example] = ("problem.template_fails", example_data)
_FIRING: Final[_Example] = (
    "problem.template_fails_firing",
    partial(example_data, ("firing",)),
)
_RESOLVED: Final[_Example] = (
    "problem.template_fails_resolved",
    partial(example_data, ("resolved",)),
)
