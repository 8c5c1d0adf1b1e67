"""Reloads: what asks at the same time shares a load, and none holds the service up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from amproxy import sideprocess
from amproxy.config.loader import load, load_text
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.errors import ConfigError, SideProcessFailed
from amproxy.server.reload import Reloader
from amproxy.sideprocess import SideProcess
from amproxy.store.wire import Wire
from tests.support.config.large import many_receivers, many_schedules
from tests.support.servers import Server, Servers
from tests.support.stalls import stalls
from tests.support.waiting import soon, until

TINY = "route: {receiver: NAME}\nreceivers: [{name: NAME}]\n"
LARGE = many_receivers(500)
# Seconds. A file of this size held the loop up for two; on a quiet machine it is a twentieth now.
LONGEST_STALL = 1.0
# Seconds in which the loop worked on one thing: 0.06 to 0.13, and 2 where the file is read in it.
LOOP_STALL = 0.5


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, as an editor does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


class Loads:
    """A reloader of one file, and the receivers of each configuration that it put in force."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("first")
        self.context = Context(load(path).config, Wire("redis://127.0.0.1:1"))
        self.used: list[str] = []
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.reloader = Reloader(
            self.context, use=self._use, follow=self._follow, publish=self._publish
        )
        self.published = 0

    def write(self, receiver: str, more: str = "") -> None:
        replace_text(self.path, TINY.replace("NAME", receiver) + more)

    def _use(self, config: Config) -> None:
        self.context.use_config(config)
        self.used.append(config.route.receiver)

    async def _follow(self, requested: bool) -> None:
        await self.going_on.wait()

    async def _publish(self) -> None:
        self.published += 1


@pytest.fixture
async def loads(tmp_path: Path) -> AsyncIterator[Loads]:
    found = Loads(tmp_path / "routes.yaml")
    yield found
    await found.reloader.close()


async def test_a_burst_of_reloads_is_a_few_loads_and_the_last_state_wins(loads: Loads) -> None:
    asked = []
    for number in range(200):
        loads.write(f"r{number}")
        asked.append(asyncio.create_task(loads.reloader.reload()))
        await asyncio.sleep(0.001)
    await asyncio.gather(*asked)
    assert loads.used[-1] == "r199" and len(loads.used) <= 8
    assert loads.published == len(loads.used)


async def test_a_reload_is_answered_by_a_load_that_began_after_it_was_asked_for(
    loads: Loads,
) -> None:
    loads.going_on.clear()
    first = asyncio.create_task(loads.reloader.reload(publish=False))
    await soon(lambda: loads.used)
    loads.write("second")
    second = asyncio.create_task(loads.reloader.reload(publish=False))
    await asyncio.sleep(0.05)
    assert loads.used == ["first"] and not first.done() and not second.done()
    loads.going_on.set()
    await asyncio.gather(first, second)
    assert loads.used == ["first", "second"] and not loads.published


async def test_all_who_ask_hear_of_a_broken_file_and_the_next_load_goes_well(loads: Loads) -> None:
    loads.write("broken", "nonsense: 1\n")
    asked = [loads.reloader.reload() for _ in range(3)]
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(outcome, ConfigError) and "nonsense" in str(outcome)
    assert loads.context.failed_load is not None and not loads.used
    loads.write("mended")
    await loads.reloader.reload()
    assert loads.used == ["mended"] and loads.context.failed_load is None


async def test_whoever_asks_and_goes_away_does_not_stop_the_load(loads: Loads) -> None:
    gone = asyncio.create_task(loads.reloader.reload())
    await asyncio.sleep(0)
    gone.cancel()
    await soon(lambda: loads.used)


async def test_a_large_file_is_read_in_another_process_with_the_same_outcome(loads: Loads) -> None:
    loads.path.write_text(LARGE)
    await loads.reloader.reload()
    expected = load_text(LARGE, str(loads.path), folder=loads.path.parent).config
    assert loads.context.config == expected
    assert list(loads.context.config.receivers) == list(expected.receivers)  # the order too
    loads.path.write_text(LARGE + "      - notify: {schedule: nobody}\n")
    with pytest.raises(ConfigError) as direct:
        load(loads.path)
    with pytest.raises(ConfigError) as beside:
        await loads.reloader.reload()
    assert [vars(each) for each in beside.value.problems] == [
        vars(each) for each in direct.value.problems
    ]
    assert loads.context.config == expected


async def test_a_reload_of_a_megabyte_leaves_the_loop_its_turns(loads: Loads) -> None:
    loads.path.write_text(many_schedules(2600))
    assert loads.path.stat().st_size > 1 << 20
    async with stalls() as found:
        await loads.reloader.reload()
    assert len(loads.context.config.schedules) == 2600
    assert found.longest < LOOP_STALL


async def test_a_process_that_dies_is_a_reload_that_fails_with_words(loads: Loads) -> None:
    loads.path.write_text(LARGE)
    before = loads.context.config
    failing = asyncio.create_task(loads.reloader.reload())
    child = await soon(lambda: loads.reloader._process._child)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ConfigError, match=r"process for it died .*killed by signal 9"):
        await failing
    assert loads.context.config is before
    await loads.reloader.reload()
    assert len(loads.context.config.receivers) == 501


async def test_work_that_takes_too_long_or_too_much_memory_fails_with_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = SideProcess()
    try:
        with pytest.raises(SideProcessFailed, match="memory"):
            await process.run(bytearray, 8 << 30, size=1 << 20)
        assert await process.run(sorted, [2, 1], size=1 << 20) == [[1, 2]]
        monkeypatch.setattr(sideprocess, "TIMEOUT", 0.2)
        with pytest.raises(SideProcessFailed, match="time"):
            await process.run(time.sleep, 60, size=1 << 20)
        monkeypatch.setattr(sideprocess, "TIMEOUT", 60.0)
        assert await process.run(sorted, [2, 1], size=1 << 20) == [[1, 2]]
    finally:
        await process.close()


async def test_a_process_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sideprocess, "IDLE_SECONDS", 0.05)
    process = SideProcess()
    [pid] = await process.run(os.getpid, size=1 << 20)
    await soon(lambda: not Path(f"/proc/{pid}/cmdline").exists())
    [other] = await process.run(os.getpid, size=1 << 20)
    assert other not in (pid, os.getpid())
    await process.close()


def ask(server: Server, path: str, body: Any = None, method: str = "GET") -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(
        server.url + path, data, headers, method="POST" if data else method
    )
    with urllib.request.urlopen(request, timeout=100) as answer:
        found: bytes = answer.read()
        return found


@contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """How long each of the requests took that were made meanwhile, in seconds."""
    took: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            began = time.monotonic()
            ask(server, "/-/healthy")
            took.append(time.monotonic() - began)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield took
    finally:
        over.set()
        watching.join()


def side_process_of(server: Server) -> int:
    """The process id; 0 = there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == server.pid and b"amproxy.sideprocess" in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except (OSError, IndexError):
            continue
    return 0


@pytest.mark.clock
def test_no_reload_and_no_change_of_a_large_file_holds_the_service_up(servers: Servers) -> None:
    amproxy = servers.amproxy(LARGE)
    assert amproxy.config
    change = {"section": "users", "name": "ann", "set": {"full_name": "Ann Ash"}}
    works: list[Callable[[], bytes]] = [
        lambda: ask(amproxy, "/-/reload", method="POST"),
        lambda: ask(amproxy, "/api/v1/config"),
        lambda: ask(amproxy, "/api/v1/config/preview", {"change": change}),
    ]
    for work in works:
        with watched(amproxy) as took:
            work()
        assert max(took) < LONGEST_STALL
    # The process for it ends with the service, however that ends, and holds nothing of it.
    child = until(lambda: side_process_of(amproxy))
    amproxy.kill()
    until(lambda: not Path(f"/proc/{child}/cmdline").exists())
    amproxy.start()
    assert ask(amproxy, "/-/ready") == b"OK"


def test_many_signals_are_a_few_loads_and_the_last_state_is_loaded(servers: Servers) -> None:
    amproxy = servers.amproxy(TINY.replace("NAME", "first"))
    assert amproxy.config
    for number in range(200):
        replace_text(amproxy.config, TINY.replace("NAME", f"r{number}"))
        os.kill(amproxy.pid, signal.SIGHUP)
        time.sleep(0.002)
    until(lambda: b'"r199"' in ask(amproxy, "/api/v2/receivers"))
    assert amproxy.printed.count(f"loaded {amproxy.config}") <= 20
