"""Absences by hand, and the lists of what the file says, over the API."""

from __future__ import annotations

from datetime import datetime

import pytest
from msgspec.structs import replace

from amproxy.config.structs import Absence, Override
from tests.support.web.website import Site

URL = "/api/v1/users/alice/absences"
AWAY = {
    "start": "2026-01-06T10:00",
    "end": "2026-01-07T10:00",
}  # of Berlin, where alice lives: one hour less in UTC


async def on_call(site: Site, at: str) -> tuple[list[str], str]:
    answer = (await site.client.get("/api/v1/oncall", params={"at": at})).json()[0]
    return answer["users"], answer["reason"]


async def test_an_absence_by_hand_is_on_the_persons_clock_and_holds_at_once(site: Site) -> None:
    answer = await site.client.post(URL, json={**AWAY, "reason": "ill"})
    assert answer.status_code == 201
    made = answer.json()
    absence_id = made.pop("id")
    assert made == {
        "user": "alice",
        "start": "2026-01-06T09:00:00.000Z",
        "end": "2026-01-07T09:00:00.000Z",
        "reason": "ill",
    }
    assert (await site.client.get(URL)).json() == [{"id": absence_id, **made}]
    assert await on_call(site, "2026-01-06T09:00:00Z") == (["bob"], "layer weekly, alice absent")
    assert await on_call(site, "2026-01-07T09:00:00Z") == (["alice"], "layer weekly")
    assert (await site.client.delete(f"{URL}/{absence_id}")).status_code == 204
    assert await on_call(site, "2026-01-06T09:00:00Z") == (["alice"], "layer weekly")
    assert (await site.client.delete(f"{URL}/{absence_id}")).status_code == 404


async def test_an_absence_is_not_deleted_through_another_person(site: Site) -> None:
    made = (await site.client.post(URL, json=AWAY)).json()
    assert (await site.client.delete(f"/api/v1/users/bob/absences/{made['id']}")).status_code == 404
    assert len((await site.client.get(URL)).json()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"end": AWAY["start"]},
        {"end": "2026-01-06T09:00"},
        {"start": "soon"},
        {"start": None},
        {"extra": 1},
    ],
)
async def test_an_absence_that_makes_no_sense_is_refused(
    site: Site, wrong: dict[str, object]
) -> None:
    assert (await site.client.post(URL, json={**AWAY, **wrong})).status_code == 422
    assert (await site.client.get(URL)).json() == []


async def test_a_person_who_is_not_in_the_file_is_not_found(site: Site) -> None:
    for answer in (
        await site.client.get("/api/v1/users/eve/absences"),
        await site.client.post("/api/v1/users/eve/absences", json=AWAY),
    ):
        assert answer.status_code == 404


async def test_lists_begin_with_what_the_file_says(site: Site) -> None:
    start, end = datetime(2026, 2, 1), datetime(2026, 2, 2)
    config = site.context.config
    alice = replace(
        config.users["alice"], absences=(Absence(start=start, end=end, reason="holidays"),)
    )
    platform = replace(
        config.schedules["platform"], overrides=(Override(users=("bob",), start=start, end=end),)
    )
    site.context.use_config(
        replace(
            config,
            users={**config.users, "alice": alice},
            schedules={**config.schedules, "platform": platform},
        )
    )
    absence = (await site.client.post(URL, json=AWAY)).json()
    override = (
        await site.client.post("/api/v1/schedules/platform/overrides", json={"user": "bob", **AWAY})
    ).json()
    span = {"start": "2026-01-31T23:00:00.000Z", "end": "2026-02-01T23:00:00.000Z"}
    assert (await site.client.get(URL)).json() == [
        {"id": None, "user": "alice", **span, "reason": "holidays"},
        absence,
    ]
    planned = {"id": None, "schedule": "platform", "user": "bob", **span, "reason": None}
    assert (await site.client.get("/api/v1/schedules/platform/overrides")).json() == [
        planned,
        override,
    ]
