"""How `amproxy serve` ends and reloads, alone and with several workers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.server.reached import (
    PASSWORD,
    ROUTES,
    Client,
    https,
    sse,
    tls_section,
    users_section,
    web_config,
)
from tests.support.servers import Server, Servers
from tests.support.standins.certificate import Certificate
from tests.support.waiting import until

EVENTS = "{file_outputs: [{name: audit, path: events.jsonl}]}"
ALERT = {"labels": {"alertname": "DiskFull", "host": "db1"}}
# Seconds: less than any wait that an end could be stuck in, more than a busy machine takes.
SOON = 15.0
BOTH = pytest.mark.parametrize("workers", [1, 2])


def start(servers: Servers, workers: int, *args: str, routes: str = ROUTES) -> Server:
    return servers.amproxy(routes, args=["--workers", str(workers), *args])


def children(server: Server, word: str = "--fd") -> list[int]:
    """The process ids of its workers, or of those that have another word in their command."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if (
                re.search(rf"^PPid:\s{server.pid}$", status.read_text(), re.MULTILINE)
                and word in (status.parent / "cmdline").read_text()
            ):
                found.append(int(status.parent.name))
    return found


def redis_of(server: Server) -> int:
    [pid] = children(server, "unixsocket")
    return pid


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_seconds_with_code_0_while_pages_are_open(
    servers: Servers, workers: int, number: signal.Signals
) -> None:
    amproxy = start(servers, workers, routes=f"{ROUTES}event_recorder: {EVENTS}\n")
    pages = [sse(amproxy) for _ in range(4)]
    started = time.monotonic()
    os.kill(amproxy.pid, number)
    assert amproxy.process is not None and amproxy.process.wait(60) == 0
    assert time.monotonic() - started < SOON
    for page in pages:
        page.settimeout(60)
        while page.recv(4096):
            pass
        page.close()
    # Not by running out of the time that open requests are given.
    assert "shutdown exceeded" not in amproxy.stderr and "Traceback" not in amproxy.stderr
    assert amproxy.config is not None
    events = [
        json.loads(line)["data"]
        for line in (amproxy.config.parent / "events.jsonl").read_text().splitlines()
    ]
    assert [list(event) for event in events[:workers]] == [["alertmanagerStartupEvent"]] * workers
    assert events[-workers:] == [{"alertmanagerShutdownEvent": {}}] * workers


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_a_signal_to_its_whole_process_group_ends_it_in_order(
    servers: Servers, workers: int, number: signal.Signals
) -> None:
    amproxy = start(servers, workers)
    redis = redis_of(amproxy)
    started = time.monotonic()
    os.killpg(amproxy.pid, number)
    assert amproxy.process is not None and amproxy.process.wait(60) == 0
    assert time.monotonic() - started < SOON
    assert not alive(redis)
    assert "Redis is away" not in amproxy.stderr and "died" not in amproxy.stderr


def test_its_redis_ends_with_it_when_the_process_group_is_killed(servers: Servers) -> None:
    amproxy = start(servers, 1)
    redis = redis_of(amproxy)
    os.killpg(amproxy.pid, signal.SIGKILL)
    until(lambda: not alive(redis), why="its Redis outlives it")
    assert amproxy.restart()


def test_workers_end_with_their_supervisor_and_it_starts_again_at_the_same_address(
    servers: Servers,
) -> None:
    amproxy = start(servers, 2)
    url, workers = amproxy.url, children(amproxy)
    assert len(workers) == 2
    Client(url).ask("/api/v2/alerts", [ALERT])
    amproxy.kill()
    until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers),
        why="workers outlive their supervisor",
    )
    assert amproxy.restart().url == url
    assert [alert["labels"] for alert in Client(url).json("/api/v2/alerts")] == [ALERT["labels"]]


def test_a_worker_that_dies_is_replaced(servers: Servers) -> None:
    amproxy = start(servers, 2)
    dead = children(amproxy)[0]
    os.kill(dead, signal.SIGKILL)
    until(lambda: len(children(amproxy)) == 2 and dead not in children(amproxy))
    until(lambda: f'"worker process died; starting another" pid={dead}' in amproxy.stderr)


def test_it_ends_at_once_while_a_dead_worker_is_being_replaced(servers: Servers) -> None:
    amproxy = start(servers, 2)
    os.kill(children(amproxy)[0], signal.SIGKILL)
    until(lambda: "died" in amproxy.stderr)
    started = time.monotonic()
    assert amproxy.terminate() == 0
    assert time.monotonic() - started < SOON


def changed(server: Server, receiver: str) -> None:
    assert server.config
    server.config.write_text(ROUTES.replace("nobody", receiver))


def receivers(server: Server, asked: int = 30) -> set[str]:
    """What many connections are told: with two workers, both of them answer some."""
    return {Client(server.url).json("/api/v2/receivers")[0]["name"] for _ in range(asked)}


def metric(server: Server, name: str) -> set[float]:
    pages = [Client(server.url).ask("/metrics").text for _ in range(10)]
    return {
        sum(
            float(line.split()[-1])
            for line in page.splitlines()
            if line.startswith((f"{name} ", f"{name}{{"))
        )
        for page in pages
    }


def reload_by_post(server: Server) -> int:
    return Client(server.url).ask("/-/reload", "").status


def reload_by_signal(server: Server) -> None:
    os.kill(server.pid, signal.SIGHUP)


@BOTH
def test_sighup_and_reload_reach_every_process_and_a_bad_file_none(
    servers: Servers, workers: int
) -> None:
    amproxy = start(servers, workers)
    changed(amproxy, "second")
    assert reload_by_post(amproxy) == 200
    until(lambda: receivers(amproxy) == {"second"})
    changed(amproxy, "third")
    reload_by_signal(amproxy)
    until(lambda: receivers(amproxy) == {"third"})
    assert metric(amproxy, "amproxy_config_last_reload_successful") == {1}

    assert amproxy.config
    amproxy.config.write_text("route: {receiver: nowhere}")
    assert reload_by_post(amproxy) == 500
    assert metric(amproxy, "amproxy_config_last_reload_successful") == {0}
    reload_by_signal(amproxy)
    until(lambda: amproxy.stderr.count("not loaded") >= workers)
    assert receivers(amproxy) == {"third"}

    changed(amproxy, "fourth")
    reload_by_signal(amproxy)
    until(lambda: receivers(amproxy) == {"fourth"})
    assert metric(amproxy, "amproxy_config_last_reload_successful") == {1}


def test_metrics_of_workers_are_added_up_whichever_is_asked(servers: Servers) -> None:
    amproxy = start(servers, 2)
    for number in range(20):
        assert (
            Client(amproxy.url)
            .ask("/api/v2/alerts", [{"labels": {"alertname": f"Number{number}"}}])
            .status
            == 200
        )
    assert metric(amproxy, "amproxy_alerts_received_total") == {20}
    assert metric(amproxy, "amproxy_pushes_total") == {20}
    assert metric(amproxy, "amproxy_push_duration_seconds_count") == {20}
    assert metric(amproxy, "amproxy_redis_up") == metric(amproxy, "amproxy_build_info") == {1}
    assert metric(amproxy, "amproxy_config_last_reload_successful") == {1}
    text = Client(amproxy.url).ask("/metrics").text
    heads = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads)) and "pid=" not in text
    os.kill(children(amproxy)[0], signal.SIGKILL)
    until(lambda: "died" in amproxy.stderr)
    assert metric(amproxy, "amproxy_alerts_received_total") == {20}


def test_options_reach_every_worker(servers: Servers, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path)
    option = web_config(tmp_path, tls_section(certificate) + users_section(alice=PASSWORD))
    amproxy = start(
        servers, 2, option, "--web.route-prefix=/am", "--web.external-url=https://example.org/x"
    )
    for _ in range(10):
        client = Client(https(amproxy), trust=certificate.file, login=f"alice:{PASSWORD}")
        assert client.ask("/am/-/ready").status == 200 and client.ask("/-/ready").status == 404
        assert 'href="/x/incidents"' in client.ask("/am/").text
        assert Client(https(amproxy), trust=certificate.file).ask("/am/-/ready").status == 401
