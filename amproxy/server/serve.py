"""`amproxy serve`: the socket, the private Redis, one process or several, and their orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from amproxy.accept.body import Application
from amproxy.config.loader import LoadedConfig, load
from amproxy.config.structs import Config
from amproxy.errors import AmproxyError, ConfigError
from amproxy.server import address, supervise, tls
from amproxy.server.address import Address, is_loopback
from amproxy.server.basic_auth import BasicAuth
from amproxy.server.web_config import WebConfigFile
from amproxy.store.embedded import EmbeddedRedis
from amproxy.web.http.middleware import PeerMiddleware, PrefixMiddleware, link_root

log = logging.getLogger("amproxy")

SHUTDOWN_GRACE = 5  # seconds that open requests have at the end


class CannotServe(AmproxyError):
    """The service cannot start; the text says why and what to do."""


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


def serve(options: ServeOptions) -> None:
    """Run until told to stop (SIGINT, SIGTERM). Raises CannotServe, BadAddress, ConfigError, EmbeddedFailed."""
    address.check(options.external_url, options.route_prefix)
    loaded = load(options.config)
    web_config = WebConfigFile(options.web_config) if options.web_config else None
    if options.fd >= 0:
        listener = socket.socket(fileno=options.fd)
        uvloop.run(_run_process(options, loaded, web_config, listener, options.redis))
        return
    known = web_config is not None and web_config.current().authenticates
    listener = _open_listener(loaded.config, options.listen, authenticated=known or loaded.config.sign_in is not None)
    uvloop.run(_serve_with_redis(options, loaded, web_config, listener))


async def _serve_with_redis(options: ServeOptions, loaded: LoadedConfig, web_config: WebConfigFile | None, listener: socket.socket) -> None:
    url = options.redis or loaded.config.store.redis
    if url != "embedded":
        await _run_processes(options, loaded, web_config, listener, url)
        return
    redis = EmbeddedRedis(options.data_dir, loaded.config.store.fsync)
    await redis.start()
    keeper = asyncio.create_task(redis.keep())
    try:
        await _run_processes(options, loaded, web_config, listener, redis.url)
    finally:
        keeper.cancel()
        await redis.stop()


async def _run_processes(
    options: ServeOptions, loaded: LoadedConfig, web_config: WebConfigFile | None, listener: socket.socket, url: str
) -> None:
    if options.workers == 1:
        await _run_process(options, loaded, web_config, listener, url)
        return
    listener.set_inheritable(True)
    reached, file_url = _address_of(options, web_config, listener), loaded.config.web.external_url
    await supervise.supervise(
        _worker_arguments(options, url, listener.fileno()), listener.fileno(), options.data_dir / "metrics",
        workers=options.workers, grace=2 * SHUTDOWN_GRACE, ready=lambda: _announce(reached, file_url),
    )  # fmt: skip


def _worker_arguments(options: ServeOptions, url: str, fd: int) -> list[str]:
    given = {
        "--config": options.config, "--data-dir": options.data_dir, "--redis": url, "--fd": fd, "--web.external-url": options.external_url,
        "--web.route-prefix": options.route_prefix, "--web.config.file": options.web_config or "",
    }  # fmt: skip
    return ["serve", *(f"{name}={value}" for name, value in given.items())]


async def _run_process(
    options: ServeOptions, loaded: LoadedConfig, web_config: WebConfigFile | None, listener: socket.socket, url: str
) -> None:
    """One process that serves: the only one, or a worker."""
    # imported here, because prometheus_client looks at PROMETHEUS_MULTIPROC_DIR when it is imported
    from amproxy.server.service import App, Service
    from amproxy.web.app import build_web_app
    from amproxy.web.http.deps import Deps

    worker = options.fd >= 0
    reached = _address_of(options, web_config, listener)
    service = Service(loaded, url, address=reached)
    deps = Deps(
        context=service.context, hub=service.hub, console=service.console, test_alert=service.test_alert, reload=service.reload,
        links=lambda: service.links, ready=lambda: service.ready,
    )  # fmt: skip
    context = service.context
    app: Application = PrefixMiddleware(
        App(service.doors, build_web_app(deps)),
        lambda: reached.prefix(context.config.web.external_url),
        lambda: link_root(context.external_url),
    )
    if web_config:
        app = BasicAuth(app, web_config.current)
    server = _UvicornServer(service.hub.close, _uvicorn_config(app, web_config))
    await service.start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # alerts come in by the thousand and hold no circles: a fifth less time for new ones
    # the supervisor tells each of its workers, so that they need not tell each other
    _on_signal(signal.SIGHUP, lambda: asyncio.ensure_future(_reload(service.reload, told=not worker)))
    if worker:
        supervise.on_orphaned(server.end)
    try:
        listening = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not listening.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.005)
        if worker:
            supervise.report_ready()
        else:
            _announce(reached, loaded.config.web.external_url)
        await listening
    finally:
        await service.stop()


def _uvicorn_config(app: Application, web_config: WebConfigFile | None) -> uvicorn.Config:
    speaks_tls = web_config is not None and web_config.current().tls is not None
    # what uvicorn would put around the app itself, but inside of what remembers the real peer
    forwarded: Any = ProxyHeadersMiddleware(cast("Any", app), os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"))
    return uvicorn.Config(
        PeerMiddleware(forwarded), proxy_headers=False, loop="none", http="httptools", lifespan="off", log_config=None, access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE, server_header=False, date_header=False, ws="none",
        ssl_context_factory=(lambda *_: tls.listening_context(web_config.certificates)) if web_config and speaks_tls else None,
    )  # fmt: skip


class _UvicornServer(uvicorn.Server):
    """Ends on SIGINT and SIGTERM, and lets its caller go on after that: uvicorn's own would kill the process with the signal again.

    Open pages hear of the end at once, so that a stop need not wait for them.
    """

    def __init__(self, ending: Callable[[], None], config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = ending

    def end(self) -> None:
        """Stop serving; asked again, do not wait for open requests either."""
        self._ending()
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGINT, signal.SIGTERM):
            _on_signal(number, self.end)
        yield


async def _reload(reload: Callable[..., Awaitable[None]], *, told: bool) -> None:
    try:
        await reload(told=told)
    except ConfigError as error:
        log.error("not loaded, the running configuration goes on:\n%s", error)


def _address_of(options: ServeOptions, web_config: WebConfigFile | None, listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return Address(
        listen=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        secure=web_config is not None and web_config.current().tls is not None,
        locked=web_config is not None and web_config.current().authenticates,
        external_url=options.external_url,
        route_prefix=options.route_prefix,
    )


def _announce(reached: Address, file_url: str) -> None:
    log.info('msg="Listening on" address=%s', reached.listen)
    log.info('msg="Look at the page" url=%s%s/', reached.origin, reached.prefix(file_url))


def _open_listener(config: Config, given: str, *, authenticated: bool) -> socket.socket:
    """The listening socket. Raises CannotServe."""
    text = given or config.web.listen
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdigit():
        raise CannotServe(f"{text!r} is no HOST:PORT to listen on")
    if not is_loopback(host) and not authenticated and not config.web.allow_unauthenticated:
        raise CannotServe(
            f"refusing to listen on {text}: there is no sign-in, so everybody who reaches it could act. "
            "Listen on 127.0.0.1, let people sign in (sign_in in the file), demand passwords or certificates of clients by "
            "--web.config.file, or say web.allow_unauthenticated: true in the file"
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


def _on_signal(number: int, do: Callable[[], object]) -> None:
    asyncio.get_running_loop().add_signal_handler(number, do)
