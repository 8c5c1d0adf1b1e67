"""Who may push and beat: no page of another site, nobody under a borrowed name, nobody without the token."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.server.reached import ROUTES, Answer, Client
from tests.support.servers import Server, Servers

DOORS = f"""{ROUTES}
sources: [{{name: closed, token: s3cret}}, {{name: open}}]
heartbeats: [{{name: watchdog, every: 1h}}, {{name: guarded, every: 1h, token: p/lse}}]
web: {{external_url: "https://oncall.example.org", hosts: [amproxy.monitoring.svc]}}
"""
ALERTS: Any = [{"labels": {"alertname": "DiskFull"}}]
PUSH: Any = {"alerts": [{"status": "firing", "labels": {"alertname": "DiskFull"}}]}
EVENT: Any = {
    **{"routing_key": "s3cret", "event_action": "trigger", "dedup_key": "d"},
    "payload": {"summary": "Disk full", "source": "db1", "severity": "critical"},
}
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
]
BORROWED = ["evil.example", "evil.example:9095", "127.0.0.1.evil.example", "amproxy.monitoring"]


@pytest.fixture(scope="module")
def amproxy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Servers(tmp_path_factory.mktemp("doors")) as servers:
        yield servers.amproxy(DOORS)


def last_beats(amproxy: Server) -> dict[str, Any]:
    beats = Client(amproxy.url).json("/api/v1/heartbeats")
    return {beat["name"]: beat["last_beat"] for beat in beats}


def detail(answer: Answer) -> str:
    body = json.loads(answer.text)
    return str(body.get("detail") or body.get("message"))


@pytest.mark.parametrize("headers", FOREIGN)
def test_no_page_of_another_site_pushes_or_beats(amproxy: Server, headers: dict[str, str]) -> None:
    client, token = Client(amproxy.url), {"Authorization": "Bearer s3cret"}
    plain = {"Content-Type": "text/plain", **headers}
    answers = [
        client.ask("/webhook/open", json.dumps(PUSH), **plain),
        client.ask("/webhook/closed/s3cret", json.dumps(PUSH), **plain),
        client.ask("/api/v2/alerts", ALERTS, **headers, **token),
        client.ask("/heartbeat/watchdog", **headers),
        client.ask("/heartbeat/watchdog", "", **headers),
        client.ask("/-/reload", "", **headers),
        client.ask("/integrations/v1/webhook/s3cret/", json.dumps(PUSH), **plain),
        client.ask("/integrations/v1/heartbeat/watchdog/", **headers),
        client.ask("/v2/enqueue", json.dumps(EVENT), **plain),
    ]
    assert [answer.status for answer in answers] == [403] * 9
    assert all("site" in detail(answer) for answer in answers)
    assert client.json("/api/v2/alerts") == [] and last_beats(amproxy)["watchdog"] is None


@pytest.mark.parametrize("host", BORROWED)
def test_a_name_that_was_made_to_point_here_opens_no_door(amproxy: Server, host: str) -> None:
    client, other = Client(amproxy.url), {"Host": host, "Origin": f"http://{host}"}
    for headers in ({"Host": host}, other):
        for path, body in (
            ("/webhook/open", PUSH),
            ("/heartbeat/watchdog", None),
            ("/heartbeat/watchdog", {}),
            ("/api/v2/alerts", None),
            ("/integrations/v1/webhook/open/", PUSH),
            ("/integrations/v1/heartbeat/watchdog/", None),
            ("/v2/enqueue", {**EVENT, "routing_key": "open"}),
            ("/-/reload", {}),
            ("/", None),
        ):
            answer = client.ask(path, body, **headers)
            assert answer.status == 403 and "web.hosts" in detail(answer), (path, headers)
    assert client.json("/api/v2/alerts") == [] and last_beats(amproxy)["watchdog"] is None


def test_a_token_opens_under_any_name_and_probes_need_none(amproxy: Server) -> None:
    client, pod = Client(amproxy.url), {"Host": "amproxy-0.amproxy.ns.svc:9095"}
    closed = {**pod, "Authorization": "Bearer s3cret"}
    assert client.ask("/webhook/closed", PUSH, **closed).status == 200
    assert client.ask("/api/v2/alerts", ALERTS, **closed).status == 200
    assert client.ask("/heartbeat/guarded/p%2Flse", **pod).status == 200
    for path in ("/-/healthy", "/-/ready", "/metrics"):
        assert client.ask(path, **pod).status == 200
    # a credential that nothing checks proves nothing
    assert client.ask("/webhook/open", PUSH, **closed).status == 403
    assert client.ask("/api/v1/incidents", **closed).status == 403


def test_programs_our_own_pages_and_our_own_names_come_in(servers: Servers) -> None:
    amproxy = servers.amproxy(DOORS)
    client = Client(amproxy.url)
    for headers in (
        {"Host": "localhost:1"},
        {"Host": "[::1]:9095"},
        {"Host": "10.244.0.7:9095"},
        {"Host": "oncall.example.org"},
        {"Host": "AMPROXY.monitoring.svc:9095"},
        {"Origin": "https://oncall.example.org"},
        {"Origin": amproxy.url, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    ):
        assert client.ask("/webhook/open", PUSH, **headers).status == 200, headers
        assert client.ask("/heartbeat/watchdog", **headers).status == 200, headers
    assert last_beats(amproxy)["watchdog"]


def test_a_page_of_another_site_may_lead_here_and_loads_nothing(amproxy: Server) -> None:
    client = Client(amproxy.url)
    led = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for path, status in (("/incidents", 200), ("/act/forged", 404), ("/calendar/none.ics", 404)):
        assert client.ask(path, **led).status == status
    behind = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    for path in ("/incidents", "/events", "/api/v1/incidents", "/static/style.css"):
        assert client.ask(path, **behind).status == 403
        assert client.ask(path, Origin="https://evil.example").status == 403
    # Alertmanager's API is read by other sites' pages
    assert client.ask("/api/v2/alerts", **behind).status == 200


def test_a_heartbeat_with_a_token_is_beaten_with_it_alone(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    beats = f"heartbeats: [{{name: cron, every: 1h, token_file: {tmp_path / 'token'}}}]"
    amproxy = servers.amproxy(f"{ROUTES}\n{beats}")
    client = Client(amproxy.url)
    basic = base64.b64encode(b"anybody:first").decode()
    for path, headers in (
        ("/heartbeat/cron", {}),
        ("/heartbeat/cron/", {}),
        ("/heartbeat/cron/second", {}),
        ("/heartbeat/cron/second", {"Authorization": "Bearer first"}),
        ("/heartbeat/cron", {"Authorization": "Bearer second"}),
    ):
        answer = client.ask(path, **headers)
        assert answer.status == 401 and "needs its token" in detail(answer)
    assert last_beats(amproxy)["cron"] is None
    for path, headers in (
        ("/heartbeat/cron/first", {}),
        ("/heartbeat/cron/first/", {}),
        ("/heartbeat/cron", {"Authorization": "Bearer first"}),
        ("/heartbeat/cron", {"Authorization": f"Basic {basic}"}),
    ):
        assert client.ask(path, **headers).status == 200
    assert last_beats(amproxy)["cron"]
    (tmp_path / "token").write_text("")
    assert client.ask("/heartbeat/cron").status == 401
    (tmp_path / "token").write_bytes(b"\xff")
    assert client.ask("/heartbeat/cron").status == 503


def test_one_source_without_a_token_opens_the_alerts_api_to_nobody(amproxy: Server) -> None:
    client = Client(amproxy.url)
    assert client.ask("/api/v2/alerts", ALERTS).status == 401
    assert client.ask("/api/v2/alerts", ALERTS, Authorization="Bearer wrong").status == 401


def test_sources_that_are_all_open_leave_the_alerts_api_open(servers: Servers) -> None:
    client = Client(servers.amproxy(f"{ROUTES}\nsources: [{{name: a}}, {{name: b}}]").url)
    assert client.ask("/api/v2/alerts", ALERTS).status == 200


def test_an_empty_secret_opens_nothing(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    file = tmp_path / "empty"
    sources = (
        f"sources: [{{name: signs, hmac_secret_file: {file}}}, {{name: t, token_file: {file}}}]"
    )
    client = Client(servers.amproxy(f"{ROUTES}\n{sources}").url)
    for path in ("/webhook/signs", "/webhook/t", "/api/v2/alerts"):
        assert client.ask(path, PUSH if "webhook" in path else ALERTS).status == 401
    assert client.json("/api/v2/alerts") == []


PEOPLE = """
users: [{name: ada, role: admin, contacts: {console: ada}}]
sign_in: {proxy_header: {from: [127.0.0.1/32]}}
"""


@pytest.mark.parametrize(
    ("open_door", "named"),
    [
        ("heartbeats: [{name: cron, every: 1h}]", "heartbeat 'cron'"),
        ("sources: [{name: am}]", "source 'am'"),
    ],
)
def test_open_to_the_network_every_door_has_a_token(
    servers: Servers, open_door: str, named: str
) -> None:
    routes, everywhere = ROUTES + PEOPLE, ["--listen", "0.0.0.0:0"]
    allowed = f"{routes}{open_door}\nweb: {{allow_unauthenticated: true}}"
    amproxy = servers.amproxy(allowed, args=everywhere)
    amproxy.url = amproxy.url.replace("0.0.0.0", "127.0.0.1")
    # a reload refuses what a start refuses
    assert amproxy.config
    amproxy.config.write_text(routes + open_door)
    answer = Client(amproxy.url).ask(
        "/-/reload", "", **{"X-Forwarded-User": "ada"}, Origin=amproxy.url
    )
    assert answer.status == 500 and named in answer.text
    amproxy.config.write_text(routes + open_door.replace("}]", ", token: s3cret}]"))
    answer = Client(amproxy.url).ask(
        "/-/reload", "", **{"X-Forwarded-User": "ada"}, Origin=amproxy.url
    )
    assert answer.status == 200
    with pytest.raises(RuntimeError, match=rf"ended with 1(?s:.*){named}(?s:.*)token_file"):
        servers.amproxy(routes + open_door, args=everywhere)
