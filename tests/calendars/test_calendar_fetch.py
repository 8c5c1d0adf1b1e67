"""One look at a calendar's address, against a real server that answers well, badly, late or too much."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from amproxy.calendars import fetch as fetching
from amproxy.calendars.fetch import FetchedCalendar, fetch_calendar
from amproxy.errors import BadCalendar, DeliveryError
from amproxy.notify.channels.http import HttpClients
from tests.support.calendars.icals import ics
from tests.support.standins.calendar import CalendarServer
from tests.support.standins.serving import Response

TEXT = ics("SUMMARY:alice|DTSTART:20260302T090000Z|DURATION:P7D")
WHO = "the calendar of schedule db"


@pytest.fixture
async def clients() -> AsyncIterator[HttpClients]:
    made = HttpClients()
    yield made
    await made.close()


async def test_a_text_comes_with_what_the_next_look_asks_with(
    clients: HttpClients, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/db.ics"] = TEXT
    first = await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"))
    assert isinstance(first, FetchedCalendar) and first.text == TEXT and first.etag
    assert (
        await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"), etag=first.etag) is None
    )
    calendar_server.texts["/db.ics"] = ics()
    again = await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"), etag=first.etag)
    assert again and again.text == ics()


async def test_a_server_with_dates_instead_of_tags_is_asked_with_its_date(
    clients: HttpClients, calendar_server: CalendarServer
) -> None:
    date = "Tue, 03 Mar 2026 09:00:00 GMT"
    calendar_server.answers["/db.ics"] = Response(200, TEXT, {"Last-Modified": date})
    found = await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"))
    assert found and found.modified == date
    calendar_server.answers["/db.ics"] = Response(304)
    assert await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"), modified=date) is None
    assert calendar_server.asked[-1].headers["if-modified-since"] == date


async def test_tags_and_dates_that_cannot_be_sent_back_are_forgotten(
    clients: HttpClients, calendar_server: CalendarServer
) -> None:
    calendar_server.answers["/db.ics"] = Response(
        200, TEXT, {"ETag": '"\u00e9"', "Last-Modified": "x" * 5000}
    )
    assert await fetch_calendar(clients, WHO, calendar_server.url("/db.ics")) == FetchedCalendar(
        TEXT, "", ""
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response(500, b"oops"), "the calendar of schedule db: 500"),
        (Response(404), "the calendar of schedule db: 404"),
        (Response(401), "the calendar of schedule db: 401"),
        (Response(304), "the calendar of schedule db: 304"),
        (Response(204), "the calendar of schedule db: 204"),
        (Response(drop=True), "the connection broke"),
        (Response(200, TEXT, missing=20), "the connection broke"),
        (Response(302), "does not lead to http"),
        (Response(302, headers={"Location": "file:///etc/passwd"}), "does not lead to http"),
        (Response(302, headers={"Location": "ftp://127.0.0.1/a"}), "does not lead to http"),
        (Response(302, headers={"Location": "http://["}), "not valid"),
        (Response(302, headers={"Location": "http://me:secret@127.0.0.1/"}), "holds a password"),
        (Response(302, headers={"Location": "/secret-path"}), "more than 3 redirects"),
    ],
)
async def test_what_is_no_calendar_is_a_failure_that_quotes_no_address(
    clients: HttpClients, calendar_server: CalendarServer, answer: Response, reason: str
) -> None:
    calendar_server.answers["/secret-path"] = answer
    with pytest.raises(DeliveryError) as failed:
        await fetch_calendar(clients, WHO, calendar_server.url("/secret-path"))
    assert reason in str(failed.value)
    assert "secret" not in str(failed.value) and "127.0.0.1" not in str(failed.value)


async def test_an_answer_that_does_not_come_in_time_is_a_failure(
    clients: HttpClients, calendar_server: CalendarServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FETCH_TIMEOUT", 0.3)
    calendar_server.slow.add("/db.ics")
    with pytest.raises(DeliveryError, match="no answer in time"):
        await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"))


async def test_too_large_a_calendar_is_refused(
    clients: HttpClients, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/db.ics"] = b"BEGIN:VCALENDAR\r\n" + b"X" * (11 << 20)
    with pytest.raises(BadCalendar, match="larger than 10 MiB"):
        await fetch_calendar(clients, WHO, calendar_server.url("/db.ics"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(
    clients: HttpClients, calendar_server: CalendarServer, status: int
) -> None:
    calendar_server.answers["/a"] = Response(status, headers={"Location": "b"})
    calendar_server.answers["/b"] = Response(
        status, headers={"Location": calendar_server.url("/c?key=1")}
    )
    calendar_server.answers["/c"] = Response(
        status, headers={"Location": "/db.ics", "Set-Cookie": "who=me"}
    )
    calendar_server.texts["/db.ics"] = TEXT
    found = await fetch_calendar(clients, WHO, calendar_server.url("/a"))
    assert found and found.text == TEXT
    assert [request.path for request in calendar_server.asked] == ["/a", "/b", "/c", "/db.ics"]
    assert "cookie" not in calendar_server.asked[-1].headers


async def test_a_password_of_the_address_is_sent_there_and_to_nobody_else(
    clients: HttpClients, calendar_server: CalendarServer
) -> None:
    calendar_server.texts["/db.ics"] = TEXT
    assert await fetch_calendar(clients, WHO, calendar_server.url("/db.ics", login="me:secret@"))
    assert calendar_server.asked[-1].headers["authorization"].startswith("Basic ")
    with CalendarServer(texts={"/db.ics": TEXT}) as elsewhere:
        calendar_server.answers["/moved"] = Response(
            302, headers={"Location": elsewhere.url("/db.ics")}
        )
        with pytest.raises(
            DeliveryError, match="a redirect is not followed where an address holds a password"
        ):
            await fetch_calendar(clients, WHO, calendar_server.url("/moved", login="me:secret@"))
        assert elsewhere.asked == []
