"""Whole texts of pages, as a person whom they wake reads them: tests/notify/golden has a file of each.

`GOLDEN=write` writes the files anew; look at each of them then.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.model import Incident
from amproxy.notify.message import Card
from amproxy.text import phrase
from tests.support.notify.nights import NOW, fire, page_of, shown

GOLDEN = Path(__file__).parent / "golden"
RUNBOOKS = "https://runbooks.prometheus-operator.dev/runbooks"


def one() -> Card:
    labels = {"alertname": "HighErrorRate", "severity": "critical", "service": "checkout"}
    annotations = {
        "summary": "7 % of requests to checkout fail",
        "description": "Customers cannot pay. Limit: 1 %.",
        "runbook_url": "https://wiki.example.org/checkout",
    }
    url = "http://prometheus.example.org/graph?g0.expr=x"
    return page_of([fire(labels, annotations, generatorURL=url)], {"alertname": "HighErrorRate"})


def disk(number: int, *, over: bool = False, severity: str = "warning") -> dict[str, Any]:
    labels = {
        "alertname": "DiskFull",
        "severity": severity,
        "cluster": "eu1",
        "job": "node",
        "instance": f"db-{number}:9100",
        "device": f"/dev/sd{'abcdefgh'[number % 8]}1",
        "team": "storage",
    }
    annotations = {
        "summary": "A disk is nearly full",
        "description": f"{90 + number} % of db-{number} are used",
    }
    return fire(labels, annotations, minutes=5 + 10 * (number % 3), over=over)


def many() -> Card:
    alerts = [disk(1), disk(2, severity="critical"), disk(3)]
    return page_of(alerts, {"alertname": "DiskFull"}, truncatedAlerts=7)


def resolved() -> Card:
    def end(incident: Incident) -> Incident:
        return replace(incident, state="resolved", ended="source", resolved_at=NOW - 60)

    return page_of([disk(1, over=True), disk(2, over=True)], {"alertname": "DiskFull"}, end)


def partly_resolved() -> Card:
    def acknowledge(incident: Incident) -> Incident:
        return replace(
            incident, state="acknowledged", acknowledged_by="ann", acknowledged_at=NOW - 300
        )

    return page_of([disk(1, over=True), disk(2)], {"alertname": "DiskFull"}, acknowledge)


def joined() -> Card:
    def again(incident: Incident) -> Incident:
        why = phrase("joined.graver", severity="critical")
        return replace(incident, joined=why, joined_at=NOW, started_at=NOW - 1800)

    alerts = [disk(1), disk(2, severity="critical")]
    return page_of(alerts, {"alertname": "DiskFull"}, again)


def kube_pod_crash_looping() -> Card:
    """As kube-prometheus sends it: the instance is that of kube-state-metrics."""
    labels = {
        "alertname": "KubePodCrashLooping",
        "container": "checkout",
        "endpoint": "http-metrics",
        "instance": "10.244.1.7:8080",
        "job": "kube-state-metrics",
        "namespace": "shop",
        "pod": "checkout-6d8f7c9b5d-x2v9q",
        "prometheus": "monitoring/k8s",
        "reason": "CrashLoopBackOff",
        "service": "kube-prometheus-stack-kube-state-metrics",
        "severity": "warning",
        "uid": "0b7a3a1e-4a55-4a1c-9f5c-1d6f0c6f3e11",
    }
    annotations = {
        "description": "Pod shop/checkout-6d8f7c9b5d-x2v9q (checkout) is in waiting state"
        ' (reason: "CrashLoopBackOff") on cluster .',
        "runbook_url": f"{RUNBOOKS}/kubernetes/kubepodcrashlooping",
        "summary": "Pod is crash looping.",
    }
    group = {"alertname": "KubePodCrashLooping", "namespace": "shop"}
    return page_of([fire(labels, annotations, minutes=15)], group)


def grafana(name: str, labels: dict[str, str], annotations: dict[str, str], **more: Any) -> Card:
    labels = {"alertname": name, "grafana_folder": "Prod", **labels}
    more = {
        "silenceURL": "http://g.example.org/alerting/silence/new?x=1",
        "generatorURL": "http://g.example.org/alerting/grafana/abc/view?orgId=1",
        **more,
    }
    group = {"alertname": name, "grafana_folder": "Prod"}
    return page_of([fire(labels, annotations, **more)], group, title="[FIRING:1]", orgId=1)


def grafana_rule() -> Card:
    return grafana(
        "High error rate",
        {"instance": "web1", "severity": "critical"},
        {"summary": "Errors above 5 %", "__dashboardUid__": "abc", "__orgId__": "1"},
        values={"A": 7.4213999999, "B": 1},
        valueString="[ var='A' labels={instance=web1} value=7.4213999999 ]",
        dashboardURL="http://g.example.org/d/abc",
        imageURL="http://g.example.org/img/1.png",
    )


def datasource_error() -> Card:
    error = "[sse.dataQueryError] failed to execute query [A]: connection refused"
    ids = {"ref_id": "A", "datasource_uid": "ds-0001", "rulename": "Orders per minute"}
    annotations = {"summary": "Too few orders", "Error": error, "grafana_state_reason": "Error"}
    return grafana("DatasourceError", ids, annotations)


def no_data() -> Card:
    ids = {"ref_id": "A", "datasource_uid": "ds-0001", "rulename": "Orders per minute"}
    annotations = {"summary": "Too few orders", "grafana_state_reason": "NoData"}
    return grafana("DatasourceNoData", ids, annotations)


def custom_rule() -> Card:
    labels = {"alertname": "ShopDown", "severity": "page", "instance": "shop.example.org"}
    annotations = {
        "impact": "Nobody can buy anything",
        "action": "Restart the gateway, then call the provider",
        "runbook": "https://wiki.example.org/shop-down",
    }
    return page_of([fire(labels, annotations)], {"alertname": "ShopDown"})


def thirty() -> Card:
    def volume(number: int) -> dict[str, Any]:
        node = f"node-{number:02}.example.org:9100"
        labels = {
            "alertname": "FilesystemAlmostOutOfSpace",
            "device": f"/dev/mapper/vg0-lv{'x' * 40}",
            "endpoint": "metrics",
            "fstype": "ext4",
            "instance": node,
            "job": "node-exporter",
            "mountpoint": f"/var/lib/docker/overlay2/{'y' * 40}",
            "severity": "critical" if number == 17 else "warning",
            "team": "infrastructure",
        }
        text = f"Filesystem on {node} has only {number} % left and is filling up. " * 4
        return fire(
            labels, {"summary": "Filesystem is predicted to run out of space", "description": text}
        )

    group = {"alertname": "FilesystemAlmostOutOfSpace", "job": "node-exporter"}
    return page_of([volume(number) for number in range(30)], group)


def cyrillic() -> Card:
    def server(name: str) -> dict[str, Any]:
        labels = {
            "alertname": "Нет места на диске",
            "severity": "critical",
            "instance": name,
            "площадка": "Москва",
        }
        return fire(labels, {"summary": f"На {name} осталось 2 %", "действие": "Очистить /var/log"})

    return page_of([server("сервер-1"), server("сервер-2")], {"alertname": "Нет места на диске"})


CARDS = (
    *(one, many, resolved, partly_resolved, joined, kube_pod_crash_looping, grafana_rule),
    *(datasource_error, no_data, custom_rule, thirty, cyrillic),
)


@pytest.mark.parametrize("make", CARDS, ids=lambda make: make.__name__)
async def test_a_page_reads_as_its_file_says(make: Any) -> None:
    text, file = await shown(make()), GOLDEN / f"{make.__name__}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")
