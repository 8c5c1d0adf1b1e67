"""/api/v1/config: read the file's words, look at a change, and put it in force, over HTTP with a real file and a real Redis."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from amproxy.apply import apply_event
from amproxy.cli import main
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.machine.events import Acknowledge
from amproxy.store import incidents
from amproxy.text import Phrase
from tests.support.redis import Redis
from tests.support.web.edited import FILE, signed_in, words
from tests.support.web.website import Site
from tests.support.words import said

LAYER = {
    "name": "weekly",
    "users": ["bob", "alice"],
    "rotation": {"every": "1w", "start": "2026-01-05"},
}
TURNED = {"section": "schedules", "name": "primary", "set": {"layers": [LAYER]}}


async def preview(site: Site, change: dict[str, Any]) -> dict[str, Any]:
    answer = await site.client.post("/api/v1/config/preview", json={"change": change})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_words_of_the_file_are_shown_and_given_back_they_change_nothing(
    edits: Site,
) -> None:
    found = (await edits.client.get("/api/v1/config")).json()
    assert (
        found["in_force"]
        and found["writable"]
        and found["receivers"] == [{"name": "r", "escalation_policies": ["main"]}]
    )
    [policy] = found["escalation_policies"]
    assert policy["steps"][1] == {"wait": "5m"} and found["route"]["routes"][0]["matchers"] == [
        'team="ops"'
    ]
    same = await preview(edits, {"section": "escalation_policies", "name": "main", "set": policy})
    assert same["diff"] == "" and same["changes"] == {"shifts": [], "hours": {}, "policies": []}


async def test_a_preview_says_whose_shifts_change_and_writes_nothing(
    edits: Site, routes_file: Path
) -> None:
    found = await preview(edits, TURNED)
    assert (
        "+      - {name: weekly, users: [bob, alice]," in found["diff"]
        and found["problems"] == found["warnings"] == []
    )
    first = found["changes"]["shifts"][0]
    assert (first["schedule"], first["before"], first["after"]) == ("primary", ["alice"], ["bob"])
    assert (first["start"], first["end"]) == (
        "2026-01-06T10:00:00.000Z",
        "2026-01-12T00:00:00.000Z",
    )
    assert found["changes"]["hours"] == {}  # four weeks, two each
    assert routes_file.read_text("utf-8") == FILE


async def test_a_change_is_written_and_in_force_at_once_with_its_comments(
    edits: Site, routes_file: Path
) -> None:
    found = await preview(edits, TURNED)
    answer = await edits.client.post(
        "/api/v1/config/apply", json={"change": TURNED, "digest": found["digest"]}
    )
    assert answer.status_code == 200 and answer.json()["digest"] == edits.context.config.digest
    assert routes_file.read_text("utf-8") == FILE.replace(
        "[alice, bob], rotation", "[bob, alice], rotation"
    )
    assert (await edits.client.get("/api/v1/oncall")).json()[0]["users"] == ["bob"]
    again = await edits.client.post(
        "/api/v1/config/apply", json={"change": TURNED, "digest": found["digest"]}
    )
    assert again.status_code == 409 and "changed since" in again.json()["detail"]


async def test_a_policy_is_tried_out_on_the_labels_of_its_latest_incident(edits: Site) -> None:
    await edits.opened("main", group="g1", common_labels={"alertname": "Down", "team": "ops"})
    steps = [{"notify": {"users": ["bob"]}}]
    found = await preview(
        edits, {"section": "escalation_policies", "name": "main", "set": {"steps": steps}}
    )
    [policy] = found["changes"]["policies"]
    assert (
        policy["before"][0] == "page who is on call for schedule primary"
        and policy["after"][0] == "page bob"
    )
    [example] = policy["examples"]
    assert example["labels"] == {"alertname": "Down", "team": "ops"}
    assert [page["user"] for page in example["before"]] == ["alice", "alice", "bob"]
    assert [page["user"] for page in example["after"]] == ["bob"]


async def test_what_would_not_load_is_shown_with_its_place_and_never_written(
    edits: Site, routes_file: Path
) -> None:
    change = {
        "section": "escalation_policies",
        "name": "main",
        "set": {"steps": [{"notify": {"schedule": "gone"}}]},
    }
    found = await preview(edits, change)
    assert (
        found["changes"] is None
        and found["problems"][0]["line"] == 20
        and "no schedule 'gone'" in found["problems"][0]["message"]
    )
    answer = await edits.client.post(
        "/api/v1/config/apply", json={"change": change, "digest": found["digest"]}
    )
    assert answer.status_code == 422 and "routes.yaml:20:" in answer.json()["detail"]
    assert routes_file.read_text("utf-8") == FILE


async def test_a_file_that_then_does_not_load_is_put_back(edits: Site, routes_file: Path) -> None:
    found = await preview(edits, TURNED)
    edits.reload_error.append(
        ConfigError(
            [
                ConfigProblem(
                    Phrase("refusal.words", {"text": "a file went away"}),
                    file="routes.yaml",
                    line=1,
                    column=1,
                )
            ]
        )
    )
    answer = await edits.client.post(
        "/api/v1/config/apply", json={"change": TURNED, "digest": found["digest"]}
    )
    assert answer.status_code == 422 and "a file went away" in answer.json()["detail"]
    assert routes_file.read_text("utf-8") == FILE and edits.context.config.digest == found["digest"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"change": {"section": "web", "name": "x"}}, 422),
        ({"change": {"section": "schedules", "name": "nowhere"}}, 404),
        ({"change": {"section": "users", "name": "alice", "set": {"role": "admin"}}}, 422),
        ({"change": {"section": "users", "name": "alice", "set": {"full_name": "${HOME}"}}}, 422),
        ({"change": {"section": "schedules", "name": "primary", "set": {"team": ["x"]}}}, 200),
        ({"change": {"section": "schedules", "name": "primary", "set": {"layers": 5}}}, 200),
        ({}, 422),
    ],
)
async def test_bad_input_has_a_clear_answer(edits: Site, body: dict[str, Any], status: int) -> None:
    answer = await edits.client.post("/api/v1/config/preview", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"] if status != 200 else answer.json()["problems"]


async def test_responders_change_what_is_their_teams_and_people_themselves(edits: Site) -> None:
    own = {"section": "users", "name": "bob", "set": {"timezone": "Asia/Tbilisi"}}
    moved = {"section": "schedules", "name": "primary", "set": {"team": ""}}
    for who, change, status in [
        ({"user": "alice", "role": "responder", "teams": frozenset(["ops"])}, TURNED, 200),
        ({"user": "bob", "role": "responder"}, TURNED, 403),
        ({"user": "alice", "role": "viewer", "teams": frozenset(["ops"])}, TURNED, 403),
        ({"user": "bob", "role": "responder"}, own, 200),
        ({"user": "alice", "role": "responder"}, own, 403),
        ({"user": "bob", "role": "responder"}, moved, 403),
        ({"user": "root", "role": "admin"}, own, 200),
    ]:
        async with signed_in(edits, **who) as client:
            assert (
                await client.post("/api/v1/config/preview", json={"change": change})
            ).status_code == status, (who, change)
            applied = await client.post(
                "/api/v1/config/apply", json={"change": change, "digest": "old"}
            )
            assert applied.status_code == (409 if status == 200 else status)


async def test_contacts_are_shown_to_admins_and_to_those_whose_they_are(edits: Site) -> None:
    async with signed_in(edits, user="bob", role="viewer") as client:
        alice, bob = (await client.get("/api/v1/config")).json()["users"]
    assert "contacts" not in alice and bob["contacts"] == {"console": "there"}
    assert (await edits.client.get("/api/v1/config")).json()["users"][0]["contacts"][
        "email"
    ] == "a@example.org"


@pytest.mark.parametrize(
    ("contacts", "status"),
    [
        ({"console": "elsewhere", "telegram": 222, "email": "bob@example.org"}, 200),
        ({"console": "there", "telegram": 222, "email": "A@Example.org"}, 422),  # alice's
        ({"console": "there", "telegram": 222, "email": "ALICE"}, 422),
        ({"console": "there", "telegram": 111, "email": "bob@example.org"}, 422),  # alice's
        ({"console": "there", "telegram": 222, "email": "new@example.org"}, 403),
        ({"console": "there", "telegram": 223, "email": "bob@example.org"}, 403),
        ({"console": "there", "telegram": 222}, 403),
        ({"console": "there", "telegram": 222, "email": "bob@example.org", "slack": "U9"}, 403),
    ],
)
async def test_people_change_only_those_contacts_of_theirs_by_which_nobody_is_recognised(
    edits: Site, routes_file: Path, contacts: dict[str, Any], status: int
) -> None:
    text = FILE.replace("email: a@", "telegram: 111, email: a@").replace(
        "{console: there}", "{console: there, telegram: 222, email: bob@example.org}"
    )
    routes_file.write_text(f"{text}sign_in: {{passwords: true}}\n", "utf-8")
    await edits.deps.reload()
    edits.context.config = msgspec.structs.replace(edits.context.config, sign_in=None)  # no gate
    change = {"section": "users", "name": "bob", "set": {"contacts": contacts}}
    before = routes_file.read_text("utf-8")
    async with signed_in(edits, user="bob", role="responder") as bob:
        shown = await bob.post("/api/v1/config/preview", json={"change": change})
        assert shown.status_code == (403 if status == 403 else 200)
        body = {"change": change, "digest": edits.context.config.digest}
        applied = await bob.post("/api/v1/config/apply", json=body)
    assert applied.status_code == status, applied.text
    assert (routes_file.read_text("utf-8") == before) == (status != 200)
    if status == 422:
        assert "alice" in applied.json()["detail"] and shown.json()["problems"]
    if status == 403:
        assert "an admin changes this" in applied.json()["detail"]
        edits.context.config = msgspec.structs.replace(edits.context.config, sign_in=None)
        async with signed_in(edits, user="root", role="admin") as root:
            assert (await root.post("/api/v1/config/apply", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("address", "responder", "admin"),
    [
        ("http://127.0.0.1:9093/x", 422, 200),
        ("http://localhost/x", 422, 200),
        ("http://2130706433/x", 422, 422),
        ("http://169.254.169.254/latest", 422, 422),
        ("http://[::ffff:10.0.0.1]/", 422, 422),
        ("http://192.168.7.7/x", 200, 200),  # the file allows it
        ("http://93.184.216.34/x", 200, 200),
        ("http://not-there.invalid/x", 200, 200),  # checked again when it is called
    ],
)
async def test_a_webhook_that_leads_into_this_network_is_not_saved(
    edits: Site, routes_file: Path, address: str, responder: int, admin: int
) -> None:
    text = FILE.replace("global: {", "global: {contact_networks: [192.168.7.0/24], ")
    for role, status in (("responder", responder), ("admin", admin)):
        routes_file.write_text(text, "utf-8")
        await edits.deps.reload()
        contacts = {"console": "there", "webhook": address}
        change = {"section": "users", "name": "bob", "set": {"contacts": contacts}}
        body = {"change": change, "digest": edits.context.config.digest}
        async with signed_in(edits, user="bob", role=role) as bob:
            shown = await bob.post("/api/v1/config/preview", json={"change": change})
            applied = await bob.post("/api/v1/config/apply", json=body)
        assert (shown.status_code, applied.status_code) == (status, status), applied.text
        assert (routes_file.read_text("utf-8") == text) == (status == 422)
        if status == 422:
            assert "contact_networks" in applied.json()["detail"]


async def test_a_renamed_schedule_is_followed_by_open_incidents_and_the_preview_says_who_is_lost(
    edits: Site, routes_file: Path, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = edits.context.config.policies["main"]
    incident = await edits.opened("main", group="g1", common_labels={"alertname": "Down"})
    rename = {"section": "schedules", "name": "primary", "set": {"name": "first"}}
    found = await preview(edits, rename)
    assert found["problems"] == [] and found["incidents"] == []
    body = {"change": rename, "digest": found["digest"]}
    assert (await edits.client.post("/api/v1/config/apply", json=body)).status_code == 200
    followed = await incidents.load(edits.context.wire, incident.id)
    assert followed.plan == edits.context.config.policies["main"] != policy
    last = (await incidents.load_timeline(edits.context.wire, incident.id))[-1]
    assert last.what and said(last.what) == (
        "Schedule primary is called first now: its policy follows."
    )
    # A policy of another name is followed as well; the schedule can go only when no policy has it.
    for change in (
        {"section": "escalation_policies", "name": "main", "set": {"name": "other"}},
        {
            "section": "escalation_policies",
            "name": "other",
            "set": {"steps": [{"notify": {"users": ["bob"]}}], "repeat": 1},
        },
    ):
        found = await preview(edits, change)
        assert found["incidents"] == [], found
        body = {"change": change, "digest": found["digest"]}
        assert (await edits.client.post("/api/v1/config/apply", json=body)).status_code == 200
    assert (await incidents.load(edits.context.wire, incident.id)).policy == "other"
    # Whoever acknowledged may withdraw it: then all of its steps are still to come.
    await apply_event(edits.context, incident.id, Acknowledge(user="alice", via="web"))
    gone = {"section": "schedules", "name": "first", "delete": True}
    [loss] = (await preview(edits, gone))["incidents"]
    assert loss["id"] == incident.id and loss["number"] == incident.number
    assert "schedule first is not in the file any more" in loss["lost"][0]
    # Whoever edits the file by hand asks the service that runs.
    text = re.sub(r"schedules:.*(?=escalation_policies)", "", routes_file.read_text(), flags=re.S)
    changed = routes_file.with_name("changed.yaml")
    changed.write_text(text)
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(
            main, ["check", str(changed), "--running", redis.url, "--json", "--strict"]
        )
    report = json.loads(capsys.readouterr().out)
    [warning] = [one for one in report["warnings"] if one["kind"] == "open_incident"]
    assert ended.value.code == 1 and f"#{incident.number} loses somebody" in warning["message"]
    # Once it is in force, admins see it for as long as it holds.
    listed = f"others are paged in their place #{incident.number} "
    assert listed not in words((await edits.client.get("/admin")).text)
    changed.replace(routes_file)
    await edits.deps.reload()
    assert listed in words((await edits.client.get("/admin")).text)
