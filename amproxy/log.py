"""The service's log: one line an event, in logfmt or JSON, with the same fields in both.

    log = EventLog(__name__)
    log.info("delivered", incident=12, user="bob", channel="telegram")

What comes from outside is quoted, escaped and cut, and no secret that this process knows gets
through. Lines are formatted and written by a thread: a terminal or pipe that nobody reads holds up
no page.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import IO, Any, Final, Literal

from amproxy import metrics
from amproxy.secret import hide_secrets

LogFormat = Literal["logfmt", "json"]
FORMATS: Final[tuple[LogFormat, ...]] = ("logfmt", "json")
# Alertmanager's names.
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
LONGEST_VALUE: Final = 500  # characters of a field
LONGEST_TEXT: Final = 3000  # characters of a WholeText
MAX_WAITING: Final = 10_000  # lines that wait to be written; further ones are dropped and counted
# Bytes written at once: as many as a pipe takes in one piece, so that lines of several processes
# do not mix.
MAX_WRITTEN: Final = 4096
BATCH_SECONDS: Final = 0.02  # between two writes: lines of that time leave together
CLOSE_SECONDS: Final = 2.0  # that an end waits for what is not written yet

_OWN: Final = "amproxy"  # the logger of which all modules' are children
_BARE = re.compile(r'[^\s"=\\]+')  # a value that logfmt takes without quotes
_SENSITIVE_LIBRARIES: Final = ("httpx", "httpcore")  # they log URLs, and URLs of chats are secrets


class WholeText(str):
    """A value that may be longer than others: a traceback, a printed page."""

    __slots__ = ()


class LogEvent:
    """A message of the log: a constant text, and what varies as fields."""

    __slots__ = ("fields", "msg")

    def __init__(self, msg: str, fields: dict[str, Any]) -> None:
        self.msg, self.fields = msg, fields

    def __str__(self) -> str:
        return f"{self.msg} {_logfmt_line(self.fields)}".rstrip()


class EventLog:
    """The log of one module. Fields that are None or "" are left out."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, msg: str, **fields: Any) -> None:
        self.log(logging.DEBUG, msg, fields)

    def info(self, msg: str, **fields: Any) -> None:
        self.log(logging.INFO, msg, fields)

    def warning(self, msg: str, **fields: Any) -> None:
        self.log(logging.WARNING, msg, fields)

    def error(self, msg: str, *, cause: BaseException | None = None, **fields: Any) -> None:
        """cause: the defect, whose traceback is a field."""
        self.log(logging.ERROR, msg, fields, cause)

    def exception(self, msg: str, **fields: Any) -> None:
        """As `error`, with the exception that is being handled."""
        self.log(logging.ERROR, msg, fields, sys.exc_info()[1])

    def log(
        self, level: int, msg: str, fields: dict[str, Any], cause: BaseException | None = None
    ) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        # Not logger.log(): walking the stack for the caller's line costs more than all else.
        trace = (type(cause), cause, cause.__traceback__) if cause else None
        event: Any = LogEvent(msg, fields)
        logger.handle(logger.makeRecord(logger.name, level, "", 0, event, (), trace))


class LineFormatter(logging.Formatter):
    """A record as one line: time, level, msg, then the fields.

    Lines of libraries have the name of their logger as a field.
    """

    def __init__(self, style: LogFormat) -> None:
        super().__init__()
        self._join = _json_line if style == "json" else _logfmt_line

    def format(self, record: logging.LogRecord) -> str:
        return hide_secrets(self._join(_fields(record)))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    event: Any = record.msg
    head = {"time": _time(record.created), "level": _level_name(record.levelno)}
    if isinstance(event, LogEvent):
        fields = {**head, "msg": event.msg, **event.fields}
    else:
        fields = {**head, "msg": record.getMessage(), "logger": record.name}
    if record.exc_info and record.exc_info[1] is not None:
        trace = "".join(traceback.format_exception(record.exc_info[1]))
        # the end of a long one is worth more
        fields |= {
            "error": type(record.exc_info[1]).__name__,
            "traceback": WholeText(trace[-LONGEST_TEXT:]),
        }
    return fields


def _time(at: float) -> str:
    """Unix seconds → RFC 3339 in UTC, to the millisecond."""
    whole = int(at)
    return f"{_second(whole)}.{int((at - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=16)
def _level_name(number: int) -> str:
    # Others' levels, such as critical, count as the next lower one of ours.
    known = [name for name, level in LEVELS.items() if level <= number]
    return known[-1] if known else "debug"


def _logfmt_line(fields: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in _values(fields, _logfmt_text))


def _json_line(fields: dict[str, Any]) -> str:
    pairs = (f'"{name}":{value}' for name, value in _values(fields, _quoted))
    return "{" + ",".join(pairs) + "}"


def _values(fields: dict[str, Any], quote: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """The fields that have a value, as it stands in the line. quote: writes a text."""
    for name, value in fields.items():
        if type(value) is str:
            if value:
                yield name, quote(value if len(value) <= LONGEST_VALUE else _cut(value))
        elif value is None:
            continue
        elif isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, int):
            yield name, str(value)
        elif isinstance(value, float) and math.isfinite(value):
            yield name, str(round(value, 3))
        elif isinstance(value, WholeText):
            yield name, quote(str.__str__(value)[:LONGEST_TEXT])
        else:
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            if text:
                yield name, quote(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


@lru_cache(maxsize=1024)
def _logfmt_text(text: str) -> str:
    return text if _BARE.fullmatch(text) and text.isprintable() else _quoted(text)


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """A JSON string, in which all is escaped that a terminal or a reader could trip over."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(map(_escaped, quoted))


def _escaped(char: str) -> str:
    # Controls, bidirectional overrides, line separators, half surrogates.
    return char if char.isprintable() else json.dumps(char)[1:-1]


class WriterHandler(logging.Handler):
    """Hands records to a thread, which formats and writes them.

    What nobody takes off the stream in time is dropped, and counted in a line of its own.
    """

    def __init__(self, stream: IO[bytes], formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._waiting: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._dropped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._waiting.qsize() >= MAX_WAITING:
            self._dropped += 1
            return
        if not isinstance(record.msg, LogEvent):
            # A library's arguments may have changed by the time at which they are written.
            with contextlib.suppress(TypeError, ValueError):  # they do not fit the text
                record.msg = record.getMessage()
            record.args = ()
        self._waiting.put(record)

    def close(self) -> None:
        """Write what waits, for CLOSE_SECONDS at most."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join(CLOSE_SECONDS)
        super().close()

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            self._write(record)
            self._closing.wait(BATCH_SECONDS)

    def _write(self, first: logging.LogRecord) -> None:
        """Write a record and all that came since."""
        data = self._line(first)
        with contextlib.suppress(Empty):
            while True:
                record = self._waiting.get_nowait()
                if record is None:
                    self._waiting.put(None)  # `_run` ends by it
                    break
                line = self._line(record)
                if len(data) + len(line) > MAX_WRITTEN:
                    self._flush(data)
                    data = b""
                data += line
        if dropped := self._dropped:
            self._dropped -= dropped
            data += self._line(_lost_record(dropped))
        self._flush(data)

    def _line(self, record: logging.LogRecord) -> bytes:
        try:
            return self.format(record).encode("utf-8", "replace") + b"\n"
        except (TypeError, ValueError, LookupError, AttributeError):
            # A defect in the text of one line must not end the thread, and all lines with it.
            metrics.unexpected_errors.labels("log").inc()
            return b""

    def _flush(self, data: bytes) -> None:
        # A log that cannot be written must not keep anybody from being paged.
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(data)
            self._stream.flush()


def _lost_record(lines: int) -> logging.LogRecord:
    event: Any = LogEvent("lines of this log were lost: nobody read them", {"lines": lines})
    return logging.LogRecord(_OWN, logging.WARNING, "", 0, event, (), None)


def terminal(style: LogFormat) -> Callable[[str], object]:
    """Return the function that prints a page of the console on standard error.

    It has several lines, but where all must be JSON it is a line of the log.
    """
    if style == "logfmt":
        return sys.stderr.write
    log = EventLog(__name__)
    return lambda text: log.info("printed", text=WholeText(text.strip("\a\n")))


def begin_log(style: LogFormat, level: str) -> None:
    """Write the log of this process to standard error from now on. level: of LEVELS."""
    handler = WriterHandler(sys.stderr.buffer, LineFormatter(style))
    # Libraries' details may hold what a request held: theirs stay out at `debug` too.
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.INFO), force=True)
    logging.getLogger(_OWN).setLevel(LEVELS[level])
    for name in _SENSITIVE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # No line says these, and looking them up is half of what a record costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
