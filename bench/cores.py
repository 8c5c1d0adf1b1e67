"""The core of each process: one for the measured service with its Redis, another for the load."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median

from amproxy import __version__

# [] where processes cannot be pinned (macOS).
ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SERVICE, LOAD = ALL[:1], ALL[-1:]


def pin(pid: int, cores: list[int]) -> None:
    """Keep all threads that a process has now on these cores; an empty list changes nothing."""
    if not cores:
        return
    for task in Path(f"/proc/{pid or 'self'}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has ended meanwhile
            os.sched_setaffinity(int(task.name), cores)


@contextlib.contextmanager
def starting_on(cores: list[int]) -> Iterator[None]:
    """Start processes in here on these cores; afterwards the benchmark is back on its own."""
    # A child inherits the cores of its parent, so it runs on the right one from its first moment.
    pin(0, cores)
    try:
        yield
    finally:
        pin(0, LOAD)


def machine(folder: Path) -> dict[str, str]:
    """Facts that the figures depend on; `folder` is where the data lies."""
    return {
        "cores": f"{os.cpu_count()} ({'pinned' if len(ALL) > 1 else 'not pinned'})",
        "cpu": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "fsync": f"{_fsync(folder) * 1e6:.0f} µs",
        "load": f"{os.getloadavg()[0]:.1f} before",
        "amproxy": __version__,
        **{name: version(name) for name in ("uvicorn", "uvloop", "hiredis", "msgspec")},
    }


class Bystanders:
    """CPU time of processes that are not the benchmark's, from the construction on.

    Children count only when they have ended, so `share` comes after the end of all services.
    """

    def __init__(self) -> None:
        self._busy, self._own, self._since = _busy(), _own(), time.monotonic()

    def share(self) -> float | None:
        """Cores that they used on average; None where the system does not report it."""
        busy = _busy()
        if busy is None or self._busy is None:
            return None
        others = (busy - self._busy) - (_own() - self._own)
        # /proc/stat counts whole ticks, getrusage does not: the difference may fall below zero.
        return max(0.0, others) / (time.monotonic() - self._since)


def _busy() -> float | None:
    """Seconds that the cores were busy since the machine started."""
    try:
        words = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq = map(int, words[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    """Seconds of CPU of this process and of those of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _fsync(folder: Path) -> float:
    """Seconds that a small write and its fsync take: the cost of `fsync: always` for a push."""
    durations = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            started = time.perf_counter()
            file.write(b"x" * 500)
            file.flush()
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - started)
    return median(durations)
