"""Start-up: from exec to the line `Listening on`, and to the first 200 of /-/ready."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import alerts, cores
from bench.load import closed_loop
from bench.peers import AMPROXY, QUIET, peers
from bench.report import Report

STARTS = 5
STORED = 10_000  # alerts
SIZE = 50  # alerts a push
AIM = 1.0  # seconds
PATIENCE = 30.0  # seconds for one start, and for one end
_LISTENING = re.compile(rb"Listening on.*?address=\"?[^\s\"]*:(\d+)")
_REQUEST = b"GET /-/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


async def run(folder: Path, *, quick: bool) -> Report:
    """Start amproxy with a fresh data folder, and with one that has alerts stored."""
    starts = 2 if quick else STARTS
    report = Report(
        "startup",
        f"Start-up: seconds from exec, median of {starts}",
        ("data folder", "Listening on", "first 200 of /-/ready", "slowest"),
    )
    with TemporaryDirectory(dir=folder) as own:
        fresh = [_start(Path(own), Path(own) / f"fresh-{number}") for number in range(starts)]
    _add(report, "fresh", fresh)
    with TemporaryDirectory(dir=folder) as own:
        data = Path(own) / "filled"
        with peers(folder) as running:
            service = running.start(AMPROXY, data_dir=data)
            pushes = alerts.new(SIZE, alerts.numbers())
            await closed_loop(service.port, pushes, seconds=300, pushes=STORED // SIZE)
        filled = [_start(Path(own), data) for _ in range(starts)]
    _add(report, f"{STORED:,} alerts stored", filled)
    return report


def _start(folder: Path, data: Path) -> tuple[float, float]:
    """Start it once and end it; return the seconds until it listened and until it was ready.

    Raises RuntimeError where it does not start.
    """
    config = folder / "routes.yaml"
    config.write_text(json.dumps(QUIET), "utf-8")
    argv = [sys.executable, "-m", "amproxy", "serve", "--config", str(config)]
    argv += ["--listen", "127.0.0.1:0", "--data-dir", str(data)]
    with cores.starting_on(cores.ALL):  # users do not pin it either
        started = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    assert process.stderr
    printed = b""
    try:
        for line in process.stderr:
            printed += line
            found = _LISTENING.search(line)
            if found:
                return time.perf_counter() - started, _ready(int(found[1])) - started
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


def _add(report: Report, what: str, starts: list[tuple[float, float]]) -> None:
    listening, ready = (sorted(times) for times in zip(*starts, strict=True))
    typical = median(ready)
    report.add_row(what, f"{median(listening):.2f}", f"{typical:.2f}", f"{ready[-1]:.2f}")
    report.figures.append({"data folder": what, "listening": listening, "ready": ready})
    goal = f"ready, data folder {what}"
    report.add_aim(goal, f"{AIM:g} s", f"{typical:.2f} s", typical <= AIM)
