"""Pages of what a large company has much of: so much is drawn as fits, and all of it is found."""

from __future__ import annotations

import re

import msgspec
import pytest

from amproxy.config.structs import Receiver, Route, Schedule, User
from amproxy.labels.matchers import Matcher
from amproxy.model import Silence
from amproxy.oncall.reachable import person_reachability
from amproxy.respond.muting import put_silence
from amproxy.web.schedules.page import LISTED_SCHEDULES
from tests.support.oncall.rosters import layer
from tests.support.web.muted import push
from tests.support.web.website import CONFIG, NOW, Site

PEOPLE = {f"person-{number:02}": User(name=f"person-{number:02}") for number in range(70)}
SCHEDULES = {
    f"rota-{number:02}": Schedule(
        name=f"rota-{number:02}",
        layers=(layer("weekly", f"person-{number:02}"),) if number % 7 else (),
    )
    for number in range(60)
}


def use(site: Site, **changes: object) -> None:
    site.context.use_config(msgspec.structs.replace(CONFIG, **changes))


async def get(site: Site, path: str, **query: str) -> str:
    answer = await site.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


def plain(page: str) -> str:
    return re.sub(r"<[^>]+>", "", page)


def strips(page: str) -> list[str]:
    return re.findall(r'href="/schedules/(rota-\d+)"', page)


async def test_a_page_of_schedules_holds_so_many_and_leads_to_the_others(site: Site) -> None:
    use(site, users=PEOPLE, schedules=SCHEDULES)
    first = await get(site, "/schedules", zone="Europe/Berlin")
    assert strips(first) == list(SCHEDULES)[:LISTED_SCHEDULES]
    assert "1–25 of 60" in first and 'rel="prev"' not in first
    assert 'href="/schedules?zone=Europe%2FBerlin&amp;page=2"' in first
    second = await get(site, "/schedules", page="2")
    assert strips(second) == list(SCHEDULES)[25:50] and "26–50 of 60" in second
    last = await get(site, "/schedules", page="9")
    assert strips(last) == list(SCHEDULES)[50:] and 'rel="next"' not in last
    for odd in ("0", "-1", "x", "9" * 30, "²"):
        assert strips(await get(site, "/schedules", page=odd))


async def test_a_schedule_is_found_by_its_name_and_by_who_is_on_call(site: Site) -> None:
    use(site, users=PEOPLE, schedules=SCHEDULES)
    assert strips(await get(site, "/schedules", text="A-41")) == ["rota-41"]
    assert strips(await get(site, "/schedules", text="PERSON-55")) == ["rota-55"]
    nothing = await get(site, "/schedules", text='"><b>')
    assert strips(nothing) == [] and "Nothing has this text." in nothing and "<b>" not in nothing


async def test_few_schedules_need_no_search(site: Site) -> None:
    assert 'class="find"' not in await get(site, "/schedules")


async def test_the_first_page_shows_ones_own_schedules_and_gaps_before_others(site: Site) -> None:
    use(site, users=PEOPLE, schedules=SCHEDULES)
    site.client.cookies.set("amproxy_user", "person-59")
    page = await get(site, "/")
    shown = re.findall(r"<h3>(rota-\d+)</h3>", page)
    gaps = [name for name, one in SCHEDULES.items() if not one.layers]
    assert shown[0] == "rota-59" and shown[1 : 1 + len(gaps)] == gaps and len(shown) == 30
    assert "All 60 schedules" in page
    # however many are shown, nobody who cannot be reached is left out
    assert page.count("rota-58") == 1 and "person-58" in page


async def test_a_page_asks_only_for_the_people_whom_it_shows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(site, users=PEOPLE, schedules={})
    asked = list[str]()

    def counted(config: object, user: User, outcomes: object) -> object:
        asked.append(user.name)
        return person_reachability(config, user, outcomes)  # type: ignore[arg-type]

    monkeypatch.setattr("amproxy.oncall.reachable.person_reachability", counted)
    await get(site, "/")
    assert asked == []
    await get(site, "/people")
    assert len(asked) == 50


async def test_people_beyond_a_page_have_a_line_that_links_lead_to(site: Site) -> None:
    use(site, users=PEOPLE, schedules={})
    page = await get(site, "/people")
    assert page.count('<article class="card person') == 50
    anchors = re.findall(r'id="person-(person-\d+)"', page)
    assert sorted(anchors) == sorted(PEOPLE), "each once: links of other pages lead there"
    found = await get(site, "/people", text="person-69")
    assert re.findall(r'<article class="card person[^"]*" id="person-([^"]+)"', found) == [
        "person-69"
    ]


@pytest.mark.parametrize("path", ["/", "/incidents", "/routes", "/schedules"])
async def test_no_page_names_everybody_of_many(site: Site, path: str) -> None:
    use(site, users=PEOPLE, schedules={})
    page = await get(site, path)
    assert page.count('<option value="person-') == 0 and 'name="user"' in page


async def test_somebody_of_many_people_types_who_they_are(site: Site) -> None:
    use(site, users=PEOPLE, schedules={})
    await site.client.post("/me", data={"user": "person-66", "back": "/"})
    assert 'value="person-66"' in await get(site, "/")


async def test_silences_are_drawn_in_pages_and_hidden_alerts_counted_over_all(site: Site) -> None:
    for number in range(60):
        await put_silence(
            site.context,
            Silence(
                id="",
                matcher_sets=[[Matcher("alertname", "=", f"Disk{number:02}")]],
                starts_ns=int(NOW * 10**9),
                ends_ns=int((NOW + 3600 + number) * 10**9),
                updated_ns=int(NOW * 10**9),
                created_by="ann",
                comment=f"number {number:02}",
            ),
        )
    await push(site, {"alertname": "Disk55"}, {"alertname": "Disk05"}, {"alertname": "Other"})
    page = await get(site, "/silences")
    assert "60 in force. 2 alerts that fire are hidden." in plain(page)
    assert "1–50 of 60" in page and "number 49" in page
    assert "number 50" not in page
    assert "number 59" in await get(site, "/silences", page="2")
    found = await get(site, "/silences", text="Disk55")
    assert "number 55" in found and "number 54" not in found


def many_routes() -> dict[str, object]:
    below = tuple(
        Route(
            receiver="all",
            key=f"{{}}/{{team={team}}}",
            matchers=(Matcher("team", "=", f"team-{team:03}"),),
            routes=tuple(
                Route(
                    receiver="deep" if team == 137 and place == 2 else "all",
                    key=f"{{}}/{{team={team}}}/{{place={place}}}",
                    matchers=(Matcher("place", "=", str(place)),),
                )
                for place in range(3)
            ),
        )
        for team in range(150)
    )
    receivers = {name: Receiver(name=name) for name in ("all", "deep")}
    return {"route": Route(receiver="all", key="{}", routes=below), "receivers": receivers}


async def test_of_many_routes_a_page_shows_the_path_of_what_is_tried(site: Site) -> None:
    use(site, **many_routes())
    page = await get(site, "/routes")
    assert "team-000" in page and "team-050" not in page and "3 more routes below" in page
    assert page.count('<div class="route">') == 51
    tried = await get(site, "/routes", labels="team=team-137, place=2")
    assert "receiver deep" in plain(tried)
    assert tried.count('class="passed"') == 2 and tried.count('class="taken"') == 1
    assert tried.count('<div class="route">') == 52
    found = await get(site, "/routes", text="deep")
    assert "team-137" in found and found.count('<div class="route">') == 2
    under = await get(site, "/routes", under="{}/{team=137}")
    assert "receiver deep" in plain(under) and "Back to the whole tree" in under
