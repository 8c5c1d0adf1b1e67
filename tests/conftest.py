"""What all tests share: real servers, the order of a parallel run, and its last lines.

Nothing heavy is imported here: each test file pays only for what it uses itself.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.servers import NEEDS, Servers

if TYPE_CHECKING:
    from tests.support.redis import Redis

# So many tests of a run may need a second try (only those that are marked flaky get one).
RERUNS_ALLOWED = 3
# The longest of a parallel run begin first, so that no process works alone at its end.
BEGIN_FIRST = ("acceptance", "e2e", "browser", "server")

NICE = 10  # a tenth of the processor beside a process that is not nice
PR_CAPBSET_DROP, CAP_SYS_NICE = 24, 23  # of Linux: prctl.h, capability.h


# ---------------------------------------------------------------------------------------- servers


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Starts real servers for one test (tests/support/servers.py) and ends them after it."""
    with Servers(tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def _redis() -> Iterator[Redis]:
    """One Redis for all tests of this process: to start one takes longer than most of them."""
    from tests.support.redis import running

    with running(own=False) as redis:
        yield redis


@pytest.fixture
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """An empty Redis, which the tests of a process use one after another.

    Where a test is marked own_redis, it is that test's alone.
    """
    if request.node.get_closest_marker("own_redis"):
        from tests.support.redis import running

        with running(own=True) as own:
            yield own
        return
    shared: Redis = request.getfixturevalue("_redis")
    shared.flush()
    yield shared


@pytest.fixture
def redis_url(redis: Redis) -> str:
    return redis.url


# ---------------------------------------------------------------------------------- parallel runs


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """`-n 2` alone distributes whole files, in the order in which they stand."""
    if config.getoption("numprocesses", None) and config.option.dist == "no":
        config.option.dist, config.option.loadscopereorder = "loadfile", False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # alone, tests run in the order in which one looks for them
        items.sort(key=_turn)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In a parallel run, all that is not marked clock leaves the processor to what is.

    Else a service whose messages must come in time gets as little of it as the servers and
    browsers of the other processes leave.
    """
    marked = item.get_closest_marker("clock") is not None
    if hasattr(item.config, "workerinput") and not marked and os.nice(0) < NICE:
        os.nice(NICE)
        if sys.platform == "linux":
            # Chromium, run as root, would give itself more of it than anybody else has.
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_NICE, 0, 0, 0)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    folder = item.path.parent.name
    place = BEGIN_FIRST.index(folder) if folder in BEGIN_FIRST else len(BEGIN_FIRST)
    return item.get_closest_marker("clock") is None, place


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """All tests of a file run in one process, so that its servers are started once.

    Files that are marked clock run in one process together. The mark xdist_group would be the usual
    way, but xdist 3.8 hands groups on as a part of the test's name, which pytest 9.2 does not take.
    """
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            # This process collects no tests, so it cannot ask for their marks.
            return "clock" if "pytest.mark.clock" in _text(config.rootpath / file) else file

    return Files(config, log)


@cache
def _text(path: Path) -> str:
    return path.read_text("utf-8")


# ------------------------------------------------------------------------------------- last lines


def _reruns(config: pytest.Config) -> Counter[str]:
    """Test → how often it was tried again, in all processes."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("rerun", []) if reporter else []
    # A try that fails in its call and at its end has two reports.
    return Counter(name for name, _ in {(report.nodeid, report.rerun) for report in reports})


def pytest_sessionfinish(session: pytest.Session) -> None:
    plugins = session.config.pluginmanager
    if "hypothesis" not in sys.modules and session.config.getoption("dist", "no") == "no":
        # Its summary would load all of hypothesis, to say nothing.
        plugins.unregister(plugins.get_plugin("hypothesispytest"))
    if (
        session.exitstatus == pytest.ExitCode.OK
        and _reruns(session.config).total() > RERUNS_ALLOWED
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    """Below all other summaries: which tests did not run, and which ran twice."""
    yield
    _print_not_run(terminalreporter)
    reruns = _reruns(config)
    if not reruns:
        return
    names = ", ".join(
        f"{name} ({times} times)" if times > 1 else name for name, times in sorted(reruns.items())
    )
    allowed = (
        ""
        if reruns.total() <= RERUNS_ALLOWED
        else f", and more than {RERUNS_ALLOWED} make the run red"
    )
    terminalreporter.write_line(
        f"{reruns.total()} reruns{allowed}: {names}",
        red=bool(allowed),
        yellow=not allowed,
        bold=True,
    )


def _print_not_run(terminalreporter: pytest.TerminalReporter) -> None:
    skipped: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            skipped[reason].append(report.nodeid)
    if not skipped:
        return
    terminalreporter.section(
        f"NOT RUN: {sum(map(len, skipped.values()))} tests want a server",
        sep="!",
        red=True,
        bold=True,
    )
    for reason, tests in sorted(skipped.items()):
        terminalreporter.write_line(reason, red=True, bold=True)
        for test in tests:
            terminalreporter.write_line(f"  {test}", red=True)
