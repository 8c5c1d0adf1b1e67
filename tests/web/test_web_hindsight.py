"""The API that looks back: why somebody was not paged, insights, the history."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from amproxy.machine.events import AlertsChanged, Sent
from amproxy.model import Incident
from amproxy.store import incidents
from amproxy.store.incidents import READ_SIZE
from tests.support.web.website import NOW, Site

DAY = 86400.0


async def answered(site: Site, user: str = "bob", **values: Any) -> Incident:
    """An incident whose first page arrived, acknowledged after a minute."""
    incident = await site.opened(
        **{"group": "g", "group_labels": {"alertname": "HighCPU"}, "team": "platform", **values}
    )
    await site.stored(incident, Sent(page=incident.pages[0].id, look=incident.look, attempt=1))
    site.clock[0] += 60
    await site.client.post(f"/api/v1/incidents/{incident.id}/acknowledge", json={"user": user})
    return incident


async def ended(site: Site, after: float, **values: Any) -> None:
    """An incident whose alerts were over by themselves."""
    incident = await site.opened(**{"group": "g", "group_labels": {"alertname": "Blip"}, **values})
    site.clock[0] += after
    await site.stored(incident, AlertsChanged(reason="all alerts resolved", firing=0, resolved=1))


# ----------------------------------------------------------------------------------------------------------- why


async def test_one_asks_why_somebody_was_not_paged_and_hears_it_with_times(site: Site) -> None:
    incident = await answered(site, user="alice")
    shown = (
        await site.client.get(f"/api/v1/incidents/{incident.id}/why", params={"user": "bob"})
    ).json()
    assert shown["user"] == "bob" and shown["paged"] is False and shown["pages"] == []
    assert shown["reasons"][0] == (
        "Step 3 (“Page bob”) had not run yet when Alice Ash acknowledged it at 2026-01-06 14:01 +04; "
        "it would have run at 2026-01-06 14:05 +04."
    )
    assert shown["reasons"][1].startswith(
        "At 2026-01-06 14:00 +04: Step 1: paging Alice Ash (on call for platform: layer weekly)."
    )


async def test_who_was_paged_hears_when_and_over_what_without_any_address(site: Site) -> None:
    incident = await answered(site)
    answer = await site.client.get(f"/api/v1/incidents/{incident.id}/why", params={"user": "alice"})
    shown = answer.json()
    assert shown["paged"] is True and [page["channel"] for page in shown["pages"]] == ["console"]
    assert shown["reasons"] == [
        "Paged over console at 2026-01-06 11:00 CET (step 1: on call for platform: layer weekly): delivered."
    ]
    assert "example.org" not in answer.text


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("", 422, "User is missing"),
        ("?user=", 422, "User is missing"),
        ("?user=nobody", 422, "There is no user 'nobody'"),
    ],
)
async def test_a_question_about_nobody_is_refused(
    site: Site, query: str, status: int, detail: str
) -> None:
    incident = await site.opened()
    answer = await site.client.get(f"/api/v1/incidents/{incident.id}/why{query}")
    assert answer.status_code == status and answer.json()["detail"].startswith(detail)


async def test_a_question_about_no_incident_is_answered_404(site: Site) -> None:
    assert (await site.client.get("/api/v1/incidents/none/why?user=bob")).status_code == 404


# ------------------------------------------------------------------------------------------------------ insights


async def test_insights_say_how_quickly_people_answer_and_what_is_noise(site: Site) -> None:
    await answered(site)
    await ended(site, after=120)
    site.clock[0] += 1
    shown = (await site.client.get("/api/v1/insights")).json()
    assert (
        shown["to"] == "2026-01-06T10:03:01.000Z"
        and shown["from"] == "2025-12-07T10:03:01.000Z"
        and shown["zone"] == "UTC"
    )
    assert (
        shown["summary"]["incidents"] == 2
        and shown["summary"]["acknowledged"] == 1
        and shown["summary"]["never_acknowledged"] == 1
    )
    assert [(row["team"], row["time_to_acknowledge"]["p50"]) for row in shown["teams"]] == [
        ("none", None),
        ("platform", 60),
    ]
    assert shown["policies"][0]["time_to_end_by_itself"] == {
        "count": 1,
        "mean": 120,
        "p50": 120,
        "p90": 120,
        "max": 120,
    }
    assert [
        (row["user"], row["pages_day"], row["time_to_acknowledge"]["count"])
        for row in shown["people"]
    ] == [
        ("alice", 1, 0),
        ("bob", 0, 1),
    ]
    assert shown["pages"] == [
        {
            "user": "alice",
            "channel": "console",
            "urgency": "default",
            "pages": 1,
            "day": 1,
            "night": 0,
            "weekend": 0,
        }
    ]
    noise = {
        row["name"]: row["probably_noise"] for row in shown["alerts"] if row["by"] == "alertname"
    }
    assert noise == {"HighCPU": 0, "Blip": 1}
    assert shown["hours"][1] == {
        "weekday": "Tuesday",
        **{f"{hour:02}": 2 if hour == 10 else 0 for hour in range(24)},
    }


async def test_insights_keep_to_what_is_asked_for(site: Site) -> None:
    await answered(site)
    site.clock[0] += DAY
    await site.opened("careful", team="database")

    async def count(**query: str) -> int:
        answer = await site.client.get(
            "/api/v1/insights", params={"to": "2026-01-09T00:00:00Z", **query}
        )
        assert answer.status_code == 200, answer.text
        return int(answer.json()["summary"]["incidents"])

    assert await count() == 2
    assert await count(team="platform") == 1 and await count(team="none") == 0
    assert await count(policy="careful") == 1 and await count(policy="gone") == 0
    assert await count(user="bob") == 1 and await count(user="alice") == 2
    assert (
        await count(**{"from": "2026-01-07T00:00:00Z"}) == 1
        and await count(to="2026-01-06T10:00:00Z") == 0
    )
    assert (
        await count(
            **{"from": "2026-01-06T11:00", "to": "2026-01-06T11:01", "zone": "Europe/Berlin"}
        )
        == 1
    )


@pytest.mark.parametrize(
    "query",
    [
        "zone=Mars/North",
        "zone=../../etc/passwd",
        "zone=Europe",
        "from=yesterday",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/insights", "/api/v1/insights/teams.csv"])
async def test_a_span_or_zone_that_makes_no_sense_is_refused(
    site: Site, path: str, query: str
) -> None:
    answer = await site.client.get(f"{path}?{query}")
    assert answer.status_code == 422 and answer.json()["error"]


async def test_every_table_is_there_for_a_spreadsheet(site: Site) -> None:
    await answered(site, group_labels={"alertname": "=HYPERLINK(1)"})
    site.clock[0] += 1
    for table, rows in (
        ("teams", 1),
        ("policies", 1),
        ("people", 2),
        ("pages", 1),
        ("alerts", 2),
        ("hours", 7),
    ):
        answer = await site.client.get(f"/api/v1/insights/{table}.csv")
        assert (
            answer.status_code == 200
            and answer.headers["content-type"] == "text/csv; charset=utf-8"
        )
        header, *found = csv.reader(io.StringIO(answer.text, newline=""), strict=True)
        assert len(found) == rows and all(len(row) == len(header) for row in found), table
    alerts = (await site.client.get("/api/v1/insights/alerts.csv")).text
    assert "'=HYPERLINK(1)" in alerts and "\r\n=" not in alerts and ",=" not in alerts
    assert (await site.client.get("/api/v1/insights/secrets.csv")).status_code == 404


async def test_a_table_without_rows_has_its_header(site: Site) -> None:
    text = (await site.client.get("/api/v1/insights/pages.csv")).text
    assert text == "user,channel,urgency,pages,day,night,weekend\r\n"


# ------------------------------------------------------------------------------------------------------- history


async def history(site: Site, **query: str) -> list[dict[str, Any]]:
    answer = await site.client.get("/api/v1/history", params=query)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_the_history_is_a_line_for_each_incident_oldest_first(site: Site) -> None:
    first = await answered(site)
    second = await site.opened()
    site.clock[0] += 1
    one, other = await history(site)
    assert [one["incident"]["id"], other["incident"]["id"]] == [first.id, second.id]
    assert [event["kind"] for event in one["events"]] == ["opened", "acknowledge"]
    assert one["pages"][0]["user"] == "alice" and one["plan"]["name"] == "platform"
    assert [
        line["incident"]["id"] for line in await history(site, **{"from": "2026-01-06T10:00:30Z"})
    ] == [second.id]
    assert await history(site, to="2026-01-01T00:00:00Z") == []


async def test_the_history_tells_no_address(site: Site) -> None:
    await answered(site)
    assert "a@example.org" not in (await site.client.get("/api/v1/history")).text


async def test_more_incidents_than_are_read_at_once_come_each_once_also_when_many_began_together(
    site: Site,
) -> None:
    opened = [(await site.opened()).id for _ in range(2 * READ_SIZE + 7)]
    site.clock[0] += 5
    opened += [(await site.opened()).id for _ in range(READ_SIZE)]
    site.clock[0] += 5
    lines = await history(site)
    assert [line["incident"]["started_at"] for line in lines] == sorted(
        line["incident"]["started_at"] for line in lines
    )
    assert sorted(line["incident"]["id"] for line in lines) == sorted(opened)
    assert [
        len(some) async for some in incidents.iterate_between(site.context.wire, NOW, NOW + 5)
    ] == [READ_SIZE, READ_SIZE, 7]


@pytest.mark.own_redis
async def test_without_redis_the_look_back_says_so(site: Site) -> None:
    site.redis.kill()
    for path in (
        "/api/v1/history",
        "/api/v1/insights",
        "/api/v1/insights/teams.csv",
        "/api/v1/incidents/x/why?user=bob",
    ):
        assert (await site.client.get(path)).status_code == 503, path


# ------------------------------------------------------------------------------------------------------- metrics


async def test_an_acknowledgement_is_counted_for_the_one_who_made_it(site: Site) -> None:
    async def counted() -> float:
        lines = (await site.client.get("/metrics")).text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith('amproxy_acknowledgements_total{user="bob"}')
        )

    before = await counted()
    await answered(site)
    assert await counted() == before + 1
