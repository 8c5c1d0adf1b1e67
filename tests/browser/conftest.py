"""A real Chromium, and the service that it looks at. One browser and one service for each test file, a fresh profile for each page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from servers import Server, Servers, program
from visitor import Visitor


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=quiet)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Starts servers that live as long as the tests of one file."""
    with Servers(tmp_path_factory.mktemp("house")) as started:
        yield started


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens pages as somebody: `visit(url, "/incidents", size="phone", scripts=False, dark=True, language="ru")`."""
    opened: list[Visitor] = []

    def open_(server: Server | str, path: str = "/", **how: object) -> Visitor:
        visitor = Visitor(chromium, server if isinstance(server, str) else server.url, **how)  # type: ignore[arg-type]
        opened.append(visitor)
        return visitor.go(path)

    yield open_
    for visitor in opened:
        visitor.close()
