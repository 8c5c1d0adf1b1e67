"""One pipelined connection to Redis, shared by everything in a process.

Calls made in the same turn of the event loop leave as one write. redis-py makes the connection
(finder.py); packing and parsing are hiredis' own, because redis-py's client costs 55 to 80 us of
CPU a call and this about 8.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import hiredis
import msgspec
from redis.exceptions import RedisError

from amproxy import metrics
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.repeats import Trouble
from amproxy.store import keys
from amproxy.store.finder import REDIS_TIMEOUT, find_redis
from amproxy.store.queues import ChangeQueues
from amproxy.store.reasons import Failure, describe_failure, place_of
from amproxy.text import Phrase, phrase

log = EventLog(__name__)

Word = str | bytes | int | float
WATCH_INTERVAL = 1.0  # seconds between two looks
STALLED_TICKS = 2  # looks in a row at which Redis was silent although calls wait: people are told
RECONNECT_WAITS = (0.02, 1.0)  # seconds: first and longest wait between attempts
SLOW_CONNECT = 2.0  # seconds of an attempt to connect after which the log says that it waits
PING_INTERVAL = 10.0  # seconds of silence after which a subscription asks if Redis is there
EXPECTED_REFUSAL = "BUSYGROUP"  # the group is there already: everyday, and no trouble
UNKNOWN_CODE = "ERR"
SCRIPTS = (
    *("ingest", "commit", "lease_timers", "give_back", "restore", "hold", "release"),
    *("permit", "throttle", "take_over", "strays", "begin_attempt", "clear_attempts"),
)


def script_source(name: str) -> str:
    """The text of one of SCRIPTS, after the function that all of them share."""
    folder = Path(__file__).parent
    return "".join((folder / f"{part}.lua").read_text("utf-8") for part in ("check", name))


_SOURCES = {name: script_source(name) for name in SCRIPTS}


class RedisRefused(StoreUnavailable):
    """Redis understood the command and refused it; the text begins with its code ("OOM …").

    It counts as Redis being away, whatever the code: what is refused now may be taken in a moment
    (a wiped consumer group, a permission, a full memory), and a loop that ended for it would page
    nobody any more. Callers that expect a certain refusal catch this one.
    """


class Taker(Protocol):
    """Takes messages of the outbox in the step that stores them (commit.lua)."""

    def take_operation(self) -> list[list[str | msgspec.Raw]]:
        """The operation that takes some; none where it can take no more."""

    def accept_entries(self, entries: Sequence[Any]) -> None: ...

    def miss(self) -> None:
        """Look for what may have been taken by a commit whose response is lost."""


class Wire:
    """The connection: `await wire.call("GET", key)`.

    Raises StoreUnavailable when Redis is away, RedisRefused when it refuses the command.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.queues = ChangeQueues()  # of this process, for changes of the same thing
        self.taker: Taker | None = None  # of this process, where it delivers
        self.up = False
        self.reason: Phrase | None = (
            None  # why the last attempt to connect failed, or the last connection broke
        )
        self.refused = False  # it is for a setting: a password, a name, a certificate …
        # Called with True once Redis can be used, with False once it is away or says nothing.
        self.on_change: Callable[[bool], None] | None = None
        self._told_up = False
        self.connections = 0  # made so far: each may be to another Redis
        self.troubled_at = time.monotonic()  # when Redis last refused something, or went away
        self._finder = find_redis(url)
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._packed: list[bytes] = []
        self._sha: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._slow: asyncio.TimerHandle  # of the attempt to connect
        self._trouble = Trouble(log, "Redis is away", "Redis is back")
        self._loading: asyncio.Task[None] | None = None  # of scripts, within a connection

    def open(self) -> None:
        """Begin to connect, and keep connected until `close`."""
        self._task = asyncio.create_task(self.stay_connected())

    async def connected(self) -> None:
        """Wait for the first connection, however long it takes."""
        await self._ready.wait()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def away(self) -> Phrase:
        """A sentence that says that Redis is away and, where it is known, why; no secret."""
        if self.reason is None:
            return phrase("refusal.redis_is_away")
        return phrase("refusal.redis_away_for", reason=self.reason)

    def call(self, *words: Word) -> asyncio.Future[Any]:
        """Send one command; the future has its response."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            _fail(future, StoreUnavailable(self.away))
            return future
        if not self._packed:
            # at the end of this turn of the loop: what others call until then leaves with it
            asyncio.get_running_loop().call_soon(self._flush)
        self._packed.append(hiredis.pack_command(words))  # type: ignore[arg-type]
        self._waiting.append(future)
        return future

    def script(self, name: str, *words: Word) -> asyncio.Future[Any]:
        """Run one of the scripts beside this file; the first word is its one key."""
        return self.call("EVALSHA", self._sha.get(name, ""), 1, *words)

    async def subscribe(
        self,
        channel: str,
        on_message: Callable[[str], None],
        on_subscribed: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `on_message` with what is published, for ever; cancel to stop.

        Messages published while Redis is away are lost: `on_subscribed` is called whenever that may
        have been so, which is also the case at the first time.
        """
        while True:
            connection = None
            try:
                async with asyncio.timeout(REDIS_TIMEOUT):
                    connection = await self._finder.find()
                    await connection.connect()
                    await connection.send_command("SUBSCRIBE", channel)
                while True:
                    kind, *rest = await _read_or_ping(connection)
                    if kind == b"subscribe":
                        on_subscribed()
                    elif kind == b"message":
                        on_message(rest[1].decode("utf-8", "replace"))
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_WAITS[1])
            finally:
                if connection is not None:
                    await connection.disconnect(nowait=True)

    def _flush(self) -> None:
        packed, self._packed = self._packed, []
        if self._transport is not None:
            # RuntimeError: uvloop, where the transport has just closed; `_Responses` hears of it
            with contextlib.suppress(RuntimeError):
                self._transport.write(b"".join(packed))

    async def stay_connected(self) -> None:
        """Connect, and connect anew whenever the connection breaks; cancel to stop."""
        wait = RECONNECT_WAITS[0]
        while True:
            connection = None
            self._warn_if_slow()
            try:
                async with asyncio.timeout(REDIS_TIMEOUT):  # what accepts it may say nothing
                    connection = await self._finder.find()
                    await connection.connect()
                # redis-py has no public access to its transport; constraints.txt pins the version
                # that this was tested with
                await self._use_connection(connection._writer.transport)
            # HiredisError: what came is not Redis' protocol
            except (RedisError, hiredis.HiredisError, OSError, StoreUnavailable) as error:
                self._note_failure(describe_failure(error, place_of(self.url)))
            finally:
                self._slow.cancel()
                wait = RECONNECT_WAITS[0] if self.up else min(wait * 2, RECONNECT_WAITS[1])
                self._drop_calls()
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(wait)

    async def _use_connection(self, transport: asyncio.Transport) -> None:
        """Read, watch and prepare a new connection until it breaks; raise the reason."""
        # What comes is taken in the turn in which it comes: a stream would cost a task's turn and
        # two copies more for each response.
        responses = _Responses(self._take)
        transport.set_protocol(responses)
        self._transport = transport
        tasks = [asyncio.create_task(work) for work in (self._watch(responses), self._prepare())]
        try:
            waiting = [responses.ended, *tasks]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()
        finally:
            responses.ended.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _warn_if_slow(self) -> None:
        """Have the log say that an attempt takes long, unless it has ended by then."""
        waits, loop = f"{place_of(self.url)} has not answered yet", asyncio.get_running_loop()
        self._slow = loop.call_later(SLOW_CONNECT, self._trouble.note, waits)

    def _note_failure(self, failure: Failure) -> None:
        self._trouble.note(str(failure.reason))
        self.reason, self.refused = failure.reason, failure.lasting

    async def _prepare(self) -> None:
        """Load the scripts. At every connection: Redis may have been restarted, or be another."""
        for name in SCRIPTS:
            self._sha[name] = (await self.call("SCRIPT", "LOAD", _SOURCES[name])).decode()
        # Where another node of a cluster has the keys, the connection ends here. Any other refusal
        # is told to those whom it concerns.
        with contextlib.suppress(RedisRefused):
            await self.call("EXISTS", keys.P)
        self._slow.cancel()
        self._trouble.end()
        self.up, self.reason, self.refused = True, None, False
        self.connections += 1
        self._ready.set()
        self._tell(up=True)

    async def _load_scripts(self) -> None:
        # Where this fails too, the next call of a script asks again.
        with contextlib.suppress(StoreUnavailable):
            for name in SCRIPTS:
                await self.call("SCRIPT", "LOAD", _SOURCES[name])

    def _take(self, response: Any) -> None:
        """Give a response to its call: Redis answers in the order of the calls.

        Raises StoreUnavailable where the connection is of no more use.
        """
        if not self._waiting:
            raise StoreUnavailable(phrase("refusal.redis_unasked"))
        future = self._waiting.popleft()
        if isinstance(response, hiredis.ReplyError):
            self._refuse(future, str(response))
        elif not future.done():  # else its caller was cancelled
            future.set_result(response)

    def _refuse(self, future: asyncio.Future[Any], text: str) -> None:
        code = text.partition(" ")[0]
        if code != EXPECTED_REFUSAL:
            self.troubled_at = time.monotonic()
            # "ERR …", but a script's own error may begin with anything
            known = code.isascii() and code.isalpha() and code.isupper() and len(code) < 20
            metrics.redis_refusals.labels(code if known else UNKNOWN_CODE).inc()
        if code == "NOSCRIPT":
            self._reload_scripts()
        if reason := self._finder.leave(text):
            _fail(future, reason)
            raise reason
        _fail(future, RedisRefused(text))

    def _reload_scripts(self) -> None:
        """Load the scripts again, which SCRIPT FLUSH or a failover has taken away."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load_scripts())

    async def _watch(self, responses: _Responses) -> None:
        """Break a connection on which Redis is silent although calls wait: it may be dead.

        Ticks are counted, not time: a tick that comes late, because this process was held up or
        stopped, is one tick, and what Redis has said by then is read before the next.
        """
        silent = 0
        while silent * WATCH_INTERVAL <= REDIS_TIMEOUT:
            await asyncio.sleep(WATCH_INTERVAL)
            silent = silent + 1 if self._waiting and not responses.heard else 0
            responses.heard = False
            if silent >= STALLED_TICKS:
                self._tell(up=False)
            elif self.up and not silent:
                self._tell(up=True)
            if self.on_change and not self._waiting:
                self.call("PING")  # or silence would be noticed only when somebody needs Redis
        raise StoreUnavailable(phrase("refusal.redis_silent"))

    def _tell(self, *, up: bool) -> None:
        if self.on_change and up != self._told_up:
            self._told_up = up
            self.on_change(up)

    def _drop_calls(self) -> None:
        """Fail all calls that wait; nobody knows which of them Redis has carried out."""
        self._transport = None
        self._packed.clear()
        self.up = False
        self._tell(up=False)
        self.troubled_at = time.monotonic()
        while self._waiting:
            future = self._waiting.popleft()
            _fail(future, StoreUnavailable(phrase("refusal.redis_went")))


class _Responses(asyncio.Protocol):
    """The responses on one connection; `ended` has the error with which it ends."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self.heard = False  # anything of Redis, since `_watch` looked last
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._take, self._parser = take, hiredis.Reader(notEnoughData=...)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self.ended.done():
            return
        try:
            self._parser.feed(data)
            while (response := self._parser.gets()) is not ...:
                self._take(response)
        except (hiredis.HiredisError, StoreUnavailable) as error:  # it is not Redis' protocol
            self.ended.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or StoreUnavailable(phrase("refusal.redis_closed")))


def _fail(future: asyncio.Future[Any], error: StoreUnavailable) -> None:
    """Fail a call, unless its caller was cancelled."""
    if not future.done():
        future.set_exception(error)
        # Of several calls made together, the first failure ends the wait for the others: without
        # this asyncio would log theirs as never retrieved.
        future.exception()


async def _read_or_ping(connection: Any) -> Any:
    """The next message of a subscription. Raises RedisError, and OSError where Redis is silent.

    A connection whose other end has vanished without a word would otherwise be read for ever.
    """
    for _ in range(2):
        message = await connection.read_response(timeout=PING_INTERVAL)
        if message is not None:  # None: nothing has come
            return message
        await connection.send_command("PING")
    raise TimeoutError("Redis does not answer")
