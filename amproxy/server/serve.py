"""`amproxy serve`: the socket, the embedded Redis, one process or several, their orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn
import uvloop
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from amproxy import __version__
from amproxy.accept.body import Application
from amproxy.config.loader import LoadedConfig, load
from amproxy.config.structs import Config
from amproxy.errors import AmproxyError, ConfigError, os_error_words
from amproxy.log import EventLog, LogFormat
from amproxy.server import address, supervise, tls
from amproxy.server.address import Address
from amproxy.server.basic_auth import BasicAuth
from amproxy.server.connections import Connections, connection_limit, raise_descriptor_limit
from amproxy.server.parts import PartFailed, Parts
from amproxy.server.web_config import WebConfigFile
from amproxy.store.embedded import EmbeddedRedis
from amproxy.store.folder import make_private
from amproxy.web.http.middleware import PeerMiddleware, PrefixMiddleware, link_root

if TYPE_CHECKING:
    from amproxy.server.service import Service

log = EventLog(__name__)

MIN_FILES = 64
MAX_PORT = 65535
_LISTEN_HINTS = {
    errno.EADDRINUSE: "another program listens there: end it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address: 0.0.0.0 means all that it has",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one",
    errno.EAFNOSUPPORT: "this machine has no IPv6: name an address such as 127.0.0.1",
}
SHUTDOWN_GRACE = 5  # seconds that open requests have at the end
# Alerts come in by the thousand and hold no cycles: with rarer collections new ones take a fifth
# less time. The second generation is collected before it is large: all of the process waits for it.
GC_THRESHOLDS = (50_000, 4, 250)

# Seconds. So long the event loop waits for its turn beside heavy work (offload.py).
SWITCH_INTERVAL = 0.001


class CannotServe(AmproxyError):
    """The service cannot start; the text has the reason and the remedy."""


@dataclass(frozen=True)
class ServeOptions:
    config: Path
    data_dir: Path
    listen: str = ""  # "" = the file's
    redis: str = ""  # "" = the file's
    workers: int = 1
    fd: int = -1  # of the listening socket, in a worker process
    external_url: str = ""  # "" = the file's
    route_prefix: str = ""  # "" = the path of the external URL
    web_config: Path | None = None
    log_format: LogFormat = "logfmt"
    log_level: str = "info"
    start_delay: float = 0.0  # seconds after the start until which nothing is dispatched
    started: float = field(default_factory=time.monotonic)


def serve(options: ServeOptions) -> None:
    """Run until SIGINT or SIGTERM.

    Raises CannotServe, ConfigError and the like; PartFailed after an orderly end, where a part of
    the process, or every worker, cannot be kept running.
    """
    address.check(options.external_url, options.route_prefix)
    raise_descriptor_limit()
    _refuse_few_files()
    loaded = load(options.config)
    web_config = WebConfigFile(options.web_config) if options.web_config else None
    if options.fd >= 0:  # a worker: the socket is the supervisor's
        listener = socket.socket(fileno=options.fd)
        uvloop.run(_run_process(options, loaded, web_config, listener, options.redis))
        return
    log.info("amproxy starts", version=__version__, config=options.config, pid=os.getpid())
    locked = web_config is not None and web_config.current().authenticates
    listener = _open_listener(loaded.config, options.listen, locked=locked)
    uvloop.run(_serve_with_redis(options, loaded, web_config, listener))


def _refuse_few_files() -> None:
    """Raises CannotServe where so few files may be open that the start would end in the middle."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < MIN_FILES:
        raise CannotServe(
            f"amproxy may open {most} files only: allow it {MIN_FILES} at least (ulimit -n)"
        )


async def _serve_with_redis(
    options: ServeOptions,
    loaded: LoadedConfig,
    web_config: WebConfigFile | None,
    listener: socket.socket,
) -> None:
    url = options.redis or loaded.config.store.redis
    if url != "embedded":
        await _run_processes(options, loaded, web_config, listener, url)
        return
    redis = EmbeddedRedis(options.data_dir, loaded.config.store.fsync)
    tasks: list[asyncio.Task[None]] = []
    try:
        await redis.start()
        serving = _run_processes(options, loaded, web_config, listener, redis.url)
        tasks = [asyncio.create_task(redis.run()), asyncio.create_task(serving)]
        # Redis' own ends only when it cannot be kept running: then nothing can be served.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await redis.stop()


async def _run_processes(
    options: ServeOptions,
    loaded: LoadedConfig,
    web_config: WebConfigFile | None,
    listener: socket.socket,
    url: str,
) -> None:
    if options.workers == 1:
        await _run_process(options, loaded, web_config, listener, url)
        return
    gc.enable()
    make_private(options.data_dir)  # the workers' metrics are kept there
    listener.set_inheritable(True)  # the workers accept on this very socket
    own_address = _address_of(options, web_config, listener)
    await supervise.supervise(
        _worker_arguments(options, url, listener.fileno()),
        listener.fileno(),
        options.data_dir / "metrics",
        workers=options.workers,
        grace=2 * SHUTDOWN_GRACE,
        ready=lambda: _announce(own_address, loaded.config.web.external_url),
    )


def _worker_arguments(options: ServeOptions, url: str, fd: int) -> list[str]:
    given = {
        "--config": options.config,
        "--data-dir": options.data_dir,
        "--redis": url,
        "--fd": fd,
        "--web.external-url": options.external_url,
        "--web.route-prefix": options.route_prefix,
        "--web.config.file": options.web_config or "",
        "--log.format": options.log_format,
        "--log.level": options.log_level,
        "--dispatch.start-delay": f"{options.start_delay}s",
    }
    return ["serve", *(f"{name}={value}" for name, value in given.items())]


def dispatch_start(options: ServeOptions, now: float, monotonic: float) -> float:
    """The time from which groups are flushed: the start of the process is part of the delay."""
    return now + options.start_delay - (monotonic - options.started)


async def _run_process(
    options: ServeOptions,
    loaded: LoadedConfig,
    web_config: WebConfigFile | None,
    listener: socket.socket,
    url: str,
) -> None:
    """Serve in this process: the only one, or a worker. Raises PartFailed."""
    # imported here: the supervisor of workers needs none of it
    from amproxy.server.service import Service

    is_worker, parts = options.fd >= 0, Parts()
    own_address = _address_of(options, web_config, listener)
    service = Service(loaded, url, address=own_address, parts=parts, log_format=options.log_format)
    if options.start_delay:
        context = service.context
        context.dispatch_from = dispatch_start(options, context.now(), time.monotonic())
    limit = connection_limit()
    service.hub.limit = limit // 2
    app = _build_app(service, own_address, web_config)
    server = _UvicornServer(service.hub.close, _uvicorn_config(app, web_config), limit)
    parts.on_failure = server.end
    gc.freeze()  # the modules stay for ever: the collector need not walk them
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()  # cli.py has disabled it
    await service.start()
    gc.freeze()  # and what the service has loaded
    sys.setswitchinterval(SWITCH_INTERVAL)
    # the supervisor signals each of its workers, so they need not notify each other
    reload = partial(_reload, service.reload, publish=not is_worker)
    _on_signal(signal.SIGHUP, lambda: parts.spawn(reload()))
    if is_worker:
        supervise.on_orphaned(server.end)
    try:
        listening = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not listening.done():  # noqa: ASYNC110  # uvicorn has no event
            await asyncio.sleep(0.005)
        if is_worker:
            supervise.report_ready()
        else:
            _announce(own_address, loaded.config.web.external_url)
        await listening
    finally:
        await service.stop()
    if parts.failure:
        raise PartFailed(parts.failure)


def _build_app(
    service: Service, own_address: Address, web_config: WebConfigFile | None
) -> Application:
    # imported here, as in _run_process
    from amproxy.server.service import App
    from amproxy.web.app import build_web_app
    from amproxy.web.http.deps import Deps

    context = service.context
    deps = Deps(
        context=context,
        hub=service.hub,
        console=service.console,
        test_alert=service.test_alert,
        reload=service.reload,
        links=lambda: service.links,
        ready=lambda: service.ready,
        stopped=service.parts.stopped,
        side_process=service.side_process,
        plotter=service.plotter,
    )
    app: Application = PrefixMiddleware(
        App(service.endpoints, build_web_app(deps)),
        lambda: own_address.prefix(context.config.web.external_url),
        lambda: link_root(context.external_url),
    )
    return BasicAuth(app, web_config.current) if web_config else app


def _uvicorn_config(app: Application, web_config: WebConfigFile | None) -> uvicorn.Config:
    speaks_tls = web_config is not None and web_config.current().tls is not None
    # by default uvicorn adds this outermost; here PeerMiddleware must see the real peer before it
    forwarded: Any = ProxyHeadersMiddleware(
        cast("Any", app), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
    )
    return uvicorn.Config(
        PeerMiddleware(forwarded),
        proxy_headers=False,
        loop="none",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE,
        server_header=False,
        date_header=False,
        ws="none",
        ssl_context_factory=(lambda *_: tls.listening_context(web_config.certificates))
        if web_config and speaks_tls
        else None,
    )


class _UvicornServer(uvicorn.Server):
    """A server that ends on SIGINT and SIGTERM and returns to its caller, who has to clean up.

    uvicorn's own would then kill the process with the signal. close_streams: end the event streams
    of open pages, so that a stop need not wait for them. limit: of connections.
    """

    def __init__(
        self, close_streams: Callable[[], None], config: uvicorn.Config, limit: int
    ) -> None:
        super().__init__(config)
        self._close_streams, self._limit = close_streams, limit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections; in the place of asyncio's server, which has no limit of them."""
        assert sockets  # _run_process gives the one that it listens on
        connections = Connections(self.config, self.server_state, sockets[0], self._limit)
        connections.start()
        self.servers = [cast("Any", connections)]
        self.started = True

    def end(self) -> None:
        """Stop serving; at the second call without waiting for open requests."""
        self._close_streams()
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGINT, signal.SIGTERM):
            _on_signal(number, self.end)
        yield


async def _reload(reload: Callable[..., Awaitable[None]], *, publish: bool) -> None:
    with contextlib.suppress(ConfigError):  # which the log tells
        await reload(publish=publish)


def _address_of(
    options: ServeOptions, web_config: WebConfigFile | None, listener: socket.socket
) -> Address:
    host, port = listener.getsockname()[:2]
    return Address(
        listen=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        secure=web_config is not None and web_config.current().tls is not None,
        locked=web_config is not None and web_config.current().authenticates,
        external_url=options.external_url,
        route_prefix=options.route_prefix,
    )


def _announce(own_address: Address, file_url: str) -> None:
    url = own_address.origin + own_address.prefix(file_url)
    log.info("Listening on", address=own_address.listen)
    log.info("Look at the page", url=f"{url}/")


def _open_listener(config: Config, option: str, *, locked: bool) -> socket.socket:
    """Return the listening socket.

    option: of the command line, "" = none. locked: the web config file demands a password or
    certificate. Raises CannotServe.
    """
    text = option or config.web.listen
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdecimal():
        raise CannotServe(f"{text!r} is no HOST:PORT to listen on")
    if reason := Address(text, locked=locked).open_access(config):
        tokens, people = "give each a token (token_file", "let people sign in (sign_in"
        raise CannotServe(
            f"refusing to listen on {text}: {reason}. Listen on 127.0.0.1, "
            f"{tokens if config.sign_in else people} in the file), "
            "demand passwords or certificates of clients by --web.config.file, or say "
            "web.allow_unauthenticated: true in the file"
        )
    if int(port) > MAX_PORT:
        raise CannotServe(f"cannot listen on {text}: ports go up to {MAX_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(2048)
    except OSError as error:
        raise CannotServe(f"cannot listen on {text}: {_listen_words(error)}") from None
    except UnicodeError:  # a host that no DNS name can be
        raise CannotServe(f"cannot listen on {text}: {host!r} is no host") from None
    listener.setblocking(False)
    return listener


def _listen_words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host cannot be resolved ({error.strerror})"
    hint = _LISTEN_HINTS.get(error.errno or 0)
    return f"{error.strerror}; {hint}" if hint else os_error_words(error)


def _on_signal(number: int, do: Callable[[], object]) -> None:
    asyncio.get_running_loop().add_signal_handler(number, do)
