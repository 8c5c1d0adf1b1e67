"""The first page: how to reach people, and what is not as it should be."""

from __future__ import annotations

import msgspec
import pytest

from amproxy.config.channels import address_digest
from amproxy.config.structs import Heartbeat, Maintenance, User, Web
from amproxy.correlate import heartbeats
from amproxy.labels.matchers import Matcher
from amproxy.model import Outcome
from amproxy.store import deliveries
from amproxy.store.commit import Operations, commit
from amproxy.store.leases import Timer
from amproxy.web.http.templates import NAVIGATION_PATHS
from tests.support.web.website import CONFIG, Site

ALICE = User(
    name="alice",
    full_name="Alice Ash",
    timezone="Europe/Berlin",
    contacts={
        "telegram": "111111",
        "email": "a+oncall@example.org",
        "phone": "+49 (170) 123-45",
        "webhook": "https://hooks.example.org/secret",
    },
)


def use(site: Site, **changes: object) -> None:
    site.context.use_config(msgspec.structs.replace(CONFIG, **changes))


async def test_whoever_is_on_call_can_be_called_and_written_to_with_one_press(site: Site) -> None:
    use(site, users={**CONFIG.users, "alice": ALICE})
    page = (await site.client.get("/")).text
    assert 'href="tel:+4917012345"' in page and "+49 (170) 123-45" in page
    assert 'href="mailto:a+oncall@example.org"' in page
    assert page.index("tel:") < page.index("mailto:") < page.index(">telegram<")
    assert "111111" not in page and "secret" not in page


async def test_where_strangers_may_look_addresses_are_not_shown(site: Site) -> None:
    use(site, users={**CONFIG.users, "alice": ALICE}, web=Web(allow_unauthenticated=True))
    page = (await site.client.get("/")).text
    assert (
        "Phone" in page
        and "tel:" not in page
        and "123-45" not in page
        and "mailto:" not in page
        and "example.org/" not in page
    )


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", '"><script>alert(1)</script>', "+49\u202e170"]
)
async def test_a_contact_leads_to_a_phone_or_a_mailbox_and_nowhere_else(
    site: Site, address: str
) -> None:
    use(
        site,
        users={
            **CONFIG.users,
            "alice": msgspec.structs.replace(
                ALICE, contacts={"phone": address, "email": f"{address}@x"}
            ),
        },
    )
    page = (await site.client.get("/")).text
    assert 'href="javascript:' not in page and "<script>alert" not in page and "\u202e" not in page


async def test_a_contact_that_failed_says_so(site: Site) -> None:
    operations = Operations()
    outcome = Outcome(
        ok=False, at=site.clock[0], error="no such mailbox", address=address_digest("a@example.org")
    )
    deliveries.save_contact_outcome(operations, "alice", "email", None, outcome)
    await commit(site.context.wire, operations)
    assert "the last delivery failed" in (await site.client.get("/")).text


async def test_open_windows_and_missing_heartbeats_have_a_line_each(site: Site) -> None:
    window = Maintenance(name="db upgrade", matchers=(Matcher("team", "=", "db"),))
    use(
        site,
        maintenance={"db upgrade": window},
        heartbeats={"backup": Heartbeat(name="backup", every=60)},
    )
    await heartbeats.schedule_heartbeat_timers(site.context)
    assert "backup" not in (await site.client.get("/")).text
    site.clock[0] += 61
    await heartbeats.handle_heartbeat_timer(
        site.context, Timer("heartbeat", "backup", site.clock[0])
    )
    page = (await site.client.get("/")).text
    assert "Heartbeat <strong>backup</strong> is missing" in page
    assert "Maintenance <strong>db upgrade</strong> holds alerts back" in page


async def test_a_page_says_when_amproxy_itself_is_not_well(site: Site) -> None:
    assert "not well" not in (await site.client.get("/")).text
    await site.opened()
    site.clock[0] += 600  # no worker runs in this test: the incident's timer is overdue
    assert "amproxy is not well: <bdi>a timer is overdue by" in (await site.client.get("/")).text
    russian = await site.client.get("/", headers={"Accept-Language": "ru"})
    assert "С amproxy что-то не так: <bdi>таймер опаздывает на" in russian.text


async def test_all_places_are_within_reach_without_scripts_also_where_there_are_many(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {
        name: f"/{name}"
        for name in (
            "schedules",
            "policies",
            "routes",
            "people",
            "silences",
            "deliveries",
            "insights",
            "admin",
        )
    }
    for name, path in more.items():
        monkeypatch.setitem(NAVIGATION_PATHS, name, path)
    page = (await site.client.get("/")).text
    menu = page[page.index('<details id="menu"') : page.index("</details>")]
    places = list(NAVIGATION_PATHS.values())
    assert [path for path in places if f'href="{path}"' in menu] == places[3:]
    # what people work with also stands in the row of wide windows, what they set up in the menu
    work = places[3 : places.index("/policies")]
    assert work and all(page.count(f'href="{path}"') >= 2 for path in work)
    assert "Menu" in menu


async def test_what_comes_next_is_said_in_the_readers_language(site: Site) -> None:
    await site.opened()
    page = (await site.client.get("/", headers={"Accept-Language": "ru"})).text
    assert "1 инцидент без ответа" in page and "Alice Ash, следующее правило: email" in page
    shown = (await site.client.get("/api/v1/incidents", headers={"Accept-Language": "ru"})).json()
    assert shown["incidents"][0]["next_step"]["what"] == "alice's next rule: email"


async def test_what_waits_comes_first_and_ones_own_before_that_of_others(site: Site) -> None:
    old = await site.opened("careful", title="Alice is paged")
    site.clock[0] += 60
    new = await site.opened("turns", title="Nobody is paged yet")
    held = await site.opened(title="Bob is on it")
    await site.client.post(f"/incidents/{held.id}/acknowledge")

    async def places(*texts: str) -> list[int]:
        main = (await site.client.get("/")).text.partition("<main")[2]
        return [main.index(text) for text in texts]

    found = await places(new.title, old.title, held.title, 'id="on-call-1"')
    assert found == sorted(found)
    site.client.cookies.set("amproxy_user", "alice")
    found = await places(old.title, "yours", new.title, held.title)
    assert found == sorted(found)
