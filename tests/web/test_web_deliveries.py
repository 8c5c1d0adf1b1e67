"""The log of deliveries, the health of channels and test notifications: the API, and the page without scripts."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from amproxy.config.structs import Global, Integration, OncallSettings, Receiver, User
from amproxy.model import OutgoingMessage
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.channels.telegram.settings import TelegramSettings
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.secret import Secret
from amproxy.store import deliveries, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import Delivery
from amproxy.store.incidents import enqueue
from amproxy.text import Phrase
from tests.support.web.pages import BIDI, LONG, SCRIPT, Tags, plain
from tests.support.web.website import CONFIG, Site

HOOK = WebhookSettings(url=Secret("http://127.0.0.1:9/s3cret"))
RECEIVERS = {
    "chat/ops": Receiver(
        name="chat/ops",
        integrations=(
            Integration(kind="webhook", index=0, send_resolved=True, settings=HOOK),
            Integration(kind="webhook", index=1, send_resolved=True, settings=HOOK),
            Integration(
                kind="pagerduty",
                index=0,
                send_resolved=True,
                settings={},
                undeliverable=Phrase("undeliverable.no_slack_channel"),
            ),
        ),
    ),
    "on-call": Receiver(
        name="on-call",
        integrations=(
            Integration(
                kind="oncall",
                index=0,
                send_resolved=True,
                settings=OncallSettings(escalation_policy="platform"),
            ),
        ),
    ),
}


@pytest.fixture(autouse=True)
def receivers(site: Site) -> None:
    """The clock is that of the store: the log is looked through by time."""
    site.clock[0] = time.time()
    site.context.use_config(msgspec.structs.replace(CONFIG, receivers=RECEIVERS))


async def wrote(site: Site, **values: Any) -> None:
    given = {
        "at": site.context.now(),
        "kind": "page",
        "channel": "console",
        "outcome": "sent",
        "user": "alice",
        "ms": 12,
    } | values
    operations = Operations()
    deliveries.add(operations, Delivery(**given))
    assert await commit(site.context.wire, operations)


async def listed(site: Site, **query: Any) -> list[dict[str, Any]]:
    answer = await site.client.get("/api/v1/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def test_deliveries_are_found_by_whom_how_and_what_became_of_them(site: Site) -> None:
    await wrote(site, incidents=(("abc", 7), ("def", 8)), subject="Disk on db1", kind="bundle")
    await wrote(
        site,
        user="bob",
        channel="email",
        outcome="failed",
        error="550 No such mailbox",
        incidents=(("abc", 7),),
    )
    await wrote(
        site,
        user="",
        receiver="chat/ops",
        integration="webhook/0",
        channel="webhook",
        outcome="retry",
        attempt=2,
    )
    await wrote(site, outcome="skipped", error="acknowledged", ms=None)
    newest, *_, first = await listed(site)
    assert (newest["outcome"], newest["duration_ms"], newest["error"]) == (
        "skipped",
        None,
        "acknowledged",
    )
    assert first["incidents"] == [{"id": "abc", "number": 7}, {"id": "def", "number": 8}]
    for query, count in (
        ({"channel": "email"}, 1),
        ({"user": "alice"}, 2),
        ({"receiver": "chat/ops"}, 1),
        ({"outcome": ["failed", "retry"]}, 2),
        ({"incident": "7"}, 2),
        ({"incident": "#8"}, 1),
        ({"incident": "abc"}, 2),
        ({"text": "no such MAILBOX"}, 1),
        ({"text": "db1"}, 1),
        ({"user": "alice", "outcome": "failed"}, 0),
        ({}, 4),
    ):
        assert len(await listed(site, **query)) == count, query
        page = await site.client.get("/deliveries", params=query)
        assert (
            page.status_code == 200
            and page.text.count('<time datetime="') - page.text.count("data-ago") == count
        ), query
    hour = {"from": site.clock[0] - 3600, "to": site.clock[0] + 3600}
    text = {name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for name, at in hour.items()}
    assert len(await listed(site, **text)) == 4
    assert (
        await listed(site, **{"from": text["to"]}) == []
        and await listed(site, to=text["from"]) == []
    )


@pytest.mark.parametrize(
    "query", ["outcome=lost", "limit=0", "limit=x", "cursor=1", "from=now", "to=2026-01-05T10:00"]
)
async def test_a_query_that_cannot_be_read_is_refused(site: Site, query: str) -> None:
    assert (await site.client.get(f"/api/v1/deliveries?{query}")).status_code == 422
    if not query.startswith("to="):  # on the page a time is the reader's
        page = await site.client.get(f"/deliveries?{query}")
        assert page.status_code == 422 and "Nothing done." in page.text


async def test_the_log_is_read_page_by_page_and_each_entry_once(site: Site) -> None:
    for number in range(25):
        await wrote(site, subject=f"number {number}", user="bob" if number % 2 else "alice")
    seen, cursor = [], ""
    while True:
        answer = (
            await site.client.get(
                "/api/v1/deliveries", params={"limit": 5, "user": "bob", "cursor": cursor}
            )
        ).json()
        seen += [one["subject"] for one in answer["deliveries"]]
        cursor = answer["next"]
        if not cursor:
            break
    assert seen == [f"number {number}" for number in reversed(range(25)) if number % 2]
    page = (await site.client.get("/deliveries?limit=5&user=bob")).text
    assert "number 23" in page and "number 13" not in page
    older = page.partition('<p class="older"><a href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "number 13" in (await site.client.get(older)).text


async def test_a_long_log_is_looked_through_in_parts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wrote(site, user="bob", subject="the only one")
    for _ in range(40):
        await wrote(site)
    monkeypatch.setattr(deliveries, "CHUNK", 10)
    monkeypatch.setattr(deliveries, "SCAN_LIMIT", 20)
    first = (await site.client.get("/api/v1/deliveries?user=bob")).json()
    assert first["deliveries"] == [] and first["next"]
    second = (
        await site.client.get("/api/v1/deliveries", params={"user": "bob", "cursor": first["next"]})
    ).json()
    third = (
        await site.client.get(
            "/api/v1/deliveries", params={"user": "bob", "cursor": second["next"]}
        )
    ).json()
    assert [one["subject"] for one in third["deliveries"]] == ["the only one"] and third[
        "next"
    ] is None
    assert (
        "Older ones were not looked at yet." in (await site.client.get("/deliveries?user=bob")).text
    )


async def test_the_log_forgets_what_is_past_its_retention(site: Site) -> None:
    await wrote(site)
    assert await deliveries.trim(site.context.wire, time.time() - 60) == 0
    assert await deliveries.trim(site.context.wire, time.time() + 60) == 1


async def test_channels_say_how_they_do(site: Site) -> None:
    await wrote(site, at=site.clock[0] - 50)
    for _ in range(3):
        await wrote(
            site,
            user="",
            receiver="chat/ops",
            channel="webhook",
            outcome="retry",
            error="no connection",
        )
    await wrote(site, channel="webhook", outcome="skipped")
    operations = Operations()
    enqueue(
        operations, OutgoingMessage(id="x", kind="notice", channel="email", user="alice", due=0)
    )
    assert await commit(site.context.wire, operations)
    found = {
        one["channel"]: one
        for one in (await site.client.get("/api/v1/channels")).json()["channels"]
    }
    assert next(iter(found)) == "webhook", "what fails comes first"
    assert {name: one["state"] for name, one in found.items()} == {
        "webhook": "failing",
        "pagerduty": "undeliverable",
        "email": "unknown",
        "console": "works",
    }
    hook = found["webhook"]
    assert (hook["attempts"], hook["failed"], hook["last_error"], hook["last_sent"]) == (
        3,
        3,
        "no connection",
        None,
    )
    assert [one["integration"] for one in hook["receivers"]] == ["webhook/0", "webhook/1"]
    assert found["pagerduty"]["receivers"] == [
        {
            "receiver": "chat/ops",
            "integration": "pagerduty/0",
            "undeliverable": "channel is missing, which an app token needs",
            "undeliverable_code": "undeliverable.no_slack_channel",
            "undeliverable_arguments": {},
        }
    ]
    assert found["email"]["waiting"] == 1 and [
        one["user"] for one in found["console"]["people"]
    ] == ["alice", "bob"]
    page = plain((await site.client.get("/deliveries")).text)
    assert (
        "Failing now: webhook." in page
        and "3 of 3 attempts failed" in page
        and "cannot deliver channel is missing, which an app token needs" in page
    )
    await wrote(site, user="", receiver="chat/ops", channel="webhook", at=site.clock[0] + 1)
    hook = (await site.client.get("/api/v1/channels")).json()["channels"]
    assert next(one["state"] for one in hook if one["channel"] == "webhook") == "failing", (
        "three of four still failed"
    )


@pytest.mark.parametrize("ready", [True, False])
async def test_channels_say_whether_answers_can_come_back(site: Site, ready: bool) -> None:
    users = {"alice": User(name="alice", contacts={"telegram": "1", "slack": "U1"})}
    globals_ = Global(
        channels={
            "telegram": TelegramSettings(bot_token=Secret("t")),
            "slack": SlackSettings(signing_secret=Secret("s")),
        }
    )
    site.context.use_config(
        msgspec.structs.replace(
            CONFIG, users=users, schedules={}, policies={}, global_=globals_ if ready else Global()
        )
    )
    found = {
        one["channel"]: one["answers"]
        for one in (await site.client.get("/api/v1/channels")).json()["channels"]
    }
    assert found == {"telegram": ready, "slack": ready}
    assert ("answers come back" in (await site.client.get("/deliveries")).text) == ready


async def test_a_person_and_a_receiver_are_tested_by_a_button(site: Site) -> None:
    tested = await site.client.post("/deliveries/test", data={"user": "alice", "channel": "email"})
    assert tested.status_code == 303
    assert "A test is on its way to Alice Ash." in plain(
        (await site.client.get(tested.headers["location"])).text
    )
    assert (
        await site.client.post(
            "/deliveries/test", data={"receiver": "chat/ops", "integration": "webhook/1"}
        )
    ).status_code == 303
    sent = await outbox_of(site)
    assert [(one.kind, one.channel, one.user, one.integration) for one in sent] == [
        ("notice", "email", "alice", ""),
        ("notification", "webhook", "", "webhook/1"),
    ]
    for fields in (
        {"user": "alice", "channel": "telegram"},
        {"receiver": "chat/ops", "integration": "pagerduty/0"},
        {"receiver": "on-call"},
    ):
        refused = await site.client.post("/deliveries/test", data=fields)
        assert refused.status_code == 422 and "Nothing done." in refused.text
    assert (await site.client.post("/deliveries/test", data={"user": "mallory"})).status_code == 404
    assert "on its way" not in (await site.client.get("/deliveries?tested=mallory")).text


async def test_a_receiver_is_tested_over_the_api(site: Site) -> None:
    answer = await site.client.post("/api/v1/receivers/chat%2Fops/test")
    assert (answer.status_code, answer.json()) == (
        202,
        {"receiver": "chat/ops", "sent": ["webhook/0", "webhook/1"]},
    )
    first = (await outbox_of(site))[0]
    assert first.group and first.alerts[0].labels == {
        "alertname": "TestAlert",
        "receiver": "chat/ops",
    }
    assert (await site.client.post("/api/v1/receivers/nobody/test")).status_code == 404
    for name, body, says in (
        ("on-call", {}, "send a test alert instead"),
        ("chat%2Fops", {"integration": "slack/0"}, "has no 'slack/0'"),
    ):
        refused = await site.client.post(f"/api/v1/receivers/{name}/test", json=body)
        assert refused.status_code == 422 and says in refused.json()["detail"]


async def outbox_of(site: Site) -> list[OutgoingMessage]:
    await outbox.join(site.context.wire)
    return [taken.message for taken in await outbox.read(site.context.wire, "test", 100)]


@pytest.mark.parametrize("evil", [SCRIPT, BIDI, LONG], ids=["script", "bidi", "long"])
async def test_hostile_text_in_the_log_is_harmless(site: Site, evil: str) -> None:
    await wrote(
        site, subject=evil, error=evil, user=evil[:300], outcome="failed", incidents=(("a", 1),)
    )
    await wrote(
        site,
        subject=evil,
        receiver=evil,
        user="",
        integration=evil,
        outcome="retry",
        error=evil,
        channel=evil[:200],
    )
    answer = await site.client.get("/deliveries", params={"text": evil[:2000]})
    tags = Tags()
    tags.feed(answer.text + (await site.client.get("/deliveries")).text)
    assert len([tag for tag, _ in tags.seen if tag == "script"]) == 6
    assert not [
        tag
        for tag, attributes in tags.seen
        if any(name.startswith("on") or name == "style" for name in attributes)
    ]
    assert not [tag for tag, _ in tags.seen if tag == "img"] and len(answer.text) < 60_000
