"""A proxy in front names people in a header; nobody else may."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import pytest

from amproxy.config.structs import ProxyHeader, SignIn
from amproxy.web.signin.session import client_address
from tests.support.servers import Server, Servers
from tests.support.signin.signed import Browser, company, log


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(company("{proxy_header: {header: Remote-User, from: [127.0.0.1/32]}}"))


@pytest.fixture(scope="module")
def elsewhere(house: Servers) -> Server:
    """Its proxy is another machine."""
    return house.amproxy(company("{passwords: true, proxy_header: {from: [192.0.2.1]}}"))


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org"])
def test_whom_the_proxy_names_is_signed_in(amproxy: Server, name: str) -> None:
    page = Browser(amproxy, **{"Remote-User": name}).get("/")
    assert page.status_code == 200 and "Ada Admin" in page.text and "/sign-out" not in page.text


def test_the_role_of_the_file_holds_and_the_log_knows_the_client(amproxy: Server) -> None:
    via = {"X-Forwarded-For": "203.0.113.7, 198.51.100.9"}
    assert Browser(amproxy, **{"Remote-User": "vic"}).post("/test-alert").status_code == 403
    assert Browser(amproxy, **{"Remote-User": "rob"}, **via).post("/test-alert").status_code == 303
    entry = log(Browser(amproxy, **{"Remote-User": "ada"}))[0]
    assert (entry["user"], entry["via"], entry["from"], entry["role"]) == (
        "rob",
        "proxy",
        "198.51.100.9",
        "responder",
    )


@pytest.mark.parametrize("name", ["mallory", "", "ada, rob", "vic@example.org"])
def test_whom_the_file_does_not_know_is_a_stranger(amproxy: Server, name: str) -> None:
    browser = Browser(amproxy, **{"Remote-User": name})
    assert browser.get("/api/v1/incidents").status_code == 401
    page = browser.follow(browser.get("/"))
    assert page.status_code == 200 and ("calls you" in page.text) == bool(name)


def test_a_header_that_came_twice_counts_for_nothing(amproxy: Server) -> None:
    headers = [("Remote-User", "ada"), ("Remote-User", "vic")]
    assert (
        httpx.get(f"{amproxy.url}/api/v1/incidents", headers=headers, trust_env=False).status_code
        == 401
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"X-Real-IP": "192.0.2.1"},
    ],
    ids=str,
)
def test_the_header_from_elsewhere_is_as_if_it_were_not_there(
    elsewhere: Server, more: dict[str, str]
) -> None:
    for name in ("X-Forwarded-User", "x_forwarded_user", "Remote-User"):
        assert (
            Browser(elsewhere, **{name: "ada"}, **more).get("/api/v1/incidents").status_code == 401
        )
    browser = Browser(elsewhere, **{"X-Forwarded-User": "ada"}, **more).signed_in("vic")
    assert browser.get("/api/v1/tokens").status_code == 403


def test_a_browser_behind_the_proxy_acts_for_our_own_pages_only(amproxy: Server) -> None:
    browser = Browser(amproxy, **{"Remote-User": "rob"})
    assert (
        browser.post("/test-alert", headers={"Origin": "https://evil.example"}).status_code == 403
    )
    assert browser.post("/test-alert", headers={"Origin": ""}).status_code == 403


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.66", "203.0.113.7", "192.0.2.66"),
    ],
)
def test_the_client_is_the_last_address_that_is_none_of_our_proxies(
    peer: str, forwarded: str, address: str
) -> None:
    sign_in = SignIn(proxy_header=ProxyHeader(networks=(ip_network("10.0.0.0/8"),)))
    assert (
        client_address(
            {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}, sign_in
        )
        == address
    )
