"""Final shifts, hours for pay and the quality of a plan, over the API."""

from __future__ import annotations

import csv
import io

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Config
from amproxy.reports.export import csv_text
from amproxy.shifts import record
from amproxy.shifts.record import record_superseded
from amproxy.store.leases import Timer
from tests.support.web.website import CONFIG, NOW, Site

URL = "/api/v1/schedules/platform"
DAY = 86400.0


async def recorded(site: Site, days: float) -> None:
    """Let so many days pass, with everything written down."""
    for wait in (0.0, days * DAY):
        site.clock[0] += wait
        for name in site.context.config.schedules:
            await record.handle_schedule_timer(site.context, Timer("shifts", name, 0.0))


async def uses(site: Site, config: Config) -> None:
    """Another file takes effect."""
    site.context.use_config(config)
    await record_superseded(site.context)


async def rows(site: Site, what: str = "shifts", **query: str) -> list[dict[str, str]]:
    answer = await site.client.get(f"{URL}/{what}", params={"format": "csv", **query})
    assert answer.status_code == 200, answer.text
    assert (
        answer.headers["content-type"].startswith("text/csv")
        and "attachment" in answer.headers["content-disposition"]
    )
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_the_past_is_answered_as_it_was_written_down(site: Site) -> None:
    await recorded(site, 10)
    schedule = CONFIG.schedules["platform"]
    turned = replace(schedule, layers=(replace(schedule.layers[0], name="new", users=(("bob",),)),))
    await uses(site, replace(CONFIG, schedules={"platform": turned}))
    shifts = (
        await site.client.get(
            f"{URL}/shifts", params={"from": "2026-01-06T10:00:00Z", "to": "2026-02-01T00:00:00Z"}
        )
    ).json()
    assert [(one["start"][:10], one["users"], one["layer"], one["recorded"]) for one in shifts] == [
        ("2026-01-06", ["alice"], "weekly", True),
        ("2026-01-12", ["bob"], "weekly", True),
        ("2026-01-16", ["bob"], "new", False),
    ]
    then = (await site.client.get("/api/v1/oncall", params={"at": "2026-01-07T00:00:00Z"})).json()[
        0
    ]
    assert (then["users"], then["until"], then["next"]) == (
        ["alice"],
        "2026-01-12T08:00:00.000Z",
        ["bob"],
    )


async def test_a_schedule_that_left_the_file_is_known_as_long_as_its_past_is(site: Site) -> None:
    await recorded(site, 1)
    await uses(site, replace(CONFIG, schedules={}))
    shifts = (
        await site.client.get(
            f"{URL}/shifts", params={"from": "2026-01-06T00:00", "to": "2026-02-01T00:00"}
        )
    ).json()
    assert [(one["users"], one["recorded"], one["start_local"]) for one in shifts] == [
        (["alice"], True, "2026-01-06T11:00:00.000+01:00")
    ]
    assert (await site.client.get(f"{URL}/hours", params={"from": "2026-01-06T00:00"})).json()[0][
        "hours"
    ] == 24
    for path in (
        f"{URL}/quality",
        "/api/v1/schedules/never/shifts",
        "/api/v1/schedules/never/hours",
    ):
        assert (await site.client.get(path)).status_code == 404


async def test_csv_has_a_row_for_each_person_and_shift_on_both_clocks(site: Site) -> None:
    first, second = await rows(site, **{"from": "2026-01-05T09:00", "to": "2026-01-14T09:00"})
    assert first == {
        "user": "alice",
        "full_name": "Alice Ash",
        "schedule": "platform",
        "start": "2026-01-05T09:00:00.000+01:00",
        "end": "2026-01-12T09:00:00.000+01:00",
        "start_utc": "2026-01-05T08:00:00.000Z",
        "end_utc": "2026-01-12T08:00:00.000Z",
        "hours": "168.0",
        "night_hours": "40.0",
        "weekend_hours": "48.0",
        "day_hours": "80.0",
        "layer": "weekly",
        "override": "",
        "reason": "layer weekly",
        "recorded": "false",
    }
    assert (second["user"], second["full_name"], second["hours"], second["night_hours"]) == (
        "bob",
        "",
        "48.0",
        "16.0",
    )


async def test_people_on_call_together_get_a_row_each_and_gaps_none(site: Site) -> None:
    schedule = CONFIG.schedules["platform"]
    pair = replace(schedule, layers=(replace(schedule.layers[0], users=(("alice", "bob"),)),))
    await uses(site, replace(CONFIG, schedules={"platform": pair}))
    found = await rows(site, **{"from": "2026-01-01T00:00", "to": "2026-01-06T00:00"})
    assert [(row["user"], row["start"], row["hours"]) for row in found] == [
        ("alice", "2026-01-05T09:00:00.000+01:00", "15.0"),
        ("bob", "2026-01-05T09:00:00.000+01:00", "15.0"),
    ]


async def test_hours_add_up_for_each_person(site: Site) -> None:
    query = {"from": "2026-01-05T09:00", "to": "2026-02-02T09:00"}
    totals = (await site.client.get(f"{URL}/hours", params=query)).json()
    assert totals[0] == {
        "user": "alice",
        "full_name": "Alice Ash",
        "schedule": "platform",
        "hours": 336.0,
        "night_hours": 80.0,
        "weekend_hours": 96.0,
        "day_hours": 160.0,
        "nights": 12,
        "weekends": 2,
        "shifts": 2,
        "recorded": False,
    }
    assert [(one["user"], one["hours"], one["shifts"]) for one in totals] == [
        ("alice", 336, 2),
        ("bob", 336, 2),
    ]
    assert [row["hours"] for row in await rows(site, "hours", **query)] == ["336.0", "336.0"]


async def test_an_override_by_the_same_person_is_a_row_and_no_shift_of_its_own(site: Site) -> None:
    body = {
        "user": "alice",
        "start": "2026-01-07T10:00",
        "end": "2026-01-07T12:00",
        "reason": "=cmd|'/c calc'!A1",
    }
    assert (await site.client.post(f"{URL}/overrides", json=body)).status_code == 201
    query = {"from": "2026-01-05T09:00", "to": "2026-01-12T09:00"}
    found = await rows(site, **query)
    assert [row["hours"] for row in found] == ["49.0", "2.0", "117.0"]
    assert found[1]["reason"] == "override by hand: =cmd|'/c calc'!A1" and found[1]["override"]
    assert (await rows(site, "hours", **query))[0]["shifts"] == "1"


@pytest.mark.parametrize("hostile", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_no_value_is_a_formula_to_a_spreadsheet(site: Site, hostile: str) -> None:
    users = CONFIG.users | {"alice": replace(CONFIG.users["alice"], full_name=hostile)}
    await uses(site, replace(CONFIG, users=users))
    [first, *_] = await rows(site, **{"from": "2026-01-05T09:00", "to": "2026-01-14T09:00"})
    assert first["full_name"] == f"'{hostile}"


def test_a_table_is_rfc_4180() -> None:
    text = csv_text(("a", "b"), [{"a": 'say "x", y', "b": None}, {"a": "two\nlines", "b": True}])
    assert text == 'a,b\r\n"say ""x"", y",\r\n"two\nlines",true\r\n'


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "text/csv", "text/csv"),
        ("", "text/html, TEXT/CSV;q=0.9, application/json;q=0.5", "text/csv"),
        ("", "application/json, text/csv;q=0.9", "application/json"),
        ("", "*/*", "application/json"),
        ("", "text/csv;q=0", "application/json"),
        ("?format=csv", "application/json", "text/csv"),
        ("?format=json", "text/csv", "application/json"),
    ],
)
async def test_the_form_is_what_the_caller_accepts_unless_the_query_says(
    site: Site, query: str, accept: str, kind: str
) -> None:
    answer = await site.client.get(f"{URL}/shifts{query}", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "path",
    [
        "shifts?format=xml",
        "hours?from=2026-01-01T00:00&to=2027-01-03T00:00",
        "hours?from=soon",
        "shifts?from=2026-01-02T00:00&to=2026-01-01T00:00",
        "quality?days=0",
        "quality?days=367",
        "quality?days=-1",
        "quality?days=x",
        "quality?days=%D9%A3",
        "quality?from=soon",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(site: Site, path: str) -> None:
    assert (await site.client.get(f"{URL}/{path}")).status_code == 422


@pytest.mark.own_redis
async def test_the_past_needs_redis_and_the_plan_does_not(site: Site) -> None:
    await recorded(site, 1)
    site.redis.kill()
    assert (await site.client.get(f"{URL}/shifts")).status_code == 200
    assert (
        await site.client.get(f"{URL}/shifts", params={"from": "2026-01-06T00:00"})
    ).status_code == 503
    assert (await site.client.get("/api/v1/oncall")).status_code == 200


async def test_quality_is_of_the_plan_from_now_or_from_when_it_is_asked(site: Site) -> None:
    found = (await site.client.get(f"{URL}/quality")).json()
    assert (found["schedule"], found["start"], found["score"], found["coverage"]) == (
        "platform",
        "2026-01-06T10:00:00.000Z",
        93,
        100,
    )
    month = (
        await site.client.get(f"{URL}/quality", params={"from": "2026-01-05T09:00", "days": "28"})
    ).json()
    assert (month["end"], month["balance"]) == ("2026-02-02T08:00:00.000Z", 100)
    assert site.clock[0] == NOW
