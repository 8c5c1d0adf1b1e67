"""The pages as an app: manifest, worker, theme, and the devices that take pushes."""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from amproxy.config.channels import why_contact_undeliverable
from amproxy.config.structs import SignIn
from amproxy.notify.channels.push import vapid
from amproxy.respond.push_devices import end_device
from amproxy.store import audit, outbox, subscriptions
from tests.support.web.edited import signed_in, words
from tests.support.web.website import Site

ANDROID = "Mozilla/5.0 (Android 16; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
# An address of the internet that needs no DNS: nothing is sent to it here.
ENDPOINT = "https://93.184.216.34/push/secret-of-alice"


def keys() -> dict[str, str]:
    point = vapid.public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key())
    return {"p256dh": vapid.encode_base64url(point), "auth": "A" * 22}


async def subscribe(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    fields = {"endpoint": ENDPOINT, **keys(), **changes}
    return await client.post("/me/push", data=fields, headers={"User-Agent": ANDROID})


async def as_user(site: Site, name: str) -> httpx.AsyncClient:
    await site.client.post("/me", data={"user": name, "back": "/me"})
    return site.client


def push_of(users: Any, name: str) -> list[str]:
    [user] = [one for one in users["users"] if one["name"] == name]
    return [one["state"] for one in user["channels"] if one["channel"] == "push"]


async def test_the_manifest_names_icons_that_are_there_and_strangers_may_read_it(
    edits: Site,
) -> None:
    edits.context.use_config(
        msgspec.structs.replace(edits.context.config, sign_in=SignIn(passwords=True))
    )
    answer = await edits.client.get("/manifest.webmanifest", headers={"Accept-Language": "ru"})
    manifest = answer.json()
    assert answer.headers["content-type"].startswith("application/manifest+json")
    assert (manifest["start_url"], manifest["display"], manifest["lang"]) == (
        "/",
        "standalone",
        "ru",
    )
    assert {"192x192", "512x512"} <= {one["sizes"] for one in manifest["icons"]}
    assert "maskable" in {one["purpose"] for one in manifest["icons"]}
    for icon in manifest["icons"]:
        found = await edits.client.get(icon["src"])
        assert found.status_code == 200 and found.headers["content-type"] == icon["type"]
        if found.content.startswith(b"\x89PNG"):
            size = int.from_bytes(found.content[16:20], "big")
            assert icon["sizes"] == f"{size}x{size}"
    worker = await edits.client.get("/service-worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"


async def test_behind_a_prefix_the_app_begins_there(edits: Site) -> None:
    edits.context.external_url = "https://oncall.example.org/am"
    manifest = (await edits.client.get("/manifest.webmanifest")).json()
    assert manifest["scope"] == manifest["start_url"] == manifest["id"] == "/am/"
    assert 'href="/am/manifest.webmanifest"' in (await edits.client.get("/")).text


async def test_a_policy_lets_pages_have_a_worker_and_a_manifest(edits: Site) -> None:
    policy = (await edits.client.get("/")).headers["content-security-policy"]
    assert "worker-src 'self'" in policy and "manifest-src 'self'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy


@pytest.mark.parametrize(
    ("theme", "scheme", "dark"),
    [
        ("system", "light dark", 'media="screen and (prefers-color-scheme: dark)"'),
        ("light", "light", ""),
        ("dark", "dark", 'media="screen"'),
    ],
)
async def test_a_theme_is_chosen_by_a_form_and_remembered(
    edits: Site, theme: str, scheme: str, dark: str
) -> None:
    client = edits.client
    for chosen in ("dark", theme):  # the system's is a choice as well
        answer = await client.post("/theme", data={"theme": chosen, "back": "/people"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    page = (await client.get("/people")).text
    assert f'<meta name="color-scheme" content="{scheme}">' in page
    sheet = re.search(r'<link rel="stylesheet" href="/static/dark\.css[^>]*>', page)
    assert dark in sheet[0] if sheet else not dark  # paper is light, whatever the theme
    assert f'value="{theme}" aria-current="true"' in page
    assert (await client.post("/theme", data={"theme": "<x>", "back": "//evil"})).headers[
        "location"
    ] == "/"


async def test_no_sheet_has_dark_colours_that_a_theme_could_not_choose(edits: Site) -> None:
    from amproxy.web.http.templates import STATIC, THEME_COLOURS

    for sheet in STATIC.glob("*.css"):
        assert "prefers-color-scheme" not in sheet.read_text(), sheet.name
    for theme, name in (("light", "style.css"), ("dark", "dark.css")):
        assert f"--ground: {THEME_COLOURS[theme]};" in (STATIC / name).read_text()


async def test_a_device_is_a_contact_from_the_moment_it_subscribes(edits: Site) -> None:
    await edits.context.load_subscriptions()
    client = await as_user(edits, "alice")
    page = (await client.get("/me")).text
    key = re.findall(r'data-key="([^"]+)"', page)[0]
    assert len(vapid.decode_base64url(key)) == 65
    assert push_of((await client.get("/api/v1/users")).json(), "alice") == []

    assert (await subscribe(client)).headers["location"] == "/me#push"
    said = words((await client.get("/me")).text)
    assert "Firefox on Android" in said and "push 1 device not tried yet" in said
    assert "secret-of-alice" not in said and "A" * 22 not in said
    users = (await client.get("/api/v1/users")).json()
    assert (push_of(users, "alice"), push_of(users, "bob")) == (["untried"], [])
    rules = [rule["notify"] for rule in users["users"][0]["rules"]["default"] if rule.get("notify")]
    assert rules[-1] == ["push"]  # without rules it is the last of the contacts
    # a reload keeps it, and the same key goes on
    await edits.deps.reload()
    assert push_of((await client.get("/api/v1/users")).json(), "alice") == ["untried"]
    assert re.findall(r'data-key="([^"]+)"', (await client.get("/me")).text) == [key]
    # a preview of a change does not take it for one of the file's
    change = {"section": "users", "name": "alice", "set": {"timezone": "Europe/Rome"}}
    shown = (await client.post("/api/v1/config/preview", json=change)).text
    assert "push" not in shown

    [device] = await subscriptions.load_subscriptions(edits.context.wire)
    removed = await client.post(f"/me/push/{device.id}/delete", data={})
    assert removed.status_code == 303
    assert push_of((await client.get("/api/v1/users")).json(), "alice") == []
    told = (await audit.find(edits.context.wire)).entries
    assert [one.what.key for one in told[:2]] == ["audit.device_removed", "audit.device_added"]


HOSTILE = [
    "http://93.184.216.34/x",
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://localhost/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:10.0.0.1]/x",
    "https://2130706433/x",
    "https://user:secret@93.184.216.34/x",
    "file:///etc/passwd",
    "https:///x",
    "https://[x/",
    "https://93.184.216.34/" + "x" * 1000,
    "https://93.184.216.34/ x",
    "",
]


async def test_a_browser_cannot_make_amproxy_call_what_it_likes(edits: Site) -> None:
    client = await as_user(edits, "alice")
    for endpoint in HOSTILE:
        answer = await subscribe(client, endpoint=endpoint)
        assert answer.status_code in (409, 422), endpoint
        assert "Nothing done" in words(answer.text)
    assert not await subscriptions.load_subscriptions(edits.context.wire)


async def test_keys_that_are_none_are_refused(edits: Site) -> None:
    client = await as_user(edits, "alice")
    for wrong in ({"p256dh": "BAAA"}, {"auth": "AAAA"}, {"p256dh": ""}, {"p256dh": "\u0436" * 87}):
        assert (await subscribe(client, **wrong)).status_code in (409, 422)
    assert not await subscriptions.load_subscriptions(edits.context.wire)


async def test_devices_belong_to_one_person_and_ten_are_the_most(edits: Site) -> None:
    await edits.context.load_subscriptions()
    client = await as_user(edits, "alice")
    await subscribe(client)
    [device] = await subscriptions.load_subscriptions(edits.context.wire)
    await as_user(edits, "bob")
    assert (await client.post(f"/me/push/{device.id}/delete", data={})).status_code == 404
    await subscribe(client)  # the same browser, used by another now
    assert [one.user for one in await subscriptions.load_subscriptions(edits.context.wire)] == [
        "bob"
    ]
    for nth in range(11):
        edits.clock[0] += 1
        await subscribe(client, endpoint=f"{ENDPOINT}-{nth}")
    found = await subscriptions.load_subscriptions(edits.context.wire)
    assert len(found) == subscriptions.MAX_DEVICES
    assert found[-1].endpoint == f"{ENDPOINT}-10" and found[0].endpoint == f"{ENDPOINT}-1"
    # a browser that has been given another address replaces its own
    await subscribe(client, endpoint=f"{ENDPOINT}-new", replaces=f"{ENDPOINT}-10")
    urls = {one.endpoint for one in await subscriptions.load_subscriptions(edits.context.wire)}
    assert f"{ENDPOINT}-new" in urls and f"{ENDPOINT}-10" not in urls


async def test_an_ended_device_is_told_once_and_forgotten_when_it_comes_back(edits: Site) -> None:
    await edits.context.load_subscriptions()
    client = await as_user(edits, "alice")
    await subscribe(client)
    [device] = await subscriptions.load_subscriptions(edits.context.wire)
    await end_device(edits.context, device)
    await end_device(edits.context, device)  # two pushes found it at a time
    await outbox.join(edits.context.wire)
    read = await outbox.read(edits.context.wire, "test", 100)
    notices = [taken.message for taken in read]
    assert [(one.channel, one.user, one.kind) for one in notices] == [
        ("console", "alice", "notice")
    ]
    [kept] = await subscriptions.load_subscriptions(edits.context.wire)
    assert (kept.endpoint, kept.auth, bool(kept.ended)) == ("", "", True)
    alice = edits.context.config.users["alice"]
    assert "push" not in alice.contacts
    assert "Over since" in words((await client.get("/me")).text)
    await subscribe(client, endpoint=f"{ENDPOINT}-again")
    said = words((await client.get("/me")).text)
    assert "Over since" not in said and said.count("Firefox on Android") == 1
    user = edits.context.config.users["alice"]
    assert why_contact_undeliverable(edits.context.config, user, "push") is None


async def test_a_viewer_switches_push_on_for_themselves(edits: Site) -> None:
    async with signed_in(edits, user="bob", role="viewer") as client:
        client.cookies.set("amproxy_user", "bob")
        assert (await subscribe(client)).status_code == 303
    [device] = await subscriptions.load_subscriptions(edits.context.wire)
    assert device.user == "bob"
