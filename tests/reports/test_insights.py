"""What a span of time was like: the counts, against a plain reckoning of the same incidents."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.clock import utc
from amproxy.grouping.rights import concerns_user
from amproxy.model import Incident, Page
from amproxy.oncall.hours import classify_daytime, night_start_date
from amproxy.reports import insights
from amproxy.reports.export import csv_columns, csv_text
from amproxy.reports.insights import DurationSpread
from amproxy.reports.insights_rows import TABLES
from tests.support.reports.counted import MONDAY, PLAN, ZONES, counted

plain = msgspec.to_builtins
seconds = st.integers(0, 900).map(float)  # exact in a spread
people = st.sampled_from(["ann", "bob", "guest"])
pages = st.builds(
    Page,
    id=st.just("x"),
    user=st.sampled_from(["ann", "bob", "guest", ""]),
    channel=st.sampled_from(["telegram", "email"]),
    kind=st.sampled_from(["page", "reminder"]),
    policy=st.just("p"),
    step=st.integers(0, 3),
    due=st.just(MONDAY),
    state=st.sampled_from(["sent", "failed", "skipped", "due"]),
    sent_at=st.integers(0, 20 * 86400).map(lambda at: MONDAY + at),
)


@st.composite
def incident(draw: st.DrawFn) -> Incident:
    start = MONDAY + draw(st.integers(0, 20 * 86400))
    state = draw(st.sampled_from(["triggered", "acknowledged", "snoozed", "resolved"]))
    answered = draw(st.booleans())
    labels = draw(
        st.sampled_from(
            [{"alertname": "Disk"}, {"alertname": "Disk", "host": "a"}, {"host": "b"}, {}]
        )
    )
    return Incident(
        id="i",
        state=state,
        policy=draw(st.sampled_from(["p", "q"])),
        team=draw(st.sampled_from(["", "ops"])),
        plan=PLAN,
        group=draw(st.sampled_from(["", "g"])),
        group_labels=labels,
        epoch=draw(st.integers(1, 3)),
        started_at=start,
        urgency=draw(st.sampled_from([None, "important"])),
        acknowledged_by=draw(people) if answered else "",
        acknowledged_at=start + draw(seconds) if answered else None,
        resolved_by=draw(st.sampled_from(["source", "expired", "ann", "bob"]))
        if state == "resolved"
        else "",
        resolved_at=start + draw(seconds) if state == "resolved" else None,
        pages=draw(st.lists(pages, max_size=4)),
    )


def spread_of(lengths: list[float]) -> dict[str, Any]:
    """The same by sorting all of them."""
    ranked = sorted(lengths)
    if not ranked:
        return {"count": 0, "mean": None, "p50": None, "p90": None, "max": None}
    at = {percent: ranked[math.ceil(percent * len(ranked) / 100) - 1] for percent in (50, 90)}
    return {
        "count": len(ranked),
        "mean": round(fmean(ranked), 3),
        "p50": at[50],
        "p90": at[90],
        "max": ranked[-1],
    }


def tally_of(incidents: list[Incident]) -> dict[str, Any]:
    over = [one for one in incidents if one.state == "resolved"]
    alone = [one for one in over if one.resolved_by in ("source", "expired")]
    return {
        "incidents": len(incidents),
        **{
            state: sum(one.state == state for one in incidents)
            for state in ("triggered", "acknowledged", "snoozed", "resolved")
        },
        "never_acknowledged": sum(one.acknowledged_at is None for one in incidents),
        "reopened": sum(one.epoch > 1 for one in incidents),
        "time_to_acknowledge": spread_of(
            [
                one.acknowledged_at - one.started_at
                for one in incidents
                if one.acknowledged_at is not None
            ]
        ),
        "time_to_resolve": spread_of(
            [one.resolved_at - one.started_at for one in over if one not in alone]
        ),
        "time_to_end_by_itself": spread_of([one.resolved_at - one.started_at for one in alone]),
    }


def by(incidents: list[Incident], key: Any) -> dict[str, list[Incident]]:
    found = defaultdict(list)
    for one in incidents:
        found[key(one)].append(one)
    return found


@given(st.lists(incident(), max_size=30))
def test_teams_and_policies_are_counted_as_by_hand(incidents: list[Incident]) -> None:
    found = counted(incidents)
    assert plain(found.summary()) == tally_of(incidents)
    teams = by(incidents, lambda one: one.team or "none")
    assert plain(found.teams()) == [
        {"team": team, **tally_of(teams[team])} for team in sorted(teams)
    ]
    policies = by(incidents, lambda one: one.policy)
    assert plain(found.policies()) == [
        {"policy": policy, **tally_of(policies[policy])} for policy in sorted(policies)
    ]


@given(st.lists(incident(), max_size=30))
def test_people_and_their_pages_are_counted_as_by_hand(incidents: list[Incident]) -> None:
    found = counted(incidents)
    sent = [
        (one, page)
        for one in incidents
        for page in one.pages
        if page.user and page.kind == "page" and page.state == "sent"
    ]
    rows: dict[str, dict[str, Any]] = {}
    answered = {one.acknowledged_by for one in incidents} | {one.resolved_by for one in incidents}
    for name in sorted((answered | {page.user for _, page in sent}) - {"", "source", "expired"}):
        zone, own = (
            ZoneInfo(ZONES.get(name, "UTC")),
            [page for _, page in sent if page.user == name],
        )
        times = Counter(clock(page, zone)[0] for page in own)
        acknowledged = [
            one.acknowledged_at - one.started_at for one in incidents if one.acknowledged_by == name
        ]
        resolved = [
            one.resolved_at - one.started_at for one in incidents if one.resolved_by == name
        ]
        rows[name] = {
            "user": name,
            "pages": len(own),
            "pages_day": times["day"],
            "pages_night": times["night"],
            "pages_weekend": times["weekend"],
            "nights_disturbed": len({clock(page, zone)[1] for page in own} - {None}),
            "time_to_acknowledge": spread_of(acknowledged),
            "time_to_resolve": spread_of(resolved),
        }
    assert plain(found.people()) == list(rows.values())
    shown: Counter[tuple[str, str]] = Counter()
    for row in plain(found.pages()):
        shown[row["user"], row["channel"]] += row["pages"]
    assert shown == Counter((page.user, page.channel) for _, page in sent)
    important = sum(
        one.urgency == "important" or (one.policy == "p" and page.step == 2) for one, page in sent
    )
    assert (
        sum(row["pages"] for row in plain(found.pages()) if row["urgency"] == "important")
        == important
    )
    assert all(
        row["pages"] == row["day"] + row["night"] + row["weekend"] for row in plain(found.pages())
    )


def clock(page: Page, zone: ZoneInfo) -> tuple[str, Any]:
    """Which time of day it was for the person, and the night that it disturbed."""
    shown = utc(page.sent_at).astimezone(zone)
    dark = shown.hour >= 22 or shown.hour < 6
    when = "weekend" if shown.isoweekday() > 5 else "night" if dark else "day"
    return when, (shown.replace(tzinfo=None) - timedelta(hours=6)).date() if dark else None


@given(st.lists(incident(), max_size=30))
def test_alerts_and_hours_are_counted_as_by_hand(incidents: list[Incident]) -> None:
    found = counted(incidents, zone="Asia/Tbilisi")
    alerts = [one for one in incidents if one.group]
    named = by(alerts, lambda one: one.group_labels.get("alertname", ""))
    rows = {row["name"]: row for row in plain(found.alerts()) if row["by"] == "alertname"}
    assert rows.keys() == named.keys()
    for name, some in named.items():
        over = [one for one in some if one.state == "resolved"]
        noise = [
            one
            for one in over
            if one.resolved_by in ("source", "expired") and one.resolved_at - one.started_at <= 300
        ]
        assert rows[name] == {
            "by": "alertname",
            "name": name,
            "incidents": len(some),
            "pages": sum(
                bool(page.user) and page.kind == "page" and page.state == "sent"
                for one in some
                for page in one.pages
            ),
            "acknowledged": round(
                sum(one.acknowledged_at is not None for one in some) / len(some), 3
            ),
            "probably_noise": round(len(noise) / len(some), 3),
            "median_time_to_resolve": spread_of([one.resolved_at - one.started_at for one in over])[
                "p50"
            ],
        }
    groups = [row for row in plain(found.alerts()) if row["by"] == "group_labels"]
    assert sum(row["incidents"] for row in groups) == len(alerts)
    assert [row["incidents"] for row in plain(found.alerts())] == sorted(
        (row["incidents"] for row in plain(found.alerts())), reverse=True
    )
    started = Counter(
        utc(one.started_at).astimezone(ZoneInfo("Asia/Tbilisi")).strftime("%A %H")
        for one in incidents
    )
    assert {
        f"{row['weekday']} {hour}": n
        for row in plain(found.hours())
        for hour, n in row.items()
        if hour != "weekday" and n
    } == started


@given(st.lists(incident(), max_size=5))
def test_every_row_has_the_columns_of_its_table(incidents: list[Incident]) -> None:
    for name, kind in TABLES.items():
        for row in counted(incidents).table(name):
            assert type(row) is kind


@given(st.lists(st.floats(0, 1e8), min_size=1))
def test_percentiles_of_long_times_are_right_to_three_digits(lengths: list[float]) -> None:
    spread = DurationSpread()
    for length in lengths:
        spread.add(length)
    exact, found = spread_of(lengths), plain(spread.view())
    assert found["p50"] == pytest.approx(exact["p50"], rel=0.006) and found["p90"] == pytest.approx(
        exact["p90"], rel=0.006
    )
    assert found["count"] == exact["count"] and found["max"] == round(exact["max"], 3)
    assert found["mean"] == pytest.approx(exact["mean"], abs=0.01)


def test_the_memory_of_a_spread_does_not_grow_with_the_number_of_lengths() -> None:
    spread = DurationSpread()
    for number in range(200_000):
        spread.add(number * 7.77)
    assert len(spread._counts) < 5000


def test_with_very_many_kinds_of_alerts_the_later_ones_are_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(insights, "MAX_ALERT_KINDS", 4)
    found = counted(
        [
            Incident(
                id="i", plan=PLAN, group="g", group_labels={"alertname": f"A{n}"}, started_at=MONDAY
            )
            for n in range(10)
        ]
    )
    assert {
        row["name"]: row["incidents"] for row in plain(found.alerts()) if row["by"] == "alertname"
    } == {"A0": 1, "A1": 1, "(others)": 8}


def test_only_one_persons_rows_are_shown_where_they_are_asked_for() -> None:
    two = [
        Page(id=name, user=name, channel="email", due=MONDAY, state="sent", sent_at=MONDAY)
        for name in ("ann", "bob")
    ]
    found = counted([Incident(id="i", plan=PLAN, started_at=MONDAY, pages=two)], user="bob")
    assert (
        [row["user"] for row in plain(found.people())]
        == [row["user"] for row in plain(found.pages())]
        == ["bob"]
    )


def test_an_incident_concerns_those_who_were_paged_or_asked_and_those_who_answered() -> None:
    page = Page(id="x", user="ann", channel="email", due=MONDAY)
    one = Incident(
        id="i", plan=PLAN, started_at=MONDAY, pages=[page], responders=["eve"], resolved_by="bob"
    )
    assert [name for name in ("ann", "bob", "eve", "guest") if concerns_user(one, name)] == [
        "ann",
        "bob",
        "eve",
    ]


@pytest.mark.parametrize(
    ("at", "time", "begun"),
    [
        ("2026-01-05T21:59:59+01:00", "day", None),
        ("2026-01-05T22:00:00+01:00", "night", "2026-01-05"),
        ("2026-01-06T05:59:59+01:00", "night", "2026-01-05"),
        ("2026-01-06T06:00:00+01:00", "day", None),
        ("2026-01-10T00:00:00+01:00", "weekend", "2026-01-09"),
        ("2026-01-11T23:59:59+01:00", "weekend", "2026-01-11"),
        ("2026-01-12T00:00:00+01:00", "night", "2026-01-11"),
        ("2026-03-29T01:30:00+00:00", "weekend", "2026-03-28"),
    ],
)
def test_a_page_comes_by_day_in_the_night_or_at_the_weekend(
    at: str, time: str, begun: str | None
) -> None:
    moment, berlin = datetime.fromisoformat(at), ZoneInfo("Europe/Berlin")
    found = night_start_date(moment, berlin)
    assert (
        classify_daytime(moment, berlin) == time and (found.isoformat() if found else None) == begun
    )


# ----------------------------------------------------------------------------------------------------------- CSV

texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=20)


class Times(msgspec.Struct):
    p50: int | None


class Row(msgspec.Struct):
    name: str
    times: Times


@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": texts, "times": st.fixed_dictionaries({"p50": st.none() | st.integers(-5, 5)})}
        )
    )
)
def test_a_table_reads_back_as_it_was_and_no_cell_is_a_formula(rows: list[dict[str, Any]]) -> None:
    text = csv_text(csv_columns(Row), rows)
    header, *cells = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == ["name", "times_p50"] and len(cells) == len(rows)
    for (name, p50), row in zip(cells, rows, strict=True):
        assert name.removeprefix("'") == row["name"].removeprefix("'")
        assert not name.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert p50 == ("" if row["times"]["p50"] is None else str(row["times"]["p50"]))


def test_lines_end_as_the_standard_says_and_quotes_are_doubled() -> None:
    assert csv_text(("name", "n"), [{"name": 'a "b", c', "n": 1}]) == 'name,n\r\n"a ""b"", c",1\r\n'


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_a_text(text: str) -> None:
    [cells] = list(csv.reader(io.StringIO(csv_text(("a",), [{"a": text}]), newline="")))[1:]
    assert cells == [f"'{text}"]
