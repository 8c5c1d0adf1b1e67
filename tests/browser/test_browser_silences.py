"""Silences and maintenance windows, in a real Chromium: made from an alert, looked at, prolonged and ended, on a phone and at a desk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.browser.demo import alert, ask, push
from tests.support.browser.lately import ROUTES, hush
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(ROUTES)


@pytest.fixture(scope="module")
def silence(amproxy: Server) -> str:
    return hush(amproxy.url)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_somebody_silences_an_alert_and_ends_it_again(
    amproxy: Server, silence: str, visit: Visit, scripts: bool
) -> None:
    visitor = visit(
        amproxy, '/silences/new?label=alertname%3D"HighErrorRate"', scripts=scripts, size="phone"
    )
    visitor.sees("would hide 3 alerts now").sees("all 3 alerts: it stops paging")
    visitor.page.get_by_label("Matchers").first.fill(
        'alertname="HighErrorRate"\ninstance=~"checkout-[01]"'
    )
    comment = f"Deploying {scripts}"
    visitor.page.get_by_label("Comment").fill(comment)
    if not scripts:
        visitor.press("Look again")
    visitor.sees("would hide 2 alerts now").sees("2 of 3 alerts")
    visitor.page.get_by_label("For", exact=True).select_option(label="4 h")
    if not scripts:
        visitor.press("Look again")
    visitor.page.locator("#save:not([disabled])").click()
    visitor.sees(comment).sees("hides 2 alerts now")
    visitor.press("Longer by 1 day").sees("in 1 d ")
    visitor.press("End now").sees("ended at")
    visitor.go("/silences")
    assert comment not in visitor.text
    visitor.go("/silences?ended=1").sees(comment)


def test_what_is_written_shows_at_once_what_it_hides_and_nothing_is_saved_unseen(
    amproxy: Server, silence: str, visit: Visit
) -> None:
    visitor = visit(amproxy, "/silences/new")
    save = visitor.page.locator("#save")
    assert save.is_disabled()
    visitor.page.get_by_label("Matchers").first.fill("=db-4")
    visitor.sees("Not a matcher")
    assert save.is_disabled()
    visitor.page.get_by_label("Matchers").first.fill('instance="db-4"')
    visitor.sees("would hide 2 alerts now")
    assert "db-4" in visitor.page.url, "what is being written can be sent to a colleague"
    push(amproxy.url, alert("Swapping", "eu2", "db-4 swaps", instance="db-4"))
    visitor.page.get_by_label("Comment").fill("typed")
    visitor.sees("would hide 3 alerts now")
    assert visitor.page.get_by_label("Comment").input_value() == "typed"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_somebody_plans_a_recurring_window_and_changes_it(
    amproxy: Server, silence: str, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/silences", scripts=scripts).press("New window", "link")
    name = f"Patching {scripts}"
    visitor.page.get_by_label("Name").fill(name)
    visitor.page.get_by_label("Matchers").first.fill('job="node"')
    visitor.page.get_by_label("For", exact=True).select_option(label="No end (recurring)")
    visitor.page.get_by_label("nights").check()
    if not scripts:
        visitor.press("Look what it would hide")
    visitor.sees("Nothing that fires now matches.")
    visitor.page.locator("#save:not([disabled])").click()
    visitor.sees(name).sees("recurs: nights")
    visitor.press("Change", "link")
    visitor.page.get_by_label("Comment").fill("Every night")
    if not scripts:
        visitor.press("Look again")
    visitor.page.locator("#save:not([disabled])").click()
    visitor.sees("Every night")
    windows = {one["name"]: one for one in ask(f"{amproxy.url}/api/v1/maintenance")}
    assert (
        windows[name]["active_time_intervals"] == ["nights"]
        and windows[name]["comment"] == "Every night"
    )


@pytest.mark.parametrize(
    ("size", "dark", "language"), [("desktop", False, "en"), ("phone", True, "ru")]
)
def test_the_pages_fit_and_everybody_can_use_them(
    amproxy: Server, silence: str, visit: Visit, size: str, dark: bool, language: str
) -> None:
    evil = "W" * 20_000 + "<img src=x onerror=alert(1)>\u202e"
    push(amproxy.url, alert(evil, evil, evil, instance="db-4", evil=evil))
    visitor = (
        visit(amproxy, "/silences?ended=1", size=size, dark=dark, language=language)
        .fits()
        .accessible()
    )
    for path in (f"/silences/{silence}", '/silences/new?kind=maintenance&label=instance%3D"db-4"'):
        visitor.go(path).fits().accessible()
    visitor.go("/silences/windows/nightly%20backup").fits()
