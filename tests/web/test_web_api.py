"""The JSON API for incidents."""

from __future__ import annotations

import pytest

from amproxy.clock import rfc3339
from amproxy.machine.events import Sent
from amproxy.model import Alert
from amproxy.text import load_texts
from amproxy.text.render import render_phrase
from amproxy.web.incidents.forecast import find_next_step, list_upcoming
from tests.support.waiting import soon
from tests.support.web.website import Site


async def test_an_incident_in_a_list_says_who_is_asked_next_and_when(site: Site) -> None:
    opened = await site.opened(receiver="platform-oncall", group_labels={"alertname": "HighCPU"})
    answer = await site.client.get("/api/v1/incidents")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    [shown] = answer.json()["incidents"]
    assert shown["id"] == opened.id and shown["number"] == 1 and shown["state"] == "triggered"
    assert (
        shown["receiver"] == "platform-oncall"
        and shown["policy"] == "platform"
        and shown["group_labels"] == {"alertname": "HighCPU"}
    )
    assert shown["alerts"] == {"firing": 0, "resolved": 0}
    assert shown["started_at"] == "2026-01-06T10:00:00.000Z"
    assert (
        shown["acknowledged_by"] is None
        and shown["acknowledged_at"] is None
        and shown["resolved_at"] is None
    )
    assert shown["next_step"] == {
        "at": "2026-01-06T10:05:00.000Z",
        "what": "alice's next rule: email",
        "code": "forecast.rule",
        "arguments": {"person": ["alice"], "channels": "email"},
    }
    assert shown["url"] == f"https://oncall.example.org/incidents/{opened.id}"


async def test_one_incident_adds_its_alerts_timeline_and_pages(site: Site) -> None:
    incident = await site.with_alerts(
        await site.opened(),
        Alert(
            fingerprint="a",
            labels={"alertname": "HighCPU"},
            annotations={"summary": "hot"},
            starts_ns=int(1_767_690_000e9),
        ),
    )
    await site.stored(incident, Sent(page=incident.pages[0].id, look=incident.look, attempt=1))
    shown = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()
    assert shown["alerts"]["firing"] == 1
    [alert] = shown["alerts"]["list"]
    assert (alert["state"], alert["labels"], alert["starts_at"]) == (
        "firing",
        {"alertname": "HighCPU"},
        "2026-01-06T09:00:00.000Z",
    )
    assert [entry["kind"] for entry in shown["timeline"]] == ["opened", "step", "alerts", "sent"]
    [page] = shown["pages"]
    assert (page["user"], page["channel"], page["state"], page["step"]) == (
        "alice",
        "console",
        "sent",
        1,
    )
    assert "address" not in page


async def test_acknowledging_stops_the_steps_and_names_who_did_it(site: Site) -> None:
    incident = await site.opened()
    answer = await site.client.post(
        f"/api/v1/incidents/{incident.id}/acknowledge", json={"user": "bob", "text": "on it"}
    )
    assert answer.status_code == 200
    shown = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()
    assert (shown["state"], shown["acknowledged_by"], shown["next_step"]) == (
        "acknowledged",
        "bob",
        None,
    )
    assert "bob: on it" in [entry["text"] for entry in shown["timeline"]]


async def test_an_acknowledgement_that_will_run_out_says_so(site: Site) -> None:
    incident = await site.opened("careful")
    shown = (
        await site.client.post(
            f"/api/v1/incidents/{incident.id}/acknowledge", json={"user": "alice"}
        )
    ).json()
    assert shown["next_step"] == {
        "at": "2026-01-06T11:00:00.000Z",
        "what": "acknowledgement runs out",
        "code": "forecast.acknowledgement_runs_out",
        "arguments": {},
    }


@pytest.mark.parametrize(
    "body",
    [{"for": "30m"}, {"until": "2026-01-06T10:30:00Z"}, {"until": "2026-01-06T11:30:00+01:00"}],
)
async def test_a_snooze_takes_a_length_or_a_moment(site: Site, body: dict[str, str]) -> None:
    incident = await site.opened()
    shown = (
        await site.client.post(
            f"/api/v1/incidents/{incident.id}/snooze", json={"user": "alice", **body}
        )
    ).json()
    assert (shown["state"], shown["snoozed_by"], shown["snoozed_until"]) == (
        "snoozed",
        "alice",
        "2026-01-06T10:30:00.000Z",
    )
    assert shown["next_step"] == {
        "at": "2026-01-06T10:30:00.000Z",
        "what": "snooze ends",
        "code": "forecast.snooze_ends",
        "arguments": {},
    }


async def test_what_the_state_forbids_is_a_conflict_with_its_reason(site: Site) -> None:
    incident = await site.opened()
    url = f"/api/v1/incidents/{incident.id}"
    assert (await site.client.post(f"{url}/unacknowledge")).status_code == 409
    assert (await site.client.post(f"{url}/resolve", json={"user": "bob"})).json()[
        "resolved_by"
    ] == "bob"
    answer = await site.client.post(f"{url}/acknowledge", json={"user": "alice"})
    assert answer.status_code == 409
    assert answer.json() == {
        "error": "conflict",
        "detail": "#1 is already resolved by bob.",
        "code": "already_resolved",
        "arguments": {"number": "1", "user": ["bob"]},
    }


async def test_a_note_needs_a_text_and_nothing_else(site: Site) -> None:
    incident = await site.opened()
    url = f"/api/v1/incidents/{incident.id}/note"
    assert (await site.client.post(url)).status_code == 422
    assert (await site.client.post(url, json={"text": "rolled back"})).status_code == 200
    timeline = (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()["timeline"]
    assert timeline[-1]["text"] == "somebody: rolled back"


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 50_000, "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"user": 5}', "application/json", 422),
        (b'{"user": "nobody-knows"}', "application/json", 422),
        (b'{"wrong": 1}', "application/json", 422),
        (b'{"for": "1h", "until": "2027-01-01T00:00:00Z"}', "application/json", 422),
        (b'{"for": "soon"}', "application/json", 422),
        (b'{"for": "0s"}', "application/json", 422),
        (b'{"for": "999999999999999999h"}', "application/json", 422),
        (b'{"until": "2020-01-01T00:00:00Z"}', "application/json", 422),
        (b'{"until": "2027-01-01T00:00:00"}', "application/json", 422),
        (b'{"until": "2027-13-01T00:00:00Z"}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"user=alice", "application/x-www-form-urlencoded", 415),
        (b'{"text": "' + b"x" * 70_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_bad_body_is_refused_and_changes_nothing(
    site: Site, content: bytes, content_type: str, status: int
) -> None:
    incident = await site.opened()
    answer = await site.client.post(
        f"/api/v1/incidents/{incident.id}/snooze",
        content=content,
        headers={"content-type": content_type},
    )
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "detail", "code", "arguments"}
    assert (await site.client.get(f"/api/v1/incidents/{incident.id}")).json()[
        "state"
    ] == "triggered"


@pytest.mark.parametrize(
    "query",
    [
        "state=open",
        "limit=0",
        "limit=501",
        "limit=x",
        "label=%7B",
        "label=a%3D~%22(%22",
        "cursor=x",
        "cursor=nan-abc",
        "limit=%C2%B2",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(site: Site, query: str) -> None:
    assert (await site.client.get(f"/api/v1/incidents?{query}")).status_code == 422


async def test_lists_are_filtered_by_state_and_by_labels(site: Site) -> None:
    eu = await site.opened(group_labels={"cluster": "eu1"}, common_labels={"team": "platform"})
    us = await site.opened(group_labels={"cluster": "us1"}, common_labels={"team": "platform"})
    await site.client.post(f"/api/v1/incidents/{us.id}/resolve")

    async def ids(**query: object) -> list[str]:
        return [
            one["id"]
            for one in (await site.client.get("/api/v1/incidents", params=query)).json()[
                "incidents"
            ]
        ]

    assert await ids() == [eu.id]
    assert set(await ids(state=["triggered", "resolved"])) == {eu.id, us.id}
    assert await ids(
        state=["triggered", "resolved"], label=['team="platform"', 'cluster=~"us.*"']
    ) == [us.id]
    assert await ids(label="team=database") == []


async def test_a_list_goes_on_where_its_cursor_says(site: Site) -> None:
    opened = []
    for _ in range(5):
        opened.append((await site.opened()).number)
        site.clock[0] += 0.25
    seen, cursor = [], None
    for _ in range(3):
        answer = (
            await site.client.get(
                "/api/v1/incidents", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
            )
        ).json()
        seen += [one["number"] for one in answer["incidents"]]
        cursor = answer["next"]
    assert seen == opened[::-1] and cursor is None


async def test_somebody_can_be_paged_by_hand(site: Site) -> None:
    answer = await site.client.post(
        "/api/v1/incidents",
        json={"title": "Please call", "users": ["bob"], "user": "alice", "text": "now"},
    )
    assert answer.status_code == 201
    shown = (await site.client.get(f"/api/v1/incidents/{answer.json()['id']}")).json()
    assert (shown["title"], shown["text"], shown["pages"][0]["user"]) == (
        "Please call",
        "now",
        "bob",
    )
    opened = shown["timeline"][0]
    assert "paged by hand by Alice Ash" in opened["text"] and opened["code"] == "event.opened"
    assert opened["arguments"]["reason"] == {
        "code": "reason.by_hand",
        "arguments": {"by": ["alice"]},
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "x"},
        {"title": " ", "users": ["bob"]},
        {"title": "x", "users": ["eve"]},
        {"title": "x", "schedule": "nights"},
        {"title": "x", "policy": "none"},
        {"title": "x", "users": ["bob"], "policy": "platform"},
        {"title": "x" * 600, "users": ["bob"]},
        {"title": "x", "users": ["bob"], "urgency": "extreme"},
        {"title": "x", "users": "bob"},
    ],
)
async def test_paging_by_hand_that_makes_no_sense_opens_nothing(
    site: Site, body: dict[str, object]
) -> None:
    assert (await site.client.post("/api/v1/incidents", json=body)).status_code == 422
    assert (await site.client.get("/api/v1/incidents")).json() == {"incidents": [], "next": None}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/incidents/none",
        "/api/v1/incidents/%00",
        "/api/v1/nothing",
        "/api/v1/schedules/none/shifts",
    ],
)
async def test_what_is_not_there_is_404_in_json(site: Site, path: str) -> None:
    answer = await site.client.get(path)
    assert answer.status_code == 404 and answer.json()["error"] == "not found"


async def test_an_action_that_does_not_exist_is_404_and_a_wrong_method_405(site: Site) -> None:
    incident = await site.opened()
    assert (await site.client.post(f"/api/v1/incidents/{incident.id}/explode")).status_code == 404
    answer = await site.client.get(f"/api/v1/incidents/{incident.id}/acknowledge")
    assert answer.status_code == 405 and answer.json()["error"] == "method not allowed"


async def test_a_test_alert_is_sent_by_the_ordinary_road(site: Site) -> None:
    answer = await site.client.post("/api/v1/test-alert")
    assert answer.status_code == 202 and answer.json() == {"text": "TestAlert was sent to default."}
    assert site.tests_sent == ["TestAlert"]


@pytest.mark.own_redis
async def test_without_redis_the_api_says_to_try_again(site: Site) -> None:
    incident = await site.opened()
    site.redis.kill()
    await soon(lambda: not site.context.wire.up)
    for answer in (
        await site.client.get("/api/v1/incidents"),
        await site.client.post(f"/api/v1/incidents/{incident.id}/acknowledge"),
        await site.client.get("/"),
    ):
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"


async def test_the_next_step_follows_the_plan_when_no_personal_rule_is_left(site: Site) -> None:
    incident = await site.opened()
    incident.chains = []
    coming = find_next_step(incident, site.context.roster)
    assert coming and (rfc3339(coming.at), render_phrase(coming.what, load_texts("en"))) == (
        "2026-01-06T10:05:00.000Z",
        "step 3: notify bob (users)",
    )
    assert [
        render_phrase(one.what, load_texts("en"))
        for one in list_upcoming(incident, site.context.roster)
    ] == [
        "step 3: notify bob (users)",
        "the steps run again (round 2 of 2)",
    ]
