"""Answers on the wire: short, sent once, and only what changed; and nobody's page for anybody else."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import SignIn
from amproxy.model import Incident
from amproxy.store import sign_in
from amproxy.store.sign_in import ApiToken
from amproxy.web.app import build_web_app
from amproxy.web.http import page_cache, templates
from amproxy.web.http.live import GUESS, LiveHub
from amproxy.web.http.page_changes import Piece, find_changes, number_lines
from amproxy.web.http.templates import LIVE_HEADER, PageTemplates
from tests.support.waiting import PATIENCE
from tests.support.web.website import BASE, CONFIG, Site

GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
LIVE = {LIVE_HEADER: "0"}  # a drawing begun just now


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "DRAWING_SHARE", 1.0)


async def some_open(site: Site, number: int) -> None:
    for place in range(number):
        labels = {"alertname": f"HighCPU{place}", "instance": f"web-{place}:9100", "team": "ops"}
        await site.opened(title=f"HighCPU{place} on web-{place}", common_labels=labels)


def put_together(before: str, pieces: list[Any]) -> str:
    """The page as live.js puts it together."""
    lines = before.split("\n")
    return "\n".join(
        one if isinstance(one, str) else "\n".join(lines[one[0] : one[0] + one[1]])
        for one in pieces
    )


async def test_a_big_list_takes_few_bytes_on_the_wire(site: Site) -> None:
    await some_open(site, 100)
    plain = await site.client.get("/incidents", headers=PLAIN)
    short = await site.client.get("/incidents", headers=GZIP)
    assert len(plain.content) > 100_000
    assert int(short.headers["content-length"]) < 30_000
    assert short.headers["content-encoding"] == "gzip"
    assert short.text.count("<article") == plain.text.count("<article") == 100
    for page in (plain, short):
        assert {"Accept-Encoding", "Cookie"} <= set(page.headers["vary"].split(", "))


@pytest.mark.parametrize(
    "path", ["/incidents", "/api/v1/users", "/metrics", "/api/v1/openapi.json", "/static/style.css"]
)
async def test_pages_json_metrics_and_files_are_compressed(site: Site, path: str) -> None:
    plain = await site.client.get(path, headers=PLAIN)
    short = await site.client.get(path, headers=GZIP)
    assert "content-encoding" not in plain.headers
    assert short.headers["content-encoding"] == "gzip"
    assert int(short.headers["content-length"]) < len(plain.content) / 2


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "*;q=0", "gzip; q=0.0"])
async def test_who_does_not_take_gzip_gets_none(site: Site, accepted: str) -> None:
    page = await site.client.get("/incidents", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in page.headers and "<article" not in page.text


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*", "GZIP", "gzip;q=1.0"])
async def test_who_takes_gzip_gets_it(site: Site, accepted: str) -> None:
    page = await site.client.get("/incidents", headers={"Accept-Encoding": accepted})
    assert page.headers["content-encoding"] == "gzip"


async def test_what_shows_a_secret_is_never_compressed(site: Site) -> None:
    """Somebody who puts words beside it would see from the length how much of it they guessed."""
    paths = ["/schedules/platform", "/me", "/"]
    site.client.cookies.set("amproxy_user", "alice")
    for path in paths:
        page = await site.client.get(path, headers=GZIP)
        assert page.headers["content-encoding"] == "gzip", path
    await site.client.post("/me/calendar")
    await site.client.post("/schedules/platform/calendar")
    site.deps.console.write("A page: https://oncall.example.org/act/secret")
    for path in paths:
        page = await site.client.get(path, headers=GZIP)
        assert "/calendar/" in page.text or "/act/secret" in page.text, path
        assert "content-encoding" not in page.headers, path
        assert "no-store" in page.headers["cache-control"], path


@pytest.mark.parametrize("site_of_page", ["cross-site", "same-site"])
async def test_what_another_site_leads_to_is_not_compressed(site: Site, site_of_page: str) -> None:
    led = {"Sec-Fetch-Site": site_of_page, "Sec-Fetch-Mode": "navigate"}
    page = await site.client.get("/incidents?text=guess", headers={**GZIP, **led})
    assert page.status_code == 200 and "content-encoding" not in page.headers


@pytest.mark.parametrize("path", ["/api/v1/incidents", "/api/v1/users", "/api/v2/silences"])
async def test_an_answer_that_has_not_changed_is_not_sent_again(site: Site, path: str) -> None:
    await site.opened()
    tag = (await site.client.get(path)).headers["etag"]
    for asked in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
        same = await site.client.get(path, headers={"If-None-Match": asked})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    await site.opened(title="Another")
    other = await site.client.get(path, headers={"If-None-Match": tag})
    assert other.status_code == (200 if path == "/api/v1/incidents" else 304)


async def test_an_open_page_gets_nothing_until_something_happens_and_then_that(site: Site) -> None:
    await some_open(site, 30)
    first = await site.client.get("/incidents", headers=LIVE)
    tag = first.headers["etag"]
    site.clock[0] += 5.0  # ages and countdowns are the reader's own affair
    same = await site.client.get("/incidents", headers={**LIVE, "If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert float(same.headers["x-now"]) == site.clock[0]
    await site.opened(title="Fresh")
    some = await site.client.get("/incidents", headers={**LIVE, "If-None-Match": tag})
    assert some.headers["content-type"] == "application/vnd.amproxy.changes+json"
    assert len(some.content) < len(first.content) / 10
    whole = await site.client.get("/incidents", headers=LIVE)
    assert put_together(first.text, json.loads(some.content)) == whole.text
    assert "Fresh" in whole.text and some.headers["etag"] == whole.headers["etag"]


async def test_nobody_gets_changes_to_a_page_that_somebody_else_has(site: Site) -> None:
    await some_open(site, 3)
    tag = (await site.client.get("/incidents", headers=LIVE)).headers["etag"]
    for other in ({"Cookie": "amproxy_user=alice"}, {"Accept-Language": "ru"}):
        page = await site.client.get("/incidents", headers={**LIVE, "If-None-Match": tag, **other})
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    unknown = await site.client.get("/incidents", headers={**LIVE, "If-None-Match": 'W/"none"'})
    assert unknown.text.startswith("<!doctype html>")


async def test_a_page_without_scripts_shows_ages_in_words(site: Site) -> None:
    await site.opened()
    site.clock[0] += 120
    page = (await site.client.get("/incidents")).text
    assert ">2 min ago</time>" in page and "<?" not in page
    assert f'data-now="{site.clock[0]}"' in page
    live = (await site.client.get("/incidents", headers=LIVE)).text
    assert ">2 min ago<" not in live and "<?" not in live


async def test_parts_that_are_kept_show_nobody_a_right_of_somebody_else(site: Site) -> None:
    await site.opened(title="Kept")
    assert "Acknowledge" in (await site.client.get("/incidents")).text
    assert (
        "Принять" in (await site.client.get("/incidents", headers={"Accept-Language": "ru"})).text
    )
    config = msgspec.structs.replace(CONFIG, sign_in=SignIn(passwords=True))
    site.context.use_config(config)
    for scope, may_act in (("respond", True), ("read", False), ("respond", True)):
        token = ApiToken(id=f"{scope}{may_act}", name="", scopes=(scope,), made=site.context.now())
        secret = await sign_in.create_token(site.context.wire, token)
        headers = {"Authorization": f"Bearer {secret}"}
        page = (await site.client.get("/incidents", headers=headers)).text
        assert "Kept" in page and ("acknowledge-" in page) == may_act


async def test_readers_who_see_the_same_cost_one_drawing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    draw = PageTemplates.page

    async def counted(
        self: PageTemplates, request: Any, template: str, *rest: Any, **more: Any
    ) -> Any:
        drawn.append(template)
        return await draw(self, request, template, *rest, **more)

    monkeypatch.setattr(PageTemplates, "page", counted)
    ages = {LIVE_HEADER: "60000"}
    pages = await asyncio.gather(*(site.client.get("/", headers=ages) for _ in range(40)))
    assert {page.status_code for page in pages} == {200} and drawn == ["now.html"]
    others = [{**ages, "Cookie": "amproxy_user=bob"}, {**ages, "Accept-Language": "ru"}]
    await asyncio.gather(*(site.client.get("/", headers=one) for one in others for _ in range(5)))
    assert drawn == ["now.html"] * 3


async def test_the_time_that_a_kind_of_page_takes_is_measured(site: Site) -> None:
    await some_open(site, 10)
    await site.client.get("/incidents", headers=LIVE)
    await site.client.get("/silences", headers=LIVE)
    costs = site.deps.hub.costs
    assert costs.of("/incidents") != costs.of("/silences")
    assert GUESS not in (costs.of("/incidents"), costs.of("/never-drawn"))


async def test_readers_of_a_dear_page_are_told_together_and_others_after_its_drawing() -> None:
    hub, told = LiveHub(), list[str]()
    hub.costs.add("/dear", 0.05)

    async def follow(name: str, kind: str) -> None:
        async for _ in hub.listen(name, kind):
            told.append(name)

    readers = [asyncio.create_task(follow(name, "/dear")) for name in ("a", "b", "a", "b", "a")]
    await asyncio.sleep(0)
    hub.publish("incident x")
    async with asyncio.timeout(PATIENCE):
        while len(told) < 5:
            await asyncio.sleep(0.01)
    assert told in (["a", "a", "a", "b", "b"], ["b", "b", "a", "a", "a"])
    assert hub.age() >= 0.45, "a tenth of the time is for pages: the second was told at once"
    hub.close()
    await asyncio.gather(*readers)


async def test_a_page_that_is_drawn_leaves_nothing_for_the_collector(site: Site) -> None:
    await some_open(site, 20)
    await site.client.get("/incidents")
    gc.collect()
    before = sum(isinstance(one, Incident) for one in gc.get_objects())
    gc.disable()
    try:
        await site.client.get("/incidents")
        left = sum(isinstance(one, Incident) for one in gc.get_objects()) - before
    finally:
        gc.enable()
    assert left <= 0


async def test_templates_are_compiled_beside_the_loop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    real = asyncio.to_thread

    async def watched(function: Any, *arguments: Any) -> Any:
        if function.__name__ == "_compile":
            compiled.append(arguments[0])
        return await real(function, *arguments)

    monkeypatch.setattr(templates.asyncio, "to_thread", watched)
    transport = httpx.ASGITransport(build_web_app(site.deps))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        for _ in range(2):
            await client.get("/people")
    assert compiled == ["people.html"]


LINES = st.lists(st.sampled_from(["", "a", "b", "c", "</div>", "d e", "ü"]), max_size=12)


@given(LINES, LINES)
def test_changes_put_the_page_together_whatever_changed(
    before: list[str], after: list[str]
) -> None:
    old, new = "\n".join(before), "\n".join(after)
    pieces: list[Piece] = find_changes(number_lines(old), new)
    assert put_together(old, pieces) == new
