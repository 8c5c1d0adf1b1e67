"""People, teams and schedules made and changed by forms, as a browser without scripts does it, with a real file."""

from __future__ import annotations

import html
import re
from pathlib import Path

import httpx
import pytest

from tests.support.web.edited import FILE, form, signed_in, words
from tests.support.web.website import Site

PERSON, TEAM, SCHEDULE = "/change/person", "/change/team", "/change/schedule"


async def change(site: Site, path: str, entry: str = "", **typed: object) -> httpx.Response:
    """What the preview of a form says once it is filled in."""
    page = await site.client.get(path, params={"name": entry} if entry else {})
    assert page.status_code == 200, page.text
    return await site.client.post(path, data={**form(page.text, path), **typed, "do": "preview"})


async def apply(site: Site, preview: httpx.Response) -> httpx.Response:
    assert preview.status_code == 200, words(preview.text)
    return await site.client.post("/change/apply", data=form(preview.text, "/change/apply"))


async def test_a_form_that_is_sent_back_as_it_is_changes_nothing(edits: Site) -> None:
    for path, entry in ((PERSON, "alice"), (PERSON, "bob"), (TEAM, "ops")):
        preview = await change(edits, path, entry)
        assert preview.status_code == 200 and 'action="/change/apply"' not in preview.text


async def test_contacts_and_rules_are_changed_by_form_and_comments_stay(
    edits: Site, routes_file: Path
) -> None:
    preview = await change(
        edits,
        PERSON,
        "alice",
        channel=["email", "console", "phone"],
        address=["alice@example.org", "here", "+49 30 1"],
        **{
            "default-what": ["console", "wait", "email"],
            "default-length": ["", "7m", ""],
            "holidays": "DE-BY",
        },
    )
    assert "Alice Ash" in FILE and routes_file.read_text() == FILE
    assert (await apply(edits, preview)).status_code == 303
    alice = edits.context.config.users["alice"]
    assert list(alice.contacts.items()) == [
        ("console", "here"),
        ("email", "alice@example.org"),
        ("phone", "+49 30 1"),
    ]
    assert [rule.__class__.__name__ for rule in alice.notification_rules["default"]] == [
        *("Notify", "Wait", "Notify"),
    ]
    assert alice.holidays == "DE-BY" and alice.full_name == "Alice Ash"
    assert "# Mondays" in routes_file.read_text() and "# then the rest" in routes_file.read_text()


async def test_a_person_and_a_team_are_created_by_form(edits: Site) -> None:
    made = await change(
        edits, PERSON, **{"name": "eve/net", "channel": ["console"], "address": ["e"]}
    )
    assert (await apply(edits, made)).status_code == 303
    assert edits.context.config.users["eve/net"].contacts == {"console": "e"}
    team = await change(edits, TEAM, **{"name": "net", "members": ["bob", "eve/net"]})
    assert (await apply(edits, team)).status_code == 303
    assert edits.context.config.teams["net"].members == ("bob", "eve/net")
    members = await change(edits, TEAM, "net", members=["eve/net", "alice"])
    assert (await apply(edits, members)).status_code == 303
    assert edits.context.config.teams["net"].members == ("eve/net", "alice")


@pytest.mark.parametrize(
    ("path", "typed", "said"),
    [
        (PERSON, {"name": "alice"}, "alice"),
        (PERSON, {"name": "new", "timezone": "Mars"}, "no time zone"),
        (PERSON, {"name": "new", "holidays": "Mars"}, "no holidays"),
        (PERSON, {"name": " "}, "name"),
        (TEAM, {"name": "ops", "members": ["bob"]}, "ops"),
    ],
)
async def test_what_the_file_refuses_is_said_on_the_form_with_what_was_typed(
    edits: Site, routes_file: Path, path: str, typed: dict[str, object], said: str
) -> None:
    answer = await change(edits, path, **{**typed, "address": ["kept"], "channel": ["console"]})
    assert answer.status_code == 422 and said in words(answer.text)
    assert 'role="alert"' in answer.text and routes_file.read_text() == FILE
    assert path == TEAM or 'value="kept"' in answer.text


async def test_only_admins_add_people_and_teams_and_each_changes_themselves(edits: Site) -> None:
    async with signed_in(edits, user="alice", role="responder", teams=frozenset({"ops"})) as alice:
        for address in (PERSON, TEAM, f"{PERSON}?name=bob"):  # led to the page that shows them
            assert (await alice.get(address)).headers["location"] == "/people"
        assert (await alice.get(PERSON, params={"name": "alice"})).status_code == 200
        assert (await alice.get(TEAM, params={"name": "ops"})).status_code == 200
        refused = {"entry": "", "name": "eve", "do": "preview"}
        assert (await alice.post(PERSON, data=refused)).status_code == 403
        forged = {"change": '{"section":"users","set":{"name":"eve"}}', "digest": ""}
        assert (await alice.post("/change/apply", data=forged)).status_code == 403
        people = (await alice.get("/people")).text
        assert people.count('href="/change/person') == 1 and people.count('"/change/team?') == 1


async def test_a_schedule_is_created_with_the_preview_that_layers_have(
    edits: Site, routes_file: Path
) -> None:
    fields = {
        "name": "db/nights",
        "team": "ops",
        "timezone": "Europe/Berlin",
        "0.name": "nights",
        "0.turn.0": "alice",
        "0.turn.1": "bob",
        "0.every": "1d",
        "0.start": "2026-01-05T20:00",
        "0.origin": "-1",
    }
    assert 'href="/change/schedule"' in (await edits.client.get("/schedules")).text
    assert (await edits.client.get(SCHEDULE)).status_code == 200
    added = await edits.client.post(SCHEDULE, data={**fields, "do": "add-turn:0"})
    assert 'name="0.turn.2"' in added.text and 'value="db/nights"' in added.text
    shown = await edits.client.post(SCHEDULE, data={**fields, "do": "preview"})
    assert 'class="row after"' in shown.text and routes_file.read_text() == FILE
    assert "Alice Ash" in html.unescape(shown.text) and "+  - name: db/nights" in shown.text
    hidden = dict(re.findall(r'name="(seen|digest)" value="(\w+)"', shown.text))
    saved = await edits.client.post(SCHEDULE, data={**fields, **hidden, "do": "save"})
    assert saved.headers["location"] == "/schedules/db%2Fnights"
    made = edits.context.config.schedules["db/nights"]
    assert (made.team, made.timezone) == ("ops", "Europe/Berlin")
    again = await edits.client.post(SCHEDULE, data={**fields, "do": "preview"})
    assert 'id="do-save"' not in again.text and "db/nights" in words(again.text)
    wrong = {**fields, "timezone": "Mars", "do": "preview"}
    refused = await edits.client.post(SCHEDULE, data=wrong)
    assert refused.status_code == 422 and "Mars" in words(refused.text)
