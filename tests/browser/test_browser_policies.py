"""Policies, routes and people as persons use them, with scripts and without, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.support.browser.demo import ROUTES, alert, opened, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]

HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "w" * 3000
CHAT = """receivers:
  - name: chat
    slack_configs:
      - api_url: https://127.0.0.1:9/secret
        text: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'
        pretext: '{{ .CommonLabels.alertname.Missing }}'
"""
ASKED = quote('alertname="Down", severity="critical", team="database"')
PAGES = [
    "/policies",
    f"/policies/database?labels={ASKED}",
    "/routes",
    f"/routes?labels={ASKED}",
    "/routes?labels=" + quote(f'alertname="{HOSTILE}"'),
    "/receivers/platform-oncall",
    "/receivers/chat?search=nothing",
    "/people",
    "/change/policy?name=platform",
    "/change/policy",
    *("/change/person", "/change/person?name=alice", "/change/team", "/change/schedule"),
]


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    server = house.amproxy(ROUTES.replace("receivers:\n", CHAT))
    push(server.url, alert("HighErrorRate", "eu1", HOSTILE))
    opened(server.url, "HighErrorRate")
    return server


@pytest.mark.parametrize(
    ("size", "dark"), [("desktop", False), ("phone", True)], ids=["desktop, light", "phone, dark"]
)
def test_the_pages_fit_and_everybody_can_use_them(
    amproxy: Server, visit: Visit, size: str, dark: bool
) -> None:
    visitor = visit(amproxy, "/policies", size=size, dark=dark, language="ru" if dark else "en")
    for path in PAGES:
        visitor.go(path).fits().accessible()


@pytest.mark.parametrize(
    ("size", "scripts"), [("desktop", True), ("phone", False)], ids=["scripts", "phone, no scripts"]
)
def test_a_policy_is_changed_step_by_step_and_the_file_follows(
    house: Servers, visit: Visit, size: str, scripts: bool
) -> None:
    amproxy = house.amproxy(ROUTES)
    visitor = visit(amproxy, "/policies/database", size=size, scripts=scripts)
    page = visitor.press("Edit", "link").page
    page.fill("#s1-length", "20m")
    page.locator("button[value='add users']").click()
    page.get_by_label("Carol Cedar").last.check()
    page.get_by_role("button", name="Move step 4 up").click()
    visitor.press("Show what changes").sees("In the file").fits()
    if scripts:
        visitor.accessible()
    visitor.press("Make this change").sees("Wait 20 min").sees("Page Carol Cedar")
    assert amproxy.config is not None
    text = amproxy.config.read_text("utf-8")
    assert text == ROUTES.replace(
        "      - wait: 15m\n      - forward: platform",
        "      - wait: 20m\n      - notify: {users: [carol]}\n      - forward: platform",
    )


def test_another_kind_of_step_brings_its_own_fields_at_once_with_scripts(
    amproxy: Server, visit: Visit
) -> None:
    visitor = visit(amproxy, "/change/policy?name=platform")
    visitor.page.select_option("#s1-kind", "wait_for_alerts")
    visitor.page.fill("#s1-count", "5")
    visitor.press("Show what changes").sees("wait_for_alerts: {more_than: 5, within: 5m}").press(
        "Back to the form"
    )
    assert visitor.page.input_value("#s1-count") == "5"


def test_a_mistake_is_said_where_the_form_still_stands(amproxy: Server, visit: Visit) -> None:
    visitor = visit(amproxy, "/change/policy?name=platform", size="phone")
    visitor.page.fill("#acknowledge_timeout", "soon")
    visitor.press("Show what changes").sees("not a valid duration").fits().accessible()
    assert visitor.page.input_value("#acknowledge_timeout") == "soon"


def test_an_alert_is_followed_through_the_routes_to_its_policy(
    amproxy: Server, visit: Visit
) -> None:
    visitor = visit(amproxy, "/routes", size="phone", scripts=False)
    visitor.page.fill("#labels", "alertname=Down team=database")
    visitor.press("Show its way").sees("lands here").sees("Paged at once").press(
        "Policy database", "link"
    ).sees("if nobody answers")


def test_a_receiver_is_previewed_on_an_alert_that_is_searched_for(
    amproxy: Server, visit: Visit
) -> None:
    push(amproxy.url, alert("DiskFull", "eu2", "Nine tenths of the disk are full"))
    visitor = visit(amproxy, "/routes", size="phone", scripts=False).press("chat", "link")
    visitor.page.get_by_text("Another alert").click()
    visitor.page.fill("#alert-search", "diskfull EU2")
    visitor.press("Search").press("DiskFull", "link").sees("shown below")
    visitor.sees("Nine tenths of the disk are full").sees("1 text fails")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_an_absence_is_added_and_taken_back_and_a_test_page_sent(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/people", scripts=scripts, size="desktop" if scripts else "phone")
    person = visitor.page.locator("#person-bob")
    person.get_by_text("Add an absence").click()
    person.get_by_label("From", exact=True).fill("2099-01-05T09:00")
    person.get_by_label("To", exact=True).fill("2099-01-06T09:00")
    person.get_by_role("button", name="Add", exact=True).click()
    visitor.sees("5 Jan 2099").fits()
    person.get_by_role("button", name="Take back").click()
    visitor.page.get_by_text("5 Jan 2099").wait_for(state="detached")
    visitor.press("Send a test page to Bob Birch").sees("is on its way")
