"""A real Chromium, and the service that it looks at.

One browser and one service for each test file, a fresh profile for each page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.browser.launch import launch
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A page that is drawn anew while it is clicked on is a race of the browser: one more try.

    It is counted and printed (tests/conftest.py).
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Starts servers that live as long as the tests of one file."""
    with Servers(tmp_path_factory.mktemp("house")) as started:
        yield started


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens pages as somebody: `visit(url, "/incidents", size="phone", scripts=False)`."""
    opened: list[Visitor] = []

    def open_(server: Server | str, path: str = "/", **how: object) -> Visitor:
        visitor = Visitor(chromium, server if isinstance(server, str) else server.url, **how)  # type: ignore[arg-type]
        opened.append(visitor)
        return visitor.go(path)

    yield open_
    for visitor in opened:
        visitor.close()
