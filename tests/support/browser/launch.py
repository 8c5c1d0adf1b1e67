"""A headless Chromium that leaves the processor to the servers under test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Playwright

from tests.support.servers import program

_QUIET: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium; the running test is skipped where it is not installed."""
    return playwright.chromium.launch(
        executable_path=Path(__file__).with_name("chromium"),
        args=_QUIET,
        env={**os.environ, "CHROMIUM": program("chromium")},
    )
