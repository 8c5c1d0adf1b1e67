"""People sign in at a provider, which is as strict as a real one; and what does not hold lets nobody in."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.servers import Server, Servers
from tests.support.signin.signed import Browser, company, log
from tests.support.standins.oidc import CLIENT, SECRET, Provider
from tests.support.web.pages import plain


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def amproxy(house: Servers, running: Provider) -> Server:
    oidc = f"{{issuer: '{running.url}', client_id: {CLIENT}, client_secret: '{SECRET}', name: Company}}"
    server = house.amproxy(company(f"{{passwords: true, oidc: {oidc}}}"))
    running.redirect_uris = {f"{server.url}/sign-in/callback"}
    return server


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.person = {"sub": "1", "email": "ada@example.org", "email_verified": True}
    running.spoil, running.refused, running.only_userinfo = {}, [], False
    running.key, running.forge = running.own_key, None
    return running


def there(browser: Browser, back: str = "/") -> str:
    """Out to the provider; the address with which it sends the browser back."""
    out = browser.get("/sign-in/oidc", params={"back": back})
    assert out.status_code == 303, out.text
    sent = httpx.get(out.headers["location"], trust_env=False)
    assert sent.status_code == 302, sent.text
    return sent.headers["location"]


def test_a_person_whom_the_provider_knows_is_signed_in_and_led_back(
    amproxy: Server, provider: Provider
) -> None:
    browser = Browser(amproxy)
    page = browser.get("/sign-in?back=/incidents")
    assert "Sign in with Company" in page.text and "/sign-in/oidc?back=/incidents" in page.text
    done = browser.get(there(browser, "/incidents"))
    assert done.status_code == 303 and done.headers["location"] == "/incidents"
    assert "Ada Admin" in browser.get("/").text and provider.refused == []
    assert log(browser)[0]["what"] == "signed in by oidc"


@pytest.mark.parametrize(
    "person",
    [
        {"email": "ROB@example.ORG"},
        {"email": "rob@example.org", "email_verified": True},
        {"email": "rita"},
    ],
)
def test_the_claim_is_a_contact_or_a_name_in_any_case(
    amproxy: Server, provider: Provider, person: dict[str, object]
) -> None:
    provider.person = {"sub": "2", **person}
    browser = Browser(amproxy)
    assert browser.get(there(browser)).status_code == 303 and browser.secret


@pytest.mark.parametrize(
    "person",
    [
        {"email": "mallory@example.org"},
        {"email": "ada@example.org", "email_verified": False},
        {},
        {"email": ""},
        {"email": ["ada"]},
    ],
)
def test_whom_the_file_does_not_know_is_told_so_and_not_let_in(
    amproxy: Server, provider: Provider, person: dict[str, object]
) -> None:
    provider.person = {"sub": "3", **person}
    browser = Browser(amproxy)
    answer = browser.get(there(browser))
    assert answer.status_code == 403 and not browser.secret and "routes.yaml" in answer.text
    assert ("has not verified this address" in answer.text) == ("email_verified" in person)
    assert ("email is missing" in plain(answer.text)) == (not person.get("email"))


def test_a_claim_that_the_token_lacks_is_asked_for(amproxy: Server, provider: Provider) -> None:
    provider.only_userinfo = True
    browser = Browser(amproxy)
    assert browser.get(there(browser)).status_code == 303 and browser.secret
    provider.spoil = {"sub": "somebody else"}
    browser = Browser(amproxy)
    assert browser.get(there(browser)).status_code == 502 and not browser.secret


@pytest.mark.parametrize(
    "spoil",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": [CLIENT, "x"], "azp": "x"},
        {"iss": "https://evil.example"},
        {"exp": -3600},
        {"exp": None},
        {"nbf": 3600},
        {"iat": 3600},
        {"sub": None},
        {"sub": 7},
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_lets_nobody_in(
    amproxy: Server, provider: Provider, spoil: dict[str, object]
) -> None:
    now = int(time.time())  # what a claim about time says here is seconds from then
    provider.spoil = {
        name: now + value if name in ("exp", "nbf", "iat") and isinstance(value, int) else value
        for name, value in spoil.items()
    }
    browser = Browser(amproxy)
    answer = browser.get(there(browser))
    assert answer.status_code == 502 and not browser.secret, answer.text
    assert "Company cannot be asked right now, or its answer does not hold" in answer.text


def test_a_token_that_another_key_has_signed_lets_nobody_in(
    amproxy: Server, provider: Provider
) -> None:
    provider.key = provider.other_key
    browser = Browser(amproxy)
    assert browser.get(there(browser)).status_code == 502 and not browser.secret


def forged(alg: str, secret: bytes) -> Callable[[dict[str, Any]], str]:
    """Makes tokens that are signed by what everybody knows, or by nothing."""

    def packed(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    def make(claims: dict[str, Any]) -> str:
        signed = f"{packed(json.dumps({'alg': alg, 'kid': 'one'}).encode())}.{packed(json.dumps(claims).encode())}"
        return (
            f"{signed}.{packed(hmac.digest(secret, signed.encode(), 'sha256')) if secret else ''}"
        )

    return make


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "xx"])
def test_a_token_signed_by_nothing_or_by_the_public_key_lets_nobody_in(
    amproxy: Server, provider: Provider, alg: str
) -> None:
    public = provider.own_key.as_pem(private=False)
    for forge in (
        forged(alg, b""),
        forged(alg, public),
        forged(alg, SECRET.encode()),
        lambda claims: "a.b.c",
        lambda claims: "",
    ):
        provider.forge = forge
        browser = Browser(amproxy)
        assert browser.get(there(browser)).status_code == 502 and not browser.secret


def test_an_answer_is_good_in_the_browser_that_asked_and_once(
    amproxy: Server, provider: Provider
) -> None:
    attacker, victim = Browser(amproxy), Browser(amproxy)
    link = there(attacker)
    stolen = victim.get(link)  # nobody is signed in as somebody else by following a link
    assert stolen.status_code == 400 and not victim.secret and "start again" in stolen.text
    there(victim)
    assert victim.get(link).status_code == 400 and not victim.secret
    assert attacker.get(link).status_code == 303
    again = Browser(amproxy)
    again.cookies.set("amproxy_sign_in", parse_qs(urlsplit(link).query)["state"][0])
    assert again.get(link).status_code == 400 and not again.secret


@pytest.mark.parametrize(
    "query",
    ["", "?code=x", "?state=", "?state=x&code=y", "?error=access_denied", "?state=%00&code=%ff"],
)
def test_nonsense_from_the_provider_is_no_defect(
    amproxy: Server, provider: Provider, query: str
) -> None:
    assert Browser(amproxy).get(f"/sign-in/callback{query}").status_code == 400


def test_a_person_who_says_no_at_the_provider_may_start_again(
    amproxy: Server, provider: Provider
) -> None:
    browser = Browser(amproxy)
    state = parse_qs(urlsplit(there(browser)).query)["state"][0]
    answer = browser.get("/sign-in/callback", params={"state": state, "error": "access_denied"})
    assert answer.status_code == 400 and "start again" in answer.text


def test_an_answer_of_another_provider_is_refused(amproxy: Server, provider: Provider) -> None:
    browser = Browser(amproxy)
    link = there(browser).replace("iss=http", "iss=https")
    assert browser.get(link).status_code == 400 and not browser.secret


def test_nobody_is_led_to_another_site(amproxy: Server, provider: Provider) -> None:
    browser = Browser(amproxy)
    assert browser.get(there(browser, "//evil.example")).headers["location"] == "/"


def test_the_client_secret_and_the_tokens_show_nowhere(amproxy: Server, provider: Provider) -> None:
    browser = Browser(amproxy)
    browser.get(there(browser))
    shown = (
        browser.get("/api/v1/audit?limit=500").text
        + browser.get("/api/v2/status").text
        + amproxy.stderr
    )
    assert SECRET not in shown and "eyJ" not in shown


def test_a_provider_that_is_away_is_told_and_passwords_still_work(house: Servers) -> None:
    oidc = f"{{issuer: 'http://127.0.0.1:9', client_id: {CLIENT}}}"
    browser = Browser(house.amproxy(company(f"{{passwords: true, oidc: {oidc}}}")))
    answer = browser.get("/sign-in/oidc")
    assert answer.status_code == 502 and "127.0.0.1" in answer.text
    browser.signed_in("ada")
