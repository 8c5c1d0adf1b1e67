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
