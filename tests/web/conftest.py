"""The web part on a real Redis, asked as a client would ask it: over ASGI, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from amproxy.config.loader import load
from amproxy.context import Context
from amproxy.notify.channels.console import Console
from amproxy.notify.plots.plotter import Plotter
from amproxy.respond.links import SignedLinks
from amproxy.store.wire import Wire
from amproxy.web.app import build_web_app
from amproxy.web.http.deps import Deps
from amproxy.web.http.live import LiveHub
from tests.support.redis import Redis
from tests.support.web.edited import FILE
from tests.support.web.website import BASE, CONFIG, NOW, Site


@pytest.fixture
async def site(redis: Redis) -> AsyncIterator[Site]:
    wire = Wire(redis.url)
    wire.open()
    await wire.connected()
    clock = [NOW]
    context = Context(CONFIG, wire, lambda: clock[0])
    context.external_url = "https://oncall.example.org"
    sent: list[str] = []
    errors: list[Exception] = []
    links = SignedLinks("a key that only tests know")
    deps = Deps(
        context=context,
        hub=LiveHub(),
        console=Console(lambda text: None, context.now),
        test_alert=_sender(sent),
        reload=_reloader(errors),
        links=lambda: links,
        plotter=Plotter(context),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_web_app(deps)), base_url=BASE
    ) as client:
        yield Site(context, deps, client, redis, clock, sent, errors)
    await wire.close()


def _sender(sent: list[str]) -> Callable[[], Awaitable[str]]:
    async def send() -> str:
        sent.append("TestAlert")
        return "TestAlert was sent to default."

    return send


def _reloader(errors: list[Exception]) -> Callable[[], Awaitable[None]]:
    async def reload() -> None:
        for error in errors:
            raise error

    return reload


@pytest.fixture
def routes_file(tmp_path: Path) -> Path:
    """A file that a test may change."""
    (tmp_path / "routes.yaml").write_text(FILE, "utf-8")
    return tmp_path / "routes.yaml"


@pytest.fixture
async def edits(site: Site, routes_file: Path) -> AsyncIterator[Site]:
    """The site with that file, which it can really load again."""
    site.context.use_config(load(routes_file).config)

    async def reload() -> None:
        for error in site.reload_error:
            raise error
        site.context.use_config(load(routes_file).config)

    site.deps = replace(site.deps, reload=reload)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_web_app(site.deps)), base_url=BASE
    ) as client:
        site.client = client
        yield site
