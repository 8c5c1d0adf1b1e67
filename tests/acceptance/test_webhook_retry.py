"""What amproxy does on each answer of a webhook: as the real Alertmanager did, except where the contract says otherwise.

The recording had group_interval 12 s; here it is 10 s, the shortest time that a flush is given. Different from it: 408 and 429 are
temporary and Retry-After is honoured; a redirect is a failure that is never followed.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.acceptance.catcher import Catcher, Late
from tests.support.acceptance.moments import check_moments, sleep_until
from tests.support.acceptance.pushing import alert, metric, push
from tests.support.cases import ALERTMANAGER
from tests.support.servers import Server, Servers
from tests.support.standins.webhook import Answer
from tests.support.waiting import until

pytestmark = pytest.mark.clock

CASES = json.loads((ALERTMANAGER / "webhook_retry.json").read_text("utf-8"))["by_path"]
RECORDED = {
    path.lstrip("/"): [attempt["t"] for attempt in case["attempts"]] for path, case in CASES.items()
}
INTERVAL, OBSERVED = 10.0, 20.9
TICKS = [0.0, 10.0, 20.0]
LATE = 2.5  # seconds: thirty receivers are told at once, and the next tick is far away

REDIRECTS = ["301", "302", "307", "308"]
DONE = [path for path in RECORDED if path in {"slow"} or path.startswith("2")]
REFUSED = [path for path in RECORDED if path.isdigit() and path[0] == "4" and path != "429"]
FAILING = [path for path in RECORDED if path.isdigit() and path[0] == "5"] + ["close"]
TEMPORARY = ["429", "408"]  # not retried by Alertmanager within a flush
PATHS = [path for path in RECORDED if "/" not in path] + ["408", "429-later", "503-later"]


class Run(NamedTuple):
    began: float
    catcher: Catcher
    amproxy: Server

    def moments(self, path: str) -> list[float]:
        return [request.at - self.began for request in self.catcher.came(path)]


def script(catcher: Catcher, path: str) -> list[Answer]:
    """The answers that a path's name stands for."""
    if path in REDIRECTS:
        return [Answer(int(path), {"Location": catcher.address(f"redir/{path}")})]
    special: dict[str, list[Answer]] = {
        "slow": [Late(before=2.0)],
        "close": [Answer(drop=True)],
        "500x2": [Answer(500), Answer(500), Answer(200)],
        "429-later": [Answer(429, {"Retry-After": "4"}), Answer(200)],
        "503-later": [Answer(503, {"Retry-After": "4"}), Answer(200)],
    }
    return special.get(path) or [Answer(int(path))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One alert, one route and one receiver for each path, for two group intervals."""
    with Catcher() as catcher, Servers(tmp_path_factory.mktemp("retry")) as servers:
        for path in PATHS:
            catcher.answers_at(path, script(catcher, path))
        receivers = [
            {"name": path, "webhook_configs": [{"url": catcher.address(path)}]} for path in PATHS
        ]
        children = [{"receiver": path, "matchers": [f'path="{path}"']} for path in PATHS]
        timings = {
            "group_wait": "0s",
            "group_interval": f"{INTERVAL:.0f}s",
            "repeat_interval": "1h",
        }
        route = {"receiver": PATHS[0], "group_by": ["path"], **timings, "routes": children}
        amproxy = servers.amproxy(json.dumps({"route": route, "receivers": receivers}))
        began = time.time()
        push(
            amproxy.url,
            *(
                alert({"alertname": "Retry", "path": path}, starts=began, ends=began + 600)
                for path in PATHS
            ),
        )
        sleep_until(began + OBSERVED)
        yield Run(began, catcher, amproxy)


@pytest.mark.parametrize("path", DONE)
def test_any_2xx_is_success_whatever_its_body_and_however_slow(run: Run, path: str) -> None:
    assert len(run.moments(path)) == len(RECORDED[path]) == 1


@pytest.mark.parametrize("path", REFUSED + REDIRECTS)
def test_a_refusal_is_not_retried_but_told_again_at_each_tick(run: Run, path: str) -> None:
    check_moments(run.moments(path), TICKS, path, late=LATE)


def test_redirects_are_never_followed(run: Run) -> None:
    assert not [path for path in run.catcher.paths() if path.startswith("redir")]
    assert run.catcher.problems == []


@pytest.mark.parametrize("path", FAILING + TEMPORARY)
def test_what_may_pass_is_retried_with_growing_waits_until_the_flush_ends_and_then_anew(
    run: Run, path: str
) -> None:
    moments = run.moments(path)
    flushes = [[moment for moment in moments if tick <= moment < tick + INTERVAL] for tick in TICKS]
    check_moments([attempts[0] for attempts in flushes], TICKS, path, late=LATE)
    for attempts in flushes[:2]:
        assert 4 <= len(attempts) <= 14, "Alertmanager tries about 7 times"
        for number, (earlier, later) in enumerate(itertools.pairwise(attempts)):
            middle = 0.5 * 1.5**number
            assert middle / 2 - 0.5 < later - earlier < middle * 1.5 + 1.5


def test_two_failures_are_followed_by_the_one_success(run: Run) -> None:
    moments = run.moments("500x2")
    assert len(moments) == len(RECORDED["500x2"]) == 3
    assert moments[-1] < 5.0


@pytest.mark.parametrize("path", ["429-later", "503-later"])
def test_retry_after_is_honoured(run: Run, path: str) -> None:
    check_moments(run.moments(path), [0.0, 4.0], path, late=LATE)


@pytest.mark.parametrize("path", PATHS)
def test_each_attempt_says_the_same(run: Run, path: str) -> None:
    assert len({request.body for request in run.catcher.came(path)}) == 1


def test_attempts_are_counted_by_outcome_and_reason(run: Run) -> None:
    def counted(**labels: str) -> float:
        return metric(
            run.amproxy.url, "amproxy_delivery_attempts_total", channel="webhook", **labels
        )

    def as_alertmanager(name: str, **labels: str) -> float:
        return metric(run.amproxy.url, f"alertmanager_{name}", **labels)

    assert counted(outcome="ok") == len(DONE) + 3
    # Those that were given up are notifications too.
    told, failed = (
        as_alertmanager(f"notifications_{name}", integration="webhook")
        for name in ("total", "failed_total")
    )
    assert told - failed == counted(outcome="ok")
    assert as_alertmanager("notifications_failed_total", reason="authError") == 3 * 2
    latency = as_alertmanager("notification_latency_seconds_count", integration="webhook")
    assert latency >= told
    assert as_alertmanager("alerts_received_total", status="firing") > 0
    assert counted(reason="auth_error") == 3 * 2  # 401 and 403
    until(lambda: counted(reason="rate_limited") == len(run.moments("429")) + 1)
    # an attempt is counted once it is over, and some are always under way
    until(
        lambda: (
            counted(outcome="failed") + counted(outcome="ok")
            == sum(len(run.moments(path)) for path in PATHS)
        )
    )
