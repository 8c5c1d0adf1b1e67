"""A body at the webhook becomes alerts as they would be stored, or a refusal with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.accept.named import MAX_NAME_LENGTH
from amproxy.config.structs import Source
from tests.support.accept.pushes import (
    NOW_NS,
    SECOND,
    refused_webhook,
    webhook_alert,
    webhook_alerts,
    webhook_request,
    webhook_status,
)

YEAR_END = 1_798_675_200 * SECOND  # 2026-12-31T00:00:00Z
HUGE = 10**30
TOO_DEEP = 200_000  # for any Python: each has limits of its own


def nested(depth: int, inside: bytes = b"1") -> bytes:
    return b'{"k":' * depth + inside + b"}" * depth


def body_with(field: bytes) -> bytes:
    """A webhook with one alert that has this text as a field of its own."""
    return b'{"alerts":[{"status":"firing","labels":{"alertname":"Disk"},"own":' + field + b"}]}"


# Refusals


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"nonsense", b'{"alerts":[]', b'{"a":1}}', b"{'a':1}"]
)
def test_a_body_that_is_not_json_is_refused_as_malformed(body: bytes) -> None:
    status, detail = refused_webhook(body)
    assert (status, detail.startswith("the body is not JSON: ")) == (400, True)


@pytest.mark.parametrize("body", [b"null", b"true", b"7", b'"x"', b"[]"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert refused_webhook(body) == (422, "the body must be a JSON object")


def test_a_body_that_is_nested_too_deeply_is_refused_and_not_a_crash() -> None:
    deep = nested(TOO_DEEP)
    for body in (body_with(deep), b'{"title":"x","deep":' + deep + b"}"):
        assert webhook_status(body) in (400, 422)


def test_a_huge_number_deep_inside_is_taken_or_refused_and_never_a_crash() -> None:
    number = str(HUGE).encode()
    depths = (*range(1, 1_200, 20), TOO_DEEP)
    statuses = [webhook_status(body_with(nested(depth, number))) for depth in depths]
    assert statuses[0] == 200 and set(statuses) <= {200, 400, 422} and statuses[-1] != 200


def test_a_number_with_thousands_of_digits_is_refused() -> None:
    assert refused_webhook(body_with(b"9" * 5_000))[0] == 400


@pytest.mark.parametrize("alerts", [None, "x", 5, {"0": {}}])
def test_alerts_that_are_no_list_are_refused(alerts: Any) -> None:
    assert refused_webhook({"alerts": alerts}) == (422, "alerts: must be a list")


def test_an_alertmanager_body_without_alerts_is_no_foreign_object() -> None:
    assert refused_webhook({"groupLabels": {}, "status": "firing"}) == (422, "alerts: is missing")


# What is taken


def test_no_alerts_at_all_are_no_error() -> None:
    assert webhook_alerts({"alerts": []}) == []


def test_fields_that_are_null_count_as_missing() -> None:
    nulls = dict.fromkeys(("annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"))
    assert webhook_alert(**nulls) == webhook_alert()
    body = {"alerts": [{"status": "firing", "labels": {"a": "b"}}], "groupLabels": None}
    assert len(webhook_alerts(body)) == 1


def test_labels_without_a_value_count_as_missing_and_empty_annotations_stay() -> None:
    alert = webhook_alert(labels={"alertname": "Disk", "x": ""}, annotations={"note": ""})
    assert (alert.labels, alert.annotations) == ({"alertname": "Disk"}, {"note": ""})


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00", None])
def test_a_start_that_is_not_given_is_the_time_of_the_push(given: str | None) -> None:
    assert webhook_alert(startsAt=given).starts_ns == NOW_NS


@pytest.mark.parametrize(
    ("time", "nanoseconds", "offset"),
    [
        ("2026-12-31T00:00:00Z", YEAR_END, 0),
        ("2026-12-31t00:00:00z", YEAR_END, 0),
        ("2026-12-31T00:00:00", YEAR_END, 0),
        ("2026-12-31 00:00:00", YEAR_END, 0),
        ("2026-12-31T05:30:00+05:30", YEAR_END, 330),
        ("2026-12-30T20:00:00-0400", YEAR_END, -240),
        ("2026-12-31T00:00:00.123456789Z", YEAR_END + 123456789, 0),
        ("2026-12-31T00:00:00,5Z", YEAR_END + SECOND // 2, 0),
        ("2026-12-31T00:00:00.1234567899Z", YEAR_END + 123456789, 0),
        ("", 1, 0),
        ("1970-01-01T00:00:00Z", 1, 0),
        ("9999-12-31T23:59:59Z", 2**63 - 1, 0),
        ("1500-01-01T00:00:00Z", -(2**63 - 1), 0),
    ],
)
def test_a_time_is_read_to_the_nanosecond_with_the_senders_offset(
    time: str, nanoseconds: int, offset: int
) -> None:
    alert = webhook_alert(startsAt=time)
    assert (alert.starts_ns, alert.starts_offset) == (nanoseconds, offset)


def test_a_firing_alert_has_no_end_and_lapses_without_news() -> None:
    [alert] = webhook_alerts(
        {"alerts": [{"status": "firing", "labels": {"a": "b"}, "endsAt": "2026-01-01T00:00:00Z"}]},
        Source(name="am", expire_after=60.0),
    )
    assert (alert.ends_ns, alert.lapses_ns) == (0, NOW_NS + 60 * SECOND)
    assert not alert.resolved(NOW_NS + 59 * SECOND) and alert.resolved(NOW_NS + 60 * SECOND)


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("2026-01-01T00:00:00+01:00", 1_767_222_000 * SECOND),
        ("2100-01-01T00:00:00Z", NOW_NS),
        ("0001-01-01T00:00:00Z", NOW_NS),
        (None, NOW_NS),
    ],
)
def test_a_resolved_alert_ended_when_it_says_but_not_later_than_now(
    given: str | None, end: int
) -> None:
    alert = webhook_alert(status="resolved", endsAt=given)
    assert (alert.ends_ns, alert.lapses_ns, alert.resolved(NOW_NS)) == (end, 0, True)


def test_fields_that_a_sender_adds_are_kept_as_they_are() -> None:
    own = {"values": {"B": 1.5}, "list": [1, None, True], "valueString": "x"}
    assert webhook_alert(**own).extra == own


def test_a_whole_number_that_the_store_cannot_write_is_kept_as_text() -> None:
    alert = webhook_alert(big=HUGE, low=-HUGE, deep=[{"n": HUGE}], fits=2**64 - 1)
    assert alert.extra == {
        "big": str(HUGE),
        "low": str(-HUGE),
        "deep": [{"n": str(HUGE)}],
        "fits": 2**64 - 1,
    }


def test_text_that_is_not_quite_unicode_is_mended_and_not_refused() -> None:
    labels = b'{"alertname":"lone \\ud800","b":"bytes \xff"}'
    body = b'{"alerts":[{"status":"firing","labels":' + labels + b"}]}"
    [alert] = webhook_alerts(body)
    assert alert.labels == {"alertname": "lone \ufffd", "b": "bytes \ufffd"}


def test_the_senders_fingerprint_wins_over_ours() -> None:
    assert webhook_alert(fingerprint="abc").fingerprint == "abc"
    assert len(webhook_alert().fingerprint) == 16
    assert webhook_alert(fingerprint="").fingerprint == webhook_alert().fingerprint


def test_only_what_people_read_makes_a_repeat_news() -> None:
    def content(**fields: Any) -> bytes:
        alert = {"status": "firing", "labels": {"a": "b"}, **fields}
        [incoming] = webhook_request({"alerts": [alert]}).alerts
        return incoming.content

    same = content(annotations={"x": "1", "y": "2"})
    assert content(annotations={"y": "2", "x": "1"}, startsAt="2026-01-01T00:00:00Z") == same
    assert content(annotations={"x": "1", "y": "3"}) != same
    assert content(annotations={"x": "1", "y": "2"}, generatorURL="http://x/") != same
    assert content(annotations={"x": "1", "y": "2"}, panelURL="http://x/") != same


def test_alerts_of_one_sender_group_share_a_group_whatever_its_labels_are_called() -> None:
    def groups(**fields: Any) -> set[str]:
        alerts = [{"status": "firing", "labels": {"alertname": name}} for name in "ab"]
        request = webhook_request({"alerts": alerts, **fields})
        return {group.id for one in request.alerts for group in one.placement.groups}

    keyed = groups(groupKey="k")
    assert len(keyed) == 1
    assert groups(groupKey="k", groupLabels={"a": "b"}) == keyed
    assert groups(groupKey="other") != keyed
    unnamed = groups(groupLabels={"a": "b", "c": "d"})
    assert groups(groupLabels={"c": "d", "a": "b"}) == unnamed != groups(groupLabels={"a": "b"})


# Any other object


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"ruleName": "CPU", "title": "[Alerting] CPU"}, "CPU"),
        ({"title": "  Backup failed \n"}, "Backup failed"),
        ({"title": "", "name": "Backup"}, "Backup"),
        ({"title": None, "subject": "Cron"}, "Cron"),
        ({"title": True, "text": "a text"}, "a text"),
        ({"title": 404}, "404"),
        ({"title": ["no text"]}, "Alert from am"),
        ({}, "Alert from am"),
        ({"title": "x" * 5_000}, "x" * MAX_NAME_LENGTH),
    ],
)
def test_the_first_field_with_a_text_names_the_alert(payload: dict[str, Any], name: str) -> None:
    [alert] = webhook_alerts(payload)
    assert alert.labels == {"alertname": name, "source": "am"}
    assert (alert.ends_ns, alert.starts_ns, alert.extra["payload"]) == (0, NOW_NS, payload)


def test_tags_and_labels_become_labels_as_far_as_they_have_one_value() -> None:
    tags = {"team": "ops", "port": 80, "load": 1.5, "on": True, "": "x", "list": [1], "none": None}
    [alert] = webhook_alerts({"title": "t", "tags": tags, "labels": {"team": "db"}})
    assert alert.labels == {
        "alertname": "t",
        "source": "am",
        "team": "db",
        "port": "80",
        "load": "1.5",
        "on": "True",
    }
    assert webhook_alerts({"title": "t", "tags": ["a"]})[0].labels.keys() == {"alertname", "source"}


def test_a_severity_is_a_label_unless_the_tags_have_one() -> None:
    given = {"title": "t", "severity": "critical"}
    assert webhook_alerts(given)[0].labels["severity"] == "critical"
    tagged = {**given, "tags": {"severity": "page"}}
    assert webhook_alerts(tagged)[0].labels["severity"] == "page"
    assert "severity" not in webhook_alerts({**given, "severity": 1})[0].labels


@pytest.mark.parametrize("state", ["ok", "OK", "Resolved", "up", "closed", "normal", "recovered"])
def test_a_state_that_means_over_resolves(state: str) -> None:
    for field in ("state", "status"):
        [alert] = webhook_alerts({"title": "t", field: state})
        assert alert.ends_ns == NOW_NS


@pytest.mark.parametrize(
    "state", ["alerting", "no_data", "down", "", None, 7, False, ["ok"], "not ok"]
)
def test_any_other_state_fires(state: Any) -> None:
    [alert] = webhook_alerts({"title": "t", "state": state})
    assert alert.ends_ns == 0


def test_the_end_of_an_alert_finds_its_beginning_by_name_and_id() -> None:
    def group(**payload: Any) -> str:
        [incoming] = webhook_request({"title": "t", **payload}).alerts
        return incoming.placement.groups[0].id

    begun = group(alert_uid="u1", tags={"phase": "1"}, state="alerting")
    assert group(alert_uid="u1", state="ok", message="fine again") == begun
    assert group(alert_uid="u2") != begun != group()


def test_links_and_texts_are_found_under_their_usual_names() -> None:
    [alert] = webhook_alerts(
        {"title": "t", "message": " disk full ", "ruleUrl": "http://rule/", "imageUrl": "http://i/"}
    )
    assert alert.annotations == {"summary": "disk full"}
    assert (alert.generator_url, alert.extra["imageURL"]) == ("http://rule/", "http://i/")
