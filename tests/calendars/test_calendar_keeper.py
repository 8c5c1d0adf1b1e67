"""Calendars are fetched by one process, kept in Redis, and count in all of them; what is broken changes nothing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest

from amproxy import metrics
from amproxy.calendars.fetch import CalendarSource, calendar_sources
from amproxy.calendars.keeper import calendar_ages
from amproxy.calendars.trouble import load_troubles
from amproxy.config.structs import Ical, Schedule
from amproxy.model import OutgoingMessage
from amproxy.secret import Secret
from amproxy.store import calendars, keys
from amproxy.store.calendars import StoredCalendar
from tests.support.calendars.icals import ics, utc
from tests.support.calendars.replicas import NOW, Replica, Replicas, config_of
from tests.support.standins.calendar import CalendarServer
from tests.support.standins.serving import Response
from tests.support.waiting import soon
from tests.support.words import said

ALICE = ics("SUMMARY:alice|DTSTART:20260302T000000Z|DURATION:P7D")
BOB = ics("SUMMARY:bob|DTSTART:20260302T000000Z|DURATION:P7D")
WEDNESDAY = "2026-03-04T12:00"
NOON = f"SUMMARY:alice|DTSTART:{WEDNESDAY.replace('-', '').replace(':', '')}00|DURATION:PT1H"


def by_url(server: CalendarServer, path: str = "/secret-path", **more: object) -> Ical:
    return Ical(**{"url": Secret(server.url(path)), "refresh": 0.6, **more})


async def test_one_replica_fetches_and_all_take_up_each_new_text(
    replica_of: Replicas, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/secret-path"] = ALICE
    config = config_of(by_url(calendar_server))
    first, second = await replica_of(config), await replica_of(config)
    await soon(lambda: first.on_call(WEDNESDAY) == second.on_call(WEDNESDAY) == ("alice",))
    for clock in (first.clock, second.clock):
        clock[0] += 1
    calendar_server.texts["/secret-path"] = BOB
    await soon(lambda: first.on_call(WEDNESDAY) == second.on_call(WEDNESDAY) == ("bob",))
    assert (
        len([1 for request in calendar_server.asked if "if-none-match" not in request.headers]) == 1
    )
    await asyncio.sleep(1.2)  # the clock stands still: nothing is due
    assert len(calendar_server.asked) == 2


async def test_nothing_bad_takes_the_place_of_what_was_good(
    replica_of: Replicas, calendar_server: CalendarServer, caplog: pytest.LogCaptureFixture
) -> None:
    calendar_server.texts["/secret-path"] = ALICE
    replica = await replica_of(config_of(by_url(calendar_server)))
    await soon(lambda: replica.on_call(WEDNESDAY))
    source = next(calendar_sources(replica.context.config))

    async def looked_at(since: float) -> StoredCalendar | None:
        kept = await calendars.load_calendar(replica.context.wire, source.id)
        return kept if kept.checked_at >= since else None

    for answer, error in (
        (Response(500), "the calendar of schedule db: 500"),
        (
            Response(200, b"<html>Sign in</html>"),
            "the calendar of schedule db cannot be used: this is not a calendar",
        ),
        (Response(200, ALICE[:-20]), "cut off"),
        (
            Response(200, ics("SUMMARY:A|DTSTART:20260302T090000|RRULE:FREQ=SECONDLY")),
            "not secondly",
        ),
    ):
        calendar_server.answers["/secret-path"] = answer
        replica.clock[0] += 10
        kept = await soon(lambda: looked_at(replica.clock[0]))
        assert error in str(kept.error) and kept.good_at == NOW
        assert replica.on_call(WEDNESDAY) == ("alice",)
        assert (await calendar_ages(replica.context))["db"] == replica.clock[0] - NOW
    del calendar_server.answers["/secret-path"]
    replica.clock[0] += 10
    kept = await soon(lambda: looked_at(replica.clock[0]))
    assert (kept.error, kept.good_at) == ("", replica.clock[0])
    shown = (
        "\n".join(record.getMessage() for record in caplog.records)
        + generate_latest(metrics.registry).decode()
    )
    assert "secret-path" not in shown and str(calendar_server.url("")) not in shown
    for outcome, at_least in (("ok", 1), ("failed", 1), ("invalid", 3), ("not_modified", 1)):
        assert metrics.calendar_fetches.labels("db", outcome)._value.get() >= at_least


async def test_after_a_restart_without_network_the_stored_text_counts(
    replica_of: Replicas, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/secret-path"] = ALICE
    config = config_of(by_url(calendar_server))
    before = await replica_of(config)
    await soon(lambda: before.on_call(WEDNESDAY))
    await before.stop()
    calendar_server.answers["/secret-path"] = Response(drop=True)
    after = await replica_of(config, run=False)
    assert after.on_call(WEDNESDAY) == ("alice",)


async def test_schedules_with_the_same_address_share_its_text_each_on_its_own_clock(
    replica_of: Replicas, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/secret-path"] = ics(NOON)
    config = config_of(by_url(calendar_server), tokyo=by_url(calendar_server))
    config.schedules["tokyo"] = Schedule(
        name="tokyo", ical=config.schedules["tokyo"].ical, timezone="Asia/Tokyo"
    )
    replica = await replica_of(config)
    await soon(lambda: replica.on_call(WEDNESDAY) and replica.on_call("2026-03-04T03:00", "tokyo"))
    assert not replica.on_call("2026-03-04T03:00") and not replica.on_call(WEDNESDAY, "tokyo")
    assert len(calendar_server.asked) == 1


async def test_an_overrides_calendar_is_fetched_too(
    replica_of: Replicas, calendar_server: CalendarServer
) -> None:
    calendar_server.texts |= {
        "/secret-path": ALICE,
        "/overrides": ics("SUMMARY:bob|DTSTART:20260304T000000Z|DURATION:P1D"),
    }
    ical = by_url(calendar_server, overrides_url=Secret(calendar_server.url("/overrides")))
    replica = await replica_of(config_of(ical))
    await soon(
        lambda: (
            (replica.on_call(WEDNESDAY), replica.on_call("2026-03-05T12:00"))
            == (("bob",), ("alice",))
        )
    )


async def test_a_file_counts_at_once_and_again_when_it_has_changed(
    replica_of: Replicas, tmp_path: Path
) -> None:
    file = tmp_path / "db.ics"
    file.write_bytes(ALICE)
    replica = await replica_of(config_of(Ical(file=str(file), refresh=1.0)))
    assert replica.on_call(WEDNESDAY) == ("alice",)
    file.write_bytes(b"broken")
    replica.clock[0] += 2
    source = next(calendar_sources(replica.context.config))

    async def error() -> str:
        return str((await calendars.load_calendar(replica.context.wire, source.id)).error)

    assert "this is not a calendar" in await soon(error)
    assert replica.on_call(WEDNESDAY) == ("alice",)
    file.write_bytes(BOB)
    replica.clock[0] += 2
    await soon(lambda: replica.on_call(WEDNESDAY) == ("bob",))
    file.unlink()
    replica.clock[0] += 2
    assert "No such file" in await soon(error)
    assert replica.on_call(WEDNESDAY) == ("bob",)


async def test_the_time_that_is_worked_out_moves_on_with_the_clock(
    replica_of: Replicas, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/secret-path"] = ics(
        "SUMMARY:alice|DTSTART;VALUE=DATE:20260101|RRULE:FREQ=DAILY"
    )
    replica = await replica_of(config_of(by_url(calendar_server)))
    await soon(lambda: replica.on_call(WEDNESDAY))
    assert not replica.on_call("2029-01-01T00:00")
    replica.clock[0] += 400 * 86400
    await soon(lambda: replica.on_call("2029-01-01T00:00"))


async def test_a_calendar_that_the_file_does_not_name_any_more_is_let_go(
    replica_of: Replicas, tmp_path: Path
) -> None:
    (tmp_path / "a.ics").write_bytes(ALICE)
    (tmp_path / "b.ics").write_bytes(BOB)
    replica = await replica_of(config_of(Ical(file=str(tmp_path / "a.ics"))))
    replica.context.use_config(config_of(Ical(file=str(tmp_path / "b.ics"))))
    await replica.keeper.load()
    assert replica.on_call(WEDNESDAY) == ("bob",)
    replica.context.use_config(config_of(Ical(file=str(tmp_path / "not-there.ics"))))
    await replica.keeper.load()
    assert (
        said(replica.context.roster.on_call("db", utc(WEDNESDAY)).reason)
        == "nobody: calendar not loaded"
    )


async def test_an_error_that_stays_is_logged_once(
    replica_of: Replicas, calendar_server: CalendarServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "amproxy.calendars.keeper"):
        replica = await replica_of(config_of(by_url(calendar_server)))
        source = next(calendar_sources(replica.context.config))

        async def failures() -> int:
            return (await calendars.load_calendar(replica.context.wire, source.id)).failures

        async def twice() -> bool:
            return await failures() == 2

        await soon(failures)  # stored, so that the clock moves on after it
        replica.clock[0] += 10
        await soon(twice)
    assert len(calendar_server.asked) == 2
    assert [record.getMessage() for record in caplog.records] == [
        'calendar not loaded schedule=db error="the calendar of schedule db: 404"'
    ]


async def told(replica: Replica) -> list[tuple[str, str, str]]:
    """The notices in the outbox: whom, over which channel, about what."""
    entries = await replica.context.wire.call("XRANGE", keys.OUTBOX, "-", "+")
    decode = msgspec.msgpack.Decoder(OutgoingMessage).decode
    messages = [decode(fields[1]) for _, fields in entries]
    return sorted((one.user, one.channel, str(one.subject)) for one in messages)


async def test_a_calendar_that_stays_broken_is_told_to_its_people_once_and_when_it_is_well_again(
    replica_of: Replicas, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/secret-path"] = ics(f"{NOON}|RRULE:FREQ=DAILY")
    config = config_of(by_url(calendar_server))
    first, second = await replica_of(config), await replica_of(config)
    await soon(lambda: first.on_call(WEDNESDAY) and second.on_call(WEDNESDAY))
    source = next(calendar_sources(config))

    async def checked(failures: int, since: float) -> bool:
        kept = await calendars.load_calendar(first.context.wire, source.id)
        return kept.failures == failures and kept.checked_at >= since

    async def go_on(failures: int) -> None:
        for replica in (first, second):
            replica.clock[0] += 10
        await soon(lambda: checked(failures, first.clock[0]))

    await soon(lambda: load_people(first, source))
    calendar_server.answers["/secret-path"] = Response(503)
    for failures in (1, 2):
        await go_on(failures)
    troubles = await load_troubles(first.context)
    assert [(one.schedule, one.kind) for one in troubles] == [("db", "unreadable")]
    assert await told(first) == []
    await go_on(3)
    broken = ("alice", "console", "The calendar of db cannot be read")
    await soon(lambda: has_told(first, [broken]))
    await go_on(4)
    del calendar_server.answers["/secret-path"]
    await go_on(0)
    well = ("alice", "console", "The calendar of db is well again")
    await soon(lambda: has_told(first, [broken, well]))
    assert await load_troubles(first.context) == []


@pytest.mark.parametrize(
    ("text", "kind", "subject"),
    [
        (ics(), "empty", "The calendar of db is empty"),
        (
            ics(f"{NOON}|RRULE:FREQ=DAILY", "SUMMARY:bob|DTSTART:soon"),
            "events",
            "The calendar of db has an event that cannot be read",
        ),
    ],
)
async def test_a_calendar_that_is_emptied_or_spoilt_in_part_is_told_to_those_whom_it_named(
    replica_of: Replicas, calendar_server: CalendarServer, text: bytes, kind: str, subject: str
) -> None:
    calendar_server.texts["/secret-path"] = ics(f"{NOON}|RRULE:FREQ=DAILY")
    replica = await replica_of(config_of(by_url(calendar_server)))
    source = next(calendar_sources(replica.context.config))
    await soon(lambda: load_people(replica, source))
    calendar_server.texts["/secret-path"] = text
    replica.clock[0] += 10
    await soon(lambda: has_told(replica, [("alice", "console", subject)]))
    assert [one.kind for one in await load_troubles(replica.context)] == [kind]


async def load_people(replica: Replica, source: CalendarSource) -> bool:
    found = await calendars.load_told(replica.context.wire, source.id, "db")
    return found.people == ("alice",)


async def has_told(replica: Replica, wanted: list[tuple[str, str, str]]) -> bool:
    return await told(replica) == wanted
