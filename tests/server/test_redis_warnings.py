"""A Redis that is not set up to keep what it is given: told in the log, on pages and in metrics."""

from __future__ import annotations

import json
import socket
import urllib.error
from typing import Any
from urllib.parse import urlsplit

import pytest

from amproxy.store.health import judge_settings
from tests.support.e2e.stories import get, text
from tests.support.servers import Server, Servers, ask_redis, needs
from tests.support.waiting import until

ROUTES = "route: {receiver: r}\nreceivers: [{name: r}]\n"
GOOD = {
    "redis_version": "7.0.15",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
}


@pytest.mark.parametrize(
    ("info", "fsync", "kinds"),
    [
        (GOOD, "always", []),
        (GOOD, "everysec", []),
        (GOOD, "", []),
        (GOOD, "no", ["fsync_off"]),
        (GOOD | {"maxmemory_policy": "allkeys-lru"}, "", ["eviction"]),
        (GOOD | {"maxmemory_policy": "volatile-ttl"}, "", ["eviction"]),
        (GOOD | {"aof_enabled": "0"}, "no", ["aof_off"]),
        (GOOD | {"aof_last_write_status": "err"}, "", ["aof_failed"]),
        (GOOD | {"redis_version": "6.2.0"}, "", []),
        (GOOD | {"redis_version": "6.0.16"}, "", ["old_redis"]),
        (GOOD | {"redis_version": "5.0.14"}, "", ["old_redis"]),
        (GOOD | {"redis_version": "10.1.0"}, "", []),
        (GOOD | {"redis_version": "serverless"}, "", []),
        ({"redis_version": "7.1.0"}, "", []),
        ({}, "", ["settings_hidden"]),
        ({"redis_version": "4.0", "aof_enabled": "0"}, "", ["old_redis", "aof_off"]),
    ],
)
def test_what_is_doubtful(info: dict[str, str], fsync: str, kinds: list[str]) -> None:
    assert [one.kind for one in judge_settings(info, fsync)] == kinds


@pytest.fixture
def redis(servers: Servers) -> Server:
    return servers.redis_server(appendonly=False)


def warnings(amproxy: Server) -> list[str]:
    try:
        answer: Any = get(f"{amproxy.url}/api/v1/redis")
    except urllib.error.HTTPError:
        return ["Redis is away"]
    return [one["kind"] for one in answer["warnings"]]


def metric(amproxy: Server, kind: str) -> bool:
    return f'amproxy_warning{{kind="{kind}"}} 1.0' in text(f"{amproxy.url}/metrics")


@needs("redis-server")
def test_settings_that_lose_data_are_told_and_looked_at_again(
    servers: Servers, redis: Server
) -> None:
    ask_redis(redis, "CONFIG SET maxmemory-policy allkeys-lru")
    amproxy = servers.amproxy(ROUTES, redis_url=redis.url)
    until(lambda: warnings(amproxy) == ["eviction", "aof_off"])
    for words in ("maxmemory-policy allkeys-lru", "appendonly no"):
        assert words in amproxy.stderr and words in text(f"{amproxy.url}/")
        assert words in text(f"{amproxy.url}/admin")
    assert metric(amproxy, "eviction") and metric(amproxy, "aof_off")
    assert not metric(amproxy, "old_redis")

    ask_redis(redis, "CONFIG SET maxmemory-policy noeviction")
    ask_redis(redis, "CONFIG SET appendonly yes")
    ask_redis(redis, "CLIENT KILL TYPE normal")  # as at a failover: another connection
    until(lambda: warnings(amproxy) == [])
    assert not metric(amproxy, "eviction")
    assert '"no longer doubtful" kind=eviction' in amproxy.stderr
    assert "maxmemory-policy allkeys-lru" not in text(f"{amproxy.url}/")

    ask_redis(redis, "ACL SETUSER default -info -config")  # as some managed ones
    ask_redis(redis, "CLIENT KILL TYPE normal")
    until(lambda: warnings(amproxy) == ["settings_hidden"])
    found: Any = get(f"{amproxy.url}/api/v1/redis")
    assert found["aof"] is None and found["eviction"] is None
    assert "cannot be read" in text(f"{amproxy.url}/admin")


def ready(amproxy: Server) -> tuple[int, str]:
    try:
        return 200, text(f"{amproxy.url}/-/ready")
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@needs("redis-server")
def test_a_wrong_password_is_said_by_the_log_and_by_ready(servers: Servers, redis: Server) -> None:
    ask_redis(redis, "CONFIG SET requirepass first-secret")
    url = redis.url.replace("redis://", "redis://:first-secret@")
    amproxy = servers.amproxy(ROUTES, redis_url=url)
    with socket.create_connection(("127.0.0.1", urlsplit(redis.url).port or 0)) as operator:
        operator.sendall(b"AUTH first-secret\r\nCONFIG SET requirepass another-one\r\n")
        operator.sendall(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
        until(lambda: "WRONGPASS" in amproxy.stderr)
    _, said = until(lambda: ready(amproxy) if ready(amproxy)[0] == 503 else None)
    assert "does not take the user or the password" in said and "WRONGPASS" in said
    health: Any = get(f"{amproxy.url}/api/v1/health")
    assert health["well"] is False and "WRONGPASS" in json.dumps(health)
    assert 1 <= amproxy.stderr.count("WRONGPASS") <= 3  # seldom, however often it is tried
    with pytest.raises(urllib.error.HTTPError) as refused:
        text(f"{amproxy.url}/admin")
    assert "WRONGPASS" in refused.value.read().decode()
    assert "-secret" not in amproxy.stderr + said + json.dumps(health)
    assert "Traceback" not in amproxy.stderr
