"""Redis answers, and refuses: nothing ends for it, and what was answered 200 is told afterwards."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.servers import Server, Servers, needs
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

pytestmark = needs("redis-server")
ROUTES = """
global: {{telegram_api_url: '{url}', telegram_bot_token: '{token}'}}
route: {{receiver: r, group_by: [alertname]}}
receivers: [{{name: r, oncall_configs: [{{escalation_policy: p}}]}}]
users: [{{name: alice, contacts: {{telegram: '1111'}}}}]
schedules: [{{name: s, layers: [{{users: [alice]}}]}}]
escalation_policies: [{{name: p, steps: [{{notify: {{schedule: s}}}}]}}]
"""


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(1111)
        yield standin


@pytest.fixture
def redis(servers: Servers) -> Server:
    return servers.redis_server(appendonly=False)


@pytest.fixture
def amproxy(servers: Servers, telegram: TelegramStandIn, redis: Server) -> Server:
    routes = ROUTES.format(url=telegram.url, token=telegram.token)
    return servers.amproxy(routes, redis_url=redis.url)


def command(redis: Server, *words: str) -> str:
    """One command to Redis, as an operator's redis-cli sends it."""
    import redis as client

    with client.Redis.from_url(redis.url) as connection:
        return str(connection.execute_command(*words))


def push(amproxy: Server, name: str) -> int:
    body = {"alerts": [{"status": "firing", "labels": {"alertname": name}}]}
    headers = {"Content-Type": "application/json"}
    url = f"{amproxy.url}/webhook/any"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        return int(urllib.request.urlopen(request, timeout=30).status)
    except urllib.error.HTTPError as error:
        return error.code


def ready(amproxy: Server) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{amproxy.url}/-/ready", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metrics(amproxy: Server) -> str:
    with urllib.request.urlopen(f"{amproxy.url}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def paged(telegram: TelegramStandIn, name: str) -> int:
    return sum(name in message.text for message in telegram.sent(1111))


@pytest.mark.parametrize(
    "words",
    [("SCRIPT", "FLUSH"), ("FLUSHALL",), ("XGROUP", "DESTROY", "{amproxy}outbox", "deliver")],
    ids=" ".join,
)
def test_what_redis_has_lost_is_made_anew_and_the_next_alert_pages(
    amproxy: Server, redis: Server, telegram: TelegramStandIn, words: tuple[str, ...]
) -> None:
    assert push(amproxy, "Before") == 200
    until(lambda: paged(telegram, "Before"))
    if words[0] == "XGROUP":
        words = (*words[:2], find_key(redis, "outbox"), words[3])
    command(redis, *words)
    until(lambda: push(amproxy, "After") == 200)
    until(lambda: paged(telegram, "After"), why="nobody is paged any more")
    assert paged(telegram, "After") == 1
    assert ready(amproxy) == (200, "OK")


def find_key(redis: Server, word: str) -> str:
    import redis as client

    with client.Redis.from_url(redis.url) as connection:
        [found] = [key for key in connection.keys(f"*{word}*") if connection.type(key) == b"stream"]
        return str(found.decode())


@pytest.mark.parametrize(
    ("refuse", "allow"),
    [
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("ACL SETUSER default -hget", "ACL SETUSER default +hget"),
        ("ACL SETUSER default -xreadgroup", "ACL SETUSER default +xreadgroup"),
        ("ACL SETUSER default -evalsha", "ACL SETUSER default +evalsha"),
        ("ACL SETUSER default -zadd", "ACL SETUSER default +zadd"),
        ("ACL SETUSER default -xadd", "ACL SETUSER default +xadd"),
    ],
)
def test_what_redis_refuses_for_a_while_ends_nothing(
    amproxy: Server, redis: Server, telegram: TelegramStandIn, refuse: str, allow: str
) -> None:
    command(redis, *refuse.split())
    answered = push(amproxy, "Meanwhile")
    assert answered in (200, 503)
    command(redis, *allow.split())
    if answered != 200:
        until(lambda: push(amproxy, "Meanwhile") == 200)
    until(lambda: paged(telegram, "Meanwhile"), why="a push was answered 200 and nobody was paged")
    assert paged(telegram, "Meanwhile") == 1
    until(lambda: ready(amproxy) == (200, "OK"))


def test_ready_says_why_redis_takes_no_writes(amproxy: Server, redis: Server) -> None:
    command(redis, "CONFIG", "SET", "min-replicas-to-write", "1")
    status, reason = until(lambda: ready(amproxy) if ready(amproxy)[0] == 503 else None)
    assert status == 503 and "takes no writes" in reason and "NOREPLICAS" in reason
    assert "amproxy_redis_up 0.0" in metrics(amproxy)
    command(redis, "CONFIG", "SET", "min-replicas-to-write", "0")
    until(lambda: ready(amproxy) == (200, "OK"))
    assert "amproxy_redis_up 1.0" in metrics(amproxy)
