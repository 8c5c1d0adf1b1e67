"""A body of POST /api/v2/alerts is stored as Alertmanager would, or refused in its words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accept.pushes import (
    NOW_NS,
    RESOLVE_TIMEOUT,
    SECOND,
    posted_alert,
    posted_alerts,
    posted_request,
    refused_post,
)

TIMEOUT_NS = int(RESOLVE_TIMEOUT) * SECOND
Y2026 = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z
PARSING = 'parsing alerts body from "" failed, because '


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


# Times


def test_without_times_an_alert_starts_now_and_ends_after_the_resolve_timeout() -> None:
    alert = posted_alert()
    assert (alert.starts_ns, alert.ends_ns, alert.timeout) == (NOW_NS, NOW_NS + TIMEOUT_NS, True)


@pytest.mark.parametrize("missing", [None, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"])
def test_times_that_are_null_or_gos_zero_count_as_missing(missing: str | None) -> None:
    assert posted_alert(startsAt=missing, endsAt=missing) == posted_alert()


def test_an_end_that_was_sent_holds_and_stands_for_a_missing_start() -> None:
    alert = posted_alert(endsAt="2026-01-01T01:00:00+01:00")
    assert (alert.starts_ns, alert.starts_offset) == (Y2026, 60)
    assert (alert.ends_ns, alert.ends_offset, alert.timeout) == (Y2026, 60, False)


def test_years_beyond_64_bits_of_nanoseconds_are_the_nearest_that_fit() -> None:
    alert = posted_alert(startsAt="1000-01-01T00:00:00Z", endsAt="9999-12-31T23:59:59Z")
    assert (alert.starts_ns, alert.ends_ns) == (-(2**63 - 1), 2**63 - 1)


def test_only_alerts_that_have_not_ended_count_as_firing() -> None:
    over = {"labels": {"a": "1"}, "endsAt": "2026-01-01T00:00:00Z"}
    request = posted_request([over, {"labels": {"a": "2"}}, {"labels": {"a": "3"}}])
    assert (len(request.alerts), request.firing) == (3, 2)


# Forgiven as by Go's decoder


def test_keys_of_any_case_unknown_fields_and_text_after_the_list_are_forgiven() -> None:
    body = b'[{"LABELS":{"alertname":"Disk"},"startsat":null,"own":{"x":[1]},"EndsAt":""}] and more'
    [alert] = posted_alerts(body)
    assert (alert.labels, alert.ends_ns, alert.extra) == ({"alertname": "Disk"}, 1, {})


def test_nulls_in_maps_are_empty_texts() -> None:
    [alert] = posted_alerts(
        [{"labels": {"a": "b", "gone": None}, "annotations": {"note": None}, "generatorURL": None}]
    )
    assert (alert.labels, alert.annotations, alert.generator_url) == ({"a": "b"}, {"note": ""}, "")


def test_text_that_is_not_quite_unicode_is_mended() -> None:
    [alert] = posted_alerts(
        b'[{"labels":{"a":"\\ud800","b":"\xff"},"annotations":{"\\udfff":"c"}}]'
    )
    assert (alert.labels, alert.annotations) == ({"a": "\ufffd", "b": "\ufffd"}, {"\ufffd": "c"})


def test_the_order_of_labels_makes_no_other_alert() -> None:
    one, other = posted_alerts(b'[{"labels":{"a":"1","b":"2"}},{"labels":{"b":"2","a":"1"}}]')
    assert one.fingerprint == other.fingerprint


def test_an_empty_list_and_null_are_no_error() -> None:
    assert posted_alerts(b"[]") == posted_alerts(b" null ") == []


# Refused as a whole


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "json: cannot unmarshal object into Go value of type models.PostableAlerts"),
        (b"7", "json: cannot unmarshal number into Go value of type models.PostableAlerts"),
        (b"true", "json: cannot unmarshal bool into Go value of type models.PostableAlerts"),
        (b'["x"]', "json: cannot unmarshal string into Go value of type models.PostableAlert"),
        (b'[{"labels":[]}]', "json: cannot unmarshal array into Go struct field Alert.labels"),
        (
            b'[{"labels":{"a":1.5}}]',
            "json: cannot unmarshal number into Go struct field Alert.labels of type string",
        ),
        (
            b'[{"labels":{"a":"b"},"generatorURL":{}}]',
            "json: cannot unmarshal object into Go struct field Alert.generatorURL of type string",
        ),
        (
            b'[{"labels":{"a":"b"},"startsAt":1767225600}]',
            "json: cannot unmarshal number into a time",
        ),
        (b"[null]", "alert 0 is null"),
    ],
)
def test_a_wrong_type_is_refused_in_the_words_of_gos_decoder(body: bytes, reason: str) -> None:
    assert refused_post(body) == (400, 400, PARSING + reason)


@pytest.mark.parametrize("body", [b"[", b"nonsense", b"\xff", b'[{"labels":{"a":"b"}},]'])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    status, code, message = refused_post(body)
    assert (status, code, message.startswith(PARSING)) == (400, 400, True)


@pytest.mark.parametrize("annotations", ["x", ["x"], 1, {"a": 1}, {"a": {}}])
def test_annotations_of_the_wrong_type_are_refused(annotations: Any) -> None:
    assert refused_post([{"labels": {"a": "b"}, "annotations": annotations}])[:2] == (400, 400)


@pytest.mark.parametrize("alert", [{}, {"labels": None}, {"Labels": None}, {"own": 1}])
def test_an_alert_without_labels_is_named_by_its_place(alert: dict[str, Any]) -> None:
    body = [{"labels": {"a": "b"}}, alert]
    assert refused_post(body) == (422, 602, "1.labels in body is required")


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_refused(body: bytes) -> None:
    assert refused_post(body) == (422, 602, "alerts in body is required")


@pytest.mark.parametrize("url", ["no scheme", "host/path", "http://a b", "http://x/\x7f"])
def test_a_generator_url_that_is_none_is_refused(url: str) -> None:
    status, code, message = refused_post([{"labels": {"a": "b"}, "generatorURL": url}])
    assert (status, code) == (422, 601)
    assert message.startswith("0.generatorURL in body must be of type uri: ")


@pytest.mark.parametrize("url", ["", "/graph?g0.expr=up", "http://x/", "javascript:alert(1)"])
def test_a_generator_url_as_go_has_it_is_kept_as_it_is(url: str) -> None:
    assert posted_alert(generatorURL=url).generator_url == url


@pytest.mark.parametrize("depth", [500, 200_000])
@pytest.mark.parametrize("where", ["labels", "annotations", "startsAt", "own"])
def test_a_body_that_is_nested_too_deeply_is_refused_and_not_a_crash(
    depth: int, where: str
) -> None:
    fields = {"labels": b'{"a":"b"}', where: b'{"k":' + deep(depth) + b"}"}
    body = b",".join(b'"%s":%s' % (name.encode(), value) for name, value in fields.items())
    if where == "own" and depth < 1_000:
        assert len(posted_alerts(b"[{" + body + b"}]")) == 1
    else:
        status, _, message = refused_post(b"[{" + body + b"}]")
        assert (status, message.startswith(PARSING)) == (400, True)


def test_a_number_that_no_computer_holds_is_refused_where_a_text_is_wanted() -> None:
    for number in (b"1" + b"0" * 400, b"1e999", b"NaN"):
        assert refused_post(b'[{"labels":{"a":' + number + b"}}]")[:2] == (400, 400)


# Refused alone, beside good ones


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"labels": {}}, "at least one label pair required"),
        ({"labels": {"a": "", "b": None}}, "at least one label pair required"),
        ({"labels": {"a": "b", "": "x"}}, 'invalid label set: invalid name ""'),
        ({"labels": {"a": "c"}, "annotations": {"": "x"}}, 'invalid annotations: invalid name ""'),
        (
            {
                "labels": {"a": "c"},
                "startsAt": "2026-01-01T00:00:01Z",
                "endsAt": "2026-01-01T00:00:00Z",
            },
            "start time must be before end time",
        ),
    ],
)
def test_an_alert_that_is_refused_leaves_its_neighbours(bad: dict[str, Any], reason: str) -> None:
    request = posted_request([bad, {"labels": {"a": "b"}}, bad])
    assert request.refused == [reason, reason]
    assert [incoming.make().labels for incoming in request.alerts] == [{"a": "b"}]


def test_a_label_without_a_value_may_have_no_name_either() -> None:
    [alert] = posted_alerts([{"labels": {"a": "b", "": ""}}])
    assert alert.labels == {"a": "b"}
