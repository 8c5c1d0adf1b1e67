"""What all tests share: real servers, and a loud word about the tests that could not run without one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from servers import NEEDS, Servers

# A busy machine is slow now and then; how long an example takes is not what the properties are about.
# In CI the examples are the same at each run, so that a change is judged by what it changed.
hypothesis.settings.register_profile("amproxy", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("amproxy")


REAL_TIME = ("acceptance", "browser", "e2e", "serve")  # folders whose tests watch real processes by the clock


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A machine that stands still for a second is no defect: what the clock decides is tried once more, and the summary says so."""
    for item in items:
        if item.path.parent.name in REAL_TIME:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Starts real servers for one test (servers.py) and ends them after it."""
    with Servers(tmp_path) as started:
        yield started


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Below all other summaries: which tests did not run for want of a server, and what to install."""
    yield
    skipped: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            skipped[reason].append(report.nodeid)
    if not skipped:
        return
    terminalreporter.section(f"NOT RUN: {sum(map(len, skipped.values()))} tests want a server", sep="!", red=True, bold=True)
    for reason, tests in sorted(skipped.items()):
        terminalreporter.write_line(reason, red=True, bold=True)
        for test in tests:
            terminalreporter.write_line(f"  {test}", red=True)
