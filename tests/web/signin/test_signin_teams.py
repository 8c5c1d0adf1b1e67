"""Team rights hold at every door: silences, windows, test pages, links, and presses in chats."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from amproxy.config.loader import load_text
from amproxy.context import Context
from amproxy.notify.message import Press
from amproxy.respond.actions import ActionRequest, handle_press, perform
from amproxy.respond.links import SignedLinks
from amproxy.respond.targets import PageTarget
from amproxy.store import audit
from amproxy.store.wire import Wire
from tests.support.redis import Redis
from tests.support.servers import Server, Servers
from tests.support.signin.signed import Browser, company, log
from tests.support.waiting import until
from tests.support.words import FIRST_NOTIFICATION

RED = {"name": "team", "value": "red", "isRegex": False}
BLUE_HOST = {"name": "host", "value": "db1", "isRegex": False}
WHOLE = {"name": "alertname", "value": ".+", "isRegex": True}


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(company())


@pytest.fixture(scope="module")
def ada(amproxy: Server) -> Browser:
    return Browser(amproxy).signed_in("ada")


@pytest.fixture(scope="module")
def rob(amproxy: Server) -> Browser:
    return Browser(amproxy).signed_in("rob")


@pytest.fixture(scope="module")
def rita(amproxy: Server) -> Browser:
    return Browser(amproxy).signed_in("rita")


def silence(*matchers: dict[str, Any], **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "matchers": list(matchers),
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "x",
        "comment": "y",
        **more,
    }


def window(*matchers: str) -> dict[str, Any]:
    return {"matchers": list(matchers), "for": "1h", "name": "w"}


def refused_entries(ada: Browser, user: str) -> list[str]:
    return [one["what"] for one in log(ada, user=user) if one["result"] == "refused"]


def test_silences_of_another_team_are_left_alone(
    amproxy: Server, ada: Browser, rob: Browser, rita: Browser
) -> None:
    path = "/api/v2/silences"
    for matchers in ([RED], [WHOLE], [RED, BLUE_HOST]):
        answer = rob.post(path, json=silence(*matchers))
        assert answer.status_code == 403 and "red" in answer.json()["message"], answer.text
    assert any(
        "POST /api/v2/silences: " in one and "red" in one for one in refused_entries(ada, "rob")
    )
    assert rob.post(path, json=silence(BLUE_HOST)).status_code == 200
    made = rita.post(path, json=silence(RED)).json()["silenceID"]
    assert rob.delete(f"/api/v2/silence/{made}").status_code == 403
    assert rob.post(path, json=silence(BLUE_HOST, id=made)).status_code == 403
    assert rob.post(f"/api/v1/silences/{made}/extend", json={"for": "1h"}).status_code == 403
    for step in ("extend", "end"):
        assert rob.post(f"/silences/{made}/{step}", data={"for": "1h"}).status_code == 403
    assert f'action="/silences/{made}/end"' not in rob.get(f"/silences/{made}").text
    assert rita.post(f"/api/v1/silences/{made}/extend", json={"for": "1h"}).status_code == 200
    assert rita.delete(f"/api/v2/silence/{made}").status_code == 200


def test_the_form_of_silences_says_whose_alerts_they_are(rob: Browser, rita: Browser) -> None:
    for kind in ("silence", "maintenance"):
        query = {"kind": kind, "matchers": 'team="red"', "for": "1h", "comment": "x"}
        page = rita.get("/silences/new", params=query).text
        seen = page.split('name="seen" value="')[1].split('"')[0]
        refused = rob.post("/silences/new", data={**query, "seen": seen})
        assert refused.status_code == 403 and "of team red" in refused.text
        assert "team=&#34;red&#34;" in refused.text or 'team="red"' in refused.text
        assert rita.post("/silences/new", data={**query, "seen": seen}).status_code == 303


def test_what_fires_decides_about_a_silence_that_several_teams_may_need(
    amproxy: Server, rob: Browser, rita: Browser
) -> None:
    alert = {"labels": {"alertname": "Shared", "host": "db7", "team": "red"}}
    pushed = httpx.post(f"{amproxy.url}/api/v2/alerts", json=[alert], trust_env=False)
    assert pushed.status_code == 200
    host = {"name": "host", "value": "db7", "isRegex": False}
    refused = rob.post("/api/v2/silences", json=silence(host))
    assert refused.status_code == 403 and "that fires now" in refused.json()["message"]
    other = {"name": "team", "value": "red", "isRegex": False, "isEqual": False}
    assert rob.post("/api/v2/silences", json=silence(host, other)).status_code == 200
    assert rita.post("/api/v2/silences", json=silence(host)).status_code == 200


def test_maintenance_windows_of_another_team_are_left_alone(rob: Browser, rita: Browser) -> None:
    path = "/api/v1/maintenance"
    for matchers in (['team="red"'], ['alertname=~".+"']):
        answer = rob.post(path, json=window(*matchers))
        assert answer.status_code == 403 and "red" in answer.json()["detail"]
    own = rob.post(path, json=window('host="db1"')).json()["id"]
    made = rita.post(path, json=window('team="red"')).json()["id"]
    assert rob.patch(f"{path}/{own}", json={"matchers": ['team="red"']}).status_code == 403
    for call in (
        rob.patch(f"{path}/{made}", json={"comment": "mine now"}),
        rob.patch(f"{path}/{made}", json={"matchers": ['host="db1"']}),
        rob.post(f"{path}/{made}/extend", json={"for": "1h"}),
        rob.delete(f"{path}/{made}"),
        rob.post(f"/silences/windows/{made}/end"),
        rob.post(f"/silences/windows/{made}/extend", data={"for": "1h"}),
    ):
        assert call.status_code == 403, call.text
    assert rita.delete(f"{path}/{made}").status_code == 204
    assert rob.delete(f"{path}/{own}").status_code == 204


def test_test_messages_go_to_ones_own_team_and_to_nobodys(ada: Browser, rob: Browser) -> None:
    for name, status in (("rob", 202), ("vic", 202), ("rita", 403)):
        assert rob.post(f"/api/v1/users/{name}/test", json={}).status_code == status, name
    for answer in (
        rob.post("/people/rita/test"),
        rob.post("/deliveries/test", data={"user": "rita"}),
        rob.post("/deliveries/test", data={"receiver": "red"}),
        rob.post("/api/v1/receivers/red/test", json={}),
    ):
        assert answer.status_code == 403 and "team red" in answer.text.replace("&#39;", "'")
    people = rob.get("/people").text
    assert 'action="/people/vic/test"' in people and 'action="/people/rita/test"' not in people
    channels = rob.get("/deliveries").text
    assert 'value="rob"' in channels and 'name="user" value="rita"' not in channels
    assert rob.post("/me/test").status_code == 303
    assert any("/people/rita/test" in one for one in refused_entries(ada, "rob"))


def test_a_viewers_refused_change_is_in_the_log(amproxy: Server, ada: Browser) -> None:
    vic = Browser(amproxy).signed_in("vic")
    assert vic.post("/api/v2/silences", json=silence(RED)).status_code == 403
    assert vic.post("/api/v1/incidents", json={"title": "x", "users": ["vic"]}).status_code == 403
    [page, muted] = refused_entries(ada, "vic")
    assert page.startswith("POST /api/v1/incidents: this needs the role responder")
    assert muted.startswith("POST /api/v2/silences: this needs the role responder")


def opened(amproxy: Server, ada: Browser, name: str, team: str) -> dict[str, Any]:
    alert = {"labels": {"alertname": name, "team": team}}
    assert httpx.post(f"{amproxy.url}/api/v2/alerts", json=[alert], trust_env=False).is_success

    def found() -> dict[str, Any]:
        listed = ada.get("/api/v1/incidents").json()["incidents"]
        return next((one for one in listed if name in one["title"]), {})

    return until(found, why="nothing was opened")


async def test_presses_and_links_need_the_rights_that_the_api_needs(
    amproxy: Server, ada: Browser, redis: Redis
) -> None:
    """On the server's own Redis, as another replica would handle them."""
    text = company().replace("console: b", "telegram: 1, console: b")
    text = text.replace("console: c", "telegram: 2, console: c").replace(
        "console: d", "telegram: 3"
    )
    config = load_text(text).config
    wire = Wire(redis.url)
    wire.open()
    await wire.connected()
    context = Context(config, wire, time.time)
    from amproxy.correlate.flusher import open_manual_incident
    from amproxy.machine import transition
    from amproxy.machine.events import Opened
    from amproxy.store import incidents
    from amproxy.store.commit import commit

    incident = await open_manual_incident(
        context,
        title="Red",
        policy=config.policies["red"],
        urgency=None,
        text="",
        now=context.now(),
    )
    change = transition(incident, Opened(reason=FIRST_NOTIFICATION), context.now(), context.roster)
    assert await commit(wire, incidents.change_operations(change))

    async def press(account: str, action: str = "acknowledge") -> str:
        value = f"{action}:{incident.id}:{change.incident.epoch}"
        return await handle_press(
            context, Press(value=value, channel="telegram", account=account, name="x")
        )

    assert "Nothing done: this needs the role responder of team red" in await press("1")
    assert "Nothing done: this needs the role responder" in await press("3", "resolve")
    assert (await incidents.load(wire, incident.id)).state == "triggered"
    entries = (await audit.find(wire, limit=10)).entries
    assert {(one.user, one.via, one.result) for one in entries} == {
        ("rob", "telegram", "refused"),
        ("vic", "telegram", "refused"),
    }
    assert "acknowledged." in await press("02")
    ask = ActionRequest(action="responders", user="rita", via="api", to=PageTarget(users=("vic",)))
    await perform(context, incident.id, ask)
    assert "resolved." in await press("3", "resolve")
    await wire.close()


async def test_a_link_acts_with_the_rights_of_the_one_it_was_sent_to(
    house: Servers, redis: Redis
) -> None:
    from amproxy.store.leases import load_signing_key

    amproxy = house.amproxy(company(), redis_url=redis.url)
    ada = Browser(amproxy).signed_in("ada")
    incident = opened(amproxy, ada, "Linked", "red")
    wire = Wire(redis.url)
    wire.open()
    await wire.connected()
    links = SignedLinks(await load_signing_key(wire))
    await wire.close()
    stranger = Browser(amproxy)

    def follow(user: str, action: Any = "acknowledge") -> httpx.Response:
        return stranger.post(f"/act/{links.sign(incident['id'], action, 1, user)}")

    for user in ("rob", "vic", "gone"):
        assert follow(user).status_code == 403, user
    refused = [one for one in log(ada) if one["result"] == "refused"]
    assert [(one["user"], one["via"]) for one in refused] == [
        (user, "link") for user in ("gone", "vic", "rob")
    ]
    assert all(
        one["what"].startswith("tried to change something at /act: this needs") for one in refused
    )
    assert follow("rita").status_code == 303
    shown = ada.get(f"/api/v1/incidents/{incident['id']}").json()
    assert shown["acknowledged_by"] == "rita"
