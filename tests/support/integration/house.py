"""The road of an alert inside one process: real Redis, real stages, a channel that records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amproxy.accept.doors import ForeignDoors
from amproxy.accept.push import PushEndpoints
from amproxy.apply import apply_event
from amproxy.config.structs import (
    Config,
    Global,
    Integration,
    NotifyStep,
    OncallSettings,
    Policy,
    Receiver,
    Route,
    Step,
    User,
    Wait,
)
from amproxy.context import Context
from amproxy.engine.worker import run_worker
from amproxy.errors import DeliveryError
from amproxy.model import Incident
from amproxy.notify.message import Card
from amproxy.notify.permit import obtain_permit
from amproxy.notify.worker import DeliveryWorker
from amproxy.store import incidents, leases
from amproxy.store.outbox import RateLimit
from tests.support.config.configs import REACHES
from tests.support.waiting import soon
from tests.support.words import said


@dataclass
class Recorder:
    """A channel that takes everything, or what `refuse` says."""

    name: str
    threads: bool = False
    sent: list[tuple[str, Card]] = field(default_factory=list)
    edits: list[tuple[dict[str, str], Card]] = field(default_factory=list)
    refuse: Callable[[str, Card], DeliveryError | None] = lambda address, card: None

    def person(self, global_: Global, address: str) -> str:
        return address

    def rate_limit(self, settings: Any) -> RateLimit:
        return RateLimit()

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        await obtain_permit()
        address = settings if isinstance(settings, str) else "receiver"
        if error := self.refuse(address, card):
            raise error
        self.sent.append((address, card))
        return {"message": str(len(self.sent))}

    async def edit(self, settings: Any, ref: dict[str, str], card: Card) -> dict[str, str]:
        await obtain_permit()
        self.edits.append((ref, card))
        return ref

    async def close(self) -> None: ...


class House:
    """The service's working parts around one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.doors = PushEndpoints(context)
        self.chat, self.mail, self.hook = (
            Recorder("console"),
            Recorder("email"),
            Recorder("webhook"),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        channels = {channel.name: channel for channel in (self.chat, self.mail, self.hook)}
        deliverer = DeliveryWorker(
            self.context,
            channels,
            lambda *words: "http://127.0.0.1/act/x",
            lambda i, e, o: apply_event(self.context, i, e, o),
        )
        self._tasks = [
            asyncio.create_task(run_worker(self.context)),
            asyncio.create_task(deliverer.run()),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def post(
        self,
        path: str,
        body: Any,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Push through a door as an HTTP server would; returns status and decoded answer."""
        content = raw if raw is not None else json.dumps(body).encode()
        wanted = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            **(headers or {}),
        }
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "client": ("127.0.0.1", 5),
            "headers": [(name.encode(), value.encode()) for name, value in wanted.items()],
        }
        said: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(event: Any) -> None:
            said.append(event)

        doors, foreign = self.doors, ForeignDoors(self.doors)
        door = {
            "api": doors.v2_alerts,
            "webhook": doors.webhook,
            "integrations": foreign.integration,
            "v2": foreign.enqueue,
        }[path.split("/")[1]]
        await door(scope, receive, send)
        answer = said[1]["body"]
        return said[0]["status"], json.loads(answer) if answer else None

    async def incidents(self, *states: str) -> list[Incident]:
        found, _ = await incidents.list_incidents(self.context.wire, states or incidents.STATES)  # type: ignore[arg-type]
        return found

    async def timeline(self, incident: Incident) -> list[str]:
        return [
            said(entry.words)
            for entry in await incidents.load_timeline(self.context.wire, incident.id)
        ]


class Clock:
    """The time of one house, moved by the test."""

    def __init__(self, house: House) -> None:
        self.now, self._context = house.context.now(), house.context
        house.context.now = lambda: self.now

    async def later(self, seconds: float) -> None:
        """So much later, when every timer that is due by then has been taken up."""
        self.now += seconds
        self._context.wake(timers=True)
        await soon(self._idle)

    async def _idle(self) -> bool:
        due = await leases.next_due(self._context.wire)
        return due is None or due > self.now


def plan(*steps: Step, **more: Any) -> Policy:
    return Policy(name="main", steps=steps, **more)


def config(policy: Policy | None = None, **more: Any) -> Config:
    """Two people, one policy, one receiver, short waits."""
    route = Route(
        receiver="oncall",
        key="{}",
        group_by=("alertname",),
        group_by_given=True,
        group_wait=0.05,
        group_interval=0.3,
        repeat_interval=3600,
    )
    settings = {
        "global_": REACHES,
        "route": route,
        "receivers": {
            "oncall": Receiver(
                name="oncall",
                integrations=(
                    Integration(
                        kind="oncall",
                        index=0,
                        send_resolved=True,
                        settings=OncallSettings(escalation_policy="main"),
                    ),
                ),
            )
        },
        "users": {
            name: User(name=name, contacts={"console": name, "email": f"{name}@example.org"})
            for name in ("ann", "bob")
        },
        "policies": {
            "main": policy
            or plan(NotifyStep(users=("ann",)), Wait(seconds=0.2), NotifyStep(users=("bob",)))
        },
    }
    return Config(**{**settings, **more})
