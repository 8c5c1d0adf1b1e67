"""No foreign site reads or acts through somebody's browser."""

from __future__ import annotations

import pytest

from amproxy.store import incidents
from tests.support.web.website import Site


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9095",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[::1",
        "a b",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/incidents", "/events"])
async def test_a_name_that_is_not_ours_is_refused(site: Site, host: str, path: str) -> None:
    answer = await site.client.get(path, headers={"host": host})
    assert answer.status_code == 403 and answer.json()["error"] == "forbidden"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9095",
        "localhost:9095",
        "[::1]:9095",
        "oncall.example.org",
        "ONCALL.example.org.",
        "10.1.2.3:9095",
    ],
)
async def test_our_own_names_and_any_address_are_served(site: Site, host: str) -> None:
    assert (await site.client.get("/api/v1/oncall", headers={"host": host})).status_code == 200


async def test_prometheus_may_scrape_under_any_name(site: Site) -> None:
    for path in ("/metrics", "/-/healthy", "/-/ready"):
        assert (
            await site.client.get(path, headers={"host": "amproxy.monitoring.svc:9095"})
        ).status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:9095"}, True),
        ({"origin": "https://oncall.example.org"}, True),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "http://127.0.0.1:3000"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9095"}, False),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_only_our_own_pages_and_programs_may_act(
    site: Site, prefix: str, headers: dict[str, str], allowed: bool
) -> None:
    incident = await site.opened()
    answer = await site.client.post(
        f"{prefix}/incidents/{incident.id}/acknowledge", headers=headers
    )
    assert answer.status_code == ((200 if prefix else 303) if allowed else 403)
    after = await incidents.load(site.context.wire, incident.id)
    assert after.state == ("acknowledged" if allowed else "triggered")


async def test_every_answer_carries_the_security_headers(site: Site) -> None:
    for path in ("/", "/api/v1/incidents", "/nothing", "/static/style.css", "/metrics"):
        headers = (await site.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy
            and "frame-ancestors 'none'" in policy
            and "unsafe" not in policy
        )
        assert headers["x-content-type-options"] == "nosniff" and "referrer-policy" in headers
    assert (await site.client.get("/")).headers["cache-control"] == "no-store"
    assert "immutable" in (await site.client.get("/static/style.css")).headers["cache-control"]
    assert (await site.client.get("/static/none.css")).headers["cache-control"] == "no-store"
