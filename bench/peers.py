"""The measured services, each on one core: amproxy with its own Redis, and Alertmanager."""

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
from tests.support.servers import Server, Servers, find

ALERTMANAGER = "Alertmanager"
AMPROXY = "amproxy"
EVERYSEC = "amproxy, everysec"
SERVICES = (ALERTMANAGER, AMPROXY, EVERYSEC)
Config = dict[str, Any]  # the content of a file; its JSON is YAML as well

# Both services read it. Nobody is notified, and no group is flushed during a measurement, which
# would cost one of them more than the other.
QUIET: Config = {
    "route": {
        "receiver": "nobody",
        "group_by": ["alertname"],
        "group_wait": "1h",
        "group_interval": "1h",
        "repeat_interval": "4h",
    },
    "receivers": [{"name": "nobody"}],
}
FSYNC = {AMPROXY: "always", EVERYSEC: "everysec"}


@dataclass
class Peer:
    """A running service; `redis_pid` is None for Alertmanager."""

    name: str
    server: Server
    redis_pid: int | None

    @property
    def port(self) -> int:
        """The port on loopback that it listens on."""
        return int(self.server.url.rpartition(":")[2])

    @property
    def redis_url(self) -> str:
        """The address of amproxy's Redis."""
        folder = Path(self.server.argv[self.server.argv.index("--data-dir") + 1])
        return EmbeddedRedis(folder, "always").url

    def memory(self) -> tuple[float, float]:
        """Resident MB (of 1,000,000 bytes) of the service and of its Redis."""
        redis_memory = resident(self.redis_pid) if self.redis_pid else 0.0
        return resident(self.server.pid), redis_memory


class Peers:
    """Starts services below one folder."""

    def __init__(self, folder: Path) -> None:
        self._servers = Servers(folder)

    def start(self, name: str, config: Config = QUIET, *, data_dir: Path | None = None) -> Peer:
        """Start one of SERVICES and wait until it is ready.

        Raises RuntimeError with the end of its log where it does not start.
        """
        with cores.starting_on(cores.SERVICE):
            if name == ALERTMANAGER:
                return Peer(name, self._servers.alertmanager(json.dumps(config)), None)
            text = json.dumps({**config, "store": {"fsync": FSYNC[name]}})
            server = self._servers.amproxy(text, data_dir=data_dir)
        folder = Path(server.argv[server.argv.index("--data-dir") + 1])
        # amproxy has started Redis, which has inherited its core: both have what Alertmanager has.
        return Peer(name, server, _redis_pid(folder))

    def stop(self) -> None:
        """End all services, the last one first."""
        for server in reversed(self._servers.started):
            server.stop()
        self._servers.started.clear()


@contextlib.contextmanager
def peers(folder: Path) -> Iterator[Peers]:
    """Services that live as long as the `with`, which then removes their data."""
    os.environ["GOMAXPROCS"] = "1"  # read by Alertmanager, so that each service has one core
    with tempfile.TemporaryDirectory(dir=folder) as own:
        running = Peers(Path(own))
        try:
            yield running
        finally:
            running.stop()


@contextlib.contextmanager
def quiet_servers(folder: Path) -> Iterator[Servers]:
    """Servers below a folder of their own, without the lines that a failed test would show.

    They end with the `with`; their data and logs stay.
    """
    servers = Servers(Path(tempfile.mkdtemp(dir=folder)))
    try:
        yield servers
    finally:
        for server in reversed(servers.started):
            server.stop()


def present(*names: str) -> list[str]:
    """Those of the services that are installed, in the same order."""
    return [name for name in names if name != ALERTMANAGER or find("alertmanager")]


def alertmanager_version() -> str:
    """The version of Alertmanager, or a remark that there is none."""
    path = find("alertmanager")
    if path is None:
        return "not installed"
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return (printed.stdout + printed.stderr).split()[2]


def cpu_seconds(pid: int) -> float:
    """The seconds of CPU that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _redis_pid(folder: Path) -> int:
    with redis.Redis.from_url(EmbeddedRedis(folder, "always").url) as client:
        return int(client.info("server")["process_id"])


def resident(pid: int) -> float:
    """Resident memory in MB of 1,000,000 bytes; from ps where there is no /proc (macOS)."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024 / 1e6
    command = ["ps", "-o", "rss=", "-p", str(pid)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(printed) * 1024 / 1e6
