"""The endpoints that Prometheus and its family expect: /-/healthy, /-/ready, /-/reload, /metrics.

/metrics has amproxy's own counters, and gauges read from Redis and the roster at each scrape.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from zlib import crc32

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from amproxy import ALERTMANAGER_VERSION, __version__, clock, metrics, timeouts
from amproxy.calendars import keeper
from amproxy.calendars.trouble import load_troubles
from amproxy.clock import utc
from amproxy.correlate import heartbeats
from amproxy.errors import ConfigError, StoreUnavailable
from amproxy.grouping import maintenance
from amproxy.grouping.silences import display_state
from amproxy.oncall.reachable import assess_reachability
from amproxy.oncall.roster import Roster
from amproxy.store import deliveries, groups, health, incidents, outbox
from amproxy.store.health import probe_write
from amproxy.store.replicas import Replica, differ_since, load_replicas
from amproxy.store.wire import RedisRefused
from amproxy.text import load_texts, phrase
from amproxy.text.render import render_phrase
from amproxy.web.http.api import operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import set_audit_phrase

READY_TIMEOUT = 1.0  # seconds for Redis to answer
WEEK = timedelta(days=7)
INSTANT = timedelta(seconds=1)
# The dead man's switch counts as silent after so many missed calls and seconds more: another
# replica may be taking over.
MAX_MISSED_CALLS = 3
GRACE_SECONDS = 30.0
# A change takes its way: a ConfigMap reaches the nodes one after the other.
MISMATCH_SECONDS = 60.0
# Seconds that the number of alerts is cached, because every alert is looked at: so long at least,
# and so many times as long as it took to count them.
ALERTS_AGE, ALERTS_EASE = 15.0, 200.0
UNCOVERED_AGE = 60.0  # seconds that a week's gaps are cached: they cost milliseconds per schedule

# Metric → help text, of all families that a scrape reads.
_HELP = {
    "amproxy_build_info": "1, with the version of amproxy.",
    "alertmanager_build_info": "1, with the version of Alertmanager whose API is spoken.",
    # Under Alertmanager's names, for its mixin: rules and dashboards that are there already.
    "alertmanager_alerts": "Alerts that fire, by state.",
    "alertmanager_silences": "Silences by state.",
    "alertmanager_cluster_members": "Replicas that live, this one included.",
    "alertmanager_cluster_failed_peers": "0: replicas share Redis, and one that died is none.",
    "alertmanager_config_hash": "A number for the text of the file in force.",
    "alertmanager_config_last_reload_successful": "Whether the last load of the file was good.",
    "alertmanager_config_last_reload_success_timestamp_seconds": "When the file was last loaded.",
    "process_start_time_seconds": "When the process was started.",
    "amproxy_incidents": "Incidents by state.",
    "amproxy_outbox_depth": "Messages that wait.",
    "amproxy_maintenance_open": "1 while a maintenance window is open.",
    "amproxy_heartbeat_age_seconds": "Time since the last beat.",
    "amproxy_calendar_trouble": "1 while a calendar is not read, is empty or is not read whole.",
    "amproxy_calendar_age_seconds": "Time since the calendar was last good.",
    "amproxy_ready": "1 while /-/ready is 200: a write succeeds and all parts of the process run.",
    "amproxy_config_digest_mismatch": (
        "1 where replicas have had different files in force for more than a minute."
    ),
    "amproxy_redis_up": "Whether Redis answers and takes writes.",
    "amproxy_user_reachable": "Whether a page can arrive at a person.",
    "amproxy_contact_up": "Whether the last delivery arrived.",
    "amproxy_dead_mans_switch_last_beat_timestamp_seconds": ("When it was last called; 0 = never."),
    "amproxy_dead_mans_switch_up": "1 while the dead man's switch is called: all is well.",
    "amproxy_on_call": "1 for each person on call.",
    "amproxy_warning": "1 while something about Redis or the clock needs attention.",
    "amproxy_clock_jump_seconds": "How far the system's clock is ahead after a jump; 0 = no jump.",
    "amproxy_redis_clock_difference_seconds": "How far Redis' clock is ahead of this machine's.",
    "amproxy_uncovered_seconds": "Time without anybody in the next 7 days.",
}


class ManagementApi:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    @operation("service", "GET /-/healthy", "isHealthy", "Whether the process runs")
    async def healthy(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("OK")

    @operation("service", "GET /-/ready", "isReady", "Whether a push can be stored; 503 while not")
    async def ready(self, request: Request) -> PlainTextResponse:
        """Answer 503 and the reason while a push could not be stored, or would not be told."""
        context = self._deps.context
        try:
            async with timeouts.limit(READY_TIMEOUT):
                await probe_write(context.wire, context.now())
        except TimeoutError:
            return _not_ready("Redis is away: it does not answer in time")
        except StoreUnavailable as error:
            refused = isinstance(error, RedisRefused)
            reason = f"Redis takes no writes: {error}" if refused else str(context.wire.away)
            return _not_ready(reason)
        for warning in context.warnings:
            if warning.kind == "old_redis":
                return _not_ready(render_phrase(warning.phrase, load_texts("en")))
        if self._deps.ready():
            return PlainTextResponse("OK")
        # A part that has not begun waits for the start.
        reasons = {name: why for name, why in sorted(self._deps.stopped.items()) if why}
        if not reasons:
            return _not_ready("still starting")
        parts = ", ".join(f"{name} ({why})" for name, why in reasons.items())
        return _not_ready(f"not running at the moment: {parts}")

    @operation(
        "service",
        "POST /-/reload",
        "reload",
        "Read the file again; 500 where it does not load",
        errors=(500,),
    )
    async def reload(self, request: Request) -> PlainTextResponse:
        try:
            await self._deps.reload()
        except ConfigError as error:
            return PlainTextResponse(f"failed to reload config: {error}", 500)
        set_audit_phrase(request, phrase("audit.file_loaded"))
        return PlainTextResponse("OK")

    @operation("service", "PUT /-/reload", "reloadByPut", "The same", errors=(500,))
    async def reload_by_put(self, request: Request) -> PlainTextResponse:
        return await self.reload(request)


def _not_ready(reason: str) -> PlainTextResponse:
    return PlainTextResponse(reason, 503, {"Retry-After": "1"})


class ScrapedFamilies(Collector):
    """The families read for one scrape, in the order of their first value."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = GaugeMetricFamily(
                name, _HELP[name], labels=list(labels)
            )
        family.add_metric(list(labels.values()), value)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._families.values()


class Metrics:
    def __init__(self, deps: Deps) -> None:
        self._context, self._ready = deps.context, deps.ready
        # the roster they are of, the Unix time of reading, and schedule → seconds
        self._uncovered: tuple[Roster, float, dict[str, float]] | None = None
        self._alerts = dict[groups.AlertState, int]()
        self._alerts_until = 0.0  # time.monotonic(): so long they are cached
        self._started = deps.context.now()

    @operation("service", "GET /metrics", "readMetrics", "Metrics for Prometheus")
    async def show(self, request: Request) -> PlainTextResponse:
        """Answer 200 always: Redis being away is itself a metric."""
        scraped = ScrapedFamilies()
        scraped.add("amproxy_build_info", 1, version=__version__)
        scraped.add("alertmanager_build_info", 1, version=ALERTMANAGER_VERSION)
        try:
            await self._read_store(scraped)
            # Last, so that what can be read is shown while Redis refuses writes.
            await probe_write(self._context.wire, self._context.now())
            up = 1
        except StoreUnavailable:
            up = 0  # with the families that were read before
        await self._read_dead_mans_switch(scraped)
        scraped.add("amproxy_redis_up", up)
        self._read_surroundings(scraped)
        self._read_config(scraped)
        scraped.add("amproxy_ready", int(up and self._ready()))
        await self._read_roster(scraped)
        text = metrics.render(scraped)
        return PlainTextResponse(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def _read_store(self, scraped: ScrapedFamilies) -> None:
        """Raises StoreUnavailable."""
        context, wire = self._context, self._context.wire
        for (policy, state), number in (await incidents.load_counts(wire)).items():
            scraped.add("amproxy_incidents", number, policy=policy, state=state)
        for channel, depth in (await outbox.load_depths(wire)).items():
            scraped.add("amproxy_outbox_depth", depth, channel=channel)
        replicas = await load_replicas(wire)
        await self._read_as_alertmanager(scraped, replicas)
        differing = differ_since(replicas)
        mismatch = differing is not None and context.now() - differing > MISMATCH_SECONDS
        scraped.add("amproxy_config_digest_mismatch", int(mismatch))
        await self._read_contacts(scraped)
        for name, is_open in (await self._window_states()).items():
            scraped.add("amproxy_maintenance_open", is_open, window=name)
        for name, age in (await heartbeats.heartbeat_ages(context)).items():
            scraped.add("amproxy_heartbeat_age_seconds", age, heartbeat=name)
        for schedule, age in (await keeper.calendar_ages(context)).items():
            scraped.add("amproxy_calendar_age_seconds", age, schedule=schedule)
        troubled = {one.schedule for one in await load_troubles(context)}
        for name, known in context.config.schedules.items():
            if known.ical:
                scraped.add("amproxy_calendar_trouble", name in troubled, schedule=name)

    async def _read_as_alertmanager(
        self, scraped: ScrapedFamilies, replicas: Sequence[Replica]
    ) -> None:
        """Raises StoreUnavailable."""
        context, now = self._context, self._context.now()
        if time.monotonic() >= self._alerts_until:
            began = time.monotonic()
            self._alerts = await groups.count_alerts(context.wire, int(now * 10**9))
            ended = time.monotonic()
            self._alerts_until = ended + max(ALERTS_AGE, ALERTS_EASE * (ended - began))
        for alert_state, number in self._alerts.items():
            scraped.add("alertmanager_alerts", number, state=alert_state)
        silences = (await context.silences.all(context.wire)).values()
        states = Counter(display_state(silence, int(now * 10**9)) for silence in silences)
        for state in ("active", "pending", "expired"):
            scraped.add("alertmanager_silences", states[state], state=state)
        scraped.add("alertmanager_cluster_members", max(1, len(replicas)))
        scraped.add("alertmanager_cluster_failed_peers", 0)

    def _read_config(self, scraped: ScrapedFamilies) -> None:
        context = self._context
        good = context.failed_load is None
        scraped.add("alertmanager_config_last_reload_successful", int(good))
        loaded = "alertmanager_config_last_reload_success_timestamp_seconds"
        scraped.add(loaded, context.in_force_since)
        scraped.add("alertmanager_config_hash", crc32(context.config.digest.encode()))
        scraped.add("process_start_time_seconds", self._started)

    def _read_surroundings(self, scraped: ScrapedFamilies) -> None:
        active = {one.kind for one in self._context.warnings}
        for kind in health.WARNING_KINDS:
            scraped.add("amproxy_warning", kind in active, kind=kind)
        scraped.add("amproxy_clock_jump_seconds", clock.steady.jump)
        if (difference := self._context.clock_difference) is not None:
            scraped.add("amproxy_redis_clock_difference_seconds", difference)

    async def _read_contacts(self, scraped: ScrapedFamilies) -> None:
        outcomes = await deliveries.load_contact_outcomes(self._context.wire)
        for user, person in assess_reachability(self._context.config, outcomes).items():
            scraped.add("amproxy_user_reachable", person.reachable, user=user)
            for contact in person.contacts:
                if contact.state != "untried":
                    up = contact.state == "works"
                    scraped.add("amproxy_contact_up", up, user=user, channel=contact.channel)

    async def _window_states(self) -> dict[str, int]:
        """Name → 1 if open, else 0, of maintenance windows that are not over.

        Two windows made in the web interface may share a name: one of them open means 1.
        """
        context, now = self._context, self._context.now()
        by_hand = await context.windows.all(context.wire)
        intervals = context.config.time_intervals
        states = {
            window.name: 0
            for window in context.open_windows.all(by_hand)
            if maintenance.window_state(window, intervals, utc(now)) != "expired"
        }
        return states | {
            opening.window.name: 1 for opening in context.open_windows.open_now(by_hand, now)
        }

    async def _read_dead_mans_switch(self, scraped: ScrapedFamilies) -> None:
        switch = self._context.config.dead_mans_switch
        if switch is None:
            return
        up = False
        with contextlib.suppress(StoreUnavailable):
            last = await health.load_dead_mans_switch(self._context.wire)
            patience = MAX_MISSED_CALLS * switch.every + GRACE_SECONDS
            up = last.up and self._context.now() - last.at <= patience
            scraped.add("amproxy_dead_mans_switch_last_beat_timestamp_seconds", last.at)
        scraped.add("amproxy_dead_mans_switch_up", int(up))

    async def _read_roster(self, scraped: ScrapedFamilies) -> None:
        roster, now = self._context.roster, utc(self._context.now())
        for schedule in roster.config.schedules:
            for user in roster.shifts(schedule, now, now + INSTANT)[0].users:
                scraped.add("amproxy_on_call", 1, schedule=schedule, user=user)
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        for schedule, seconds in (await self._uncovered_seconds(roster)).items():
            scraped.add("amproxy_uncovered_seconds", seconds, schedule=schedule)

    async def _uncovered_seconds(self, roster: Roster) -> dict[str, float]:
        """Schedule → seconds without anybody on call in the next week; cached for UNCOVERED_AGE."""
        now = self._context.now()
        if self._uncovered:
            cached_roster, read_at, cached = self._uncovered
            if cached_roster is roster and 0 <= now - read_at < UNCOVERED_AGE:
                return cached
        uncovered = {}
        for schedule in roster.config.schedules:
            uncovered[schedule] = roster.gap_seconds(schedule, utc(now), utc(now) + WEEK)
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        self._uncovered = roster, now, uncovered
        return uncovered
