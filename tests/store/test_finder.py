"""How Redis is found: by its URL, or by asking real sentinels."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from amproxy.store.wire import BadRedisUrl, Wire, redis_connector
from tests.support.servers import Servers, free_port, needs, program


@needs("redis-server")
async def test_sentinels_are_asked_for_the_master(servers: Servers, tmp_path: Path) -> None:
    master, port = urlsplit(servers.redis_server().url), free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mymaster 127.0.0.1 {master.port} 1\n",
        "utf-8",
    )
    sentinel = subprocess.Popen(
        [program("redis-server"), str(settings), "--sentinel"], stdout=subprocess.DEVNULL
    )
    try:
        wire = Wire(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/mymaster/0")
        wire.open()
        async with asyncio.timeout(60):
            await wire.connected()
        assert await wire.call("PING") == b"PONG"
        await wire.close()
    finally:
        sentinel.kill()
        sentinel.wait()


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://h:1",
        "redis+sentinel://h:1",
        "redis+sentinel:///m",
        "redis+sentinel://h/m/x",
        "http://h:1",
        "redis://h:port",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason(url: str) -> None:
    with pytest.raises(BadRedisUrl):
        redis_connector(url)
