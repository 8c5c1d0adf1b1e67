"""Take the pictures of docs/pictures: a demo of amproxy with open incidents, in Debian's chromium.

.venv/bin/python -m tools.pictures
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
from typing import Any, Literal
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser import lately
from tests.support.servers import Servers

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
ONCE = (("desktop", "light"), ("phone", "dark"))  # for pages with two pictures instead of four
CHROMIUM = "/usr/bin/chromium"
AMPROXY = [sys.executable, "-m", "amproxy"]

ROUTES = """
route:
  receiver: platform-oncall
  group_by: [alertname, cluster]
  group_wait: 1s
  group_interval: 5s
receivers:
  - name: platform-oncall
    oncall_configs:
      - escalation_policy: platform
        title: '{{ group_labels.alertname }} on {{ group_labels.cluster }}'
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
    time_intervals:
      - weekdays: ['monday:friday']
        times: [{start_time: '09:00', end_time: '18:00'}]
        location: Europe/Berlin
schedules:
  - name: platform
    timezone: Europe/Berlin
    layers:
      - name: weekly
        users: [alice, bob, carol]
        rotation: {every: 1w, start: 2026-01-05T09:00}
      - name: office
        users: [bob, [alice, carol]]
        rotation: {every: 1d, start: 2026-01-05T09:00}
        active_time_intervals: [office]
  - name: database
    timezone: UTC
    layers:
      - name: follow the sun
        users: [bob, carol, alice]
        rotation: {every: 8h, start: 2026-01-05T06:00}
  - name: office hours
    timezone: Europe/Berlin
    layers:
      - name: weekdays
        users: [alice, carol]
        rotation: {every: 1d, start: 2026-01-05T09:00}
        active_time_intervals: [office]
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


def main() -> None:
    """Start the demo, take all pictures, and end it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        config, log = Path(folder) / "routes.yaml", Path(folder) / "log"
        config.write_text(ROUTES, "utf-8")
        argv = [*AMPROXY, "serve", "--config", str(config), "--listen", "127.0.0.1:0"]
        with log.open("w") as stderr:
            service = subprocess.Popen([*argv, "--data-dir", f"{folder}/data"], stderr=stderr)
        try:
            url = wait_for_address(service, log)
            incident = open_incidents(url)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            change_shifts(url)
            take_pages(browser, url)
            take_all(browser, f"{url}/", "now")
            take_all(browser, f"{url}/incidents/{incident}", "incident", full_on_phone=True)
            take_reports(browser)
            take_terminal(browser, config, log)
            browser.close()
        finally:
            service.terminate()
            service.wait()


def wait_for_address(service: subprocess.Popen[bytes], log: Path) -> str:
    """Return the URL that amproxy prints when it listens; raises RuntimeError if it ends first."""
    while not (found := re.search(r"address=(\S+)", log.read_text())):
        if service.poll() is not None:
            raise RuntimeError(f"amproxy did not start:\n{log.read_text()}")
        time.sleep(0.05)
    return f"http://{found.group(1)}"


def open_incidents(url: str) -> str:
    """Push alerts and act on them; return the id of the incident that nobody has acknowledged."""
    lag = alert("ReplicationLag", "eu2", "Replica db-4 is 94 s behind", instance="db-4")
    post(f"{url}/api/v2/alerts", [lag])
    time.sleep(3)  # longer than group_wait, so that the incident is open
    [incident] = get(f"{url}/api/v1/incidents")["incidents"]
    address = f"{url}/api/v1/incidents/{incident['id']}"
    post(f"{address}/acknowledge", {"user": "bob"})
    post(f"{address}/note", {"user": "bob", "text": "Backup runs on db-4; watching it."})
    summary = "Checkout answers 12% of requests with an error"
    instances = [f"checkout-{number}" for number in range(3)]
    errors = [alert("HighErrorRate", "eu1", summary, instance=name) for name in instances]
    post(f"{url}/api/v2/alerts", errors)
    time.sleep(3)
    return str(get(f"{url}/api/v1/incidents?state=triggered")["incidents"][0]["id"])


def change_shifts(url: str) -> None:
    """Add an override and a swap, so that the schedule of the pictures has both."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    night, later = period(tomorrow, 12), period(tomorrow + timedelta(days=4), 24)
    schedule = f"{url}/api/v1/schedules/platform"
    other = next(one for one in ("carol", "alice") if one != on_call(schedule, night))
    post(f"{schedule}/overrides", {"user": other, **night, "reason": "A concert"})
    swap = {"user": on_call(schedule, later), **later, "reason": "A wedding"}
    post(f"{schedule}/swaps", swap)


def on_call(schedule: str, within: dict[str, str]) -> str:
    """The person who has the first shift of a period."""
    query = urlencode({"from": within["start"], "to": within["end"]})
    return str(get(f"{schedule}/shifts?{query}")[0]["users"][0])


def take_pages(browser: Browser, url: str) -> None:
    """Take each page that the demo fills; what is edited is shown before it is saved."""
    labels = "labels=" + quote('alertname="HighErrorRate", cluster="eu1", severity="critical"')
    pages = {
        "schedules": "/schedules",
        "schedule": "/schedules/platform",
        "schedule-month": "/schedules/platform?view=month&from=2026-12-01",
        "layers": "/schedules/platform/layers",
        "policies": "/policies",
        "policy": f"/policies/platform?{labels}",
        "change": "/change/policy?name=platform",
        "routes": f"/routes?{labels}",
        "people": "/people",
        "incidents": "/incidents?state=triggered&state=acknowledged&state=resolved",
        "page": "/page?title=The+shop+is+down&users=bob",
        "me": "/me",
        "admin": "/admin",
    }
    for name, path in pages.items():
        for size, scheme in ONCE:
            take(browser, f"{url}{path}", name, size, scheme, full=name == "schedules")


def take_all(browser: Browser, address: str, name: str, *, full_on_phone: bool = False) -> None:
    """Take a page in each size, light and dark."""
    for size in SIZES:
        for scheme in ("light", "dark"):
            take(browser, address, name, size, scheme, full=full_on_phone and size == "phone")


def take_reports(browser: Browser) -> None:
    """Take the pages that need some weeks of history, which the browser tests can make up."""
    paths = {
        "silences": "/silences",
        "silence-new": '/silences/new?label=instance%3D"db-4"',
        "deliveries": "/deliveries",
        "insights": "/insights",
    }
    with (
        contextlib.redirect_stdout(io.StringIO()),  # at the end the logs of the servers go there
        tempfile.TemporaryDirectory() as folder,
        Servers(Path(folder)) as servers,
    ):
        redis = servers.redis_server(appendonly=False)
        url = servers.amproxy(lately.ROUTES, redis_url=redis.url).url
        lately.past(redis.url)
        lately.hush(url)
        lately.deliver(url)
        for name, path in paths.items():
            for size, scheme in ONCE:
                take(browser, f"{url}{path}", name, size, scheme, full=size == "desktop")


def take_terminal(browser: Browser, config: Path, log: Path) -> None:
    """Take the output of `amproxy simulate` and the pages that the console of the demo shows."""
    labels = ["alertname=HighErrorRate", "cluster=eu1"]
    argv = [*AMPROXY, "simulate", "--config", str(config), *labels]
    simulated = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    printed = log.read_text()
    pages = printed[printed.index("┌") :].replace("\a", "")
    text = f"$ amproxy simulate {' '.join(labels)}\n{simulated}\n$ amproxy serve\n{pages}"
    style = (
        "background:#16181d;color:#d7dae0;font:14px/1.45 'DejaVu Sans Mono',monospace;"
        "padding:20px;margin:0;white-space:pre-wrap;overflow-wrap:anywhere"
    )
    page = browser.new_page(viewport={"width": 900, "height": 400})
    page.set_content(f"<body style='margin:0'><pre style=\"{style}\">{html.escape(text)}</pre>")
    page.screenshot(path=PICTURES / "terminal.png", full_page=True)


def take(
    browser: Browser,
    address: str,
    name: str,
    size: str,
    scheme: Literal["light", "dark"],
    *,
    full: bool = False,
) -> None:
    """Open a page, fill it in and save its picture; `full` includes what is below the window."""
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1
    )
    if name == "me":
        page.context.add_cookies([{"name": "amproxy_user", "value": "bob", "url": address}])
    page.goto(address, wait_until="load")
    fill_in(page, name)
    page.wait_for_timeout(300)  # scripts draw the timeline after the load
    page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=full)
    page.close()


def fill_in(page: Page, name: str) -> None:
    """Bring a page into the state that its picture shows; most are in it from the start."""
    if name == "admin":
        page.wait_for_timeout(1500)  # a page that has just been opened is drawn once more
        # The demo's temporary folder would differ in each picture and confuse readers.
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


def alert(name: str, cluster: str, summary: str, **labels: str) -> dict[str, object]:
    """A critical alert of the team platform."""
    fixed = {"alertname": name, "cluster": cluster, "team": "platform", "severity": "critical"}
    runbook = f"https://runbooks.example.org/{name.lower()}"
    return {
        "labels": {**fixed, **labels},
        "annotations": {"summary": summary, "runbook_url": runbook},
        "generatorURL": "https://vm.example.org/vmalert/alert?id=1",
    }


def period(day: datetime, hours: int) -> dict[str, str]:
    """From 18:00 of a day on, as the API has it, in the time zone of the schedule."""
    start = day.replace(hour=18, minute=0)
    end = start + timedelta(hours=hours)
    return {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}"}


def post(url: str, body: object) -> None:
    """Send JSON; raises urllib.error.HTTPError where it is refused."""
    content = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), content)
    urllib.request.urlopen(request, timeout=10).close()


def get(url: str) -> Any:
    """Fetch JSON; raises urllib.error.HTTPError where it is refused."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


if __name__ == "__main__":
    main()
