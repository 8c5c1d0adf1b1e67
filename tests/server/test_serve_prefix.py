"""`--web.route-prefix` and `--web.external-url`: everything lies below one path, and every link says so."""

from __future__ import annotations

import json
import re
import subprocess
from urllib.parse import urljoin

import pytest

from tests.support.server.reached import ON_CALL, ROUTES, Client, page_url
from tests.support.servers import Servers, needs, program
from tests.support.standins.webhook import WebhookServer
from tests.support.waiting import until

ALERT = {"labels": {"alertname": "DiskFull", "host": "db1"}}


def test_everything_is_served_below_the_prefix_and_nothing_outside(servers: Servers) -> None:
    amproxy = servers.amproxy(ROUTES, args=["--web.route-prefix=/foo"])
    client = Client(amproxy.url)
    for path in (
        "/-/healthy",
        "/-/ready",
        "/metrics",
        "/api/v2/status",
        "/api/v1/incidents",
        "/",
        "/static/style.css",
    ):
        assert client.ask(f"/foo{path}").status == 200, path
        if path != "/":
            assert client.ask(path).status == 404, path
    assert client.ask("/foobar").status == client.ask("/foobar/-/healthy").status == 404
    assert client.ask("/foo/api/v2/alerts", [ALERT]).status == 200
    assert client.ask("/api/v2/alerts", [ALERT]).status == 404
    assert client.ask("/foo/webhook/any", {"title": "a text"}).status == 200
    assert client.ask("/webhook/any", {"title": "a text"}).status == 404
    assert page_url(amproxy) == f"{amproxy.url}/foo/"


def test_the_way_in_leads_to_the_prefix_as_alertmanagers_does(servers: Servers) -> None:
    client = Client(servers.amproxy(ROUTES, args=["--web.route-prefix=foo/"]).url)
    for path, status, location in (
        ("/", 302, "/foo"),
        ("/foo", 301, "/foo/"),
        ("/foo/api/v2", 301, "/foo/api/v2/"),
    ):
        answer = client.ask(path)
        assert (answer.status, answer.headers["location"]) == (status, location)


def test_links_forms_and_redirects_of_the_page_stay_below_the_prefix(servers: Servers) -> None:
    # a prefix that is also the name of one of our own paths
    amproxy = servers.amproxy(ON_CALL, args=["--web.route-prefix=/incidents"])
    client = Client(amproxy.url)
    assert client.ask("/incidents/api/v2/alerts", [ALERT]).status == 200
    [incident] = until(lambda: client.json("/incidents/api/v1/incidents")["incidents"])
    assert incident["url"] == f"{amproxy.url}/incidents/incidents/{incident['id']}"
    for page in (
        "/incidents/",
        "/incidents/incidents",
        f"/incidents/incidents/{incident['id']}",
        "/incidents/nothing/here",
    ):
        answer = client.ask(page)
        leads = re.findall(r'(?:href|src|action)="([^"#]*)"', answer.text)
        assert len(leads) > 5
        for lead in leads:
            assert urljoin(f"{amproxy.url}{page}", lead).startswith(f"{amproxy.url}/incidents/"), (
                f"{page} has {lead}"
            )
    style = next(lead for lead in leads if "style.css" in lead)
    assert client.ask(style).status == 200

    acknowledged = client.ask(f"/incidents/incidents/{incident['id']}/acknowledge", "back=now")
    assert (acknowledged.status, acknowledged.headers["location"]) == (303, "/incidents/")
    chosen = client.ask("/incidents/me", "user=alice&back=/incidents")
    assert (chosen.status, chosen.headers["location"]) == (303, "/incidents/incidents")
    untidy = client.ask("/incidents/incidents/")
    assert untidy.status == 404 or untidy.headers["location"].startswith("/incidents/incidents")


def test_an_external_url_gives_the_prefix_and_stands_in_messages(servers: Servers) -> None:
    with WebhookServer() as webhook:
        routes = f"""
route: {{receiver: out, group_wait: 0s}}
receivers: [{{name: out, webhook_configs: [{{url: '{webhook.url}'}}]}}]
"""
        amproxy = servers.amproxy(
            routes, args=["--web.external-url=https://oncall.example.org/team/"]
        )
        client = Client(amproxy.url)
        assert client.ask("/team/api/v2/alerts", [ALERT]).status == 200
        until(lambda: webhook.requests)
        assert webhook.requests[0].payload["externalURL"] == "https://oncall.example.org/team"
        assert 'href="/team/incidents"' in client.ask("/team/").text


def test_behind_a_proxy_that_takes_the_path_away_links_keep_it(servers: Servers) -> None:
    args = ["--web.external-url=https://example.org/oncall", "--web.route-prefix=/"]
    client = Client(servers.amproxy(ROUTES, args=args).url)
    assert client.ask("/-/healthy").status == 200
    assert 'action="/oncall/me"' in client.ask("/").text
    assert client.ask("/me", "user=&back=/").headers["location"] == "/oncall/"


def test_messages_have_the_prefix_where_the_external_url_has_no_path(servers: Servers) -> None:
    amproxy = servers.amproxy(
        f"{ON_CALL}\nweb: {{external_url: 'http://oncall.example.org'}}",
        args=["--web.route-prefix=/am"],
    )
    client = Client(amproxy.url)
    client.ask("/am/api/v2/alerts", [ALERT])
    [incident] = until(lambda: client.json("/am/api/v1/incidents")["incidents"])
    assert incident["url"].startswith("http://oncall.example.org/am/incidents/")


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--web.external-url=oncall.example.org", "must be http:// or https://"),
        ("--web.external-url=ftp://example.org", "must be http:// or https://"),
        ("--web.route-prefix=/a?b", "must be a plain path"),
    ],
)
def test_a_wrong_option_is_refused_at_the_start(servers: Servers, option: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=f"ended with 1(?s:.*){re.escape(reason)}"):
        servers.amproxy(ROUTES, args=[option])


@needs("amtool")
def test_amtool_works_through_a_prefix(servers: Servers) -> None:
    amproxy = servers.amproxy(ROUTES, args=["--web.route-prefix=/foo"])
    amtool = [program("amtool"), f"--alertmanager.url={amproxy.url}/foo"]
    subprocess.run([*amtool, "alert", "add", "DiskFull", "host=db1"], check=True, timeout=60)
    found = subprocess.run(
        [*amtool, "--output=json", "alert", "query"], check=True, timeout=60, capture_output=True
    ).stdout
    assert [alert["labels"]["host"] for alert in json.loads(found)] == ["db1"]


@needs("chromium")
def test_the_live_page_works_in_a_browser_below_a_prefix(servers: Servers) -> None:
    from playwright.sync_api import sync_playwright

    from tests.support.browser.launch import launch

    amproxy = servers.amproxy(ON_CALL, args=["--web.route-prefix=/am"])
    with sync_playwright() as browsers, launch(browsers) as browser:
        page = browser.new_page()
        failed: list[str] = []
        page.on(
            "response",
            lambda response: failed.append(response.url) if response.status >= 400 else None,
        )
        page.goto(f"{amproxy.url}/am/")
        page.get_by_text("Live", exact=True).wait_for()
        Client(amproxy.url).ask("/am/api/v2/alerts", [ALERT])
        page.get_by_role("button", name="Acknowledge #1").click()
        page.get_by_text("Acknowledged", exact=True).wait_for()
        page.get_by_role("link", name="DiskFull").first.click()
        page.wait_for_url(f"{amproxy.url}/am/incidents/*")
        assert failed == []
