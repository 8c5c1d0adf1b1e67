"""The whole service pages whom a calendar names, at an address and in a file."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.servers import Server, Servers
from tests.support.standins.calendar import CalendarServer
from tests.support.waiting import until

ROUTES = """
route: {receiver: on-call, group_by: [alertname], group_wait: 50ms}
receivers: [{name: on-call, oncall_configs: [{escalation_policy: simple}]}]
users:
  - {name: alice, contacts: {console: alice}}
  - {name: bob, full_name: Bob Birch, contacts: {console: bob}}
schedules:
  - {name: db, timezone: Europe/Berlin, ical: {SOURCE, refresh: 1s}}
escalation_policies: [{name: simple, steps: [{notify: {schedule: db}}]}]
"""


def ics(summary: str, days: int = 1) -> bytes:
    begun = datetime.now(UTC) - timedelta(days=1)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "UID:1",
        f"DTSTART:{begun:%Y%m%dT%H%M%SZ}",
        f"DURATION:P{days + 1}D",
    ]
    return "\r\n".join([*lines, f"SUMMARY:{summary}", "END:VEVENT", "END:VCALENDAR", ""]).encode()


def ask(amproxy: Server, path: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(amproxy.url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def on_call(amproxy: Server) -> list[str]:
    [schedule] = ask(amproxy, "/api/v1/oncall")
    return schedule["users"]


def paged(amproxy: Server) -> list[str]:
    found = []
    for incident in ask(amproxy, "/api/v1/incidents")["incidents"]:
        found += [
            page["user"]
            for page in ask(amproxy, f"/api/v1/incidents/{incident['id']}")["pages"]
            if page["state"] == "sent"
        ]
    return found


def test_the_person_of_the_calendar_is_paged_also_after_a_restart_without_network(
    servers: Servers,
) -> None:
    with CalendarServer(texts={"/secret-path": ics("On call: BOB BIRCH")}) as calendar:
        amproxy = servers.amproxy(
            ROUTES.replace("SOURCE", f"url: '{calendar.url('/secret-path')}'")
        )
        until(lambda: on_call(amproxy) == ["bob"])
        ask(amproxy, "/api/v2/alerts", [{"labels": {"alertname": "DiskFull"}}])
        until(lambda: paged(amproxy) == ["bob"])
        calendar.texts["/secret-path"] = ics("alice")
        until(lambda: on_call(amproxy) == ["alice"])
    amproxy.restart()
    assert until(lambda: on_call(amproxy)) == ["alice"]
    until(lambda: "no connection" in amproxy.printed)
    assert "secret-path" not in amproxy.stderr


def command(config: Path, *words: str) -> object:
    ran = subprocess.run(
        [sys.executable, "-m", "amproxy", *words, "--config", str(config), "--json"],
        check=False,
        timeout=60,
        capture_output=True,
    )
    return json.loads(ran.stdout)


def test_a_file_counts_in_the_service_and_on_the_command_line(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "db.ics").write_bytes(ics("bob"))
    amproxy = servers.amproxy(ROUTES.replace("SOURCE", f"file: '{tmp_path / 'db.ics'}'"))
    assert until(lambda: on_call(amproxy)) == ["bob"]
    (tmp_path / "db.ics").write_bytes(ics("alice"))
    until(lambda: on_call(amproxy) == ["alice"])
    assert command(amproxy.config, "oncall")[0]["users"] == ["alice"]
    assert [
        page["user"] for page in command(amproxy.config, "simulate", "alertname=X")["pages"]
    ] == ["alice"]
    assert [warning["kind"] for warning in command(amproxy.config, "check")["warnings"]] == [
        "gap",
        "ends_with_nobody",
    ]
    (tmp_path / "db.ics").write_bytes(ics("somebody else", days=60))
    assert {warning["kind"] for warning in command(amproxy.config, "check")["warnings"]} == {
        "gap",
        "empty_shift",
        "ends_with_nobody",
    }
    bad = "BEGIN:VEVENT\r\nUID:bad\r\nSUMMARY:alice\r\nDTSTART:soon\r\nEND:VEVENT\r\n"
    mixed = ics("bob", days=60).decode().replace("END:VCALENDAR", f"{bad}END:VCALENDAR")
    (tmp_path / "db.ics").write_text(mixed)
    assert "bad_event" in {one["kind"] for one in command(amproxy.config, "check")["warnings"]}
    (tmp_path / "db.ics").write_bytes(b"broken")
    assert {warning["kind"] for warning in command(amproxy.config, "check")["warnings"]} == {
        "gap",
        "bad_calendar",
        "ends_with_nobody",
    }
    assert "this is not a calendar" in command(amproxy.config, "oncall")[0]["reason"]


def test_the_command_line_says_that_it_does_not_fetch(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(
        ROUTES.replace("SOURCE", "url: 'https://calendar.example.org/db.ics'")
    )
    assert (
        command(tmp_path / "routes.yaml", "oncall")[0]["reason"]
        == "nobody: calendar not loaded: only the service reads its url"
    )
