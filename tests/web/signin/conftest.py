"""One service for each test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import Servers


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Starts servers that live as long as the tests of one file."""
    with Servers(tmp_path_factory.mktemp("house")) as started:
        yield started
