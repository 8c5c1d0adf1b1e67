"""What is read of Grafana's alerts: values, links, pictures, and the rule behind a failed query."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.model import Alert, Group
from amproxy.notify import grafana
from amproxy.notify.compose import alert_picture
from amproxy.notify.templates import default_title, incident_title
from tests.support.cases import ALERTMANAGER

STARTS = 1_772_616_030 * 10**9  # 2026-03-04 09:20:30 UTC
BASE = "https://grafana.example.org"


def alert(
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    url: str = f"{BASE}/alerting/grafana/ce1a2b3c4d/view",
    **more: Any,
) -> Alert:
    """An alert as the contact point of type Alertmanager sends it; more: fields of the webhook."""
    return Alert(
        fingerprint="f",
        labels=labels or {"alertname": "Queue backlog"},
        annotations=annotations or {},
        starts_ns=STARTS,
        generator_url=url,
        extra=more,
    )


# Values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *[(7.4213999999, "7.4214"), (1, "1"), (4523.5, "4523.5"), (0.1 + 0.2, "0.3")],
        *[(123456789.25, "123456789"), (-0.00123456, "-0.00123456"), (1e21, "1e+21")],
        *[(1e-9, "1e-09"), (float("nan"), "NaN"), (float("-inf"), "-Inf"), (10**400, "+Inf")],
        *[("7 %", "7 %"), (0, "0"), (-12.0, "-12")],
    ],
)
def test_a_number_is_short_and_keeps_its_whole_part(value: Any, shown: str) -> None:
    assert grafana.values_text(alert(values={"A": value})) == f"A = {shown}"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "[ var='A' labels={a=b} value=4523.5 ], [ var='C' labels={} value=1 ]",
            "A = 4523.5, C = 1",
        ),
        ("[ metric='foo' labels={instance=bar} value=10 ]", "foo = 10"),
        ("[ var='B0' metric='load' labels={a=b} type='t' value=7.4213999 ]", "B0 = 7.4214"),
        ("[ var='A' labels={} value=null ]", "A = null"),
        ("[ var='A' labels={} value=NaN ], [ var='B' labels={} value=+Inf ]", "A = NaN, B = +Inf"),
        ("about\n ten", "about ten"),
        ("", ""),
    ],
)
def test_values_are_read_from_their_text_where_they_are_told_in_no_other_way(
    told: str, shown: str
) -> None:
    assert grafana.values_text(alert(values=None, valueString=told)) == shown
    assert grafana.values_text(alert(annotations={"__value_string__": told})) == shown
    assert grafana.values_text(alert(values={"Z": 5}, valueString=told)) == "Z = 5"


def test_both_doors_tell_the_same_values() -> None:
    values = {"C": 1, "A": 4523.5}
    by_webhook = grafana.read_values(alert(values=values))
    by_contact_point = grafana.read_values(alert(annotations={"__values__": json.dumps(values)}))
    assert by_webhook == by_contact_point == [("A", "4523.5"), ("C", "1")]


@pytest.mark.parametrize(
    "values",
    ["", "{", "[1]", "5", "null", '{"A": [1]}', '{"A": true}', "[" * 3000, '{"A": "' + "x" * 9000],
)
def test_values_that_cannot_be_read_are_none(values: str) -> None:
    assert grafana.read_values(alert(annotations={"__values__": values})) == []


@given(st.text() | st.text("[]{}' =varmetriclabels0,"))
def test_no_text_is_too_odd_or_takes_long_to_be_read_for_values(text: str) -> None:
    for given_ in (text, text * 2000):
        found = grafana.read_values(alert(values=given_, valueString=given_))
        assert len(found) <= grafana.MAX_VALUES
        assert all(len(part) <= grafana.LONGEST_VALUE for one in found for part in one)


# Links


WITH_LINKS = {"__orgId__": "2", "__dashboardUid__": "dAsh-1", "__panelId__": "7"}


def test_links_are_made_of_what_the_contact_point_of_type_alertmanager_says() -> None:
    sent = alert(
        {
            "__alert_rule_uid__": "ce1",
            "alertname": "Queue",
            "grafana_folder": "Shop",
            "team": "a&b",
        },
        WITH_LINKS,
    )
    times = f"from={STARTS // 10**6 - 3_600_000}&to=now"
    assert grafana.read_link(sent, "dashboardURL") == f"{BASE}/d/dAsh-1?orgId=2&{times}"
    assert grafana.read_link(sent, "panelURL") == f"{BASE}/d/dAsh-1?orgId=2&{times}&viewPanel=7"
    silence = urlsplit(grafana.read_link(sent, "silenceURL"))
    assert silence.path == "/alerting/silence/new"
    # As Grafana's own: the rule stands for its name and folder.
    assert parse_qsl(silence.query) == [
        ("alertmanager", "grafana"),
        ("matcher", "__alert_rule_uid__=ce1"),
        ("matcher", "team=a&b"),
        ("orgId", "2"),
    ]


def test_the_dashboard_of_an_alert_that_is_over_ends_with_it() -> None:
    sent = alert(annotations=WITH_LINKS)
    sent.ends_ns, sent.updated_ns = STARTS + 60 * 10**9, STARTS + 61 * 10**9
    assert f"&to={sent.ends_ns // 10**6}" in grafana.read_link(sent, "dashboardURL")
    sent.updated_ns = STARTS  # its end is only how long its sender vouches for it
    assert "&to=now" in grafana.read_link(sent, "dashboardURL")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (f"{BASE}/alerting/grafana/ce1/view?orgId=1", BASE),
        (f"{BASE}/alerting/ce1/edit", BASE),
        ("http://h:3000/graf/alerting/grafana/ce1/view", "http://h:3000/graf"),
        ("http://h:3000/graf/", "http://h:3000/graf"),
    ],
)
def test_the_links_lead_to_the_grafana_that_the_rule_is_of(url: str, base: str) -> None:
    link = grafana.read_link(alert(annotations=WITH_LINKS, url=url), "dashboardURL")
    assert link.startswith(f"{base}/d/dAsh-1?")


@pytest.mark.parametrize("url", ["", "javascript:x", "http://[", "/alerting/grafana/ce1/view"])
def test_without_an_address_of_grafana_there_are_no_links(url: str) -> None:
    assert grafana.read_link(alert(annotations=WITH_LINKS, url=url), "dashboardURL") == ""


def test_a_dashboard_cannot_lead_elsewhere() -> None:
    sent = alert(annotations={"__dashboardUid__": "../../x?y=//evil.example#", "__panelId__": "1"})
    link = urlsplit(grafana.read_link(sent, "panelURL"))
    assert (link.netloc, link.path.count("/")) == ("grafana.example.org", 2)


def test_links_of_the_webhook_go_before_those_that_are_made() -> None:
    sent = alert(annotations=WITH_LINKS, dashboardURL="https://other.example/d/1")
    assert grafana.read_link(sent, "dashboardURL") == "https://other.example/d/1"


# Pictures


@pytest.mark.parametrize(
    ("annotations", "fields"),
    [
        ({}, {"imageURL": f"{BASE}/1.png"}),
        ({"image": f"{BASE}/1.png", "__alertImageToken__": "token://4d6f"}, {}),
        ({"__alertImageToken__": f"{BASE}/1.png"}, {"imageURL": "javascript:alert(1)"}),
        ({"__alert_image_url__": f"{BASE}/1.png", "image": f"{BASE}/2.png"}, {"imageURL": 5}),
    ],
)
def test_a_picture_is_found_wherever_grafana_says_its_address(
    annotations: dict[str, str], fields: dict[str, Any]
) -> None:
    assert alert_picture(alert(annotations=annotations, **fields)) == f"{BASE}/1.png"


@pytest.mark.parametrize(
    "url",
    [
        *("token://4d6f", "javascript:alert(1)", "data:image/png;base64,AA", "file:///etc/passwd"),
        *("//example.org/1.png", "https://", "https://a b.example/", "https://a.example/\n1.png"),
        *("https://user:secret@example.org/1.png", "https://example.org/" + "x" * 2000),
    ],
)
def test_what_is_no_address_of_the_web_is_no_picture(url: str) -> None:
    assert alert_picture(alert(imageURL=url, annotations={"image": url})) == ""


# Titles

ERROR = (
    "[sse.dataQueryError] failed to execute query [A]: Post "
    '"http://prometheus.example.org:9090/api/v1/query_range": '
    "dial tcp 10.1.2.3:9090: connect: connection refused"
)


def failed(rule: str, error: str = ERROR, name: str = "DatasourceError") -> Alert:
    labels = {"alertname": name, "rulename": rule, "grafana_folder": "Prod", "ref_id": "A"}
    return alert(labels, {"Error": error} if error else {})


def title(*alerts: Alert, by: tuple[str, ...] = ("alertname", "grafana_folder")) -> str:
    return title_of({name: alerts[0].labels[name] for name in by}, *alerts)


def title_of(labels: dict[str, str], *alerts: Alert) -> str:
    group = Group(id="g", key="", receiver="r", route_key="", labels=labels)
    return incident_title("", group, alerts)


def test_the_title_of_a_failed_query_begins_with_the_rule_and_ends_with_the_cause() -> None:
    assert title(failed("Orders per minute")) == (
        "Orders per minute: DatasourceError: … dial tcp 10.1.2.3:9090: connect: connection refused"
        " (grafana_folder=Prod)"
    )
    assert len(title(failed("Orders", "x" * 5000))) < 200


def test_the_title_of_missing_data_names_the_rule() -> None:
    shown = title(failed("Orders per minute", "", "DatasourceNoData"))
    assert shown == "Orders per minute: DatasourceNoData (grafana_folder=Prod)"


def test_several_rules_with_one_cause_are_named_and_counted() -> None:
    alerts = [failed(rule, "connection refused") for rule in ("A", "B", "A", "C", "D")]
    assert title(*alerts) == (
        "A, B and 2 more: DatasourceError: connection refused (grafana_folder=Prod)"
    )
    alerts[0].annotations["Error"] = "timeout"
    assert title(*alerts) == "A, B and 2 more: DatasourceError (grafana_folder=Prod)"


def test_a_rule_is_not_said_twice_where_it_forms_the_group() -> None:
    alerts = [failed("Orders", "")]
    assert title(*alerts, by=("alertname", "rulename")) == "Orders: DatasourceError"


def test_the_title_is_the_same_where_only_labels_are_known() -> None:
    labels = {"alertname": "DatasourceNoData", "rulename": "Orders"}
    assert default_title(labels, labels) == "Orders: DatasourceNoData"


def test_a_stand_in_without_its_rule_keeps_its_name() -> None:
    assert default_title({"alertname": "DatasourceError"}, {}) == "DatasourceError"
    assert default_title({"alertname": "Other"}, {"rulename": "x"}) == "Other"


def test_the_reported_page_without_data_names_its_rule_first() -> None:
    sample = json.loads((ALERTMANAGER / "grafana_webhook_samples" / "no_data.json").read_text())
    [sent] = sample["payload"]["alerts"]
    shown = title_of(sample["payload"]["groupLabels"], alert(sent["labels"], sent["annotations"]))
    assert shown == "Queue backlog: DatasourceNoData (grafana_folder=Shop / Orders)"
