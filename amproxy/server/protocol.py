"""One connection of a client: uvicorn's parsing of HTTP, within limits of size and time.

uvicorn reads headers of any size for ever, queues any number of requests that a client sends ahead,
and keeps an answer that nobody reads. Limits are looked at by Connections once a second, so that a
push pays for noting a time and no more.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal, NamedTuple, Protocol

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from amproxy import metrics

MAX_HEAD: Final = 64 * 1024  # bytes of a request's first line and headers together
MAX_FIELDS: Final = 256  # headers: small ones take far more memory than bytes
MAX_AHEAD: Final = 32  # requests that a client sends before it has read the first answer
HEAD_TIME: Final = 10.0  # seconds until the headers must be complete
BODY_PAUSE: Final = 30.0  # seconds in which some of the body must come, or of an answer be read
BODY_TIME: Final = 600.0  # seconds for a whole body
# Seconds and bytes for which a refused client may go on sending: were the connection closed under
# its hands, it would see a reset instead of the answer.
LINGER: Final = 2.0
MAX_LINGER_BYTES: Final = 1 << 20

CutReason = Literal["headers", "headers_time", "body_time", "bodies", "malformed", "unread"]


class Awaited(NamedTuple):
    """Something that the client has to do; times on the loop's clock."""

    since: float
    until: float
    reason: CutReason | Literal["idle"]


class StopParsing(Exception):
    """More than is allowed; raised to the parser, which then stops."""


class ConnectionOwner(Protocol):
    """The side that a connection reports to."""

    def made(self, connection: ClientConnection) -> None: ...
    def lost(self, connection: ClientConnection) -> None: ...
    def take(self, size: int) -> bool:
        """Count bytes of bodies, or no longer where negative. False where they are too many."""


class ClientConnection(HttpToolsProtocol):
    """One connection. `awaited` says what the client owes, `expire` ends it, `cut` at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        owner: ConnectionOwner,
    ) -> None:
        super().__init__(config, server_state, app_state={})
        self._owner = owner
        self.held = 0  # bytes of a body that is not answered yet
        self._now = self._since = self._begun = self.loop.time()
        self._reading: str = "nothing"  # or head, or body
        self._chunk = 0  # bytes of the piece that is being parsed
        self._fruitless = 0  # bytes since the parser made anything of them
        self._fruits = 0  # ends of headers, pieces of bodies, ends of messages
        self._problem: tuple[int, str, str, CutReason] | None = None
        self._refused_at = 0.0  # 0: it was not
        self._discarded = 0  # bytes that came after a refusal
        self._unsent = 0  # bytes that the client had not read when it was last looked at
        self._unsent_since = 0.0  # when it last read anything

    @property
    def address(self) -> str:
        """The client's, without port."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._owner.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.release()
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        if self._refused_at:
            self._discarded += len(data)
            if self._discarded > MAX_LINGER_BYTES:
                self.transport.abort()
            return
        self._now = self.loop.time()
        if self._reading == "nothing":
            self._reading, self._begun, self._fruitless = "head", self._now, 0
        self._chunk, fruits = len(data), self._fruits
        super().data_received(data)
        self._fruitless = self._fruitless + len(data) if self._fruits == fruits else 0
        if self._reading == "nothing" or self._refused_at:
            return
        # in a body: an endless extension of a chunk, or trailers
        many = self._reading == "head" and self.headers and len(self.headers) > MAX_FIELDS
        if many or self._fruitless > MAX_HEAD:
            self._refuse(*_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading, self._begun = "head", self._now

    def on_headers_complete(self) -> None:
        if self._fruitless + self._chunk > MAX_HEAD or len(self.headers) > MAX_FIELDS:
            self._check_head()
        if len(self.pipeline) >= MAX_AHEAD:
            self._problem = (400, "malformed", "too many requests at once", "malformed")
            raise StopParsing
        self._fruits += 1
        self._reading, self._begun, self._since = "body", self._now, self._now
        super().on_headers_complete()
        self.headers = []  # trailers come here: they must not change what the scope has

    def _check_head(self) -> None:
        """Raises StopParsing."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD or len(self.headers) > MAX_FIELDS:
            self._problem = _TOO_LARGE
            raise StopParsing

    def on_body(self, body: bytes) -> None:
        self._fruits += 1
        self._since = self._now
        if not self.cycle.response_complete:
            self.held += len(body)
            if not self._owner.take(len(body)):
                self._problem = (503, "try again", "too many bodies at once", "bodies")
                raise StopParsing
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._fruits += 1
        self._reading, self._since = "nothing", self._now
        super().on_message_complete()

    def release(self) -> None:
        """Hold no body any more."""
        self._owner.take(-self.held)
        self.held = 0

    def on_response_complete(self) -> None:
        self.release()
        self._begun = self._since = self.loop.time()  # what is not complete yet has its time anew
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # uvicorn would read on, and queue without end

    def pause_writing(self) -> None:
        self._unsent, self._unsent_since = 0, self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unsent = 0
        super().resume_writing()

    def look_at_unsent(self, now: float) -> int:
        """Note what the client has read since the last look; returns the bytes it has not."""
        if self.transport is None:
            return 0
        size = self.transport.get_write_buffer_size()
        if size and (self._unsent == 0 or size < self._unsent):
            self._unsent_since = now
        self._unsent = size
        return size

    def awaited(self) -> Awaited | None:
        """The debt of the client; None where it is this process that has something to do."""
        if self._refused_at:
            return Awaited(self._refused_at, self._refused_at + LINGER, "idle")
        if self._unsent:
            return Awaited(self._unsent_since, self._unsent_since + BODY_PAUSE, "unread")
        busy = self.cycle is not None and not self.cycle.response_complete
        if self._reading == "body" and not self.flow.read_paused:
            if busy and self.cycle.waiting_for_100_continue:
                return None
            # once the answer is out, the rest of the body is only let run out
            pause = self._since + BODY_PAUSE if busy else self._begun + BODY_PAUSE
            return Awaited(self._since, min(pause, self._begun + BODY_TIME), "body_time")
        if busy:
            return None
        reason: Literal["headers_time", "idle"] = (
            "headers_time" if self._reading == "head" else "idle"
        )
        # who was just answered counts as younger than those who have not asked for anything yet
        grace = self.timeout_keep_alive if reason == "idle" and self.cycle is not None else 0
        return Awaited(self._begun + grace, self._begun + HEAD_TIME, reason)

    def expire(self, reason: CutReason | Literal["idle"]) -> None:
        """End the connection because the client did not do what was awaited."""
        if reason == "headers_time":
            self._refuse(408, "timeout", f"the headers took over {HEAD_TIME:g} s", reason)
        elif reason == "body_time" and self.cycle is not None and not self.cycle.response_complete:
            self._refuse(408, "timeout", f"nothing came for {BODY_PAUSE:g} s", reason)
        elif reason == "idle" and not self._refused_at:
            self.transport.close()
        else:
            self.cut(reason)

    def cut(self, reason: CutReason | Literal["idle"]) -> None:
        """End the connection at once, with all that was to be sent."""
        if reason != "idle":
            metrics.connections_cut.labels(reason).inc()
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn where the parser stops, and where a callback of this class made it."""
        self._refuse(*(self._problem or (400, "malformed", msg, "malformed")))

    def _refuse(self, status: int, error: str, detail: str, reason: CutReason) -> None:
        """Answer with an error, and let the client read it before the connection ends."""
        cycle = self.cycle
        if self.transport.is_closing():
            self.cut(reason)
            return
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self.pipeline:
                self.cut(reason)  # an answer in the midst of another would be taken for its rest
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self.release()
        metrics.connections_cut.labels(reason).inc()
        body = msgspec.json.encode({"error": error, "detail": detail})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self._refused_at = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


_TOO_LARGE: Final[tuple[int, str, str, CutReason]] = (
    431,
    "headers too large",
    f"a request may have {MAX_HEAD} bytes and {MAX_FIELDS} fields of headers",
    "headers",
)
