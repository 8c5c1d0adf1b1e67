"""The page of whoever reads it, and its forms."""

from __future__ import annotations

import re

import httpx
import msgspec

from amproxy.config.structs import SignIn
from amproxy.store import calendars, schedule_changes, sign_in
from amproxy.store.calendars import Feed
from amproxy.store.sign_in import Session
from tests.support.web.edited import signed_in, words
from tests.support.web.website import Site


async def as_alice(site: Site) -> httpx.AsyncClient:
    assert (await site.client.post("/me", data={"user": "alice", "back": "/me"})).headers[
        "location"
    ] == "/me"
    return site.client


async def test_where_nobody_is_chosen_the_page_says_so_and_offers_the_choice(edits: Site) -> None:
    page = (await edits.client.get("/me")).text
    assert (
        "Say who you are" in page and '<option value="bob">' in page and "a@example.org" not in page
    )
    assert "<h1><bdi>Alice Ash</bdi></h1>" in (await (await as_alice(edits)).get("/me")).text


async def test_somebody_sees_their_shifts_contacts_and_rules_and_nobody_elses(edits: Site) -> None:
    said = words((await (await as_alice(edits)).get("/me")).text)
    assert "You are on call primary until Mon 12 Jan 00:00" in said
    assert "Mon 19 Jan 00:00 to Mon 26 Jan 00:00" in said and "Mon 12 Jan 00:00 to" not in said
    assert (
        "console here not tried yet" in said
        and "email a@example.org" in said
        and "there" not in said.split()
    )
    assert (
        "Over console Wait 5 min Over email" in said
        and "Quiet hours none" in said
        and "/start" in said
    )


async def test_open_incidents_and_swaps_that_wait_are_shown(edits: Site) -> None:
    client = await as_alice(edits)
    incident = await edits.opened("main", title="<b>down")
    wish = {
        "user": "bob",
        "start": "2026-01-13T00:00:00Z",
        "end": "2026-01-14T00:00:00Z",
        "reason": "<i>wedding",
    }
    swap = (await client.post("/api/v1/schedules/primary/swaps", json=wish)).json()
    page = (await client.get("/me")).text
    assert f"/incidents/{incident.id}" in page and "<b>down" not in page
    assert (
        f'action="/schedules/primary/swaps/{swap["id"]}/take"' in page
        and "&lt;i&gt;wedding" in page
    )
    await client.post(f"/api/v1/incidents/{incident.id}/resolve", json={"user": "alice"})
    assert f"/incidents/{incident.id}" not in (await client.get("/me")).text
    assert (
        await client.post(f"/schedules/primary/swaps/{swap['id']}/take", data={"user": "alice"})
    ).status_code == 303
    assert "/take" not in (await client.get("/me")).text


async def test_a_calendar_address_is_made_shown_works_and_is_revoked(edits: Site) -> None:
    client = await as_alice(edits)
    assert (await client.post("/me/calendar")).headers["location"] == "/me#calendar"
    found = re.search(
        r"https://oncall\.example\.org(/calendar/[\w-]+\.ics)", (await client.get("/me")).text
    )
    assert found and (await client.get(found[1])).status_code == 200
    assert (await client.post("/me/calendar/delete")).status_code == 303
    assert (await client.get(found[1])).status_code == 404 and await calendars.load_feed_token(
        edits.context.wire, Feed("user", "alice")
    ) is None


async def test_absences_and_test_pages_are_asked_for_and_nonsense_is_said(edits: Site) -> None:
    client = await as_alice(edits)
    days = {"start": "2026-01-07T09:00", "end": "2026-01-08T09:00", "reason": "<b>ill"}
    assert (await client.post("/me/absences", data=days)).headers["location"] == "/me#away"
    page = (await client.get("/me")).text
    assert "Wed 7 Jan 09:00 to Thu 8 Jan 09:00" in words(page) and "<b>ill" not in page
    [made] = (await schedule_changes.load_absences(edits.context.wire))["alice"]
    assert (await client.post(f"/me/absences/{made.id}/delete")).status_code == 303
    assert await schedule_changes.load_absences(edits.context.wire) == {}
    for path, fields in (
        ("absences", {}),
        ("absences", {"start": "x", "end": "y"}),
        ("test", {"channel": "fax"}),
    ):
        answer = await client.post(f"/me/{path}", data=fields)
        assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert (await client.post("/me/test")).headers["location"] == "/me?done=test#reached"
    assert (await client.get("/me/test")).headers["location"] == "/me"


async def test_nobody_in_particular_changes_nothing(edits: Site) -> None:
    for path in (
        "test",
        "absences",
        "calendar",
        "calendar/delete",
        "sessions/delete",
        "sessions/x/delete",
    ):
        assert (await edits.client.post(f"/me/{path}")).status_code == 403


async def test_sessions_are_ones_own_and_can_be_ended_by_a_viewer(edits: Site) -> None:
    edits.context.use_config(
        msgspec.structs.replace(edits.context.config, sign_in=SignIn(passwords=True))
    )
    wire, now = edits.context.wire, edits.context.now()
    users = {**edits.context.config.users}
    users["alice"] = msgspec.structs.replace(users["alice"], role="viewer")
    edits.context.use_config(msgspec.structs.replace(edits.context.config, users=users))

    async def begin(user: str, agent: str) -> str:
        return await sign_in.create_session(
            wire,
            Session(user=user, way="password", made=now, ends=now + 3600, seen=now, agent=agent),
        )

    here, *_ = [await begin("alice", agent) for agent in ("Firefox", "Phone", "<b>Old")]
    await begin("bob", "of bob")
    cookie = {
        "Cookie": f"__Host-amproxy_session={here}",
        "Origin": "https://oncall.example.org",
        "Host": "oncall.example.org",
    }
    page = (await edits.client.get("/me", headers=cookie)).text
    assert (
        "This browser" in page
        and "&lt;b&gt;Old" in page
        and "of bob" not in page
        and "/people/alice/test" not in page
    )
    assert "/me/test" not in page and "/me/absences" not in page and "/admin" not in page
    assert (await edits.client.post("/me/test", headers=cookie)).status_code == 403
    [_, other] = re.findall(r"/me/sessions/(\w{16})/delete", page)
    assert (
        await edits.client.post(f"/me/sessions/{other}/delete", headers=cookie)
    ).status_code == 303
    assert len(await sign_in.load_sessions(wire, "alice")) == 2
    assert (await edits.client.post("/me/sessions/delete", headers=cookie)).status_code == 303
    assert [one.id for one in await sign_in.load_sessions(wire, "alice")] == [
        sign_in.session_list_id(here)
    ]
    assert len(await sign_in.load_sessions(wire, "bob")) == 1


async def test_the_page_follows_the_person_whose_session_it_is(edits: Site) -> None:
    edits.context.use_config(
        msgspec.structs.replace(edits.context.config, sign_in=SignIn(passwords=True))
    )
    async with signed_in(edits, user="bob", role="responder") as client:
        client.cookies.set("amproxy_user", "alice")
        answer = await client.get(
            "/me"
        )  # the gate sees no session, and the cookie of choice means nothing
        assert answer.status_code == 303 and "a@example.org" not in answer.text
