"""Our own calendars: what others read in them is what the roster says, and reading them anew changes nothing that has not changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.calendars.export import export_calendar
from amproxy.calendars.fetch import calendar_period
from amproxy.calendars.parse import parse_calendar
from amproxy.config.structs import Config, Ical, Layer, Override, Rotation, Route, Schedule, User
from amproxy.oncall.calendars import ScheduleCalendars
from amproxy.oncall.roster import Roster, Shift
from amproxy.store.calendars import Feed
from tests.support.calendars.icals import USERS, utc, wall

NOW = utc("2026-03-04T15:30")
DAY = timedelta(days=1)
WEEKLY = Layer(
    name="weekly",
    users=(("alice",), ("bob", "carol"), ("ann",)),
    rotation=Rotation(every="1w", seconds=604800, months=0, start=wall("2026-01-05T09:00")),
)


def config_of(
    *layers: Layer, users: dict[str, User] | None = None, name: str = "platform", **more: object
) -> Config:
    schedule = Schedule(**{"name": name, "timezone": "Europe/Berlin", "layers": layers, **more})
    return Config(
        route=Route(receiver="default", key="{}"), users=users or USERS, schedules={name: schedule}
    )


PLATFORM = Feed("schedule", "platform")


async def export(
    config: Config, feed: Feed = PLATFORM, now: datetime = NOW, by_hand: tuple[Override, ...] = ()
) -> bytes:
    who = Roster(config, {"platform": by_hand})

    async def shifts(schedule: str, start: datetime, end: datetime) -> list[Shift]:
        return who.shifts(schedule, start, end)

    body = await export_calendar(config, feed, shifts, now)
    assert body is not None
    return body


def people(
    who: Roster, schedule: str, start: datetime, end: datetime
) -> list[tuple[datetime, datetime, set[str]]]:
    """Who is on call when, neighbours with the same people joined, without gaps."""
    joined: list[tuple[datetime, datetime, set[str]]] = []
    for shift in who.shifts(schedule, start, end):
        if joined and joined[-1][1:] == (shift.start, set(shift.users)):
            joined[-1] = (joined[-1][0], shift.end, joined[-1][2])
        elif shift.users:
            joined.append((shift.start, shift.end, set(shift.users)))
    return joined


def imported(body: bytes, config: Config, name: str, now: datetime = NOW) -> Roster:
    """What another amproxy with the same people makes of a calendar."""
    theirs = config_of(users=config.users, name=name, ical=Ical(file="x.ics"), layers=())
    return Roster(
        theirs,
        calendars={
            name: ScheduleCalendars(parse_calendar(body, ZoneInfo("UTC"), *calendar_period(now)))
        },
    )


def uids(body: bytes) -> dict[str, tuple[datetime, datetime, str]]:
    calendar = icalendar.Calendar.from_ical(body)
    return {
        str(e["UID"]): (e["DTSTART"].dt, e["DTEND"].dt, str(e["SUMMARY"]))
        for e in calendar.walk("VEVENT")
    }


async def test_a_schedules_calendar_is_one_that_other_programs_read() -> None:
    name = "plät, form; \r\n\x85END:VCALENDAR\\" * 9
    body = await export(config_of(WEEKLY, name=name), Feed("schedule", name))
    lines = body.split(b"\r\n")
    assert (
        lines[0] == b"BEGIN:VCALENDAR"
        and lines[-2:] == [b"END:VCALENDAR", b""]
        and b"\n" not in b"".join(lines)
    )
    assert all(len(line) <= 75 for line in lines)
    calendar = icalendar.Calendar.from_ical(body)
    assert str(calendar["X-WR-CALNAME"]) == "plät\\, form\\;    END:VCALENDAR\\\\" * 9 + " on call"
    assert (
        str(calendar.walk("VEVENT")[0]["SUMMARY"])
        == "Alice Ash on call for " + "plät, form;    END:VCALENDAR\\" * 9
    )
    assert (
        b"REFRESH-INTERVAL;VALUE=DURATION:PT1H" in lines
        and b"X-PUBLISHED-TTL:PT1H" in lines
        and calendar["PRODID"]
    )
    for event in calendar.walk("VEVENT"):
        assert {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY"} <= set(event)
        assert all(
            event[name].dt.tzinfo == ZoneInfo("UTC") for name in ("DTSTAMP", "DTSTART", "DTEND")
        )


async def test_shifts_from_fifteen_days_back_to_half_a_year_ahead_are_whole() -> None:
    found = sorted(uids(await export(config_of(WEEKLY))).values())
    assert found[0] == (
        utc("2026-02-16T08:00"),
        utc("2026-02-23T08:00"),
        "Alice Ash on call for platform",
    )
    assert found[1][2] == "Bob Birch and Cedar, Carol on call for platform"
    assert found[-1][:2] == (utc("2026-08-24T07:00"), utc("2026-08-31T07:00"))


async def test_a_persons_calendar_has_that_persons_shifts_alone() -> None:
    found = sorted(uids(await export(config_of(WEEKLY), Feed("user", "bob"))).values())
    assert {summary for _, _, summary in found} == {"Bob Birch on call for platform"}
    assert [start for start, _, _ in found[:2]] == [
        utc("2026-02-23T08:00"),
        utc("2026-03-16T08:00"),
    ]


async def test_the_same_shift_keeps_its_uid_from_day_to_day_and_when_somebody_takes_it_over() -> (
    None
):
    today, later = (
        await export(config_of(WEEKLY)),
        await export(config_of(WEEKLY), now=NOW + 9 * DAY),
    )
    shared = uids(today).keys() & uids(later).keys()
    assert len(shared) == len(uids(today)) - 1
    assert all(uids(today)[uid] == uids(later)[uid] for uid in shared)
    whole_turn = Override(
        users=("ann",), start=utc("2026-03-09T08:00"), end=utc("2026-03-16T08:00"), id="x"
    )
    overridden = uids(await export(config_of(WEEKLY), by_hand=(whole_turn,)))
    assert overridden.keys() == uids(today).keys()
    assert len({uid for uid in overridden if overridden[uid] != uids(today)[uid]}) == 1


async def test_a_shift_without_beginning_keeps_its_uid_too() -> None:
    always = config_of(Layer(name="all", users=(("alice",),)))
    [(uid, first)], [(again, second)] = [
        uids(await export(always, now=NOW + n * DAY)).items() for n in (0, 1)
    ]
    assert uid == again and first[0] < NOW < first[1] and second[1] - first[1] == DAY


async def test_the_calendar_is_the_same_all_day() -> None:
    assert await export(config_of(WEEKLY)) == await export(
        config_of(WEEKLY), now=NOW + timedelta(hours=8)
    )


async def test_of_somebody_who_is_not_in_the_file_any_more_there_is_no_calendar() -> None:
    async def none(schedule: str, start: datetime, end: datetime) -> list[Shift]:
        return []

    assert await export_calendar(config_of(WEEKLY), Feed("user", "zed"), none, NOW) is None
    assert await export_calendar(config_of(WEEKLY), Feed("schedule", "zed"), none, NOW) is None


async def test_names_that_would_be_misunderstood_are_written_so_that_they_are_not() -> None:
    users = {
        "ann": User(name="ann", full_name="Kim"),
        "kim": User(name="kim", full_name="Kim"),
        "x": User(name="x", full_name="on call"),
        "for platform": User(name="for platform"),
    }
    layer = Layer(
        name="w",
        users=(("ann",), ("kim",), ("x",), ("for platform", "ann")),
        rotation=WEEKLY.rotation,
    )
    config = config_of(layer, users=users, name="x, kim")
    body = await export(config, Feed("schedule", "x, kim"))
    theirs, span = imported(body, config, "x, kim"), (NOW, NOW + 100 * DAY)
    assert people(theirs, "x, kim", *span) == people(Roster(config), "x, kim", *span)


SPANS = st.tuples(
    st.integers(-20 * 24, 170 * 24), st.integers(1, 400), st.sampled_from(sorted(USERS))
)


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.sampled_from(sorted(USERS)), min_size=1, max_size=3, unique=True),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([12 * 3600, 86400, 604800]),
    st.lists(SPANS, max_size=4),
)
async def test_what_is_exported_is_imported_as_the_same_shifts(
    turns: list[list[str]], seconds: int, overrides: list[tuple[int, int, str]]
) -> None:
    rotation = Rotation(every="x", seconds=seconds, months=0, start=wall("2026-03-01T09:00"))
    config = config_of(Layer(name="l", users=tuple(map(tuple, turns)), rotation=rotation))
    by_hand = tuple(
        Override(
            users=(who,),
            start=NOW + timedelta(hours=start),
            end=NOW + timedelta(hours=start + hours),
            id=str(start),
        )
        for start, hours, who in overrides
    )
    theirs = imported(await export(config, by_hand=by_hand), config, "platform")
    span = NOW - 14 * DAY, NOW + 179 * DAY
    assert people(theirs, "platform", *span) == people(
        Roster(config, {"platform": by_hand}), "platform", *span
    )
