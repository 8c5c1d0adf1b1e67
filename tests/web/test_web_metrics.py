"""/metrics, and the addresses for machines under /-/."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from amproxy.errors import ConfigError, ConfigProblem
from amproxy.store.health import OperatorWarning
from amproxy.text import Phrase
from tests.support.waiting import soon
from tests.support.web.website import Site


async def scrape(site: Site) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await site.client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def away(site: Site) -> None:
    site.redis.kill()
    await soon(lambda: not site.context.wire.up)


async def test_metrics_tell_what_is_open_who_is_on_call_and_what_waits(site: Site) -> None:
    incident = await site.opened()
    await site.opened("careful")
    await site.client.post(f"/api/v1/incidents/{incident.id}/acknowledge")
    found = await scrape(site)
    assert found["amproxy_incidents", (("policy", "platform"), ("state", "acknowledged"))] == 1
    assert found["amproxy_incidents", (("policy", "careful"), ("state", "triggered"))] == 1
    assert found["amproxy_on_call", (("schedule", "platform"), ("user", "alice"))] == 1
    assert found["amproxy_uncovered_seconds", (("schedule", "platform"),)] == 0
    assert found["amproxy_uncovered_seconds", (("schedule", "empty"),)] == 7 * 86400
    assert found["amproxy_outbox_depth", (("channel", "console"),)] == 2
    assert found["amproxy_redis_up", ()] == 1
    assert [key for key in found if key[0] == "amproxy_build_info"]
    assert found["alertmanager_build_info", (("version", "0.35.0"),)] == 1
    status = (await site.client.get("/api/v2/status")).json()
    assert status["versionInfo"]["version"] == "0.35.0"


async def test_metrics_have_the_names_that_alertmanagers_mixin_asks_for(site: Site) -> None:
    matcher = {"name": "a", "value": "b", "isRegex": False}
    times = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    silence = {"matchers": [matcher], **times, "createdBy": "c", "comment": "d"}
    assert (await site.client.post("/api/v2/silences", json=silence)).status_code == 200
    found = await scrape(site)
    for name in ("config_last_reload_successful", "cluster_members"):
        assert found[f"alertmanager_{name}", ()] == 1
    assert found["alertmanager_cluster_failed_peers", ()] == 0
    assert found["alertmanager_silences", (("state", "active"),)] == 1
    for state in ("active", "suppressed", "unprocessed"):
        assert found["alertmanager_alerts", (("state", state),)] == 0
    assert ("alertmanager_config_hash", ()) in found
    assert found["process_start_time_seconds", ()] > 0


@pytest.mark.own_redis
async def test_without_redis_a_scrape_still_answers_and_says_so(site: Site) -> None:
    await away(site)
    found = await scrape(site)
    assert found["amproxy_redis_up", ()] == 0
    assert found["amproxy_on_call", (("schedule", "platform"), ("user", "alice"))] == 1


@pytest.mark.own_redis
async def test_it_is_healthy_always_and_ready_only_with_redis(site: Site) -> None:
    assert (await site.client.get("/-/healthy")).text == "OK"
    assert (await site.client.head("/-/healthy")).status_code == 200
    assert (await site.client.get("/-/ready")).status_code == 200
    await away(site)
    assert (await site.client.get("/-/healthy")).status_code == 200
    assert (await site.client.get("/-/ready")).status_code == 503


async def test_with_a_redis_that_is_too_old_it_is_not_ready_and_not_well(site: Site) -> None:
    values = {"version": "5.0.14", "oldest": "6.2"}
    site.context.warnings = (OperatorWarning("old_redis", values),)
    answer = await site.client.get("/-/ready")
    assert answer.status_code == 503 and "version 5.0.14" in answer.text and "6.2" in answer.text
    health = (await site.client.get("/api/v1/health")).json()
    assert health["well"] is False and "version 5.0.14" in health["reasons"][0]
    assert "version 5.0.14" in (await site.client.get("/")).text


async def test_other_warnings_show_and_leave_it_ready_and_well(site: Site) -> None:
    site.context.warnings = (OperatorWarning("clock_back", {"by": "<1h>"}),)
    assert (await site.client.get("/-/ready")).status_code == 200
    assert (await site.client.get("/api/v1/health")).json()["well"] is True
    page = (await site.client.get("/schedules")).text
    assert "set back by &lt;1h&gt;" in page


async def test_a_reload_is_a_post_and_says_what_is_wrong_with_the_file(site: Site) -> None:
    assert (await site.client.get("/-/reload")).status_code == 405
    assert (await site.client.post("/-/reload")).status_code == 200
    site.reload_error.append(
        ConfigError(
            [
                ConfigProblem(
                    Phrase("refusal.words", {"text": "no receiver"}),
                    file="routes.yaml",
                    line=3,
                    column=5,
                )
            ]
        )
    )
    answer = await site.client.post("/-/reload")
    assert answer.status_code == 500 and "routes.yaml:3:5: no receiver" in answer.text
