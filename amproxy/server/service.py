"""One process of the service: intake, pages and background loops, put together and ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import ASGIApp

from amproxy import metrics
from amproxy.accept.body import Receive, Scope, Send
from amproxy.accept.push import (
    HEARTBEAT_PATH,
    V2_ALERTS_PATH,
    WEBHOOK_PATH,
    PushEndpoints,
    send_method_not_allowed,
)
from amproxy.apply import apply_event
from amproxy.calendars.keeper import CalendarKeeper
from amproxy.check.lint import all_warnings
from amproxy.config.channels import channel_kinds, load_name
from amproxy.config.loader import LoadedConfig, load
from amproxy.context import Context, FailedConfigLoad
from amproxy.correlate import heartbeats, muting
from amproxy.correlate.regroup import regroup_all
from amproxy.engine.auditor import run_auditor
from amproxy.engine.dead_mans_switch import DeadMansSwitchLoop
from amproxy.engine.surroundings import Surroundings
from amproxy.engine.worker import run_worker
from amproxy.errors import ConfigError, ConfigProblem, StoreUnavailable
from amproxy.machine.draft import new_id
from amproxy.machine.events import Event
from amproxy.model import Incident
from amproxy.notify.channels import Channel, Poller
from amproxy.notify.channels.console import Console, ConsoleChannel
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

log = logging.getLogger(__name__)

# Seconds that a start waits for Redis before it serves without it, answering 503.
STARTUP_WAIT = 10.0
# Seconds before a loop that ended begins anew: at first, and at most.
RESTART_WAITS = (0.1, 5.0)
SHUTDOWN_WRITE_TIMEOUT = 2.0  # seconds that a stop waits for the shifts to be recorded


class App:
    """Dispatch pushes by path before any framework: a push takes a third less time that way."""

    def __init__(self, endpoints: PushEndpoints, web: ASGIApp) -> None:
        self._endpoints, self._web = endpoints, web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            if method == "POST" and path.rstrip("/") == V2_ALERTS_PATH:
                await self._endpoints.v2_alerts(scope, receive, send)
                return
            if path.startswith(WEBHOOK_PATH):
                if method in ("POST", "PUT"):
                    await self._endpoints.webhook(scope, receive, send)
                else:
                    await send_method_not_allowed(send, "POST, PUT")
                return
            if path.startswith(HEARTBEAT_PATH):
                if method in ("GET", "POST", "HEAD"):
                    await self._endpoints.heartbeat(scope, send)
                else:
                    await send_method_not_allowed(send, "GET, POST")
                return
        await self._web(scope, receive, send)


class Service:
    """`start`, then intake and pages work; `stop` ends all of it."""

    def __init__(self, loaded: LoadedConfig, redis_url: str, *, address: Address) -> None:
        self._address = address
        self._name = new_id()  # of this process, among the others that share the store
        self.wire = Wire(redis_url)
        self.context = Context(loaded.config, self.wire)
        self.context.external_url = address.url(loaded.config.web.external_url)
        # Loops that ended and are about to begin anew. While there is one, nothing may be promised.
        self.stopped: set[str] = set()
        self.endpoints = PushEndpoints(self.context, self.stopped)
        self.hub = LiveHub()
        self.console = Console(sys.stderr.write)
        self.links: SignedLinks | None = None
        self._begun = False
        self._channels = self._build_channels()
        self._dead_mans_switch = DeadMansSwitchLoop(self.context, self._name, lambda: self.ready)
        self._calendars = CalendarKeeper(self.context, self._name)
        self._surroundings = Surroundings(self.context)
        self._pollers = self._build_pollers()
        self._tasks: set[asyncio.Task[None]] = set()
        _report_load(loaded)

    def _build_channels(self) -> dict[str, Channel]:
        channels: dict[str, Channel] = {
            name: load_name(kind.channel)()
            for name, kind in channel_kinds().items()
            if name != ConsoleChannel.name
        }
        # The console prints on the terminal of this process, and the page shows it too.
        colours = sys.stderr.isatty()
        return channels | {ConsoleChannel.name: ConsoleChannel(self.console.write, colours=colours)}

    def _use_pollers(self) -> None:
        for poller in self._pollers:
            poller.use(self.context.config)

    def _build_pollers(self) -> list[Poller]:
        state = LeaseStore(self.wire)
        places = [kind.poller for kind in channel_kinds().values() if kind.poller]
        return [load_name(place)(state, self._handle_press) for place in places]

    async def start(self) -> None:
        """Serve; the loops begin as soon as Redis answers."""
        # Without Redis the service still starts: /-/ready and pushes answer 503 until it is back.
        await asyncio.wait([self._spawn(self._supervise(self._begin()))], timeout=STARTUP_WAIT)

    async def stop(self) -> None:
        if self._begun:
            # if it fails, the next start records what is missing
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(SHUTDOWN_WRITE_TIMEOUT):
                    await record_all_schedules(self.context)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._surroundings.end()
        for poller in self._pollers:
            await poller.close()
        await self._dead_mans_switch.close()
        await self._calendars.close()
        for channel in self._channels.values():
            await channel.close()
        await self.wire.close()

    async def reload(self, *, publish: bool = True, requested: bool = True) -> None:
        """Load the file anew and use it. Raises ConfigError; the running configuration then stays.

        publish: make the other processes reload too. requested: by a person, not by another
        process.
        """
        try:
            loaded = load(self.context.config.path)
            self._refuse_open_access(loaded)
        except ConfigError as error:
            metrics.reload_successful.set(0)
            self.context.failed_load = FailedConfigLoad(self.context.now(), tuple(error.problems))
            raise
        self.context.use_config(loaded.config)
        self.context.external_url = self._address.url(loaded.config.web.external_url)
        self._use_pollers()
        _report_load(loaded)
        await self._load_calendars()
        await self._regroup(requested=requested)
        await self._schedule_timers()
        log.info("loaded %s", loaded.config.path)
        if publish:
            # without Redis the others cannot be reached; each has its own signal as well
            with contextlib.suppress(StoreUnavailable):
                await self.wire.call("PUBLISH", keys.CHANGES, f"config {self._name}")

    def _refuse_open_access(self, loaded: LoadedConfig) -> None:
        """Refuse at a reload what a start would refuse. Raises ConfigError."""
        config = loaded.config
        signing_in, allowed = config.sign_in is not None, config.web.allow_unauthenticated
        if self._address.is_open_to_strangers(signing_in=signing_in, allowed=allowed):
            text = (
                "without sign_in, everybody who reaches amproxy could act, "
                "and it does not listen on loopback"
            )
            raise ConfigError([ConfigProblem(text, file=config.path)])

    async def test_alert(self) -> str:
        """Push a test alert like any other; return a sentence about it. Raises StoreUnavailable."""
        await self.endpoints.send_test_alert()
        return "A test alert is on its way."

    def sign(self, incident: str, action: Action, epoch: int, user: str, argument: str) -> str:
        """The URL of a signed button."""
        assert self.links is not None
        path = self.links.sign(incident, action, epoch, user, argument)
        return f"{self.context.external_url}/act/{path}"

    async def _begin(self) -> None:
        """Wait for Redis, load the state that decisions depend on, then start the loops."""
        self.wire.open()
        await self.wire.connected()
        # first, because all that follows asks for the time
        await self._surroundings.begin()
        self.links = SignedLinks(await load_signing_key(self.wire))
        # the loops come last: they must not page by a roster without overrides or calendars
        await self._load_schedule_changes()
        await self._load_calendars()
        await self._regroup()
        await self._schedule_timers()
        deliverer = DeliveryWorker(self.context, self._channels, self.sign, self._apply)
        self._use_pollers()
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "timers": lambda: run_worker(self.context),
            "delivery": deliverer.run,
            "auditor": lambda: run_auditor(self.context, self._name),
            "shifts": lambda: record.run_recorder(self.context),
            "dead man's switch": self._dead_mans_switch.run,
            "calendars": self._calendars.run,
            "surroundings": self._surroundings.run,
            "changes": lambda: self.wire.subscribe(keys.CHANGES, self._handle_change),
        }
        for name, run in loops.items():
            self._spawn(self._keep_running(name, run))
        self._begun = True

    @property
    def ready(self) -> bool:
        """The state in which alerts are escalated and delivered."""
        return self._begun and not self.stopped

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # asyncio itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_running(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a loop for ever: one that ended would page nobody any more, so it begins anew."""
        wait = RESTART_WAITS[0]
        while True:
            began = time.monotonic()
            try:
                await run()
            except Exception:
                # A defect: no error of Redis gets here. It is counted, logged and begun anew.
                metrics.unexpected_errors.labels("service").inc()
                log.critical("the loop %s ended; it begins anew", name, exc_info=True)
            if time.monotonic() - began > RESTART_WAITS[1]:
                wait = RESTART_WAITS[0]  # it had run well for long: not one more of a row
            self.stopped.add(name)
            await asyncio.sleep(wait)
            self.stopped.discard(name)
            wait = min(2 * wait, RESTART_WAITS[1])

    async def _supervise(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            # Work of the start that failed is a defect: the process does not become ready.
            metrics.unexpected_errors.labels("service").inc()
            log.critical("a part of the service failed", exc_info=True)

    async def _schedule_timers(self) -> None:
        """Set the timers of the file's heartbeats and maintenance windows."""
        # without Redis, the auditor, the next start or the next heartbeat sets them
        with contextlib.suppress(StoreUnavailable):
            await heartbeats.schedule_heartbeat_timers(self.context)
            await muting.schedule_window_timers(self.context)

    async def _regroup(self, *, requested: bool = False) -> None:
        """Move alerts to the groups of a changed file.

        A requested reload does so even if the file has not changed: it restarts the groups'
        intervals.
        """
        digest = self.context.config.digest
        try:
            if not requested and await self.wire.call("GET", keys.DIGEST) == digest.encode():
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

    async def _handle_press(self, press: Press) -> str:
        return await handle_press(self.context, press)

    async def _load_schedule_changes(self) -> None:
        # without Redis, the next change or the next start brings them
        with contextlib.suppress(StoreUnavailable):
            await self.context.load_schedule_changes()

    async def _load_calendars(self) -> None:
        """Load calendars before anything is decided by them, for STARTUP_WAIT seconds at most.

        A calendar that takes longer to parse is loaded in the background.
        """
        await asyncio.wait(
            [self._spawn(self._supervise(self._calendars.load()))], timeout=STARTUP_WAIT
        )

    def _handle_change(self, text: str) -> None:
        """Take over a change that another process (or this one) has published: "kind ID"."""
        kind, _, rest = text.partition(" ")
        if kind in schedule_changes.SCHEDULE_CHANGED:
            self._spawn(self._load_schedule_changes())
        elif kind == calendars.CALENDAR_CHANGED:
            self._spawn(self._calendars.on_text_changed(rest))
        elif kind == "config" and rest != self._name:
            self._spawn(self._reload_published())
        self.hub.publish(text)

    async def _reload_published(self) -> None:
        try:
            await self.reload(publish=False, requested=False)
        except ConfigError as error:
            log.error("not loaded: %s", error)


def _report_load(loaded: LoadedConfig) -> None:
    metrics.reload_successful.set(1)
    metrics.reload_time.set_to_current_time()
    receivers = loaded.config.receivers.values()
    integrations = [one for receiver in receivers for one in receiver.integrations]
    metrics.undeliverable.set(sum(bool(one.undeliverable) for one in integrations))
    for warning in all_warnings(loaded):
        log.warning("%s (%s)", warning, warning.kind)
