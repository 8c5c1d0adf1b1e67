"""What the web part is given: everything else it finds through these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from amproxy.context import Context
from amproxy.notify.channels.console import Console
from amproxy.respond.links import SignedLinks
from amproxy.web.http.live import LiveHub


@dataclass(frozen=True, kw_only=True)
class Deps:
    context: Context
    hub: LiveHub  # is told of every text published on keys.CHANGES
    console: Console  # what ConsoleChannel writes to
    test_alert: Callable[[], Awaitable[str]]  # sends one by the ordinary road, says what was sent; raises StoreUnavailable
    reload: Callable[[], Awaitable[None]]  # reads the file anew; raises ConfigError
    links: Callable[[], SignedLinks | None] = lambda: None  # None: Redis, which keeps the key, was not there yet
    ready: Callable[[], bool] = lambda: True  # whether alerts are escalated and delivered already
