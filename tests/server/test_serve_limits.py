"""A client who sends without end, or holds on to connections, keeps nobody else from being paged."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server.reached import ROUTES, Client, https, tls_section, web_config
from tests.support.servers import Server, Servers
from tests.support.standins.certificate import Certificate
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

MIB = 1 << 20
HALF_HEADERS = b"POST /webhook/am HTTP/1.1\r\nHost: localhost\r\nX-Half: "
HALF_BODY = b"POST /webhook/am HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{"
CHUNKED = b"POST /webhook/am HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def connect(server: Server, timeout: float = 60) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


def read_all(connection: socket.socket) -> bytes:
    """What comes until the end; a reset is an end."""
    got = b""
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            got += part
    return got


def rss(server: Server) -> int:
    """Bytes of memory."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


@pytest.fixture(scope="module")
def amproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Servers(tmp_path_factory.mktemp("limits")) as servers:
        yield servers.amproxy(ROUTES)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET / HTTP/1.1\r\n", b"X-Endless: " + b"a" * 4000 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 4096),
        (b"GET / HTTP/1.1\r\n", b"a:\r\n" * 1024),
        (b"GET /", b"a" * 4096),
        (b"\r\n", b"\r\n" * 2048),
        (CHUNKED + b"1;", b"a" * 4096),
        (CHUNKED + b"1\r\n{\r\n0\r\n", b"X-Trailer: " + b"a" * 4000 + b"\r\n"),
    ],
    ids=["headers", "one value", "many fields", "address", "blank lines", "extension", "trailers"],
)
def test_endless_headers_take_no_memory_and_are_refused(
    amproxy: Server, begin: bytes, more: bytes
) -> None:
    before, sent = rss(amproxy), 0
    with connect(amproxy) as connection:
        connection.sendall(begin)
        with contextlib.suppress(ConnectionError):
            while sent < 64 * MIB:
                connection.sendall(more)
                sent += len(more)
    assert sent < 16 * MIB
    assert rss(amproxy) - before < 24 * MIB
    # a client that stops to listen learns why
    with connect(amproxy) as connection:
        connection.sendall(begin + more * (500_000 // len(more)))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 431 ") and b"65536 bytes" in answer


def test_headers_up_to_the_limit_are_taken(amproxy: Server) -> None:
    client = Client(amproxy.url)
    assert client.ask("/-/healthy", **{"X-Long": "a" * 60_000}).status == 200
    assert client.ask("/-/healthy", **{f"X-{number}": "a" for number in range(200)}).status == 200
    body = {"title": "a" * 8 * MIB}
    assert client.ask("/webhook/am", body, **{"X-Long": "a" * 60_000}).status == 200
    assert client.ask("/webhook/am", {}, **{"X-Long": "a" * 70_000}).status == 431


ON_CALL = """
route: {receiver: on-call, group_by: [alertname]}
receivers: [{name: on-call, oncall_configs: [{escalation_policy: simple}]}]
users: [{name: alice, contacts: {telegram: 111}}]
escalation_policies: [{name: simple, steps: [{notify: {users: [alice]}}]}]
"""


@pytest.fixture
def many_sockets() -> Iterator[None]:
    """This process may have as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("how", "half"),
    [("plain", HALF_HEADERS), ("plain", HALF_BODY), ("workers", HALF_BODY), ("tls", HALF_HEADERS)],
    ids=["headers", "body", "workers", "tls"],
)
def test_a_push_leads_to_a_page_while_half_sent_requests_take_all_connections(
    servers: Servers, tmp_path: Path, many_sockets: None, how: str, half: bytes
) -> None:
    certificate = Certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate.file)
    tls = [web_config(tmp_path, tls_section(certificate))]
    args = {"plain": [], "workers": ["--workers=2"], "tls": tls}[how]
    with TelegramStandIn() as telegram, contextlib.ExitStack() as held:
        telegram.add_chat(111)
        (tmp_path / "token").write_text(telegram.token)
        settings = (
            f"telegram_bot_token_file: {tmp_path / 'token'}, telegram_api_url: {telegram.url}"
        )
        routes = f"global: {{{settings}}}{ON_CALL}"
        amproxy = servers.amproxy(routes, args=args, descriptors=256)
        url = https(amproxy) if how == "tls" else amproxy.url
        for number in range(1500):
            connection = held.enter_context(connect(amproxy))
            with contextlib.suppress(OSError):
                if how == "tls" and number % 3:  # of the others the handshake never begins
                    if number > 300:
                        continue
                    connection = trusting.wrap_socket(connection, server_hostname="127.0.0.1")
                    held.enter_context(connection)
                if how != "tls" or number % 3:
                    connection.sendall(half)
        client = Client(url, trust=certificate.file if how == "tls" else None)
        assert client.ask("/webhook/am", {"title": "Fire in the hall"}).status == 200
        until(lambda: [one for one in telegram.messages.values() if "Fire" in one.text])
        assert 'amproxy_connections_cut_total{reason="evicted"}' in client.ask("/metrics").text
        telegram.assert_no_surprises()
