"""Updates from Telegram by long polling, which needs no public address: presses and commands.

One replica polls, by lease. The offset is stored after an update has been handled, so that a crash
repeats an update but never loses one.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from amproxy import metrics, timeouts
from amproxy.config.structs import Config
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.log import EventLog
from amproxy.notify.channels import PollState, http
from amproxy.notify.channels.telegram.channel import (
    SERVICE_NAME,
    TelegramError,
    call_telegram,
    read_telegram_token,
)
from amproxy.notify.channels.telegram.settings import TelegramSettings
from amproxy.notify.channels.text import clip_text, one_line
from amproxy.notify.message import OnPress, Press
from amproxy.repeats import Trouble

log = EventLog(__name__)

POLL_LEASE = 6.0  # seconds; a replica that dies is replaced within this time
CONFLICT_PAUSE = 3.0  # times `backoff`: another program polls, or a webhook is set
UNAUTHORIZED_PAUSE = 300.0  # times `backoff`: the token is refused
# Seconds for one press: Telegram stops waiting soon, and other presses wait behind it.
PRESS_TIMEOUT = 8.0
ANSWER_LIMIT = 200  # characters
FAILURE_TEXT = "That could not be done, try again."

# Method and payload → result. Raises DeliveryError.
CallBotApi = Callable[[str, dict[str, Any]], Awaitable[Any]]


class TelegramPollers:
    """One poller for each bot that the configuration names."""

    def __init__(self, state: PollState, press: OnPress) -> None:
        self._state, self._press = state, press
        self._pollers: dict[tuple[str, str, str], TelegramPoller] = {}
        self._changed = asyncio.Event()

    def use(self, config: Config) -> None:
        """Poll for the bots of this configuration from now on, and for no others."""
        wanted = {_bot_key(settings): settings for settings in _bots(config)}
        # A poller that stays keeps its lease.
        self._pollers = {
            bot: self._pollers.get(bot) or TelegramPoller(settings, self._state, self._press)
            for bot, settings in wanted.items()
        }
        self._changed.set()

    async def run(self) -> None:
        """Poll for ever; cancel to stop. A defect in one poller ends all, and is raised."""
        running: dict[TelegramPoller, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                for poller in running.keys() - set(self._pollers.values()):
                    running.pop(poller).cancel()
                for poller in set(self._pollers.values()) - running.keys():
                    running[poller] = asyncio.create_task(poller.run())
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait(
                        {changed, *running.values()}, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    changed.cancel()
                for task in running.values():
                    if task.done():
                        task.result()
                        raise RuntimeError("a poller has ended")
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    async def close(self) -> None:
        """Each poller ends its connections itself."""


def _bots(config: Config) -> Iterator[TelegramSettings]:
    candidates = [config.global_.channels.get("telegram")]
    for receiver in config.receivers.values():
        candidates += [one.settings for one in receiver.integrations if one.kind == "telegram"]
    for settings in candidates:
        if isinstance(settings, TelegramSettings) and (
            settings.bot_token or settings.bot_token_file
        ):
            yield settings


def _bot_key(settings: TelegramSettings) -> tuple[str, str, str]:
    return settings.api_url, settings.bot_token.reveal(), settings.bot_token_file


class TelegramPoller:
    """Polls one bot. `press` is called for each button pressed, and returns the answer to it.

    poll: seconds that Telegram may hold a request open (0 to 50). lease: seconds. backoff: base of
    the pauses after errors, in seconds.
    """

    def __init__(
        self,
        settings: TelegramSettings,
        state: PollState,
        press: OnPress,
        *,
        poll: int = 50,
        lease: float = POLL_LEASE,
        backoff: float = 1.0,
    ) -> None:
        self._settings, self._state, self._press = settings, state, press
        self._poll, self._lease, self._backoff = poll, lease, backoff
        self._holder = secrets.token_hex(8)  # of the lease
        self._leased = False  # the last attempt to take the lease went well
        self._clients = http.HttpClients()
        self._trouble = Trouble(log, "poller lost", "poller back", channel="telegram")

    async def run(self) -> None:
        """Poll while the lease is held, for ever; cancel to stop."""
        try:
            while True:
                took_over, self._leased = not self._leased, await self._take_lease()
                if self._leased:
                    if took_over:
                        log.info("poller runs in this process", channel="telegram")
                    await self._poll_while_leased()
                await asyncio.sleep(self._lease / 3)
        finally:
            await self._clients.close()

    def _name(self) -> str:
        """The bot's name in the store: one for each token, without showing it."""
        token = read_telegram_token(self._settings)
        return "telegram:" + hashlib.sha256(token.encode()).hexdigest()[:16]

    async def _take_lease(self) -> bool:
        try:
            return await self._state.lease(self._name(), self._holder, self._lease)
        except (StoreUnavailable, DeliveryError) as error:
            self._trouble.note(str(error))
            return False

    async def _poll_while_leased(self) -> None:
        polling = asyncio.create_task(self._poll_for_ever())
        try:
            while not polling.done():
                # A third of the lease, so that a renewal which is late does not lose it.
                await asyncio.wait({polling}, timeout=self._lease / 3)
                if not await self._take_lease():
                    return
        finally:
            polling.cancel()
            [outcome] = await asyncio.gather(polling, return_exceptions=True)
            if isinstance(outcome, (StoreUnavailable, DeliveryError)):
                self._trouble.note(str(outcome))
            elif isinstance(outcome, Exception):
                raise outcome

    async def _poll_for_ever(self) -> None:
        """Handle update after update, from the stored offset.

        Raises StoreUnavailable where the offset cannot be loaded or stored: polling then starts
        again from the stored one.
        """
        name = self._name()
        offset = await self._state.load_offset(name)
        while True:
            for update in await self._fetch_updates(offset):
                await handle_update(update, self._call, self._press)
                offset = update["update_id"] + 1
                await self._state.save_offset(name, offset)

    async def _fetch_updates(self, offset: int) -> list[dict[str, Any]]:
        """The next updates in order, however long Telegram cannot be reached."""
        payload: dict[str, Any] = {
            "timeout": self._poll,
            "allowed_updates": ["callback_query", "message"],
        }
        if offset:
            payload["offset"] = offset
        result: Any = None
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(DeliveryError),
            wait=self._pause,
            before_sleep=self._before_sleep,
            reraise=True,
        ):
            with attempt:
                result = await self._call("getUpdates", payload)
                if not isinstance(result, list):
                    raise http.unreadable_response_error(SERVICE_NAME)
        self._trouble.end()
        readable = (
            update
            for update in result
            if isinstance(update, dict) and isinstance(update.get("update_id"), int)
        )
        return sorted(readable, key=lambda update: int(update["update_id"]))

    async def _call(self, method: str, payload: dict[str, Any]) -> Any:
        within = http.TIMEOUT + (self._poll if method == "getUpdates" else 0)
        client = self._clients.client(self._settings.http, within)
        return await call_telegram(client, self._settings, method, payload, within=within)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TelegramError) and error.code == 409:
            return CONFLICT_PAUSE * self._backoff
        if isinstance(error, DeliveryError) and error.permanent:
            return UNAUTHORIZED_PAUSE * self._backoff
        if isinstance(error, DeliveryError) and error.retry_after is not None:
            return error.retry_after
        return wait_random_exponential(multiplier=self._backoff, max=60 * self._backoff)(state)

    def _before_sleep(self, state: RetryCallState) -> None:
        if state.outcome and (error := state.outcome.exception()):
            self._trouble.note(str(error))


async def handle_update(update: dict[str, Any], api: CallBotApi, press: OnPress) -> None:
    """Handle a press or a command, and ignore any other update.

    All errors are logged here, so that the next update gets its turn.
    """
    query, message = update.get("callback_query"), update.get("message")
    try:
        if isinstance(query, dict):
            await _answer_press(str(query["id"]), await _handle_press(query, press), api)
        elif isinstance(message, dict):
            await _answer_id_command(message, api)
    except DeliveryError as error:
        # a press handled too late to be answered is handled all the same
        too_late = isinstance(error, TelegramError) and error.says(
            "query is too old", "query id is invalid"
        )
        if not too_late:
            log.warning("an answer in Telegram was not given", error=error)
    except (KeyError, TypeError, AttributeError, ValueError):
        log.warning("Telegram sent an update of an unknown form; it is passed over")


async def _handle_press(query: dict[str, Any], press: OnPress) -> str:
    """Pass a press on and return the answer.

    The message itself is not used: it may be inaccessible.
    """
    value, person = query.get("data"), query["from"]
    if not isinstance(value, str) or not value:
        return ""
    names = (person.get("first_name"), person.get("last_name"))
    name = " ".join(filter(None, names)) or person.get("username") or ""
    pressed = Press(
        value=value, channel="telegram", account=str(person["id"]), name=one_line(str(name), 100)
    )
    try:
        async with timeouts.limit(PRESS_TIMEOUT):
            return await press(pressed)
    except (StoreUnavailable, TimeoutError) as error:
        log.warning("a press in Telegram was not acted on", error=str(error) or "too slow")
    except Exception:
        # Whatever went wrong behind the button, the person who pressed must be answered and
        # polling must go on.
        metrics.unexpected_errors.labels("respond").inc()
        log.exception("a press in Telegram was not acted on")
    return FAILURE_TEXT


async def _answer_press(query: str, text: str, api: CallBotApi) -> None:
    """Answer a press (else its button spins); a second time where the first was lost."""
    payload = {"callback_query_id": query}
    if text:
        payload["text"] = clip_text(text, ANSWER_LIMIT)
    try:
        await api("answerCallbackQuery", payload)
    except DeliveryError as error:
        # No wait before the second time: Telegram's own limit for an answer is near.
        if error.permanent or error.retry_after:
            raise
        await api("answerCallbackQuery", payload)


async def _answer_id_command(message: dict[str, Any], api: CallBotApi) -> None:
    """Answer /start and /id with the id that belongs into routes.yaml."""
    words = str(message.get("text") or "").split()
    command, _, addressee = words[0].partition("@") if words else ("", "", "")
    if command.lower() not in {"/start", "/id"}:
        return
    if addressee and addressee.lower() != str((await api("getMe", {}))["username"]).lower():
        return
    chat, kind = int(message["chat"]["id"]), message["chat"].get("type")
    label, example = "Your Telegram id", f"contacts: {{telegram: {chat}}}"
    if kind != "private":
        label, example = "The id of this chat", f"telegram_configs: [{{chat_id: {chat}}}]"
    text = (
        f"{label} is <code>{chat}</code>. "
        f"To be told of alerts here, put it in routes.yaml: <code>{example}</code>"
    )
    payload: dict[str, Any] = {"chat_id": chat, "text": text, "parse_mode": "HTML"}
    if message.get("is_topic_message"):
        payload["message_thread_id"] = message["message_thread_id"]
    await api("sendMessage", payload)
