"""The services that pages and API calls share, handed to each of them at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from amproxy.context import Context
from amproxy.notify.channels.console import Console
from amproxy.notify.plots.plotter import Plotter
from amproxy.respond.links import SignedLinks
from amproxy.sideprocess import SideProcess
from amproxy.web.http.live import LiveHub

if TYPE_CHECKING:
    from amproxy.edit.sections import ConfigFileSections


@dataclass(frozen=True, kw_only=True)
class Deps:
    context: Context
    hub: LiveHub  # gets every text published on keys.CHANGES
    console: Console  # the output of ConsoleChannel
    # pushes a test alert like any other and returns a sentence about it; raises StoreUnavailable
    test_alert: Callable[[], Awaitable[str]]
    reload: Callable[[], Awaitable[None]]  # reads the file anew; raises ConfigError
    plotter: Plotter
    # a function, because the key lies in Redis: None until Redis has answered once
    links: Callable[[], SignedLinks | None] = lambda: None
    ready: Callable[[], bool] = lambda: True  # alerts are escalated and delivered already
    # parts of the process that do not run now → the reason, "" = they have not begun yet
    stopped: Mapping[str, str] = field(default_factory=dict)
    side_process: SideProcess = field(default_factory=SideProcess)  # reads and changes the file
    # path of the file → what was read of it last; nobody changes it
    sections: dict[Path, ConfigFileSections] = field(default_factory=dict)
