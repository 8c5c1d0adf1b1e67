"""The files of deploy/: the programs that they are for accept them, and what they ask for exists."""

from __future__ import annotations

import configparser
import http.server
import json
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.servers import Servers, needs, program
from tests.support.waiting import until

DEPLOY = Path(__file__).parent.parent / "deploy"
RULES = DEPLOY / "amproxy-alerts.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "amproxy-delivery.json").read_text())
TOKEN = "a-token-for-tests"

# The names that are binding, without the suffixes of histograms.
METRICS = {
    "amproxy_pushes_total",
    "amproxy_push_duration_seconds",
    "amproxy_alerts_received_total",
    "amproxy_alerts_deduplicated_total",
    "amproxy_incidents",
    "amproxy_incidents_total",
    "amproxy_pages_total",
    "amproxy_delivery_attempts_total",
    "amproxy_page_delay_seconds",
    "amproxy_first_page_delay_seconds",
    "amproxy_time_to_acknowledge_seconds",
    "amproxy_time_to_resolve_seconds",
    "amproxy_timer_lateness_seconds",
    "amproxy_outbox_depth",
    "amproxy_on_call",
    "amproxy_uncovered_seconds",
    "amproxy_nobody_on_call_total",
    "amproxy_heartbeat_age_seconds",
    "amproxy_config_last_reload_successful",
    "amproxy_config_last_reload_success_timestamp_seconds",
    "amproxy_config_undeliverable",
    "amproxy_config_digest_mismatch",
    "amproxy_redis_up",
    "amproxy_build_info",
}
# Those of amproxy's own that the dashboard shows too.
METRICS |= {
    "amproxy_acknowledgements_total",
    "amproxy_calendar_age_seconds",
    "amproxy_maintenance_open",
    "amproxy_notices_total",
    "amproxy_part_restarts_total",
    "amproxy_part_running",
    "amproxy_ready",
    "amproxy_redis_refusals_total",
    "amproxy_start_time_seconds",
    "amproxy_pages_bundled_total",
    "amproxy_pages_by_time_total",
    "amproxy_user_reachable",
    "amproxy_warning",
    "amproxy_clock_jump_seconds",
    "amproxy_redis_clock_difference_seconds",
}
# Those that only a rule asks for.
RULED = {
    "amproxy_calendar_trouble",
    "amproxy_connections_cut_total",
    "amproxy_destinations_hanging",
    "amproxy_loop_stall_seconds",
    "amproxy_source_clock_behind_seconds",
    "amproxy_template_failures_total",
}


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for group in YAML(typ="safe").load(RULES.read_text())["groups"]
        for rule in group["rules"]
    ]


def expressions() -> list[str]:
    """What the dashboard asks for, with Grafana's variables filled in."""
    targets = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return [
        target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*") for target in targets
    ]


def metrics_in(expression: str) -> set[str]:
    return {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in re.findall(r"\bamproxy_[a-z_]+", expression)
    }


def run(name: str, *args: str | Path) -> None:
    outcome = subprocess.run(
        [program(name), *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=DEPLOY,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


# ------------------------------------------------------------------------------------------------ names and shape


def test_the_rules_ask_only_for_metrics_that_exist() -> None:
    assert set().union(*(metrics_in(rule["expr"]) for rule in rules())) <= METRICS | RULED


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    assert set().union(*map(metrics_in, expressions())) == METRICS


def test_every_panel_follows_the_chosen_data_source() -> None:
    assert DASHBOARD["schemaVersion"] == 39
    assert [
        variable["type"]
        for variable in DASHBOARD["templating"]["list"]
        if variable["name"] == "datasource"
    ] == ["datasource"]
    queries = [
        thing
        for panel in DASHBOARD["panels"]
        if panel["type"] != "row"
        for thing in (panel, *panel["targets"])
    ]
    assert {query["datasource"]["uid"] for query in queries} == {"${datasource}"}


def test_no_two_panels_lie_upon_each_other() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_unit_writes_nowhere_but_to_its_state_folder() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "amproxy.service")
    service = dict(unit["Service"])
    assert service["ProtectSystem"] == "strict"
    assert "ReadWritePaths" not in service
    assert f"--data-dir %S/{service['StateDirectory']}" in service["ExecStart"]


# ------------------------------------------------------------------------------------- accepted by their programs


@needs("promtool")
def test_prometheus_accepts_the_rules() -> None:
    run("promtool", "check", "rules", "--lint-fatal", RULES)


@needs("vmalert")
def test_vmalert_accepts_the_rules_and_its_flags() -> None:
    run("vmalert", "-dryRun", f"-rule={RULES}", *vmalert_flags())


@needs("promtool")
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    records = [
        {"record": f"query:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    (tmp_path / "queries.yml").write_text(
        json.dumps({"groups": [{"name": "dashboard", "rules": records}]})
    )
    run("promtool", "check", "rules", tmp_path / "queries.yml")


@needs("vmagent")
def test_vmagent_accepts_the_scrape_file() -> None:
    run(
        "vmagent",
        "-dryRun",
        f"-promscrape.config={DEPLOY / 'victoriametrics-scrape.yml'}",
        "-remoteWrite.url=http://127.0.0.1:1",
    )


@needs("amtool")
def test_alertmanager_accepts_the_receiver() -> None:
    run("amtool", "check-config", DEPLOY / "alertmanager-receiver.yml")


HEALTHY = "0x30"
FIRES = {
    "AmproxyDown": ('up{job="amproxy"}', HEALTHY),
    "AmproxyReloadFailed": ("amproxy_config_last_reload_successful", HEALTHY),
    "AmproxyConfigsDiffer": ("amproxy_config_digest_mismatch", "1x30"),
    "AmproxyRedisDown": ("amproxy_redis_up", HEALTHY),
    "AmproxyRedisRefuses": ('amproxy_redis_refusals_total{code="OOM"}', "0x10 0+20x20"),
    "AmproxyNotReady": ("amproxy_ready", HEALTHY),
    "AmproxyPartRestarting": ('amproxy_part_restarts_total{part="delivery"}', "_x27 3 4 4"),
    "AmproxyRestarting": ("amproxy_start_time_seconds", "1x20 2 2 3 3 4x10"),
    "AmproxyPagesFailing": (
        'amproxy_pages_total{channel="email",policy="p",outcome="failed"}',
        "_x28 1 1",
    ),
    "AmproxyTimersLate": ('amproxy_timer_lateness_seconds_bucket{le="5"}', HEALTHY),
    "AmproxyStalls": (
        'amproxy_loop_stall_seconds_bucket{instance="a",job="amproxy",le="1.0"}',
        HEALTHY,
    ),
    "AmproxyNobodyOnCall": ('amproxy_nobody_on_call_total{schedule="s"}', "3x28 4 4"),
    "AmproxyScheduleUncovered": ('amproxy_uncovered_seconds{schedule="s"}', "3600x90"),
    "AmproxyOutboxGrowing": ('amproxy_outbox_depth{channel="slack"}', "1+2x30"),
    "AmproxyDestinationHangs": ('amproxy_destinations_hanging{channel="telegram"}', "2x30"),
    "AmproxyConnectionsFull": ('amproxy_connections_cut_total{reason="evicted"}', "_x28 5 9"),
    "AmproxyUndeliverable": ("amproxy_config_undeliverable", "1x30"),
    "AmproxyTemplatesFailing": (
        'amproxy_template_failures_total{channel="slack",receiver="r"}',
        "_x28 1 1",
    ),
    "AmproxyEventsLost": (
        'alertmanager_event_output_drops_total{output="file:audit"}',
        "_x28 1 1",
    ),
    "AmproxyPersonUnreachable": ('amproxy_user_reachable{user="u"}', HEALTHY),
    "AmproxyCalendarTrouble": ('amproxy_calendar_trouble{schedule="s"}', "1x30"),
    "AmproxyCalendarStale": ('amproxy_calendar_age_seconds{schedule="s"}', "30000x30"),
    "AmproxyRedisDoubtful": ('amproxy_warning{kind="aof_off"}', "1x30"),
    "AmproxyClockJumped": ("amproxy_clock_jump_seconds", "0x20 -3600x10"),
    "AmproxyPushesRefused": ('amproxy_pushes_total{source="am",code="422"}', "_x28 1 1"),
    "AmproxySourceClockBehind": ('amproxy_source_clock_behind_seconds{source="am"}', "3600x30"),
    "AmproxyClockDiffers": ("amproxy_redis_clock_difference_seconds", "-7x30"),
}


@needs("promtool")
@pytest.mark.parametrize("alert", FIRES)
def test_each_rule_fires_when_it_should(alert: str, tmp_path: Path) -> None:
    assert set(FIRES) == {rule["alert"] for rule in rules()}
    series, values = FIRES[alert]
    fed = [{"series": series, "values": values}]
    if alert == "AmproxyTimersLate":  # nothing within 5 s, everything within 10
        fed += [
            {"series": f'amproxy_timer_lateness_seconds_bucket{{le="{le}"}}', "values": "0+60x30"}
            for le in ("10", "+Inf")
        ]
    if alert == "AmproxyStalls":  # nothing within a second
        series = 'amproxy_loop_stall_seconds_count{instance="a",job="amproxy"}'
        fed += [{"series": series, "values": "0+60x30"}]
    at = "80m" if alert == "AmproxyScheduleUncovered" else "29m"
    query = {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": at,
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test = {"interval": "1m", "input_series": fed, "promql_expr_test": [query]}
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]})
    )
    run("promtool", "test", "rules", tmp_path / "test.yml")


@needs("promtool")
def test_no_rule_fires_where_all_is_well(tmp_path: Path) -> None:
    well = {
        'up{job="amproxy"}': "1x90",
        "amproxy_config_last_reload_successful": "1x90",
        "amproxy_config_digest_mismatch": "0x90",
        "amproxy_redis_up": "1x90",
        "amproxy_ready": "1x90",
        'amproxy_redis_refusals_total{code="NOSCRIPT"}': "0x5 2x85",
        'amproxy_part_restarts_total{part="delivery"}': "0x5 1x85",
        "amproxy_start_time_seconds": "1x40 2x50",
        'amproxy_pages_total{channel="email",policy="p",outcome="failed"}': "3x90",
        'amproxy_timer_lateness_seconds_bucket{le="5"}': "0+60x90",
        'amproxy_timer_lateness_seconds_bucket{le="+Inf"}': "0+60x90",
        'amproxy_loop_stall_seconds_bucket{instance="a",job="amproxy",le="1.0"}': "0+60x90",
        'amproxy_loop_stall_seconds_count{instance="a",job="amproxy"}': "0+60x90",
        'amproxy_nobody_on_call_total{schedule="s"}': "3x90",
        'amproxy_uncovered_seconds{schedule="s"}': "0x90",
        'amproxy_outbox_depth{channel="slack"}': "0x5 7 0x84",
        'amproxy_connections_cut_total{reason="full"}': "3x90",
        'amproxy_connections_cut_total{reason="headers_time"}': "0+1x90",
        "amproxy_config_undeliverable": "0x90",
        'amproxy_template_failures_total{channel="slack",receiver="r"}': "0x5 2x85",
        'alertmanager_event_output_drops_total{output="file:audit"}': "0x5 2x85",
        'amproxy_user_reachable{user="u"}': "1x90",
        'amproxy_calendar_age_seconds{schedule="s"}': "600x90",
        'amproxy_warning{kind="aof_off"}': "0x90",
        "amproxy_clock_jump_seconds": "0x90",
        "amproxy_redis_clock_difference_seconds": "0.01x90",
    }
    fed = [{"series": series, "values": values} for series, values in well.items()]
    query = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": "80m", "exp_samples": []}
    test = {"interval": "1m", "input_series": fed, "promql_expr_test": [query]}
    (tmp_path / "test.yml").write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]})
    )
    run("promtool", "test", "rules", tmp_path / "test.yml")


# ------------------------------------------------------------------------------- the token arrives where it should


class Door:
    """Stands where amproxy would, and notes who knocks: path → Authorization."""

    def __init__(self) -> None:
        self.knocks: dict[str, str | None] = {}
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                door.knocks[self.path] = self.headers["Authorization"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def knock(self, path: str) -> str | None:
        """The Authorization that came to `path`, once something does."""
        until(lambda: path in self.knocks, why=f"nothing came to {path}")
        return self.knocks[path]


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.server.shutdown()
    door.server.server_close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "amproxy_token"
    path.write_text(TOKEN)
    return path


ALWAYS = "groups: [{name: g, rules: [{alert: Always, expr: vector(1)}]}]"


def vmalert_flags() -> list[str]:
    return [
        line
        for line in (DEPLOY / "vmalert.flags").read_text().splitlines()
        if not line.startswith("#")
    ]


def here(text: str, door: Door, token_file: Path) -> str:
    """A file of deploy/ with this machine's address and token file."""
    return re.sub(
        r"/etc/\w+/amproxy_token", str(token_file), text.replace("127.0.0.1:9095", door.address)
    )


@needs("alertmanager")
def test_alertmanager_brings_alerts_and_heartbeats_with_its_token(
    servers: Servers, door: Door, token_file: Path
) -> None:
    text = (
        (DEPLOY / "alertmanager-receiver.yml")
        .read_text()
        .replace("group_wait: 10s", "group_wait: 0s")
    )
    alertmanager = servers.alertmanager(here(text, door, token_file))
    alerts = json.dumps(
        [{"labels": {"alertname": name}} for name in ("HighCPU", "Watchdog")]
    ).encode()
    push = urllib.request.Request(
        f"{alertmanager.url}/api/v2/alerts", alerts, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(push, timeout=60).close()
    assert door.knock("/webhook/alertmanager") == f"Bearer {TOKEN}"
    assert door.knock("/heartbeat/watchdog") == f"Bearer {TOKEN}"


@needs("vmalert", "victoria-metrics")
def test_vmalert_brings_alerts_with_its_token(
    servers: Servers, door: Door, token_file: Path
) -> None:
    flags = [here(flag, door, token_file) for flag in vmalert_flags()]
    servers.vmalert(ALWAYS, servers.victoria_metrics().url, [], flags)
    assert door.knock("/api/v2/alerts") == f"Bearer {TOKEN}"


@needs("prometheus")
def test_prometheus_brings_alerts_with_its_token(
    servers: Servers, door: Door, token_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "always.yml").write_text(ALWAYS)
    text = here((DEPLOY / "prometheus-alerting.yml").read_text(), door, token_file)
    text += f"global: {{evaluation_interval: 1s}}\nrule_files: ['{tmp_path / 'always.yml'}']\n"
    servers.prometheus(text, args=["--rules.alert.resend-delay=1s"])
    assert door.knock("/api/v2/alerts") == f"Bearer {TOKEN}"
