"""The family's own clients come in by prefix, password and TLS at once: amtool, Prometheus, vmalert."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.server.reached import (
    PASSWORD,
    ROUTES,
    Client,
    https,
    tls_section,
    users_section,
    web_config,
)
from tests.support.servers import Server, Servers, needs, program
from tests.support.standins.certificate import Certificate
from tests.support.waiting import until

RULES = """
groups:
  - name: test
    rules: [{alert: AlwaysFiring, expr: vector(1), labels: {severity: critical}}]
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


@pytest.fixture
def amproxy(servers: Servers, tmp_path: Path, certificate: Certificate) -> Server:
    option = web_config(tmp_path, tls_section(certificate) + users_section(prometheus=PASSWORD))
    return servers.amproxy(ROUTES, args=["--web.route-prefix=/am", option])


@pytest.fixture
def client(amproxy: Server, certificate: Certificate) -> Client:
    return Client(https(amproxy), login=f"prometheus:{PASSWORD}", trust=certificate.file)


@needs("amtool")
def test_amtool_works_through_prefix_password_and_tls(
    amproxy: Server, certificate: Certificate, tmp_path: Path
) -> None:
    def amtool(password: str, *words: str) -> subprocess.CompletedProcess[str]:
        config = tmp_path / "amtool-http.yml"
        config.write_text(
            f"basic_auth: {{username: prometheus, password: {password}}}\ntls_config: {{ca_file: {certificate.file}}}\n"
        )
        command = [
            program("amtool"),
            f"--alertmanager.url={https(amproxy)}/am",
            f"--http.config.file={config}",
            *words,
        ]
        return subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)

    assert amtool(PASSWORD, "alert", "add", "DiskFull", "host=db1").returncode == 0
    silence = amtool(
        PASSWORD, "silence", "add", "host=db1", "--author=me", "--comment=later"
    ).stdout.strip()
    assert silence in amtool(PASSWORD, "silence", "query").stdout
    shown = amtool(PASSWORD, "--output=json", "alert", "query", "--silenced").stdout
    assert [alert["labels"]["host"] for alert in json.loads(shown)] == ["db1"]
    assert "receiver: nobody" in amtool(PASSWORD, "config", "show").stdout
    refused = amtool("wrong", "alert", "query")
    assert refused.returncode != 0 and "401" in refused.stderr


@needs("prometheus")
def test_prometheus_pushes_through_prefix_password_and_tls(
    servers: Servers, amproxy: Server, client: Client, certificate: Certificate, tmp_path: Path
) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    target = amproxy.url.removeprefix("http://")
    servers.prometheus(
        f"""
global: {{evaluation_interval: 1s}}
rule_files: ['{tmp_path / "rules.yml"}']
alerting:
  alertmanagers:
    - path_prefix: /am
      scheme: https
      tls_config: {{ca_file: '{certificate.file}'}}
      basic_auth: {{username: prometheus, password: {PASSWORD}}}
      static_configs: [{{targets: ['{target}']}}]
""",
        args=["--rules.alert.resend-delay=1s"],
    )
    alerts = until(lambda: client.json("/am/api/v2/alerts"), why="nothing came from Prometheus")
    assert [alert["labels"]["alertname"] for alert in alerts] == ["AlwaysFiring"]


@needs("victoria-metrics", "vmalert")
def test_vmalert_pushes_through_prefix_password_and_tls(
    servers: Servers, amproxy: Server, client: Client, certificate: Certificate
) -> None:
    args = [
        f"-notifier.tlsCAFile={certificate.file}",
        "-notifier.basicAuth.username=prometheus",
        f"-notifier.basicAuth.password={PASSWORD}",
    ]
    servers.vmalert(RULES, servers.victoria_metrics().url, [f"{https(amproxy)}/am"], args)
    alerts = until(lambda: client.json("/am/api/v2/alerts"), why="nothing came from vmalert")
    assert [alert["labels"]["alertname"] for alert in alerts] == ["AlwaysFiring"]


def test_a_senders_password_may_be_the_token_of_its_source(
    servers: Servers, tmp_path: Path
) -> None:
    routes = f"{ROUTES}\nsources: [{{name: prometheus, token: {PASSWORD}}}]"
    url = servers.amproxy(
        routes, args=[web_config(tmp_path, users_section(prometheus=PASSWORD, alice="a"))]
    ).url
    alert = [{"labels": {"alertname": "DiskFull"}}]
    assert Client(url, login=f"prometheus:{PASSWORD}").ask("/api/v2/alerts", alert).status == 200
    assert Client(url, login="alice:a").ask("/api/v2/alerts", alert).status == 401
    assert (
        Client(url, login="alice:a")
        .ask(f"/webhook/prometheus/{PASSWORD.replace(' ', '%20')}", {"title": "x"})
        .status
        == 200
    )
