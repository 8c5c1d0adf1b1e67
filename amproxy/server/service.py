"""The ASGI application: push doors on a path of their own, everything else on Starlette.

One process of the service: its parts made, started in order, and ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Coroutine
from typing import Any

from starlette.types import ASGIApp

from amproxy import metrics
from amproxy.accept.body import Receive, Scope, Send
from amproxy.accept.push import HEARTBEAT_PATH, V2_ALERTS_PATH, WEBHOOK_PATH, PushEndpoints, send_method_not_allowed
from amproxy.apply import apply_event
from amproxy.calendars.keeper import CalendarKeeper
from amproxy.config.loader import LoadedConfig, load
from amproxy.context import Context, FailedConfigLoad
from amproxy.correlate import heartbeats, muting
from amproxy.correlate.regroup import regroup_all
from amproxy.engine.auditor import run_auditor
from amproxy.engine.dead_mans_switch import DeadMansSwitchLoop
from amproxy.engine.worker import run_worker
from amproxy.errors import ConfigError, ConfigProblem, StoreUnavailable
from amproxy.machine.draft import new_id
from amproxy.machine.events import Event
from amproxy.model import Incident
from amproxy.notify.channels import Channel
from amproxy.notify.channels.console import Console, ConsoleChannel
from amproxy.notify.channels.email.channel import EmailChannel
from amproxy.notify.channels.slack.channel import SlackChannel
from amproxy.notify.channels.telegram.channel import TelegramChannel
from amproxy.notify.channels.telegram.updates import TelegramPollers
from amproxy.notify.channels.webhook import AlertmanagerChannel, WebhookChannel
from amproxy.notify.message import Action, Press
from amproxy.notify.worker import DeliveryWorker
from amproxy.respond.actions import handle_press
from amproxy.respond.links import SignedLinks
from amproxy.server.address import Address
from amproxy.shifts import record
from amproxy.shifts.record import record_all_schedules
from amproxy.store import calendars, keys, schedule_changes
from amproxy.store.commit import Operations
from amproxy.store.leases import LeaseStore, load_signing_key
from amproxy.store.wire import Wire
from amproxy.web.http.live import LiveHub


class App:
    """Dispatches by path before any framework is asked: a push costs a third less that way."""

    def __init__(self, doors: PushEndpoints, web: ASGIApp) -> None:
        self._doors, self._web = doors, web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            if method == "POST" and path.rstrip("/") == V2_ALERTS_PATH:
                await self._doors.raw(scope, receive, send)
                return
            if path.startswith(WEBHOOK_PATH):
                await (
                    self._doors.webhook(scope, receive, send) if method in ("POST", "PUT") else send_method_not_allowed(send, "POST, PUT")
                )
                return
            if path.startswith(HEARTBEAT_PATH):
                await (
                    self._doors.heartbeat(scope, send) if method in ("GET", "POST", "HEAD") else send_method_not_allowed(send, "GET, POST")
                )
                return
        await self._web(scope, receive, send)


log = logging.getLogger(__name__)

STARTUP_WAIT = 10.0  # seconds that a start waits for Redis before it serves without it (answering 503)
SHUTDOWN_WRITE_TIMEOUT = 2.0  # seconds that an end waits for the shifts to be written


class Service:
    """`start`, then the doors and pages work; `stop` ends all of it."""

    def __init__(self, loaded: LoadedConfig, redis_url: str, *, address: Address) -> None:
        self._address = address
        self._name = new_id()
        self.wire = Wire(redis_url)
        self.context = Context(loaded.config, self.wire)
        self.context.external_url = address.url(loaded.config.web.external_url)
        self.doors = PushEndpoints(self.context)
        self.hub = LiveHub()
        self.console = Console(sys.stderr.write)
        self.links: SignedLinks | None = None
        self.ready = False
        self._channels: dict[str, Channel] = {
            channel.name: channel
            for channel in (
                TelegramChannel(),
                SlackChannel(),
                EmailChannel(),
                WebhookChannel(),
                AlertmanagerChannel(),
                ConsoleChannel(self.console.write, colours=sys.stderr.isatty()),
            )
        }
        self._beat = DeadMansSwitchLoop(self.context, self._name, lambda: self.ready)
        self._calendars = CalendarKeeper(self.context, self._name)
        self._pollers = TelegramPollers(LeaseStore(self.wire), self._press)
        self._tasks: set[asyncio.Task[None]] = set()
        _report_load(loaded)

    async def start(self) -> None:
        """Serve; work begins as soon as Redis answers."""
        await asyncio.wait([self._spawn(self._guarded(self._begin()))], timeout=STARTUP_WAIT)

    async def stop(self) -> None:
        if self.ready:
            with contextlib.suppress(StoreUnavailable, TimeoutError):  # then the next start writes what is missing
                async with asyncio.timeout(SHUTDOWN_WRITE_TIMEOUT):
                    await record_all_schedules(self.context)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pollers.close()
        await self._beat.close()
        await self._calendars.close()
        for channel in self._channels.values():
            await channel.close()
        await self.wire.close()

    async def reload(self, *, told: bool = True, asked: bool = True) -> None:
        """Load the file anew and use it. Raises ConfigError; then the running configuration goes on.

        told: tell the other processes to do so as well. asked: somebody asked this process; False = another one told it.
        """
        try:
            loaded = load(self.context.config.path)
            self._stay_closed(loaded)
        except ConfigError as error:
            metrics.reload_successful.set(0)
            self.context.refused = FailedConfigLoad(self.context.now(), tuple(error.problems))
            raise
        self.context.use(loaded.config)
        self.context.external_url = self._address.url(loaded.config.web.external_url)
        self._pollers.use(loaded.config)
        _report_load(loaded)
        await self._load_calendars()
        await self._rebuild(asked=asked)
        await self._watch()
        log.info("loaded %s", loaded.config.path)
        if told:
            with contextlib.suppress(StoreUnavailable):
                await self.wire.call("PUBLISH", keys.CHANGES, f"config {self._name}")

    def _stay_closed(self, loaded: LoadedConfig) -> None:
        """What would be refused at a start is refused at a reload too. Raises ConfigError."""
        config = loaded.config
        if self._address.open_to(signing_in=config.sign_in is not None, allowed=config.web.allow_unauthenticated):
            text = "without sign_in, everybody who reaches amproxy could act, and it does not listen on loopback"
            raise ConfigError([ConfigProblem(text, file=config.path)])

    async def test_alert(self) -> str:
        """Send a test alert by the ordinary road; says what was sent. Raises StoreUnavailable."""
        await self.doors.trial()
        return "A test alert is on its way."

    def sign(self, incident: str, action: Action, epoch: int, user: str, argument: str) -> str:
        """The URL of a signed button."""
        assert self.links is not None
        return f"{self.context.external_url}/act/{self.links.sign(incident, action, epoch, user, argument)}"

    async def _begin(self) -> None:
        self.wire.open()
        await self.wire.connected()
        self.links = SignedLinks(await load_signing_key(self.wire))
        await self._load_by_hand()
        await self._load_calendars()
        await self._rebuild()
        await self._watch()
        deliverer = DeliveryWorker(self.context, self._channels, self.sign, self._apply)
        self._pollers.use(self.context.config)
        for part in (
            run_worker(self.context),
            deliverer.run(),
            run_auditor(self.context, self._name),
            record.run_recorder(self.context),
            self._beat.run(),
            self._calendars.run(),
            self.wire.subscribe(keys.CHANGES, self._heard),
        ):
            self._spawn(self._guarded(part))
        self.ready = True

    def _spawn(self, part: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(part)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except Exception:
            # a part that ends is a defect that must not go unseen: the process stops being ready, and its supervisor starts it anew
            metrics.unexpected_errors.labels("service").inc()
            log.critical("a part of the service ended", exc_info=True)
            self.ready = False

    async def _watch(self) -> None:
        """Set the timers that the file asks for."""
        with contextlib.suppress(StoreUnavailable):  # the auditor, the next start or the next beat sets them
            await heartbeats.schedule_heartbeat_timers(self.context)
            await muting.schedule_window_timers(self.context)

    async def _rebuild(self, *, asked: bool = False) -> None:
        """Where the file has changed, or somebody asked for a reload: that restarts the groups' intervals in any case."""
        digest = self.context.config.digest
        try:
            if not asked and await self.wire.call("GET", keys.DIGEST) == digest.encode():
                return
            moved = await regroup_all(self.context)
            await self.wire.call("SET", keys.DIGEST, digest)
        except StoreUnavailable:
            log.warning("alerts stay in their groups until the file is loaded anew: Redis is away")
            return
        if moved:
            log.info("%s alerts moved to other groups", moved)

    async def _apply(self, incident_id: str, event: Event, operations: Operations) -> Incident:
        return await apply_event(self.context, incident_id, event, operations)

    async def _press(self, pressed: Press) -> str:
        return await handle_press(self.context, pressed)

    async def _load_by_hand(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # the next change, or the next start, brings it
            await self.context.load_by_hand()

    async def _load_calendars(self) -> None:
        """Before anything is decided by them; but one that takes long to work out keeps nobody waiting for its end."""
        await asyncio.wait([self._spawn(self._guarded(self._calendars.load()))], timeout=STARTUP_WAIT)

    def _heard(self, what: str) -> None:
        """Another process (or this one) has changed something."""
        kind, _, rest = what.partition(" ")
        if kind in schedule_changes.SCHEDULE_CHANGED:
            self._spawn(self._load_by_hand())
        elif kind == calendars.CALENDAR_CHANGED:
            self._spawn(self._calendars.heard(rest))
        elif kind == "config" and rest != self._name:
            self._spawn(self._reload_heard())
        self.hub.say(what)

    async def _reload_heard(self) -> None:
        try:
            await self.reload(told=False, asked=False)
        except ConfigError as error:
            log.error("not loaded: %s", error)


def _report_load(loaded: LoadedConfig) -> None:
    metrics.reload_successful.set(1)
    metrics.reload_time.set_to_current_time()
    receivers = loaded.config.receivers.values()
    metrics.undeliverable.set(sum(bool(integration.undeliverable) for receiver in receivers for integration in receiver.integrations))
    for warning in loaded.warnings:
        log.warning("%s (%s)", warning, warning.kind)
