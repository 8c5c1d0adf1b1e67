"""One process of the service: intake, pages and background loops, put together and ended."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import sys
from functools import partial
from typing import Final

from starlette.types import ASGIApp

from amproxy import __version__, metrics, offload
from amproxy.accept.answers import send_method_not_allowed
from amproxy.accept.body import Receive, Scope, Send
from amproxy.accept.doors import ENQUEUE_PATH, INTEGRATIONS_PATH, ForeignDoors
from amproxy.accept.push import (
    HEARTBEAT_PATH,
    V2_ALERTS_PATH,
    WEBHOOK_PATH,
    PushEndpoints,
)
from amproxy.apply import apply_event
from amproxy.calendars.keeper import CalendarKeeper
from amproxy.check.lint import all_warnings
from amproxy.config.channels import channel_kinds, load_name
from amproxy.config.loader import LoadedConfig
from amproxy.config.structs import Config
from amproxy.config.subscriptions import Subscription
from amproxy.context import Context
from amproxy.correlate import heartbeats, muting
from amproxy.correlate.regroup import regroup_all
from amproxy.engine.auditor import run_auditor
from amproxy.engine.dead_mans_switch import DeadMansSwitchLoop
from amproxy.engine.surroundings import Surroundings
from amproxy.engine.worker import run_worker
from amproxy.errors import ConfigError, ConfigProblem, StoreUnavailable
from amproxy.event_recorder import startup
from amproxy.log import EventLog, LogFormat, terminal
from amproxy.machine.draft import new_id
from amproxy.machine.events import Event
from amproxy.model import Incident
from amproxy.notify.alertmanager_texts import prepare_texts
from amproxy.notify.channels import Channels, Poller
from amproxy.notify.channels.console import Console, ConsoleChannel
from amproxy.notify.event_outputs import EventWriter
from amproxy.notify.message import Action, Press
from amproxy.notify.plots.plotter import Plotter
from amproxy.notify.worker import DeliveryWorker
from amproxy.respond.actions import handle_press
from amproxy.respond.links import SignedLinks
from amproxy.respond.push_devices import end_device
from amproxy.server.address import Address
from amproxy.server.parts import DELIVERY, START, TIMERS, Parts, PendingWork, Run
from amproxy.server.reload import (
    Reloader,
    log_warnings,
    report_config,
    report_undeliverable,
)
from amproxy.server.replica import ReplicaRecord
from amproxy.shifts import record
from amproxy.shifts.record import record_all_schedules
from amproxy.sideprocess import SideProcess
from amproxy.store import calendars, keys, schedule_changes, subscriptions
from amproxy.store.commit import Operations
from amproxy.store.leases import LeaseStore, load_signing_key
from amproxy.store.wire import Wire
from amproxy.text import Phrase
from amproxy.web.http.live import LiveHub

log = EventLog(__name__)

# Seconds that a start waits for Redis before it serves without it, answering 503.
STARTUP_WAIT = 10.0
SHUTDOWN_WRITE_TIMEOUT = 2.0  # seconds that a stop waits for the shifts to be recorded
REDIS_CONNECTION: Final = "Redis connection"  # the part that all others need until their end
# Names of pending work.
SCHEDULE_CHANGES: Final = "loading overrides, absences and swaps"
CALENDAR_TEXTS: Final = "loading calendars"
SUBSCRIPTIONS: Final = "loading push subscriptions"


class App:
    """Dispatch pushes by path before any framework: a push takes a third less time that way."""

    def __init__(self, endpoints: PushEndpoints, web: ASGIApp) -> None:
        self._endpoints, self._web = endpoints, web
        self._foreign_doors = ForeignDoors(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            if method == "POST" and path.rstrip("/") == V2_ALERTS_PATH:
                with offload.intake:
                    await self._endpoints.v2_alerts(scope, receive, send)
                return
            if path.startswith(WEBHOOK_PATH):
                if method in ("POST", "PUT"):
                    with offload.intake:
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
            if path.startswith(INTEGRATIONS_PATH):
                await self._foreign_doors.integration(scope, receive, send)
                return
            if path.rstrip("/") == ENQUEUE_PATH:
                await self._foreign_doors.enqueue(scope, receive, send)
                return
        await self._web(scope, receive, send)


class Service:
    """`start`, then intake and pages work; `stop` ends all of it."""

    def __init__(
        self,
        loaded: LoadedConfig,
        redis_url: str,
        *,
        address: Address,
        parts: Parts | None = None,
        log_format: LogFormat = "logfmt",
    ) -> None:
        self._address = address
        self.parts = parts or Parts()
        self._name = new_id()  # of this process, among the others that share the store
        self.wire = Wire(redis_url)
        self.context = Context(loaded.config, self.wire)
        self.context.external_url = address.url(loaded.config.web.external_url)
        self.context.replica = self._name
        # Until they run, an alert might be stored and nobody notified.
        self.parts.expect(START, TIMERS, DELIVERY)
        self.endpoints = PushEndpoints(self.context, lambda: self.parts.vital_stopped)
        self.hub = LiveHub()
        self.wire.on_change = self.hub.tell_redis
        self.console = Console(terminal(log_format))
        self._colours = log_format == "logfmt" and sys.stderr.isatty()
        self.side_process = SideProcess()  # for pages and the API
        self.links: SignedLinks | None = None
        self._pending = PendingWork()
        # The console prints on the terminal of this process, and the page shows it too.
        console = ConsoleChannel(self.console.write, colours=self._colours)
        self._channels = Channels({ConsoleChannel.name: console}, self._end_device)
        self.plotter = Plotter(self.context)  # of pages and messages
        self._load_delivery(loaded.config)
        self._dead_mans_switch = DeadMansSwitchLoop(self.context, self._name, lambda: self.ready)
        self._calendars = CalendarKeeper(self.context, self._name)
        self._surroundings = Surroundings(self.context)
        self._event_writer = EventWriter(self.context.events)
        self._replica = ReplicaRecord(self.context, self._name, address.listen)
        self._pollers: dict[str, Poller] = {}  # by channel
        self._reloader = Reloader(
            self.context,
            use=self._use_config,
            follow=self._follow_config,
            publish=self._publish_config,
        )
        self.reload = self._reloader.reload
        report_config(loaded.config)
        log_warnings(all_warnings(loaded))

    def _load_delivery(self, config: Config) -> None:
        """Import what a file's messages need. Raises ImportError."""
        self._channels.load(config)
        prepare_texts(config)

    def _use_pollers(self) -> None:
        """Poll where the file has what brings presses; a poller stays once it is made."""
        config = self.context.config
        for name, kind in channel_kinds().items():
            wanted = kind.poller and kind.receives_presses(config.global_, config.receivers)
            if wanted and name not in self._pollers:
                poller = load_name(kind.poller)(LeaseStore(self.wire), self._handle_press)
                self._pollers[name] = poller
                self.parts.keep(f"{name} poller", poller.run)
        for poller in self._pollers.values():
            poller.use(config)

    async def start(self) -> None:
        """Serve; the loops begin as soon as Redis answers."""
        metrics.start_time.set_to_current_time()
        self.parts.keep(REDIS_CONNECTION, self.wire.stay_connected)
        self.parts.keep("stalls", offload.watch_stalls)
        self.parts.keep("event recorder", self._event_writer.run)
        build_context = f"(python={platform.python_version()}, platform={sys.platform})"
        build = partial(startup, __version__, build_context)
        self.context.events.record("alertmanager_startup_event", build)
        # Without Redis the service still starts: /-/ready and pushes answer 503 until it is back.
        await asyncio.wait([self.parts.complete(START, self._begin)], timeout=STARTUP_WAIT)

    async def stop(self) -> None:
        if START not in self.parts.stopped:
            # if it fails, the next start records what is missing
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(SHUTDOWN_WRITE_TIMEOUT):
                    await self._replica.forget()
                    await record_all_schedules(self.context)
        self.endpoints.close()
        await self.parts.stop(spare=REDIS_CONNECTION)
        await self._surroundings.end()
        await self._reloader.close()
        await self.side_process.close()
        for poller in self._pollers.values():
            await poller.close()
        await self._dead_mans_switch.close()
        await self._calendars.close()
        for channel in self._channels.values():
            await channel.close()
        await self.plotter.close()
        self.context.events.record("alertmanager_shutdown_event", dict)
        await self._event_writer.close()
        await self.parts.stop()

    def _use_config(self, config: Config) -> None:
        """Put a new configuration in force. Raises ConfigError where a start would refuse it."""
        self._refuse_open_access(config)
        self._load_delivery(config)
        self.context.use_config(config)
        self.context.external_url = self._address.url(config.web.external_url)
        self._replica.use(config.digest)
        if START not in self.parts.stopped:  # else `_begin` does so
            self._use_pollers()

    async def _follow_config(self, requested: bool) -> None:
        """Do what a new configuration brings with it. requested: by a person."""
        # What Redis refuses is done as soon as it lets it: the file is in force all the same.
        await self._pending.attempt(CALENDAR_TEXTS, self._load_calendars)
        await self._pending.attempt("regrouping", partial(self._regroup, requested=requested))
        await self._pending.attempt("setting timers", self._schedule_timers)

    async def _publish_config(self) -> None:
        # without Redis the others cannot be reached; each has its own signal as well
        with contextlib.suppress(StoreUnavailable):
            await self.wire.call("PUBLISH", keys.CHANGES, f"config {self._name}")

    def _refuse_open_access(self, config: Config) -> None:
        if reason := self._address.open_access(config):
            words = Phrase("problem.open_access", {"reason": reason})
            raise ConfigError([ConfigProblem(words, file=config.path)])

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
        """Wait for Redis, load the state that decisions depend on, then start the loops.

        Raises StoreUnavailable; then it can be done again.
        """
        await self.wire.connected()
        # first, because all that follows asks for the time
        await self._surroundings.begin()
        self.context.signing_key = await load_signing_key(self.wire)
        self.links = SignedLinks(self.context.signing_key)
        # the loops come last: they must not page by a roster without overrides or calendars
        await self.context.load_schedule_changes()
        await self._load_subscriptions()
        await self._load_calendars()
        await self._regroup()
        await self._schedule_timers()
        self.context.serving_since = self.context.now()
        deliverer = DeliveryWorker(
            self.context, self._channels, self.sign, self._apply, self._name, self.plotter
        )
        loops: dict[str, Run] = {
            TIMERS: lambda: run_worker(self.context),
            DELIVERY: deliverer.run,
            "auditor": lambda: run_auditor(self.context, self._name),
            "shifts": lambda: record.run_recorder(self.context),
            "dead man's switch": self._dead_mans_switch.run,
            "calendars": self._calendars.run,
            "surroundings": self._surroundings.run,
            "replicas": self._replica.run,
            "changes": self._follow_changes,
            "pending work": self._pending.run,
        }
        for name, run in loops.items():
            self.parts.keep(name, run)
        self._use_pollers()

    @property
    def ready(self) -> bool:
        """The state in which alerts are escalated and delivered, and nothing else stands still."""
        return not self.parts.stopped

    async def _schedule_timers(self) -> None:
        """Set the timers of the file's heartbeats and maintenance windows.

        Raises StoreUnavailable.
        """
        await heartbeats.schedule_heartbeat_timers(self.context)
        await muting.schedule_window_timers(self.context)

    async def _regroup(self, *, requested: bool = False) -> None:
        """Move alerts to the groups of a changed file. Raises StoreUnavailable.

        A requested reload does so even if the file has not changed: it restarts the groups'
        intervals.
        """
        digest = self.context.config.digest
        if not requested and await self.wire.call("GET", keys.DIGEST) == digest.encode():
            return
        moved = await regroup_all(self.context)
        await self.wire.call("SET", keys.DIGEST, digest)
        if moved:
            log.info("alerts moved to other groups", alerts=moved)

    async def _apply(self, incident_id: str, event: Event, operations: Operations) -> Incident:
        return await apply_event(self.context, incident_id, event, operations)

    async def _end_device(self, gone: Subscription) -> None:
        await end_device(self.context, gone)

    async def _load_subscriptions(self) -> None:
        """Put the devices that take pushes in force. Raises StoreUnavailable."""
        await self.context.load_subscriptions()
        report_undeliverable(self.context.config)

    async def _handle_press(self, press: Press) -> str:
        return await handle_press(self.context, press)

    async def _load_calendars(self) -> None:
        """Load calendars before anything is decided by them, for STARTUP_WAIT seconds at most.

        A calendar that takes longer to parse is loaded in the background. Raises StoreUnavailable.
        """
        loading = asyncio.create_task(self._calendars.load())
        try:
            async with asyncio.timeout(STARTUP_WAIT):
                await asyncio.shield(loading)
        except TimeoutError:
            self.parts.adopt(loading)
        except asyncio.CancelledError:
            loading.cancel()
            raise

    async def _follow_changes(self) -> None:
        await self.wire.subscribe(keys.CHANGES, self._handle_change, self._load_missed_changes)

    def _load_missed_changes(self) -> None:
        """Read again what may have changed while nothing was heard."""
        self._pending.add(SCHEDULE_CHANGES, self.context.load_schedule_changes)
        self._pending.add(CALENDAR_TEXTS, partial(self._calendars.on_text_changed, ""))
        self._pending.add(SUBSCRIPTIONS, self._load_subscriptions)
        self.hub.publish("connected")

    def _handle_change(self, text: str) -> None:
        """Take over a change that another process (or this one) has published: "kind ID"."""
        kind, _, rest = text.partition(" ")
        if kind in schedule_changes.SCHEDULE_CHANGED:
            self._pending.add(SCHEDULE_CHANGES, self.context.load_schedule_changes)
        elif kind == subscriptions.SUBSCRIPTIONS_CHANGED:
            self._pending.add(SUBSCRIPTIONS, self._load_subscriptions)
        elif kind == calendars.CALENDAR_CHANGED:
            self._pending.add(
                f"{CALENDAR_TEXTS} {rest}", partial(self._calendars.on_text_changed, rest)
            )
        elif kind == "config" and rest != self._name:
            self._pending.add("loading the file", self._reload_published)
        self.hub.publish(text)

    async def _reload_published(self) -> None:
        with contextlib.suppress(ConfigError):  # which the log tells
            await self.reload(publish=False, requested=False)
