"""Alertmanager's payload, against what a real Alertmanager sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.model import Alert
from amproxy.notify.alertmanager_payload import build_payload, go_time
from amproxy.notify.message import Card
from tests.support.cases import ALERTMANAGER

SAMPLES = ALERTMANAGER / "webhook_v4_samples"
NOW = 1_800_000_000.0
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def parsed(text: str) -> tuple[int, int]:
    """A Go time as nanoseconds and minutes of offset, without Python's loss of digits."""
    from datetime import datetime, timedelta

    whole, _, rest = text.removesuffix("Z").partition(".")
    digits = rest[: len(rest) - 6] if "+" in rest else rest
    zone = rest[len(digits) :] if "+" in rest else "+00:00"
    moment = (
        datetime.fromisoformat(whole + zone) if whole[-6] != "+" else datetime.fromisoformat(whole)
    )
    offset = moment.utcoffset() or timedelta()
    return int(moment.timestamp()) * 1_000_000_000 + int(digits.ljust(9, "0") or 0), int(
        offset.total_seconds() // 60
    )


def card_of(sample: dict[str, Any]) -> Card:
    """What the pipeline would hand over to send this sample."""
    alerts = []
    for one in sample["alerts"]:
        starts, starts_offset = parsed(one["startsAt"])
        ends, ends_offset = parsed(one["endsAt"]) if one["status"] == "resolved" else (0, 0)
        alerts.append(
            Alert(
                fingerprint=one["fingerprint"],
                labels=dict(reversed(one["labels"].items())),
                annotations=dict(reversed(one["annotations"].items())),
                starts_ns=starts,
                starts_offset=starts_offset,
                ends_ns=ends,
                ends_offset=ends_offset,
                generator_url=one["generatorURL"],
            )
        )
    return Card(
        kind="group",
        title="",
        at=NOW,
        alerts=alerts,
        receiver=sample["receiver"].replace("\\", ""),
        group_key=sample["groupKey"],
        group_labels=sample["groupLabels"],
        external_url=sample["externalURL"],
        truncated=sample["truncatedAlerts"],
        reason="first notification",
    )


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_is_byte_for_byte_what_alertmanager_sent_apart_from_the_newer_fields(file: Path) -> None:
    sample = json.loads(file.read_text("utf-8"))
    wanted = (
        sample["body"]
        .replace('],"groupLabels":', '],"notification_reason":"first notification","groupLabels":')
        .replace(',"externalURL":', ',"routeLabels":{},"externalURL":')
    )
    assert build_payload(card_of(sample["payload"])) == wanted.encode()


def alert(**changes: Any) -> Alert:
    return Alert(**({"fingerprint": "f", "labels": {"a": "b"}, "starts_ns": 1} | changes))


def message(**changes: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(
        build_payload(Card(**({"kind": "group", "title": "t", "at": NOW} | changes)))
    )
    return decoded


def test_an_alert_whose_end_is_still_to_come_fires_and_shows_no_end() -> None:
    one = message(alerts=[alert(ends_ns=int((NOW + 60) * 1e9))])["alerts"][0]
    assert (one["status"], one["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")


def test_an_alert_that_lapsed_without_news_is_resolved_at_that_moment() -> None:
    told = message(alerts=[alert(lapses_ns=1_700_000_000_000_000_000)])
    assert told["status"] == "resolved"
    assert told["alerts"][0]["endsAt"] == "2023-11-14T22:13:20Z"


def test_what_is_common_is_worked_out_over_the_alerts_of_the_message_alone() -> None:
    told = message(
        alerts=[
            alert(labels={"a": "1", "b": "2"}, annotations={"s": "x", "t": ""}),
            alert(labels={"a": "1", "b": "3"}, annotations={"s": "x"}),
        ],
        common_labels={"a": "1", "c": "4"},
    )
    assert (told["commonLabels"], told["commonAnnotations"]) == ({"a": "1"}, {"s": "x"})


def test_an_incident_adds_itself_after_alertmanagers_own_fields() -> None:
    told = message(
        kind="incident",
        incident="i1",
        number=42,
        state="acknowledged",
        title="Disk",
        url="http://x/i1",
        alerts=[alert()],
    )
    assert list(told)[-1] == "incident"
    assert told["incident"] == {
        "id": "i1",
        "number": 42,
        "state": "acknowledged",
        "title": "Disk",
        "url": "http://x/i1",
    }


def test_an_incident_opened_by_hand_says_its_title_and_text_though_it_has_no_alerts() -> None:
    told = message(
        kind="incident", incident="i1", number=1, state="resolved", title="Call me", text="now"
    )
    assert told["status"] == "resolved"
    assert told["commonAnnotations"] == {"summary": "Call me", "description": "now"}


def test_alerts_of_an_incident_that_the_card_does_not_hold_count_as_truncated() -> None:
    assert (
        message(kind="incident", alerts=[alert()], firing=20, resolved=4)["truncatedAlerts"] == 23
    )
    left_out = message(alerts=[alert()], firing=1, resolved=0, truncated=2, left_out=7)
    assert left_out["truncatedAlerts"] == 9


def test_the_reason_and_the_labels_of_the_route_are_told() -> None:
    told = message(
        alerts=[alert()], reason="repeat interval elapsed", route_labels={"tier": "1"}, truncated=3
    )
    assert (told["notification_reason"], told["routeLabels"], told["truncatedAlerts"]) == (
        "repeat interval elapsed",
        {"tier": "1"},
        3,
    )


@pytest.mark.parametrize(
    ("ns", "offset", "text"),
    [
        (0, 0, "1970-01-01T00:00:00Z"),
        (1, 0, "1970-01-01T00:00:00.000000001Z"),
        (-1, 0, "1969-12-31T23:59:59.999999999Z"),
        (120_000_000, -210, "1969-12-31T20:30:00.12-03:30"),
        (253_402_300_799 * 10**9, 0, "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_written_as_go_writes_them(ns: int, offset: int, text: str) -> None:
    assert go_time(ns, offset) == text


@given(st.dictionaries(TEXT, TEXT), TEXT)
def test_any_text_survives_on_one_line_with_go_escapes(labels: dict[str, str], title: str) -> None:
    body = build_payload(
        Card(kind="incident", title=title, at=NOW, alerts=[alert(labels=labels)], group_key=title)
    )
    decoded = json.loads(body)
    assert decoded["alerts"][0]["labels"] == labels == decoded["commonLabels"]
    assert decoded["incident"]["title"] == title == decoded["groupKey"]
    assert list(decoded["commonLabels"]) == sorted(labels)
    assert body.endswith(b"}\n")
    assert not set("<>&\n\u2028\u2029") & set(body[:-1].decode())
