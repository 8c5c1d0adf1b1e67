"""Odd values of a webhook are repaired alert by alert, each with a note of what was odd."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.accept.body import PushRefused
from amproxy.accept.forms import to_json
from amproxy.text import LANGUAGES, load_texts, phrase
from amproxy.text.render import render_phrase
from tests.support.accept.pushes import (
    NOW_NS,
    SECOND,
    refused_webhook,
    webhook_alert,
    webhook_alerts,
    webhook_request,
)

NIGHT = 1_796_007_600 * SECOND  # 2026-11-30T03:00:00Z
GOOD = {"status": "firing", "labels": {"alertname": "Good", "instance": "a"}}


def notes(**fields: Any) -> list[tuple[str, str]]:
    return [(one.code, one.field) for one in webhook_alert(**fields).repairs]


def test_an_alert_in_order_has_no_note() -> None:
    assert notes(annotations={"summary": "x"}, startsAt="2026-11-30T03:00:00Z") == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (93.5, "93.5"), (True, "true"), ({"a": 1}, '{"a": 1}'), (["ä"], '["ä"]')],
)
def test_a_value_that_is_no_text_is_taken_as_one(value: Any, text: str) -> None:
    alert = webhook_alert(labels={"alertname": "X", "cpu": value}, annotations={"value": value})
    assert (alert.labels["cpu"], alert.annotations) == (text, {"value": text})
    assert [(one.code, one.field) for one in alert.repairs] == [
        ("text", "labels.cpu"),
        ("text", "annotations.value"),
    ]


def test_a_label_that_is_null_counts_as_missing() -> None:
    assert webhook_alert(labels={"alertname": "X", "z": None}).labels == {"alertname": "X"}
    assert notes(labels={"alertname": "X", "z": None}) == [("null", "labels.z")]


def test_a_label_without_a_name_gets_one_and_hides_no_other() -> None:
    alert = webhook_alert(labels={"": "x", "unnamed": "y"}, annotations={"": "z"})
    assert alert.labels == {"unnamed": "y", "unnamed_2": "x"}
    assert alert.annotations == {"unnamed": "z"}
    assert [one.code for one in alert.repairs] == ["name", "name"]


def test_labels_and_annotations_in_other_forms_are_read() -> None:
    listed = [{"name": "alertname", "value": "X"}, "team:db"]
    assert webhook_alert(labels=listed).labels == {"alertname": "X", "team": "db"}
    assert webhook_alert(labels="alertname=X,team=db").labels == {"alertname": "X", "team": "db"}
    assert webhook_alert(annotations="disk is full").annotations == {"description": "disk is full"}
    assert webhook_alert(annotations=[]).annotations == {}


@pytest.mark.parametrize(
    ("time", "nanoseconds", "offset"),
    [
        ("2026-11-30 03:00:00+00:00", NIGHT, 0),
        ("2026-11-30 04:00:00.5+01:00", NIGHT + SECOND // 2, 60),
        ("2026-11-30 03:00:00Z", NIGHT, 0),
        ("Mon, 30 Nov 2026 03:00:00 GMT", NIGHT, 0),
        ("2026-11-30 03:00:00 +0000 UTC", NIGHT, 0),
        ("2026-11-30 04:00:00.123456789 +0100 CET m=+0.05", NIGHT + 123456000, 60),
        ("2026-11-30T04:00:00+01:00[Europe/Berlin]", NIGHT, 60),
        ("2026.11.30 03:00:00", NIGHT, 0),
        (1_796_007_600, NIGHT, 0),
        ("1796007600", NIGHT, 0),
        (1_796_007_600.25, NIGHT + SECOND // 4, 0),
        (1_796_007_600_123, NIGHT + 123_000_000, 0),
        ("1796007600000000123", NIGHT + 123, 0),
    ],
)
def test_a_time_in_another_form_is_read_as_what_it_means(
    time: Any, nanoseconds: int, offset: int
) -> None:
    alert = webhook_alert(startsAt=time)
    assert (alert.starts_ns, alert.starts_offset) == (nanoseconds, offset)
    assert [(one.code, one.field) for one in alert.repairs] == [("time", "startsAt")]


@pytest.mark.parametrize(
    "time",
    [
        *("n/a", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "x" * 10_000),
        *("2026-01-01T24:00:01Z", "2026-01-01T00:00:00+24:00", "٢٠٢٦-01-01T00:00:00Z"),
        *(True, 5, -1, 10**30, [], {}),
    ],
)
def test_a_time_that_cannot_be_read_is_that_of_the_push(time: Any) -> None:
    alert = webhook_alert(startsAt=time, endsAt=time)
    assert (alert.starts_ns, alert.ends_ns) == (NOW_NS, 0)
    assert [one.code for one in alert.repairs] == ["no_time", "no_time"]
    assert all(len(one.given) <= 80 for one in alert.repairs)
    assert webhook_alert(status="resolved", endsAt=time).ends_ns == NOW_NS


@pytest.mark.parametrize("status", ["FIRING", " firing ", "alerting", "strange", 1, True, ["x"]])
def test_a_status_in_other_words_fires_unless_it_says_that_it_is_over(status: Any) -> None:
    assert webhook_alert(status=status).ends_ns == 0
    assert notes(status=status) == [("status", "status")]


@pytest.mark.parametrize("status", ["Resolved", "RESOLVED ", "ok", "inactive", 0, "0"])
def test_a_status_that_says_that_it_is_over_resolves(status: Any) -> None:
    assert webhook_alert(status=status).ends_ns == NOW_NS


def test_a_status_that_is_missing_follows_from_the_end_or_from_the_group() -> None:
    ended = "2026-01-01T00:00:00Z"
    assert webhook_alert(status=None).ends_ns == 0
    assert webhook_alert(status=None, endsAt=ended).ends_ns == 1_767_225_600 * SECOND
    [alert] = webhook_alerts({"status": "resolved", "alerts": [{"labels": {"a": "b"}}]})
    assert alert.ends_ns == NOW_NS


def test_a_status_of_the_alert_goes_before_that_of_its_group() -> None:
    sent = {"status": "resolved", "alerts": [{"status": "FIRING", "labels": {"a": "b"}}]}
    assert webhook_alerts(sent)[0].ends_ns == 0


@pytest.mark.parametrize("given", [7, None, True, [], {"a": 1}, "x" * 1_000])
def test_other_fields_of_another_type_lose_no_alert(given: Any) -> None:
    alert = webhook_alert(fingerprint=given, generatorURL=given)
    assert alert.labels == {"alertname": "Disk"} and alert.ends_ns == 0


def test_what_is_odd_about_the_group_is_noted_with_its_alerts() -> None:
    [alert] = webhook_alerts({"alerts": [GOOD], "groupKey": None, "groupLabels": {"n": 1}})
    assert [(one.code, one.field) for one in alert.repairs] == [
        ("null", "groupKey"),
        ("text", "groupLabels.n"),
    ]
    for key in (5, {"a": 1}, ["k"], True):
        assert len(webhook_alerts({"alerts": [GOOD], "groupKey": key})) == 1
    assert len(webhook_alerts({"alerts": [GOOD], "groupLabels": "alertname"})) == 1


@pytest.mark.parametrize("bad", [None, 5, "text", {}, {"labels": {}}, {"labels": {"a": None}}])
def test_only_an_alert_without_labels_is_refused_and_its_neighbours_are_taken(bad: Any) -> None:
    request = webhook_request({"alerts": [bad, GOOD, bad]})
    assert [one.make().labels for one in request.alerts] == [GOOD["labels"]]
    assert [str(reason)[:9] for reason in request.reasons] == ["alerts[0]", "alerts[2]"]
    assert refused_webhook({"alerts": [bad]})[0] == 422


def test_a_refusal_of_many_alerts_is_short() -> None:
    assert len(refused_webhook({"alerts": [{}] * 1_000})[1]) < 500


def test_names_that_differ_in_case_and_a_lone_alert_are_taken() -> None:
    [alert] = webhook_alerts({"alerts": {"Labels": {"a": "b"}, "labels": {"a": "c"}}})
    assert alert.labels == {"a": "c"}
    [alert] = webhook_alerts({"alerts": [{"Status": "resolved", "Labels": {"a": "b"}}]})
    assert (alert.labels, alert.ends_ns) == ({"a": "b"}, NOW_NS)


def test_every_note_has_words_in_every_language() -> None:
    codes = ("text", "null", "name", "pairs", "left_out", "status", "no_status", "time", "no_time")
    told = tuple(phrase(f"repair.{code}", field="labels.x", given="7") for code in codes)
    for language in LANGUAGES:
        text = render_phrase(phrase("event.repaired", repairs=told), load_texts(language))
        assert text.count("labels.x") == len(codes)


# Lists


def test_a_list_is_taken_item_by_item() -> None:
    request = webhook_request(
        [
            {"title": "Disk", "state": "alerting"},
            {"labels": {"alertname": "Raw"}, "startsAt": "2026-11-30T03:00:00Z"},
            {"labels": {"alertname": "Over"}, "endsAt": "2026-01-01T00:00:00Z"},
            "backup failed",
            7,
        ]
    )
    alerts = [one.make() for one in request.alerts]
    assert [alert.labels["alertname"] for alert in alerts] == [
        *("Disk", "Raw", "Over", "backup failed"),
    ]
    assert [alert.ends_ns > 0 for alert in alerts] == [False, False, True, False]
    assert [str(reason) for reason in request.reasons] == ["[4]: must be an object"]
    assert (request.refused, alerts[1].repairs) == (1, [])
    assert len({one.placement.groups[0].id for one in request.alerts}) == 4


# Charsets and forms

UMLAUT = json.dumps({"alerts": [{"labels": {"instance": "Größe"}}]}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("charset", "kind", "encoding"),
    [
        ("iso-8859-1", "application/json; charset=iso-8859-1", ""),
        ("iso-8859-1", 'application/json;charset="ISO-8859-1"', ""),
        ("cp1252", "application/json; charset=windows-1252", ""),
        ("utf-16", "application/json; charset=utf-16", ""),
        ("utf-16-be", "application/json; charset=UTF-16", ""),
        ("utf-16-le", "application/json", ""),
        ("utf-8-sig", "application/json", ""),
        ("utf-8", "application/json", "utf-8"),
        ("iso-8859-1", "application/json", "iso-8859-1"),
        ("utf-8", "application/json; charset=none-such", ""),
    ],
)
def test_a_body_is_decoded_as_declared(charset: str, kind: str, encoding: str) -> None:
    body = to_json(UMLAUT.encode(charset), kind, encoding)
    assert webhook_alerts(body)[0].labels == {"instance": "Größe"}


PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nDisk full\r\n'
    b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\nhello\r\n--x--\r\n'
)


@pytest.mark.parametrize(
    ("kind", "body", "title", "text"),
    [
        ("application/x-www-form-urlencoded", b"title=Disk+full&message=hello", "Disk full", "he"),
        ("application/x-www-form-urlencoded", b"payload=%7B%22title%22%3A%22D%22%7D", "D", ""),
        ("application/x-www-form-urlencoded", b'{"title":"curl -d"}', "curl -d", ""),
        ("application/x-www-form-urlencoded", b"disk is full", "disk is full", ""),
        ("multipart/form-data; boundary=x", PARTS, "Disk full", "hello"),
        ("text/plain", b"disk is full", "disk is full", ""),
        ("text/plain; charset=iso-8859-1", "Größe\nzu viel".encode("latin-1"), "Größe", "zu viel"),
        ("text/plain", b'{"title":"JSON after all"}', "JSON after all", ""),
        ("text/plain", b"[FIRING] disk is full", "[FIRING] disk is full", ""),
    ],
)
def test_a_form_or_a_plain_text_becomes_an_alert(
    kind: str, body: bytes, title: str, text: str
) -> None:
    [alert] = webhook_alerts(to_json(body, kind))
    assert alert.labels["alertname"] == title
    assert alert.annotations.get("summary", "").startswith(text)


def test_what_is_declared_as_json_and_is_none_is_refused() -> None:
    for body in (b"title=x", b"disk is full", b'{"alerts":[', b""):
        assert refused_webhook(to_json(body, "application/json"))[0] == 400
    assert refused_webhook(to_json(b" ", "text/plain"))[0] == 400


def test_a_form_of_too_many_fields_is_refused() -> None:
    with pytest.raises(PushRefused) as refusal:
        to_json(b"a=1&" * 5_000 + b"a=1", "application/x-www-form-urlencoded")
    assert refusal.value.status == 413
