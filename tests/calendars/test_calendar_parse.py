"""The text of a calendar becomes events with moments; what cannot be trusted is refused with the reason."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from amproxy.calendars import parse
from amproxy.calendars.parse import MAX_EVENTS_AT_ONCE, parse_calendar
from amproxy.errors import BadCalendar
from tests.support.calendars.icals import BERLIN, END, START, ics, parsed, spans

NEW_YORK = "America/New_York"
CUSTOM_ZONE = "BEGIN:VTIMEZONE|TZID:Here|BEGIN:STANDARD|DTSTART:19700101T000000|TZOFFSETFROM:+0500|TZOFFSETTO:+0500|END:STANDARD|END:VTIMEZONE"
OUTLOOK_ZONE = (
    "BEGIN:VTIMEZONE|TZID:W. Europe Standard Time|BEGIN:STANDARD|DTSTART:16010101T030000|TZOFFSETFROM:+0200|TZOFFSETTO:+0100"
    "|RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10|END:STANDARD|BEGIN:DAYLIGHT|DTSTART:16010101T020000|TZOFFSETFROM:+0100|TZOFFSETTO:+0200"
    "|RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3|END:DAYLIGHT|END:VTIMEZONE"
)
WEEKLY = "SUMMARY:Alice|DTSTART;TZID=Europe/Berlin:20260316T090000|DTEND;TZID=Europe/Berlin:20260323T090000|RRULE:FREQ=WEEKLY;COUNT=3"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        # one event, in each way to write its times
        (
            "SUMMARY:A|DTSTART:20260328T090000Z|DTEND:20260328T170000Z",
            ["03-28 10:00 03-28 18:00 A"],
        ),
        (
            "SUMMARY:A|DTSTART;TZID=Europe/Berlin:20260328T090000|DURATION:PT8H",
            ["03-28 09:00 03-28 17:00 A"],
        ),
        (
            "SUMMARY:A|DTSTART;TZID=America/New_York:20260328T090000|DURATION:PT8H",
            ["03-28 14:00 03-28 22:00 A"],
        ),
        ("SUMMARY:A|DTSTART:20260328T090000|DURATION:PT8H", ["03-28 09:00 03-28 17:00 A"]),
        (
            "SUMMARY:A|DTSTART;TZID=Tokyo Standard Time:20260328T090000|DURATION:PT8H",
            ["03-28 01:00 03-28 09:00 A"],
        ),
        (
            "SUMMARY:A|DTSTART;VALUE=DATE:20260328|DTEND;VALUE=DATE:20260330",
            ["03-28 00:00 03-30 00:00 A"],
        ),
        ("SUMMARY:A|DTSTART;VALUE=DATE:20260328", ["03-28 00:00 03-29 00:00 A"]),
        (
            "SUMMARY:A|DTSTART;VALUE=DATE:20260328|DTEND;VALUE=DATE:20260328",
            ["03-28 00:00 03-29 00:00 A"],
        ),
        ("SUMMARY:A|DTSTART;VALUE=DATE:20260328|DURATION:P2D", ["03-28 00:00 03-30 00:00 A"]),
        # a moment is no shift
        ("SUMMARY:A|DTSTART:20260328T090000Z", []),
        # handoffs stay at 09:00 when clocks change on 29 March
        (
            WEEKLY,
            [
                "03-16 09:00 03-23 09:00 Alice",
                "03-23 09:00 03-30 09:00 Alice",
                "03-30 09:00 04-06 09:00 Alice",
            ],
        ),
        (
            f"{WEEKLY}|EXDATE;TZID=Europe/Berlin:20260323T090000",
            ["03-16 09:00 03-23 09:00 Alice", "03-30 09:00 04-06 09:00 Alice"],
        ),
        (
            f"{WEEKLY}|EXDATE;VALUE=DATE:20260323",
            ["03-16 09:00 03-23 09:00 Alice", "03-30 09:00 04-06 09:00 Alice"],
        ),
        (
            "SUMMARY:A|DTSTART;TZID=Europe/Berlin:20260316T090000|DURATION:PT1H|RDATE;TZID=Europe/Berlin:20260401T120000",
            ["03-16 09:00 03-16 10:00 A", "04-01 12:00 04-01 13:00 A"],
        ),
        (
            "SUMMARY:A|DTSTART;VALUE=DATE:20260328|RRULE:FREQ=DAILY;UNTIL=20260330",
            ["03-28 00:00 03-29 00:00 A", "03-29 00:00 03-30 00:00 A", "03-30 00:00 03-31 00:00 A"],
        ),
        # only what touches the time that is asked for
        ("SUMMARY:A|DTSTART:20251231T220000Z|DTEND:20260101T000000Z", []),
        (
            "SUMMARY:A|DTSTART:20251231T220000Z|DTEND:20260101T000001Z",
            ["12-31 23:00 01-01 01:00 A"],
        ),
        # cancelled
        ("SUMMARY:A|DTSTART:20260328T090000Z|DTEND:20260328T170000Z|STATUS:CANCELLED", []),
        (f"{WEEKLY}|STATUS:cancelled", []),
    ],
)
def test_an_event_takes_place_when_its_calendar_says(event: str, expected: list[str]) -> None:
    assert spans(parsed(event)) == expected


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            "SUMMARY:Bob|RECURRENCE-ID;TZID=Europe/Berlin:20260323T090000|DTSTART;TZID=Europe/Berlin:20260324T090000|DURATION:P2D",
            [
                "03-16 09:00 03-23 09:00 Alice",
                "03-24 09:00 03-26 09:00 Bob",
                "03-30 09:00 04-06 09:00 Alice",
            ],
        ),
        (
            "SUMMARY:Alice|RECURRENCE-ID:20260323T080000Z|DTSTART:20260323T080000Z|DURATION:P7D|STATUS:CANCELLED",
            ["03-16 09:00 03-23 09:00 Alice", "03-30 09:00 04-06 09:00 Alice"],
        ),
        (
            "SUMMARY:Bob|RECURRENCE-ID;RANGE=THISANDFUTURE:20260323T080000Z|DTSTART;TZID=Europe/Berlin:20260323T090000|DURATION:P7D",
            [
                "03-16 09:00 03-23 09:00 Alice",
                "03-23 09:00 03-30 09:00 Bob",
                "03-30 09:00 04-06 09:00 Bob",
            ],
        ),
    ],
    ids=["moved and given away", "cancelled", "this and all that follow"],
)
def test_an_edited_occurrence_takes_the_place_of_the_one_that_it_edits(
    edit: str, expected: list[str]
) -> None:
    assert spans(parsed(f"UID:week|{WEEKLY}", f"UID:week|SEQUENCE:1|{edit}")) == expected


@pytest.mark.parametrize(
    ("head", "zone"),
    [
        ("", BERLIN),
        (f"X-WR-TIMEZONE:{NEW_YORK}", NEW_YORK),
        ("X-WR-TIMEZONE:Eastern Standard Time", NEW_YORK),
        ("X-WR-TIMEZONE:Nowhere", BERLIN),
    ],
)
def test_a_whole_day_is_that_of_the_calendars_zone_or_else_of_the_schedules(
    head: str, zone: str
) -> None:
    found = parsed("SUMMARY:A|DTSTART;VALUE=DATE:20260328|DTEND;VALUE=DATE:20260330", head=head)
    assert spans(found, zone) == ["03-28 00:00 03-30 00:00 A"]


def test_a_calendar_describes_zones_of_its_own_for_itself_only() -> None:
    event = "SUMMARY:A|DTSTART;TZID=Here:20260328T090000|DURATION:PT1H"
    assert spans(parsed(event, head=CUSTOM_ZONE), "UTC") == ["03-28 04:00 03-28 05:00 A"]
    assert spans(parsed(event, head=CUSTOM_ZONE.replace("0500", "0600")), "UTC") == [
        "03-28 03:00 03-28 04:00 A"
    ]
    with pytest.raises(BadCalendar, match="the time zone 'Here' is not known"):
        parsed(event)


def test_a_calendar_of_outlook_keeps_its_handoffs_over_a_change_of_clocks() -> None:
    zone = "TZID=W. Europe Standard Time"
    event = f"SUMMARY:A|DTSTART;{zone}:20260323T090000|DTEND;{zone}:20260330T090000|RRULE:FREQ=WEEKLY;COUNT=2"
    assert spans(parsed(event, head=OUTLOOK_ZONE)) == [
        "03-23 09:00 03-30 09:00 A",
        "03-30 09:00 04-06 09:00 A",
    ]


def test_words_are_unfolded_and_unescaped_and_attendees_are_addresses() -> None:
    found = parsed(
        "SUMMARY:Alice\\, \r\n Bob|DESCRIPTION:one\\ntwo|DTSTART:20260328T090000Z|DURATION:PT1H"
        "|ATTENDEE;CN=Bob:MAILTO:bob@example.org|ATTENDEE:urn:uuid:1|ORGANIZER:mailto:alice@example.org"
    )
    assert [(w.summary, w.description, w.attendees) for w in found.texts] == [
        ("Alice, Bob", "one\ntwo", ("bob@example.org",))
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "this is not a calendar"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "this is not a calendar"),
        (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nSUMMARY:A\r\n", "cut off"),
        (b"BEGIN:VCALENDAR\r\nSUMMARY:\xff\r\nEND:VCALENDAR\r\n", "not UTF-8"),
        (b"BEGIN:VCALENDAR\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", "cannot be read"),
        (b"BEGIN:VCALENDAR\r\nno colon\r\nEND:VCALENDAR\r\n", "cannot be read"),
        (
            b"BEGIN:VCALENDAR\r\nX-A:" + b"a" * (10 << 20) + b"\r\nEND:VCALENDAR\r\n",
            "larger than 10 MiB",
        ),
        (ics("SUMMARY:A"), "the event 'A' (0@tests): it has no DTSTART"),
        (ics("SUMMARY:A|DTSTART:tomorrow"), "DTSTART cannot be read"),
        (ics("SUMMARY:A|DTSTART:20260230T000000Z"), "DTSTART cannot be read"),
        (ics("SUMMARY:A|DTSTART:20260101T000000Z|DTEND:20250101T000000Z"), "ends before it begins"),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DTEND;VALUE=DATE:20260102"),
            "begins at a time and ends on a day",
        ),
        (
            ics("SUMMARY:A|DTSTART;TZID=Mars/Base:20260101T000000|DURATION:P1D"),
            "the time zone 'Mars/Base' is not known",
        ),
        (
            # Z is UTC, what begins with it is not
            ics("SUMMARY:A|DTSTART;TZID=Zeta/Base:20260101T000000|DURATION:P1D"),
            "the time zone 'Zeta/Base' is not known",
        ),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1S|RRULE:FREQ=SECONDLY"),
            "not secondly",
        ),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1S|RRULE:FREQ=MINUTELY;COUNT=2"),
            "not minutely",
        ),
        (ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1S|RRULE:COUNT=2"), "not without FREQ"),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1S|RRULE:FREQ=SOMETIMES"),
            "RRULE cannot be read",
        ),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1S|RRULE:FREQ=DAILY;INTERVAL=0"),
            "INTERVAL must be at least 1",
        ),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1S|RRULE:FREQ=DAILY;BYDAY=XX"),
            "RRULE cannot be read",
        ),
        (
            ics("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1H", head="CALSCALE:LUNAR"),
            "Gregorian",
        ),
        (
            ics(*["SUMMARY:A|DTSTART:20260101T000000Z|DURATION:P1D"] * (MAX_EVENTS_AT_ONCE + 1)),
            "more than 50 events at 2026-01-01 00:00 UTC",
        ),
    ],
)
def test_a_calendar_that_cannot_be_trusted_is_refused_with_the_reason(
    data: bytes, reason: str
) -> None:
    with pytest.raises(BadCalendar) as refused:
        parse_calendar(data, ZoneInfo(BERLIN), START, END)
    assert reason in str(refused.value)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500


def test_a_rule_with_more_events_than_any_roster_has_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parse, "MAX_EVENTS", 300)
    assert (
        len(
            parsed(
                "SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1H|RRULE:FREQ=HOURLY;COUNT=300"
            ).events
        )
        == 300
    )
    with pytest.raises(BadCalendar, match="more than 300 events from 2026-01-01 to 2027-01-01"):
        parsed("SUMMARY:A|DTSTART:20260101T000000Z|DURATION:PT1H|RRULE:FREQ=HOURLY;COUNT=301")


@pytest.mark.parametrize(
    "data", [ics(), ics(head="X-WR-CALNAME:empty"), b"\xef\xbb\xbf\r\n" + ics(), ics() + ics()]
)
def test_a_calendar_without_events_is_a_calendar(data: bytes) -> None:
    assert parse_calendar(data, ZoneInfo(BERLIN), START, END).events == ()


def test_several_calendars_in_one_text_are_one() -> None:
    both = ics("SUMMARY:A|DTSTART:20260328T090000Z|DURATION:PT1H") + ics(
        "SUMMARY:B|DTSTART:20260327T090000Z|DURATION:PT1H"
    )
    assert [name[-1] for name in spans(parse_calendar(both, ZoneInfo(BERLIN), START, END))] == [
        "B",
        "A",
    ]


GOOD = "SUMMARY:good|DTSTART:20260328T090000Z|DTEND:20260328T170000Z"
SHOWN = ["03-28 10:00 03-28 18:00 good"]


@pytest.mark.parametrize(
    ("event", "reason", "shift"),
    [
        (
            "DTSTART;TZID=Mars/Base:20260401T090000|DURATION:PT8H|RRULE:FREQ=WEEKLY;COUNT=1",
            "the time zone 'Mars/Base' is not known",
            ["04-01 09:00 04-01 17:00 bad"],
        ),
        ("DTSTART:20260401T090000Z|DTEND:soon", "DTEND cannot be read", ["04-01 11:00 04-01 12:00 bad"]),
        ("DTSTART;VALUE=DATE:20260401|DTEND:soon", "DTEND cannot be read", ["04-01 00:00 04-02 00:00 bad"]),
        ("DTSTART:20260401T090000Z|DURATION:-PT1H", "ends before it begins", ["04-01 11:00 04-01 12:00 bad"]),
        ("DTSTART:20260401T090000Z|DTSTART:20260402T090000Z", "more than one DTSTART", ["04-01 11:00 04-01 12:00 bad"]),
        ("DTSTART:20260401T090000Z|RRULE:FREQ=SECONDLY", "not secondly", ["04-01 11:00 04-01 12:00 bad"]),
        ("DTSTART:20260401T090000Z|RRULE:FREQ=DAILY;BYHOUR=25", "cannot be read", ["04-01 11:00 04-01 12:00 bad"]),
        ("DTSTART:tomorrow|DURATION:P1D", "DTSTART cannot be read", []),
        ("DURATION:P1D", "no DTSTART", []),
    ],
)  # fmt: skip
def test_one_event_that_cannot_be_read_is_an_empty_shift_and_a_problem_beside_the_others(
    event: str, reason: str, shift: list[str]
) -> None:
    calendar = parsed(GOOD, f"SUMMARY:bad|{event}")
    assert spans(calendar) == [*SHOWN, *shift]
    (problem,) = calendar.problems
    assert str(problem.event) == "the event 'bad' (1@tests)" and reason in str(problem.reason)
    assert (problem.start is not None) == bool(shift)
    assert [bool(text.problem) for text in calendar.texts] == [False, True][: 1 + len(shift)]


@pytest.mark.parametrize(
    "line", ["EXDATE:never", "RDATE:never", "EXDATE;TZID=Mars/Base:20260402T090000"]
)
def test_a_single_date_that_cannot_be_read_takes_no_shift_away(line: str) -> None:
    calendar = parsed(f"{GOOD}|{line}")
    assert spans(calendar) == SHOWN
    assert len(calendar.problems) == 1 and not calendar.texts[0].problem


def test_an_edit_that_cannot_be_read_leaves_its_occurrence_empty() -> None:
    edit = "UID:week|SUMMARY:Bob|RECURRENCE-ID;TZID=Europe/Berlin:20260323T090000|DTSTART:later"
    calendar = parsed(f"UID:week|{WEEKLY}", edit)
    assert spans(calendar) == [
        "03-16 09:00 03-23 09:00 Alice",
        "03-23 09:00 03-23 10:00 Bob",
        "03-30 09:00 04-06 09:00 Alice",
    ]
    assert [text.summary for text in calendar.texts if text.problem] == ["Bob"]


@pytest.mark.parametrize(
    ("name", "hour"),  # of 09:00 in February, in UTC; the schedule is in Berlin
    [
        ("Customized Time Zone 1", 8),
        ("tzone://Microsoft/Custom", 8),
        ("tzone://Microsoft/Utc", 9),
        ("Local", 8),
        ("GMT+3", 6),
        ("UTC-05:30", 14.5),
        ("UTC\u221205", 14),
        ("+0530", 3.5),
        ("(UTC+01:00) Amsterdam\\, Berlin", 8),
        ("(GMT-05:00) Eastern Time (US & Canada)", 14),
        ("Eastern Daylight Time", 14),
        ("europe/london", 9),
        ("America/New York", 14),
        ("Zulu", 9),
    ],
)
def test_a_zone_is_known_by_the_names_that_programs_give_it(name: str, hour: float) -> None:
    event = f'SUMMARY:A|DTSTART;TZID="{name}":20260203T090000|DURATION:PT1H'
    calendar = parsed(event, zone=BERLIN)
    assert calendar.problems == ()
    start = calendar.events[0].start
    assert start.hour + start.minute / 60 == hour


def test_a_zone_that_is_an_offset_with_places_changes_its_clock_as_they_do() -> None:
    event = 'SUMMARY:A|DTSTART;TZID="(UTC+01:00) Bern, Rome":20260703T090000|DURATION:PT1H'
    assert spans(parsed(event, zone=NEW_YORK)) == ["07-03 09:00 07-03 10:00 A"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # clocks go forward on 29 March at 02:00
        ("20260328T200000|DURATION:PT12H", "03-28 20:00 03-29 09:00 A"),
        ("20260328T090000|DURATION:PT24H", "03-28 09:00 03-29 10:00 A"),
        ("20260328T090000|DURATION:P1D", "03-28 09:00 03-29 09:00 A"),
        ("20260328T090000|DURATION:P1DT2H", "03-28 09:00 03-29 11:00 A"),
        ("20260327T120000|DURATION:PT36H", "03-27 12:00 03-29 00:00 A"),
        # and back on 25 October
        ("20261024T200000|DURATION:PT12H", "10-24 20:00 10-25 07:00 A"),
        # all of it in the hour that is skipped
        ("20260329T023000|DTEND;TZID=Europe/Berlin:20260329T030000", "03-29 03:30 03-29 04:00 A"),
    ],
)
def test_hours_of_a_duration_are_exact_and_its_days_are_of_the_calendar(
    times: str, expected: str
) -> None:
    assert spans(parsed(f"SUMMARY:A|DTSTART;TZID=Europe/Berlin:{times}")) == [expected]


DAYS = "SUMMARY:A|DTSTART;VALUE=DATE:20260202|RRULE:FREQ=DAILY;COUNT=4"


@pytest.mark.parametrize(
    ("instant", "zone"),
    [
        ("20260203T050000Z", NEW_YORK),
        ("20260203T000000Z", NEW_YORK),
        ("20260202T230000Z", BERLIN),
        ("20260203T000000Z", BERLIN),
        ("20260202T150000Z", "Asia/Tokyo"),
    ],
)
def test_a_whole_day_is_excluded_ended_and_edited_by_an_instant(instant: str, zone: str) -> None:
    def dates(*events: str) -> list[str]:
        calendar = parsed(*events, zone=zone)
        return [f"{line[:5]} {line[-1]}" for line in spans(calendar, zone)]

    assert dates(f"{DAYS}|EXDATE:{instant}") == ["02-02 A", "02-04 A", "02-05 A"]
    assert dates(f"{DAYS.partition('COUNT')[0]}UNTIL={instant}") == ["02-02 A", "02-03 A"]
    edit = f"UID:1|SUMMARY:B|RECURRENCE-ID:{instant}|DTSTART;VALUE=DATE:20260203"
    assert dates(f"UID:1|{DAYS}", edit) == ["02-02 A", "02-03 B", "02-04 A", "02-05 A"]


def test_a_line_is_unfolded_before_its_letters_are_read() -> None:
    whole = ics("SUMMARY:Öz|DTSTART:20260328T090000Z|DURATION:PT1H")
    cut = whole.index("Ö".encode()) + 1
    for fold in (b"\r\n ", b"\n\t"):
        calendar = parse_calendar(whole[:cut] + fold + whole[cut:], ZoneInfo(BERLIN), START, END)
        assert [text.summary for text in calendar.texts] == ["Öz"]
