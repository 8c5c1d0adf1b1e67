"""Addresses that people set lead to the internet, and nowhere else unless the file says so."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amproxy.calendars.fetch import fetch_calendar
from amproxy.check.lint import all_warnings
from amproxy.config.loader import load_text
from amproxy.config.networks import INTERNET, Reach, may_reach
from amproxy.config.structs import Global, HttpSettings, TlsSettings
from amproxy.errors import ConfigError, DeliveryError
from amproxy.notify.channels.http import HttpClients
from amproxy.notify.channels.webhook.channel import WebhookChannel
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.notify.message import Card
from amproxy.secret import Secret
from tests.support.standins.calendar import CalendarServer, Response
from tests.support.standins.certificate import Certificate
from tests.support.standins.webhook import WebhookServer

Resolve = Callable[..., None]
CARD = Card(kind="group", title="Disk", state="firing", receiver="r", at=1_800_000_000.0)


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with WebhookServer() as started:
        yield started


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    made = WebhookChannel()
    yield made
    await made.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the DNS says: name → the address of each question in turn, of the last one for ever."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def ask(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        answers = known.get(name)
        if answers is None:
            return real(host, port, *args, **more)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [entry for address in found.split() for entry in real(address, port, *args, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    return known


def contact(address: str, *networks: str, http: HttpSettings | None = None) -> WebhookSettings:
    reach = Reach(networks, own_machine=True)
    global_ = Global(
        channels={"webhook": WebhookSettings(reach=reach, http=http or HttpSettings())}
    )
    return WebhookChannel().person(global_, address)


def url(server: WebhookServer, host: str) -> str:
    return f"http://{host}:{server.port}/hook"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.31.255.255", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::1", False),
        ("2001::1", False),
    ],
)
def test_only_the_internet_is_open_to_everybody(address: str, public: bool) -> None:
    assert may_reach("name", ipaddress.ip_address(address), INTERNET) == public


def test_networks_of_the_file_are_open_as_well() -> None:
    reach = Reach(("10.0.0.0/8", "fd00::/8"))
    for address in ("10.9.9.9", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"):
        assert may_reach("name", ipaddress.ip_address(address), reach), address
    for address in ("11.0.0.1", "192.168.0.1", "127.0.0.1", "fe80::1"):
        assert may_reach("name", ipaddress.ip_address(address), reach) == (address[:2] == "11")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "inner.example",
    ],
)
async def test_a_contact_within_this_network_is_refused_for_good(
    channel: WebhookChannel, server: WebhookServer, names: dict[str, list[str]], host: str
) -> None:
    names["inner.example"] = ["127.0.0.1"]
    with pytest.raises(DeliveryError) as error:
        await channel.send(contact(url(server, host)), CARD)
    # httpx takes some of these forms for no host at all
    refusals = ("contact_networks", "the URL is not valid", "the address or a header is not valid")
    assert error.value.permanent and any(text in str(error.value) for text in refusals)
    assert "127.0.0.1" not in str(error.value)
    assert server.connections == 0


async def test_what_the_file_allows_is_called_by_name_with_its_host(
    channel: WebhookChannel, server: WebhookServer, names: dict[str, list[str]]
) -> None:
    names["inner.example"] = ["10.255.255.1 127.0.0.1"]  # only one of them is allowed
    await channel.send(contact(url(server, "inner.example"), "127.0.0.0/8"), CARD)
    assert server.requests[0].headers["host"] == f"inner.example:{server.port}"
    await channel.send(contact(url(server, "2130706433"), "127.0.0.1/32"), CARD)
    assert len(server.requests) == 2


async def test_a_name_that_changes_between_check_and_call_is_not_called(
    channel: WebhookChannel, server: WebhookServer, names: dict[str, list[str]]
) -> None:
    names["turning.example"] = ["127.0.0.2", "127.0.0.1"]
    settings = contact(url(server, "turning.example"), "127.0.0.2/32")
    with pytest.raises(DeliveryError):  # nobody listens at .2: it was the one that was called
        await channel.send(settings, CARD)
    with pytest.raises(DeliveryError, match="contact_networks"):
        await channel.send(settings, CARD)
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_says_plainly_that_it_is_this_machine_is_the_files_word(
    channel: WebhookChannel, server: WebhookServer, host: str
) -> None:
    await channel.send(contact(url(server, host)), CARD)
    plain = WebhookChannel().person(Global(), url(server, host))  # a file without the key
    await channel.send(plain, CARD)
    assert len(server.requests) == 2


async def test_receivers_of_the_file_are_called_wherever_they_are(
    channel: WebhookChannel, server: WebhookServer, names: dict[str, list[str]]
) -> None:
    names["inner.example"] = ["127.0.0.1"]
    await channel.send(WebhookSettings(url=Secret(url(server, "inner.example"))), CARD)
    assert len(server.requests) == 1


async def test_behind_a_proxy_of_the_file_the_same_is_refused_before(
    channel: WebhookChannel, server: WebhookServer, names: dict[str, list[str]]
) -> None:
    names["inner.example"] = ["10.0.0.1"]
    http = HttpSettings(proxy_url=f"http://127.0.0.1:{server.port}")
    for host in ("10.0.0.1", "inner.example"):
        with pytest.raises(DeliveryError, match="contact_networks"):
            await channel.send(contact(f"http://{host}/x", http=http), CARD)
    assert server.connections == 0
    # a name that only the proxy knows is the proxy's to judge
    await channel.send(contact("http://known-to-the-proxy.invalid/x", http=http), CARD)
    assert len(server.requests) == 1


async def test_a_certificate_is_that_of_the_name_and_a_connection_of_one_name(
    channel: WebhookChannel, names: dict[str, list[str]], tmp_path: Path
) -> None:
    names |= {"one.example": ["127.0.0.1"], "two.example": ["127.0.0.1"]}
    certificate = Certificate(tmp_path, "DNS:one.example")
    http = HttpSettings(tls=TlsSettings(ca_file=str(certificate.file)))
    with WebhookServer() as server:
        server._server.socket = certificate.context().wrap_socket(
            server._server.socket, server_side=True
        )
        address = url(server, "one.example").replace("http:", "https:")
        await channel.send(contact(address, "127.0.0.0/8", http=http), CARD)
        with pytest.raises(DeliveryError, match="certificate"):
            other = address.replace("one.", "two.")
            await channel.send(contact(other, "127.0.0.0/8", http=http), CARD)
        assert len(server.requests) == 1


async def test_a_calendar_does_not_lead_into_this_network(names: dict[str, list[str]]) -> None:
    names |= {"calendars.example": ["127.0.0.1"], "inner.example": ["127.0.0.1"]}
    clients, text = HttpClients(), b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    with CalendarServer(texts={"/db.ics": text}) as server:
        start = server.url("/moved").replace("127.0.0.1", "calendars.example")
        for host in ("127.0.0.1", "localhost", "inner.example", "169.254.169.254"):
            target = server.url("/db.ics").replace("127.0.0.1", host)
            server.answers["/moved"] = Response(302, headers={"Location": target})
            with pytest.raises(DeliveryError, match="contact_networks"):
                await fetch_calendar(clients, "the calendar", start)
        assert {request.path for request in server.asked} == {"/moved"}
        server.answers["/moved"] = Response(302, headers={"Location": "/db.ics"})
        assert await fetch_calendar(clients, "the calendar", start)
        target = server.url("/db.ics").replace("127.0.0.1", "inner.example")
        server.answers["/moved"] = Response(302, headers={"Location": target})
        reach = Reach(("127.0.0.0/8",))
        assert await fetch_calendar(clients, "the calendar", start, reach=reach)
    await clients.close()


FILE = """
global: {{contact_networks: {networks}}}
route: {{receiver: r}}
receivers: [{{name: r, oncall_configs: [{{escalation_policy: p}}]}}]
users: [{{name: a, contacts: {{webhook: '{url}'}}}}]
escalation_policies: [{{name: p, steps: [{{notify: {{users: [a]}}}}]}}]
"""


@pytest.mark.parametrize(
    ("address", "networks", "kinds"),
    [
        ("http://10.0.0.5/x", "[]", ["no_contact", "undeliverable", "ends_with_nobody"]),
        (
            "http://169.254.169.254/x",
            "[10.0.0.0/8]",
            ["no_contact", "undeliverable", "ends_with_nobody"],
        ),
        ("http://10.0.0.5/x", "[10.0.0.0/8]", []),
        ("http://127.0.0.1:1/x", "[]", []),
        ("https://hooks.example.org/x", "[]", []),
    ],
)
def test_a_contact_that_is_never_called_is_a_warning(
    address: str, networks: str, kinds: list[str]
) -> None:
    loaded = load_text(FILE.format(url=address, networks=networks))
    found = [problem for problem in all_warnings(loaded) if problem.kind != "no_wait_in_repeat"]
    assert [problem.kind for problem in found] == kinds
    assert "\n  contact_networks" not in loaded.config.original  # amtool does not know it


def test_a_network_that_is_none_is_refused_at_its_place() -> None:
    with pytest.raises(ConfigError, match=r"routes.yaml:2:29: .*10\.0\.0\.0/40"):
        load_text(FILE.format(url="http://x.example/", networks="[10.0.0.0/40]"))
