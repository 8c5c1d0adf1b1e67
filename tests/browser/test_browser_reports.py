"""Deliveries and insights, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.browser.demo import push
from tests.support.browser.lately import ROUTES, deliver, past
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium", "redis-server")
Visit = Callable[..., Visitor]
EVIL = "W" * 3000 + "<img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    redis = house.redis_server(appendonly=False)
    server = house.amproxy(ROUTES, redis_url=redis.url)
    past(redis.url)
    past(redis.url, count=3, name=EVIL)
    push(server.url, {"labels": {"alertname": EVIL, "cluster": EVIL}})
    deliver(server.url)
    return server


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_somebody_tests_a_channel_and_finds_what_became_of_it(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/deliveries", scripts=scripts)
    visitor.sees("Failing now: webhook.")
    visitor.page.get_by_text("3 people").click()
    visitor.press("Test Carol Cedar over console").sees("A test is on its way to Carol Cedar.")
    visitor.page.get_by_role("combobox", name="Person", exact=True).select_option(
        label="Carol Cedar"
    )
    visitor.press("Filter")
    visitor.sees("Test page")
    assert (
        "user=carol" in visitor.page.url
        and "Bob Birch" not in visitor.page.locator(".log").inner_text()
    )
    visitor.page.get_by_label("Outcome").select_option(label="Failed")
    visitor.press("Filter").sees("No delivery is like this.")


def test_what_somebody_has_unfolded_stays_so_while_the_page_is_kept_up_to_date(
    amproxy: Server, visit: Visit
) -> None:
    visitor = visit(amproxy, "/deliveries")
    visitor.page.get_by_text("3 people").click()
    before = visitor.page.locator("#main").get_attribute("data-now")
    push(amproxy.url, {"labels": {"alertname": "Another", "cluster": "eu3"}})
    visitor.page.wait_for_function(
        "before => document.getElementById('main').dataset.now !== before", arg=before
    )
    visitor.sees("Carol Cedar")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_team_lead_looks_at_one_person_and_sends_the_address_on(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/insights", scripts=scripts)
    visitor.sees("Bob Birch was woken in").sees("of all pages and mostly ends by itself")
    visitor.page.get_by_role("combobox", name="Person", exact=True).select_option(label="Alice Ash")
    visitor.page.get_by_label("Time").select_option(label="90 days")
    visitor.press("Show")
    visitor.sees("Alice Ash was woken in")
    other = visit(amproxy, visitor.page.url.removeprefix(amproxy.url), scripts=scripts)
    other.sees("Alice Ash was woken in")
    other.page.locator("#days-table summary").click()
    other.page.locator("#days-table table").wait_for(state="visible")


@pytest.mark.parametrize("path", ["/deliveries", "/insights"])
@pytest.mark.parametrize(
    ("size", "dark", "language"), [("desktop", False, "en"), ("phone", True, "ru")]
)
def test_the_pages_fit_and_everybody_can_use_them(
    amproxy: Server, visit: Visit, path: str, size: str, dark: bool, language: str
) -> None:
    visitor = visit(amproxy, path, size=size, dark=dark, language=language)
    for details in visitor.page.locator("main details").all():
        details.evaluate("details => { details.open = true }")
    visitor.fits().accessible()
