"""What a metrics server is asked for, and what becomes of servers that answer badly, late or never."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from amproxy.config.structs import Config, MetricsServer, Route
from amproxy.context import Context
from amproxy.model import Alert
from amproxy.notify.plots import plotter as module
from amproxy.notify.plots.plotter import BODY_LIMIT, BUDGET, NoPlot, Plotter, may_have_plot
from amproxy.secret import Secret
from amproxy.store.wire import Wire
from tests.support.standins.metrics import MetricsStandIn, matrix
from tests.support.standins.serving import Response
from tests.support.waiting import PATIENCE

NOW = 1_767_603_600.0
PROMETHEUS = "http://prom.example.org/graph?g0.expr=load+%3E+0.5&g0.tab=1"
VMALERT = "http://elsewhere.example.org/vmalert/alert?group_id=12&alert_id=34"


@pytest.fixture
def server() -> Iterator[MetricsStandIn]:
    with MetricsStandIn() as standin:
        yield standin
        standin.assert_no_surprises()


@pytest.fixture
async def plotter(
    server: MetricsStandIn, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Plotter]:
    monkeypatch.setattr(module, "BUDGET", PATIENCE)  # a busy machine may take a second for anything
    config = Config(
        route=Route(receiver="r", key="{}"),
        metrics=MetricsServer(url=Secret(f"{server.url}/")),
    )
    made = Plotter(Context(config, Wire("redis://127.0.0.1:1/0"), now=lambda: NOW))
    yield made
    await made.close()


def alert(url: str = PROMETHEUS, *, over: bool = False, **labels: str) -> Alert:
    return Alert(
        fingerprint="f",
        labels={"alertname": "Load", "instance": "web-1"} | labels,
        starts_ns=int((NOW - 600) * 1e9),
        ends_ns=int((NOW - 60) * 1e9) if over else 0,
        generator_url=url,
    )


async def test_the_measured_part_is_asked_for_over_the_last_hours(
    plotter: Plotter, server: MetricsStandIn
) -> None:
    plot = await plotter.plot("i1", [alert()])
    [asked] = server.queries
    assert asked["query"] == "load"
    assert float(asked["end"]) - float(asked["start"]) == 10_800
    assert float(asked["end"]) == NOW
    assert (plot.condition.comparison, plot.condition.threshold) == (">", 0.5)
    assert plot.began == NOW - 600
    assert plot.ended is None
    assert plot.series[0].points[-1] == (NOW, 1.0)


async def test_who_asks_for_the_same_incident_shares_one_answer(
    plotter: Plotter, server: MetricsStandIn
) -> None:
    plots = await asyncio.gather(*(plotter.plot("i1", [alert()]) for _ in range(5)))
    assert len(server.queries) == 1
    assert all(plot is plots[0] for plot in plots)
    await plotter.plot("i2", [alert()])
    assert len(server.queries) == 2


async def test_vmalert_is_asked_below_the_address_of_the_file_only(
    plotter: Plotter, server: MetricsStandIn
) -> None:
    server.expressions["12", "34"] = "load < 3"
    assert (await plotter.plot("i1", [alert(VMALERT)])).condition.threshold == 3
    del server.expressions["12", "34"]  # it is over, and vmalert does not know it any more
    plot = await plotter.plot("i2", [alert(VMALERT, over=True)])
    assert plot.ended == NOW - 60


async def test_the_alerts_own_line_is_drawn(plotter: Plotter, server: MetricsStandIn) -> None:
    server.series = [{"instance": f"web-{n}"} for n in range(50)]
    plot = await plotter.plot("i1", [alert(instance="web-44")])
    assert [one.labels["instance"] for one in plot.series] == ["web-44"]


async def test_a_server_that_hangs_costs_no_more_than_the_budget(
    plotter: Plotter,
    server: MetricsStandIn,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert BUDGET == 1.0
    monkeypatch.setattr(module, "BUDGET", 0.1)
    server.hangs = True
    with caplog.at_level(logging.WARNING), pytest.raises(NoPlot) as raised:
        await plotter.plot("i1", [alert()])
    assert raised.value.outcome == "late"
    assert "no picture of the metric" in caplog.text


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Response(500, b"boom"), "failed"),
        (Response(302, b"", {"Location": "http://127.0.0.1:1/"}), "failed"),
        (Response(200, b"<html>a proxy's page"), "failed"),
        (Response(200, b" " * (BODY_LIMIT + 1)), "failed"),
        (Response(200, b'{"status":"success"'), "failed"),
        (Response(drop=True), "failed"),
        (matrix([]), "empty"),
        (matrix([{"metric": {}, "values": [[1, "NaN"]]}]), "empty"),
    ],
)
async def test_a_bad_answer_is_a_picture_that_is_missing(
    plotter: Plotter, server: MetricsStandIn, answer: Any, outcome: str
) -> None:
    server.answers.append(answer)
    with pytest.raises(NoPlot) as raised:
        await plotter.plot("i1", [alert()])
    assert raised.value.outcome == outcome
    assert server.url not in str(raised.value)


async def test_an_alert_that_does_not_say_what_it_measures_asks_nobody(
    plotter: Plotter, server: MetricsStandIn
) -> None:
    silent = [alert(""), alert("http://grafana.example.org/alerting/grafana/u/view")]
    assert not may_have_plot(MetricsServer(url=Secret("http://x")), silent)
    assert not may_have_plot(None, [alert()])
    assert may_have_plot(MetricsServer(url=Secret("http://x")), [*silent, alert()])
    with pytest.raises(NoPlot) as raised:
        await plotter.plot("i1", silent)
    assert raised.value.outcome == "empty"
    assert not server.requests
