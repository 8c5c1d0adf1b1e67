"""Times in the reader's format: by the region of their browser, or as they have chosen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amproxy.text import load_texts
from amproxy.text.formats import DEFAULT_FORMAT, choose_format, hour_text
from amproxy.text.render import end_text, full_date_text, full_time_text, time_text

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC).timestamp()
AFTERNOON = datetime(2026, 12, 1, 14, 5, tzinfo=UTC)
NEXT_DAY = datetime(2026, 12, 2, 0, 5, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 2, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "accepted", "clock", "expected"),
    [
        ("en", "en-GB,en", "", ["14:05", "Wed 2 Dec 00:05", "3 Feb 2027 12:00"]),
        ("en", "en", "", ["14:05", "Wed 2 Dec 00:05", "3 Feb 2027 12:00"]),
        ("en", "de-DE,en;q=0.5", "", ["14:05", "Wed 2 Dec 00:05", "3 Feb 2027 12:00"]),
        ("en", "en-US,en", "", ["2:05 PM", "Wed, Dec 2, 12:05 AM", "Feb 3, 2027, 12:00 PM"]),
        ("en", "en,en-AU", "", ["2:05 PM", "Wed 2 Dec 12:05 AM", "3 Feb 2027 12:00 PM"]),
        ("en", "en-US", "24", ["14:05", "Wed, Dec 2, 00:05", "Feb 3, 2027, 12:00"]),
        ("ru", "ru-RU,en-US", "", ["14:05", "ср, 2 дек., 00:05", "3 февр. 2027, 12:00"]),
        ("ru", "ru", "12", ["2:05 PM", "ср, 2 дек., 12:05 AM", "3 февр. 2027, 12:00 PM"]),
        ("en", "en-US", "nonsense", ["2:05 PM", "Wed, Dec 2, 12:05 AM", "Feb 3, 2027, 12:00 PM"]),
    ],
)
def test_times_are_written_as_the_reader_writes_them(
    language: str, accepted: str, clock: str, expected: list[str]
) -> None:
    t = load_texts(language, choose_format(language, accepted, clock))
    times = [time_text(at, UTC, NOW, t) for at in (AFTERNOON, NEXT_DAY, NEXT_YEAR)]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in times] == expected


def test_days_and_periods_follow_it() -> None:
    us, british = (load_texts("en", choose_format("en", f"en-{one}", "")) for one in ("US", "GB"))
    assert full_date_text(AFTERNOON, us) == "Tue, Dec 1, 2026"
    assert full_date_text(AFTERNOON, british) == "Tue 1 Dec 2026"
    assert full_time_text(AFTERNOON, UTC, NOW, british) == "Tue 1 Dec 14:05"
    assert full_time_text(NEXT_YEAR, UTC, NOW, us).startswith("Wed, Feb 3, 2027, 12:00")
    assert end_text(AFTERNOON, AFTERNOON, UTC, NOW, british) == "14:05"
    assert end_text(AFTERNOON, NEXT_DAY, UTC, NOW, british) == "Wed 2 Dec 00:05"
    assert hour_text(NEXT_YEAR, us.times) == "12\N{NO-BREAK SPACE}PM"
    assert hour_text(NEXT_YEAR, DEFAULT_FORMAT) == "12:00"
