"""The service's working parts under a clock that jumps to whatever is due next, so that hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from amproxy.apply import apply_event
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.correlate import muting
from amproxy.engine.worker import MAX_TIMERS_AT_ONCE, _handle_timer
from amproxy.errors import Conflict
from amproxy.machine.events import Act, Resolve
from amproxy.model import Incident
from amproxy.notify.pictures import MessagePictures
from amproxy.notify.plots.plotter import Plotter
from amproxy.notify.sender import MessageSender
from amproxy.respond.actions import ActionRequest, perform
from amproxy.store import incidents, keys, leases, outbox
from amproxy.store.wire import Wire
from tests.support.integration.house import House, Recorder

CHANNELS = ("telegram", "slack", "email", "webhook", "alertmanager", "console")
LATE = 0.125  # seconds by which groups are flushed and windows close late, as they always do; a sum of such numbers is exact


class Stepping:
    """`at` (Unix seconds) stands still while anything is under way."""

    def __init__(self, config: Config, wire: Wire, at: float) -> None:
        self.at = at
        self.context = Context(config, wire, now=lambda: self.at)
        self.house = House(self.context)
        self.channels = {name: Recorder(name) for name in CHANNELS}
        self._handler = MessageSender(
            self.context,
            self.channels,
            lambda *words: "http://127.0.0.1/act/x",
            lambda incident, event, operations: apply_event(
                self.context, incident, event, operations
            ),
            MessagePictures(self.context, Plotter(self.context)),
        )

    async def until(
        self, end: float, *happenings: tuple[float, Callable[[], Awaitable[object]]]
    ) -> None:
        """Let everything happen up to `end`: what is due by itself, and what comes from outside at a time of its own, in order."""
        await muting.schedule_window_timers(self.context)
        waiting = sorted(happenings, key=lambda happening: happening[0])
        while True:
            await self._settle()
            due = await self._due()
            at, act = waiting[0] if waiting else (end + 1, None)
            if due is not None and due < at:
                at, act = due, None
            if at > end:
                return
            self.at = max(self.at, at)
            if act is not None:
                waiting.pop(0)
                await act()

    async def push(self, labels: dict[str, str], ends: float) -> None:
        """An alert at the raw door. ends: Unix seconds."""
        body = [{"labels": labels, "startsAt": _rfc3339(self.at), "endsAt": _rfc3339(ends)}]
        status, answer = await self.house.post("/api/v2/alerts", body)
        assert status == 200, answer
        self.at += LATE  # a group that need not wait is flushed now

    async def act(self, event: Act, *, newest: bool = False) -> None:
        """Let a person do something to every incident, or to the newest; where the state forbids it, nothing happens."""
        found, _ = await incidents.list_incidents(
            self.context.wire, incidents.STATES, limit=1 if newest else 500
        )
        for incident in found:
            with contextlib.suppress(Conflict):
                if isinstance(event, Resolve):
                    wish = ActionRequest(action="resolve", user=event.user, via=event.via)
                    await perform(self.context, incident.id, wish)
                else:
                    await apply_event(self.context, incident.id, event)

    async def incidents(self) -> list[Incident]:
        """All there are, oldest first."""
        found, _ = await incidents.list_incidents(self.context.wire, incidents.STATES, limit=5000)
        return found[::-1]

    async def _due(self) -> float | None:
        first = await self.context.wire.call("ZRANGE", keys.TIMERS, 0, 0, "WITHSCORES")
        late = LATE * first[0].startswith((b"flush:", b"maintenance:")) if first else 0.0
        return float(first[1]) / 1000 + late if first else None

    async def _settle(self) -> None:
        wire = self.context.wire
        while True:
            claimed = await leases.lease_due(wire, self.at, MAX_TIMERS_AT_ONCE)
            for timer in claimed:
                await _handle_timer(self.context, timer)
            messages = await outbox.read(wire, "stepping", 100)
            for taken in messages:
                await self._handler.handle(taken)
            if not claimed and not messages:
                return


async def stepping(
    url: str, config: Config, at: float, drive: Callable[[Stepping], Awaitable[Any]]
) -> Any:
    """Run `drive` on an empty Redis; returns what it does."""
    wire = Wire(url)
    wire.open()
    await wire.connected()
    try:
        await wire.call("FLUSHALL")
        await outbox.join(wire)
        return await asyncio.wait_for(drive(Stepping(config, wire, at)), 300)
    finally:
        await wire.close()


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
