"""The event recorder on the road of an alert: what is written, in the JSON of Alertmanager 0.35."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from amproxy.config.structs import (
    Config,
    EventFile,
    EventRecorderSettings,
    InhibitRule,
    Integration,
    Receiver,
)
from amproxy.correlate.regroup import regroup_all
from amproxy.errors import DeliveryError
from amproxy.event_recorder import QUEUE_SIZE
from amproxy.labels.matchers import parse_matcher
from amproxy.metrics import registry
from amproxy.model import Silence
from amproxy.notify import event_outputs
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.notify.event_outputs import EventWriter
from amproxy.respond.muting import put_silence
from tests.support.integration.house import House, config
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]

DISK = {"labels": {"alertname": "Disk", "host": "a"}, "annotations": {"summary": "full"}}


def recorded(path: Path, *more: Any, **given: Any) -> Config:
    """A receiver with two webhooks, the second of which hears of no end, and a file of events."""
    hooks = tuple(
        Integration(
            kind="webhook", index=index, send_resolved=not index, settings=WebhookSettings()
        )
        for index in range(2)
    )
    plain = config()
    return msgspec.structs.replace(
        plain,
        route=msgspec.structs.replace(plain.route, receiver="hooks"),
        receivers={"hooks": Receiver(name="hooks", integrations=hooks), **plain.receivers},
        event_recorder=EventRecorderSettings(files=(EventFile(name="audit", path=str(path)),)),
        **given,
    )


@pytest.fixture
async def write(house_of: Build) -> AsyncIterator[Build]:
    """Build a house whose events are written."""
    writing: list[tuple[EventWriter, asyncio.Task[None]]] = []

    async def build(wanted: Config) -> House:
        house = await house_of(wanted)
        writer = EventWriter(house.context.events)
        writing.append((writer, asyncio.create_task(writer.run())))
        return house

    yield build
    for writer, task in writing:
        task.cancel()
        await writer.close()


def events(path: Path, kind: str = "") -> list[dict[str, Any]]:
    """What the file has, as `data`; of one kind, what that carries."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(list(line) == ["@timestamp", "instance", "data"] for line in lines)
    assert all(line["instance"] == socket.gethostname() for line in lines)
    found = [line["data"] for line in lines]
    return [data[kind] for data in found if kind in data] if kind else found


def sample(name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_an_alert_is_recorded_from_its_first_push_to_its_end(
    write: Build, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    house = await write(recorded(path))
    start = "2026-01-01T00:00:00.5Z"
    await house.post("/api/v2/alerts", [{**DISK, "startsAt": start}])
    await soon(lambda: len(events(path, "notification")) == 2)
    await house.post("/api/v2/alerts", [{**DISK, "startsAt": start}])  # repeated: no news
    end = "2026-01-01T00:00:01Z"
    await house.post("/api/v2/alerts", [{**DISK, "startsAt": start, "endsAt": end}])
    [over] = await soon(lambda: events(path, "alertResolved"))

    [created] = events(path, "alertCreated")
    assert created["alert"].pop("endsAt") > start  # after resolve_timeout
    fingerprint = created["alert"]["fingerprint"]
    assert created == {
        "alert": {
            "fingerprint": fingerprint,
            "name": "Disk",
            "labels": {"alertname": "Disk", "host": "a"},
            "annotations": {"summary": "full"},
            "startsAt": "2026-01-01T00:00:00.500Z",
        }
    }
    group = {
        "groupKey": '{}:{alertname="Disk"}',
        "groupLabels": {"alertname": "Disk"},
        "groupId": hashlib.sha256(b'{}:{alertname="Disk"}').hexdigest(),
        "receiverName": "hooks",
    }
    [grouped] = events(path, "alertGrouped")
    assert grouped["groupInfo"] == group
    assert grouped["alert"]["details"]["fingerprint"] == grouped["alert"]["fingerprint"]

    told = events(path, "notification")
    first, last = told[0], told[-1]
    details = created["alert"] | {"endsAt": "0001-01-01T00:00:00Z"}
    assert first["alerts"] == [{"fingerprint": fingerprint, "details": details}]
    assert first["firingAlerts"] == [{"fingerprint": fingerprint}]
    assert "resolvedAlerts" not in first and "mutedAlerts" not in first
    assert first["groupInfo"].pop("groupUuid").count("-") == 4
    assert first["groupInfo"] == group
    assert (first["repeatInterval"], first["flushId"]) == ("3600s", "1")
    assert first["reason"] == "NOTIFY_REASON_FIRST_NOTIFICATION"
    assert sorted(one["integration"].get("index", "0") for one in told[:2]) == ["0", "1"]
    # Only the first integration sends the end, and Alertmanager records what was sent.
    assert len(told) == 3
    assert last["reason"] == "NOTIFY_REASON_ALL_ALERTS_RESOLVED"
    assert last["resolvedAlerts"] == [{"fingerprint": fingerprint}]
    assert over == {
        "alert": {
            "fingerprint": fingerprint,
            "details": created["alert"] | {"endsAt": end, "resolved": True},
        },
        "groupInfo": group,
    }


async def test_what_mutes_an_alert_is_recorded_with_it(write: Build, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rule = InhibitRule(
        name="grave",
        source_matchers=(parse_matcher('severity="critical"'),),
        target_matchers=(parse_matcher('severity=~"warning|info"'),),
        equal=("host",),
    )
    other = InhibitRule(
        source_matchers=(parse_matcher('alertname="Nothing"'),),
        target_matchers=(parse_matcher('severity="warning"'),),
    )
    house = await write(recorded(path, inhibit_rules=(other, rule)))
    wanted = Silence(
        id="",
        matcher_sets=[[parse_matcher('alertname="Quiet"')]],
        starts_ns=0,
        ends_ns=4_000_000_000 * 10**9,
        created_by="ann",
        comment="upgrade",
    )
    silence = await put_silence(house.context, wanted)
    longer = msgspec.structs.replace(silence, ends_ns=4_000_000_001 * 10**9)
    await put_silence(house.context, longer)
    await house.post(
        "/api/v2/alerts",
        [
            {"labels": {"alertname": "Quiet"}},
            {"labels": {"alertname": "Quiet", "severity": "critical", "host": "a"}},
            {"labels": {"alertname": "Loud", "severity": "warning", "host": "a"}},
            {"labels": {"alertname": "Loud"}},
        ],
    )
    muted = await soon(lambda: events(path, "inhibitionMutedAlert"))
    silenced = await soon(lambda: events(path, "silenceMutedAlert"))
    [told] = (await soon(lambda: events(path, "notification")))[:1]

    matcher = {
        "type": "TYPE_EQUAL",
        "name": "alertname",
        "pattern": "Quiet",
        "rendered": 'alertname="Quiet"',
    }
    [made], [changed] = events(path, "silenceCreated"), events(path, "silenceUpdated")
    assert made["silence"]["matchers"] == [matcher]
    assert made["silence"]["matcherSets"] == [{"matchers": [matcher]}]
    assert (made["silence"]["createdBy"], made["silence"]["comment"]) == ("ann", "upgrade")
    assert made["silence"]["endsAt"] == "2096-10-02T07:06:40Z"
    assert changed["silence"]["id"] == made["silence"]["id"] == silence.id
    assert changed["silence"]["endsAt"] == "2096-10-02T07:06:41Z"
    assert silenced[0]["silence"] == changed["silence"]
    assert silenced[0]["mutedAlert"]["labels"]["alertname"] == "Quiet"
    [by] = muted[0]["inhibitRules"]
    assert (by["name"], by["equalLabels"]) == ("grave", ["host"])
    assert by["targetMatchers"][0]["type"] == "TYPE_REGEXP"
    assert muted[0]["mutedAlert"]["labels"]["severity"] == "warning"
    created = {one["alert"]["name"]: one for one in events(path, "alertCreated")}
    assert len(muted[0]["inhibitingFingerprints"]) == 1
    assert muted[0]["inhibitingFingerprints"][0].isdigit() and created
    # Of a group that is told of, the muted alert is named too.
    assert [one["details"]["labels"] for one in told["alerts"]] == [
        {"alertname": "Loud"},
        {"alertname": "Loud", "severity": "warning", "host": "a"},
    ]
    assert told["mutedAlerts"] == [{"fingerprint": muted[0]["mutedAlert"]["fingerprint"]}]


async def test_an_alert_that_a_reload_moves_is_not_new(write: Build, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    wanted = recorded(path)
    house = await write(wanted)
    await house.post("/api/v2/alerts", [DISK])
    await soon(lambda: events(path, "notification"))
    route = msgspec.structs.replace(wanted.route, group_by=("host",))
    house.context.use_config(msgspec.structs.replace(wanted, route=route))
    assert await regroup_all(house.context) == 1
    await soon(lambda: len(events(path, "alertGrouped")) == 2)
    groups = [one["groupInfo"]["groupLabels"] for one in events(path, "alertGrouped")]
    assert groups == [{"alertname": "Disk"}, {"host": "a"}]
    assert len(events(path, "alertCreated")) == 1


async def test_a_page_is_a_notification_too(write: Build, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    wanted = recorded(path)
    route = msgspec.structs.replace(wanted.route, receiver="oncall")
    house = await write(msgspec.structs.replace(wanted, route=route))
    await house.post("/api/v2/alerts", [DISK])
    [told] = await soon(lambda: events(path, "notification"))
    assert told["integration"] == {"name": "oncall"}
    past = "2026-01-01T00:00:00Z"
    await house.post("/api/v2/alerts", [{**DISK, "startsAt": past, "endsAt": past}])
    await soon(lambda: events(path, "alertResolved"))
    await soon(lambda: house.incidents("resolved"))


async def test_a_notification_that_does_not_arrive_is_not_recorded(
    write: Build, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    house = await write(recorded(path))
    refused: list[str] = []

    def refuse(address: str, _: object) -> DeliveryError:
        refused.append(address)
        return DeliveryError("no", permanent=True)

    house.hook.refuse = refuse  # type: ignore[assignment]
    await house.post("/api/v2/alerts", [DISK])
    await soon(lambda: len(refused) >= 2)
    await soon(lambda: events(path, "alertGrouped"))
    assert events(path, "notification") == []


async def test_a_file_that_hangs_holds_up_no_push_and_no_message(
    write: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_outputs, "FILE_BACKLOG", 20)
    path = tmp_path / "pipe"
    os.mkfifo(path)  # to open it for writing waits for a reader, and there is none
    house = await write(recorded(path))
    lost = sample("alertmanager_event_output_drops_total", output="file:audit")
    for number in range(50):
        status, _ = await house.post(
            "/api/v2/alerts", [{"labels": {"alertname": "Disk", "host": str(number)}}]
        )
        assert status == 200
    await soon(lambda: len(house.hook.sent) >= 2)
    await soon(lambda: sample("alertmanager_event_output_drops_total", output="file:audit") > lost)
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # now it goes on, into the void


async def test_without_an_output_nothing_is_kept(house_of: Build) -> None:
    house = await house_of(config())
    await house.post("/api/v2/alerts", [DISK])
    await soon(lambda: house.chat.sent)
    assert house.context.events.take(10) == []


async def test_a_full_queue_drops_what_comes_and_counts_it(house_of: Build, tmp_path: Path) -> None:
    house = await house_of(recorded(tmp_path / "x"))  # and nobody writes
    before = sample("alertmanager_events_dropped_total", event_type="probe")
    for _ in range(QUEUE_SIZE + 5):
        house.context.events.record("probe", dict)
    assert sample("alertmanager_events_dropped_total", event_type="probe") == before + 5
    assert sample("alertmanager_event_recorder_queue_length") == QUEUE_SIZE
    await house.post("/api/v2/alerts", [DISK])
    await soon(lambda: house.hook.sent)
