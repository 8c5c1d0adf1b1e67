"""Alerts and groups through the API: what is shown, in which order, and which query leaves what."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from amproxy.config.structs import Receiver
from amproxy.labels.intervals import parse_time_interval
from amproxy.store import keys
from tests.support.alertmanager.served import Api, config, rfc3339, route

MANY_GROUPS, MANY = 100, 10_000
ALWAYS = parse_time_interval("always", [{}])


def names(alerts: list[dict[str, Any]]) -> set[str]:
    return {alert["labels"]["alertname"] for alert in alerts}


def test_an_alert_is_shown_with_alertmanagers_keys_in_alertmanagers_order(api: Api) -> None:
    api.push(
        {
            "labels": {"b": "2", "alertname": "A"},
            "annotations": {"z": "1", "a": ""},
            "generatorURL": "javascript:x",
        },
        {"alertname": "B"},
    )
    answer = api.ask("GET", "/api/v2/alerts")
    assert answer.text.endswith("\n")
    first = next(alert for alert in answer.json if alert["labels"]["alertname"] == "A")
    assert list(first) == [
        *(
            "annotations",
            "endsAt",
            "fingerprint",
            "receivers",
            "startsAt",
            "status",
            "updatedAt",
            "generatorURL",
            "labels",
        )
    ]
    assert list(first["annotations"]) == ["a", "z"]
    assert list(first["labels"]) == ["alertname", "b"]
    assert set(first["status"]) == {"inhibitedBy", "mutedBy", "silencedBy", "state"}
    second = next(alert for alert in answer.json if alert["labels"]["alertname"] == "B")
    assert "generatorURL" not in second


def test_times_have_milliseconds_and_the_senders_offset(api: Api) -> None:
    start = datetime.fromtimestamp(api.clock[0], UTC)
    sent = {
        "startsAt": start.strftime("%Y-%m-%dT%H:%M:%S") + ".987654321+05:30",
        "endsAt": "2100-01-02T03:04:05-03:00",
    }
    api.push({"labels": {"alertname": "A"}, **sent})
    (alert,) = api.get("/alerts")
    assert alert["startsAt"] == start.strftime("%Y-%m-%dT%H:%M:%S") + ".987+05:30"
    assert alert["endsAt"] == "2100-01-02T03:04:05.000-03:00"
    assert alert["updatedAt"] == rfc3339(api.clock[0])


def test_a_webhooks_alert_ends_when_it_would_lapse_without_news(api: Api) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "A"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }
    body = {
        "version": "4",
        "groupKey": "g",
        "receiver": "r",
        "status": "firing",
        "groupLabels": {},
        "alerts": [alert],
    }
    assert api.ask("POST", "/webhook/am", body).status == 200
    assert api.get("/alerts")[0]["endsAt"] == rfc3339(api.clock[0] + 7 * 86400)


def test_resolved_alerts_are_never_shown(api: Api) -> None:
    api.push({"labels": {"alertname": "A"}, "endsAt": rfc3339(api.clock[0] + 60)})
    assert names(api.get("/alerts")) == {"A"}
    api.clock[0] += 60
    assert api.get("/alerts") == []
    assert api.get("/alerts/groups") == []


def test_an_alert_of_several_groups_is_shown_once_with_its_receivers_in_the_order_of_the_routes(
    serve: Callable[..., Api],
) -> None:
    root = route(
        "z",
        "{}",
        routes=(
            route("z", '{}/{x="1"}', 'x="1"', continue_=True),
            route("b", '{}/{x=~".+"}', 'x=~".+"', continue_=True),
            route(
                "a",
                '{}/{x!=""}',
                'x!=""',
                continue_=True,
                routes=(route("z", '{}/{x!=""}/{y="1"}', 'y="1"'),),
            ),
        ),
    )
    api = serve(
        config(route=root, receivers={name: Receiver(name=name) for name in "zba"}),
        now=1_790_000_000.0,
    )
    api.push(
        {"alertname": "A", "x": "1", "y": "1"}, {"alertname": "B", "x": "1"}, {"alertname": "C"}
    )
    shown = {
        alert["labels"]["alertname"]: [receiver["name"] for receiver in alert["receivers"]]
        for alert in api.get("/alerts")
    }
    assert shown == {"A": ["z", "b", "z"], "B": ["z", "b", "a"], "C": ["z"]}
    grouped = {
        (g["labels"]["alertname"], g["receiver"]["name"]): [
            r["name"] for r in g["alerts"][0]["receivers"]
        ]
        for g in api.get("/alerts/groups")
    }
    assert grouped[("B", "z")] == ["a", "b", "z"]
    assert [
        r["name"] for r in api.get("/alerts/groups?receiver=a%7Cb")[0]["alerts"][0]["receivers"]
    ] == ["b"]


def test_alerts_are_sorted_by_fingerprint(api: Api) -> None:
    api.push(*({"alertname": f"A{number}"} for number in range(20)))
    prints = [alert["fingerprint"] for alert in api.get("/alerts")]
    assert prints == sorted(prints)
    assert len(prints) == 20


def test_groups_are_sorted_by_labels_then_receiver_and_their_alerts_as_in_a_message(
    serve: Callable[..., Api],
) -> None:
    by = ("a", "b")
    below = (
        route("two", '{}/{a="1"}', 'a="1"', continue_=True, group_by=by),
        route("one", '{}/{a=~".*"}', 'a=~".*"', group_by=by),
    )
    root = route("one", "{}", group_by=by, routes=below)
    api = serve(
        config(route=root, receivers={name: Receiver(name=name) for name in ("two", "one")}),
        now=1_790_000_000.0,
    )
    api.push(
        {"b": "2", "job": "z"},
        {"a": "1", "job": "y"},
        {"a": "1", "job": "x"},
        {"a": "0", "b": "0"},
        {"c": "1"},
        {"a": "1"},
    )
    groups = [
        (
            group["labels"],
            group["receiver"]["name"],
            [alert["labels"].get("job") for alert in group["alerts"]],
        )
        for group in api.get("/alerts/groups")
    ]
    assert groups == [
        ({}, "one", [None]),
        # of two sets that differ first in a name, the one that lacks the smaller name comes first
        ({"b": "2"}, "one", ["z"]),
        ({"a": "1"}, "one", ["x", "y", None]),
        ({"a": "1"}, "two", ["x", "y", None]),
        ({"a": "0", "b": "0"}, "one", [None]),
    ]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ({}, {"Src", "Tgt", "Free", "Still"}),
        ({"silenced": "false"}, {"Src", "Tgt", "Free"}),
        ({"inhibited": "no"}, {"Src", "Free", "Still"}),
        ({"active": "0"}, {"Tgt", "Still"}),
        ({"active": "", "silenced": "TRUE", "inhibited": "Y"}, {"Src", "Tgt", "Free", "Still"}),
        ({"active": "maybe", "inhibited": "on"}, {"Tgt", "Still"}),
        ({"unprocessed": "false"}, {"Src", "Tgt", "Free", "Still"}),
        ({"active": "false", "silenced": "false", "inhibited": "false"}, set()),
        ({"receiver": "team-.*"}, {"Src", "Tgt"}),
        ({"receiver": "team"}, set()),
        ({"receiver": ""}, {"Src", "Tgt", "Free", "Still"}),
        ({"filter": 'team=""'}, {"Free", "Still"}),
        ({"filter": ['team!=""', "severity=warning"]}, {"Tgt"}),
        ({"receiver_matchers": 'kind="chat"'}, {"Free", "Still"}),
        ({"receiver_matchers": 'name=~"team-b"'}, {"Src", "Tgt"}),
        ({"nonsense": "1"}, {"Src", "Tgt", "Free", "Still"}),
    ],
)
def test_a_query_leaves_what_it_asks_for_among_alerts_and_among_groups(
    serve: Callable[..., Api], query: dict[str, Any], left: set[str]
) -> None:
    receivers = {
        "default": Receiver(name="default", labels={"kind": "chat"}),
        **{n: Receiver(name=n) for n in ("team-a", "team-b")},
    }
    api = serve(config(receivers=receivers), now=1_790_000_000.0)
    api.push(
        {"alertname": "Src", "severity": "critical", "cluster": "c1", "team": "a"},
        {"alertname": "Tgt", "severity": "warning", "cluster": "c1", "team": "b"},
        {"alertname": "Free", "severity": "warning", "cluster": "c2"},
        {"alertname": "Still"},
    )
    assert api.silence('alertname="Still"').status == 200
    asked = f"?{urlencode(query, doseq=True)}"
    assert names(api.get(f"/alerts{asked}")) == left
    assert {
        name for group in api.get(f"/alerts/groups{asked}") for name in names(group["alerts"])
    } == left


@pytest.mark.parametrize(
    "query",
    [
        "filter=foo",
        "filter=",
        "filter=%7Ba%3Db%7D",
        'filter=a%3D"b"%2Cc%3D"d"',
        "filter=a%3D~%22%5B%22",
        "receiver=%5B",
        "receiver_matchers=x",
    ],
)
@pytest.mark.parametrize("path", ["alerts", "alerts/groups"])
def test_a_bad_query_is_answered_with_one_text(api: Api, path: str, query: str) -> None:
    answer = api.ask("GET", f"/api/v2/{path}?{query}")
    assert answer.status == 400
    assert isinstance(answer.json, str)
    assert answer.text.endswith('"\n')


def test_what_is_inhibited_and_silenced_names_both_causes(api: Api) -> None:
    api.push(
        {"alertname": "Src", "severity": "critical"}, {"alertname": "Tgt", "severity": "warning"}
    )
    first, second = (
        api.silence(text).json["silenceID"] for text in ('alertname="Tgt"', 'severity=~"w.*"')
    )
    source, target = sorted(api.get("/alerts"), key=lambda alert: str(alert["labels"]["alertname"]))
    assert source["status"] == {
        "inhibitedBy": [],
        "mutedBy": [],
        "silencedBy": [],
        "state": "active",
    }
    assert target["status"] == {
        "inhibitedBy": [source["fingerprint"]],
        "mutedBy": [],
        "silencedBy": sorted([first, second]),
        "state": "suppressed",
    }


def test_labels_of_routes_are_filled_in_from_the_alerts_of_the_group(
    serve: Callable[..., Api],
) -> None:
    labels = {
        "tier": "1",
        "told": "{{ .GroupLabels.alertname }}: {{ len .Alerts.Firing }} of {{ len .Alerts }}",
        "bad": "{{ .Nothing.At.All }}",
    }
    api = serve(config(route=route("default", "{}", labels=labels)), now=1_790_000_000.0)
    over = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T00:00:01Z"}
    api.push({"alertname": "A", "n": "1"}, {"alertname": "A", "n": "2"})
    api.push({"labels": {"alertname": "A", "n": "2"}, **over})
    [group] = api.get("/alerts/groups")
    assert group["routeLabels"] == {"tier": "1", "told": "A: 1 of 2"}


def test_a_muted_group_names_the_interval_and_can_be_left_out(serve: Callable[..., Api]) -> None:
    muted = route(
        "team-a", '{}/{team="a"}', 'team="a"', mute_time_intervals=("always",), labels={"tier": "1"}
    )
    api = serve(
        config(route=route("default", "{}", routes=(muted,)), time_intervals={"always": ALWAYS}),
        now=1_790_000_000.0,
    )
    api.push({"alertname": "A", "team": "a"}, {"alertname": "B"})
    groups = {group["labels"]["alertname"]: group for group in api.get("/alerts/groups")}
    assert groups["A"]["alerts"][0]["status"] == {
        "inhibitedBy": [],
        "mutedBy": ["always"],
        "silencedBy": [],
        "state": "suppressed",
    }
    assert groups["A"]["routeLabels"] == {"tier": "1"}
    assert groups["B"]["alerts"][0]["status"]["state"] == "active"
    assert [group["labels"]["alertname"] for group in api.get("/alerts/groups?muted=false")] == [
        "B"
    ]
    # the rest of an alert's state does not hang on one of its groups
    assert {alert["status"]["state"] for alert in api.get("/alerts")} == {"active"}


def test_a_group_whose_route_and_interval_left_the_file_is_still_shown(
    serve: Callable[..., Api],
) -> None:
    muted = route("team-a", '{}/{team="a"}', 'team="a"', mute_time_intervals=("always",))
    api = serve(
        config(route=route("default", "{}", routes=(muted,)), time_intervals={"always": ALWAYS}),
        now=1_790_000_000.0,
    )
    api.push({"alertname": "A", "team": "a"})
    assert api.context
    api.context.use_config(
        config(route=route("default", "{}"), receivers={"default": Receiver(name="default")})
    )
    (group,) = api.get("/alerts/groups")
    assert group["receiver"] == {"name": "team-a"}
    assert group["alerts"][0]["status"]["state"] == "active"


def test_hostile_texts_come_back_as_they_were(api: Api) -> None:
    text = '</script><img src=x onerror=alert(1)>"\\\u0000\u2028🙂'
    api.push({"labels": {"alertname": "A", "x": text}, "annotations": {"summary": text}})
    (alert,) = api.get("/alerts")
    assert (alert["labels"]["x"], alert["annotations"]["summary"]) == (text, text)


def test_ten_thousand_alerts_in_a_hundred_groups_are_shown_in_well_under_half_a_second(
    serve: Callable[..., Api],
) -> None:
    api = serve()
    batch = [
        {
            "labels": {
                "alertname": f"A{number % MANY_GROUPS}",
                "instance": f"host-{number}:9100",
                "job": "node",
                "severity": "warning",
            },
            "annotations": {
                "summary": f"instance host-{number} has been down for more than 5 minutes"
            },
        }
        for number in range(MANY)
    ]
    for start in range(0, MANY, 1000):
        api.push(*batch[start : start + 1000])
    assert api.context
    assert api.run(_count(api)) == MANY_GROUPS
    api.silence('instance=~"host-7.*"')
    for path in ("alerts", "alerts/groups"):
        took = []
        for _ in range(5):
            started = (
                time.process_time()
            )  # not the wall clock: the machine may be busy with other things
            answer = api.ask("GET", f"/api/v2/{path}")
            took.append(time.process_time() - started)
        shown = json.loads(answer.text)
        assert sum(len(item.get("alerts", [item])) for item in shown) == MANY
        print(f"{path}: {min(took):.3f} s")
        assert min(took) < 0.5


async def _count(api: Api) -> int:
    assert api.context
    return int(await api.context.wire.call("SCARD", keys.GROUPS))
