"""Presses and commands from Telegram, by long polling: no public address is needed.

Of all replicas one polls, by lease. The offset is stored after an update has been handled, so that a crash repeats an update
but never loses one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from amproxy.config.structs import TelegramSettings
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.notify.channels import http
from amproxy.notify.channels.press import OnPress
from amproxy.notify.channels.telegram.api import TelegramError, call, token
from amproxy.notify.channels.telegram.telegram_updates import handle

LEASE = 6.0  # seconds; a replica that dies is replaced within this time
CONFLICT_PAUSE = 3.0  # times `backoff`: somebody else polls, or a webhook is set
HOPELESS_PAUSE = 300.0  # times `backoff`: the token is refused

log = logging.getLogger(__name__)


class PollState(Protocol):
    """What replicas share about polling one bot. Each call may raise StoreUnavailable."""

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take the lease, or prolong one's own, for so many seconds; False where another holds it."""

    async def load_offset(self, name: str) -> int:
        """The offset stored last; 0 = none."""

    async def save_offset(self, name: str, offset: int) -> None: ...


class TelegramPoller:
    """Polls one bot. `press` is told of every button pressed; what it returns answers the press.

    poll: seconds that Telegram may hold a request open (0 to 50). lease: seconds. backoff: base of the pauses after errors, in
    seconds.
    """

    def __init__(
        self, settings: TelegramSettings, state: PollState, press: OnPress, *, poll: int = 50, lease: float = LEASE, backoff: float = 1.0
    ) -> None:
        self._settings, self._state, self._press = settings, state, press
        self._poll, self._lease, self._backoff = poll, lease, backoff
        self._holder = secrets.token_hex(8)
        self._clients = http.Clients()
        self._trouble = ""  # what was complained of last, so that it is said once

    async def run(self) -> None:
        """Poll while the lease is held, for ever; ends by being cancelled."""
        try:
            while True:
                if await self._leased():
                    await self._poll_while_leased()
                await asyncio.sleep(self._lease / 3)
        finally:
            await self._clients.close()

    def _name(self) -> str:
        """The bot's name in the store: one for each token, without showing it."""
        return "telegram:" + hashlib.sha256(token(self._settings).encode()).hexdigest()[:16]

    async def _leased(self) -> bool:
        try:
            return await self._state.lease(self._name(), self._holder, self._lease)
        except (StoreUnavailable, DeliveryError) as error:
            self._complain(error)
            return False

    async def _poll_while_leased(self) -> None:
        polling = asyncio.create_task(self._poll_for_ever())
        try:
            while not polling.done():
                await asyncio.wait({polling}, timeout=self._lease / 3)
                if not await self._leased():
                    return
        finally:
            polling.cancel()
            [outcome] = await asyncio.gather(polling, return_exceptions=True)
            if isinstance(outcome, (StoreUnavailable, DeliveryError)):
                self._complain(outcome)
            elif isinstance(outcome, Exception):
                raise outcome

    async def _poll_for_ever(self) -> None:
        """Ends with StoreUnavailable where the offset cannot be loaded or stored: then it starts from the stored one."""
        name = self._name()
        offset = await self._state.load_offset(name)
        while True:
            for update in await self._updates(offset):
                await handle(update, self._call, self._press)
                offset = update["update_id"] + 1
                await self._state.save_offset(name, offset)

    async def _updates(self, offset: int) -> list[dict[str, Any]]:
        """The next updates, however long it takes to get them."""
        payload: dict[str, Any] = {"timeout": self._poll, "allowed_updates": ["callback_query", "message"]}
        if offset:
            payload["offset"] = offset
        result: Any = None
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(DeliveryError), wait=self._pause, before_sleep=self._before_sleep, reraise=True
        ):
            with attempt:
                result = await self._call("getUpdates", payload)
                if not isinstance(result, list):
                    raise http.nonsense("Telegram")
        self._trouble = ""
        known = (update for update in result if isinstance(update, dict) and isinstance(update.get("update_id"), int))
        return sorted(known, key=lambda update: int(update["update_id"]))

    async def _call(self, method: str, payload: dict[str, Any]) -> Any:
        within = http.TIMEOUT + (self._poll if method == "getUpdates" else 0)
        return await call(self._clients.client(self._settings.http, within), self._settings, method, payload, within=within)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TelegramError) and error.code == 409:
            return CONFLICT_PAUSE * self._backoff
        if isinstance(error, DeliveryError) and error.permanent:
            return HOPELESS_PAUSE * self._backoff
        if isinstance(error, DeliveryError) and error.retry_after is not None:
            return error.retry_after
        return wait_random_exponential(multiplier=self._backoff, max=60 * self._backoff)(state)

    def _before_sleep(self, state: RetryCallState) -> None:
        if state.outcome and (error := state.outcome.exception()):
            self._complain(error)

    def _complain(self, error: BaseException) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("Buttons pressed in Telegram do not arrive for now: %s", error)
