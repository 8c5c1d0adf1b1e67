"""The lists of alerts and groups in parts: the same bytes as made at once, whatever is asked for."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from amproxy.config.structs import Config, InhibitRule, Maintenance, Receiver
from amproxy.errors import StoreUnavailable
from amproxy.labels.intervals import parse_time_interval
from amproxy.labels.matchers import parse_matchers
from amproxy.store import all_alerts
from amproxy.web.alertmanager import alerts as lists
from amproxy.web.alertmanager import http as v2
from tests.support.alertmanager.listed import expected_alerts, expected_groups
from tests.support.alertmanager.served import Api, config, rfc3339, route

NOW = 1_790_000_000.0
NUMBER = 120  # alerts
QUERIES = 16
LABELS = {
    "alertname": ["A", "B", "C"],
    "team": ["a", "b", "", 'é"\\\n'],
    "severity": ["critical", "warning"],
    "cluster": ["c1", "c2", ""],
    "job": ["x", ""],
    "instance": [f"host-{number}" for number in range(20)],
}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few alerts each, so that few alerts make many parts."""
    monkeypatch.setattr(lists, "READ_AT_ONCE", 23)
    monkeypatch.setattr(lists, "MADE_AT_ONCE", 7)
    monkeypatch.setattr(v2, "SENT_AT_ONCE", 3000)


def crowded_config() -> Config:
    """Routes that overlap, one of them muted; what inhibits, and a window that is open."""
    root = route(
        "default",
        "{}",
        labels={"z": "1", "a": "2"},
        routes=(
            route("team-a", '{}/{team="a"}', 'team="a"', continue_=True),
            route("team-b", '{}/{team=~"a|b"}', 'team=~"a|b"', continue_=True, group_by=("job",)),
            route("team-a", '{}/{job="x"}', 'job="x"', continue_=True, group_by_all=True),
            route(
                "default",
                '{}/{cluster="c1"}',
                'cluster="c1"',
                mute_time_intervals=("always",),
                group_by=(),
            ),
        ),
    )
    rules = tuple(
        InhibitRule(
            source_matchers=tuple(parse_matchers(source)),
            target_matchers=tuple(parse_matchers(target)),
            equal=equal,
        )
        for source, target, equal in (
            ('severity="critical"', 'severity="warning"', ("cluster", "instance")),
            ('alertname="A"', 'job="x"', ("instance", "team")),
        )
    )
    window = Maintenance(
        name="works",
        matchers=tuple(parse_matchers('instance=~"host-1."')),
        start=datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None) - timedelta(hours=1),
        end=datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None) + timedelta(hours=1),
    )
    return config(
        route=root,
        inhibit_rules=rules,
        maintenance={"works": window},
        time_intervals={"always": parse_time_interval("always", [{}])},
        receivers={
            name: Receiver(name=name, labels=labels)
            for name, labels in (("default", {"k": "1"}), ("team-a", {}), ("team-b", {"k": "2"}))
        },
    )


def generated_alerts(chance: random.Random, number: int) -> Iterator[dict[str, Any]]:
    for _ in range(number):
        labels = {name: chance.choice(values) for name, values in LABELS.items()}
        alert: dict[str, Any] = {"labels": labels}
        if chance.random() < 0.7:
            alert["annotations"] = {"summary": "it \u2028 broke", "a": chance.choice(["", "<b>"])}
        if chance.random() < 0.5:
            alert["startsAt"] = rfc3339(NOW - chance.randrange(90_000)).replace("Z", "+05:30")
        if chance.random() < 0.5:
            alert["endsAt"] = rfc3339(NOW + chance.choice((-60, 20, 3600)))
        if chance.random() < 0.5:
            alert["generatorURL"] = "http://prometheus/graph?g0.expr=up"
        yield alert


def generated_queries(chance: random.Random) -> Iterator[str]:
    yield ""
    filters = ['team="a"', 'severity!="critical"', 'job=""', 'instance=~"host-1.*"', 'team!~"b|c"']
    for _ in range(QUERIES):
        query: dict[str, Any] = {
            name: chance.choice(("true", "false"))
            for name in ("active", "silenced", "inhibited", "muted")
            if chance.random() < 0.4
        }
        query["filter"] = chance.sample(filters, chance.choice((0, 0, 1, 2)))
        if chance.random() < 0.3:
            query["receiver"] = chance.choice(("team-.*", "team-a", "default", "none"))
        if chance.random() < 0.2:
            query["receiver_matchers"] = chance.choice(('k="1"', 'name=~"team.*"', 'k=""'))
        yield urlencode(query, doseq=True)


def test_lists_made_in_parts_are_those_made_at_once(
    serve: Callable[..., Api], small_parts: None
) -> None:
    chance, api = random.Random(1), serve(crowded_config(), now=NOW)
    for start in range(0, NUMBER, 40):
        api.push(*generated_alerts(chance, 40))
        api.clock[0] += start / 4  # some ends pass, and alerts differ in their last update
    for matcher in ('alertname="B"', 'instance=~"host-[0-4]"', 'instance="host-3"'):
        assert api.silence(matcher).status == 200
    assert api.context
    shown = 0
    for query in generated_queries(chance):
        for path, expected in (("alerts", expected_alerts), ("alerts/groups", expected_groups)):
            answer = api.ask("GET", f"/api/v2/{path}?{query}")
            assert answer.status == 200
            assert answer.text.encode() == api.run(expected(api.context, query)), (path, query)
            shown += answer.text.count('"fingerprint"')
    assert shown > QUERIES * 10


def test_a_large_list_comes_in_chunks_and_a_small_one_with_its_length(
    api: Api, small_parts: None
) -> None:
    api.push({"alertname": "A"})
    assert "content-length" in api.ask("GET", "/api/v2/alerts").headers
    api.push(*({"alertname": f"A{number}"} for number in range(100)))
    for path in ("alerts", "alerts/groups"):
        answer = api.ask("GET", f"/api/v2/{path}")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert len(answer.json) == 101


def test_a_client_of_http_1_0_gets_a_large_list_with_its_length(
    api: Api, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.push(*({"alertname": f"A{number}"} for number in range(100)))
    monkeypatch.setattr(http.client.HTTPConnection, "_http_vsn", 10)
    monkeypatch.setattr(http.client.HTTPConnection, "_http_vsn_str", "HTTP/1.0")
    answer = api.ask("GET", "/api/v2/alerts")
    assert len(answer.text) == int(answer.headers["content-length"])
    assert len(answer.json) == 100


def test_a_list_that_breaks_off_is_not_taken_for_a_whole_one(
    api: Api, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.push(*({"alertname": f"A{number}"} for number in range(100)))
    load, calls = all_alerts.load_packed, 0

    async def breaks_off(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise StoreUnavailable("Redis went away")
        return await load(*given)

    monkeypatch.setattr(lists, "load_packed", breaks_off)
    with pytest.raises(http.client.IncompleteRead):
        api.ask("GET", "/api/v2/alerts")
    # before anything is sent there is still a status to say it
    assert api.ask("GET", "/api/v2/alerts").status == 503


def test_whoever_reads_a_list_slowly_keeps_nobody_else_from_reading(
    api: Api, small_parts: None
) -> None:
    api.push(*({"alertname": f"A{number}"} for number in range(100)))
    assert api.context

    async def begin() -> Any:
        scope = {"query_string": b"", "headers": [], "http_version": "1.1"}
        found = await lists.AlertmanagerAlertsApi(api.context).all(  # type: ignore[arg-type]
            v2.AlertmanagerRequest(scope, None)  # type: ignore[arg-type]
        )
        assert isinstance(found, v2.AlertmanagerStream)
        return found

    async def end(stream: v2.AlertmanagerStream) -> bytes:
        return stream.begun + b"".join([piece async for piece in stream.rest])

    slow = api.run(begin())
    assert len(api.get("/alerts")) == 100
    assert len(json.loads(api.run(end(slow)))) == 100
