"""The picture of an incident's metric: the page names it and does not wait, and it says why it is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from amproxy.config.structs import MetricsServer
from amproxy.model import Alert, Incident
from amproxy.notify.plots import plotter
from amproxy.secret import Secret
from tests.support.standins.metrics import MetricsStandIn
from tests.support.standins.serving import Response
from tests.support.waiting import PATIENCE
from tests.support.web.website import CONFIG, Site


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetricsStandIn]:
    monkeypatch.setattr(
        plotter, "BUDGET", PATIENCE
    )  # a busy machine may take a second for anything
    with MetricsStandIn() as standin:
        yield standin


async def measured(site: Site, server: MetricsStandIn, url: str = "") -> Incident:
    """An incident with one alert, and a file with the metrics server."""
    site.context.use_config(replace(CONFIG, metrics=MetricsServer(url=Secret(server.url))))
    alert = Alert(
        fingerprint="f1",
        labels={"alertname": "Load", "instance": "web-1"},
        starts_ns=int((site.clock[0] - 600) * 1e9),
        generator_url=url or "http://prom.example.org/graph?g0.expr=load+%3E+0.5",
    )
    return await site.with_alerts(await site.opened(), alert)


def words(svg: str) -> str:
    return " ".join(text.text or "" for text in ET.fromstring(svg).iter() if text.text)


async def test_the_page_names_the_picture_and_asks_nobody(
    site: Site, server: MetricsStandIn
) -> None:
    server.hangs = True
    incident = await measured(site, server)
    shown = (await site.client.get(f"/incidents/{incident.id}")).text
    assert f'src="/incidents/{incident.id}/plot.svg"' in shown
    assert re.search(r'alt="The metric of [^"]+"', shown)
    assert not server.requests


async def test_the_picture_has_the_threshold_in_the_readers_language_and_zone(
    site: Site, server: MetricsStandIn
) -> None:
    incident = await measured(site, server)
    site.client.cookies.set("amproxy_user", "alice")  # in Berlin: it began at 10:50
    answer = await site.client.get(
        f"/incidents/{incident.id}/plot.svg", headers={"Accept-Language": "ru"}
    )
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "script" not in answer.headers["content-security-policy"]
    said = words(answer.text)
    assert "> 0.5" in said
    assert "Порог" in said
    assert "10:50" in said


async def test_a_phone_gets_one_that_is_narrow(site: Site, server: MetricsStandIn) -> None:
    incident = await measured(site, server)
    narrow = (await site.client.get(f"/incidents/{incident.id}/plot.svg?narrow")).text
    assert ET.fromstring(narrow).get("width") == "360"


async def test_the_picture_is_as_dark_as_the_page(site: Site, server: MetricsStandIn) -> None:
    incident = await measured(site, server)
    drawn = set()
    for theme in ("system", "light", "dark"):
        site.client.cookies.set("amproxy_theme", theme)
        drawn.add((await site.client.get(f"/incidents/{incident.id}/plot.svg")).text)
    assert len(drawn) == 3


async def test_where_there_is_none_the_picture_says_why(site: Site, server: MetricsStandIn) -> None:
    incident = await measured(site, server)
    server.answers.append(Response(500, b"<b>boom</b>"))
    answer = await site.client.get(f"/incidents/{incident.id}/plot.svg")
    assert answer.status_code == 200
    said = words(answer.text)
    assert "No picture of the metric" in said
    assert "500" in said
    assert "boom" not in said


async def test_without_a_metrics_server_or_an_expression_the_page_has_no_picture(
    site: Site, server: MetricsStandIn
) -> None:
    incident = await measured(site, server, "http://grafana.example.org/alerting/grafana/u/view")
    assert "plot.svg" not in (await site.client.get(f"/incidents/{incident.id}")).text
    other = await measured(site, server)
    site.context.use_config(CONFIG)
    assert "plot.svg" not in (await site.client.get(f"/incidents/{other.id}")).text


async def test_the_picture_of_an_incident_that_is_gone_is_not_found(site: Site) -> None:
    assert (await site.client.get("/incidents/gone/plot.svg")).status_code == 404


async def test_its_times_are_written_as_the_reader_writes_them(
    site: Site, server: MetricsStandIn
) -> None:
    incident = await measured(site, server)
    path = f"/incidents/{incident.id}/plot.svg"
    american = await site.client.get(path, headers={"Accept-Language": "en-US"})
    assert re.search(r"\d:\d\d [AP]M", words(american.text))
    german = await site.client.get(path, headers={"Accept-Language": "de"})
    assert re.search(r"\d\d:\d\d", words(german.text))
    assert not {"AM", "PM"} & set(words(german.text).split())
