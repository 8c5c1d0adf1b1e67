"""The pages as an app in a real Chromium: it installs, takes pushes, and has the theme that was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Worker

from tests.support.browser.demo import alert, ask, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs
from tests.support.standins.certificate import Certificate
from tests.support.standins.push import PushStandIn
from tests.support.waiting import until

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]

ROUTES = """
global:
  http_config: {{tls_config: {{ca_file: '{ca}'}}}}
  contact_networks: [127.0.0.0/8, '::1/128']
route: {{receiver: on-call, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: on-call, oncall_configs: [{{escalation_policy: ladder}}]}}]
users: [{{name: alice, full_name: Alice Ash, contacts: {{console: here}}, notification_rules: {{default: [{{notify: push}}]}}}}]
escalation_policies: [{{name: ladder, steps: [{{notify: {{users: [alice]}}}}]}}]
"""
# Headless Chromium has no push service: the subscription is one at the stand-in.
FAKE_PUSH = """
(() => {
  const made = FIELDS;
  let current = null;
  Notification.requestPermission = async () => "granted";
  Object.defineProperty(Notification, "permission", { get: () => "granted" });
  PushManager.prototype.getSubscription = async () => current;
  PushManager.prototype.subscribe = async (options) => {
    window.subscribedTo = [...new Uint8Array(options.applicationServerKey)];
    sessionStorage.setItem("subscribed", "1");
    return (current = subscription(options.applicationServerKey));
  };
  const subscription = (key) => ({
    endpoint: made.endpoint,
    options: { applicationServerKey: key },
    toJSON: () => ({ endpoint: made.endpoint, keys: { p256dh: made.p256dh, auth: made.auth } }),
    unsubscribe: async () => true,
  });
  addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("push-form");
    if (!form || !sessionStorage.getItem("subscribed")) return;
    const text = atob(form.dataset.key.replace(/-/g, "+").replace(/_/g, "/"));
    current = subscription(Uint8Array.from(text, (char) => char.charCodeAt(0)).buffer);
  });
})();
"""
SHOWN = "registration.getNotifications().then((all) => all.map(({ title, body, tag, silent, actions }) => ({ title, body, tag, silent, actions: actions.map((one) => one.action) })))"
CLICK = """async (action) => {
  const [notification] = await registration.getNotifications();
  Clients.prototype.openWindow = async (url) => { self.opened = url; };
  dispatchEvent(new NotificationEvent("notificationclick", { notification, action }));
}"""


class House(NamedTuple):
    server: Server
    service: PushStandIn


@pytest.fixture(scope="module")
def app(house: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    certificate = Certificate(Path(tmp_path_factory.mktemp("tls")))
    with PushStandIn(certificate.context()) as service:
        yield House(house.amproxy(ROUTES.format(ca=certificate.file)), service)


def as_alice(visitor: Visitor) -> Visitor:
    visitor.go("/me").page.select_option("#choose", "alice")
    visitor.page.locator("#chosen").click()
    visitor.page.get_by_role("heading", name="Alice Ash").wait_for()
    return visitor


def worker_of(visitor: Visitor) -> Worker:
    context = visitor.page.context
    return context.service_workers[0] if context.service_workers else context.wait_for_event("serviceworker")  # fmt: skip


def notifications(worker: Worker) -> list[dict[str, Any]]:
    return list(worker.evaluate(SHOWN))


def deliver(worker: Worker, message: dict[str, Any]) -> None:
    """What the browser does once a push has come and is decrypted."""
    worker.evaluate("(data) => dispatchEvent(new PushEvent('push', { data }))", json.dumps(message))


def test_the_page_installs(app: House, visit: Visit) -> None:
    visitor = visit(app.server)
    cdp = visitor.page.context.new_cdp_session(visitor.page)
    manifest = cdp.send("Page.getAppManifest")
    assert manifest["url"].endswith("/manifest.webmanifest") and manifest["errors"] == []
    errors = cdp.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # a profile of a test is one that does not install, whatever the page
    assert [one["errorId"] for one in errors if one["errorId"] != "in-incognito"] == []
    scope = visitor.page.evaluate("navigator.serviceWorker.ready.then((one) => one.scope)")
    assert scope == f"{app.server.url}/"


def test_a_person_switches_push_on_is_paged_and_answers_from_the_lock_screen(
    app: House, visit: Visit
) -> None:
    visitor = visit(app.server)
    visitor.page.context.grant_permissions(["notifications"], origin=app.server.url)
    as_alice(visitor)
    key = visitor.page.locator("#push-form").get_attribute("data-key")
    phone = app.service.phone(str(key))
    visitor.page.add_init_script(FAKE_PUSH.replace("FIELDS", json.dumps(phone.fields)))
    visitor.go("/me").page.locator("#push-on").click()
    visitor.sees("this device").fits().accessible()
    assert visitor.page.locator("#push-on").is_hidden()

    name = f"Disk{len(app.service.phones)}"  # a second try is an incident of its own
    push(app.server.url, alert(name, "eu1", "The disk of db-1 is full"))
    [page] = until(lambda: phone.pushed)
    worker = worker_of(visitor)
    deliver(worker, page.message)
    [shown] = until(lambda: notifications(worker))
    assert name in shown["title"] and shown["body"].startswith("The disk of db-1 is full")
    assert (shown["actions"], shown["silent"]) == (["acknowledge", "snooze"], False)
    deliver(worker, page.message)  # a repetition takes the place of the first
    assert len(until(lambda: notifications(worker))) == 1

    worker.evaluate(CLICK, "")
    until(lambda: worker.evaluate("self.opened"))
    found = ask(f"{app.server.url}/api/v1/incidents")["incidents"]
    [incident] = [one for one in found if name in one["title"]]
    assert worker.evaluate("self.opened") == f"{app.server.url}/incidents/{incident['id']}"
    until(lambda: not notifications(worker))
    deliver(worker, page.message)
    until(lambda: notifications(worker))
    worker.evaluate(CLICK, "acknowledge")
    address = f"{app.server.url}/api/v1/incidents/{incident['id']}"
    until(lambda: ask(address)["state"] == "acknowledged")
    assert ask(address)["acknowledged_by"] == "alice"
    done = until(lambda: [one for one in notifications(worker) if one["silent"]])
    assert done[0]["title"].startswith("Acknowledged") and done[0]["actions"] == []
    told = until(lambda: [one for one in phone.pushed if one.message.get("quiet")])
    deliver(worker, told[0].message)  # what the service says of it replaces it once more
    assert until(lambda: [one for one in notifications(worker) if "🟡" in one["title"]])
    assert len(notifications(worker)) == 1

    # a press that amproxy refuses opens the link, which says why
    worker.evaluate("delete self.opened")
    broken = {**page.message, "tag": "other"}
    broken["actions"] = [{**broken["actions"][0], "url": f"{app.server.url}/act/nonsense"}]
    worker.evaluate(
        "registration.getNotifications().then((all) => all.forEach((one) => one.close()))"
    )
    until(lambda: not notifications(worker))
    deliver(worker, broken)
    until(lambda: notifications(worker))
    worker.evaluate(CLICK, "acknowledge")
    assert until(lambda: worker.evaluate("self.opened")).endswith("/act/nonsense")

    visitor.page.get_by_role("button", name="Remove").first.click()
    visitor.page.locator("#push-on").wait_for()
    assert not visitor.page.locator(".devices").count()


def test_a_push_that_nobody_can_read_still_shows_something(app: House, visit: Visit) -> None:
    visitor = visit(app.server)
    visitor.page.context.grant_permissions(["notifications"], origin=app.server.url)
    worker = worker_of(visitor)
    worker.evaluate("dispatchEvent(new PushEvent('push', { data: 'no JSON' }))")
    [shown] = until(lambda: notifications(worker))
    assert shown["title"] == "amproxy"


def test_without_a_push_service_or_scripts_the_page_says_why(app: House, visit: Visit) -> None:
    as_alice(visit(app.server, scripts=False)).sees("this browser runs none")
    denied = visit(app.server)
    denied.page.add_init_script(
        "Object.defineProperty(Notification, 'permission', { get: () => 'denied' });"
    )
    as_alice(denied).sees("blocks notifications").fits()
    old = visit(app.server)
    old.page.add_init_script("delete window.PushManager;")
    as_alice(old).sees("needs HTTPS and a browser of today")


GROUND = "getComputedStyle(document.body).backgroundColor"


def stands_on(visitor: Visitor, ground: str) -> None:
    """Wait until the page has this colour: what was pressed loads it anew."""
    visitor.page.wait_for_function(f"{GROUND} === {ground!r}")


@pytest.mark.parametrize(
    ("scripts", "chosen"), [(True, "light"), (False, "dark")], ids=["scripts", "no scripts"]
)
def test_the_theme_goes_before_the_systems_and_is_remembered(
    app: House, visit: Visit, scripts: bool, chosen: str
) -> None:
    grounds = {"light": "rgb(244, 245, 248)", "dark": "rgb(13, 16, 23)"}
    of_system = "dark" if chosen == "light" else "light"
    visitor = visit(app.server, dark=of_system == "dark", scripts=scripts)
    assert visitor.page.evaluate(GROUND) == grounds[of_system]
    stands_on(visitor.press(chosen), grounds[chosen])
    assert visitor.go("/people").page.evaluate(GROUND) == grounds[chosen]
    stands_on(visitor.press("as the system"), grounds[of_system])


def test_paper_shows_no_forms_and_no_menus(app: House, visit: Visit) -> None:
    visitor = as_alice(visit(app.server))
    stands_on(visitor.press("dark"), "rgb(13, 16, 23)")
    visitor.page.emulate_media(media="print", color_scheme="dark")
    seen = "[...document.querySelectorAll('button, nav, select, input')].filter((one) => one.checkVisibility()).length"
    for path in ("/me", "/incidents"):
        assert visitor.go(path).page.evaluate(seen) == 0, path
        assert visitor.page.evaluate(GROUND) == "rgb(255, 255, 255)"
        card = "getComputedStyle(document.documentElement).getPropertyValue('--card').trim()"
        assert visitor.page.evaluate(card) == "#fff"
