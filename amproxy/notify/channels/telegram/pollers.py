"""One poller for each Telegram bot that the configuration names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from amproxy import metrics
from amproxy.config.structs import Config, TelegramSettings
from amproxy.notify.channels.press import OnPress
from amproxy.notify.channels.telegram.updates import PollState, TelegramPoller

log = logging.getLogger(__name__)

AGAIN = 5.0  # seconds after an unexpected error


class Pollers:
    """`use` a configuration: its bots are polled from then on, and no others."""

    def __init__(self, state: PollState, press: OnPress) -> None:
        self._state, self._press = state, press
        self._tasks: dict[tuple[str, str, str], asyncio.Task[None]] = {}

    def use(self, config: Config) -> None:
        wanted = {_bot(settings): settings for settings in _bots(config)}
        for bot in self._tasks.keys() - wanted.keys():
            self._tasks.pop(bot).cancel()
        for bot in wanted.keys() - self._tasks.keys():
            self._tasks[bot] = asyncio.create_task(self._poll(wanted[bot]))

    async def _poll(self, settings: TelegramSettings) -> None:
        while True:
            try:
                await TelegramPoller(settings, self._state, self._press).run()
            except Exception:
                # a defect must not make every button dead for ever: it is counted, and polling begins anew
                metrics.unexpected_errors.labels("respond").inc()
                log.exception("polling Telegram failed unexpectedly")
                await asyncio.sleep(AGAIN)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _bots(config: Config) -> Iterator[TelegramSettings]:
    everyone = [config.global_.telegram]
    for receiver in config.receivers.values():
        everyone += [integration.settings for integration in receiver.integrations if integration.kind == "telegram"]
    for settings in everyone:
        if isinstance(settings, TelegramSettings) and (settings.bot_token or settings.bot_token_file):
            yield settings


def _bot(settings: TelegramSettings) -> tuple[str, str, str]:
    return settings.api_url, settings.bot_token.reveal(), settings.bot_token_file
