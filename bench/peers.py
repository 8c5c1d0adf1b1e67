"""The services that are measured, as processes on their core: amproxy with its own Redis, and Alertmanager."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from amproxy.store.embedded import EmbeddedRedis
from bench import cores
from tests.servers import Server, Servers, find

ALERTMANAGER = "Alertmanager"
AMPROXY = "amproxy"
EVERYSEC = "amproxy, everysec"
SERVICES = (ALERTMANAGER, AMPROXY, EVERYSEC)
Config = dict[str, Any]  # a file's content; its JSON is YAML as well

# What both read. Nobody is notified, and no group is flushed while somebody measures.
QUIET: Config = {
    "route": {"receiver": "nobody", "group_by": ["alertname"], "group_wait": "1h", "group_interval": "1h", "repeat_interval": "4h"},
    "receivers": [{"name": "nobody"}],
}
FSYNC = {AMPROXY: "always", EVERYSEC: "everysec"}


@dataclass
class Peer:
    """A service that runs. `redis_pid` is None for Alertmanager."""

    name: str
    server: Server
    redis_pid: int | None

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def memory(self) -> tuple[float, float]:
        """Resident MB (of 1,000,000 bytes) of the service and of its Redis."""
        return _resident(self.server.pid), _resident(self.redis_pid) if self.redis_pid else 0.0


class Peers:
    """Starts services below a folder of its own; the end of the `with` ends all of them and removes their data."""

    def __init__(self, folder: Path) -> None:
        self._servers = Servers(folder)

    def start(self, name: str, config: Config = QUIET, *, data_dir: Path | None = None) -> Peer:
        """Start one of SERVICES and wait until it is ready. Raises RuntimeError with its last words where it does not start."""
        with cores.starting_on(cores.SERVICE):
            if name == ALERTMANAGER:
                return Peer(name, self._servers.alertmanager(json.dumps(config)), None)
            text = json.dumps({**config, "store": {"fsync": FSYNC[name]}})
            server = self._servers.amproxy(text, data_dir=data_dir)
        folder = Path(server.argv[server.argv.index("--data-dir") + 1])
        pid = _redis_pid(folder)
        cores.pin(pid, cores.LOAD)
        return Peer(name, server, pid)

    def stop(self) -> None:
        for server in reversed(self._servers.started):
            server.stop()
        self._servers.started.clear()


@contextlib.contextmanager
def peers(folder: Path) -> Iterator[Peers]:
    """Services that live as long as the `with`."""
    os.environ["GOMAXPROCS"] = "1"  # Alertmanager's: one core each
    with tempfile.TemporaryDirectory(dir=folder) as own:
        running = Peers(Path(own))
        try:
            yield running
        finally:
            running.stop()


def present(*names: str) -> list[str]:
    """Those of the services that can run here."""
    return [name for name in names if name != ALERTMANAGER or find("alertmanager")]


def alertmanager_version() -> str:
    path = find("alertmanager")
    if path is None:
        return "not installed"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).split()[2]


def _redis_pid(folder: Path) -> int:
    with redis.Redis.from_url(EmbeddedRedis(folder, "always").url) as client:
        return int(client.info("server")["process_id"])


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024 / 1e6
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(said.stdout) * 1024 / 1e6
