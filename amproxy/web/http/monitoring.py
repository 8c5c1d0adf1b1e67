"""/-/healthy, /-/ready and /-/reload, as the Prometheus family has them: plain text.

GET /metrics: amproxy's own counters, and what only Redis and the roster know, read at each scrape.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from amproxy import __version__, metrics
from amproxy.calendars import keeper
from amproxy.clock import utc
from amproxy.correlate import heartbeats
from amproxy.errors import ConfigError, StoreUnavailable
from amproxy.grouping import maintenance
from amproxy.oncall.reachable import assess_reachability
from amproxy.oncall.roster import Roster
from amproxy.store import deliveries, health, incidents, outbox
from amproxy.web.http.deps import Deps

READY_TIMEOUT = 1.0  # seconds for Redis to answer


class ManagementApi:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            Route("/-/healthy", self.healthy, methods=["GET"]),
            Route("/-/ready", self.ready, methods=["GET"]),
            Route("/-/reload", self.reload, methods=["POST", "PUT"]),
        ]

    async def healthy(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("OK")

    async def ready(self, request: Request) -> PlainTextResponse:
        """503 while a push could not be stored."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._deps.context.wire.call("PING")
        except (StoreUnavailable, TimeoutError):
            return PlainTextResponse("Redis is away", 503, {"Retry-After": "1"})
        if not self._deps.ready():
            return PlainTextResponse("still starting", 503, {"Retry-After": "1"})
        return PlainTextResponse("OK")

    async def reload(self, request: Request) -> PlainTextResponse:
        try:
            await self._deps.reload()
        except ConfigError as error:
            return PlainTextResponse(f"failed to reload config: {error}", 500)
        return PlainTextResponse("OK")


WEEK = timedelta(days=7)
INSTANT = timedelta(seconds=1)
MAX_MISSED_CALLS = 3  # calls of the dead man's switch that may be missed before it counts as silent: another replica may be taking over
GRACE_SECONDS = 30.0  # seconds beside them
UNCOVERED_AGE = 60.0  # seconds that a sum over a week stays good: it costs milliseconds for each schedule
ALERTMANAGER_VERSION = "0.27.0"  # the version whose API we speak: tools such as karma look for it


class ScrapedFamilies(Collector):
    """Families that were read for one scrape."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, help_text: str, value: float, **labels: str) -> None:
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = GaugeMetricFamily(name, help_text, labels=list(labels))
        family.add_metric(list(labels.values()), value)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._families.values()


class Metrics:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context
        self._uncovered: tuple[Roster, float, dict[str, float]] | None = None

    def routes(self) -> list[Route]:
        return [Route("/metrics", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Always 200: that Redis is away is one of the things to say."""
        scraped = ScrapedFamilies()
        scraped.add("amproxy_build_info", "1, with the version of amproxy.", 1, version=__version__)
        scraped.add("alertmanager_build_info", "1, with the version of Alertmanager whose API is spoken.", 1, version=ALERTMANAGER_VERSION)
        await self._read_store(scraped)
        await self._read_roster(scraped)
        return Response(metrics.render(scraped), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def _read_store(self, scraped: ScrapedFamilies) -> None:
        wire, up = self._context.wire, 1
        try:
            for (policy, state), number in (await incidents.load_counts(wire)).items():
                scraped.add("amproxy_incidents", "Incidents by state.", number, policy=policy, state=state)
            for channel, depth in (await outbox.load_depths(wire)).items():
                scraped.add("amproxy_outbox_depth", "Messages that wait.", depth, channel=channel)
            await self._read_contacts(scraped)
            for name, is_open in (await self._windows()).items():
                scraped.add("amproxy_maintenance_open", "1 while a maintenance window is open.", is_open, window=name)
            for name, age in (await heartbeats.heartbeat_ages(self._context)).items():
                scraped.add("amproxy_heartbeat_age_seconds", "Time since the last beat.", age, heartbeat=name)
            for schedule, age in (await keeper.calendar_ages(self._context)).items():
                scraped.add("amproxy_calendar_age_seconds", "Time since the calendar was last good.", age, schedule=schedule)
        except StoreUnavailable:
            up = 0
        await self._read_switch(scraped)
        scraped.add("amproxy_redis_up", "Whether Redis answers.", up)

    async def _read_contacts(self, scraped: ScrapedFamilies) -> None:
        for user, found in assess_reachability(self._context.config, await deliveries.load_contact_outcomes(self._context.wire)).items():
            scraped.add("amproxy_user_reachable", "Whether a page can arrive at a person.", found.reachable, user=user)
            for contact in found.contacts:
                if contact.state != "untried":
                    up = contact.state == "works"
                    scraped.add("amproxy_contact_up", "Whether the last delivery arrived.", up, user=user, channel=contact.channel)

    async def _windows(self) -> dict[str, int]:
        """Name → whether it is open, of windows that are not over. Two made by hand may share a name."""
        context, now = self._context, self._context.now()
        by_hand = await context.windows.all(context.wire)
        known = context.openings.all(by_hand)
        found = {
            window.name: 0 for window in known if maintenance.window_state(window, context.config.time_intervals, utc(now)) != "expired"
        }
        return found | {opening.window.name: 1 for opening in context.openings.now(by_hand, now)}

    async def _read_switch(self, scraped: ScrapedFamilies) -> None:
        switch = self._context.config.dead_mans_switch
        if switch is None:
            return
        up = False
        with contextlib.suppress(StoreUnavailable):
            left = await health.load_dead_mans_switch(self._context.wire)
            up = left.up and self._context.now() - left.at <= MAX_MISSED_CALLS * switch.every + GRACE_SECONDS
            scraped.add("amproxy_dead_mans_switch_last_beat_timestamp_seconds", "When it was last called; 0 = never.", left.at)
        scraped.add("amproxy_dead_mans_switch_up", "1 while the dead man's switch is called: all is well.", int(up))

    async def _read_roster(self, scraped: ScrapedFamilies) -> None:
        roster, now = self._context.roster, utc(self._context.now())
        for schedule in roster.config.schedules:
            for user in roster.shifts(schedule, now, now + INSTANT)[0].users:
                scraped.add("amproxy_on_call", "1 for each person on call.", 1, schedule=schedule, user=user)
        for schedule, seconds in (await self._week(roster)).items():
            scraped.add("amproxy_uncovered_seconds", "Time without anybody in the next 7 days.", seconds, schedule=schedule)

    async def _week(self, roster: Roster) -> dict[str, float]:
        """Seconds without anybody on call in the next week, at most UNCOVERED_AGE old."""
        now = self._context.now()
        if self._uncovered and self._uncovered[0] is roster and 0 <= now - self._uncovered[1] < UNCOVERED_AGE:
            return self._uncovered[2]
        found = {}
        for schedule in roster.config.schedules:
            found[schedule] = roster.uncovered(schedule, utc(now), utc(now) + WEEK)
            await asyncio.sleep(0)  # a push that came in meanwhile goes first
        self._uncovered = roster, now, found
        return found
