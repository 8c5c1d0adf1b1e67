"""What is big holds nobody up, is bounded, and is stored so that a sender can try again."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from amproxy import metrics, offload
from amproxy.accept import big_bodies
from amproxy.config.structs import Config, InhibitRule, Integration, OncallSettings, Receiver
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import Matcher
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.secret import Secret
from amproxy.store import groups
from amproxy.store.stated import StatedChanges
from amproxy.store.wire import Wire
from amproxy.web.alertmanager.alerts import AlertmanagerAlertsApi
from amproxy.web.alertmanager.http import (
    AlertmanagerRequest,
    AlertmanagerResponse,
    AlertmanagerStream,
)
from tests.support.integration.house import House, config
from tests.support.stalls import stalls
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]

MANY = 15_000  # alerts: they took the process half a second and more, in one go
LIMIT = 0.3  # seconds; it is a fifth of that on a calm machine


def alerts(number: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "labels": {
                "alertname": "Latency",
                "instance": f"host-{index}",
                "severity": "warning" if index % 2 else "critical",
            },
            "annotations": {"summary": f"host {index} is slow"},
            "startsAt": "2026-01-01T00:00:00Z",
            **fields,
        }
        for index in range(number)
    ]


def webhook(number: int, status: str = "firing") -> dict[str, Any]:
    return {"groupKey": "k", "groupLabels": {}, "alerts": alerts(number, status=status)}


def paging_config() -> Config:
    """People are paged, and a webhook is notified of every alert; some mute others, in vain."""
    oncall = OncallSettings(escalation_policy="main")
    integrations = (
        Integration(kind="oncall", index=0, send_resolved=True, settings=oncall),
        Integration(
            kind="webhook",
            index=0,
            send_resolved=True,
            settings=WebhookSettings(url=Secret("hook")),
        ),
    )
    rule = InhibitRule(
        source_matchers=(Matcher("severity", "=", "critical"),),
        target_matchers=(Matcher("severity", "=", "warning"),),
        equal=("instance",),
    )
    receiver = Receiver(name="oncall", integrations=integrations)
    return config(receivers={"oncall": receiver}, inhibit_rules=(rule,))


async def test_a_big_push_of_the_raw_door_and_its_reading_hold_nobody_up(house_of: Build) -> None:
    house = await house_of(config())
    body = json.dumps(alerts(MANY)).encode()
    async with stalls() as found:
        assert (await house.post("/api/v2/alerts", None, raw=body))[0] == 200
        assert (await house.post("/api/v2/alerts", None, raw=body))[0] == 200
    assert found.longest < LIMIT
    api = AlertmanagerAlertsApi(house.context)
    scope = {"query_string": b"", "headers": [], "method": "GET", "path": "/api/v2/alerts"}
    request = AlertmanagerRequest(scope, None)  # type: ignore[arg-type]
    async with stalls() as found:
        bodies = [await read(await api.all(request)), await read(await api.groups(request))]
    assert found.longest < LIMIT
    listed, grouped = (json.loads(body) for body in bodies)
    assert len(listed) == MANY
    assert sum(len(group["alerts"]) for group in grouped) == MANY


async def read(answer: AlertmanagerResponse | AlertmanagerStream) -> bytes:
    assert isinstance(answer, AlertmanagerStream)
    return answer.begun + b"".join([piece async for piece in answer.rest])


@pytest.mark.parametrize("packed", [False, True])
async def test_a_big_webhook_and_its_flush_hold_nobody_up(house_of: Build, packed: bool) -> None:
    house = await house_of(paging_config())
    body = json.dumps(webhook(MANY)).encode()
    headers = {"content-encoding": "gzip"} if packed else {}
    body = gzip.compress(body) if packed else body
    async with stalls() as found:
        assert (await house.post("/webhook/am", None, raw=body, headers=headers))[0] == 200
        await soon(lambda: house.hook.sent and house.chat.sent)
    assert found.longest < LIMIT
    # The flush came after the last alert was stored: nobody is told of a part first.
    [(_, card)] = house.hook.sent
    assert card.firing == MANY
    [incident] = await house.incidents("triggered")
    assert incident.firing == MANY


async def test_thousands_of_alerts_that_end_are_forgotten_once_they_are_told(
    house_of: Build,
) -> None:
    # A send that takes longer than a group's interval may be repeated, so it is a long one here.
    wanted = paging_config()
    slow = msgspec.structs.replace(wanted.route, group_interval=3.0)
    house = await house_of(msgspec.structs.replace(wanted, route=slow))
    number = 3 * offload.LIGHT
    await house.post("/webhook/am", webhook(number))
    await soon(lambda: logged(house, number))
    await house.post("/webhook/am", webhook(number, "resolved"))
    await soon(lambda: len(house.hook.sent) == 2)
    assert house.hook.sent[1][1].resolved == number
    await soon(lambda: gone(house))
    assert len(await house.incidents("resolved")) == 1


async def logged(house: House, number: int) -> bool:
    """Both integrations have it written down that so many alerts fire."""
    entries = [
        entry for one in await groups.load_groups(house.context.wire) for entry in one.log.values()
    ]
    return [len(entry.firing) for entry in entries] == [number, number]


async def gone(house: House) -> bool:
    return not await groups.load_group_ids(house.context.wire)


async def test_a_push_that_broke_off_in_the_middle_is_whole_when_it_comes_again(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, number = await house_of(paging_config()), 3 * offload.LIGHT
    ingest, calls, broken = groups.ingest, 0, 0

    async def breaks_off(
        wire: Wire, writes: list[groups.GroupWrite], *stated: StatedChanges
    ) -> bool:
        nonlocal calls
        calls += 1
        if calls == broken:
            raise StoreUnavailable("Redis went away")
        return await ingest(wire, writes, *stated)

    # Before the second slice, and then before the timer, when all alerts are stored already.
    for broken in (2, 3):  # noqa: B007  # breaks_off looks at it
        calls = 0
        with monkeypatch.context() as patched:
            patched.setattr(groups, "ingest", breaks_off)
            assert (await house.post("/webhook/am", webhook(number)))[0] == 503
    assert not house.hook.sent
    assert (await house.post("/webhook/am", webhook(number)))[0] == 200
    await soon(lambda: house.hook.sent)
    assert house.hook.sent[0][1].firing == number


async def test_more_big_bodies_than_fit_wait_and_small_ones_do_not(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(big_bodies, "PATIENCE", 0.2)
    house = await house_of(config())
    await house.doors._big_bodies.processed.acquire()  # as if one was worked on for long
    big = json.dumps(alerts(3 * offload.LIGHT)).encode()
    waiting = [
        asyncio.create_task(house.post("/api/v2/alerts", None, raw=big))
        for _ in range(big_bodies.MAX_RECEIVED + 2)
    ]
    assert (await house.post("/api/v2/alerts", alerts(1)))[0] == 200
    await soon(lambda: sum(task.done() for task in waiting) == 2)
    house.doors._big_bodies.processed.release()
    statuses = sorted([(await task)[0] for task in waiting])
    assert statuses == [200] * big_bodies.MAX_RECEIVED + [503] * 2
    assert (await house.post("/api/v2/alerts", None, raw=big))[0] == 200


async def test_the_metric_counts_what_held_everybody_up() -> None:
    def longer_than_a_quarter() -> float:
        [family] = metrics.loop_stall.collect()
        values = {(one.name, one.labels.get("le")): one.value for one in family.samples}
        name = "amproxy_loop_stall_seconds"
        return values[f"{name}_count", None] - values[f"{name}_bucket", "0.25"]

    before, watching = longer_than_a_quarter(), asyncio.create_task(offload.watch_stalls())
    await asyncio.sleep(0.1)
    time.sleep(0.4)  # the stall
    await soon(lambda: longer_than_a_quarter() > before)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
