"""Whoever guesses passwords is slowed down, and locks nobody out by it."""

from __future__ import annotations

import pytest

from amproxy.store import sign_in
from amproxy.store.sign_in import ADDRESS_TRIES, NAME_TRIES, NAME_TRIES_ANYWHERE, client_network
from amproxy.store.wire import Wire
from tests.support.redis import Redis
from tests.support.servers import Server, Servers
from tests.support.signin.signed import Browser, company, log

PROXIED = "{passwords: true, proxy_header: {from: [127.0.0.1]}}"
HERE, THERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(company(PROXIED))


def at(amproxy: Server, address: str) -> Browser:
    return Browser(amproxy, **{"X-Forwarded-For": address})


def test_wrong_passwords_close_a_name_for_their_own_address_only(amproxy: Server) -> None:
    stranger = at(amproxy, HERE)
    for _ in range(NAME_TRIES):
        assert stranger.sign_in("ada", "wrong").status_code == 401
    assert stranger.sign_in("ada").status_code == 429
    assert stranger.sign_in("ADA@Example.ORG").status_code == 429  # the same person
    assert at(amproxy, f"{THERE}, {HERE}").sign_in("ada").status_code == 429  # whatever it claims
    admin = at(amproxy, THERE).signed_in("ada")
    assert at(amproxy, HERE).sign_in("rob").status_code == 303
    refused = [entry for entry in log(admin) if entry["what"] == "tried to sign in too often"]
    assert {(entry["from"], entry["result"]) for entry in refused} == {(HERE, "refused")}


def test_a_browser_that_is_known_passes_from_the_strangers_own_address(amproxy: Server) -> None:
    address = "203.0.113.8"
    own, stranger = at(amproxy, address).signed_in("ada"), at(amproxy, address)
    assert own.post("/sign-out").status_code == 303
    for number in range(ADDRESS_TRIES + 1):
        stranger.sign_in("ada" if number < NAME_TRIES else f"name{number}", "wrong")
    assert stranger.sign_in("vic").status_code == stranger.sign_in("ada").status_code == 429
    assert own.sign_in("ada").status_code == 303
    # known for ada: nobody else's password is tried with it
    assert own.sign_in("vic").status_code == 429
    # and it has its own limit
    assert [own.sign_in("ada", "wrong").status_code for _ in range(NAME_TRIES)] == [
        401
    ] * NAME_TRIES
    assert own.sign_in("ada").status_code == 429


def test_a_cookie_that_somebody_made_up_is_no_known_browser(amproxy: Server) -> None:
    cookie = Browser(amproxy).signed_in("vic").cookies["amproxy_known"]
    stranger = at(amproxy, "203.0.113.9")
    for made in ("x", cookie, cookie[:-2] + "xx", "WyJ4IixbImFkYSJdXQ.aaaa.bbbb", ""):
        stranger.cookies.set("amproxy_known", made)
        assert stranger.sign_in("ada", "wrong").status_code == 401
    stranger.cookies.set("amproxy_known", cookie)
    assert stranger.sign_in("ada").status_code == 429


async def test_many_addresses_are_slowed_down_together_and_known_browsers_are_not(
    redis: Redis,
) -> None:
    wire = Wire(redis.url)
    wire.open()
    await wire.connected()

    async def wait(address: str, browser: str = "") -> float:
        counters = sign_in.attempt_counters("ada", address, browser)
        return await sign_in.begin_attempt(wire, *counters)

    for number in range(NAME_TRIES_ANYWHERE):
        assert await wait(f"192.0.2.{number}") == 0
    for _ in range(2 * ADDRESS_TRIES):  # refused ones are no wrong ones, and make no wait longer
        assert 0 < await wait("198.51.100.1") <= 60
    assert await wait("198.51.100.1", "known") == 0
    others = sign_in.attempt_counters("rob", "198.51.100.1")
    assert await sign_in.begin_attempt(wire, *others) == 0
    await wire.close()


def test_an_address_counts_by_the_network_that_one_customer_has() -> None:
    assert client_network("2001:db8:1:2:3::4") == client_network("2001:db8:1:2:ffff::1")
    assert client_network("2001:db8:1:2::1") != client_network("2001:db8:1:3::1")
    assert client_network("::ffff:192.0.2.1") == client_network("192.0.2.1") == "192.0.2.1"
    assert client_network("192.0.2.1") != client_network("192.0.2.2")
    assert client_network("fe80::1%eth0") == "fe80::/64" and client_network("") == ""
    one, other = (
        sign_in.attempt_counters("ada", f"2001:db8::{last}")[0].key for last in ("1", "2")
    )
    assert one == other


@pytest.mark.parametrize("allowed", ["127.0.0.0/8, ::1", "*"])
def test_a_proxy_that_the_environment_names_says_where_somebody_is(
    house: Servers, allowed: str
) -> None:
    amproxy = house.amproxy(company(), env={"FORWARDED_ALLOW_IPS": allowed})
    for number in range(NAME_TRIES):
        invented = f"192.0.2.{number}, {HERE}"  # the proxy has written the last one
        assert at(amproxy, invented).sign_in("ada", "wrong").status_code == 401
    assert at(amproxy, f"192.0.2.99, {HERE}").sign_in("ada").status_code == 429
    admin = at(amproxy, THERE).signed_in("ada")
    assert {entry["from"] for entry in log(admin)} == {HERE, THERE}
