"""Redis errors, one after another, at every command that amproxy uses: nothing ends for them.

By default each command meets one error, and each error some commands. All errors at all commands
take about twenty minutes:

    AMPROXY_FAULTS=all .venv/bin/python -m pytest -q tests/server/test_redis_faults.py
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.redis_proxy import RedisProxy
from tests.support.servers import Server, Servers, needs
from tests.support.standins.telegram import TelegramStandIn
from tests.support.standins.webhook import Request, WebhookServer
from tests.support.waiting import until

pytestmark = needs("redis-server")

ERRORS = [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "NOPERM this user has no permissions to run this command",
    "NOAUTH Authentication required.",
    "NOSCRIPT No matching script. Please use EVAL.",
    "NOGROUP No such key or consumer group",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING Redis is loading the dataset in memory",
    "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "ERR something that nobody has heard of",
]
# What must have been seen before the errors begin: otherwise a part does not do its work here.
EXPECTED = {
    *("EVALSHA ingest", "EVALSHA commit", "EVALSHA lease_timers", "EVALSHA restore"),
    *("XGROUP", "XREADGROUP", "XINFO", "HMGET", "HGET", "HGETALL", "HVALS", "LRANGE", "SMEMBERS"),
    *("GET", "SET", "MGET", "ZADD", "ZRANGE", "INCR", "HKEYS", "SCAN", "PUBLISH"),
}
ROUTES = """
global:
  telegram_api_url: '{telegram}'
  telegram_bot_token: '{token}'
dead_mans_switch: {{url: '{alive}', every: 1s}}
heartbeats: [{{name: beat, every: 1h}}]
maintenance_windows: [{{name: w, matchers: [never=never], start: 2020-01-01T00:00, end: 2090-01-01T00:00}}]
inhibit_rules: [{{source_matchers: [never=never], target_matchers: [alertname=~".+"], equal: [a]}}]
route:
  receiver: told
  group_by: [alertname]
  routes: [{{receiver: paged, matchers: [page=yes]}}]
receivers:
  - {{name: told, webhook_configs: [{{url: '{webhook}'}}]}}
  - {{name: paged, oncall_configs: [{{escalation_policy: p}}]}}
users: [{{name: alice, contacts: {{telegram: '1111'}}}}]
schedules: [{{name: s, layers: [{{users: [alice]}}]}}]
escalation_policies: [{{name: p, storm: off, steps: [{{notify: {{schedule: s}}}}]}}]
"""
ALL = os.environ.get("AMPROXY_FAULTS") == "all"
# Seconds between pushes; each makes a group, of which an hour should not bring tens of thousands.
PUSH_PAUSE = 1.0 if ALL else 0.05
RECOVERY = 20.0  # seconds after an error until all parts run: ten, on a machine that is not busy
PAGES = ("/", "/incidents", "/admin", "/people", "/schedules", "/silences", "/metrics")
OVERRIDES = itertools.count()
CALLS = (
    *("incidents", "oncall", "health", "heartbeats", "replicas", "redis", "deliveries", "users"),
    *("maintenance", "insights"),
)


class Push(NamedTuple):
    """A push that was answered 200."""

    name: str
    begun: float  # monotonic


class Pusher:
    """Pushes one alert after the other, each again until it is answered 200, as senders do."""

    def __init__(self, amproxy: Server) -> None:
        self._amproxy = amproxy
        self.accepted: list[Push] = []
        self.statuses: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pusher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        number = 0
        while not self._over.is_set():
            labels = {"alertname": f"Alert{number:05d}"}
            if number % 10 == 0:
                labels["page"] = "yes"
            begun = time.monotonic()
            alert = {"status": "firing", "labels": labels}
            status = ask(self._amproxy, "/webhook/any", {"alerts": [alert]})
            self.statuses.add(status)
            if status == 200:
                self.accepted.append(Push(labels["alertname"], begun))
                number += 1
            self._over.wait(PUSH_PAUSE)


def ask(amproxy: Server, path: str, body: object = None, method: str | None = None) -> int:
    """The status of a request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{amproxy.url}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class Listener(WebhookServer):
    """A webhook, and the other end of a dead man's switch."""

    @property
    def alive(self) -> str:
        return f"http://127.0.0.1:{self.port}/alive"

    def problem(self, request: Request) -> str:
        """What Alertmanager would never send; the dead man's switch sends nothing at all."""
        return "" if request.path == "/alive" else super().problem(request)


class Told:
    """How often each alert was told, by either way."""

    def __init__(self, telegram: TelegramStandIn, webhook: Listener) -> None:
        self._telegram, self._webhook = telegram, webhook

    def counts(self) -> dict[str, int]:
        """Alert → how often; those that nobody was told of are missing."""
        found = dict[str, int]()
        texts = [message.text for message in self._telegram.sent(1111)]
        for request in list(self._webhook.requests):
            if request.path == "/hook":
                texts += [alert["labels"]["alertname"] for alert in request.payload["alerts"]]
        for text in texts:
            for name in set(re.findall(r"Alert\d{5}", text)):
                found[name] = found.get(name, 0) + 1
        return found


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(1111)
        yield standin


@pytest.fixture
def webhook() -> Iterator[Listener]:
    with Listener() as standin:
        yield standin


@pytest.fixture
def told(telegram: TelegramStandIn, webhook: Listener) -> Told:
    return Told(telegram, webhook)


@pytest.fixture
def redis(servers: Servers) -> Server:
    return servers.redis_server(appendonly=False)


@pytest.fixture
def proxy(redis: Server) -> Iterator[RedisProxy]:
    with RedisProxy(redis.url) as found:
        yield found


@pytest.fixture
def amproxy(
    servers: Servers, proxy: RedisProxy, telegram: TelegramStandIn, webhook: Listener
) -> Server:
    routes = ROUTES.format(
        telegram=telegram.url, token=telegram.token, webhook=webhook.url, alive=webhook.alive
    )
    return servers.amproxy(routes, redis_url=proxy.url)


def incidents(amproxy: Server) -> list[str]:
    """The ids of open incidents; [] where they cannot be read now."""
    try:
        with urllib.request.urlopen(f"{amproxy.url}/api/v1/incidents", timeout=60) as answer:
            return [one["id"] for one in json.loads(answer.read())["incidents"]]
    except urllib.error.HTTPError:
        return []


def look_around(amproxy: Server) -> None:
    """Pages, API calls and actions of people: they may fail now, but never for a defect."""
    wanted = [*PAGES, *(f"/api/v1/{name}" for name in CALLS), "/api/v2/alerts", "/api/v2/silences"]
    statuses = {path: ask(amproxy, path) for path in wanted}
    for incident in incidents(amproxy)[:1]:
        statuses["incident"] = ask(amproxy, f"/incidents/{incident}")
    statuses["POST heartbeat"] = ask(amproxy, "/heartbeat/beat", {})
    statuses["POST incident"] = ask(
        amproxy, "/api/v1/incidents", {"title": "By hand", "users": ["alice"]}
    )
    minute = next(OVERRIDES)  # of its own for each: the same one again is refused
    end = f"2030-01-02T{minute // 60:02}:{minute % 60:02}:00Z"
    times = {"start": "2030-01-01T00:00:00Z", "end": end}
    statuses["POST override"] = ask(
        amproxy, "/api/v1/schedules/s/overrides", {"user": "alice", **times}
    )
    bad = {what: code for what, code in statuses.items() if code not in (200, 201, 503)}
    assert not bad


def is_ready(amproxy: Server) -> bool:
    return ask(amproxy, "/-/ready") == 200


def rounds(commands: list[str]) -> Iterator[tuple[str, list[str]]]:
    """An error, and the commands that meet it together."""
    for number, error in enumerate(ERRORS):
        if ALL:
            yield from ((error, [command]) for command in commands)
        elif some := commands[number :: len(ERRORS)]:
            yield error, some


def check_log(amproxy: Server) -> None:
    """Redis' errors are no defects of amproxy."""
    log = Path(amproxy.log).read_text()
    assert "Traceback" not in log and "never retrieved" not in log, log[-4000:]


@pytest.mark.timeout(7200)  # of all errors at all commands; a few seconds each
def test_every_error_at_every_command_ends_nothing_and_loses_nothing(
    amproxy: Server, proxy: RedisProxy, told: Told
) -> None:
    with Pusher(amproxy) as pusher:
        until(lambda: len(told.counts()) > 20)
        with proxy.refusing(ERRORS[0], "*"):  # trouble makes the auditor audit
            time.sleep(0.2)
        assert ask(amproxy, "/-/reload", {}) in (200, 503)
        look_around(amproxy)
        try:
            until(lambda: proxy.seen.keys() >= EXPECTED, 20)
        except AssertionError:
            pytest.fail(f"amproxy has not used {EXPECTED - proxy.seen.keys()}")
        commands = sorted(proxy.seen.keys() - {"HELLO", "CLIENT", "SUBSCRIBE", "PING"})
        for error, some in rounds(commands):
            with proxy.refusing(error, *some):
                began = time.monotonic()
                look_around(amproxy)
                time.sleep(max(0.0, began + 1.0 - time.monotonic()))
            until(lambda: is_ready(amproxy), RECOVERY, why=f"{some} met {error}")
        accepted = len(pusher.accepted)
        until(lambda: len(pusher.accepted) > accepted + 5)  # it goes on
    assert pusher.statuses <= {200, 503}
    names = {push.name for push in pusher.accepted}
    until(lambda: told.counts().keys() >= names, why="answered 200, and nobody was told")
    twice = {name: times for name, times in told.counts().items() if times > 1}
    check_log(amproxy)
    assert not twice
    assert amproxy.process is not None and amproxy.process.poll() is None


@pytest.mark.parametrize("wipe", ["FLUSHALL", "SCRIPT FLUSH", "restart"])
def test_a_redis_that_has_forgotten_all_in_a_storm_is_no_end(
    amproxy: Server, redis: Server, told: Told, wipe: str
) -> None:
    import redis as client

    with Pusher(amproxy) as pusher:
        until(lambda: len(told.counts()) > 20)
        if wipe == "restart":
            redis.kill()
            redis.start()
        else:
            with client.Redis.from_url(redis.url) as connection:
                connection.execute_command(*wipe.split())
        wiped = time.monotonic()
        until(lambda: is_ready(amproxy), RECOVERY)
        after = len(pusher.accepted)
        until(lambda: len(pusher.accepted) > after + 20)
    names = {push.name for push in pusher.accepted if push.begun > wiped}
    until(lambda: told.counts().keys() >= names, why="answered 200, and nobody was told")
    assert not [name for name in names if told.counts()[name] > 1]
    assert pusher.statuses <= {200, 503}
    check_log(amproxy)
