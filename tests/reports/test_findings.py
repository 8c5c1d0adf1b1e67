"""What a team lead is told in one sentence."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.model import Incident, Page
from amproxy.reports.insights import (
    LoudAlertFinding,
    NightsFinding,
    UnansweredFinding,
    find_highlights,
)
from amproxy.reports.insights_rows import DayRowView, HoursRowView
from amproxy.web.reports.insights import HEAT_LEVELS, PLOT_HEIGHT, plot_days, plot_week
from tests.support.reports.counted import MONDAY, PLAN, counted

NIGHT = 2 * 3600.0  # seconds after midnight


def incident(
    number: int,
    at: float,
    alert: str = "Disk",
    *,
    pages: int = 1,
    itself: bool = False,
    user: str = "guest",
) -> Incident:
    sent = [
        Page(
            id=f"{number}p{n}",
            user=user,
            channel="chat",
            policy="p",
            step=1,
            due=at,
            state="sent",
            sent_at=at,
        )
        for n in range(pages)
    ]
    return Incident(
        id=str(number),
        state="resolved",
        policy="p",
        plan=PLAN,
        group="g",
        group_labels={"alertname": alert},
        started_at=at,
        pages=sent,
        acknowledged_by="" if itself else user,
        acknowledged_at=None if itself else at + 60,
        resolved_at=at + 120,
        resolved_by="source" if itself else user,
    )


def test_who_was_woken_most_comes_first_and_then_the_alert_that_is_most_of_all_pages() -> None:
    nights = [incident(n, MONDAY + n * 86400 + NIGHT) for n in range(3)]
    noise = [
        incident(10 + n, MONDAY + 12 * 3600, "Latency", pages=2, itself=True, user="ann")
        for n in range(4)
    ]
    assert find_highlights(counted([*nights, *noise])) == [
        NightsFinding("guest", 3),
        LoudAlertFinding("Latency", 73, True),
        UnansweredFinding(4, 7),
    ]


def test_nothing_stands_out_of_little() -> None:
    assert find_highlights(counted([])) == []
    assert find_highlights(counted([incident(1, MONDAY + NIGHT)])) == [], "one night, one page"
    several = [incident(n, MONDAY + 12 * 3600 + n, f"Alert{n}") for n in range(10)]
    assert find_highlights(counted(several)) == [], "ten alerts, each a tenth"


def test_an_alert_that_people_answer_is_not_called_noise() -> None:
    assert find_highlights(counted([incident(n, MONDAY + 12 * 3600 + n) for n in range(6)])) == [
        LoudAlertFinding("Disk", 100, False)
    ]


def test_days_have_what_began_and_what_was_sent_on_the_clock_that_was_asked_for() -> None:
    late = MONDAY - 3600  # Sunday 23:00 in UTC, Monday in Berlin
    found = counted([incident(1, late, pages=2), incident(2, MONDAY + 3 * 86400)], "Europe/Berlin")
    assert found.days() == [
        DayRowView(day=date(2026, 1, 5), incidents=1, pages=2),
        DayRowView(day=date(2026, 1, 8), incidents=1, pages=1),
    ]


@given(
    st.dictionaries(
        st.integers(0, 399), st.tuples(st.integers(1, 50), st.integers(0, 90)), max_size=40
    ),
    st.integers(0, 399),
)
def test_a_plot_of_days_holds_every_incident_and_stays_within_its_frame(
    counts: dict[int, tuple[int, int]], last: int
) -> None:
    first = date(2026, 1, 5)
    rows = [
        DayRowView(day=first + timedelta(days=n), incidents=incidents, pages=pages)
        for n, (incidents, pages) in sorted(counts.items())
        if n <= last
    ]
    plot = plot_days(rows, first, first + timedelta(days=last))
    assert sum(bar.incidents for bar in plot.bars) == sum(row.incidents for row in rows)
    assert sum(bar.pages for bar in plot.bars) == sum(row.pages for row in rows)
    assert all(0 <= bar.height <= PLOT_HEIGHT for bar in plot.bars) and len(plot.bars) <= 62
    assert all(0 <= float(point.split(",")[1]) <= PLOT_HEIGHT for point in plot.line.split())


def test_a_heat_map_has_a_cell_for_each_hour_and_the_busiest_is_the_darkest() -> None:
    hours = {f"h{hour:02}": 0 for hour in range(24)}
    rows = [HoursRowView(weekday="", **hours) for _ in range(7)]
    rows[2] = HoursRowView(weekday="", **{**hours, "h13": 40})
    rows[6] = HoursRowView(weekday="", **{**hours, "h00": 1})
    cells = plot_week(rows)
    assert len(cells) == 168 and max(cells, key=lambda cell: cell.level)[:2] == (2, 13)
    assert {(cell.weekday, cell.hour): cell.level for cell in cells if cell.level} == {
        (2, 13): HEAT_LEVELS,
        (6, 0): 1,
    }
