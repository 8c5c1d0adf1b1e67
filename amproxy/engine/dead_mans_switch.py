"""The dead man's switch: while all is well, a GET of an address that somebody outside watches.

All is well while `find_problems` finds nothing; the page of the administrator shows the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from amproxy import __version__, metrics
from amproxy.config.structs import DeadMansSwitch, HttpSettings
from amproxy.context import Context
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.log import EventLog
from amproxy.secret import reveal
from amproxy.store import health, leases, outbox
from amproxy.store.health import save_dead_mans_switch
from amproxy.store.leases import LeaseStore
from amproxy.store.wire import RedisRefused
from amproxy.text import Length, Phrase, phrase
from amproxy.text.render import in_english

if TYPE_CHECKING:
    from amproxy.notify.channels.http import HttpClients

log = EventLog(__name__)

# Seconds between two checks whether a reload has changed the switch; they cost nothing.
CONFIG_CHECK_EVERY = 1.0
CALL_TIMEOUT: Final = 10.0  # seconds
RETRY_SECONDS = 10.0  # seconds after a failure, where `every` is not shorter still
DEAD_MANS_SWITCH_CHANNEL = "dead_mans_switch"  # in amproxy_delivery_attempts_total
_SERVICE_NAME = "dead man's switch"
STORE_TIMEOUT = 5.0  # seconds for Redis to answer
TIMER_LATE_SECONDS = 60.0  # seconds that a timer may be overdue
PAGE_STUCK_SECONDS = 300.0  # seconds that a page may wait without any attempt


async def find_problems(context: Context, *, ready: bool, stopped: Iterable[str] = ()) -> list[str]:
    """The same for programs and the log, in English."""
    found = await find_problem_phrases(context, ready=ready, stopped=stopped)
    return [in_english(problem) for problem in found]


async def find_problem_phrases(
    context: Context, *, ready: bool, stopped: Iterable[str] = ()
) -> list[Phrase]:
    """The problems of Redis, timers and pages; [] = all is well.

    ready: this process's own parts run. stopped: those that do not, where they are known.
    """
    try:
        async with asyncio.timeout(STORE_TIMEOUT):
            found = await _find_store_problems(context)
    except RedisRefused as error:
        found = [phrase("health.no_writes", said=str(error))]
    except (StoreUnavailable, TimeoutError):
        found = [phrase("health.redis_away")]
        if context.wire.refused and (reason := context.wire.reason):
            found.append(phrase("health.redis_said", said=reason))
    found += [
        one.phrase
        for one in context.warnings
        if one.kind == "old_redis"  # the other warnings are of what works for now
    ]
    if ready:
        return found
    if names := ", ".join(sorted(stopped)):
        return [phrase("health.parts", names=names), *found]
    return [phrase("health.part"), *found]


async def _find_store_problems(context: Context) -> list[Phrase]:
    now, found = context.now(), list[Phrase]()
    await health.probe_write(context.wire, now)
    due = await leases.next_due(context.wire)
    if due is not None and now - due > TIMER_LATE_SECONDS:
        found.append(phrase("health.timer_late", by=Length(round(now - due))))
    waiting = await outbox.longest_wait(context.wire, now)
    if waiting > PAGE_STUCK_SECONDS:
        found.append(phrase("health.page_waits", time=Length(round(waiting))))
    return found


class DeadMansSwitchLoop:
    """The calls of all replicas: the one with the lease makes them.

    A replica whose own parts do not run leaves the lease to others.
    """

    def __init__(self, context: Context, name: str, ready: Callable[[], bool]) -> None:
        self._context, self._name, self._ready = context, name, ready
        self._client = DeadMansSwitchClient()
        self._logged = ""  # the problems that the log has

    async def run(self) -> None:
        """Call for ever; cancel to stop."""
        switch: DeadMansSwitch | None = None
        due, clock = 0.0, asyncio.get_running_loop().time
        while True:
            wanted = self._context.config.dead_mans_switch
            if wanted != switch:  # a reload, or the start
                switch, due = wanted, clock()
            if switch is not None and (now := clock()) >= due:
                well = await self.once(switch)
                due = now + (switch.every if well else min(switch.every, RETRY_SECONDS))
            await asyncio.sleep(CONFIG_CHECK_EVERY)

    async def once(self, switch: DeadMansSwitch) -> bool:
        """Call once, and log what changed. False: something is wrong, try again soon."""
        try:
            problems = await self._call_if_well(switch)
        except Exception:
            # A defect must not end the calls for ever: it is counted, and the next turn comes.
            metrics.unexpected_errors.labels("beat").inc()
            log.exception("the dead man's switch failed unexpectedly")
            return False
        if problems != self._logged:
            if problems:
                log.warning("the dead man's switch is not called", reason=problems)
            else:
                log.info("the dead man's switch is called again")
        self._logged = problems
        return not problems

    async def _call_if_well(self, switch: DeadMansSwitch) -> str:
        """Call, where all is well and no other replica does; return the problems, "" = none."""
        wire, ready = self._context.wire, self._ready()
        problems = "; ".join(await find_problems(self._context, ready=ready))
        # Longer than a turn can take, so that the lease does not change hands while all is well.
        lease = switch.every + CALL_TIMEOUT + RETRY_SECONDS
        try:
            if not ready or not await LeaseStore(wire).lease(
                DEAD_MANS_SWITCH_CHANNEL, self._name, lease
            ):
                return problems
            problems = problems or await self._call(switch)
            at = None if problems else self._context.now()
            await save_dead_mans_switch(wire, up=not problems, at=at)
        except StoreUnavailable as error:
            return problems or str(error)
        return problems

    async def _call(self, switch: DeadMansSwitch) -> str:
        """Call and count; return the error, "" = none."""
        attempts = metrics.delivery_attempts
        try:
            await self._client.call(switch, self._context.config.global_.http)
        except DeliveryError as error:
            attempts.labels(DEAD_MANS_SWITCH_CHANNEL, "failed", error.reason).inc()
            return str(error)
        attempts.labels(DEAD_MANS_SWITCH_CHANNEL, "ok", "").inc()
        return ""

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


class DeadMansSwitchClient:
    """Any 2xx is success; a redirect is not."""

    def __init__(self) -> None:
        self._clients: HttpClients | None = None  # until the first call

    async def call(self, switch: DeadMansSwitch, http: HttpSettings) -> None:
        """Make the call, within ten seconds. http: `http_config` of `global`.

        Raises DeliveryError, whose text shows no URL: the URL is the secret.
        """
        try:
            url = reveal(switch.url, switch.url_file)
        except (OSError, UnicodeError) as error:
            words = phrase(
                "failure.file_unread",
                service=_SERVICE_NAME,
                key="url_file",
                said=type(error).__name__,
            )
            raise DeliveryError(words, permanent=True) from None
        # here: most files have no switch
        from amproxy.notify.channels.http import HttpClients, response_error, send_request
        from amproxy.notify.channels.http_settings import settings_for_url

        self._clients = self._clients or HttpClients()
        response = await send_request(
            self._clients.client(settings_for_url(http, url)),
            _SERVICE_NAME,
            url,
            within=CALL_TIMEOUT,
            method="GET",
            ignore_body=True,
            headers={"User-Agent": f"amproxy/{__version__}"},
        )
        if not 200 <= response.status < 300:
            raise response_error(response, _SERVICE_NAME)

    async def close(self) -> None:
        if self._clients is not None:
            await self._clients.close()
