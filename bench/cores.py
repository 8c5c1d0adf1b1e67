"""Which process runs where: the measured service on one core, its Redis and the load generator on another."""

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

ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []  # [] where processes cannot be pinned (macOS)
SERVICE, LOAD = ALL[:1], ALL[-1:]


def pin(pid: int, cores: list[int]) -> None:
    """Keep all threads of a process, those that it has now, on these cores."""
    if not cores:
        return
    for task in Path(f"/proc/{pid or 'self'}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # a thread that has ended meanwhile
            os.sched_setaffinity(int(task.name), cores)


@contextlib.contextmanager
def starting_on(cores: list[int]) -> Iterator[None]:
    """What is started in here runs on these cores; the benchmark itself is back on its own afterwards."""
    pin(0, cores)
    try:
        yield
    finally:
        pin(0, LOAD)


def machine(folder: Path) -> dict[str, str]:
    """What the figures depend on; `folder` is where the data lies."""
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
    """CPU time of processes that are none of the benchmark's, from the making of this on. Its own must have ended."""

    def __init__(self) -> None:
        self._busy, self._own, self._since = _busy(), _own(), time.monotonic()

    def share(self) -> float | None:
        """Cores' worth that they used on average; None where the system does not tell."""
        busy = _busy()
        if busy is None or self._busy is None:
            return None
        return max(0.0, (busy - self._busy) - (_own() - self._own)) / (time.monotonic() - self._since)


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
    return sum(
        used.ru_utime + used.ru_stime for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _fsync(folder: Path) -> float:
    """Seconds that a small write and its fsync take, which is what `fsync: always` costs a push."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            started = time.perf_counter()
            file.write(b"x" * 500)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return median(taken)
