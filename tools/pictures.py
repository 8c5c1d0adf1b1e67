"""Takes the pictures under docs/pictures: a demo of amproxy with open incidents, looked at with Debian's chromium.

.venv/bin/python tools/pictures.py
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
TESTS = Path(__file__).parent.parent / "tests"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
CHROMIUM = "/usr/bin/chromium"

ROUTES = """
route: {receiver: platform-oncall, group_by: [alertname, cluster], group_wait: 1s, group_interval: 5s}
receivers:
  - name: platform-oncall
    oncall_configs: [{escalation_policy: platform, title: '{{ group_labels.alertname }} on {{ group_labels.cluster }}'}]
users:
  - name: alice
    full_name: Alice Ash
    timezone: Europe/Berlin
    contacts: {console: Alice's phone, phone: '+49 30 901820', email: alice@example.org}
    notification_rules: {default: [{notify: console}]}
  - name: bob
    full_name: Bob Birch
    timezone: Asia/Tbilisi
    contacts: {console: Bob's phone, phone: '+995 32 555010', email: bob@example.org}
    notification_rules: {default: [{notify: console}]}
  - name: carol
    full_name: Carol Cedar
    timezone: America/New_York
    contacts: {console: Carol's phone, phone: '+1 212 555 0123', email: carol@example.org}
    notification_rules: {default: [{notify: console}]}
teams:
  - {name: platform, members: [alice, bob, carol]}
time_intervals:
  - name: office
    time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '18:00'}], location: Europe/Berlin}]
schedules:
  - name: platform
    timezone: Europe/Berlin
    layers:
      - {name: weekly, users: [alice, bob, carol], rotation: {every: 1w, start: 2026-01-05T09:00}}
      - {name: office, users: [bob, [alice, carol]], rotation: {every: 1d, start: 2026-01-05T09:00}, active_time_intervals: [office]}
  - name: database
    timezone: UTC
    layers:
      - {name: follow the sun, users: [bob, carol, alice], rotation: {every: 8h, start: 2026-01-05T06:00}}
  - name: office hours
    timezone: Europe/Berlin
    layers:
      - {name: weekdays, users: [alice, carol], rotation: {every: 1d, start: 2026-01-05T09:00}, active_time_intervals: [office]}
escalation_policies:
  - name: platform
    repeat: 1
    acknowledge_timeout: 4h
    steps:
      - notify: {schedule: platform}
      - wait: 5m
      - notify: {schedule: platform, position: next}
      - wait: 10m
      - notify: {team: platform}
"""


def alert(name: str, cluster: str, summary: str, **labels: str) -> dict[str, object]:
    labels = {"alertname": name, "cluster": cluster, "team": "platform", "severity": "critical", **labels}
    annotations = {"summary": summary, "runbook_url": f"https://runbooks.example.org/{name.lower()}"}
    return {"labels": labels, "annotations": annotations, "generatorURL": "https://vm.example.org/vmalert/alert?id=1"}


def post(url: str, body: object) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def tell_a_story(url: str) -> str:
    """Push alerts and act on them; returns the id of the incident that nobody has answered."""
    post(f"{url}/api/v2/alerts", [alert("ReplicationLag", "eu2", "Replica db-4 is 94 s behind", instance="db-4")])
    time.sleep(3)
    [lag] = get(f"{url}/api/v1/incidents")["incidents"]
    post(f"{url}/api/v1/incidents/{lag['id']}/acknowledge", {"user": "bob"})
    post(f"{url}/api/v1/incidents/{lag['id']}/note", {"user": "bob", "text": "Backup runs on db-4; watching it."})
    checkouts = [
        alert("HighErrorRate", "eu1", "Checkout answers 12% of requests with an error", instance=f"checkout-{n}") for n in range(3)
    ]
    post(f"{url}/api/v2/alerts", checkouts)
    time.sleep(3)
    return str(get(f"{url}/api/v1/incidents?state=triggered")["incidents"][0]["id"])


def get(url: str) -> dict[str, list[dict[str, object]]]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def shoot(browser: Browser, url: str, name: str, *, full: bool = False) -> None:
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1)
            page.goto(url, wait_until="load")
            page.wait_for_timeout(300)
            page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=full and size == "phone")
            page.close()


def shoot_pages(browser: Browser, url: str) -> None:
    """Each page that the demo fills, at a desk by day and on a phone by night; what is edited is shown before it is saved."""
    labels = "labels=" + quote('alertname="HighErrorRate", cluster="eu1", severity="critical"')
    pages = {
        "schedules": "/schedules", "schedule": "/schedules/platform", "schedule-month": "/schedules/platform?view=month&from=2026-12-01",
        "layers": "/schedules/platform/layers", "policies": "/policies", "policy": f"/policies/platform?{labels}",
        "change": "/change/policy?name=platform", "routes": f"/routes?{labels}", "people": "/people",
        "incidents": "/incidents?state=triggered&state=acknowledged&state=resolved", "page": "/page?title=The+shop+is+down&users=bob",
        "me": "/me", "admin": "/admin",
    }  # fmt: skip
    for name, path in pages.items():
        for size, scheme in (("desktop", "light"), ("phone", "dark")):
            width, height = SIZES[size]
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1)
            page.context.add_cookies([{"name": "amproxy_user", "value": "bob", "url": url}] if name == "me" else [])
            page.goto(f"{url}{path}", wait_until="load")
            edit(page, name)
            page.wait_for_timeout(300)
            page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=name == "schedules")
            page.close()


def edit(page: Page, name: str) -> None:
    """Fill in what a picture is to show. The demo's own folder is nobody's business."""
    if name == "admin":
        page.wait_for_timeout(1500)  # a page that has just been opened is drawn once more
        shown = "one.textContent = one.textContent.replace(/^.*(?=routes)/, '/etc/amproxy/')"
        page.evaluate(f"for (const one of document.querySelectorAll('code')) {shown}")
    if name == "layers":
        page.locator("button[value='down-turn:0:0']").click()
        page.locator("#do-save").wait_for()
        page.locator("#preview").scroll_into_view_if_needed()
    if name == "change":
        page.fill("#s1-length", "7m")
        page.click("#preview")
        page.locator(".diff").wait_for()


def plan(url: str) -> None:
    """An override and swaps, so that there is something to see."""
    day = datetime.now(UTC) + timedelta(days=1)
    post(f"{url}/api/v1/schedules/platform/overrides", {"user": "carol", **_times(day, 12), "reason": "Bob is at a concert"})
    post(f"{url}/api/v1/schedules/platform/swaps", {"user": "alice", **_times(day + timedelta(days=4), 24), "reason": "wedding"})


def _times(day: datetime, hours: int) -> dict[str, str]:
    return {"start": f"{day:%Y-%m-%dT18:00}", "end": f"{day + timedelta(hours=hours):%Y-%m-%dT18:00}"}


def shoot_reports(browser: Browser) -> None:
    """Pages that want some weeks behind them, filled as the tests do: one picture of a desk in light, one of a phone in dark."""
    sys.path += [str(TESTS), str(TESTS / "browser")]
    import lately
    from servers import Servers

    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder, Servers(Path(folder)) as house:
        redis = house.redis_server(appendonly=False)
        url = house.amproxy(lately.ROUTES, redis_url=redis.url).url
        lately.past(redis.url)
        lately.hush(url)
        lately.deliver(url)
        paths = {
            "silences": "/silences",
            "silence-new": '/silences/new?label=instance%3D"db-4"',
            "deliveries": "/deliveries",
            "insights": "/insights",
        }
        for name, path in paths.items():
            for size, scheme in (("desktop", "light"), ("phone", "dark")):
                width, height = SIZES[size]
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1)
                page.goto(f"{url}{path}", wait_until="load")
                page.wait_for_timeout(300)
                page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=size == "desktop")
                page.close()


def shoot_terminal(browser: Browser, text: str) -> None:
    page = browser.new_page(viewport={"width": 900, "height": 400})
    style = "background:#16181d;color:#d7dae0;font:14px/1.45 'DejaVu Sans Mono',monospace;padding:20px;margin:0;"
    style += "white-space:pre-wrap;overflow-wrap:anywhere"
    page.set_content(f"<body style='margin:0'><pre style=\"{style}\">{html.escape(text)}</pre>")
    page.screenshot(path=PICTURES / "terminal.png", full_page=True)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        config = Path(folder) / "routes.yaml"
        config.write_text(ROUTES, "utf-8")
        command = [
            sys.executable,
            "-m",
            "amproxy",
            "serve",
            "--config",
            str(config),
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            f"{folder}/data",
        ]
        log = (Path(folder) / "log").open("w+")
        service = subprocess.Popen(command, stderr=log)
        try:
            while not (found := re.search(r"address=(\S+)", Path(log.name).read_text())):
                time.sleep(0.05)
            url = f"http://{found.group(1)}"
            incident = tell_a_story(url)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            plan(url)
            shoot_pages(browser, url)
            shoot(browser, f"{url}/", "now")
            shoot(browser, f"{url}/incidents/{incident}", "incident", full=True)
            shoot_reports(browser)
            printed = Path(log.name).read_text()
            simulated = subprocess.run(
                [sys.executable, "-m", "amproxy", "simulate", "--config", str(config), "alertname=HighErrorRate", "cluster=eu1"],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            pages = printed[printed.index("┌") :].replace("\a", "")
            shoot_terminal(browser, f"$ amproxy simulate alertname=HighErrorRate cluster=eu1\n{simulated}\n$ amproxy serve\n{pages}")
            browser.close()
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    main()
