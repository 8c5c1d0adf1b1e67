"""Search over incidents, people, schedules, policies and pages, and the menu beside it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from amproxy.store import incidents, removal
from amproxy.store.commit import commit
from amproxy.web.search.titles import LOOK_INTERVAL, MAX_CANDIDATES, IncidentTitles
from tests.support.web.website import Site


async def found(site: Site, text: str, **headers: str) -> list[tuple[str, str]]:
    answer = await site.client.get("/api/v1/search", params={"text": text}, headers=headers)
    assert answer.status_code == 200, answer.text
    return [(one["kind"], one["title"]) for one in answer.json()["found"]]


async def test_one_search_finds_incidents_people_schedules_policies_and_pages(site: Site) -> None:
    incident = await site.opened(title="Disk of db-4 is full")
    await site.opened(title="Latency of eu1")
    assert await found(site, "disk full") == [("incident", "Disk of db-4 is full")]
    assert await found(site, f"#{incident.number}") == [("incident", "Disk of db-4 is full")]
    assert await found(site, "ASH ali") == [("person", "Alice Ash")]
    assert await found(site, "platform") == [("schedule", "platform"), ("policy", "platform")]
    # by their team, after those whose own names have it
    assert await found(site, "ops") == [("person", "bob")]
    assert await found(site, "bob ops") == [("person", "bob")]
    assert await found(site, "Маршр", **{"Accept-Language": "ru"}) == [("page", "Маршруты")]
    # a page is found by its name in any language
    assert await found(site, "routes", **{"Accept-Language": "ru"}) == [("page", "Маршруты")]
    assert await found(site, "no such thing anywhere") == []
    answer = await site.client.get("/api/v1/search", params={"text": "disk"})
    assert answer.json()["found"][0] == {
        "kind": "incident",
        "title": "Disk of db-4 is full",
        "detail": f"#{incident.number}",
        "path": f"/incidents/{incident.id}",
        "state": "triggered",
    }


async def test_the_page_searches_without_scripts_and_escapes_what_it_finds(site: Site) -> None:
    incident = await site.opened(title="<b>Bold</b> disk")
    page = (await site.client.get("/search", params={"text": "bold"})).text
    assert f'href="/incidents/{incident.id}"' in page
    assert "&lt;b&gt;Bold" in page and "<b>Bold" not in page
    page = (await site.client.get("/search", params={"text": "<script>x"})).text
    assert "Nothing is found." in page and "<script>x" not in page
    assert "/incidents?state=triggered" in page, "the list looks through all incidents"
    # nothing sought: the pages, and the keys
    page = (await site.client.get("/search")).text
    assert all(f'href="{path}"><span' in page for path in ("/incidents", "/routes", "/page"))
    assert "The next incident" in page


async def test_open_incidents_come_before_resolved_ones_and_deleted_ones_are_gone(
    site: Site,
) -> None:
    _, second = await site.opened(title="Disk one"), await site.opened(title="Disk two")
    assert [title for _, title in await found(site, "disk")] == ["Disk two", "Disk one"]
    await site.client.post(f"/incidents/{second.id}/resolve", data={"epoch": "1"})
    assert [title for _, title in await found(site, "disk")] == ["Disk one", "Disk two"]
    wire = site.context.wire
    await commit(
        wire, await removal.removal_operations(wire, await incidents.load(wire, second.id))
    )
    assert [title for _, title in await found(site, "disk")] == ["Disk one"]


async def test_a_key_press_reads_few_incidents_however_many_there_are(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        await site.opened(title=f"Disk {number:02}")
    titles = IncidentTitles(site.context.wire)
    assert len(await titles.find(["disk"], None)) == MAX_CANDIDATES
    called: list[tuple[Any, ...]] = []
    call = site.context.wire.call

    def counted(*words: Any) -> Any:
        called.append(words)
        return call(*words)

    monkeypatch.setattr(site.context.wire, "call", counted)
    monkeypatch.setattr("amproxy.web.search.titles.time.monotonic", lambda: 0.0)
    titles._looked_at = 0.0
    [one] = await titles.find(["disk", "07"], None)
    assert one.title == "Disk 07"
    assert [words[0] for words in called] == ["HGET"], "only what is shown is read"
    called.clear()
    assert await titles.find(["nothing"], None) == [] and not called
    # later ones are found too, without reading the older again
    await site.opened(title="Disk new")
    called.clear()
    monkeypatch.setattr("amproxy.web.search.titles.time.monotonic", lambda: LOOK_INTERVAL)
    assert [one.title for one in await titles.find(["new"], None)] == ["Disk new"]
    assert len([words for words in called if words[0] == "HMGET"]) == 1


async def test_the_menu_has_two_groups(site: Site) -> None:
    page = (await site.client.get("/routes")).text
    [menu] = re.findall(r'<details id="menu".*?</details>', page, re.S)
    groups = re.findall(r'role="group" aria-label="([^"]*)">(.*?)</div>', menu, re.S)
    assert [name for name, _ in groups] == ["Work", "Set up"]
    work, set_up = (re.findall(r'href="([^"]*)"', links) for _, links in groups)
    assert work == ["/search", "/people", "/silences", "/insights", "/me"]
    assert set_up == ["/policies", "/routes", "/deliveries", "/sources", "/admin"]
