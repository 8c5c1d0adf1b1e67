"""A hostile calendar costs a bounded time and memory, and no more of the process that pages people."""

from __future__ import annotations

import time

import pytest

from amproxy.calendars import process
from amproxy.calendars.process import parse_in_process
from amproxy.errors import BadCalendar
from tests.support.calendars.icals import BERLIN, END, START, ics, spans


async def test_a_calendar_comes_back_from_the_other_process_as_it_was_worked_out() -> None:
    found = await parse_in_process(
        ics("SUMMARY:\u00c4nn|DTSTART:20260302T090000|DURATION:P7D|ATTENDEE:mailto:a@b.c"),
        BERLIN,
        START,
        END,
    )
    assert spans(found) == ["03-02 09:00 03-09 09:00 \u00c4nn"]
    assert (found.start, found.end, found.texts[0].attendees) == (START, END, ("a@b.c",))


async def test_what_is_wrong_comes_back_too() -> None:
    with pytest.raises(BadCalendar, match=r"^the event 'A' \(0@tests\): a shift repeats hourly"):
        await parse_in_process(
            ics("SUMMARY:A|DTSTART:20260302T090000|RRULE:FREQ=SECONDLY"), BERLIN, START, END
        )


HOSTILE = {
    "a rule with millions of times": ics(
        f"SUMMARY:A|DTSTART:19700101T000000|DURATION:PT1H|RRULE:FREQ=HOURLY;BYMINUTE={','.join(map(str, range(60)))};BYSECOND=1,2,3,4,5"
    ),
    "a rule that never comes true": ics(
        "SUMMARY:A|DTSTART:19000101T000000|DURATION:PT1H|RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"
    ),
    "a zone that changes its clock each second": ics(
        "SUMMARY:A|DTSTART;TZID=Evil:20260302T090000|DURATION:PT1H",
        head="BEGIN:VTIMEZONE|TZID:Evil|BEGIN:STANDARD|DTSTART:19700101T000000|TZOFFSETFROM:+0100|TZOFFSETTO:+0200|RRULE:FREQ=SECONDLY"
        "|END:STANDARD|BEGIN:DAYLIGHT|DTSTART:19700101T000000|TZOFFSETFROM:+0200|TZOFFSETTO:+0100|RRULE:FREQ=SECONDLY|END:DAYLIGHT|END:VTIMEZONE",
    ),
    "components in components": b"BEGIN:VCALENDAR\r\n"
    + b"BEGIN:X\r\n" * 400_000
    + b"END:X\r\n" * 400_000
    + b"END:VCALENDAR\r\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_calendar_ends_in_time(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PARSE_TIMEOUT", 1.0)
    begun = time.monotonic()
    with pytest.raises(BadCalendar, match=r"too (long|much)"):
        await parse_in_process(data, BERLIN, START, END)
    assert time.monotonic() - begun < 30
