"""The web part on a real Redis, asked as a client would ask it: over ASGI, without a socket."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import program

from amproxy.config.structs import Config, IfNobody, Layer, NotifyStep, Policy, Rotation, Route, Schedule, User, Wait
from amproxy.context import Context
from amproxy.correlate.opening import open_by_hand
from amproxy.machine import transition
from amproxy.machine.events import AlertsChanged, Event, Opened
from amproxy.model import Alert, Incident
from amproxy.respond.links import Links
from amproxy.store import incidents
from amproxy.store.commit import commit
from amproxy.store.incidents import keep_alert
from amproxy.store.wire import Wire
from amproxy.web.console import Console
from amproxy.web.deps import Deps
from amproxy.web.live import Hub
from amproxy.web.routes import web

NOW = 1_767_693_600.0  # Tuesday 2026-01-06 10:00 UTC
BASE = "http://127.0.0.1:9095"

CONFIG = Config(
    route=Route(receiver="default", key="{}"),
    users={
        "alice": User(
            name="alice", full_name="Alice Ash", timezone="Europe/Berlin", contacts={"console": "alice", "email": "a@example.org"}
        ),
        "bob": User(name="bob", timezone="Asia/Tbilisi", contacts={"console": "bob"}),
    },
    schedules={
        "platform": Schedule(
            name="platform",
            timezone="Europe/Berlin",
            layers=(
                Layer(
                    name="weekly",
                    users=(("alice",), ("bob",)),
                    rotation=Rotation(every="1w", seconds=604800, months=0, start=datetime(2026, 1, 5, 9)),
                ),
            ),
        ),
        "empty": Schedule(name="empty"),
    },
    policies={
        "platform": Policy(
            name="platform",
            repeat=1,
            if_nobody=IfNobody(kind="next_step"),
            steps=(NotifyStep(schedule="platform"), Wait(seconds=300), NotifyStep(users=("bob",))),
        ),
        "careful": Policy(name="careful", acknowledge_timeout=3600, steps=(NotifyStep(users=("alice",)),)),
    },
)


@dataclass
class Site:
    """Everything a test needs of a running web part."""

    context: Context
    deps: Deps
    client: httpx.AsyncClient
    redis: subprocess.Popen[bytes]
    clock: list[float]
    tests_sent: list[str] = field(default_factory=list)
    reload_error: list[Exception] = field(default_factory=list)

    async def opened(self, policy: str = "platform", **values: Any) -> Incident:
        """A stored incident; values are set on it first."""
        incident = await open_by_hand(
            self.context, title=values.pop("title", "HighCPU on eu1"), policy=self.context.config.policies[policy], urgency=None, text="",
            now=self.context.now(),
        )  # fmt: skip
        for name, value in values.items():
            setattr(incident, name, value)
        return await self.stored(incident, Opened(reason="first notification"))

    async def stored(self, incident: Incident, event: Event) -> Incident:
        change = transition(incident, event, self.context.now(), self.context.roster)
        assert await commit(self.context.wire, incidents.operations(change))
        return change.incident

    async def with_alerts(self, incident: Incident, *alerts: Alert) -> Incident:
        """The incident as a flush leaves it once these alerts fire."""
        shared = alerts[0]
        event = AlertsChanged(
            reason="new alerts added", firing=len(alerts), resolved=0, fresh=len(alerts), common_labels=shared.labels,
            common_annotations=shared.annotations,
        )  # fmt: skip
        change = transition(incident, event, self.context.now(), self.context.roster)
        operations = incidents.operations(change)
        for alert in alerts:
            keep_alert(operations, incident.id, alert)
        assert await commit(self.context.wire, operations)
        return change.incident


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    path = tmp_path / "redis.sock"
    process = subprocess.Popen(
        [program("redis-server"), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 10
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, "redis-server did not start"
        time.sleep(0.01)
    yield f"unix://{path}", process
    process.kill()
    process.wait()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
async def site(redis_server: tuple[str, subprocess.Popen[bytes]]) -> AsyncIterator[Site]:
    url, process = redis_server
    wire = Wire(url)
    wire.open()
    await wire.connected()
    clock = [NOW]
    context = Context(CONFIG, wire, lambda: clock[0])
    context.external_url = "https://oncall.example.org"
    sent: list[str] = []
    errors: list[Exception] = []
    deps = Deps(
        context=context,
        hub=Hub(),
        console=Console(lambda text: None, context.now),
        test_alert=_sender(sent),
        reload=_reloader(errors),
        links=Links("a key that only tests know"),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web(deps)), base_url=BASE) as client:
        yield Site(context, deps, client, process, clock, sent, errors)
    await wire.close()


def _sender(sent: list[str]) -> Callable[[], Awaitable[str]]:
    async def send() -> str:
        sent.append("TestAlert")
        return "TestAlert was sent to default."

    return send


def _reloader(errors: list[Exception]) -> Callable[[], Awaitable[None]]:
    async def reload() -> None:
        for error in errors:
            raise error

    return reload
