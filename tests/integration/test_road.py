"""One alert's whole road, inside one process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from amproxy.config.structs import Config, Global, NotifyStep, User, Wait
from amproxy.correlate import own_flush
from amproxy.errors import Conflict, DeliveryError, StoreUnavailable
from amproxy.labels.matchers import parse_matcher
from amproxy.notify.worker import DeliveryWorker
from amproxy.respond.actions import ActionRequest, perform
from amproxy.store import groups, leases, outbox
from amproxy.store.leases import Timer
from amproxy.store.outbox import OutboxMessage
from amproxy.text import phrase
from tests.support.integration.house import Clock, House, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


def firing(name: str = "Disk", **labels: str) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": "It is full"},
    }


def webhook(*alerts: dict[str, Any], key: str = "g1") -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": key,
        "groupLabels": {"alertname": "Disk"},
        "alerts": list(alerts),
    }


async def test_a_webhook_pages_escalates_and_stops_when_somebody_acknowledges(
    house_of: Build,
) -> None:
    house = await house_of(config())
    assert (await house.post("/webhook/am", webhook(firing())))[0] == 200
    await soon(lambda: [address for address, _ in house.chat.sent] == ["ann", "bob"])
    [incident] = await house.incidents("triggered")
    await perform(
        house.context, incident.id, ActionRequest(action="acknowledge", user="bob", via="chat")
    )
    await soon(lambda: len(house.chat.edits) == 2)
    assert {card.state_text.partition(" at")[0] for _, card in house.chat.edits} == {
        "Acknowledged by bob"
    }
    await house.post("/webhook/am", webhook({**firing(), "status": "resolved"}))
    await soon(lambda: len(house.chat.edits) == 4)
    assert house.chat.edits[-1][1].state == "resolved"
    [incident] = await house.incidents("resolved")
    assert incident.resolved_by == "source"
    assert any("Acknowledged by bob" in line for line in await house.timeline(incident))


@pytest.mark.parametrize("short", [True, False])
async def test_a_push_and_its_page_need_nobody_who_leases_timers_or_reads_the_outbox(
    house_of: Build, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    """Neither is asked on the short way; on the ordinary one, both are."""
    leased, read = list[Timer](), list[OutboxMessage]()

    async def lease_due(*words: Any, known: Any = leases.lease_due) -> list[Timer]:
        found: list[Timer] = await known(*words)
        leased.extend(one for one in found if one.kind == "flush")
        return found

    async def read_outbox(*words: Any, known: Any = outbox.read) -> list[OutboxMessage]:
        found: list[OutboxMessage] = await known(*words)
        read.extend(found)
        return found

    monkeypatch.setattr(leases, "lease_due", lease_due)
    monkeypatch.setattr(outbox, "read", read_outbox)
    if not short:
        monkeypatch.setattr(own_flush, "MOST", 0)
        monkeypatch.setattr(DeliveryWorker, "take_operation", lambda deliverer: [])
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    await soon(lambda: house.context.wire.taker is not None)
    assert (await house.post("/webhook/am", webhook(firing())))[0] == 200
    await soon(lambda: house.chat.sent)
    assert [address for address, _ in house.chat.sent] == ["ann"]
    assert bool(leased) is bool(read) is not short


async def test_a_push_whose_answer_is_lost_is_flushed_all_the_same(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))

    async def lost(*words: Any, known: Any = groups.ingest) -> None:
        await known(*words)
        raise StoreUnavailable(phrase("refusal.redis_went"))

    await soon(lambda: house.context.timer_turns is not None)
    monkeypatch.setattr(groups, "ingest", lost)
    assert (await house.post("/webhook/am", webhook(firing())))[0] == 503
    began = time.monotonic()
    await soon(lambda: house.chat.sent)
    assert time.monotonic() - began < leases.LEASE, "nobody waits for the end of the lease"


async def test_the_raw_door_waits_for_the_group_and_resolves_by_ends_at(house_of: Build) -> None:
    house = await house_of(config())
    ends = datetime.now(UTC) + timedelta(seconds=3)  # told before, on a busy machine too
    alerts = [
        {"labels": {"alertname": "Disk", "disk": disk}, "endsAt": ends.isoformat()} for disk in "ab"
    ]
    assert await house.post("/api/v2/alerts", alerts) == (200, None)
    await soon(lambda: house.chat.sent)
    assert house.chat.sent[0][1].firing == 2
    await soon(lambda: house.incidents("resolved"))


async def test_a_repeated_push_opens_nothing_new(house_of: Build) -> None:
    house = await house_of(config())
    for _ in range(5):
        await house.post("/webhook/am", webhook(firing()))
    await soon(lambda: len(house.chat.sent) == 2)
    assert len(await house.incidents()) == 1


async def test_a_contact_that_fails_for_good_passes_to_the_next_at_once(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), Wait(seconds=60))))
    house.chat.refuse = lambda address, card: DeliveryError(
        "bot was blocked by the user", permanent=True
    )
    await house.post("/webhook/am", webhook(firing()))
    await soon(lambda: [address for address, _ in house.mail.sent] == ["ann@example.org"])
    [incident] = await house.incidents()
    assert any("bot was blocked" in line for line in await house.timeline(incident))


async def test_a_temporary_failure_is_tried_again(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    refusals = iter(
        [
            DeliveryError("busy", reason="rate_limited", retry_after=0.1),
            DeliveryError("busy", reason="server_error"),
            None,
        ]
    )
    house.chat.refuse = lambda address, card: next(refusals)
    await house.post("/webhook/am", webhook(firing()))
    await soon(lambda: len(house.chat.sent) == 1)
    [incident] = await house.incidents()
    assert (await soon(lambda: [p for p in incident.pages if p.state] and incident)).pages[
        0
    ].state in ("due", "sent")


async def test_nobody_is_paged_after_the_answer(house_of: Build) -> None:
    house = await house_of(
        config(plan(NotifyStep(users=("ann",)), Wait(seconds=60), NotifyStep(users=("bob",))))
    )
    await house.post("/webhook/am", webhook(firing()))
    await soon(lambda: house.chat.sent)
    [incident] = await house.incidents()
    await perform(
        house.context, incident.id, ActionRequest(action="acknowledge", user="ann", via="web")
    )
    await soon(lambda: house.chat.edits)
    await Clock(house).later(61)
    assert [address for address, _ in house.chat.sent] == ["ann"]
    with pytest.raises(Conflict, match="already acknowledged by ann"):
        await perform(
            house.context, incident.id, ActionRequest(action="acknowledge", user="bob", via="web")
        )


async def test_a_contact_that_the_file_cannot_reach_gives_way_at_once_and_the_log_says_so(
    house_of: Build, caplog: pytest.LogCaptureFixture
) -> None:
    users = {
        "ann": User(name="ann", contacts={"email": "ann@example.org", "console": "ann"}),
        "bob": User(name="bob", contacts={"telegram": "2"}),
    }
    steps = (NotifyStep(users=("bob",)), Wait(seconds=600), NotifyStep(users=("ann",)))
    house = await house_of(config(plan(*steps), users=users, global_=Global()))
    await house.post("/webhook/am", webhook(firing()))
    await soon(lambda: [address for address, _ in house.chat.sent] == ["ann"])
    [incident] = await house.incidents("triggered")
    said = await house.timeline(incident)
    for line in (
        "telegram to bob: not sent, global has no telegram_bot_token.",
        "bob cannot be reached over any contact.",
        "email to ann: not sent, global has no smtp_smarthost, smtp_from.",
    ):
        assert said.count(line) == 1
    for channel in ("telegram to bob", "email to ann"):
        assert f"{channel}: not sent, global has no" in caplog.text


async def test_equal_routes_with_one_receiver_tell_twice_as_alertmanagers_do(
    house_of: Build,
) -> None:
    plain = config()
    child = msgspec.structs.replace(
        plain.route, key='{}/{team="a"}', matchers=(parse_matcher('team="a"'),), continue_=True
    )
    twins = (child, msgspec.structs.replace(child, twin=1, group_wait=0.1))
    house = await house_of(
        msgspec.structs.replace(plain, route=msgspec.structs.replace(plain.route, routes=twins))
    )
    await house.post("/api/v2/alerts", [{"labels": {"alertname": "Disk", "team": "a"}}])
    await soon(lambda: len(house.chat.sent) == 2)
    found = await house.incidents("triggered")
    assert len({incident.group for incident in found}) == 2
    assert {incident.group_key for incident in found} == {'{}/{team="a"}:{alertname="Disk"}'}
    past = "2026-01-01T00:00:00Z"
    over = {"labels": {"alertname": "Disk", "team": "a"}, "startsAt": past, "endsAt": past}
    await house.post("/api/v2/alerts", [over])
    await soon(lambda: house.incidents("resolved"))
