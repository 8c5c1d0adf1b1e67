"""Why Redis is away: its own reason in words, said once, and never the password."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from amproxy import repeats
from amproxy.errors import StoreUnavailable
from amproxy.store import wire as store_wire
from amproxy.store.reasons import describe_failure, place_of
from amproxy.store.wire import Wire
from tests.support.servers import Server, Servers, ask_redis, free_port, needs
from tests.support.standins.certificate import Certificate
from tests.support.waiting import soon

PASSWORD = "s3same-open"


@pytest.fixture
def redis(servers: Servers) -> Iterator[Server]:
    server = servers.redis_server(appendonly=False)
    assert ask_redis(server, f"ACL SETUSER reader on >{PASSWORD} ~* +get") == "+OK\r\n"
    assert ask_redis(server, f"CONFIG SET requirepass {PASSWORD}") == "+OK\r\n"
    yield server


async def away(url: str) -> tuple[str, bool]:
    """What a call is told while the connection cannot be made, and if it is for a setting."""
    wire = Wire(url)
    wire.open()
    try:
        await soon(lambda: wire.reason)
        with pytest.raises(StoreUnavailable) as raised:
            await wire.call("PING")
        return str(raised.value), wire.refused
    finally:
        await wire.close()


@needs("redis-server")
@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("", "demands a password, and the URL has none (NOAUTH Authentication required.)"),
        (":wrong-secret@", "does not take the user or the password of the URL (WRONGPASS "),
        ("nobody:wrong-secret@", "does not take the user or the password of the URL (WRONGPASS "),
        (f"reader:{PASSWORD}@", "does not let this user do what amproxy needs (NOPERM "),
    ],
)
async def test_the_reason_of_redis_is_said(redis: Server, user: str, words: str) -> None:
    text, refused = await away(redis.url.replace("redis://", f"redis://{user}"))
    assert text.startswith("Redis is away: 127.0.0.1:") and words in text
    assert refused
    assert "secret" not in text and PASSWORD not in text


@pytest.mark.parametrize(
    ("url", "words", "refused"),
    [
        (
            "redis://:pw-x@nosuch.invalid:1/0",
            "the host of nosuch.invalid:1 cannot be resolved",
            True,
        ),
        ("redis://:pw-x@127.0.0.1:{port}/0", "refuses connections: no Redis runs there", False),
        ("unix:///nosuch/redis.sock", "/nosuch/redis.sock is not there", False),
    ],
)
async def test_the_reason_of_the_system_is_said(url: str, words: str, refused: bool) -> None:
    text, is_setting = await away(url.format(port=free_port()))
    assert words in text and is_setting is refused
    assert "pw-x" not in text


@needs("redis-server")
async def test_a_certificate_that_is_not_trusted_is_said(tmp_path: Path) -> None:
    certificate = Certificate(tmp_path)
    server = await asyncio.start_server(
        lambda reader, writer: None, "127.0.0.1", 0, ssl=certificate.context()
    )
    port = server.sockets[0].getsockname()[1]
    async with server:
        text, refused = await away(f"rediss://:pw-x@127.0.0.1:{port}/0")
    assert "TLS: the certificate of 127.0.0.1" in text and "is not trusted: self-signed" in text
    assert refused and "pw-x" not in text


async def test_tls_to_a_server_without_it_is_said() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"-ERR unknown command\r\n")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        text, refused = await away(f"rediss://127.0.0.1:{port}/0")
    assert f"TLS with 127.0.0.1:{port} fails: " in text and refused


def test_a_sentinels_error_shows_no_settings() -> None:
    from redis.asyncio.sentinel import MasterNotFoundError

    error = MasterNotFoundError("No master found for 'm' : password=pw-x")
    failure = describe_failure(error, place_of("redis+sentinel://u:pw-x@a:1,b:2/m"))
    assert str(failure.reason).startswith("the sentinels a:1,b:2 do not answer")
    assert "pw-x" not in str(failure.reason)


async def told_of(wire: Wire, caplog: pytest.LogCaptureFixture, times: int) -> list[float]:
    """When the log told that Redis is away, once it did so often enough: Unix seconds."""
    with caplog.at_level(logging.INFO):
        wire.open()
        try:
            await soon(lambda: len(_away(caplog)) >= times)
        finally:
            await wire.close()
    assert all("pw-x" not in record.getMessage() for record in caplog.records)
    return [record.created for record in _away(caplog)]


def _away(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [one for one in caplog.records if one.getMessage().startswith("Redis is away")]


async def test_a_reason_is_told_once_and_then_with_growing_gaps(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_wire, "RECONNECT_WAITS", (0.001, 0.001))
    monkeypatch.setattr(repeats, "FIRST_GAP", 0.2)
    times = await told_of(Wire(f"redis://:pw-x@127.0.0.1:{free_port()}/0"), caplog, 4)
    first, second, third = (later - at for at, later in itertools.pairwise(times))
    assert first >= 0.19 and second >= 0.39 and third >= 0.79


async def test_a_redis_that_takes_connections_and_says_nothing_is_told_all_the_same(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_wire, "SLOW_CONNECT", 0.05)
    monkeypatch.setattr(store_wire, "REDIS_TIMEOUT", 0.3)
    monkeypatch.setattr(repeats, "FIRST_GAP", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        await told_of(Wire(f"redis://:pw-x@127.0.0.1:{silent.getsockname()[1]}/0"), caplog, 4)
    assert "has not answered yet" in _away(caplog)[0].getMessage()
    assert any("does not answer in time" in one.getMessage() for one in _away(caplog))
