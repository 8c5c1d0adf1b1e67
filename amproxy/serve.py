"""`amproxy serve`: the socket, the private Redis, one process or several, and their orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from amproxy.config.loader import Loaded, load
from amproxy.config.structs import Config
from amproxy.errors import AmproxyError, ConfigError
from amproxy.store.embedded import EmbeddedRedis

log = logging.getLogger("amproxy")

GRACE = 5  # seconds that open requests have at the end
RESTART = 1.0  # seconds before a worker process that died is started anew


class CannotServe(AmproxyError):
    """The service cannot start; the text says why and what to do."""


@dataclass(frozen=True)
class Options:
    config: Path
    data_dir: Path
    listen: str = ""  # "" = the file's
    redis: str = ""  # "" = the file's
    workers: int = 1
    fd: int = -1  # of the listening socket, in a worker process


def serve(options: Options) -> None:
    """Run until told to stop (SIGINT, SIGTERM). Raises CannotServe, ConfigError, EmbeddedFailed."""
    loaded = load(options.config)
    if options.fd >= 0:
        uvloop.run(_process(options, loaded, socket.socket(fileno=options.fd), options.redis, announce=False))
        return
    listener = _listen(loaded.config, options.listen)
    uvloop.run(_serve(options, loaded, listener))


async def _serve(options: Options, loaded: Loaded, listener: socket.socket) -> None:
    url = options.redis or loaded.config.store.redis
    if url != "embedded":
        await _run(options, loaded, listener, url)
        return
    redis = EmbeddedRedis(options.data_dir, loaded.config.store.fsync)
    await redis.start()
    keeper = asyncio.create_task(redis.keep())
    try:
        await _run(options, loaded, listener, redis.url)
    finally:
        keeper.cancel()
        await redis.stop()


async def _run(options: Options, loaded: Loaded, listener: socket.socket, url: str) -> None:
    if options.workers > 1:
        await _supervise(options, listener, url)
    else:
        await _process(options, loaded, listener, url, announce=True)


async def _process(options: Options, loaded: Loaded, listener: socket.socket, url: str, *, announce: bool) -> None:
    """One process that serves."""
    # imported here, because prometheus_client looks at PROMETHEUS_MULTIPROC_DIR when it is imported
    from amproxy.app import App
    from amproxy.service import Service
    from amproxy.web.deps import Deps
    from amproxy.web.routes import web

    address = _address(listener)
    service = Service(loaded, url, listen=address)
    deps = Deps(
        context=service.context, hub=service.hub, console=service.console, test_alert=service.test_alert, reload=service.reload,
        links=lambda: service.links, ready=lambda: service.ready,
    )  # fmt: skip
    app = App(service.doors, web(deps))
    server = _Server(
        service.hub.close,
        uvicorn.Config(
            app, loop="none", http="httptools", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=GRACE,
            server_header=False, date_header=False, ws="none",
        ),
    )  # fmt: skip
    await service.start()
    _on_signal(signal.SIGHUP, lambda: asyncio.ensure_future(_reload(service.reload)))
    try:
        listening = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not listening.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.005)
        if announce:
            _announce(address)
        await listening
    finally:
        await service.stop()


class _Server(uvicorn.Server):
    """Open pages hear of the end at once, so that a stop need not wait for them."""

    def __init__(self, ending: Callable[[], None], config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending()
        super().handle_exit(sig, frame)


async def _reload(reload: Callable[[], Awaitable[None]]) -> None:
    try:
        await reload()
    except ConfigError as error:
        log.error("not loaded, the running configuration goes on:\n%s", error)


def _announce(address: str) -> None:
    log.info('msg="Listening on" address=%s', address)
    log.info('msg="Look at the page" url=http://%s/', address)


async def _supervise(options: Options, listener: socket.socket, url: str) -> None:
    """Several processes on one socket; one that dies is started anew."""
    metrics_dir = options.data_dir / "metrics"
    shutil.rmtree(metrics_dir, ignore_errors=True)
    metrics_dir.mkdir(parents=True)
    listener.set_inheritable(True)
    command = [
        sys.executable, "-m", "amproxy", "serve", "--config", str(options.config), "--data-dir", str(options.data_dir), "--redis", url,
        "--fd", str(listener.fileno()),
    ]  # fmt: skip
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)}
    children: dict[int, asyncio.subprocess.Process] = {}
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        _on_signal(number, ending.set)
    _on_signal(signal.SIGHUP, lambda: _tell(children, signal.SIGHUP))

    async def keep(slot: int) -> None:
        while True:
            children[slot] = child = await asyncio.create_subprocess_exec(*command, env=environment, pass_fds=[listener.fileno()])
            code = await child.wait()
            if ending.is_set():
                return
            log.error("worker process %s died (exit code %s); starting another", child.pid, code)
            _forget_metrics(metrics_dir, child.pid)
            await asyncio.sleep(RESTART)

    keepers = [asyncio.create_task(keep(slot)) for slot in range(options.workers)]
    await _answering(_address(listener))
    _announce(_address(listener))
    await ending.wait()
    _tell(children, signal.SIGTERM)
    await asyncio.wait(keepers, timeout=2 * GRACE)
    for keeper in keepers:
        keeper.cancel()


def _tell(children: dict[int, asyncio.subprocess.Process], number: signal.Signals) -> None:
    for child in children.values():
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)


def _forget_metrics(folder: Path, pid: int) -> None:
    """Gauges of a process that is gone say nothing any more; its counters still count."""
    for left in folder.glob(f"gauge_live*_{pid}.db"):
        left.unlink()


async def _answering(address: str) -> None:
    host, _, port = address.rpartition(":")
    request = f"GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.write(request)
            if (await reader.read(16)).startswith(b"HTTP/1.1 200"):
                writer.close()
                return
        await asyncio.sleep(0.02)


def _listen(config: Config, given: str) -> socket.socket:
    """The listening socket. Raises CannotServe."""
    text = given or config.web.listen
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdigit():
        raise CannotServe(f"{text!r} is no HOST:PORT to listen on")
    if not _is_loopback(host) and not config.web.allow_unauthenticated:
        raise CannotServe(
            f"refusing to listen on {text}: there is no sign-in, so everybody who reaches it could act. "
            "Listen on 127.0.0.1, or say web.allow_unauthenticated: true in the file"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen(2048)
    except OSError as error:
        raise CannotServe(f"cannot listen on {text}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _on_signal(number: int, do: Callable[[], object]) -> None:
    asyncio.get_running_loop().add_signal_handler(number, do)
