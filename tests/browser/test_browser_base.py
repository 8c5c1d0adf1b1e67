"""What all pages share, in a real Chromium."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.support.browser.demo import ROUTES, fill
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    server = house.amproxy(ROUTES)
    fill(server.url)
    return server


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_first_page_fits_and_everybody_can_use_it(
    amproxy: Server, visit: Visit, size: str, dark: bool
) -> None:
    visit(amproxy, size=size, dark=dark).sees("without an answer").fits().accessible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_reader_chooses_the_language(amproxy: Server, visit: Visit, scripts: bool) -> None:
    visitor = visit(amproxy, scripts=scripts, language="en")
    visitor.press("Русский").sees("Инциденты")
    visitor.go("/incidents").press("English").sees("Incidents")


LONG_NAME = "Anna-Maria Christodoulopoulos von und zu Hohenstein-Wartenburg the Younger"
LONG_ADDRESS = "a.very.long.address.of.somebody@a-subdomain-of.example.org"


@pytest.mark.parametrize("language", ["en", "ru"])
def test_long_names_fit_on_a_phone_and_nothing_in_the_first_row_lies_over_the_other(
    house: Servers, visit: Visit, language: str
) -> None:
    person = f"{{name: anna, full_name: '{LONG_NAME}', contacts: {{email: {LONG_ADDRESS}}}}}"
    named = house.amproxy(ROUTES.replace("users:\n", f"users:\n  - {person}\n"))
    visitor = visit(named, size="phone", language=language)
    for path in ("/me", "/people", "/silences", "/"):  # most of them in the menu: it is marked
        visitor.go(path).fits()
        visitor.page.locator("#live").wait_for(state="visible")
        boxes = [
            visitor.page.locator(f".top {part}").bounding_box()
            for part in (".brand", "#me-user", "#live .dot", ".menu summary")
        ]
        lefts = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
        assert len(lefts) == 4
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(lefts)), lefts
    chosen = visitor.page.locator("#me-user").evaluate("one => [one.clientWidth, one.scrollWidth]")
    assert chosen[0] >= 90, "what is chosen is cut off"


def test_a_reader_who_has_not_said_who_they_are_sees_the_clock_of_the_browser(
    amproxy: Server, visit: Visit
) -> None:
    tokyo = visit(amproxy, "/incidents", zone="Asia/Tokyo", language="ru")
    tokyo.sees("Время по часам: Tokyo.").go("/").sees("Время по часам: Tokyo.")
    still = visit(amproxy, zone="Asia/Tokyo", scripts=False)
    still.sees("Times are those of UTC; say who you are to see yours.")


def test_everything_is_searched_from_the_keyboard(amproxy: Server, visit: Visit) -> None:
    visitor = visit(amproxy, "/schedules")
    page = visitor.page
    page.keyboard.press("Control+k")
    page.keyboard.type("replication")
    visitor.sees("Look through all incidents").sees("ReplicationLag on eu2").accessible().fits()
    page.keyboard.press("Escape")
    assert not page.locator("#search").is_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("bob")  # what was typed before is selected
    page.locator("#search-found").get_by_text("Bob Birch").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/people?text=bob#person-bob")
    page.locator("#open-search").click()
    page.mouse.click(5, 500)
    assert not page.locator("#search").is_visible(), "a press beside it closes it"


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_everything_is_searched_without_scripts(amproxy: Server, visit: Visit, size: str) -> None:
    visitor = visit(amproxy, size=size, scripts=False)
    if size == "phone":
        visitor.page.locator("#menu summary").click()
    visitor.press("Search", "link").fits()
    visitor.page.locator("main #text").fill("replication")
    visitor.press("Search").press("ReplicationLag on eu2", "link")
    visitor.page.wait_for_url("**/incidents/*")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_menu_closes_by_escape_and_by_a_tap_outside(
    amproxy: Server, visit: Visit, size: str
) -> None:
    visitor = visit(amproxy, "/schedules", size=size)
    page, menu = visitor.page, visitor.page.locator("#menu")
    menu.locator("summary").click()
    menu.get_by_role("group", name="Set up").get_by_text("Routes").wait_for()
    visitor.fits().accessible()
    page.keyboard.press("Escape")
    assert not menu.evaluate("menu => menu.open")
    assert menu.locator("summary").evaluate("one => one === document.activeElement")
    menu.locator("summary").click()
    page.mouse.click(10, 600)
    assert not menu.evaluate("menu => menu.open")
    # who works with the keyboard passes the menu by
    visitor.go("/schedules").page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('main').contains(document.activeElement)")
