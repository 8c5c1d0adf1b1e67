"""The page of insights: one sentence, plots with their numbers, filters in the address."""

from __future__ import annotations

import re

import pytest

from amproxy.model import Page
from tests.support.web.pages import BIDI, LONG, SCRIPT, Tags, plain
from tests.support.web.website import NOW, Site

DAY = 86400.0
NIGHT = (
    9 * 3600.0
)  # seconds before NOW at which it is 1:00 in UTC, 2:00 in Berlin and 5:00 in Tbilisi


async def past(
    site: Site,
    title: str = "Disk",
    *,
    days: float = 1.0,
    user: str = "bob",
    team: str = "",
    itself: bool = False,
) -> None:
    """An incident that is over, with one page, in the night some days ago."""
    at = NOW - days * DAY - NIGHT
    await site.opened(
        title=title,
        group="g",
        team=team,
        state="resolved",
        started_at=at,
        group_labels={"alertname": title},
        resolved_at=at + 100,
        resolved_by="source" if itself else user,
        acknowledged_by="" if itself else user,
        acknowledged_at=None if itself else at + 42,
        pages=[
            Page(
                id=f"{title[:20]}{days}",
                user=user,
                channel="console",
                policy="platform",
                step=1,
                due=at,
                state="sent",
                sent_at=at,
            )
        ],
    )


async def test_a_team_lead_reads_what_matters_in_one_sentence(site: Site) -> None:
    for day in range(1, 8):
        await past(site, "CheckoutLatency" if day % 2 else "Disk", days=day, itself=bool(day % 2))
    page = plain((await site.client.get("/insights")).text)
    assert (
        "bob was woken in 7 nights; CheckoutLatency is 57% of all pages and mostly ends by itself; 4 of 7 incidents"
        in page
    )
    russian = plain((await site.client.get("/insights", headers={"Accept-Language": "ru"})).text)
    assert (
        "bob: 7 ночей с вызовами; CheckoutLatency: 57% всех вызовов, и обычно проходит само"
        in russian
    )


async def test_every_plot_has_its_numbers_and_a_way_to_a_spreadsheet(site: Site) -> None:
    for day in (1, 2, 2.01, 20):
        await past(site, days=day)
    page = (await site.client.get("/insights?zone=Asia/Tbilisi")).text
    for path in re.findall(r'href="(/api/v1/insights/[^"]+)"', page):
        answer = await site.client.get(path.replace("&amp;", "&"))
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(
            "text/csv"
        ), path
    assert {"days", "hours", "people", "alerts", "teams", "policies"} == set(
        re.findall(r"/insights/(\w+)\.csv\?", page)
    )
    assert page.count("<svg") == page.count("</svg>") >= 7
    assert "4 incidents" in plain(page) and "42 s 9 of 10: 42 s" in plain(page)


async def test_what_is_looked_at_stands_in_the_address(site: Site) -> None:
    await past(site, "Mine", team="db", days=3)
    await past(site, "Other", team="web", user="alice", days=3)
    await past(site, "Old", team="db", days=60)

    async def named(query: str) -> set[str]:
        page = (await site.client.get(f"/insights?{query}")).text
        return {name for name in ("Mine", "Other", "Old") if f">{name}<" in page}

    assert await named("") == {"Mine", "Other"}
    assert await named("span=90d") == {"Mine", "Other", "Old"}
    assert await named("span=90d&team=db") == {"Mine", "Old"}
    assert await named("user=alice") == {"Other"}
    assert await named("policy=careful") == set()
    assert await named("span=7d&from=2025-10-01T00:00&to=2025-12-01T00:00") == {"Old"}, (
        "a beginning goes before a length"
    )
    assert 'value="90d" selected' in (await site.client.get("/insights?span=90d")).text


async def test_every_figure_leads_to_its_incidents_and_stands_beside_the_period_before(
    site: Site,
) -> None:
    for day in (1, 1.01, 2):
        await past(site, days=day, team="db")
    await past(site, "Other", days=1.02, team="web")
    await past(site, "Earlier", days=9)
    page = (await site.client.get("/insights?span=7d&zone=Asia/Tbilisi")).text
    assert "4 incidents before: 1" in plain(page)
    counted = {}
    for query in re.findall(r'href="/incidents\?(state=[^"]+from=[^"]+)"', page):
        address = f"/api/v1/incidents?{query.replace('&amp;', '&')}"
        counted[query] = len((await site.client.get(address)).json()["incidents"])
    # all of them; each day as bar and in the table; each team; the policy
    assert sorted(counted.values()) == [1, 1, 3, 3, 4, 4]
    assert [day for query, day in counted.items() if "team=db" in query] == [3]
    bar = "5 Jan: incidents 3, pages 3"
    assert f'aria-label="{bar}"' in page and f"<title>{bar}</title>" in page


@pytest.mark.parametrize(
    "query",
    [
        "zone=Europe",
        "span=x",
        "span=0",
        "from=x",
        "from=2026-01-05T10:00&to=2026-01-04T10:00",
        "span=20y",
    ],
)
async def test_what_cannot_be_looked_at_is_said_and_the_form_stays(site: Site, query: str) -> None:
    answer = await site.client.get(f"/insights?{query}")
    assert (
        answer.status_code == 422 and 'role="alert"' in answer.text and 'id="filter"' in answer.text
    )
    assert (await site.client.get(f"/api/v1/insights?{query}")).status_code == 422


async def test_nothing_to_look_at_is_said(site: Site) -> None:
    assert "There was no incident in this time." in (await site.client.get("/insights")).text


@pytest.mark.parametrize("evil", [SCRIPT, BIDI, LONG], ids=["script", "bidi", "long"])
async def test_hostile_names_of_alerts_are_harmless(site: Site, evil: str) -> None:
    for day in range(1, 7):
        await past(site, evil, days=day, team=evil[:300], user=evil[:300])
    answer = await site.client.get("/insights")
    tags = Tags()
    tags.feed(answer.text)
    assert len([tag for tag, _ in tags.seen if tag == "script"]) == 3
    assert not [
        tag
        for tag, attributes in tags.seen
        if any(name.startswith("on") or name == "style" for name in attributes)
    ]
    assert not [tag for tag, _ in tags.seen if tag == "img"] and not set(
        "\u202e\u2066\x00\x1b"
    ) & set(answer.text)
    assert len(answer.text) < 80_000
