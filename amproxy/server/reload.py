"""Reloads of routes.yaml: one at a time, a burst of them as few, beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amproxy import metrics
from amproxy.check.lint import all_warnings
from amproxy.config.channels import contact_channels, why_contact_undeliverable
from amproxy.config.files import file_size
from amproxy.config.loader import LoadedConfig, load
from amproxy.config.parts import join_loaded, split_loaded
from amproxy.config.structs import Config
from amproxy.context import Context, FailedConfigLoad
from amproxy.errors import ConfigError, ConfigProblem, SideProcessFailed, StoreUnavailable
from amproxy.log import EventLog, WholeText
from amproxy.machine.lost_names import IncidentLoss, find_losses
from amproxy.sideprocess import SideProcess
from amproxy.store import incidents
from amproxy.text import Phrase
from amproxy.text.problems import side_process_fault
from amproxy.text.render import in_english

log = EventLog(__name__)

# Seconds from the beginning of one load to that of the next: what asks meanwhile shares it.
LOAD_INTERVAL = 0.3
DIGEST_SHOWN = 12  # characters: enough to see whether replicas have the same file
_WARNINGS_AT_ONCE = 50  # lines of the log, between which the loop has a turn


@dataclass
class _PendingLoad:
    """A load that has not begun, so that it will find the file as all who ask now have it."""

    done: asyncio.Future[ConfigError | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    publish: bool = False
    requested: bool = False


class Reloader:
    """Loads the file anew and puts it in force.

    use: puts a configuration in force, or raises ConfigError for one that may not take effect.
    follow: does what takes longer then; `requested` says that a person asked. publish: makes the
    other processes reload too.
    """

    def __init__(
        self,
        context: Context,
        *,
        use: Callable[[Config], None],
        follow: Callable[[bool], Awaitable[None]],
        publish: Callable[[], Awaitable[None]],
    ) -> None:
        self._context = context
        self._use, self._follow, self._publish = use, follow, publish
        self._process = SideProcess()
        self._pending: _PendingLoad | None = None
        self._running: asyncio.Task[None] | None = None
        self._began = -LOAD_INTERVAL

    async def reload(self, *, publish: bool = True, requested: bool = True) -> None:
        """Return once a load that began after this call has taken effect.

        Raises ConfigError; the running configuration then stays. publish: make the other processes
        reload too. requested: by a person, not by another process.
        """
        pending = self._pending = self._pending or _PendingLoad()
        pending.publish |= publish
        pending.requested |= requested
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        # whoever asked may go away; the others wait on
        error = await asyncio.shield(pending.done)
        if error is not None:
            raise error

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
        await self._process.close()

    async def _run(self) -> None:
        while self._pending is not None:
            await asyncio.sleep(self._began + LOAD_INTERVAL - time.monotonic())
            self._began = time.monotonic()
            pending, self._pending = self._pending, None
            try:
                await self._load_and_use(pending)
            except ConfigError as error:
                self._log_failure(error)
                pending.done.set_result(error)
            except Exception as error:
                # A defect, which is raised to whoever asked; the next load may go well.
                metrics.unexpected_errors.labels("reload").inc()
                log.exception("not loaded", pid=os.getpid())
                pending.done.set_exception(error)
                pending.done.exception()  # there may be nobody left who waits
            else:
                pending.done.set_result(None)
            finally:
                pending.done.cancel()  # nothing, but where this task was cancelled

    async def _load_and_use(self, pending: _PendingLoad) -> None:
        context, before = self._context, self._context.config
        try:
            loaded = await self._load(Path(context.config.path))
            self._use(loaded.config)
        except ConfigError as error:
            metrics.reload_successful.set(0)
            context.failed_load = FailedConfigLoad(context.now(), tuple(error.problems))
            raise
        report_config(context.config)
        for start in range(0, len(loaded.warnings), _WARNINGS_AT_ONCE):
            log_warnings(loaded.warnings[start : start + _WARNINGS_AT_ONCE])
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        await self._follow(pending.requested)
        with contextlib.suppress(StoreUnavailable):  # only told: the steps find others anyway
            log_losses(find_losses(context.config, await incidents.load_open(context.wire), before))
        log.info(
            "reloaded",
            file=loaded.config.path,
            digest=loaded.config.digest[:DIGEST_SHOWN],
            warnings=len(loaded.warnings),
            pid=os.getpid(),
            seconds=time.monotonic() - self._began,
        )
        if pending.publish:
            await self._publish()

    def _log_failure(self, error: ConfigError) -> None:
        """The running configuration goes on."""
        problems = error.problems
        log.error(
            "not loaded",
            file=self._context.config.path,
            problems=len(problems),
            error=WholeText("; ".join(map(str, problems))),
            pid=os.getpid(),
        )

    async def _load(self, path: Path) -> LoadedConfig:
        """The file and all warnings about it. Raises ConfigError."""
        try:
            parts = await self._process.run(_load_in_parts, path, size=file_size(path))
        except SideProcessFailed as error:
            words = Phrase("problem.unread_now", {"reason": side_process_fault(error)})
            raise ConfigError([ConfigProblem(words, file=str(path))]) from None
        return join_loaded(parts)


def report_config(config: Config) -> None:
    """Set the metrics that tell of the file that was loaded."""
    metrics.reload_successful.set(1)
    metrics.reload_time.set_to_current_time()
    report_undeliverable(config)


def report_undeliverable(config: Config) -> None:
    """Count integrations of receivers, and contacts of people, that cannot be delivered to."""
    integrations = (one for receiver in config.receivers.values() for one in receiver.integrations)
    contacts = (
        why_contact_undeliverable(config, user, channel)
        for user in config.users.values()
        for channel in contact_channels(user)
    )
    metrics.undeliverable.set(
        sum(one.undeliverable is not None for one in integrations)
        + sum(reason is not None for reason in contacts)
    )


def log_losses(losses: Iterable[IncidentLoss]) -> None:
    """Tell of open incidents that lose somebody; others are paged in their place."""
    for loss in losses:
        lost = "; ".join(map(in_english, loss.lost))
        log.warning("an open incident loses somebody", incident=loss.number, detail=lost)


def log_warnings(warnings: Iterable[ConfigProblem]) -> None:
    for warning in warnings:
        place = f"{warning.file}:{warning.line}:{warning.column}"
        log.warning("doubtful in the file", kind=warning.kind, at=place, detail=warning.message)


def _load_in_parts(path: Path) -> Iterator[Any]:
    loaded = load(path)
    yield from split_loaded(LoadedConfig(loaded.config, all_warnings(loaded)))
