"""Start-up: from exec to the line `Listening on`, and to the first 200 of /-/ready.

With the CPU that the process has used until then, and its memory while it is idle afterwards.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import alerts, cores
from bench.load import closed_loop
from bench.peers import AMPROXY, QUIET, peers, resident
from bench.report import Report

STARTS = 5
STORED = 10_000  # alerts
SIZE = 50  # alerts a push
AIM = 1.0  # seconds
CPU_AIM = 0.45  # seconds of CPU until ready, half of what it was with all pages and channels
IDLE_AIM = 80.0  # MB
SETTLE = 1.0  # seconds until the memory of an idle service is at rest
PATIENCE = 30.0  # seconds for one start, and for one end
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_LISTENING = re.compile(rb"Listening on.*?address=\"?[^\s\"]*:(\d+)")
_REQUEST = b"GET /-/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


async def run(folder: Path, *, quick: bool) -> Report:
    """Start amproxy with a fresh data folder, and with one that has alerts stored."""
    starts = 2 if quick else STARTS
    report = Report(
        "startup",
        f"Start-up: seconds from exec, median of {starts}",
        ("data folder", "Listening on", "first 200 of /-/ready", "slowest", "CPU", "idle MB"),
    )
    with TemporaryDirectory(dir=folder) as own:
        fresh = [_start(Path(own), Path(own) / f"fresh-{number}") for number in range(starts)]
    _add(report, "fresh", fresh, cpu_aim=CPU_AIM)
    with TemporaryDirectory(dir=folder) as own:
        data = Path(own) / "filled"
        with peers(folder) as running:
            service = running.start(AMPROXY, data_dir=data)
            pushes = alerts.new(SIZE, alerts.numbers())
            await closed_loop(service.port, pushes, seconds=300, pushes=STORED // SIZE)
        filled = [_start(Path(own), data) for _ in range(starts)]
    _add(report, f"{STORED:,} alerts stored", filled)
    return report


class _Start(NamedTuple):
    """Seconds from exec, seconds of CPU, and MB."""

    listening: float
    ready: float
    cpu: float
    idle: float


def _start(folder: Path, data: Path) -> _Start:
    """Start it once and end it. Raises RuntimeError where it does not start."""
    config = folder / "routes.yaml"
    config.write_text(json.dumps(QUIET), "utf-8")
    argv = [sys.executable, "-m", "amproxy", "serve", "--config", str(config)]
    argv += ["--listen", "127.0.0.1:0", "--data-dir", str(data)]
    with cores.starting_on(cores.ALL):  # users do not pin it either
        started = time.perf_counter()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # An installation has its modules compiled.
            env={name: value for name, value in os.environ.items() if name != _NO_BYTECODE},
        )
    assert process.stderr
    printed = b""
    try:
        for line in process.stderr:
            printed += line
            found = _LISTENING.search(line)
            if found:
                listening, ready = time.perf_counter() - started, _ready(int(found[1])) - started
                cpu = _cpu(process.pid)
                time.sleep(SETTLE)
                return _Start(listening, ready, cpu, resident(process.pid))
    finally:
        process.terminate()
        # Reads stderr to its end: with a full pipe the process could not end.
        process.communicate(timeout=PATIENCE)
    raise RuntimeError(f"amproxy did not start:\n{printed[-2000:].decode('utf-8', 'replace')}")


def _ready(port: int) -> float:
    """The moment of the first 200. Raises RuntimeError when there is none in time."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(_REQUEST)
            if connection.recv(64).startswith(b"HTTP/1.1 200"):
                return time.perf_counter()
        time.sleep(0.002)
    raise RuntimeError("amproxy listens and is never ready")


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used; 0 where there is no /proc (macOS)."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _add(report: Report, what: str, starts: list[_Start], *, cpu_aim: float = 0.0) -> None:
    """Add a row, and its aims; without `cpu_aim` there is none for the CPU."""
    listening, ready, cpu, idle = (sorted(figures) for figures in zip(*starts, strict=True))
    typical, used, kept = median(ready), median(cpu), median(idle)
    times = (f"{median(listening):.2f}", f"{typical:.2f}", f"{ready[-1]:.2f}", f"{used:.2f}")
    report.add_row(what, *times, f"{kept:.0f}")
    report.figures.append({"data folder": what, "listening": listening, "ready": ready})
    report.figures[-1] |= {"cpu": cpu, "idle MB": idle}
    goal = f"data folder {what}"
    report.add_aim(f"ready, {goal}", f"{AIM:g} s", f"{typical:.2f} s", typical <= AIM)
    if cpu_aim:
        report.add_aim(f"CPU, {goal}", f"{cpu_aim:g} s", f"{used:.2f} s", used <= cpu_aim)
    report.add_aim(f"idle, {goal}", f"{IDLE_AIM:g} MB", f"{kept:.0f} MB", kept <= IDLE_AIM)
