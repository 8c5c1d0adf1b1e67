"""Calendars parsed in a process of their own: this one never loads the libraries for them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from datetime import datetime
from typing import Final

import msgspec

from amproxy.errors import BadCalendar
from amproxy.oncall.calendars import Calendar
from amproxy.text import Phrase, phrase

MAX_CALENDAR_BYTES: Final = 10 * 1024 * 1024  # bytes of a calendar's text
PARSE_TIMEOUT = 60.0  # seconds of the clock on the wall: longer, for the machine has other work
EXIT_REFUSED: Final = 3  # exit code: standard output has the reason

_decode_calendar = msgspec.msgpack.Decoder(Calendar).decode
_decode_words = msgspec.msgpack.Decoder(Phrase).decode


async def parse_in_process(data: bytes, zone: str, start: datetime, end: datetime) -> Calendar:
    """Run parse_calendar in a process of its own, within limits of time and memory.

    A rule that never matches, or ten megabytes of events, must not stop the process that pages
    people. Raises BadCalendar.
    """
    command = [sys.executable, "-m", "amproxy.calendars.parse", zone]
    command += [repr(start.timestamp()), repr(end.timestamp())]
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
    except OSError as error:
        raise BadCalendar(
            phrase("calendar.not_now", said=error.strerror or type(error).__name__)
        ) from None
    try:
        async with asyncio.timeout(PARSE_TIMEOUT):
            output, _ = await child.communicate(data)
    except TimeoutError:
        raise BadCalendar(phrase("calendar.too_long")) from None
    finally:
        # Also when the task is cancelled: nobody else would end the child.
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == EXIT_REFUSED:
        raise BadCalendar(_decode_words(output))
    if child.returncode != 0:  # killed by a limit of the system
        raise BadCalendar(phrase("calendar.too_much"))
    return _decode_calendar(output)
