"""The call that says that amproxy is well: a GET of an address that somebody outside watches.

The dead man's switch: while all is well, an address outside is called again and again, so that somebody notices when it is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from amproxy import __version__, metrics
from amproxy.config.structs import DeadMansSwitch, HttpSettings
from amproxy.context import Context
from amproxy.engine import health as engine_health
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.notify.channels.http import TIMEOUT, HttpClients, response_error, send_request
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.secret import reveal
from amproxy.store import health as store_health
from amproxy.store.leases import LeaseStore

_SERVICE_NAME = "dead man's switch"


class DeadMansSwitchClient:
    """Any 2xx is success; a redirect is not."""

    def __init__(self) -> None:
        self._clients = HttpClients()

    async def call(self, switch: DeadMansSwitch, http: HttpSettings) -> None:
        """Say that all is well, within ten seconds. http: `http_config` of `global`. Raises DeliveryError, whose text shows no URL."""
        try:
            url = reveal(switch.url, switch.url_file)
        except (OSError, UnicodeError) as error:
            raise DeliveryError(f"{_SERVICE_NAME}: url_file cannot be read: {type(error).__name__}", permanent=True) from None
        client = self._clients.client(settings_for_url(http, url))
        answer = await send_request(
            client, _SERVICE_NAME, url, within=TIMEOUT, method="GET", ignore_body=True, headers={"User-Agent": f"amproxy/{__version__}"}
        )
        if not 200 <= answer.status < 300:
            raise response_error(answer, _SERVICE_NAME)

    async def close(self) -> None:
        await self._clients.close()


log = logging.getLogger(__name__)

CONFIG_CHECK_EVERY = 1.0  # seconds between looks whether a reload has changed the switch; they cost nothing
RETRY_SECONDS = 10.0  # seconds after a failure, where `every` is not shorter still
DEAD_MANS_SWITCH_CHANNEL = "dead_mans_switch"  # in amproxy_delivery_attempts_total


class DeadMansSwitchLoop:
    """Of all replicas the one that holds the lease calls; one whose own parts do not run leaves the lease to others."""

    def __init__(self, context: Context, name: str, ready: Callable[[], bool]) -> None:
        self._context, self._name, self._ready = context, name, ready
        self._caller = DeadMansSwitchClient()
        self._said = ""  # what was wrong when the log last told of it

    async def run(self) -> None:
        """Call for ever; cancel to stop."""
        switch: DeadMansSwitch | None = None
        due, clock = 0.0, asyncio.get_running_loop().time
        while True:
            wanted = self._context.config.dead_mans_switch
            if wanted != switch:  # a reload; or the first look
                switch, due = wanted, clock()
            if switch is not None and clock() >= due:
                begun = clock()
                due = begun + (switch.every if await self.once(switch) else min(switch.every, RETRY_SECONDS))
            await asyncio.sleep(CONFIG_CHECK_EVERY)

    async def once(self, switch: DeadMansSwitch) -> bool:
        """One turn. False: something is wrong, and it should be looked at again soon."""
        try:
            wrong = await self._turn(switch)
        except Exception:
            # a defect must not silence the switch for ever: it is counted, and the next turn comes
            metrics.unexpected_errors.labels("beat").inc()
            log.exception("the dead man's switch failed unexpectedly")
            return False
        if wrong != self._said:
            if wrong:
                log.warning("the dead man's switch is not called: %s", wrong)
            else:
                log.info("the dead man's switch is called again")
        self._said = wrong
        return not wrong

    async def _turn(self, switch: DeadMansSwitch) -> str:
        """Call, where all is well and no other replica does; what is wrong, "" = nothing."""
        context, ready = self._context, self._ready()
        wrong = await engine_health.find_problems(context, ready=ready)
        try:
            if not ready or not await LeaseStore(context.wire).lease(
                DEAD_MANS_SWITCH_CHANNEL, self._name, switch.every + TIMEOUT + RETRY_SECONDS
            ):
                return "; ".join(wrong)
            if wrong:
                await store_health.save_dead_mans_switch(context.wire, up=False)
                return "; ".join(wrong)
            try:
                await self._caller.call(switch, context.config.global_.webhook.http)
            except DeliveryError as error:
                metrics.delivery_attempts.labels(DEAD_MANS_SWITCH_CHANNEL, "failed", error.reason).inc()
                await store_health.save_dead_mans_switch(context.wire, up=False)
                return str(error)
            metrics.delivery_attempts.labels(DEAD_MANS_SWITCH_CHANNEL, "ok", "").inc()
            await store_health.save_dead_mans_switch(context.wire, up=True, at=context.now())
        except StoreUnavailable as error:
            return "; ".join(wrong) or str(error)
        return ""

    async def close(self) -> None:
        """End its connections."""
        await self._caller.close()
