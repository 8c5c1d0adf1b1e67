"""Takes the pictures under docs/pictures: a demo of amproxy with open incidents, looked at with Debian's chromium.

.venv/bin/python tools/pictures.py
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
CHROMIUM = "/usr/bin/chromium"

ROUTES = """
route: {receiver: platform-oncall, group_by: [alertname, cluster], group_wait: 1s, group_interval: 5s}
receivers:
  - name: platform-oncall
    oncall_configs: [{escalation_policy: platform, title: '{{ group_labels.alertname }} on {{ group_labels.cluster }}'}]
users:
  - {name: alice, full_name: Alice Ash, timezone: Europe/Berlin, contacts: {console: Alice's phone}}
  - {name: bob, full_name: Bob Birch, timezone: Asia/Tbilisi, contacts: {console: Bob's phone}}
  - {name: carol, full_name: Carol Cedar, timezone: America/New_York, contacts: {console: Carol's phone}}
teams:
  - {name: platform, members: [alice, bob, carol]}
schedules:
  - name: platform
    timezone: Europe/Berlin
    layers:
      - {name: weekly, users: [alice, bob, carol], rotation: {every: 1w, start: 2026-01-05T09:00}}
  - name: database
    timezone: UTC
    layers:
      - {name: follow the sun, users: [bob, carol, alice], rotation: {every: 8h, start: 2026-01-05T06:00}}
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


def shoot_policies(browser: Browser, url: str) -> None:
    """Policies, routes and people, and a change that is shown before it is made: each at a desk by day and on a phone by night."""
    labels = "labels=" + quote('alertname="HighErrorRate", cluster="eu1", severity="critical"')
    pages = {
        "policies": "/policies", "policy": f"/policies/platform?{labels}", "change": "/change/policy?name=platform",
        "routes": f"/routes?{labels}", "people": "/people",
    }  # fmt: skip
    for name, path in pages.items():
        for size, scheme in (("desktop", "light"), ("phone", "dark")):
            width, height = SIZES[size]
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1)
            page.goto(f"{url}{path}", wait_until="load")
            if name == "change":
                page.fill("#s1-length", "7m")
                page.click("#preview")
                page.locator(".diff").wait_for()
            page.wait_for_timeout(300)
            page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png")
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
            shoot(browser, f"{url}/", "now")
            shoot(browser, f"{url}/incidents/{incident}", "incident", full=True)
            shoot_policies(browser, url)
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
