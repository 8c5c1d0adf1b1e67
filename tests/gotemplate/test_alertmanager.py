"""Alertmanager's data and functions: each case was answered by Alertmanager 0.34 or 0.35."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from amproxy.gotemplate.alertmanager import FUNCTIONS
from amproxy.gotemplate.alertmanager_data import (
    NotificationData,
    NotifiedAlert,
    alerts_of,
    data_from_json,
    labels_of,
)
from amproxy.gotemplate.errors import GoExecError, GoTemplateError
from amproxy.gotemplate.template import TemplateSet
from amproxy.gotemplate.times import from_rfc3339
from amproxy.gotemplate.values import Pointer
from tests.support.cases import ALERTMANAGER

_RECORDED = json.loads(Path(__file__).with_name("alertmanager.json").read_text("utf-8"))
_OF_0_34 = json.loads((ALERTMANAGER / "templates.json").read_text("utf-8"))
_NOW = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()) * 10**9


def rendered(text: str, data: Any = None, now: int | None = _NOW) -> str:
    return TemplateSet(FUNCTIONS, "zero").text(text).render(data, now=now)


@pytest.mark.parametrize("case", _RECORDED["cases"], ids=lambda case: case["template"][:60])
def test_a_template_gives_what_alertmanager_gives(case: dict[str, str]) -> None:
    data = data_from_json(_RECORDED["data"])
    if "error" in case:
        with pytest.raises(GoTemplateError) as failure:
            rendered(case["template"], data)
        assert str(failure.value) == case["error"]
    else:
        assert rendered(case["template"], data) == case["output"]


def test_templates_of_0_34_give_what_they_gave() -> None:
    asked = 0
    for case in _OF_0_34["cases"]:
        if "default." in case["template"] or "__alertmanager" in case["template"]:
            continue  # a template that Alertmanager brings
        asked += 1
        data = data_from_json(_OF_0_34["data"][case["data"]])
        if "error" in case:
            with pytest.raises(GoTemplateError) as failure:
                rendered(case["template"], data)
            assert case["error"] in str(failure.value)
        else:
            # White space at the end of an output is not recorded.
            assert rendered(case["template"], data).rstrip() == case["output"].rstrip()
    assert asked > 100


def test_the_clock_is_the_one_that_is_given() -> None:
    started = from_rfc3339("2026-11-30T10:59:57.5Z")
    data = NotificationData(alerts=alerts_of([NotifiedAlert(starts_at=started)]))
    text = "{{ now }} {{ with index .Alerts 0 }}{{ since .StartsAt }} {{ since .StartsAt | humanizeDuration }}{{ end }}"
    assert rendered(text, data) == "2026-11-30 12:00:00 +0000 UTC 1h0m2.5s 1h 0m 2s"
    with pytest.raises(GoExecError, match="no clock"):
        rendered("{{ now }}", data, now=None)


def test_data_may_come_as_a_pointer_as_it_does_in_notifications() -> None:
    data = Pointer(
        NotificationData(status="firing", route_labels=labels_of({"team": "{{ .Status }}!"}))
    )
    assert rendered('{{ .Status }} {{ routeLabels "team" }}', data) == "firing firing!"
    with pytest.raises(GoExecError, match=r"can't evaluate field Nope in type \*template\.Data"):
        rendered("{{ .Nope }}", data)


def test_route_labels_that_are_texts_already_are_not_rendered_again() -> None:
    data = NotificationData(
        route_labels=labels_of({"team": "{{ .Status }}"}), route_labels_rendered=True
    )
    assert rendered('{{ routeLabels "team" }}', data) == "{{ .Status }}"


def test_a_route_label_is_rendered_once_for_a_message() -> None:
    calls = '{{ routeLabels "a" }}' * 30
    nested = {f"l{number}": f'{{{{ routeLabels "l{number + 1}" }}}}' * 2 for number in range(20)}
    data = NotificationData(
        route_labels=labels_of({"a": '{{ routeLabels "l0" }}', "l20": "", **nested})
    )
    assert rendered(calls, data) == ""


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "the data: expected an object"),
        ({"status": 5}, "status: expected a string"),
        ({"alerts": {}}, "alerts: expected a list"),
        ({"alerts": [{}, 1]}, r"alerts\[1\]: expected an object"),
        ({"alerts": [{"labels": {"a": 1}}]}, r"alerts\[0\]\.labels\.a: expected a string"),
        ({"alerts": [{"startsAt": "today"}]}, r"alerts\[0\]\.startsAt: no time"),
        ({"commonLabels": "x"}, "commonLabels: expected an object"),
    ],
)
def test_data_of_another_shape_is_refused_with_its_place(document: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        data_from_json(document)


def test_data_takes_what_go_takes() -> None:
    data = data_from_json(
        {"Status": "firing", "alerts": None, "GROUPLABELS": {"a": None}, "more": 1}
    )
    assert rendered("{{ .Status }} {{ len .Alerts }} {{ toJson .GroupLabels }}", data) == (
        'firing 0 {"a":""}'
    )


@pytest.mark.parametrize(
    "text",
    [
        '{{ addDuration (printf "%05000dh" 1) now }}',
        '{{ date (printf "%0900d" 2) now | len }}',
        '{{ match (printf "%0900d" 2) "x" }}',
        '{{ humanizeDuration (printf "%05000d" 1) }}',
        '{{ printf (printf "%%%05000dd" 1) 1 | len }}',
        r'{{ tz "\x00" now }}',
        r'{{ tz "\xff" now }}',
        '{{ tz "Europe" now }}',
        "{{ now.AddDate 9223372036854775807 9223372036854775807 9223372036854775807 }}",
        r'{{ match "\xff" "\xff" }} {{ reReplaceAll "." "x" "\xff" }}',
        '{{ (now.Add -9223372036854775808).Format "Monday" }}',
        "{{ printf `%.999999g` 1.5 | len }}",
    ],
)
def test_odd_arguments_end_in_a_text_or_a_refusal(text: str) -> None:
    try:
        assert isinstance(rendered(text), str)
    except GoExecError as refusal:
        assert "error calling" in str(refusal)
