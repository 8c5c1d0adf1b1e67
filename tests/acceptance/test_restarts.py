"""The service ends and starts again: alerts, silences and the notification log survive, and nothing is told twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.acceptance.catcher import Catcher
from tests.support.acceptance.house import alert, file, heard
from tests.support.acceptance.pushing import call, fires, metric, resolves, silence
from tests.support.acceptance.stage import ALL, FIRST, NEW
from tests.support.servers import Server, Servers
from tests.support.waiting import until

pytestmark = pytest.mark.clock


def orderly(amproxy: Server) -> None:
    assert amproxy.terminate() == 0


def at_once(amproxy: Server) -> None:
    amproxy.kill()


@pytest.mark.parametrize("end", [orderly, at_once])
def test_a_restart_forgets_nothing_and_repeats_nothing(
    servers: Servers, tmp_path: Path, end: Callable[[Server], None]
) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher, group_interval="500ms"), data_dir=tmp_path / "data")
        held = silence(amproxy.url, 600, alertname="Silenced")
        fires(amproxy.url, alert("a"))
        fires(amproxy.url, alert("b", "Silenced"))
        until(lambda: heard(catcher) == [("a", FIRST)])
        # killed before it is written down, a message goes out again, and may: that is the crash window
        until(lambda: metric(amproxy.url, "amproxy_outbox_depth") == 0)

        end(amproxy)
        amproxy.start()
        shown = call("GET", f"{amproxy.url}/api/v2/alerts").json
        assert {(one["labels"]["alertname"], one["status"]["state"]) for one in shown} == {
            ("Disk", "active"),
            ("Silenced", "suppressed"),
        }
        assert [one["id"] for one in call("GET", f"{amproxy.url}/api/v2/silences").json] == [held]
        time.sleep(0.8)  # a tick and more
        assert heard(catcher) == [("a", FIRST)]

        fires(amproxy.url, alert("c"))
        until(lambda: len(heard(catcher)) == 2)
        resolves(amproxy.url, alert("a"), alert("c"))
        until(lambda: len(heard(catcher)) == 3)
        assert heard(catcher) == [("a", FIRST), ("a c", NEW), ("-a -c", ALL)]
        assert call("DELETE", f"{amproxy.url}/api/v2/silence/{held}").status == 200
        until(lambda: heard(catcher)[3:] == [("b", FIRST)])
        assert catcher.problems == []


def test_what_was_due_while_the_service_was_down_is_told_when_it_is_back(
    servers: Servers, tmp_path: Path
) -> None:
    with Catcher() as catcher:
        amproxy = servers.amproxy(file(catcher, group_wait="2s"), data_dir=tmp_path / "data")
        fires(amproxy.url, alert("a"))
        amproxy.kill()
        time.sleep(2.5)  # it is due
        assert heard(catcher) == []
        amproxy.start()
        until(lambda: heard(catcher))
        time.sleep(1.5)
        assert heard(catcher) == [("a", FIRST)]


def test_an_alert_that_ended_by_itself_while_the_service_was_down_is_told_as_resolved(
    servers: Servers, tmp_path: Path
) -> None:
    with Catcher() as catcher:
        routes = '{"global": {"resolve_timeout": "4s"}, ' + file(catcher)[1:]
        amproxy = servers.amproxy(routes, data_dir=tmp_path / "data")
        assert call("POST", f"{amproxy.url}/api/v2/alerts", [{"labels": alert("a")}]).status == 200
        until(lambda: heard(catcher) == [("a", FIRST)])
        # and written down: a message of the crash window may come twice
        until(lambda: metric(amproxy.url, "amproxy_outbox_depth") == 0)
        amproxy.kill()
        time.sleep(4)
        amproxy.start()
        until(lambda: heard(catcher)[1:] == [("-a", ALL)])
