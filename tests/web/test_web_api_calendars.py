"""Calendars over the API: the secret addresses of ours, and what became of those that schedules come from."""

from __future__ import annotations

import re

import pytest

from amproxy.calendars.fetch import calendar_sources
from amproxy.clock import utc
from amproxy.config.structs import Ical, Schedule
from amproxy.oncall.calendars import Calendar, CalendarEvent, CalendarEventText, ScheduleCalendars
from amproxy.secret import Secret
from amproxy.store import calendars
from amproxy.text import phrase
from tests.support.web.website import NOW, Site

SCHEDULE, PERSON = "/api/v1/schedules/platform/calendar", "/api/v1/users/alice/calendar"
OURS = "https://oncall.example.org"


async def made(site: Site, path: str) -> str:
    """The path of a calendar of ours."""
    answer = await site.client.post(path)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["url"]).removeprefix(OURS)


async def test_a_schedule_and_a_person_have_one_secret_address_each(site: Site) -> None:
    first, again, person = (
        await site.client.post(SCHEDULE),
        await site.client.post(SCHEDULE),
        await site.client.post(PERSON),
    )
    assert (first.status_code, again.status_code, person.status_code) == (201, 200, 201)
    assert first.json() == again.json() != person.json()
    assert re.fullmatch(rf"{OURS}/calendar/[\w-]{{32}}\.ics", first.json()["url"])


async def test_whoever_knows_the_address_reads_the_shifts(site: Site) -> None:
    answer = await site.client.get(await made(site, SCHEDULE))
    assert (
        answer.status_code == 200
        and answer.headers["content-type"] == "text/calendar; charset=utf-8"
    )
    assert (
        "SUMMARY:Alice Ash on call for platform\r\n" in answer.text
        and "SUMMARY:bob on call for platform\r\n" in answer.text
    )
    of_alice = await site.client.get(await made(site, PERSON))
    assert (
        "SUMMARY:Alice Ash on call for platform\r\n" in of_alice.text and "bob" not in of_alice.text
    )


async def test_a_reader_that_comes_back_is_told_that_nothing_has_changed(site: Site) -> None:
    path = await made(site, SCHEDULE)
    etag = (await site.client.get(path)).headers["etag"]
    for known in (etag, f'"other", W/{etag}'):
        same = await site.client.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    await site.client.post(
        "/api/v1/schedules/platform/overrides",
        json={"user": "bob", "start": "2026-01-06T12:00", "end": "2026-01-06T13:00"},
    )
    assert (await site.client.get(path, headers={"If-None-Match": etag})).status_code == 200


async def test_a_revoked_address_shows_nothing_and_the_next_one_is_another(site: Site) -> None:
    path = await made(site, SCHEDULE)
    assert (await site.client.delete(SCHEDULE)).status_code == 204
    assert (await site.client.get(path)).status_code == 404
    assert (await site.client.delete(SCHEDULE)).status_code == 404
    assert await made(site, SCHEDULE) != path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/calendar/x.ics"),
        ("GET", f"/calendar/{'x' * 5000}.ics"),
        ("GET", "/calendar/%00.ics"),
        ("GET", "/calendar/.ics"),
        ("POST", "/api/v1/schedules/nowhere/calendar"),
        ("POST", "/api/v1/users/nobody/calendar"),
        ("DELETE", "/api/v1/users/alice/calendar"),
        ("GET", "/api/v1/schedules/nowhere/ical"),
    ],
)
async def test_what_is_not_there_is_not_found(site: Site, method: str, path: str) -> None:
    answer = await site.client.request(method, path)
    assert answer.status_code == 404


async def test_another_site_may_not_make_an_address(site: Site) -> None:
    assert (
        await site.client.post(SCHEDULE, headers={"Sec-Fetch-Site": "cross-site"})
    ).status_code == 403


@pytest.mark.own_redis
async def test_without_redis_there_is_no_calendar_and_it_is_said(site: Site) -> None:
    path = await made(site, SCHEDULE)
    site.redis.kill()
    assert (await site.client.get(path)).status_code == 503


async def test_the_api_says_what_became_of_a_schedules_calendars_and_which_events_name_nobody(
    site: Site,
) -> None:
    ical = Ical(
        url=Secret("https://calendar.example.org/secret"), overrides_file="/tmp/overrides.ics"
    )
    config = site.context.config
    site.context.use_config(
        config.__class__(
            route=config.route, users=config.users, schedules={"db": Schedule(name="db", ical=ical)}
        )
    )
    primary, _ = calendar_sources(site.context.config)
    await calendars.save_text(
        site.context.wire, primary.id, b"x", etag="", modified="", now=NOW - 60
    )
    error = phrase("failure.status", service=primary.title, status=500)
    await calendars.save_error(site.context.wire, primary.id, error, NOW)
    day = utc(NOW + 86400)
    party = Calendar(
        start=utc(0),
        end=utc(2 * NOW),
        texts=(CalendarEventText(summary="party"),),
        events=(CalendarEvent(day, utc(NOW + 2 * 86400), 0),),
    )
    site.context.use_calendars({"db": ScheduleCalendars(party)})
    answer = await site.client.get("/api/v1/schedules/db/ical")
    assert answer.json() == {
        "schedule": "db",
        "calendars": [
            {
                "calendar": "calendar",
                "loaded": True,
                "good_at": "2026-01-06T09:59:00.000Z",
                "checked_at": "2026-01-06T10:00:00.000Z",
                "error": "the calendar of schedule db: 500",
                "error_code": "failure.status",
                "error_arguments": {
                    "service": {"code": "failure.calendar", "arguments": {"schedule": "db"}},
                    "status": 500,
                },
                "trouble": "unreadable",
            },
            {
                "calendar": "overrides calendar",
                "loaded": False,
                "good_at": None,
                "checked_at": None,
                "error": None,
                "error_code": None,
                "error_arguments": None,
                "trouble": None,
            },
        ],
        "problems": [],
        "empty_shifts": [
            {
                "start": "2026-01-07T10:00:00.000Z",
                "end": "2026-01-08T10:00:00.000Z",
                "summary": "party",
                "calendar": "calendar",
                "problem": None,
                "problem_code": None,
                "problem_arguments": None,
            }
        ],
    }
    assert "secret" not in answer.text
    page = await site.client.get("/")
    assert "The calendar of db cannot be read: the calendar of schedule db: 500" in page.text
    russian = await site.client.get("/", headers={"Accept-Language": "ru"})
    said = "Календарь расписания db не читается: календарь расписания db: ответ 500"
    assert said in russian.text
    old = "the calendar of schedule db: 404"  # as an earlier version stored it
    await calendars.save_error(site.context.wire, primary.id, old, NOW)
    [shown, _] = (await site.client.get("/api/v1/schedules/db/ical")).json()["calendars"]
    assert (shown["error"], shown["error_code"]) == (old, None)
    assert (
        'amproxy_calendar_age_seconds{schedule="db"} 60.0'
        in (await site.client.get("/metrics")).text
    )
