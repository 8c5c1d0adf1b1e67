"""A heartbeat that stays away pages somebody; the next beat ends it. A beat is a call, or an alert that fires."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from amproxy import metrics
from amproxy.config.structs import Config, Heartbeat, Integration, OncallSettings, Receiver
from amproxy.correlate import heartbeats as correlate_heartbeats
from amproxy.correlate.regroup import regroup_all
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import parse_matcher
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.server import replica
from amproxy.server.replica import ReplicaRecord
from amproxy.store import heartbeats, keys
from amproxy.store.groups import load_groups
from amproxy.store.leases import Timer
from amproxy.store.replicas import Replica, publish_replica
from amproxy.store.wire import Wire
from tests.support.integration.house import House, config
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]
WATCHDOG = Heartbeat(name="watchdog", every=60, matchers=(parse_matcher('alertname="Watchdog"'),))


def beating(*wanted: Heartbeat, **more: Any) -> Config:
    return config(heartbeats={one.name: one for one in wanted}, **more)


def webhook(*labels: dict[str, str], status: str = "firing") -> dict[str, Any]:
    return {
        "groupKey": "k",
        "groupLabels": {},
        "alerts": [{"status": status, "labels": one} for one in labels],
    }


async def timers(house: House) -> list[str]:
    return [name.decode() for name in await house.context.wire.call("ZRANGE", keys.TIMERS, 0, -1)]


async def commits(house: House) -> int:
    """Scripts run so far in this Redis: a beat is one; idle workers add a few in a second."""
    found = re.search(
        rb"cmdstat_evalsha:calls=(\d+)", await house.context.wire.call("INFO", "commandstats")
    )
    return int(found[1]) if found else 0


async def last(house: House, name: str = "watchdog") -> correlate_heartbeats.HeartbeatState:
    return next(
        pulse
        for pulse in await correlate_heartbeats.list_heartbeats(house.context)
        if pulse.heartbeat.name == name
    )


async def test_silence_raises_an_alert_and_the_next_beat_resolves_it(house_of: Build) -> None:
    house = await house_of(
        beating(Heartbeat(name="watchdog", every=1.5, labels={"severity": "critical"}))
    )
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await correlate_heartbeats.record_heartbeat(house.context, "watchdog")
    assert not house.chat.sent
    await soon(lambda: house.chat.sent)
    assert "HeartbeatMissing" in house.chat.sent[0][1].title
    assert 1.5 <= (await correlate_heartbeats.heartbeat_ages(house.context))["watchdog"] < 60
    [incident] = await house.incidents("triggered")
    assert (await last(house)).missing_since
    await correlate_heartbeats.record_heartbeat(house.context, "watchdog")
    await soon(lambda: house.incidents("resolved"))
    assert incident.firing == 1
    assert not (await last(house)).missing_since


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/api/v2/alerts",
            [{"labels": {"alertname": "Watchdog", "n": str(n)}} for n in range(500)],
        ),
        (
            "/webhook/alertmanager",
            webhook(*({"alertname": "Watchdog", "n": str(n)} for n in range(500))),
        ),
        ("/webhook/generic", {"title": "Watchdog", "state": "alerting"}),
    ],
    ids=["raw", "alertmanager", "generic"],
)
async def test_a_firing_alert_that_matches_is_one_beat_and_goes_no_further(
    house_of: Build, path: str, body: Any
) -> None:
    house = await house_of(beating(WATCHDOG))
    received = sum(
        metrics.received_counter(source, "firing")._value.get() for source in ("api", "webhook")
    )
    before = await commits(house)
    assert (await house.post(path, body))[0] == 200
    assert await commits(house) - before < 20, "a push of 500 beats once"
    pulse = await last(house)
    assert pulse.source == "alert" and pulse.last and time.time() - pulse.last < 30
    assert not await load_groups(house.context.wire)
    sent = len(body.get("alerts", [1])) if isinstance(body, dict) else len(body)
    assert (
        sum(
            metrics.received_counter(source, "firing")._value.get() for source in ("api", "webhook")
        )
        - received
        == sent
    )


async def test_a_resolved_alert_that_matches_is_no_beat_and_its_neighbours_go_on(
    house_of: Build,
) -> None:
    house = await house_of(beating(WATCHDOG))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await house.post("/webhook/any", webhook({"alertname": "Watchdog"}, status="resolved"))
    past = "2026-01-01T00:00:00Z"
    await house.post(
        "/api/v2/alerts", [{"labels": {"alertname": "Watchdog"}, "startsAt": past, "endsAt": past}]
    )
    assert (await last(house)).last is None
    await house.post("/webhook/any", webhook({"alertname": "Watchdog"}, {"alertname": "Disk"}))
    assert (await last(house)).last is not None
    await soon(lambda: house.chat.sent)
    assert [incident.title for incident in await house.incidents()] == ["Disk"]


async def test_an_alert_that_becomes_a_beat_by_a_new_file_is_let_go(house_of: Build) -> None:
    house = await house_of(beating())
    await house.post("/webhook/any", webhook({"alertname": "Watchdog"}))
    await soon(lambda: house.incidents("triggered"))
    house.context.use_config(beating(WATCHDOG))
    await regroup_all(house.context)
    await soon(lambda: house.incidents("resolved"))
    assert not await load_groups(house.context.wire)


async def test_the_alert_of_a_missing_heartbeat_is_told_at_once_and_is_never_a_beat_itself(
    house_of: Build,
) -> None:
    greedy = Heartbeat(
        name="greedy", every=0.2, labels={"team": "a"}, matchers=(parse_matcher('team="a"'),)
    )
    route = config().route
    house = await house_of(
        beating(
            greedy,
            route=type(route)(receiver="oncall", key="{}", group_wait=3600, group_interval=3600),
        )
    )
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await soon(lambda: house.chat.sent)


async def test_a_heartbeat_that_is_gone_from_the_file_ends_its_alert_and_leaves_nothing_behind(
    house_of: Build,
) -> None:
    house = await house_of(beating(Heartbeat(name="old", every=0.2)))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await soon(lambda: house.incidents("triggered"))
    house.context.use_config(beating(Heartbeat(name="new", every=60)))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await soon(lambda: house.incidents("resolved"))
    assert [name for name in await timers(house) if name.startswith("heartbeat:")] == [
        "heartbeat:new"
    ]
    assert set(await heartbeats.load_heartbeats(house.context.wire)) == {"new"}
    assert not await heartbeats.load_all_missing(house.context.wire)


async def test_new_labels_end_the_old_alert_and_raise_a_new_one(house_of: Build) -> None:
    house = await house_of(beating(Heartbeat(name="one", every=0.2, labels={"alertname": "Old"})))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await soon(lambda: house.incidents("triggered"))
    house.context.use_config(beating(Heartbeat(name="one", every=0.2, labels={"alertname": "New"})))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)

    async def replaced() -> bool:
        found = {incident.title: incident.state for incident in await house.incidents()}
        return {title.split()[0]: state for title, state in found.items()} == {
            "Old": "resolved",
            "New": "triggered",
        }

    await soon(replaced)


async def test_a_shorter_time_counts_from_the_last_beat(house_of: Build) -> None:
    house = await house_of(beating(Heartbeat(name="one", every=86400)))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await correlate_heartbeats.record_heartbeat(house.context, "one")
    house.context.use_config(beating(Heartbeat(name="one", every=0.3)))
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await soon(lambda: house.chat.sent)


async def test_a_beat_of_one_heartbeat_tells_nothing_in_the_group_of_another_that_is_missing(
    house_of: Build,
) -> None:
    receiver = Receiver(
        name="oncall",
        integrations=(
            Integration(kind="webhook", index=0, send_resolved=True, settings=WebhookSettings()),
            Integration(
                kind="oncall",
                index=0,
                send_resolved=True,
                settings=OncallSettings(escalation_policy="main"),
            ),
        ),
    )
    house = await house_of(
        beating(
            Heartbeat(name="gone", every=0.2),
            Heartbeat(name="well", every=60),
            receivers={"oncall": receiver},
        )
    )
    await correlate_heartbeats.schedule_heartbeat_timers(house.context)
    await soon(lambda: house.hook.sent)
    for _ in range(3):
        await correlate_heartbeats.record_heartbeat(house.context, "well")
    [loaded] = await load_groups(house.context.wire)
    assert [alert.labels["heartbeat"] for alert in loaded.alerts] == ["gone"]


async def heartbeat_due(house: House) -> float:
    """When the heartbeat is looked at next, in seconds from now."""
    due = await house.context.wire.call("ZSCORE", keys.TIMERS, "heartbeat:watchdog")
    return float(due) / 1000 - time.time()


async def look_at_watchdog(house: House) -> None:
    timer = Timer(kind="heartbeat", id="watchdog", due=time.time())
    await correlate_heartbeats.handle_heartbeat_timer(house.context, timer)


def living(name: str, serving: float) -> Replica:
    return Replica(
        name=name,
        host="h",
        pid=1,
        version="1",
        started=serving,
        digest="d",
        since=serving,
        loaded=serving,
        serving=serving,
    )


async def away_and_back(house: House, *, since: float) -> None:
    """The last beat is an hour old, and the service serves again for so many seconds."""
    wire, now = house.context.wire, time.time()
    await heartbeats.record(wire, "watchdog", now - 3600, "http", next_due=now + 1000)
    house.context.serving_since = now - since


async def test_what_was_not_heard_while_the_service_was_away_is_not_missed(
    house_of: Build,
) -> None:
    house = await house_of(beating(Heartbeat(name="watchdog", every=60)))
    await away_and_back(house, since=1)
    await look_at_watchdog(house)
    assert not (await last(house)).missing_since and await heartbeat_due(house) < 20
    # No other process lived: it has a whole `every` from the start on.
    await away_and_back(house, since=20)
    await look_at_watchdog(house)
    assert not (await last(house)).missing_since and 35 < await heartbeat_due(house) < 41
    await away_and_back(house, since=61)
    await look_at_watchdog(house)
    assert (await last(house)).missing_since


async def test_what_another_replica_would_have_heard_is_missed_after_a_start(
    house_of: Build,
) -> None:
    house = await house_of(beating(Heartbeat(name="watchdog", every=60)))
    await publish_replica(house.context.wire, living("new", time.time() - 25))
    await away_and_back(house, since=20)
    await look_at_watchdog(house)
    assert not (await last(house)).missing_since
    await publish_replica(house.context.wire, living("old", time.time() - 600))
    await look_at_watchdog(house)
    assert (await last(house)).missing_since


async def test_what_was_refused_while_redis_was_away_is_not_missed(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(beating(Heartbeat(name="watchdog", every=60)))
    await away_and_back(house, since=3600)

    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("Redis is away")

    with monkeypatch.context() as away:
        away.setattr(heartbeats, "record", refuse)
        with pytest.raises(StoreUnavailable):
            await correlate_heartbeats.record_heartbeat(house.context, "watchdog")
    await look_at_watchdog(house)
    assert not (await last(house)).missing_since


async def test_an_outage_of_redis_counts_as_time_in_which_nobody_listened(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(beating(Heartbeat(name="watchdog", every=60)))
    await away_and_back(house, since=3600)
    published = publish_replica
    refused = 0

    async def refuse_twice(wire: Wire, record: Replica) -> None:
        nonlocal refused
        refused += 1
        if refused <= 2:
            raise StoreUnavailable("Redis is away")
        await published(wire, record)

    monkeypatch.setattr(replica, "publish_replica", refuse_twice)
    monkeypatch.setattr(replica, "PUBLISH_INTERVAL", 0.01)
    publisher = asyncio.create_task(ReplicaRecord(house.context, "one", "127.0.0.1:1").run())
    await soon(lambda: refused > 2)
    publisher.cancel()
    await look_at_watchdog(house)
    assert not (await last(house)).missing_since
