"""Outputs of the event recorder: files, the standard output, webhooks.

Each has a bounded backlog of its own, so that one that hangs delays neither the others nor anything
else of the process: what finds a backlog full is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from amproxy import metrics, offload
from amproxy.config.structs import EventFile, EventRecorderSettings, EventWebhook
from amproxy.event_recorder import EventRecorder, QueuedEvent
from amproxy.log import EventLog

log = EventLog(__name__)

TAKEN_AT_ONCE: Final = 200  # events
FILE_BACKLOG, WEBHOOK_BACKLOG = 8192, 1024  # events
BACKLOG_BYTES: Final = 64 << 20  # of one output: a notification may be of many alerts
CLOSE_TIMEOUT: Final = 1.5  # seconds that a stop waits for what is still to be written
REPLACED_TIMEOUT: Final = 30.0  # the same of outputs that another file replaced
STDOUT: Final = 1
# What an event costs to encode besides its alerts, in alerts.
_ENCODE_WEIGHT: Final = 4


class EncodedEvent(NamedTuple):
    kind: str
    data: bytes  # JSON in one line


class EventOutput(Protocol):
    """A destination of events."""

    name: str  # "file:audit"

    def offer(self, event: EncodedEvent) -> None:
        """Take an event, or drop it; at once, and without an error."""

    async def close(self, within: float) -> None:
        """Write what is still there, for so many seconds at most, and end."""


class EventWriter:
    """Brings the events of this process to the outputs that the file in force names."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._settings = EventRecorderSettings()
        self._outputs: list[tuple[EventFile | EventWebhook, EventOutput]] = []
        self._taken: list[QueuedEvent] = []  # and not handed to the outputs yet
        self._closing = set[asyncio.Task[None]]()

    async def run(self) -> None:
        """Do so for ever; cancel to stop."""
        while True:
            self._recorder.changed.clear()
            self._follow_settings()
            while await self._write_some():
                pass
            await self._recorder.changed.wait()

    async def close(self) -> None:
        """Write what is still waiting, and end all outputs, within CLOSE_TIMEOUT seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                self._follow_settings()
                while await self._write_some():
                    pass
        outputs = [output for _, output in self._outputs]
        self._outputs = []
        await asyncio.gather(*(output.close(CLOSE_TIMEOUT) for output in outputs))
        for task in self._closing:
            task.cancel()

    def _follow_settings(self) -> None:
        settings = self._recorder.settings
        if settings == self._settings:
            return
        before, self._settings = self._outputs, settings
        self._outputs = []
        wanted: list[EventFile | EventWebhook] = [*settings.files, *settings.webhooks]
        for one in wanted:
            same = next((pair for pair in before if pair[0] == one), None)
            self._outputs.append(same or (one, _make_output(one)))
        for pair in before:
            if pair not in self._outputs:
                task = asyncio.create_task(pair[1].close(REPLACED_TIMEOUT))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def _write_some(self) -> bool:
        """Hand some events to the outputs; False where there were none."""
        if not self._taken:
            self._taken = self._recorder.take(TAKEN_AT_ONCE)
        if not self._taken:
            return False
        size = sum(event.size + _ENCODE_WEIGHT for event in self._taken)
        encoded = await offload.run(size, _encode_all, self._taken, self._recorder.instance)
        self._taken = []
        for event in encoded:
            for _, output in self._outputs:
                output.offer(event)
        await asyncio.sleep(0)
        return True


def _encode_all(events: Sequence[QueuedEvent], instance: str) -> list[EncodedEvent]:
    encoded = []
    for event in events:
        try:
            encoded.append(EncodedEvent(event.kind, event.encode(instance)))
        except Exception:
            # One event that cannot be told must not keep all others from being told.
            metrics.event_serialize_errors.labels(event.kind).inc()
            metrics.unexpected_errors.labels("event recorder").inc()
            log.exception("an event could not be made", event=event.kind)
    return encoded


def _make_output(settings: EventFile | EventWebhook) -> EventOutput:
    if isinstance(settings, EventWebhook):
        # here: a client of HTTP is large, and most files have no such output
        from amproxy.notify.event_webhooks import WebhookOutput

        return WebhookOutput(settings)
    return FileOutput(settings)


class EventBacklog:
    """The events that one output has still to write. `put` and `drain` may be called by threads."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._lock = threading.Lock()
        self.events = deque[EncodedEvent]()
        self.size = 0  # bytes

    def put(self, event: EncodedEvent) -> bool:
        """Take an event; False where it is dropped."""
        with self._lock:
            full = self.events and self.size + len(event.data) > BACKLOG_BYTES
            if full or len(self.events) >= self._most:
                metrics.event_output_drops.labels(self._name).inc()
                return False
            self.events.append(event)
            self.size += len(event.data)
            return True

    def pop(self) -> EncodedEvent | None:
        with self._lock:
            if not self.events:
                return None
            event = self.events.popleft()
            self.size -= len(event.data)
            return event


def count_event(name: str, event: EncodedEvent, size: int, *, ok: bool) -> None:
    metrics.events_recorded.labels(event.kind, name, "success" if ok else "error").inc()
    if ok:
        metrics.event_bytes.labels(event.kind, name).inc(size)


class FileOutput:
    """A file with an event in each line, or the standard output. A thread of its own writes it.

    A file that was renamed or deleted is made anew, so that it can be rotated from outside.
    """

    def __init__(self, settings: EventFile) -> None:
        self._path = settings.path
        self.name = f"{'file' if settings.path else 'stdout'}:{settings.name}"
        self._backlog = EventBacklog(self.name, FILE_BACKLOG)
        self._there = threading.Event()  # something is to be done
        self._ended = False
        self._fd = -1
        self._torn = False  # the last line was not written whole
        self._failed = False
        # A daemon: a file system that hangs must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def offer(self, event: EncodedEvent) -> None:
        if self._backlog.put(event):
            self._there.set()

    async def close(self, within: float) -> None:
        self._ended = True
        self._there.set()
        await asyncio.to_thread(self._thread.join, within)

    def _run(self) -> None:
        while True:
            self._there.wait()
            self._there.clear()
            ended = self._ended  # asked before the backlog: nothing is offered after it is set
            self._reopen_replaced()
            while (event := self._backlog.pop()) is not None:
                self._write(event)
            if ended:
                break
        self._close_file()

    def _write(self, event: EncodedEvent) -> None:
        line = event.data + b"\n"
        try:
            self._append(line)
        except OSError as error:
            if not self._failed:
                log.error("events cannot be written", output=self.name, reason=error.strerror)
            self._failed = True
            self._close_file()
            count_event(self.name, event, 0, ok=False)
            return
        if self._failed:
            log.info("events can be written again", output=self.name)
        self._failed = False
        count_event(self.name, event, len(line), ok=True)

    def _append(self, line: bytes) -> None:
        """Raises OSError."""
        if self._fd < 0:
            flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY
            self._fd = os.open(self._path, flags, 0o644) if self._path else STDOUT
        rest = memoryview(b"\n" + line if self._torn else line)
        while rest:
            written = os.write(self._fd, rest)
            self._torn = written < len(rest)
            rest = rest[written:]

    def _reopen_replaced(self) -> None:
        if self._fd < 0 or not self._path:
            return
        try:
            is_same = os.path.samestat(Path(self._path).stat(), os.fstat(self._fd))
        except OSError:
            is_same = False
        if not is_same:
            self._close_file()
            self._torn = False

    def _close_file(self) -> None:
        if self._fd >= 0 and self._path:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = -1
