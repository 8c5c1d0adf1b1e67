"""The page for admins, its forms, and what the API says of Redis and the replicas."""

from __future__ import annotations

import re
from pathlib import Path

from amproxy.config.loader import load
from amproxy.context import FailedConfigLoad
from amproxy.correlate import heartbeats
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.store import audit, outbox
from amproxy.text import Phrase
from tests.support.web.edited import signed_in, words
from tests.support.web.website import Site

BROKEN = ConfigError(
    [
        ConfigProblem(
            Phrase("refusal.words", {"text": "no such <b>thing"}),
            file="/etc/routes.yaml",
            line=7,
            column=3,
        )
    ]
)


async def test_all_parts_are_shown(edits: Site) -> None:
    wire = edits.context.wire
    await outbox.join(wire)
    await outbox.read(wire, "replica-1", 1)
    await wire.call("XGROUP", "CREATECONSUMER", "amproxy:{0}:outbox", "deliver", "replica-1")
    await outbox.keep_alive(wire, "replica-1")
    page = (await edits.client.get("/admin")).text
    said = words(page)
    assert (
        "All parts are well." in said
        and edits.context.config.path in said
        and "replica-1 alive 0 messages in hand" in said
    )
    assert (
        re.search(r"Version \d+\.\d+", said)
        and "Keys of amproxy" in said
        and "The file has none." in said
    )


async def test_admins_alone_see_it(edits: Site) -> None:
    assert 'href="/admin"' in (await edits.client.get("/")).text
    async with signed_in(edits, user="bob", role="responder") as client:
        assert 'href="/admin"' not in (await client.get("/")).text
        for path in ("reload", "tokens", "tokens/x/delete"):
            assert (await client.post(f"/admin/{path}")).status_code == 403


async def test_warnings_of_the_file_and_a_file_that_has_changed_are_said(
    edits: Site, routes_file: Path
) -> None:
    text = routes_file.read_text("utf-8")
    routes_file.write_text(text.replace("{console: there}", "{}"), "utf-8")
    page = words((await edits.client.get("/admin")).text)
    assert (
        "The file on the disk is another than the one in force" in page
        and "2 warnings" in page
        and "routes.yaml :8:5" in page
    )
    assert (await edits.client.post("/admin/reload")).headers[
        "location"
    ] == "/admin?done=reload#file"
    page = words((await edits.client.get("/admin?done=reload")).text)
    assert "It is in force." in page and "is another" not in page
    routes_file.write_text("route: {receiver: nobody}\n", "utf-8")
    page = words((await edits.client.get("/admin")).text)
    assert (
        "The file on the disk would not load. What was loaded before goes on." in page
        and "routes.yaml :1:" in page
    )


async def test_a_broken_file_is_shown_with_its_place_and_what_runs_goes_on(edits: Site) -> None:
    edits.reload_error.append(BROKEN)
    answer = await edits.client.post("/admin/reload")
    assert (
        answer.status_code == 422
        and "/etc/routes.yaml" in answer.text
        and "no such &lt;b&gt;thing" in answer.text
    )
    assert (
        "The file was not taken. What was loaded before goes on. /etc/routes.yaml :7:3 no such"
        in words(answer.text)
    )
    edits.context.failed_load = FailedConfigLoad(edits.context.now(), tuple(BROKEN.problems))
    assert "The file was not taken at" in words((await edits.client.get("/admin")).text)
    edits.context.use_config(load(edits.context.config.path).config)
    assert "The file was not taken" not in (await edits.client.get("/admin")).text


async def test_a_token_is_shown_once_works_and_is_revoked(edits: Site) -> None:
    fields = {
        "name": "<i>grafana",
        "scopes": ["read", "respond"],
        "user": "alice",
        "expires": "2026-02-01T12:00",
    }
    answer = await edits.client.post("/admin/tokens", data=fields)
    [secret] = re.findall(r"amp_[\w-]{40,}", answer.text)
    assert (
        answer.status_code == 200
        and answer.headers["cache-control"] == "no-store"
        and "<i>grafana" not in answer.text
    )
    page = (await edits.client.get("/admin")).text
    assert (
        secret not in page
        and "read, answer incidents · acts as Alice Ash" in words(page)
        and "never used" in page
    )
    [token] = (await edits.client.get("/api/v1/tokens")).json()
    assert token["expires"] == "2026-02-01T12:00:00.000Z"
    assert (await edits.client.post(f"/admin/tokens/{token['id']}/delete")).headers[
        "location"
    ] == "/admin#tokens"
    assert (await edits.client.get("/api/v1/tokens")).json() == []
    said = words((await edits.client.get("/admin")).text)
    assert (
        "made the API token <i>grafana ( read, respond )" in said
        and "revoked the API token <i>grafana" in said
        and secret not in said
    )


async def test_a_token_that_makes_no_sense_is_not_made(edits: Site) -> None:
    for fields in (
        {},
        {"name": "x"},
        {"name": "x", "scopes": "read", "user": "nobody"},
        {"name": "a\nb", "scopes": "read"},
        {"name": "x", "scopes": "read", "expires": "2020-01-01T00:00"},
        {"name": "x" * 101, "scopes": "read"},
    ):
        answer = await edits.client.post("/admin/tokens", data=fields)
        assert answer.status_code == 422 and "Nothing done." in answer.text, fields
    assert (await edits.client.get("/api/v1/tokens")).json() == []


async def test_the_audit_log_is_looked_through_page_by_page(edits: Site) -> None:
    for _ in range(101):
        await edits.client.post("/people/bob/test", data={"channel": "console"})
        edits.clock[0] += 1
    page, sent = (await edits.client.get("/admin")).text, "sent a test page to bob over console"
    assert words(page).count(sent) == 100
    [older] = re.findall(r'href="/admin\?(cursor=[^"#]+)', page)
    assert words((await edits.client.get(f"/admin?{older}")).text).count(sent) == 1
    assert "Nothing found." in (await edits.client.get("/admin?user=alice")).text
    assert "Nothing found." in (await edits.client.get("/admin?to=2020-01-01T00:00")).text
    for query in ("from=x", "cursor=x", "from=2026-99-01T00:00"):
        answer = await edits.client.get(f"/admin?{query}")
        assert answer.status_code == 422 and 'role="alert"' in answer.text


async def test_the_audit_log_is_in_the_words_and_on_the_clock_of_its_reader(edits: Site) -> None:
    period = {"start": "2026-01-08T09:00:00+01:00", "end": "2026-01-08T10:00:00+01:00"}
    override = "/api/v1/schedules/primary/overrides"
    assert (await edits.client.post(override, json={"user": "bob", **period})).status_code == 201
    assert (await edits.client.post("/page", data={"title": "<b>x", "users": "bob"})).is_redirect
    old = audit.AuditEntry(at=edits.context.now(), what="Ended the <i>silence</i> 1.")
    await audit.add(edits.context.wire, old, 1000.0)
    edits.client.cookies.set("amproxy_zone", "Asia/Kathmandu")
    page = (await edits.client.get("/admin", headers={"Accept-Language": "ru"})).text
    assert "замена в расписании primary : bob , с чт, 8 янв., 13:45 до чт, 8 янв., 14:45" in words(
        page
    )
    assert "вызов вручную: #1 <b>x" in words(page) and "Ended the <i>silence</i> 1." in words(page)
    for link in ("/schedules/primary", "/people#person-bob", "/incidents/1"):
        assert f'<a href="{link}"' in page[page.index('id="audit"') :], link
    entries = (await edits.client.get("/api/v1/audit")).json()["entries"]
    assert (entries[0]["what"], entries[0]["code"]) == ("Ended the <i>silence</i> 1.", None)
    assert entries[1]["code"] == "audit.paged_by_hand"
    assert entries[1]["arguments"] == {"incident": 1, "title": "<b>x"}
    assert entries[2]["what"] == (
        "override of schedule primary: bob from 2026-01-08 08:00 UTC to 2026-01-08 09:00 UTC"
    )
    assert entries[2]["arguments"] == {
        "schedule": "primary",
        "people": ["bob"],
        "start": "2026-01-08T08:00:00.000Z",
        "end": "2026-01-08T09:00:00.000Z",
    }


async def test_heartbeats_are_shown(edits: Site, routes_file: Path) -> None:
    routes_file.write_text(
        routes_file.read_text("utf-8") + "heartbeats: [{name: backup, every: 1h}]\n", "utf-8"
    )
    await edits.client.post("/-/reload")
    await heartbeats.schedule_heartbeat_timers(edits.context)
    assert "backup never heard of well due in" in words((await edits.client.get("/admin")).text)
    await heartbeats.record_heartbeat(edits.context, "backup")
    assert "backup just now well due in" in words((await edits.client.get("/admin")).text)


async def test_the_api_says_how_redis_and_the_replicas_are(edits: Site) -> None:
    found = (await edits.client.get("/api/v1/redis")).json()
    assert (
        re.match(r"\d+\.", found["version"])
        and found["role"] == "master"
        and found["keys"] >= 0
        and found["all_keys_counted"]
    )
    assert found["aof"] is False and found["clients"] >= 1 and found["ping_ms"] > 0
    assert (await edits.client.get("/api/v1/replicas")).json() == []
    await outbox.join(edits.context.wire)
    await edits.context.wire.call(
        "XGROUP", "CREATECONSUMER", "amproxy:{0}:outbox", "deliver", "one"
    )
    assert (
        await edits.client.get("/api/v1/replicas")
    ).json() == []  # it is dead, and has left nothing
    await outbox.keep_alive(edits.context.wire, "one")
    [one] = (await edits.client.get("/api/v1/replicas")).json()
    assert one["name"] == "one" and one["alive"] and one["pending"] == 0
