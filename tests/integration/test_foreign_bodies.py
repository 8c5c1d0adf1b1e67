"""Bodies of any sender, on their way to a person: each thing told once, and ended by its sender."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.accept.push import PushEndpoints
from amproxy.config.structs import (
    Config,
    Heartbeat,
    NotifyStep,
    Policy,
    Receiver,
    Route,
    Source,
    SourceMapping,
)
from amproxy.correlate import heartbeats
from amproxy.errors import DeliveryError
from amproxy.labels.matchers import parse_matchers
from amproxy.model import Incident
from amproxy.secret import Secret
from amproxy.store import incidents
from tests.support.accept.senders import pagerduty, zabbix
from tests.support.accept.sns import CERTIFICATE, NOW, SUBSCRIBE, certificate, handshake
from tests.support.integration.house import House, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


def by_sender(**more: Any) -> Config:
    """A file whose route groups nothing: what belongs together, the sender says."""
    found = config(plan_of_one(), **more)
    return replace(found, route=replace(found.route, group_by=(), group_by_given=False))


def plan_of_one() -> Policy:
    return plan(NotifyStep(users=("ann",)))


async def post(house: House, *bodies: Any, path: str = "/webhook/kuma") -> None:
    for body in bodies:
        assert (await house.post(path, body))[0] in (200, 202), body


async def counted(house: House, **wanted: int) -> None:
    """Wait for so many incidents in each state."""

    async def states() -> bool:
        found = await house.incidents()
        return all(
            sum(one.state == state for one in found) == number for state, number in wanted.items()
        )

    await soon(states)


def pages(house: House) -> list[str]:
    """Title, text and alerts of each page, in one text."""
    return [
        " ".join((card.title, card.text, *(str(alert.labels) for alert in card.alerts)))
        for _, card in house.chat.sent
    ]


async def paged(house: House, *words: str) -> None:
    """Wait until each word stands in a page of its own."""

    async def told() -> bool:
        return all(any(word in page for page in pages(house)) for word in words)

    await soon(told)
    assert len(house.chat.sent) == len(words)


def kuma(number: int, name: str, status: int, msg: str) -> dict[str, Any]:
    return {
        "heartbeat": {"monitorID": 1, "status": status, "msg": msg, "important": True},
        "monitor": {"id": number, "name": name, "url": f"https://{name}"},
        "msg": f"[{name}] {msg}",
    }


# Reported cases


async def test_two_monitors_are_two_pages_that_name_them_and_each_ends_by_itself(
    house_of: Build,
) -> None:
    house = await house_of(by_sender())
    await post(house, kuma(681, "shop", 0, "timeout"), kuma(715, "db", 0, "refused"))
    await paged(house, "shop", "db")
    await post(house, kuma(681, "shop", 1, "200 - OK"))
    await counted(house, triggered=1, resolved=1)


async def test_oncalls_formatted_webhook_ends_by_its_uid_alone(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(
        house, {"alert_uid": "u1", "title": "Shop is down", "state": "alerting", "message": "m"}
    )
    await counted(house, triggered=1)
    await post(house, {"alert_uid": "u1", "state": "ok"})
    await counted(house, resolved=1)


async def test_two_problems_of_zabbix_are_two_and_one_recovery_ends_one(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, zabbix("1", 1001, "db1"), zabbix("1", 1002, "db2"))
    await paged(house, "db1", "db2")
    await post(house, zabbix("0", 1001, "db1"))
    await counted(house, triggered=1, resolved=1)


async def test_a_label_that_differs_at_the_end_does_not_keep_an_alert_open(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, {"title": "Uptime", "state": "down", "labels": {"duration": "5s"}})
    await counted(house, triggered=1)
    await post(house, {"title": "Uptime", "state": "up", "labels": {"duration": "65s"}})
    await counted(house, resolved=1)


async def test_nested_events_and_messages_of_sns_are_told_each(house_of: Build) -> None:
    house = await house_of(by_sender())
    for title, number in (("TypeError: x", "e1"), ("OOM in payments", "e2")):
        event = {"title": title, "event_id": number}
        await post(house, {"action": "triggered", "data": {"event": event}})
    for name in ("cpu", "disk"):
        message = f'{{"AlarmName":"{name}","NewStateValue":"ALARM"}}'
        envelope = {"Type": "Notification", "MessageId": name, "Subject": f'ALARM: "{name}"'}
        await post(house, {**envelope, "Message": message})
    await paged(house, "TypeError", "OOM in payments", "cpu", "disk")


async def test_the_same_title_with_another_text_is_told(house_of: Build) -> None:
    house = await house_of(by_sender())
    for number in (100, 200, 100):
        await post(
            house, {"title": "Backup failed", "message": f"vm {number} failed", "priority": 5}
        )
    await paged(house, "vm 100 failed", "vm 200 failed")


async def test_a_body_that_nothing_names_is_quoted(house_of: Build) -> None:
    house = await house_of(by_sender())
    await post(house, {"foo": {"bar": 17}}, {"foo": {"bar": 18}})
    await paged(house, '"bar": 17', '"bar": 18')


async def test_a_topic_of_sns_is_confirmed_and_one_that_cannot_be_is_asked_to_come_again(
    house_of: Build,
) -> None:
    house, asked = await house_of(by_sender()), list[str]()
    house.context.now = NOW.timestamp

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return certificate()

    async def unreachable(url: str) -> bytes:
        raise DeliveryError("Amazon SNS: no connection", reason="network")

    house.doors = PushEndpoints(house.context, fetch=unreachable)
    status, answer = await house.post("/webhook/sns", handshake())
    assert (status, answer["detail"]) == (
        503,
        "Amazon SNS could not be asked: Amazon SNS: no connection",
    )
    house.doors = PushEndpoints(house.context, fetch=fetch)
    assert (await house.post("/integrations/v1/amazon_sns/k/", handshake()))[0] == 200
    assert asked == [CERTIFICATE, SUBSCRIBE]
    assert (await house.post("/webhook/sns", handshake(Token="forged")))[0] == 403
    assert asked[2:] == [CERTIFICATE] and await house.incidents() == []


# Ends find their beginnings


def split_by_severity() -> Config:
    """Critical alerts and the rest go to receivers of their own, grouped by name."""
    found = config(plan_of_one())
    critical = Route(
        receiver="critical",
        key='{}/{severity="critical"}',
        matchers=tuple(parse_matchers('severity="critical"')),
        group_by=("alertname",),
        group_by_given=True,
        group_wait=0.05,
        group_interval=0.3,
        repeat_interval=3600,
    )
    receivers = {
        **found.receivers,
        "critical": Receiver(name="critical", integrations=found.receivers["oncall"].integrations),
    }
    return replace(found, route=replace(found.route, routes=(critical,)), receivers=receivers)


async def receivers_of(house: House, state: str) -> list[str]:
    found: list[Incident] = await house.incidents()
    return sorted(one.receiver for one in found if one.state == state)


async def test_an_end_takes_the_route_that_its_alert_took(house_of: Build) -> None:
    house = await house_of(split_by_severity())
    begun = {"alert_uid": "u1", "title": "Shop is down", "severity": "critical", "state": "down"}
    await post(house, begun)
    await counted(house, triggered=1)
    assert await receivers_of(house, "triggered") == ["critical"]
    await post(house, {"alert_uid": "u1", "state": "ok"})
    await counted(house, resolved=1)
    await post(house, begun)
    await counted(house, triggered=1, resolved=1)


async def test_an_alert_whose_labels_change_moves_and_leaves_nothing_behind(
    house_of: Build,
) -> None:
    house = await house_of(split_by_severity())
    body = {"alert_uid": "u1", "title": "Load", "state": "down"}
    await post(house, {**body, "severity": "warning"})
    await counted(house, triggered=1)
    await post(house, {**body, "severity": "critical"})
    await counted(house, triggered=1, resolved=1)
    assert await receivers_of(house, "triggered") == ["critical"]
    await post(house, {"alert_uid": "u1", "state": "ok"})
    await counted(house, resolved=2)


async def test_a_figure_in_the_title_makes_no_other_alert_and_is_told(house_of: Build) -> None:
    house = await house_of(split_by_severity())
    for used in (91, 92, 99):
        body = {"alert_uid": "u1", "title": f"Disk {used}% full", "state": "down"}
        await post(house, {**body, "message": "of db1"})
    await counted(house, triggered=1)

    async def fresh() -> bool:
        [incident] = await house.incidents()
        alerts = await incidents.load_alerts(house.context.wire, incident.id)
        return alerts[0].annotations["summary"] == "Disk 99% full\nof db1"

    await soon(fresh)
    assert len(house.chat.sent) == 1
    await post(house, {"alert_uid": "u1", "title": "Disk 20% full", "state": "ok"})
    await counted(house, resolved=1)
    # what begins anew has a name of its own
    await post(house, {"alert_uid": "u1", "title": "Disk 95% full", "state": "down"})
    await counted(house, triggered=1, resolved=1)
    assert "Disk 95% full" in pages(house)[-1]


async def test_two_sources_with_the_same_id_are_two_alerts(house_of: Build) -> None:
    house = await house_of(config(plan_of_one()))
    body = {"alert_uid": "1", "title": "Load", "state": "down"}
    await post(house, body)
    await post(house, {**body, "title": "Other"}, path="/webhook/other")
    await post(house, {"alert_uid": "1", "state": "ok"}, path="/webhook/other")
    await counted(house, triggered=1)


async def test_a_mapping_of_the_file_reads_a_senders_own_words(house_of: Build) -> None:
    mapping = SourceMapping(
        each="items", identity="{{ code }}", title="what.name", state="{{ 'ok' if level < 2 }}"
    )
    source = Source(name="shop", token=Secret("t"), mapping=mapping)
    house = await house_of(by_sender(sources={"shop": source}))

    def items(first: int, second: int) -> dict[str, Any]:
        tills = [(7, "Till stuck", first), (8, "Drawer open", second)]
        return {"items": [{"code": c, "what": {"name": n}, "level": v} for c, n, v in tills]}

    await post(house, items(3, 3), path="/webhook/shop/t")
    await paged(house, "Till stuck", "Drawer open")
    await post(house, items(1, 3), path="/webhook/shop/t")
    await counted(house, triggered=1, resolved=1)


# The doors of other systems


def with_keys(**more: Any) -> Config:
    sources = {
        "shop": Source(name="shop", token=Secret("k3y")),
        "signed": Source(name="signed", hmac_secret=Secret("s")),
        "open": Source(name="open"),
    }
    beats = {
        "cron": Heartbeat(name="cron", every=3600, token=Secret("b3at")),
        "shop": Heartbeat(name="shop", every=3600),
    }
    return by_sender(sources=sources, heartbeats=beats, **more)


ALERT = {"alert_uid": "u1", "title": "Shop is down", "state": "alerting"}
V4 = {"alerts": [{"status": "firing", "labels": {"alertname": "Disk"}}], "groupKey": "k"}


@pytest.mark.parametrize(
    "kind",
    "alertmanager grafana grafana_alerting webhook formatted_webhook zabbix elastalert".split(),  # noqa: SIM905
)
async def test_oncalls_addresses_take_what_its_senders_send(house_of: Build, kind: str) -> None:
    house = await house_of(with_keys())
    for behind in ("", "/"):
        path = f"/integrations/v1/{kind}/k3y{behind}"
        assert await house.post(path, V4 if "grafana" in kind else ALERT) == (200, "Ok.")
    await counted(house, triggered=1)
    [incident] = await house.incidents()
    assert {alert.source for alert in house.chat.sent[0][1].alerts} == {"shop"}, incident


@pytest.mark.parametrize("key", ["", "wrong", "signed", "shop", "cron", "b3at"])
async def test_oncalls_addresses_open_to_the_token_of_a_source_alone(
    house_of: Build, key: str
) -> None:
    house = await house_of(with_keys())
    status, answer = await house.post(f"/integrations/v1/webhook/{key}/", ALERT)
    assert status in (403, 404) and answer["detail"]
    assert await house.incidents() == []


async def test_addresses_that_oncall_does_not_have_are_unknown(house_of: Build) -> None:
    house = await house_of(by_sender())
    for path in ("webhook", "nonsense/k3y/", "webhook/k3y/more/", "", "webhook/k3y/heartbeat/x"):
        assert (await house.post(f"/integrations/v1/{path}", ALERT))[0] == 404, path
    assert (await house.post("/integrations/v1/zabbix/any/", ALERT))[0] == 200


async def test_beats_come_by_oncalls_addresses(house_of: Build) -> None:
    house = await house_of(with_keys())

    async def beaten() -> set[str]:
        found = await heartbeats.list_heartbeats(house.context)
        return {one.heartbeat.name for one in found if one.last is not None}

    assert await beaten() == set()
    assert await house.post("/integrations/v1/heartbeat/b3at/", {}) == (200, None)
    assert await house.post("/integrations/v1/webhook/k3y/heartbeat/", {}) == (200, None)
    assert await beaten() == {"cron", "shop"}
    for key in ("wrong", "open", "signed"):
        assert (await house.post(f"/integrations/v1/heartbeat/{key}/", {}))[0] == 403


async def test_pagerdutys_events_begin_and_end_alerts(house_of: Build) -> None:
    house = await house_of(with_keys())
    event = {**pagerduty("trigger"), "routing_key": "k3y"}
    done = {"status": "success", "message": "Event processed", "dedup_key": "srv01/HTTP"}
    assert await house.post("/v2/enqueue", event) == (202, done)
    await paged(house, "HTTP is down on srv01")
    assert "k3y" not in str(house.chat.sent[0][1])
    assert (await house.post("/v2/enqueue", {**event, "event_action": "acknowledge"}))[0] == 202
    await counted(house, triggered=1)
    end = {"routing_key": "k3y", "event_action": "resolve", "dedup_key": "srv01/HTTP"}
    assert await house.post("/v2/enqueue", end) == (202, done)
    await counted(house, resolved=1)


async def test_an_event_without_a_key_gets_one_that_ends_it(house_of: Build) -> None:
    house = await house_of(with_keys())
    event = {"event_action": "trigger", "payload": {"summary": "Fan", "source": "sw1"}}
    headers = {"x-routing-key": "k3y"}
    status, answer = await house.post("/v2/enqueue", event, headers=headers)
    assert status == 202 and len(answer["dedup_key"]) == 32
    assert await house.post("/v2/enqueue", event, headers=headers) == (status, answer)
    await paged(house, "Fan")
    end = {"routing_key": "k3y", "event_action": "resolve", "dedup_key": answer["dedup_key"]}
    await post(house, end, path="/v2/enqueue")
    await counted(house, resolved=1)


@pytest.mark.parametrize(
    ("status", "event", "says"),
    [
        (400, b"{", "not JSON"),
        (400, b"[]", "object"),
        (400, b'{"a":' * 3_000 + b"1" + b"}" * 3_000, ""),
        (413, b'{"a":"' + b"x" * 600_000 + b'"}', "allowed"),
        (400, {"event_action": "trigger"}, "routing_key"),
        (400, {"event_action": "trigger", "routing_key": 5}, "routing_key"),
        (403, {"event_action": "trigger", "routing_key": "wrong"}, "key"),
        (403, {"event_action": "trigger", "routing_key": "signed"}, "key"),
        (400, {"routing_key": "k3y"}, "event_action"),
        (400, {"routing_key": "k3y", "event_action": ["trigger"]}, "event_action"),
        (400, {"routing_key": "k3y", "event_action": "resolve"}, "dedup_key"),
        (400, {"routing_key": "k3y", "event_action": "trigger", "dedup_key": 5}, "dedup_key"),
        (
            400,
            {"routing_key": "k3y", "event_action": "trigger", "dedup_key": "x" * 256},
            "dedup_key",
        ),
    ],
)
async def test_an_event_that_is_wrong_is_refused_in_pagerdutys_form(
    house_of: Build, status: int, event: Any, says: str
) -> None:
    house = await house_of(with_keys())
    raw = event if isinstance(event, bytes) else None
    got, answer = await house.post("/v2/enqueue", event, raw=raw)
    assert got == status and says in answer["message"], answer
    assert answer["status"] and answer["errors"] == [answer["message"]]
    assert await house.incidents() == []
