"""Maintenance windows, what is hidden, heartbeats and health over the API."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from amproxy.clock import rfc3339
from amproxy.config.structs import Config, DeadMansSwitch, Heartbeat
from amproxy.correlate import heartbeats as correlate_heartbeats
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Alert, SuppressedAlertRecord, SuppressionUpdate
from amproxy.secret import Secret
from amproxy.store import health, heartbeats, muting
from amproxy.store.commit import Operations, commit
from tests.support.web.muted import DAILY, IN_FILE, push
from tests.support.web.website import NOW, Site

API = "/api/v1/maintenance"


def use(site: Site, **values: Any) -> None:
    changed: Config = msgspec.structs.replace(
        site.context.config, time_intervals={"daily": DAILY}, **values
    )
    site.context.use_config(changed)


async def metric(site: Site, name: str) -> dict[str, float]:
    text = (await site.client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return (
        {",".join(sample.labels.values()): sample.value for sample in families[name].samples}
        if name in families
        else {}
    )


async def test_a_window_by_hand_is_made_changed_prolonged_and_ended(site: Site) -> None:
    use(site)
    body = {
        "name": "switch",
        "matchers": ['team="net"', 'site=~"eu.*"'],
        "for": "2h",
        "comment": " new rack ",
        "user": "alice",
    }
    answer = await site.client.post(API, json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "name": "switch",
        "source": "hand",
        "state": "open",
        "matchers": ['team="net"', 'site=~"eu.*"'],
        "start": rfc3339(NOW),
        "end": rfc3339(NOW + 7200),
        "timezone": "UTC",
        "active_time_intervals": [],
        "comment": "new rack",
        "created_by": "alice",
        "open_until": rfc3339(NOW + 7200),
        "next_open": None,
    }
    assert await metric(site, "amproxy_maintenance_open") == {"switch": 1}
    where = f"{API}/{made['id']}"
    assert (await site.client.post(f"{where}/extend", json={"for": "30m"})).json()[
        "end"
    ] == rfc3339(NOW + 9000)
    assert (
        await site.client.post(f"{where}/extend", json={"until": "2026-01-06T15:00:00+01:00"})
    ).json()["open_until"] == rfc3339(NOW + 14400)
    changed = (
        await site.client.patch(where, json={"comment": "other rack", "matchers": ['team="db"']})
    ).json()
    assert (changed["comment"], changed["matchers"], changed["end"]) == (
        "other rack",
        ['team="db"'],
        rfc3339(NOW + 14400),
    )
    site.clock[0] += 60
    assert (await site.client.delete(where)).status_code == 204
    assert (await site.client.get(where)).json()["state"] == "expired"
    assert (await site.client.delete(where)).status_code == 204
    for method, path, more in (
        ("PATCH", where, {"comment": "x"}),
        ("POST", f"{where}/extend", {"for": "1h"}),
    ):
        refused = await site.client.request(method, path, json=more)
        assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert await metric(site, "amproxy_maintenance_open") == {}
    site.clock[0] += 121 * 3600
    assert (await site.client.get(where)).status_code == 404
    assert (await site.client.get(API)).json() == []


async def test_a_window_may_begin_later_or_recur(site: Site) -> None:
    use(site)
    body = {
        "matchers": ['a="b"'],
        "start": "2026-01-06T20:00",
        "for": "1h",
        "timezone": "Asia/Tbilisi",
    }
    pending = (await site.client.post(API, json=body)).json()
    assert (pending["state"], pending["name"]) == ("pending", 'a="b"')
    assert (pending["start"], pending["end"], pending["next_open"]) == (
        "2026-01-06T16:00:00.000Z",
        "2026-01-06T17:00:00.000Z",
        "2026-01-06T16:00:00.000Z",
    )
    recurring = (
        await site.client.post(
            API, json={"matchers": ['a="b"'], "active_time_intervals": ["daily"]}
        )
    ).json()
    assert (recurring["state"], recurring["start"], recurring["end"]) == ("open", None, None)
    assert (recurring["open_until"], recurring["next_open"]) == (
        "2026-01-06T12:00:00.000Z",
        "2026-01-07T09:00:00.000Z",
    )
    assert (
        await site.client.post(f"{API}/{recurring['id']}/extend", json={"for": "1h"})
    ).status_code == 409
    ended = await site.client.delete(f"{API}/{recurring['id']}")
    assert ended.status_code == 204


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"for": "1h"}, "matchers"),
        ({"matchers": [], "for": "1h"}, "matchers"),
        ({"matchers": ["???"], "for": "1h"}, "matcher"),
        ({"matchers": ['a=~"("'], "for": "1h"}, "matcher"),
        ({"matchers": ['a="b"']}, "until when"),
        ({"matchers": ['a="b"'], "for": "soon"}, "for"),
        ({"matchers": ['a="b"'], "for": "0s"}, "for"),
        ({"matchers": ['a="b"'], "for": "1h", "end": "2026-01-07T00:00:00Z"}, "either"),
        ({"matchers": ['a="b"'], "end": "tomorrow"}, "end"),
        ({"matchers": ['a="b"'], "end": "2026-01-06T09:00:00Z"}, "end"),
        (
            {"matchers": ['a="b"'], "start": "2026-01-05T09:00:00Z", "end": "2026-01-06T09:00:00Z"},
            "past",
        ),
        ({"matchers": ['a="b"'], "start": "9995-12-31T00:00:00Z", "for": "200y"}, ""),
        ({"matchers": ['a="b"'], "active_time_intervals": ["never"]}, "interval"),
        ({"matchers": ['a="b"'], "for": "1h", "timezone": "Europe"}, "time zone"),
        ({"matchers": ['a="b"'], "for": "1h", "user": "mallory"}, "user"),
        ({"matchers": ['a="b"'], "for": "1h", "name": "x" * 201}, "name"),
        ({"matchers": ['a="b"'], "for": "1h", "colour": "red"}, "colour"),
    ],
)
async def test_a_window_that_makes_no_sense_is_refused_with_the_reason(
    site: Site, body: dict[str, Any], says: str
) -> None:
    use(site)
    answer = await site.client.post(API, json=body)
    if says:
        assert answer.status_code == 422, answer.text
        assert says in answer.json()["detail"].lower()
    else:
        assert answer.status_code < 500


async def test_a_window_of_the_file_is_listed_and_cannot_be_changed(site: Site) -> None:
    use(site, maintenance={IN_FILE.name: IN_FILE})
    [listed] = (await site.client.get(API)).json()
    assert (listed["id"], listed["source"], listed["state"]) == ("nightly/backup", "file", "open")
    assert listed["open_until"] == "2026-01-06T11:00:00.000Z", "09:00 to 12:00 in Berlin"
    where = f"{API}/nightly%2Fbackup"
    assert (await site.client.get(where)).json() == listed
    assert (await site.client.get(f"{where}/hidden")).json() == {
        "alerts": [],
        "count": 0,
        "complete": True,
    }
    answers = [
        await site.client.patch(where, json={"comment": "x"}),
        await site.client.delete(where),
        await site.client.post(f"{where}/extend", json={"for": "1h"}),
    ]
    assert [answer.status_code for answer in answers] == [409] * 3
    for path in (f"{API}/nope", f"{API}/nope/hidden", "/api/v1/silences/nope/hidden"):
        assert (await site.client.get(path)).status_code == 404


async def test_an_alert_in_a_window_shows_as_suppressed_in_alertmanagers_api(site: Site) -> None:
    use(site, maintenance={IN_FILE.name: IN_FILE})
    await push(site, {"alertname": "Late", "job": "backup"}, {"alertname": "Late", "job": "other"})
    status = {
        one["labels"]["job"]: one["status"]
        for one in (await site.client.get("/api/v2/alerts")).json()
    }
    assert status["backup"] == {
        "inhibitedBy": [],
        "mutedBy": ["nightly/backup"],
        "silencedBy": [],
        "state": "suppressed",
    }
    assert status["other"]["state"] == "active"
    groups = (await site.client.get("/api/v2/alerts/groups", params={"muted": "false"})).json()
    assert [alert["labels"]["job"] for group in groups for alert in group["alerts"]] == ["other"]


async def test_a_preview_says_what_would_be_hidden(site: Site) -> None:
    await push(
        site,
        *({"alertname": "Disk", "host": f"db{n}"} for n in range(600)),
        {"alertname": "Net", "host": "db1"},
    )
    answer = (
        await site.client.post(
            "/api/v1/silences/preview", json={"matchers": ['alertname="Disk", host=~"db.*"']}
        )
    ).json()
    assert (answer["count"], len(answer["alerts"])) == (600, 500)
    assert answer["alerts"][0]["receivers"] == ["default"]
    few = (
        await site.client.post("/api/v1/silences/preview", json={"matchers": ['host="db1"']})
    ).json()
    assert {alert["labels"]["alertname"] for alert in few["alerts"]} == {"Disk", "Net"}
    for wrong in ([], ["="], [""]):
        assert (
            await site.client.post("/api/v1/silences/preview", json={"matchers": wrong})
        ).status_code == 422


async def test_what_was_hidden_is_shown_with_whether_it_fires_and_was_told(site: Site) -> None:
    await push(site, {"alertname": "Disk"})
    placement = site.context.placer.place({"alertname": "Disk"})
    for told in (None, NOW + 60):
        one = SuppressedAlertRecord(
            fingerprint=placement.fingerprint,
            labels={"alertname": "Disk"},
            group=placement.groups[0].id,
            receiver="default",
            first=NOW,
            last=NOW,
            told=told,
        )
        operations = Operations()
        await muting.record_suppressed(
            site.context.wire, operations, [SuppressionUpdate("silence:s1", one)]
        )
        assert await commit(site.context.wire, operations)
    assert (await site.client.get("/api/v1/silences/s1/hidden")).json() == {
        "alerts": [
            {
                "fingerprint": placement.fingerprint,
                "labels": {"alertname": "Disk"},
                "receiver": "default",
                "group": placement.groups[0].id,
                "first_hidden": rfc3339(NOW),
                "last_hidden": rfc3339(NOW),
                "firing": True,
                "told_at": rfc3339(NOW + 60),
            }
        ],
        "count": 1,
        "complete": True,
    }


async def test_heartbeats_say_when_they_were_heard_and_when_they_count_as_missing(
    site: Site,
) -> None:
    watchdog = Heartbeat(
        name="watchdog", every=300, matchers=(parse_matcher('alertname="Watchdog"'),)
    )
    use(site, heartbeats={"cron": Heartbeat(name="cron", every=3600), "watchdog": watchdog})
    await correlate_heartbeats.schedule_heartbeat_timers(site.context)
    site.clock[0] += 10
    await correlate_heartbeats.record_heartbeat(site.context, "watchdog", "alert")
    cron, heard = (await site.client.get("/api/v1/heartbeats")).json()
    assert cron == {
        "name": "cron",
        "every": "1h",
        "matchers": [],
        "last_beat": None,
        "age": 10,
        "source": None,
        "missing": False,
        "missing_since": None,
        "next_due": rfc3339(NOW + 3600),
    }
    assert (heard["last_beat"], heard["source"], heard["age"], heard["next_due"]) == (
        rfc3339(NOW + 10),
        "alert",
        0,
        rfc3339(NOW + 310),
    )
    assert heard["matchers"] == ['alertname="Watchdog"']
    site.clock[0] += 400
    await heartbeats.raise_missing(
        site.context.wire,
        "watchdog",
        Alert(fingerprint="f", labels={}, starts_ns=int(site.clock[0]) * 10**9),
    )
    assert (await site.client.get("/api/v1/heartbeats")).json()[1]["missing"] is True


@pytest.mark.own_redis
async def test_health_says_what_is_wrong(site: Site) -> None:
    well = {"well": True, "reasons": [], "reason_codes": []}
    assert (await site.client.get("/api/v1/health")).json() == well
    site.redis.kill()
    answer = await site.client.get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "well": False,
        "reasons": ["Redis is away, or takes no writes"],
        "reason_codes": [{"code": "health.redis_away", "arguments": {}}],
    }
    assert (await site.client.get(API)).status_code == 503


async def test_the_switch_shows_in_the_metrics_and_its_url_does_not(site: Site) -> None:
    assert await metric(site, "amproxy_dead_mans_switch_up") == {}
    use(site, dead_mans_switch=DeadMansSwitch(url=Secret("http://127.0.0.1/s3cret"), every=60))
    assert await metric(site, "amproxy_dead_mans_switch_up") == {"": 0}
    await health.save_dead_mans_switch(site.context.wire, up=True, at=NOW)
    assert await metric(site, "amproxy_dead_mans_switch_up") == {"": 1}
    assert await metric(site, "amproxy_dead_mans_switch_last_beat_timestamp_seconds") == {"": NOW}
    site.clock[0] += 600
    assert await metric(site, "amproxy_dead_mans_switch_up") == {"": 0}
    assert "s3cret" not in (await site.client.get("/metrics")).text
