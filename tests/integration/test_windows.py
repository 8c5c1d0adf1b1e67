"""Maintenance windows: nobody hears of what is expected, and what still fires at the end is told then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from amproxy.config.structs import (
    Config,
    Integration,
    Maintenance,
    NotifyStep,
    OncallSettings,
    Receiver,
    Route,
)
from amproxy.correlate import muting as correlate_maintenance
from amproxy.correlate import muting as correlate_muting
from amproxy.correlate.flusher import flush_group
from amproxy.correlate.muting import load_muting_reasons
from amproxy.labels.intervals import parse_time_interval
from amproxy.labels.matchers import parse_matcher
from amproxy.model import MAX_SUPPRESSED, Silence
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.respond import muting as respond_muting
from amproxy.store import groups, muting
from amproxy.store.commit import Operations, commit
from amproxy.store.groups import load_groups
from amproxy.store.leases import Timer
from tests.support.integration.house import House, config, plan
from tests.support.integration.stepping import Stepping, stepping
from tests.support.waiting import soon
from tests.support.words import said

Build = Callable[[Config], Awaitable[House]]
HOUR = 3600.0
DISK = {"labels": {"alertname": "Disk", "host": "db1"}}


class Clock:
    """Real time that can be put forward; the house that goes by it is told."""

    def __init__(self, house: House) -> None:
        self.house, self.ahead = house, 0.0
        house.context.now = lambda: time.time() + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += seconds
        self.house.context.wake(timers=True)


def slow(**more: Any) -> Config:
    """Groups that are flushed once, and then not for a day: what comes earlier was brought forward. A webhook beside the pages."""
    route = Route(
        receiver="oncall",
        key="{}",
        group_by=("alertname",),
        group_by_given=True,
        group_wait=0.05,
        group_interval=86400,
        repeat_interval=30 * 86400,
    )
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
    return config(
        plan(NotifyStep(users=("ann",))), route=route, receivers={"oncall": receiver}, **more
    )


def window(
    house: House | None = None, *, starts: float = -60, lasts: float = HOUR, **values: Any
) -> Maintenance:
    now = datetime.fromtimestamp(house.context.now() if house else time.time(), UTC)
    start = now + timedelta(seconds=starts)
    defaults = {"name": "upgrade", "matchers": (parse_matcher('alertname="Disk"'),), "start": start}
    return Maintenance(**{**defaults, "end": start + timedelta(seconds=lasts), **values})


async def flushed(house: House, name: str) -> None:
    """Wait until the group of an alert has been flushed once."""

    async def once() -> bool:
        return any(
            loaded.version and loaded.group.labels == {"alertname": name}
            for loaded in await load_groups(house.context.wire)
        )

    await soon(once)


async def silenced(house: House, matcher: str, *, lasts: float = HOUR) -> None:
    now_ns = int(house.context.now() * 10**9)
    made = Silence(
        id="s1",
        matcher_sets=[[parse_matcher(matcher)]],
        starts_ns=0,
        ends_ns=now_ns + int(lasts * 10**9),
        created_by="ann",
    )
    operations = Operations()
    muting.save_silences(operations, made)
    assert await commit(house.context.wire, operations)


async def resolve(house: House, name: str) -> None:
    past = "2026-01-01T00:00:00Z"
    status, _ = await house.post(
        "/api/v2/alerts",
        [{"labels": {"alertname": name, "host": "db1"}, "startsAt": past, "endsAt": past}],
    )
    assert status == 200


def lasting(house: House, **labels: str) -> list[dict[str, Any]]:
    """An alert that fires for a week."""
    end = datetime.fromtimestamp(house.context.now() + 7 * 86400, UTC)
    return [{"labels": {"host": "db1", **labels}, "endsAt": end.isoformat()}]


async def test_an_expected_alert_pages_nobody_and_what_still_fires_at_the_end_is_told_then(
    house_of: Build,
) -> None:
    house = await house_of(slow(maintenance={"upgrade": window()}))
    clock = Clock(house)
    await correlate_maintenance.schedule_window_timers(house.context)
    await house.post(
        "/api/v2/alerts", [*lasting(house, alertname="Disk"), *lasting(house, alertname="Loud")]
    )
    await flushed(house, "Disk")
    await soon(lambda: house.chat.sent and house.hook.sent)
    assert {card.title for _, card in (*house.chat.sent, *house.hook.sent)} == {"Loud"}
    clock.forward(HOUR)
    await soon(lambda: len(house.chat.sent) == 2 and len(house.hook.sent) == 2)
    assert "Disk" in house.chat.sent[1][1].title
    assert {incident.title for incident in await house.incidents("triggered")} == {"Disk", "Loud"}


async def test_what_ends_within_the_window_is_never_told(house_of: Build) -> None:
    house = await house_of(slow(maintenance={"upgrade": window()}))
    clock = Clock(house)
    await correlate_maintenance.schedule_window_timers(house.context)
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk"))
    await flushed(house, "Disk")
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk", part="second"))
    await resolve(house, "Disk")
    clock.forward(HOUR)
    await soon(lambda: house.hook.sent and house.chat.sent)
    [(_, card)] = house.hook.sent
    assert [alert.labels.get("part") for alert in card.alerts] == ["second"]
    assert [incident.firing for incident in await house.incidents()] == [1]


async def test_a_window_made_by_hand_in_the_future_opens_then_and_ends_at_once_when_a_person_ends_it(
    house_of: Build,
) -> None:
    house = await house_of(slow())
    clock = Clock(house)
    made = await respond_muting.create_window(
        house.context,
        window(house, starts=HOUR, lasts=10 * HOUR, comment="new disk", created_by="ann"),
    )
    clock.forward(2 * HOUR)
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk"))
    await flushed(house, "Disk")
    [loaded] = await load_groups(house.context.wire)
    [why] = (
        await load_muting_reasons(house.context, loaded.alerts, int(house.context.now() * 10**9))
    )[loaded.alerts[0].fingerprint]
    assert said(why).startswith("maintenance upgrade until 20") and said(why).endswith(
        f" UTC: new disk (window {made.id})"
    )
    assert not house.chat.sent
    await respond_muting.end_window(house.context, made.id)
    await soon(lambda: house.chat.sent)


async def test_a_window_flushes_a_group_only_when_it_ceases_to_be_open(redis_url: str) -> None:
    at = 1_767_600_000.0
    windows: list[Maintenance] = []

    def planned(starts: float, **values: Any) -> Maintenance:
        start = datetime.fromtimestamp(at + starts, UTC)
        return window(start=start, end=start + timedelta(hours=9), **values)

    async def make(service: Stepping, starts: float) -> None:
        windows.append(await respond_muting.create_window(service.context, planned(starts)))

    async def move(service: Stepping, starts: float) -> None:
        moved = planned(starts, id=windows[0].id)
        await respond_muting.change_window(service.context, moved.id, lambda old: moved)

    async def cancel(service: Stepping) -> None:
        await respond_muting.end_window(service.context, windows[1].id)

    async def live(service: Stepping) -> None:
        def push(name: str) -> Awaitable[None]:
            return service.push({"alertname": "Disk", "part": name}, at + 7 * 86400)

        hook = service.channels["webhook"]
        await service.until(
            at + 4 * HOUR,  # when the first window, moved, is open
            (at, partial(push, "first")),
            (at + 10, partial(make, service, HOUR)),
            (at + 20, partial(make, service, 2 * HOUR)),
            (at + 30, partial(push, "second")),
            (at + 40, partial(move, service, 3 * HOUR)),
            (at + 50, partial(cancel, service)),
        )
        assert [len(card.alerts) for _, card in hook.sent] == [1], "before group_interval was over"
        await service.until(at + 5 * HOUR, (at + 4 * HOUR, partial(move, service, 6 * HOUR)))
        assert [len(card.alerts) for _, card in hook.sent] == [1, 2], "nothing mutes it any more"

    await stepping(redis_url, slow(), at, live)


async def test_a_recurring_window_tells_at_the_end_of_each_opening_and_a_prolonged_one_at_its_new_end(
    house_of: Build,
) -> None:
    now = datetime.fromtimestamp(time.time(), UTC)
    start = f"{now - timedelta(minutes=1):%H:%M}"
    end = now + timedelta(hours=1)
    if end.date() != now.date():  # a range does not cross midnight
        start, end = "00:00", now.replace(hour=23, minute=59)
    daily = parse_time_interval(
        "daily", [{"times": [{"start_time": start, "end_time": f"{end:%H:%M}"}]}]
    )
    recurring = window(start=None, end=None, active_time_intervals=("daily",))
    house = await house_of(
        slow(maintenance={"upgrade": recurring}, time_intervals={"daily": daily})
    )
    clock = Clock(house)
    await correlate_maintenance.schedule_window_timers(house.context)
    made = await respond_muting.create_window(house.context, window(house, lasts=HOUR))
    await respond_muting.extend_window(house.context, made.id, by=timedelta(hours=3))
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk"))
    await flushed(house, "Disk")
    clock.forward((end - now).total_seconds() + 60)
    timer = Timer(
        "flush", (await groups.load_group_ids(house.context.wire))[0], house.context.now()
    )
    await flush_group(house.context, timer)
    assert not house.chat.sent, "the window made by hand goes on"
    clock.forward(4 * HOUR)
    await soon(lambda: house.chat.sent)


async def test_a_window_that_ended_while_nobody_worked_is_made_up_for(house_of: Build) -> None:
    wanted = slow(maintenance={"upgrade": window()})
    house = await house_of(wanted)
    clock = Clock(house)
    await correlate_maintenance.schedule_window_timers(house.context)
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk"))
    await flushed(house, "Disk")
    await house.stop()
    clock.forward(2 * HOUR)
    await correlate_maintenance.schedule_window_timers(
        house.context
    )  # a start after the end must not put the timer off
    house.start()
    await soon(lambda: house.chat.sent)


async def test_what_a_window_and_a_silence_hid_is_written_once_and_told_after_the_end(
    house_of: Build,
) -> None:
    house = await house_of(slow(maintenance={"upgrade": window()}))
    clock = Clock(house)
    await correlate_maintenance.schedule_window_timers(house.context)
    await silenced(house, 'host="db1"', lasts=2 * HOUR)
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk"))
    await flushed(house, "Disk")
    [by_window] = await muting.load_suppressed(house.context.wire, "maintenance:upgrade")
    [by_silence] = await muting.load_suppressed(house.context.wire, "silence:s1")
    assert by_window.labels == by_silence.labels == DISK["labels"]
    assert (by_window.receiver, by_window.told) == ("oncall", None)
    [loaded] = await load_groups(house.context.wire)
    for ahead in (60.0, 60.0):
        clock.forward(ahead)
        await flush_group(house.context, Timer("flush", loaded.group.id, house.context.now()))
    assert await muting.load_suppressed(house.context.wire, "silence:s1") == [by_silence], (
        "nothing has changed, so nothing is written"
    )
    clock.forward(HOUR)  # the window ends, the silence goes on
    await soon(lambda: _following(house, "maintenance:upgrade"))
    assert not house.chat.sent
    clock.forward(HOUR)
    await flush_group(house.context, Timer("flush", loaded.group.id, house.context.now()))
    await soon(lambda: house.chat.sent)
    for by in ("maintenance:upgrade", "silence:s1"):
        [told] = await muting.load_suppressed(house.context.wire, by)
        assert told.told is not None and told.first == by_window.first
        assert await muting.check_firing(
            house.context.wire, [told], int(house.context.now() * 10**9)
        ) == [True]
    [after] = await load_groups(house.context.wire)
    assert after.following is None


async def _following(house: House, by: str) -> bool:
    [loaded] = await load_groups(house.context.wire)
    return loaded.following is not None and all(
        by in causes for causes in loaded.following.by.values()
    )


async def test_the_record_of_a_window_is_bounded(house_of: Build) -> None:
    house = await house_of(slow(maintenance={"upgrade": window()}))
    Clock(house)
    for first in (0, 700):
        alerts = [
            alert
            for i in range(first, first + 700)
            for alert in lasting(house, alertname="Disk", number=str(i))
        ]
        await house.post("/api/v2/alerts", alerts)
        await flushed(house, "Disk")
        [loaded] = await load_groups(house.context.wire)
        await flush_group(house.context, Timer("flush", loaded.group.id, house.context.now()))
    assert (
        len(await muting.load_suppressed(house.context.wire, "maintenance:upgrade"))
        == MAX_SUPPRESSED
    )


async def test_an_incident_is_held_while_all_that_fires_of_it_is_muted(house_of: Build) -> None:
    house = await house_of(config())
    Clock(house)
    await house.post(
        "/api/v2/alerts",
        [*lasting(house, alertname="Disk"), *lasting(house, alertname="Disk", part="second")],
    )
    [incident] = await soon(lambda: house.incidents("triggered"))
    assert await correlate_muting.find_hold(house.context, incident) is None
    await silenced(house, 'part="second"')
    assert await correlate_muting.find_hold(house.context, incident) is None, (
        "one of its alerts still counts"
    )
    await respond_muting.create_window(
        house.context, window(house, matchers=(parse_matcher('part=""'),), lasts=90)
    )
    now = house.context.now()
    why, again = await correlate_muting.find_hold(house.context, incident) or ("", 0.0)
    assert "silenced by ann until" in said(why) and "maintenance upgrade until" in said(why)
    assert now + 25 < again <= now + 31, "the window ends in half a minute"


async def test_a_silence_that_may_be_deleted_is_looked_at_again_within_a_minute(
    house_of: Build,
) -> None:
    house = await house_of(config())
    await house.post("/api/v2/alerts", lasting(house, alertname="Disk"))
    [incident] = await soon(lambda: house.incidents("triggered"))
    await silenced(house, 'alertname="Disk"')
    _, again = await correlate_muting.find_hold(house.context, incident) or ("", 0.0)
    assert 50 < again - house.context.now() <= 60
    await resolve(house, "Disk")
    assert await correlate_muting.find_hold(house.context, incident) is None, "nothing of it fires"
