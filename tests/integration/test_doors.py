"""Both doors, with what real senders send and with what nobody should: a clear answer, and nothing half-stored."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from amproxy.config.structs import Config, Heartbeat, Source, Web
from amproxy.secret import Secret
from amproxy.store import groups, incidents
from tests.support.acceptance.moments import rfc3339
from tests.support.cases import ALERTMANAGER
from tests.support.config.configs import REACHES
from tests.support.integration.house import House, config
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


def alert(**more: Any) -> dict[str, Any]:
    return {"status": "firing", "labels": {"alertname": "Disk"}, **more}


async def stored(house: House) -> int:
    loaded = [
        await groups.load_group(house.context.wire, name)
        for name in await groups.load_group_ids(house.context.wire)
    ]
    return sum(len(group.alerts) for group in loaded if group)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (400, b"{", "not JSON"),
        (400, b"", "not JSON"),
        (422, b"[]", "must be a JSON object"),
        (422, b'"text"', "must be a JSON object"),
        (422, {"alerts": {}}, "alerts: must be a list"),
        (422, {"groupKey": "x"}, "alerts: is missing"),
    ],
)
async def test_a_webhook_that_is_wrong_is_refused_whole(
    house_of: Build, status: int, body: Any, says: str
) -> None:
    house = await house_of(config())
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    got, answer = await house.post("/webhook/am", None, raw=raw)
    assert (got, says in answer["detail"]) == (status, True), answer
    assert await stored(house) == 0


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (5, "alerts[1]: must be an object"),
        ({"status": "firing"}, "alerts[1].labels"),
        (alert(labels={"a": ""}), "alerts[1].labels"),
    ],
)
async def test_an_alert_without_labels_is_refused_and_its_neighbour_is_stored(
    house_of: Build, bad: Any, says: str
) -> None:
    house = await house_of(config())
    status, answer = await house.post("/webhook/am", {"alerts": [alert(), bad]})
    assert (status, says in answer["detail"], await stored(house)) == (422, True, 1)


async def test_bodies_may_be_packed_and_must_not_be_too_large(house_of: Build) -> None:
    house = await house_of(config(web=Web(max_body=2000)))
    body = json.dumps({"alerts": [alert()]}).encode()
    bomb = gzip.compress(json.dumps({"alerts": [alert(annotations={"a": "x" * 100_000})]}).encode())
    assert (await house.post("/webhook/am", None, raw=b"x" * 2001))[0] == 413
    assert (await house.post("/webhook/am", None, raw=bomb, headers={"content-encoding": "gzip"}))[
        0
    ] == 413
    assert (await house.post("/webhook/am", None, raw=body, headers={"content-encoding": "gzip"}))[
        0
    ] == 400
    assert (
        await house.post(
            "/webhook/am", None, raw=gzip.compress(body)[:-5], headers={"content-encoding": "gzip"}
        )
    )[0] == 400
    assert (await house.post("/webhook/am", None, raw=body, headers={"content-encoding": "br"}))[
        0
    ] == 415
    assert await stored(house) == 0
    assert (
        await house.post(
            "/webhook/am", None, raw=gzip.compress(body), headers={"content-encoding": "gzip"}
        )
    )[0] == 200
    assert await stored(house) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (415, b"[]", "text/plain"),
        (400, b"{}", "application/json"),
        (400, b"[", "application/json"),
        (400, b"[null]", "application/json"),
        (422, b"", "application/json"),
        (422, b'[{"labels":{"a":"b"}},{"annotations":{}}]', "application/json"),
        (400, b'[{"labels":{"a":1}}]', "application/json"),
        (400, b'[{"labels":{"a":"b"},"startsAt":"soon"}]', "application/json"),
        (200, b"null", "application/json; charset=utf-8"),
        (200, b"[] and more", "Application/JSON"),
        (200, b'[{"Labels":{"a":"b"},"what":1}]', "application/json"),
        (200, b'[{"labels":{"a":"b"},"endsAt":"9999-12-31T23:59:59Z"}]', "application/json"),
        (400, b'[{"labels":{"a":"b"},"x":' + b"9" * 5000 + b"}]", "application/json"),
    ],
)
async def test_the_raw_door_is_as_strict_and_as_forgiving_as_alertmanager(
    house_of: Build, status: int, body: bytes, kind: str
) -> None:
    house = await house_of(config())
    assert (await house.post("/api/v2/alerts", None, raw=body, headers={"content-type": kind}))[
        0
    ] == status
    if status != 200:
        assert await stored(house) == 0


async def test_good_alerts_of_a_raw_push_are_kept_beside_bad_ones(house_of: Build) -> None:
    house = await house_of(config())
    bad = {
        "labels": {"alertname": "B"},
        "startsAt": "2026-01-02T00:00:00Z",
        "endsAt": "2026-01-01T00:00:00Z",
    }
    status, answer = await house.post(
        "/api/v2/alerts", [{"labels": {"alertname": "A"}}, bad, {"labels": {"a": ""}}]
    )
    assert status == 400
    assert answer.split("\n") == [
        "start time must be before end time",
        "at least one label pair required",
    ]
    assert await stored(house) == 1


async def test_ten_thousand_alerts_in_one_body_open_one_incident(house_of: Build) -> None:
    house = await house_of(config())
    alerts = [alert(labels={"alertname": "Disk", "disk": str(number)}) for number in range(10_000)]
    assert (await house.post("/webhook/am", {"alerts": alerts, "groupKey": "g"}))[0] == 200
    await soon(lambda: house.chat.sent)
    [incident] = await house.incidents()
    assert incident.firing == 10_000
    assert len(await incidents.load_alerts(house.context.wire, incident.id)) == 10_000


@pytest.mark.parametrize("folder", ["vmalert_posts", "prometheus_posts"])
async def test_what_real_senders_post_is_taken(house_of: Build, folder: str) -> None:
    house = await house_of(config())
    for path in sorted((ALERTMANAGER / folder).glob("*.json")):
        case = json.loads(path.read_text("utf-8"))
        if "body" in case:
            assert (await house.post("/api/v2/alerts", None, raw=case["body"].encode()))[
                0
            ] == 200, path.name


async def test_what_grafana_posts_is_taken_with_its_extra_fields(house_of: Build) -> None:
    house = await house_of(config())
    for path in sorted((ALERTMANAGER / "grafana_webhook_samples").glob("*.json")):
        case = json.loads(path.read_text("utf-8"))
        door = "/api/v2/alerts" if case["body"].lstrip().startswith("[") else "/webhook/grafana"
        assert (await house.post(door, None, raw=case["body"].encode()))[0] == 200, path.name
    loaded = [
        await groups.load_group(house.context.wire, name)
        for name in await groups.load_group_ids(house.context.wire)
    ]
    kept = [a for group in loaded if group for a in group.alerts if "valueString" in a.extra]
    assert kept
    for a in kept:
        assert {"values", "valueString", "silenceURL", "dashboardURL", "panelURL"} <= a.extra.keys()
    assert "bab3c32b8f2ef818" in {
        a.fingerprint for a in kept
    }  # Grafana's own, which is not that of the labels it shows


async def test_any_json_object_is_better_than_no_page(house_of: Build) -> None:
    house = await house_of(config())
    assert (
        await house.post(
            "/webhook/x", {"title": "Backup failed", "message": "disk gone", "state": "alerting"}
        )
    )[0] == 200
    await soon(lambda: house.chat.sent)
    assert "Backup failed" in house.chat.sent[0][1].title
    assert (await house.post("/webhook/x", {"title": "Backup failed", "state": "ok"}))[0] == 200
    await soon(lambda: house.incidents("resolved"))


SOURCES = {
    "am": Source(name="am", token=Secret("s3cret")),
    "grafana": Source(name="grafana", hmac_secret=Secret("k")),
}


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (401, "/webhook/am", {}),
        (401, "/webhook/am", {"authorization": "Bearer wrong"}),
        (401, "/webhook/am/wrong", {}),
        (404, "/webhook/nobody", {"authorization": "Bearer s3cret"}),
        (401, "/api/v2/alerts", {}),
        (200, "/webhook/am", {"authorization": "Bearer s3cret"}),
        (200, "/webhook/am", {"authorization": "Token s3cret"}),
        (200, "/webhook/am", {"authorization": "Basic dXNlcjpzM2NyZXQ="}),
        (200, "/webhook/am/s3cret", {}),
        (200, "/api/v2/alerts", {"authorization": "Bearer s3cret"}),
    ],
)
async def test_a_source_needs_its_token(
    house_of: Build, status: int, path: str, headers: dict[str, str]
) -> None:
    house = await house_of(config(sources=SOURCES))
    body: Any = [{"labels": {"a": "b"}}] if path.startswith("/api") else {"alerts": [alert()]}
    assert (await house.post(path, body, headers=headers))[0] == status


async def test_grafanas_signature_is_demanded_under_both_its_names(house_of: Build) -> None:
    house = await house_of(config(sources=SOURCES))
    body = json.dumps({"alerts": [alert()]}).encode()
    plain = hmac.new(b"k", body, hashlib.sha256).hexdigest()
    now = int(house.context.now())
    stamped = hmac.new(b"k", f"{now}:".encode() + body, hashlib.sha256).hexdigest()
    old = hmac.new(b"k", b"1772616030:" + body, hashlib.sha256).hexdigest()
    for status, headers in [
        (401, {}),
        (401, {"x-grafana-alerting-signature": "0" * 64}),
        (200, {"x-grafana-alerting-signature": plain}),
        (200, {"x-grafana-alert-signature": plain}),
        (200, {"x-grafana-alert-signature": stamped, "x-grafana-timestamp": str(now)}),
        (401, {"x-grafana-alert-signature": stamped, "x-grafana-timestamp": str(now + 1)}),
        (401, {"x-grafana-alert-signature": stamped}),
        (401, {"x-grafana-alert-signature": old, "x-grafana-timestamp": "1772616030"}),
    ]:
        assert (await house.post("/webhook/grafana", None, raw=body, headers=headers))[0] == status


async def test_with_redis_away_the_sender_is_told_to_come_again(house_of: Build) -> None:
    house = await house_of(config(heartbeats={"w": Heartbeat(name="w", every=60.0)}))
    await house.context.wire.close()
    for path, body in (
        ("/webhook/am", {"alerts": [alert()]}),
        ("/api/v2/alerts", [{"labels": {"a": "b"}}]),
    ):
        assert (await house.post(path, body))[0] == 503


async def test_a_webhooks_alert_without_news_lapses_and_says_why(house_of: Build) -> None:
    source = Source(name="am", expire_after=0.5)
    house = await house_of(config(sources={"am": source}))
    await house.post("/webhook/am", {"alerts": [alert()], "groupKey": "g"})
    [incident] = await soon(lambda: house.incidents("resolved"))
    assert incident.resolved_by == "expired"
    assert any("no news from the source" in line for line in await house.timeline(incident))


@pytest.mark.parametrize(
    ("seconds", "then_resolved", "ended"),
    [(None, False, "expired"), (3, False, "expired"), (600, True, "source")],
)
async def test_a_raw_alert_that_is_not_heard_of_again_says_so(
    house_of: Build, seconds: float | None, then_resolved: bool, ended: str
) -> None:
    house = await house_of(config(global_=msgspec.structs.replace(REACHES, resolve_timeout=0.6)))

    def moment(after: float) -> str:
        return rfc3339(house.context.now() + after)

    pushed: dict[str, Any] = {"labels": {"alertname": "X"}}
    end = {} if seconds is None else {"endsAt": moment(seconds)}
    await house.post("/api/v2/alerts", [{**pushed, **end}])
    if then_resolved:
        await soon(lambda: house.incidents("triggered"))
        await house.post("/api/v2/alerts", [{**pushed, "endsAt": moment(0)}])
    [incident] = await soon(lambda: house.incidents("resolved"))
    assert incident.resolved_by == ended


async def test_where_no_route_says_group_by_the_senders_group_is_kept(house_of: Build) -> None:
    wanted = config()
    house = await house_of(
        msgspec.structs.replace(
            wanted, route=msgspec.structs.replace(wanted.route, group_by=(), group_by_given=False)
        )
    )
    for key in ("one", "two"):
        await house.post(
            "/webhook/am",
            {
                "alerts": [alert(labels={"alertname": key})],
                "groupKey": key,
                "groupLabels": {"k": key},
            },
        )
    found = await soon(lambda: _two(house))
    assert sorted(incident.group_labels["k"] for incident in found) == ["one", "two"]


async def _two(house: House) -> Any:
    found = await house.incidents()
    return found if len(found) == 2 else None


async def test_alerts_that_a_process_has_not_heard_of_cost_one_command_and_lose_nothing_stored(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(config())
    wire, asked = house.context.wire, list[str]()

    def call(*words: Any, known: Callable[..., Any] = wire.call) -> Any:
        asked.append(str(words[0]))
        return known(*words)

    def body(starts: str, *disks: str) -> list[dict[str, Any]]:
        labels = [{"alertname": "Disk", "disk": disk} for disk in disks]
        times = {"startsAt": starts, "endsAt": "2100-01-01T00:00:00Z"}
        return [{"labels": one, **times} for one in labels]

    await house.stop()  # only what pushes ask is counted
    monkeypatch.setattr(wire, "call", call)
    assert await house.post("/api/v2/alerts", body("2026-01-01T00:00:00Z", "a", "b")) == (200, None)
    assert asked == ["EVALSHA"]
    # A new configuration forgets all placements, as a restart does: what is stored is merged.
    house.context.use_config(house.context.config)
    assert await house.post("/api/v2/alerts", body("2026-02-01T00:00:00Z", "b", "c")) == (200, None)
    assert asked == ["EVALSHA", "EVALSHA", "HMGET", "EVALSHA"]
    (group,) = await groups.load_group_ids(wire)
    loaded = await groups.load_group(wire, group)
    assert loaded is not None
    starts = {
        one.labels["disk"]: datetime.fromtimestamp(one.starts_ns / 10**9, UTC).month
        for one in loaded.alerts
    }
    assert starts == {"a": 1, "b": 1, "c": 2}
