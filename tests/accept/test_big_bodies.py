"""Big, deep and sloppy bodies: the same meaning in pieces as in one, and words where they are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.accept import body as limits
from amproxy.accept.body import BIG_BODY, MAX_DEPTH, MAX_MEMBERS, PushRefused, tidy_json
from amproxy.accept.v2_alerts import BadAlertsBody
from tests.support.accept.pushes import posted_alerts, webhook_alerts

DEEP = b"[" * 100_000 + b"]" * 100_000
DIGITS = b"1" * 100_000


def filler(**fields: Any) -> dict[str, Any]:
    """An alert that makes a body big by its text, which looks like structure."""
    text = '[{"a": 1}, {}], ' * (BIG_BODY // 10)
    return {"labels": {"alertname": "Big"}, "annotations": {"text": text}, **fields}


def in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode bodies of any size as small ones."""
    for module in ("amproxy.accept.v2_alerts", "amproxy.accept.webhook"):
        monkeypatch.setattr(f"{module}.BIG_BODY", 10**9)


SLOPPY = (
    b'{"labels":{"alertname":"One","gone":""},"unknown":[1,{"a":null}],"ENDSAT":null}',
    b'{"labels":{"alertname":"\\ud800 and \\ud83d\\ude00"}}',
    b'{"labels":{"alertname":"\xff"},"annotations":{"a":"\\\\ud800"}}',
    b'{"Labels":{"alertname":"Case"},"annotations":null}',
)


@pytest.mark.parametrize("sloppy", SLOPPY)
@pytest.mark.parametrize("rest", [b"", b"  trailing text"])
def test_the_raw_door_reads_a_big_body_as_a_small_one(
    sloppy: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"[" + json.dumps(filler()).encode() + b" ,\n" + sloppy + b"]" + rest
    found = posted_alerts(body)
    in_one(monkeypatch)
    assert found == posted_alerts(body)
    assert len(found) == 2


@pytest.mark.parametrize("sloppy", SLOPPY[:3])
def test_a_webhook_reads_a_big_body_as_a_small_one(
    sloppy: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = sloppy[1:].replace(b'"ENDSAT":null', b'"number":123456789012345678901234567890')
    alert = b'{"status":"firing",' + fields
    big = json.dumps(filler(status="firing")).encode()
    body = b'{"groupKey":"k","alerts":[' + big + b"," + alert + b"]}"
    found = webhook_alerts(body)
    in_one(monkeypatch)
    assert found == webhook_alerts(body)
    assert len(found) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"[" + json.dumps(filler()).encode() + b" {}]",
        b"[" + json.dumps(filler()).encode() + b",]",
        b"[" + json.dumps(filler()).encode(),
        b"[" + json.dumps(filler()).encode() + b',{"labels":{"a":"b"},"x":NaN}]',
    ],
)
def test_a_big_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadAlertsBody) as refusal:
        posted_alerts(body)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    "value", [DEEP, DIGITS, b"1e400", b"NaN", b"-Infinity", b'{"a":' + DIGITS + b"}"]
)
@pytest.mark.parametrize(
    "form",
    [
        b'[{"labels":{"a":%b}}]',
        b'[{"labels":{"a":"b"},"annotations":{"a":%b}}]',
        b'[{"labels":{"a":"b"},"startsAt":%b}]',
        b'[{"labels":%b}]',
        b"[%b]",
        b"%b",
    ],
)
def test_the_raw_door_refuses_what_is_no_text_with_400(form: bytes, value: bytes) -> None:
    with pytest.raises(BadAlertsBody) as refusal:
        posted_alerts(form.replace(b"%b", value))
    assert refusal.value.status == 400 and str(refusal.value)


@pytest.mark.parametrize("value", [DEEP, DIGITS, b"1e400", b"NaN", b"-Infinity"])
@pytest.mark.parametrize(
    "form",
    [
        b'{"alerts":[{"status":"firing","labels":{"a":"b"},"values":%b}]}',
        b'{"alerts":[{"status":%b,"labels":{"a":"b"}}]}',
        b'{"alerts":[{"status":"firing","labels":{"a":%b}}]}',
        b'{"alerts":%b}',
        b'{"title":"t","details":%b}',
        b"%b",
    ],
)
def test_a_webhook_refuses_what_cannot_be_kept_with_400(form: bytes, value: bytes) -> None:
    with pytest.raises(PushRefused) as refusal:
        webhook_alerts(form.replace(b"%b", value))
    assert refusal.value.status == 400 and "not JSON" in refusal.value.detail


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 300, 600, 900])
@pytest.mark.parametrize(
    "form",
    [
        b'{"alerts":[{"status":"firing","labels":{"a":"b"},"values":%b}]}',
        b'{"alerts":[{"status":%b,"labels":{"a":"b"}}]}',
        b'{"alerts":[{"status":"firing","labels":{"a":%b}}]}',
        b'{"alerts":[{"status":"firing","labels":{"a":"b"},"annotations":%b}]}',
        b'{"alerts":[{"status":"firing","labels":{"a":"b"},"generatorURL":%b}]}',
        b'{"title":"t","details":%b}',
    ],
)
def test_a_webhook_that_is_nested_deeply_is_refused_in_words(form: bytes, levels: int) -> None:
    with pytest.raises(PushRefused) as refusal:
        webhook_alerts(form.replace(b"%b", b"[" * levels + b"]" * levels))
    assert refusal.value.status in (400, 422) and len(refusal.value.detail) < 300


def test_what_senders_nest_is_kept() -> None:
    nested: Any = "value"
    for _ in range(20):
        nested = {"a": [nested]}
    [alert] = webhook_alerts({"title": "t", "details": nested})
    assert alert.extra["payload"]["details"] == nested


@pytest.mark.parametrize(
    "details",
    [
        b"[" + b"[]," * MAX_MEMBERS + b"1]",
        b"{" + b",".join(b'"%d":""' % number for number in range(MAX_MEMBERS + 1)) + b"}",
    ],
)
def test_one_alert_of_too_many_values_is_refused(details: bytes) -> None:
    with pytest.raises(PushRefused) as refusal:
        webhook_alerts(b'{"title":"t","details":%b}' % details)
    assert refusal.value.status == 413 and "values" in refusal.value.detail


def test_a_text_may_hold_as_many_commas_as_it_likes() -> None:
    text = '1,2,[{"3' * (MAX_MEMBERS // 2) + "\\"
    [alert] = webhook_alerts({"title": "t", "message": text})
    assert alert.annotations["summary"] == text


def test_too_many_alerts_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MEMBERS", 5000)
    alerts = [{"labels": {"alertname": f"number {number}"}} for number in range(5001)]
    with pytest.raises(PushRefused) as refusal:
        posted_alerts(alerts)
    assert refusal.value.status == 413 and "fewer" in refusal.value.detail
    assert len(posted_alerts(alerts[1:])) == 5000


def test_only_lone_surrogates_are_replaced() -> None:
    body = rb'{"a":"\ud800 \\ud800 \\\ud800 \ud83d\ude00 \udc00\ud800"}'
    assert json.loads(tidy_json(body)) == {"a": "� \\ud800 \\� \U0001f600 ��"}
