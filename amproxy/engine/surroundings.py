"""Redis' settings and the clocks: what is doubtful about them is told the operator.

In the log when it begins and ends, on every page of an administrator, in the API and in metrics.
Looked at again and again: a failover brings another Redis, and clocks are set while amproxy runs.
"""

from __future__ import annotations

import asyncio
import socket
import time

from amproxy import clock
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.repeats import Trouble
from amproxy.store import health
from amproxy.store.health import OperatorWarning, WarningKind
from amproxy.store.wire import RedisRefused
from amproxy.text import load_texts
from amproxy.text.render import render_phrase
from amproxy.times import format_duration

log = EventLog(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at the system's clock
NOTE_EVERY = 5.0  # seconds between two looks at Redis' clock, at which the time is noted there
CHECK_EVERY = 30.0  # seconds between two looks at Redis' settings
MAX_DIFFERENCE = 5.0  # seconds by which two clocks may differ
END_TIMEOUT = 1.0  # seconds that an orderly end waits for Redis


class Surroundings:
    """`begin` once Redis answers, then `run` for as long as the service runs, then `end`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._host = socket.gethostname()
        self._of_redis: list[OperatorWarning] = []
        self._connection = 0  # the one that these were found over
        self._check_at = self._note_at = 0.0  # by the monotonic clock: when each is due again
        self._refusal = Trouble(log, "Redis takes no writes", "Redis takes writes again")
        self._ending = False  # the loop runs a moment longer, and must not note the time again

    async def begin(self) -> None:
        """Go on from the time of a process that crashed, and check once before anything runs.

        Raises StoreUnavailable where that time cannot be read.
        """
        last = await health.load_time(self._context.wire, self._host)
        if last is not None and clock.steady.resume(last):
            log.warning("the clock of this machine was set back since the last run")
        try:
            await self.look()
        except StoreUnavailable:
            log.debug("Redis is away; its settings are looked at later")

    async def run(self) -> None:
        """Look for ever; cancel to stop."""
        while True:
            try:
                await self.look()
            except StoreUnavailable:
                log.debug("Redis is away; its settings are looked at later")
            await asyncio.sleep(LOOK_EVERY)

    async def end(self) -> None:
        """After an orderly end, the next start takes the system's clock over at once."""
        self._ending = True
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await health.forget_time(self._context.wire, self._host)
        except (StoreUnavailable, TimeoutError):
            log.debug("Redis is away; the time is forgotten later")

    async def look(self) -> None:
        """Look at what is due, and tell what has changed. Raises StoreUnavailable."""
        try:
            await self._look_at_redis()
        finally:
            self._tell((*self._of_redis, *self._of_clocks()))

    async def _look_at_redis(self) -> None:
        context, now = self._context, time.monotonic()
        if now >= self._check_at or self._connection != context.wire.connections:
            self._of_redis = await health.find_redis_warnings(context.wire)
            self._connection, self._check_at = context.wire.connections, now + CHECK_EVERY
        if now >= self._note_at and not self._ending:
            self._note_at = now + NOTE_EVERY
            difference = await health.load_time_difference(context.wire, clock.system_time)
            if difference is not None:
                context.clock_difference = difference
            await self._note_time()

    async def _note_time(self) -> None:
        try:
            await health.save_time(self._context.wire, self._host, self._context.now())
        except RedisRefused as refused:
            self._refusal.note(str(refused))
        else:
            self._refusal.end()

    def _of_clocks(self) -> list[OperatorWarning]:
        warnings, jump = list[OperatorWarning](), clock.steady.jump
        if jump:
            kind: WarningKind = "clock_ahead" if jump > 0 else "clock_back"
            # by whole minutes at last, because it shrinks by the second and is told when it changes
            warnings.append(OperatorWarning(kind, {"by": _about(jump)}))
        difference = self._context.clock_difference
        if difference is not None and abs(difference) > MAX_DIFFERENCE:
            warnings.append(OperatorWarning("clock_differs", {"by": _about(difference)}))
        return warnings

    def _tell(self, warnings: tuple[OperatorWarning, ...]) -> None:
        before = {one.kind for one in self._context.warnings}
        for one in warnings:
            if one.kind not in before:
                detail = render_phrase(one.phrase, load_texts("en"))
                log.warning("doubtful", kind=one.kind, detail=detail)
        for kind in before - {one.kind for one in warnings}:
            log.info("no longer doubtful", kind=kind)
        self._context.warnings = warnings


def _about(seconds: float) -> str:
    """A duration in words, to the minute where it is long."""
    whole = round(abs(seconds))
    return format_duration(whole if whole < 600 else whole // 60 * 60)
