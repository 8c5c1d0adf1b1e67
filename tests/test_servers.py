"""The real servers that other tests stand on do start, answer, survive a restart and end."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Server, Servers, ask_redis, needs
from tests.support.waiting import until

ALERTMANAGER = """
route: {receiver: nobody, group_wait: 0s}
receivers: [{name: nobody}]
"""
RULES = """
groups:
  - name: test
    rules:
      - alert: AlwaysFiring
        expr: vector(1)
        labels: {severity: critical}
"""


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def firing(alertmanager: Server) -> list[str]:
    return [alert["labels"]["alertname"] for alert in get(f"{alertmanager.url}/api/v2/alerts")]


@needs("alertmanager")
def test_an_alertmanager_answers_with_the_configuration_it_was_given(servers: Servers) -> None:
    alertmanager = servers.alertmanager(ALERTMANAGER)
    assert "receiver: nobody" in get(f"{alertmanager.url}/api/v2/status")["config"]["original"]


@needs("alertmanager")
def test_a_server_that_cannot_start_says_why(servers: Servers) -> None:
    with pytest.raises(
        RuntimeError, match=r"(?s)alertmanager-1 ended with 1:.*no routes? provided"
    ):
        servers.alertmanager("receivers: [{name: nobody}]")


@needs("vmalert", "victoria-metrics", "alertmanager")
def test_vmalert_evaluates_in_victoria_metrics_and_notifies_an_alertmanager(
    servers: Servers,
) -> None:
    alertmanager, metrics = servers.alertmanager(ALERTMANAGER), servers.victoria_metrics()
    servers.vmalert(RULES, metrics.url, [alertmanager.url], ["-external.label=site=here"])
    assert until(lambda: firing(alertmanager)) == ["AlwaysFiring"]


@needs("victoria-metrics")
def test_what_is_written_to_victoria_metrics_can_be_asked_for(servers: Servers) -> None:
    metrics = servers.victoria_metrics()
    written = urllib.request.Request(f"{metrics.url}/api/v1/import/prometheus", data=b"load 7\n")
    urllib.request.urlopen(written, timeout=60).close()
    urllib.request.urlopen(f"{metrics.url}/internal/force_flush", timeout=60).close()
    found = until(lambda: get(f"{metrics.url}/api/v1/query?query=load")["data"]["result"])
    assert found[0]["value"][1] == "7"


@needs("prometheus", "alertmanager")
def test_prometheus_evaluates_rules_and_notifies_an_alertmanager(
    servers: Servers, tmp_path: Path
) -> None:
    alertmanager = servers.alertmanager(ALERTMANAGER)
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    target = alertmanager.url.removeprefix("http://")
    servers.prometheus(
        f"global: {{evaluation_interval: 1s}}\nrule_files: ['{rules}']\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{target}']}}]}}]}}\n",
        args=[
            "--rules.alert.resend-delay=1s"
        ],  # the first one may go out before Prometheus knows its Alertmanager
    )
    assert until(lambda: firing(alertmanager)) == ["AlwaysFiring"]


@needs("redis-server")
def test_a_redis_keeps_what_it_acknowledged_over_kill_9(servers: Servers) -> None:
    redis = servers.redis_server()
    assert ask_redis(redis, "SET page sent") == "+OK\r\n"
    url = redis.url
    redis.kill()
    with pytest.raises(OSError, match="refused"):
        ask_redis(redis, "GET page")
    assert redis.restart().url == url
    assert ask_redis(redis, "GET page") == "$4\r\nsent\r\n"


@needs("redis-server")
def test_a_redis_without_append_only_forgets(servers: Servers) -> None:
    redis = servers.redis_server(appendonly=False)
    ask_redis(redis, "SET page sent")
    redis.kill()
    redis.restart()
    assert ask_redis(redis, "GET page") == "$-1\r\n"


@needs("redis-server")
def test_servers_end_with_the_test_and_leave_their_log(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        redis = servers.redis_server()
    with pytest.raises(ProcessLookupError):
        os.kill(redis.pid, 0)
    assert "Ready to accept connections" in redis.stderr


ROUTES = """
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


def test_amproxy_comes_back_at_the_same_address_after_kill_9(servers: Servers) -> None:
    amproxy = servers.amproxy(ROUTES)
    url = amproxy.url
    amproxy.kill()
    assert amproxy.restart().url == url
    assert urllib.request.urlopen(f"{url}/-/healthy", timeout=60).status == 200
