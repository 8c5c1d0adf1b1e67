"""/api/v1/users, test pages, and who cannot be reached."""

from __future__ import annotations

import msgspec

from amproxy.config.channels import address_digest
from amproxy.config.structs import Global, Notify, Team, User
from amproxy.model import Outcome
from amproxy.store import deliveries, keys
from amproxy.store.commit import Operations, commit
from amproxy.web.http.templates import USER_COOKIE
from tests.support.web.website import CONFIG, NOW, Site


async def happened(site: Site, user: str, channel: str, address: str, error: str = "") -> None:
    operations = Operations()
    outcome = Outcome(ok=not error, at=NOW, error=error, address=address_digest(address))
    deliveries.save_contact_outcome(operations, user, channel, None, outcome)
    assert await commit(site.context.wire, operations)


async def test_a_person_is_shown_with_what_is_known_of_their_contacts_but_without_addresses(
    site: Site,
) -> None:
    rules = {"default": (Notify(channels=("console",)),)}
    users = CONFIG.users | {
        "carol": User(
            name="carol", contacts={"console": "hidden", "phone": "+1234"}, notification_rules=rules
        )
    }
    site.context.use_config(
        msgspec.structs.replace(
            CONFIG, users=users, teams={"db": Team(name="db", members=("alice",))}
        )
    )
    await happened(site, "alice", "email", "a@example.org", "no such mailbox")
    shown = (await site.client.get("/api/v1/users/alice")).json()
    assert shown == {
        "name": "alice",
        "full_name": "Alice Ash",
        "timezone": "Europe/Berlin",
        "role": "responder",
        "teams": ["db"],
        "reachable": True,
        "why_not": None,
        "why_not_code": None,
        "why_not_arguments": None,
        "channels": [
            {
                "channel": "console",
                "state": "untried",
                "used": True,
                "last_delivery": None,
                "error": None,
                "error_code": None,
                "error_arguments": None,
            },
            {
                "channel": "email",
                "state": "failed",
                "used": True,
                "last_delivery": "2026-01-06T10:00:00.000Z",
                "error": "no such mailbox",
                "error_code": None,
                "error_arguments": None,
            },
        ],
        "rules": {
            "default": [{"notify": ["console"]}, {"wait": "5m"}, {"notify": ["email"]}],
            "important": [{"notify": ["console"]}, {"wait": "5m"}, {"notify": ["email"]}],
        },
    }
    listed = await site.client.get("/api/v1/users")
    assert [user["name"] for user in listed.json()["users"]] == ["alice", "bob", "carol"]
    assert (
        "a@example.org" not in listed.text
        and "hidden" not in listed.text
        and "+1234" not in listed.text
    )
    assert (await site.client.get("/api/v1/users/nobody")).status_code == 404


async def test_a_test_page_goes_over_one_contact_or_all(site: Site) -> None:
    answer = await site.client.post("/api/v1/users/alice/test", json={"channel": "email"})
    assert (answer.status_code, answer.json()) == (202, {"user": "alice", "sent": ["email"]})
    assert (await site.client.post("/api/v1/users/alice/test")).json()["sent"] == [
        "console",
        "email",
    ]
    assert await site.context.wire.call("XLEN", keys.OUTBOX) == 3


async def test_a_test_page_that_cannot_be_sent_is_refused(site: Site) -> None:
    users = CONFIG.users | {"carol": User(name="carol", contacts={"phone": "+1234"})}
    site.context.use_config(msgspec.structs.replace(CONFIG, users=users))
    assert (await site.client.post("/api/v1/users/nobody/test")).status_code == 404
    unknown = await site.client.post("/api/v1/users/alice/test", json={"channel": "telegram"})
    assert (unknown.status_code, unknown.json()["error"]) == (422, "invalid")
    assert (
        await site.client.post("/api/v1/users/alice/test", json={"channel": 5})
    ).status_code == 422
    assert (await site.client.post("/api/v1/users/carol/test")).status_code == 422
    assert (
        await site.client.post("/api/v1/users/carol/test", json={"channel": "phone_call"})
    ).status_code == 422
    assert (
        await site.client.post(
            "/api/v1/users/alice/test", content=b"{", headers={"content-type": "application/json"}
        )
    ).status_code == 400


async def test_the_first_page_names_who_is_on_call_and_cannot_be_reached(site: Site) -> None:
    before = (await site.client.get("/")).text.partition("<main")[2]
    assert "cannot be reached" not in before
    await happened(site, "bob", "console", "bob", "<closed>")
    page = (await site.client.get("/")).text
    assert (
        "<strong>bob</strong> is next on call for platform and cannot be reached: console: &lt;closed&gt;."
        in page
    )
    await happened(site, "alice", "console", "alice", "closed")
    await happened(site, "alice", "email", "a@example.org", "no such mailbox")
    assert (
        "<strong>Alice Ash</strong> is on call for platform and cannot be reached: "
        in (await site.client.get("/")).text
    )


async def test_metrics_say_who_can_be_reached(site: Site) -> None:
    await happened(site, "bob", "console", "bob", "closed")
    await happened(site, "alice", "email", "a@example.org")
    page = (await site.client.get("/metrics")).text
    assert (
        'amproxy_user_reachable{user="bob"} 0.0' in page
        and 'amproxy_user_reachable{user="alice"} 1.0' in page
    )
    assert (
        'amproxy_contact_up{channel="console",user="bob"} 0.0' in page
        and 'amproxy_contact_up{channel="email",user="alice"} 1.0' in page
    )
    assert 'amproxy_contact_up{channel="console",user="alice"}' not in page


async def test_a_contact_without_what_it_needs_is_shown_in_the_readers_language(site: Site) -> None:
    users = CONFIG.users | {"alice": User(name="alice", contacts={"email": "a@example.org"})}
    site.context.use_config(msgspec.structs.replace(CONFIG, users=users, global_=Global()))
    shown = (await site.client.get("/api/v1/users/alice")).json()
    assert (shown["reachable"], shown["channels"][0]["state"]) == (False, "undeliverable")
    assert shown["why_not"] == "email: global has no smtp_smarthost, smtp_from"
    assert shown["why_not_code"] == "reach.contact"
    why = {"code": "undeliverable.lacking", "arguments": {"keys": "smtp_smarthost, smtp_from"}}
    assert shown["why_not_arguments"] == {"channel": "email", "problem": why}
    contact = shown["channels"][0]
    assert {"code": contact["error_code"], "arguments": contact["error_arguments"]} == why
    assert shown["rules"] == {"default": [], "important": []}
    refused = await site.client.post("/api/v1/users/alice/test")
    assert refused.status_code == 422 and "smtp_smarthost" in refused.text
    for path in ("/", "/people", "/deliveries", "/me"):
        for language, words in (("en", "global has no smtp_"), ("ru", "в global не задано: smtp_")):
            headers = {"accept-language": language, "cookie": f"{USER_COOKIE}=alice"}
            page = await site.client.get(path, headers=headers)
            assert words in page.text, path
    metrics = (await site.client.get("/metrics")).text
    assert 'amproxy_user_reachable{user="alice"} 0.0' in metrics
    assert 'amproxy_contact_up{channel="email",user="alice"} 0.0' in metrics
