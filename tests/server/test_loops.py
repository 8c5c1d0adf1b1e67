"""The parts of the service: one that ends begins anew, and one that cannot be kept ends the process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from amproxy import metrics
from amproxy.config.loader import load_text
from amproxy.errors import StoreUnavailable
from amproxy.server import supervise
from amproxy.server.address import Address
from amproxy.server.parts import PartFailed, Parts, PendingWork, RestartPolicy
from amproxy.server.service import Service
from amproxy.store import keys
from amproxy.store.wire import RedisRefused
from tests.support.config.configs import ONCALL
from tests.support.waiting import soon

ROUTES = "route: {receiver: r}\nreceivers: [{name: r}]\n"
# The command `amproxy` with a part that has a defect.
BROKEN = """
import sys
from functools import partial
from amproxy.cli import main
from amproxy.server import parts, serve, service

async def broken(*_):
    raise TypeError("a defect")

serve.Parts = partial(parts.Parts, partial(parts.RestartPolicy, patience=0.3))
service.Service.ATTRIBUTE
sys.exit(main())
"""


def impatient() -> RestartPolicy:
    return RestartPolicy((0.01, 0.02), ran_well=5.0, patience=0.1)


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    made = Service(load_text(ONCALL), redis_url, address=Address(listen="127.0.0.1:9"))
    yield made
    await made.stop()


async def push(service: Service) -> int:
    """The status of a push of one alert."""
    alert = {"status": "firing", "labels": {"alertname": "Down"}}
    body = json.dumps({"alerts": [alert]}).encode()
    scope = {"type": "http", "method": "POST", "path": "/webhook/any", "headers": []}
    scope |= {"query_string": b"", "client": ("127.0.0.1", 1)}
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await service.endpoints.webhook(scope, receive, send)
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status


# ------------------------------------------------------------------------------------ one part


def test_a_part_that_ends_waits_longer_each_time_and_is_given_up_after_a_row_of_ends() -> None:
    policy = RestartPolicy((0.1, 0.3), ran_well=5.0, patience=10.0)
    assert [policy.next_wait(at, at + 0.1) for at in (0.0, 1.0, 2.0, 3.0)] == [0.1, 0.2, 0.3, 0.3]
    assert policy.next_wait(10.0, 10.2) is None


def test_a_part_that_ran_well_for_long_begins_a_new_row() -> None:
    policy = RestartPolicy((0.1, 0.3), ran_well=5.0, patience=10.0)
    assert [policy.next_wait(9.0 * n, 9.0 * n + 6.0) for n in range(20)] == [0.1] * 20


async def test_a_part_that_ends_begins_anew_again_and_again() -> None:
    begun, works, parts = 0, asyncio.Event(), Parts()

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise TypeError("a defect")
        if begun == 2:
            return
        if begun == 3:
            raise asyncio.CancelledError  # by something that it called
        works.set()
        await asyncio.Event().wait()

    parts.keep("delivery", loop)
    async with asyncio.timeout(30):
        await works.wait()
    assert begun == 4 and not parts.stopped and not parts.failure
    assert _value("amproxy_part_running", part="delivery") == 1
    await parts.stop()


async def test_a_part_that_cannot_be_kept_running_ends_the_process() -> None:
    parts, ended = Parts(impatient), asyncio.Event()
    parts.on_failure = ended.set

    async def loop() -> None:
        raise TypeError("a defect")

    restarts = _value("amproxy_part_restarts_total", part="timers")
    parts.keep("timers", loop)
    async with asyncio.timeout(30):
        await ended.wait()
    assert "timers" in parts.failure and "TypeError" in parts.failure
    assert parts.vital_stopped == ["timers"]
    assert _value("amproxy_part_restarts_total", part="timers") > restarts + 2
    assert _value("amproxy_part_running", part="timers") == 0


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RedisRefused("NOPERM no")])
async def test_redis_being_away_is_no_reason_to_give_up(error: Exception) -> None:
    parts, tries = Parts(impatient), 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise error

    done = parts.complete("start", work)
    await soon(lambda: parts.stopped.get("start") == str(error))
    async with asyncio.timeout(30):
        await done
    assert not parts.failure and not parts.stopped


async def test_work_of_the_start_that_fails_for_a_moment_is_done_again() -> None:
    parts, tries = Parts(), 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise TypeError("a defect")

    async with asyncio.timeout(30):
        await parts.complete("start", work)
    assert tries == 3 and not parts.failure and not parts.stopped


async def test_work_that_redis_refuses_is_done_when_it_lets_it() -> None:
    pending, allowed, done = PendingWork(), False, list[str]()

    def work(name: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            if not allowed:
                raise RedisRefused("READONLY no")
            done.append(name)

        return do

    running = asyncio.create_task(pending.run())
    await pending.attempt("one", work("one"))
    await pending.attempt("two", work("old"))
    pending.add("two", work("new"))
    await asyncio.sleep(0.1)
    allowed = True
    await soon(lambda: len(done) >= 2)
    assert sorted(done) == ["new", "one"]
    running.cancel()


async def test_pending_work_ends_when_it_is_cancelled_while_a_defect_ends_it() -> None:
    for turns in range(8):  # of the event loop, between the defect and the cancellation
        pending, begun = PendingWork(), asyncio.Event()

        async def fail(begun: asyncio.Event = begun) -> None:
            begun.set()
            raise TypeError("a defect")

        async def go_on() -> None:
            await asyncio.sleep(60)

        async def keep(pending: PendingWork = pending) -> None:
            with contextlib.suppress(TypeError):
                await pending.run()
            await asyncio.sleep(2)  # as long as the next attempt of a part waits, at least
            raise AssertionError("the cancellation is lost")

        running = asyncio.create_task(keep())
        pending.add("one", fail)
        pending.add("other", go_on)
        await begun.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled(), f"it goes on after {turns} turns"


async def test_a_part_that_fails_while_it_is_ended_does_not_begin_anew() -> None:
    parts, runs = Parts(impatient), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        try:
            await asyncio.sleep(60)
        finally:
            raise StoreUnavailable("Redis is away")

    parts.keep("part", run)
    await asyncio.sleep(0)
    await parts.stop()
    await asyncio.sleep(0.5)
    assert runs == 1


def _value(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


# -------------------------------------------------------------------------------- the service


async def test_until_the_parts_run_pushes_are_refused(service: Service) -> None:
    assert not service.ready and await push(service) == 503
    await service.start()
    assert service.ready and await push(service) == 200


@pytest.mark.parametrize("part", ["delivery", "timers"])
async def test_while_a_vital_part_does_not_run_pushes_are_refused(
    service: Service, part: str
) -> None:
    await service.start()
    service.parts.stopped[part] = "TypeError"
    assert not service.ready and await push(service) == 503
    del service.parts.stopped[part]
    assert service.ready and await push(service) == 200


async def test_while_another_part_does_not_run_pushes_are_taken_and_ready_is_false(
    service: Service,
) -> None:
    await service.start()
    service.parts.stopped["telegram poller"] = "TypeError"
    assert not service.ready and await push(service) == 200


async def test_a_start_that_redis_refuses_waits_and_pages_by_nothing_half_loaded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, refused = service.wire.call, True

    def refuse(*words: str | bytes | int | float) -> asyncio.Future[object]:
        if refused and words[:2] == ("HVALS", keys.OVERRIDES):
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            future.set_exception(RedisRefused("NOPERM no"))
            return future
        return call(*words)

    monkeypatch.setattr(service.wire, "call", refuse)
    starting = asyncio.create_task(service.start())
    await soon(lambda: "NOPERM" in service.parts.stopped.get("start", ""))
    assert await push(service) == 503
    refused = False
    await starting
    assert service.ready and await push(service) == 200


async def test_a_change_of_another_process_is_taken_over_once_redis_lets_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.start()
    await soon(lambda: not service._pending._due and not service._pending._busy)
    refused, loaded = True, 0

    async def load() -> None:
        nonlocal loaded
        if refused:
            raise RedisRefused("LOADING")
        loaded += 1

    monkeypatch.setattr(service.context, "load_schedule_changes", load)
    await soon(lambda: service.wire.call("PUBLISH", keys.CHANGES, "overrides"))
    await asyncio.sleep(0.1)
    assert not loaded
    refused = False
    await soon(lambda: loaded == 1)


# -------------------------------------------------------------------------------- the process


def broken_command(folder: Path, attribute: str) -> list[str]:
    run, config = folder / "run.py", folder / "routes.yaml"
    run.write_text(BROKEN.replace("service.Service.ATTRIBUTE", attribute))
    config.write_text(ROUTES)
    place = ["--config", str(config), "--data-dir", str(folder / "data")]
    return [sys.executable, str(run), "serve", *place, "--listen", "127.0.0.1:0"]


@pytest.mark.parametrize(
    ("attribute", "part"),
    [
        ("service.run_auditor = broken", "auditor"),
        ("service.regroup_all = broken", "start"),
    ],
)
def test_the_process_says_why_and_ends_with_an_error(
    tmp_path: Path, attribute: str, part: str
) -> None:
    began = time.monotonic()
    done = subprocess.run(
        broken_command(tmp_path, attribute), check=False, capture_output=True, timeout=90
    )
    log = done.stderr.decode()
    assert done.returncode == 1, log
    assert f"the part {part} cannot be kept running (TypeError)" in log
    assert "TypeError: a defect" in log and time.monotonic() - began < 60


async def test_workers_that_cannot_live_end_the_supervisor_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervise, "RESTART_DELAYS", (0.01, 0.02))
    monkeypatch.setattr(supervise, "PATIENCE", 0.1)
    monkeypatch.setattr(supervise, "worker_command", lambda _: ["false"])
    async with asyncio.timeout(60):
        with pytest.raises(PartFailed, match="no worker"):
            await supervise.supervise([], 0, tmp_path / "m", workers=2, grace=1, ready=lambda: None)
    assert "worker process died; starting another" in caplog.text and "exit_code=1" in caplog.text
