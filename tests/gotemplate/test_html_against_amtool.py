"""Generated pages rendered by Debian's amtool and by this package: the texts are equal."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401
from tests.support.gotemplate import amtool, page_amtool
from tests.support.servers import needs


@needs("amtool")
@settings(max_examples=4, database=None)
@given(seed=st.integers(0, 2**32))
def test_generated_pages_give_what_amtool_gives(seed: int) -> None:
    """400 pages; `python -m tests.support.gotemplate.page_amtool` compares any number."""
    assert not page_amtool.page_differences(seed, amtool.BATCH)
