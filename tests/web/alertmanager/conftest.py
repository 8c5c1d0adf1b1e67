"""The API v2 served for tests (tests/support/v2/served.py)."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from amproxy.accept.push import PushEndpoints
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.server.service import App
from amproxy.store.wire import Wire
from amproxy.web.alertmanager.api import AlertmanagerApi
from tests.support.alertmanager.served import Api, config
from tests.support.redis import Redis


@pytest.fixture
def serve(redis: Redis) -> Iterator[Callable[..., Api]]:
    """Serve a configuration on a free port of loopback.

    The clock stands still at `now`, or is the real one.
    """
    ends: list[Callable[[], None]] = []

    def start(wanted: Config | None = None, now: float | None = None) -> Api:
        api, ready = Api(), threading.Event()
        api.clock = [time.time() if now is None else now]
        read = (lambda: api.clock[0]) if now is not None else time.time
        listener = socket.create_server(("127.0.0.1", 0))
        api.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        holder: list[uvicorn.Server] = []

        async def main() -> None:
            wire = Wire(redis.url)
            wire.open()
            await wire.connected()
            api.loop, api.context = (
                asyncio.get_running_loop(),
                Context(wanted or config(), wire, read),
            )
            api.context.external_url = api.url
            app = App(
                PushEndpoints(api.context),
                AlertmanagerApi(api.context, PlainTextResponse("elsewhere")),
            )
            server = uvicorn.Server(
                uvicorn.Config(
                    app,
                    lifespan="off",
                    log_config=None,
                    server_header=False,
                    timeout_graceful_shutdown=1,
                )
            )
            holder.append(server)
            ready.set()
            await server.serve(sockets=[listener])
            await wire.close()

        thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
        thread.start()

        def end() -> None:
            holder[0].should_exit = True
            thread.join(60)
            listener.close()

        assert ready.wait(60), "the server did not start"
        ends.append(end)
        return api

    yield start
    for end in ends:
        end()


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    """Served with the recorded cases' configuration and a clock that stands still.

    It does so at a time whose nanoseconds a float holds.
    """
    return serve(now=1_790_000_000.0)
