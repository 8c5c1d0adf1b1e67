"""When things go wrong under somebody's hands: no network, no Redis, an ended session, no right."""

from __future__ import annotations

import itertools
import os
import signal
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import expect

from tests.support.browser.demo import ROUTES, alert, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]
PASSWORD = "correct horse"
_clusters = (f"zone{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def redis(house: Servers) -> Server:
    return house.redis_server()


@pytest.fixture(scope="module")
def amproxy(house: Servers, redis: Server) -> Server:
    password = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    people = ROUTES.replace("timezone: ", f"password_hash: '{password}', timezone: ", 3)
    dora = f"  - {{name: dora, password_hash: '{password}', timezone: UTC}}\nteams:"
    people = people.replace("teams:", dora, 1)
    people += "\nsign_in: {passwords: true}\n"
    return house.amproxy(people, redis_url=redis.url)


def sign_in(visitor: Visitor, name: str = "alice") -> None:
    visitor.page.get_by_label("Name or e-mail").fill(name)
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.locator("#enter").click()


@pytest.fixture
def on_incident(amproxy: Server, visit: Visit) -> Iterator[Callable[..., Visitor]]:
    """Opens an incident that nobody has touched, signed in. What fails on purpose is no trouble."""
    opened: list[Visitor] = []

    def open_(name: str = "alice", *, team: str = "platform", **how: object) -> Visitor:
        cluster = next(_clusters)
        push(amproxy.url, alert("DiskFull", cluster, f"Disk of {cluster}", team=team))
        label = urllib.parse.quote(f'cluster="{cluster}"')
        visitor = visit(amproxy, f"/incidents?label={label}", **how)
        sign_in(visitor, name)
        for _ in range(100):
            if visitor.page.locator("main a[id^=incident-]").count():
                break
            visitor.page.wait_for_timeout(100)
            visitor.page.reload()
        visitor.page.locator("main a[id^=incident-]").first.click()
        visitor.page.locator("h1#title").wait_for()
        opened.append(visitor)
        return visitor

    yield open_
    for visitor in opened:
        visitor.trouble.clear()


def press_note(visitor: Visitor, text: str) -> None:
    visitor.page.locator("#note").fill(text)
    visitor.page.locator("#do-note").click()


def test_a_press_without_a_network_keeps_what_was_typed_and_is_tried_again(
    on_incident: Callable[..., Visitor],
) -> None:
    visitor = on_incident(size="phone")
    address = visitor.page.url
    visitor.page.context.set_offline(True)
    press_note(visitor, "The disk is being changed")
    visitor.sees("This was not done: amproxy cannot be reached.").fits().accessible()
    assert visitor.page.locator("#note").input_value() == "The disk is being changed"
    assert visitor.page.url == address
    visitor.page.context.set_offline(False)
    visitor.press("Try again")
    expect(visitor.page.locator("main")).to_contain_text("The disk is being changed")
    expect(visitor.page.locator("#press")).to_be_hidden()
    assert visitor.page.url == address


def test_redis_that_is_away_shows_on_an_open_page_and_a_press_waits_for_it(
    on_incident: Callable[..., Visitor], redis: Server
) -> None:
    visitor = on_incident(size="phone")
    live = visitor.page.locator("#live-text")
    expect(live).to_have_text("Live")
    os.kill(redis.pid, signal.SIGSTOP)  # as a network that drops everything: no connection breaks
    try:
        expect(live).to_have_text("Redis is away", timeout=5_000)
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    expect(live).to_have_text("Live", timeout=30_000)
    redis.kill()
    try:
        expect(live).to_have_text("Redis is away", timeout=5_000)
        press_note(visitor, "A note of the night")
        visitor.sees("Redis is away; nothing was changed, try again in a moment.")
        assert visitor.page.locator("#note").input_value() == "A note of the night"
    finally:
        redis.start()
    expect(live).to_have_text("Live", timeout=30_000)
    visitor.press("Try again")
    expect(visitor.page.locator("main")).to_contain_text("A note of the night")


def test_without_scripts_the_page_of_the_error_sends_the_form_once_more(
    on_incident: Callable[..., Visitor], redis: Server
) -> None:
    visitor = on_incident(scripts=False, language="en")
    address = visitor.page.url
    redis.kill()
    try:
        press_note(visitor, 'Say "hello" & <wait>')
        visitor.sees("Redis is away; nothing was changed")
        bad = visitor.page.url
        visitor.press("Try again").sees("Nothing done.")
    finally:
        redis.start()
    for _ in range(100):
        visitor.press("Try again")
        if visitor.page.url == address:
            break
        visitor.page.wait_for_timeout(200)
    visitor.sees('Say "hello" & <wait>')
    visitor.page.goto(bad)  # the address that the refused press has left
    assert visitor.page.url == address


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_press_after_the_session_has_ended_is_said_not_to_be_done(
    on_incident: Callable[..., Visitor], scripts: bool
) -> None:
    visitor = on_incident(scripts=scripts)
    address = visitor.page.url
    visitor.page.context.clear_cookies()
    press_note(visitor, "Typed before the session ended")
    if not scripts:
        visitor.sees("What you pressed was not done")
        sign_in(visitor)
        visitor.page.locator("h1#title").wait_for()
        assert visitor.page.url == address
        return
    visitor.sees("This was not done: you are not signed in any more.").accessible()
    visitor.page.locator("#press a").click()
    sign_in(visitor)
    visitor.sees("Before you signed in you pressed")
    visitor.press("Do it now")
    expect(visitor.page.locator("main")).to_contain_text("Typed before the session ended")


def test_a_form_that_is_filled_in_step_by_step_keeps_its_steps_and_its_way_back(
    amproxy: Server, visit: Visit
) -> None:
    visitor = visit(amproxy, "/change/policy?name=platform")
    sign_in(visitor)
    page = visitor.page
    page.locator("#policy-form").wait_for()
    page.locator("input[name=repeat]").fill("7")
    address = page.url
    page.context.set_offline(True)
    page.locator("button[name=do][value=preview]").first.click()
    visitor.sees("This was not done: amproxy cannot be reached.")
    assert page.locator("input[name=repeat]").input_value() == "7"
    page.context.set_offline(False)
    visitor.press("Try again").sees("repeat: 7")
    assert page.url == address
    assert page.evaluate("[...document.styleSheets].every((one) => one.cssRules.length)"), (
        "the page that came lacks its style"
    )
    page.go_back()
    page.locator("#policy-form").wait_for()
    assert page.locator("input[name=repeat]").input_value() == "7"
    visitor.trouble.clear()


def test_a_press_that_comes_too_late_says_so_where_it_was_made(
    on_incident: Callable[..., Visitor],
) -> None:
    visitor = on_incident()
    page, address = visitor.page, visitor.page.url
    page.locator("#note").fill("Not finished")
    page.evaluate("document.querySelector('input[name=epoch]').value = '9'")
    page.locator("#do-acknowledge").click()
    expect(page.locator("#press")).to_contain_text("Nothing done.")
    assert page.locator("#note").input_value() == "Not finished" and page.url == address


def test_who_may_not_act_reads_who_may(on_incident: Callable[..., Visitor]) -> None:
    visitor = on_incident("alice", team="database", scripts=False)
    incident = visitor.page.url
    visitor.page.context.clear_cookies()
    visitor.page.goto(incident)
    sign_in(visitor, "dora")
    visitor.sees("Only team database may act here.")
    assert not visitor.page.get_by_role("button", name="Acknowledge").count()
    visitor.go("/schedules/database").sees("Only team database may act here.")
    visitor.go("/policies/database").sees("Only team database may act here.")
