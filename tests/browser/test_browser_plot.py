"""The picture of an incident's metric, as people see it: on a phone and a desktop, with scripts and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.support.browser.demo import ask
from tests.support.browser.visitor import Visitor
from tests.support.e2e.stories import post
from tests.support.servers import Server, Servers, needs
from tests.support.standins.metrics import MetricsStandIn
from tests.support.waiting import until

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]

ROUTES = """
metrics: {{url: '{url}'}}
route: {{receiver: on-call, group_by: [alertname], group_wait: 0s}}
receivers: [{{name: on-call, oncall_configs: [{{escalation_policy: ladder}}]}}]
users: [{{name: alice, full_name: Alice Ash, contacts: {{console: here}}}}]
escalation_policies: [{{name: ladder, steps: [{{notify: {{users: [alice]}}}}, {{wait: 5m}}, {{notify: {{users: [alice]}}}}]}}]
"""
LOADED = "document.querySelector('.plot img').complete && document.querySelector('.plot img').naturalWidth"


class Measured(NamedTuple):
    server: Server
    path: str  # of the incident


@pytest.fixture(scope="module")
def measured(house: Servers) -> Iterator[Measured]:
    with MetricsStandIn() as metrics:
        server = house.amproxy(ROUTES.format(url=metrics.url))
        alert = {
            "labels": {"alertname": "Load", "instance": "web-1", "severity": "critical"},
            "annotations": {"summary": "Web is slow", "description": "More than half."},
            "generatorURL": "http://prom.example.org/graph?g0.expr=load+%3E+0.5",
        }
        assert post(f"{server.url}/api/v2/alerts", [alert]) == 200
        [incident] = until(lambda: ask(f"{server.url}/api/v1/incidents")["incidents"])
        yield Measured(server, f"/incidents/{incident['id']}")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize(("size", "dark"), [("phone", True), ("desktop", False)])
def test_the_metric_stands_below_the_words_of_the_incident(
    measured: Measured, visit: Visit, size: str, dark: bool, scripts: bool
) -> None:
    visitor = visit(measured.server, measured.path, size=size, dark=dark, scripts=scripts)
    until(lambda: visitor.page.evaluate(LOADED))
    visitor.fits()
    top, bottom = visitor.place(".plot img")
    assert visitor.place("h1")[1] < top
    assert bottom < visitor.place("#timeline")[0]
    if size == "phone":
        assert bottom < visitor.place("#forecast")[0], "what happens next stands below it"
    if scripts:
        visitor.accessible()
