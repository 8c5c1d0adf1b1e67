"""Tell the other processes, and people, which file this one has in force."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from msgspec import structs

from amproxy import __version__
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.store.replicas import Replica, forget_replica, publish_replica

log = EventLog(__name__)

PUBLISH_INTERVAL = 5.0  # seconds: a third of what the record lives


class ReplicaRecord:
    """The record of this process, renewed while it runs."""

    def __init__(self, context: Context, name: str, listen: str) -> None:
        """listen: the address on which it does, HOST:PORT."""
        now = context.now()
        self._context = context
        self._changed = asyncio.Event()
        self._forgotten = False
        self._replica = Replica(
            name=name,
            host=socket.gethostname(),
            pid=os.getpid(),
            listen=listen,
            version=__version__,
            started=now,
            digest=context.config.digest,
            since=now,
            loaded=now,
        )

    def use(self, digest: str) -> None:
        """Take over the digest of a file that has come in force."""
        now, before = self._context.now(), self._replica
        since = before.since if digest == before.digest else now
        self._replica = structs.replace(before, digest=digest, since=since, loaded=now)
        self._changed.set()

    async def run(self) -> None:
        """Publish the record for ever; cancel to stop."""
        was_away = False
        while True:
            self._changed.clear()
            try:
                if not self._forgotten:
                    if was_away:
                        self._context.serving_since = self._context.now()
                    serving = self._context.serving_since
                    record = structs.replace(self._replica, serving=serving)
                    await publish_replica(self._context.wire, record)
                    was_away = False
            except StoreUnavailable:
                was_away = True  # nothing was taken meanwhile: heartbeats were not heard
                log.debug("Redis is away; what is loaded is told later")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PUBLISH_INTERVAL):
                    await self._changed.wait()

    async def forget(self) -> None:
        """Remove the record at the end of the process. Raises StoreUnavailable."""
        self._forgotten = True
        await forget_replica(self._context.wire, self._replica.name)
