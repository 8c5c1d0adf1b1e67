"""All connections of a process: how many there may be, and who goes first when there are too many.

Descriptors are what an attack runs out of, and delivery, Redis and secrets in files need some too.
So connections may take half of them: a page goes out however many clients hold on to theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import uvicorn
from uvicorn.server import ServerState

from amproxy import metrics
from amproxy.log import EventLog
from amproxy.repeats import Trouble
from amproxy.server.protocol import HEAD_TIME, ClientConnection

log = EventLog(__name__)

MAX_CONNECTIONS: Final = 4096  # of a process, however many descriptors it may have
ACCEPT_AT_ONCE: Final = 64
ACCEPT_PAUSE: Final = 0.2  # seconds until accepting is tried again where the system cannot
LOOK_INTERVAL: Final = 1.0  # seconds between two looks at all connections
# Bytes of answers that wait in memory for clients who do not read them.
MAX_UNSENT: Final = 128 << 20
MAX_BODIES: Final = 256 << 20  # bytes of bodies that are not answered yet
STALLED: Final = 1.5  # seconds without progress, after which a body or answer may be dropped
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 63\r\n\r\n"
    b'{"error":"try again","detail":"there are too many connections"}'
)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one, also for processes to come."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a system may cap it lower still
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connection_limit() -> int:
    """The number of connections that this process may have: half of its descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // 2)


class Opening(NamedTuple):
    """A connection that was accepted and cannot be used yet: with TLS, it shakes hands."""

    task: asyncio.Task[None]
    address: str
    since: float  # on the loop's clock


class Connections:
    """The connections of a process, below a limit. In the place of one of asyncio's servers.

    At the limit, those go that wait for their client: of the address that has most of them, the
    one longest in waiting. A proxy in front is one address like any other, so an address has no
    limit of its own.
    """

    def __init__(
        self, config: uvicorn.Config, state: ServerState, listener: socket.socket, limit: int
    ) -> None:
        self._config, self._state, self._listener, self.limit = config, state, listener, limit
        self._loop = asyncio.get_running_loop()
        self._opening: dict[ClientConnection, Opening] = {}
        self._leaving: set[ClientConnection] = set()
        self._bodies = 0  # bytes of all bodies that are not answered yet
        self._listening = False
        self._trouble = Trouble(log, "cannot accept connections", "connections are accepted again")

    def start(self) -> None:
        self._listen()
        self._loop.call_later(LOOK_INTERVAL, self._look)

    def close(self) -> None:
        """Accept no more, and give up those that are still shaking hands."""
        self._listening = False
        self._loop.remove_reader(self._listener.fileno())
        for opening in self._opening.values():
            opening.task.cancel()

    async def wait_closed(self) -> None:
        """There is nothing to wait for: uvicorn itself waits for its connections."""

    def _listen(self) -> None:
        self._listening = True
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(ACCEPT_AT_ONCE):
                self._admit(*self._listener.accept())
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            self._trouble.end()
        except OSError as error:
            # no descriptors or memory: the next try must not be at once, or it were a busy loop
            self._trouble.note(error.strerror or str(error))
            metrics.connections_cut.labels("full").inc()
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(ACCEPT_PAUSE, self._listen_again)

    def _admit(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        """Open a connection, or turn it away."""
        accepted.setblocking(False)
        if self._has_room():
            connection = ClientConnection(self._config, self._state, self)
            task = self._loop.create_task(self._open(accepted, connection))
            self._opening[connection] = Opening(task, peer[0], self._loop.time())
            task.add_done_callback(lambda _: self.made(connection))
        elif self._opening:
            # in the next turn of the loop those are open, and can be asked to go
            self._loop.call_soon(self._admit, accepted, peer)
        else:
            self._turn_away(accepted)

    def _listen_again(self) -> None:
        if self._listening:
            self._listen()

    async def _open(self, accepted: socket.socket, connection: ClientConnection) -> None:
        tls: ssl.SSLContext | None = self._config.ssl
        timeout = HEAD_TIME if tls else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, accepted, ssl=tls, ssl_handshake_timeout=timeout
            )
        except OSError:  # it hung up, or does not speak our TLS
            accepted.close()

    def made(self, connection: ClientConnection) -> None:
        """Called once a connection is open, or is not going to be."""
        self._opening.pop(connection, None)

    def lost(self, connection: ClientConnection) -> None:
        """Called once a connection has ended."""
        self._leaving.discard(connection)

    def take(self, size: int) -> bool:
        """Count bytes of bodies, or no longer where negative. False where they are too many."""
        self._bodies += size
        if size > 0 and self._bodies > MAX_BODIES:
            self._drop_stalled_bodies()
        return self._bodies <= MAX_BODIES

    def _drop_stalled_bodies(self) -> None:
        """Cut the largest bodies that have stopped to come."""
        now = self._loop.time()
        for client in sorted(self._clients(), key=lambda client: -client.held):
            awaited = client.awaited()
            if awaited and awaited.reason == "body_time" and now - awaited.since > STALLED:
                client.release()
                client.cut("bodies")
                if self._bodies <= MAX_BODIES:
                    return

    def _turn_away(self, accepted: socket.socket) -> None:
        metrics.connections_cut.labels("full").inc()
        if self._config.ssl is None:
            with contextlib.suppress(OSError):
                accepted.send(_BUSY)
        accepted.close()

    def _has_room(self) -> bool:
        """Check for room for one more; at the limit, some that wait for their client make it."""
        open_now = len(self._opening) + len(self._state.connections) - len(self._leaving)
        return open_now < self.limit or self._evict()

    def _evict(self) -> bool:
        """Cut some connections that wait for their client. False where there is none."""
        waiting: list[tuple[str, float, Callable[[], object]]] = []
        if self._config.ssl is not None:  # else they open within a turn of the loop
            for connection, opening in self._opening.items():
                give_up = partial(self._give_up, connection)
                waiting.append((opening.address, opening.since, give_up))
        for client in self._clients():
            if awaited := client.awaited():
                waiting.append((client.address, awaited.since, partial(self._cut, client)))
        held = Counter(address for address, _, _ in waiting)
        waiting.sort(key=lambda one: (-held[one[0]], one[1]))
        # several at a time, so that a flood does not cost a look at all for each
        for _, _, cut in waiting[: 1 + self.limit // 64]:
            metrics.connections_cut.labels("evicted").inc()
            cut()
        return bool(waiting)

    def _give_up(self, connection: ClientConnection) -> None:
        self._opening.pop(connection).task.cancel()

    def _cut(self, client: ClientConnection) -> None:
        self._leaving.add(client)
        client.transport.abort()

    def _clients(self) -> list[ClientConnection]:
        clients: Any = self._state.connections
        return [client for client in clients if client not in self._leaving]

    def _look(self) -> None:
        """End what has waited too long, and drop answers that fill the memory."""
        self._loop.call_later(LOOK_INTERVAL, self._look)
        now, clients = self._loop.time(), self._clients()
        metrics.connections.set(len(self._opening) + len(clients))
        unsent = {client: client.look_at_unsent(now) for client in clients}
        for client in clients:
            awaited = client.awaited()
            if awaited and now >= awaited.until:
                client.expire(awaited.reason)
        self._drop_unread(unsent, now)

    def _drop_unread(self, unsent: dict[ClientConnection, int], now: float) -> None:
        total = sum(unsent.values())
        if total <= MAX_UNSENT:
            return
        for client in sorted(unsent, key=lambda client: -unsent[client]):
            awaited = client.awaited()
            if awaited and awaited.reason == "unread" and now - awaited.since > STALLED:
                client.cut("unread")
                total -= unsent[client]
                if total <= MAX_UNSENT:
                    return
