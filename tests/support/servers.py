"""Real servers for tests: processes on loopback with free ports, ended with the test.

The fixture `servers` (tests/conftest.py) hands out a `Servers`; each of its methods starts one
server and returns it ready. What a server prints is kept in a file of the test's tmp_path and shown
when the test fails.

    @needs("vmalert")
    def test_something(servers): vmalert = servers.vmalert(RULES, metrics.url, [alertmanager.url])
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import pytest

NEEDS = "needs "  # how the reason of a skip begins; conftest.py looks for it
# Long: a busy machine starts a server slowly, and nothing is gained by giving up.
READY_SECONDS = 90.0
STOP_SECONDS = 60.0


class Program(NamedTuple):
    commands: tuple[str, ...]  # any of these, Debian's name first
    package: str  # Debian's


PROGRAMS = {
    "alertmanager": Program(("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),
    "amtool": Program(("amtool",), "prometheus-alertmanager"),
    "chromium": Program(("chromium", "google-chrome"), "chromium"),
    "prometheus": Program(("prometheus",), "prometheus"),
    "promtool": Program(("promtool",), "prometheus"),
    "redis-server": Program(("redis-server",), "redis-server"),
    "victoria-metrics": Program(("victoria-metrics", "victoria-metrics-prod"), "victoria-metrics"),
    "vmagent": Program(("vmagent", "vmagent-prod"), "victoria-metrics"),
    "vmalert": Program(("vmalert", "vmalert-prod"), "victoria-metrics"),
}


def find(name: str) -> str | None:
    """The path of a program of PROGRAMS, or None where it is not installed."""
    return next(
        (path for command in PROGRAMS[name].commands if (path := shutil.which(command))), None
    )


def _reason(name: str) -> str:
    return f"{NEEDS}{name}: not installed (Debian: apt-get install {PROGRAMS[name].package})"


def needs(*names: str) -> pytest.MarkDecorator:
    """Mark a test that cannot run without these programs.

    It is skipped where they lack, and named in the last lines of the output.
    """
    missing = [name for name in names if not find(name)]
    return pytest.mark.skipif(bool(missing), reason=_reason(missing[0]) if missing else "")


def program(name: str) -> str:
    """The path of a program; the running test is skipped where it is not installed."""
    path = find(name)
    if path is None:
        pytest.skip(_reason(name))
    return path


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask_redis(server: Server, command: str) -> str:
    """What a Redis answers, as it stands on the wire."""
    port = int(server.url.removesuffix("/0").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(4096).decode()


@dataclass
class Server:
    """One process. `url` is where it answers, `config` the file that it was started with."""

    name: str
    argv: list[str]
    log: Path
    ready: Callable[[Server], bool]
    url: str = ""
    config: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _printed_before: int = 0

    @property
    def stderr(self) -> str:
        """All that it printed since the first start, standard output included."""
        return self.log.read_text("utf-8", "replace")

    @property
    def printed(self) -> str:
        """What it printed since the last start."""
        return self.log.read_bytes()[self._printed_before :].decode("utf-8", "replace")

    @property
    def pid(self) -> int:
        assert self.process, f"{self.name} was never started"
        return self.process.pid

    def start(self) -> Self:
        """Start, and wait until ready. Raises RuntimeError with the end of the log."""
        with self.log.open("ab") as out:
            self._printed_before = out.tell()
            # A process group of its own: at the end, whatever it left running can be ended with it.
            # Not a session: Linux may share the processor between sessions before it looks at how
            # nice their processes are, and tests of the clock rely on that (tests/conftest.py).
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.env},
                process_group=0,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready(self):
            code = self.process.poll()
            if code is not None or time.monotonic() > deadline:
                self.stop()
                what = (
                    f"ended with {code}"
                    if code is not None
                    else f"was not ready after {READY_SECONDS:g} s"
                )
                raise RuntimeError(f"{self.name} {what}:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """kill -9 of this process alone."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def terminate(self) -> int:
        """Ask it to end, and wait; returns its exit code.

        Raises subprocess.TimeoutExpired where it does not end.
        """
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def restart(self) -> Self:
        """Start it again at the same address with the same data; end it first where it runs."""
        if self.process.poll() is None:
            self.terminate()
        return self.start()

    def stop(self) -> None:
        """End it and all that it started, whatever it takes."""
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()
        with contextlib.suppress(ProcessLookupError):  # the usual case: nothing was left
            os.killpg(self.pid, signal.SIGKILL)

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.stderr.splitlines()[-lines:])


class Servers:
    """Starts servers below one folder, and ends all of them together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Server] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in reversed(self.started):
            server.stop()
            # pytest shows this for a test that failed, and hides it otherwise.
            print(f"--- {server.name}, the end of {server.log}\n{server.tail()}")

    def alertmanager(self, config_text: str | Path, *, args: Sequence[str] = ()) -> Server:
        """Alertmanager alone, without a cluster. config_text: or a file, to be used where it is."""
        folder, port = self._folder("alertmanager"), free_port()
        config = _file(folder / "alertmanager.yml", config_text)
        argv = [
            program("alertmanager"),
            f"--config.file={config}",
            f"--storage.path={folder}",
            "--cluster.listen-address=",
        ]
        argv += [f"--web.listen-address=127.0.0.1:{port}", *args]
        return self._start(
            folder, argv, _answers("/-/ready"), url=f"http://127.0.0.1:{port}", config=config
        )

    def prometheus(self, config_text: str, *, args: Sequence[str] = ()) -> Server:
        folder, port = self._folder("prometheus"), free_port()
        config = _file(folder / "prometheus.yml", config_text)
        argv = [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
        ]
        argv += [f"--web.listen-address=127.0.0.1:{port}", *args]
        return self._start(
            folder, argv, _answers("/-/ready"), url=f"http://127.0.0.1:{port}", config=config
        )

    def victoria_metrics(self, *, args: Sequence[str] = ()) -> Server:
        """A single-node VictoriaMetrics.

        What is written shows in queries after GET /internal/force_flush, or some seconds later.
        """
        folder, port = self._folder("victoria-metrics"), free_port()
        argv = [
            program("victoria-metrics"),
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
        ]
        argv += ["-search.latencyOffset=0s", "-search.disableCache", *args]
        return self._start(folder, argv, _answers("/health"), url=f"http://127.0.0.1:{port}")

    def vmalert(
        self,
        rules_text: str,
        datasource_url: str,
        notifier_urls: Sequence[str],
        extra_args: Sequence[str] = (),
    ) -> Server:
        """vmalert that evaluates every second; `extra_args` overrides what is given here."""
        folder, port = self._folder("vmalert"), free_port()
        rules = _file(folder / "rules.yml", rules_text)
        argv = [
            program("vmalert"),
            f"-rule={rules}",
            f"-datasource.url={datasource_url}",
            f"-httpListenAddr=127.0.0.1:{port}",
        ]
        argv += [
            "-evaluationInterval=1s",
            *(f"-notifier.url={url}" for url in notifier_urls),
            *extra_args,
        ]
        return self._start(
            folder, argv, _answers("/health"), url=f"http://127.0.0.1:{port}", config=rules
        )

    def redis_server(self, *, appendonly: bool = True) -> Server:
        """A Redis; with appendonly, what it has acknowledged survives kill -9 and a restart."""
        folder, port = self._folder("redis-server"), free_port()
        argv = [
            program("redis-server"),
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--dir",
            str(folder),
            "--save",
            "",
        ]
        argv += (
            ["--appendonly", "yes", "--appendfsync", "always"]
            if appendonly
            else ["--appendonly", "no"]
        )
        return self._start(folder, argv, _redis_answers, url=f"redis://127.0.0.1:{port}/0")

    def amproxy(
        self,
        config_text: str | Path,
        *,
        data_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        redis_url: str | None = None,
        args: Sequence[str] = (),
        descriptors: int | None = None,
    ) -> Server:
        """amproxy itself, from this checkout; where no `redis_url` is given, with its own Redis.

        config_text: or a file, to be used where it is.
        descriptors: how many each of its processes may have open.
        """
        folder = self._folder("amproxy")
        config = _file(folder / "routes.yaml", config_text)
        limited = f'ulimit -n {descriptors} && exec "$@"'
        argv = [
            *(("sh", "-c", limited, "sh") if descriptors else ()),
            sys.executable,
            "-m",
            "amproxy",
            "serve",
            "--config",
            str(config),
            "--listen",
            "127.0.0.1:0",
        ]
        argv += [
            "--data-dir",
            str(data_dir or folder / "data"),
            *(["--redis", redis_url] if redis_url else []),
            *args,
        ]
        return self._start(folder, argv, _listens, config=config, env=env or {})

    def _folder(self, name: str) -> Path:
        folder = self.folder / f"{name}-{len(self.started) + 1}"
        folder.mkdir()
        return folder

    def _start(
        self,
        folder: Path,
        argv: list[str],
        ready: Callable[[Server], bool],
        *,
        url: str = "",
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Server:
        server = Server(
            folder.name, argv, folder / "log.txt", ready, url, config, env or {}
        ).start()
        self.started.append(server)
        return server


def _file(path: Path, text: str | Path) -> Path:
    """The file with a text, or the one that is there already."""
    if isinstance(text, Path):
        return text
    path.write_text(text, "utf-8")
    return path


def _answers(path: str) -> Callable[[Server], bool]:
    """Ready when GET of `path` is answered 200.

    By http.client, because it asks no proxy of the environment.
    """

    def ready(server: Server) -> bool:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def _redis_answers(server: Server) -> bool:
    port = int(server.url.removesuffix("/0").rpartition(":")[2])
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _listens(server: Server) -> bool:
    """Ready when the line is printed; a restart then asks for the same port."""
    line = re.search(r"Listening on.*?address\"?[=:]\"?([^\s\"]+)", server.printed)
    if not line:
        return False
    server.url = f"http://{line[1]}"
    server.argv[server.argv.index("--listen") + 1] = line[1]
    return True
