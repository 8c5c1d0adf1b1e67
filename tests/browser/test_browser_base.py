"""What all pages share, in a real Chromium."""

from __future__ import annotations

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
