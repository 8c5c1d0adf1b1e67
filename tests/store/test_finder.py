"""How Redis is found: by its URL, or by asking real sentinels or the nodes of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from amproxy.store.finder import BadRedisUrl, find_redis
from amproxy.store.wire import Wire
from tests.support.servers import Servers, free_port, needs, program
from tests.support.standins.certificate import Certificate

pytestmark = needs("redis-server")


@contextlib.contextmanager
def redis_server(*words: str | int | Path) -> Iterator[None]:
    process = subprocess.Popen(
        [program("redis-server"), *map(str, words)], stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def answers(url: str) -> bool:
    """A Redis is found, and takes writes."""
    wire = Wire(url)
    wire.open()
    try:
        async with asyncio.timeout(60):
            await wire.connected()
        return bool(await wire.call("SET", "amproxy:{0}:x", 1) == b"OK")
    finally:
        await wire.close()


def listening(certificate: Certificate, folder: Path, port: int) -> list[str | int | Path]:
    """Options of a server that speaks TLS alone, and demands a password."""
    return [
        *("--tls-port", port, "--port", 0, "--bind", "127.0.0.1", "--dir", folder),
        *("--tls-cert-file", certificate.file, "--tls-key-file", certificate.key),
        *("--tls-auth-clients", "no", "--requirepass", "pw/x@"),
    ]


async def test_sentinels_are_asked_for_the_master(servers: Servers, tmp_path: Path) -> None:
    master, port = urlsplit(servers.redis_server().url), free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mymaster 127.0.0.1 {master.port} 1\n",
        "utf-8",
    )
    with redis_server(settings, "--sentinel"):
        assert await answers(
            f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/mymaster/0"
        )


async def test_sentinels_may_have_tls_and_a_password_of_their_own(tmp_path: Path) -> None:
    certificate, master, port = Certificate(tmp_path), free_port(), free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"tls-port {port}\nport 0\nbind 127.0.0.1\ndir {tmp_path}\ntls-replication yes\n"
        f"tls-cert-file {certificate.file}\ntls-key-file {certificate.key}\n"
        f"tls-ca-cert-file {certificate.file}\ntls-auth-clients no\nrequirepass pw-sentinel\n"
        f"sentinel monitor mymaster 127.0.0.1 {master} 1\nsentinel auth-pass mymaster pw/x@\n",
        "utf-8",
    )
    with (
        redis_server(*listening(certificate, tmp_path, master)),
        redis_server(settings, "--sentinel"),
    ):
        assert await answers(
            f"rediss+sentinel://:pw%2Fx%40@127.0.0.1:{port}/mymaster"
            f"?sentinel_password=pw-sentinel&ssl_ca_certs={certificate.file}"
        )


async def test_the_nodes_of_a_cluster_may_have_tls_and_a_password(tmp_path: Path) -> None:
    certificate, port = Certificate(tmp_path), free_port()
    slots = tmp_path / "nodes.conf"
    slots.write_text(f"{40 * 'a'} :0@0 myself,master - 0 0 1 connected 0-16383\n", "utf-8")
    options = [
        *("--cluster-enabled", "yes", "--cluster-port", free_port(), "--tls-cluster", "yes"),
        *("--tls-ca-cert-file", certificate.file),
    ]
    with redis_server(*listening(certificate, tmp_path, port), *options):
        assert await answers(
            f"rediss+cluster://:pw%2Fx%40@127.0.0.1:{port}?ssl_ca_certs={certificate.file}"
        )


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://h:1/1",
        "redis+cluster://",
        "redis+cluster://h:1,:2",
        "unix+cluster://h:1",
        "redis+sentinel://h:1",
        "redis+sentinel:///m",
        "redis+sentinel://h/m/x",
        "http://h:1",
        "redis://h:port",
        "redis://u:pw/x@h:1",
        "redis+cluster://h:1?colour=red",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason(url: str) -> None:
    with pytest.raises(BadRedisUrl) as raised:
        find_redis(url)
    assert "pw" not in str(raised.value)
