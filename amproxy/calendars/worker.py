"""A calendar is worked out in a process of its own, which may take only so much time and memory: its text is somebody else's.

Nothing else holds a rule that never matches, or ten megabytes of events, away from the process that pages people. As a
program (`python -m amproxy.calendars.worker ZONE START END`, seconds since 1970) it reads the text from standard input and
writes the calendar, or what is wrong with it, to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.errors import BadCalendar
from amproxy.oncall.calendars import Calendar

CPU_SECONDS = 30
PATIENCE = 60.0  # seconds of the clock on the wall, because the machine has other work
MEMORY = 1 << 30  # bytes of addresses; ten megabytes of events take half of it
_REFUSED = 3  # exit code: standard output says what is wrong

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Calendar).decode


async def worked_out(data: bytes, zone: str, start: datetime, end: datetime) -> Calendar:
    """What parse.work_out says of a text, within the limits. Raises BadCalendar."""
    command = [sys.executable, "-m", "amproxy.calendars.worker", zone, repr(start.timestamp()), repr(end.timestamp())]
    try:
        child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    except OSError as error:
        raise BadCalendar(f"the calendar cannot be worked out on this machine now: {error.strerror}") from None
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await child.communicate(data)
    except TimeoutError:
        raise BadCalendar("the calendar takes too long to work out") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == _REFUSED:
        raise BadCalendar(said.decode())
    if child.returncode != 0:
        raise BadCalendar("the calendar takes too much time or memory to work out")
    return _decode(said)


def _main(zone: str, start: str, end: str) -> int:
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from amproxy.calendars.parse import work_out

    data = sys.stdin.buffer.read()
    try:
        said, code = _encode(work_out(data, ZoneInfo(zone), utc(float(start)), utc(float(end)))), 0
    except BadCalendar as error:
        said, code = str(error).encode(errors="replace"), _REFUSED
    sys.stdout.buffer.write(said)
    return code


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
