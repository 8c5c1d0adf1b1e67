"""A Redis for tests that need one: the fixture `redis` (tests/conftest.py) hands it out, empty."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amproxy.store.embedded import find_server


@dataclass
class Redis:
    """A running server. `own`: it is this test's alone, which may end it or change its settings."""

    url: str
    process: subprocess.Popen[bytes]
    own: bool

    def flush(self) -> None:
        """Forget everything."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(self.url.removeprefix("unix://"))
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(64) == b"+OK\r\n"

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.own, "other tests use this Redis too: mark the test with own_redis"
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(*, own: bool) -> Iterator[Redis]:
    """Starts one that keeps nothing on the disk, and ends it."""
    # Not pytest's tmp_path: the path of a socket may have about 100 characters.
    with tempfile.TemporaryDirectory(prefix="amproxy-") as folder:
        path = Path(folder) / "r.sock"
        process = subprocess.Popen(
            [
                find_server(),
                "--port",
                "0",
                "--unixsocket",
                str(path),
                "--save",
                "",
                "--dir",
                folder,
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 60
            while not path.exists():
                assert process.poll() is None and time.monotonic() < deadline, "Redis did not start"
                time.sleep(0.005)
            yield Redis(f"unix://{path}", process, own)
        finally:
            process.kill()
            process.wait()
