"""A reload keeps groups, silences and the log, puts the new file in force, and restarts intervals.

A bad file changes nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.acceptance.catcher import Catcher
from tests.support.acceptance.house import alert, file, heard
from tests.support.acceptance.moments import EARLY, LATE, sleep_until
from tests.support.acceptance.pushing import Reply, call, fires, metric, push, silence
from tests.support.acceptance.pushing import alert as posted
from tests.support.acceptance.stage import FIRST, NEW
from tests.support.servers import Server, Servers
from tests.support.waiting import until

pytestmark = pytest.mark.clock

SUCCESSFUL = "amproxy_config_last_reload_successful"


def by_call(amproxy: Server) -> Reply | None:
    return call("POST", f"{amproxy.url}/-/reload")


def by_signal(amproxy: Server) -> Reply | None:
    os.kill(amproxy.pid, signal.SIGHUP)
    return None


Reload = Callable[[Server], Reply | None]


def write(amproxy: Server, text: str) -> None:
    assert amproxy.config
    amproxy.config.write_text(text, "utf-8")


@pytest.mark.parametrize("reload", [by_call, by_signal])
def test_a_reload_puts_changed_routes_in_force_and_keeps_what_was_told(
    servers: Servers, reload: Reload
) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher))
        held = silence(amproxy.url, 600, alertname="Silenced")
        fires(amproxy.url, alert("a"))
        fires(amproxy.url, alert("m", "Moves", team="b"))
        fires(amproxy.url, alert("s", "Silenced"))
        until(lambda: len(heard(catcher)) == 2)
        loaded = metric(amproxy.url, "amproxy_config_last_reload_success_timestamp_seconds")

        child = {"receiver": "two", "matchers": ['team="b"']}
        write(amproxy, file(catcher, receivers=("one", "two"), routes=[child]))
        reply = reload(amproxy)
        assert reply is None or reply.status == 200
        until(
            lambda: heard(catcher, "two") == [("m", FIRST)],
            why="the alert did not move to its new receiver",
        )
        time.sleep(1.5)
        assert sorted(heard(catcher)) == [("a", FIRST), ("m", FIRST)]
        assert [one["id"] for one in call("GET", f"{amproxy.url}/api/v2/silences").json] == [held]
        fires(amproxy.url, alert("b"))
        fires(amproxy.url, alert("n", "Fresh", team="b"))
        until(
            lambda: (
                heard(catcher)[2:] == [("a b", NEW)] and heard(catcher, "two")[1:] == [("n", FIRST)]
            )
        )
        assert metric(amproxy.url, SUCCESSFUL) == 1
        assert metric(amproxy.url, "amproxy_config_last_reload_success_timestamp_seconds") > loaded
        assert catcher.problems == []


@pytest.mark.parametrize(
    ("reload", "bad"),
    [(by_call, "route: {receiver: nobody}\nreceivers: [{name: one}]\n"), (by_signal, "route: [")],
)
def test_a_bad_file_changes_nothing_and_metrics_say_so(
    servers: Servers, reload: Reload, bad: str
) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher, group_wait="0s"))
        assert amproxy.config
        good = amproxy.config.read_text("utf-8")
        assert metric(amproxy.url, SUCCESSFUL) == 1

        write(amproxy, bad)
        reply = reload(amproxy)
        assert reply is None or (reply.status == 500 and b"routes.yaml:1:" in reply.body), reply
        until(lambda: metric(amproxy.url, SUCCESSFUL) == 0)
        fires(amproxy.url, alert("a"))
        until(lambda: heard(catcher) == [("a", FIRST)])

        write(amproxy, good)
        reload(amproxy)
        until(lambda: metric(amproxy.url, SUCCESSFUL) == 1)


def timed(amproxy: Server, began: float) -> tuple[float, float]:
    """Reload; the seconds between which it took place."""
    before = time.time() - began
    assert call("POST", f"{amproxy.url}/-/reload").status == 200
    return before, time.time() - began


def test_intervals_are_counted_from_the_reload_even_when_the_file_is_the_same(
    servers: Servers,
) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher, group_interval="2s"))
        began = time.time()
        fires(amproxy.url, alert("a"))
        until(lambda: heard(catcher) == [("a", FIRST)])
        sleep_until(began + 1.3)
        before, after = timed(amproxy, began)
        fires(amproxy.url, alert("b"))
        until(lambda: len(heard(catcher)) == 2)
        assert heard(catcher) == [("a", FIRST), ("a b", NEW)]
        [_, told] = [request.at - began for request in catcher.came("one")]
        # Without a reload it would come at 2.5.
        assert before + 2 - EARLY < told < after + 2 + LATE


def test_a_reload_does_not_make_a_group_that_waits_forget_to_tell(servers: Servers) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher, group_wait="2s"))
        began = time.time()
        fires(amproxy.url, alert("a"))
        sleep_until(began + 0.5)
        before, after = timed(amproxy, began)
        until(lambda: heard(catcher))
        time.sleep(0.7)
        assert heard(catcher) == [("a", FIRST)]
        [told] = [request.at - began for request in catcher.came("one")]
        assert before + 2 - EARLY < told < after + 2 + LATE


def test_an_alert_that_a_new_route_wants_as_well_is_told_there_at_once(
    servers: Servers, tmp_path: Path
) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher))
        push(amproxy.url, posted(alert("a"), starts=time.time() - 60))
        until(lambda: heard(catcher) == [("a", FIRST)])
        both: list[dict[str, Any]] = [{"receiver": "two", "continue": True}, {"receiver": "one"}]
        write(amproxy, file(catcher, receivers=("one", "two"), routes=both))
        assert call("POST", f"{amproxy.url}/-/reload").status == 200
        until(lambda: heard(catcher, "two") == [("a", FIRST)])
