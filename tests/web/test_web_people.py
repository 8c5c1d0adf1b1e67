"""The page of teams and people, and its forms."""

from __future__ import annotations

from amproxy.store import schedule_changes
from tests.support.web.edited import signed_in, words
from tests.support.web.website import Site


async def test_people_are_shown_with_their_duties_channels_and_rules(edits: Site) -> None:
    said = words((await edits.client.get("/people")).text)
    assert "ops Members Alice Ash Schedules primary Policies main" in said
    assert (
        "on call for primary until Mon 12 Jan 00:00" in said
        and "on call for primary from Mon 12 Jan 00:00" in said
    )
    assert "Over console Wait 5 min Over email" in said and "console not tried yet" in said
    assert "a@example.org" not in said


async def test_an_absence_is_added_and_taken_back(edits: Site) -> None:
    added = await edits.client.post(
        "/people/bob/absences",
        data={"start": "2026-01-07T09:00", "end": "2026-01-08T09:00", "reason": "<b>ill"},
    )
    assert added.status_code == 303 and added.headers["location"] == "/people#person-bob"
    page = (await edits.client.get("/people")).text
    assert (
        "Wed 7 Jan 09:00 to Thu 8 Jan 09:00" in words(page)
        and "<b>ill" not in page
        and "&lt;b&gt;ill" in page
    )
    [made] = (await schedule_changes.load_absences(edits.context.wire))["bob"]
    assert (await edits.client.post(f"/people/bob/absences/{made.id}/delete")).status_code == 303
    assert await schedule_changes.load_absences(edits.context.wire) == {}


async def test_an_absence_that_makes_no_sense_is_said_on_the_page(edits: Site) -> None:
    for fields in (
        {},
        {"start": "2026-01-08T09:00", "end": "2026-01-07T09:00"},
        {"start": "x", "end": "y"},
    ):
        answer = await edits.client.post("/people/bob/absences", data=fields)
        assert answer.status_code == 422 and 'role="alert"' in answer.text
        typed = [value for value in fields.values() if f'value="{value}"' not in answer.text]
        assert not typed, "what was typed is gone"
    assert (await edits.client.post("/people/nobody/absences", data={})).status_code == 404


async def test_absences_stand_on_the_clock_on_which_they_are_typed(site: Site) -> None:
    site.client.cookies.set("amproxy_user", "alice")  # Berlin; bob lives three hours ahead
    times = {"start": "2026-01-07T09:00", "end": "2026-01-08T09:00"}
    assert (await site.client.post("/people/bob/absences", data=times)).status_code == 303
    said = words((await site.client.get("/people")).text)
    assert "Times on the clock of Tbilisi." in said
    assert "Wed 7 Jan 09:00 (Tbilisi) to Thu 8 Jan 09:00 (Tbilisi)" in said


async def test_a_test_page_is_sent(edits: Site) -> None:
    answer = await edits.client.post("/people/alice/test")
    assert answer.status_code == 303 and "sent=alice" in answer.headers["location"]
    assert (
        "A test page to Alice Ash is on its way"
        in (await edits.client.get(answer.headers["location"])).text
    )
    assert (
        "has no contact &#39;fax&#39;"
        in (await edits.client.post("/people/alice/test", data={"channel": "fax"})).text
    )


async def test_who_may_not_change_sees_no_buttons_for_it(edits: Site) -> None:
    async with signed_in(edits, user="bob", role="viewer") as client:
        page = (await client.get("/people")).text
        assert 'action="/people/' not in page
        assert (await client.post("/people/bob/test")).status_code == 403
        assert (await client.post("/people/bob/absences", data={})).status_code == 403
    async with signed_in(edits, user="bob", role="responder") as client:
        page = (await client.get("/people")).text
        assert "/people/bob/absences" in page and "/people/alice/absences" not in page
