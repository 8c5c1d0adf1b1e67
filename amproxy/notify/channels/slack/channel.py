"""Slack: a message with buttons by the Web API, news in its thread; or an incoming webhook, which cannot change what it posted."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from amproxy.config.structs import Global, SlackSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http, text
from amproxy.notify.channels.slack import blocks
from amproxy.notify.channels.slack.api import SlackError, call_slack, post_webhook, read_slack_token
from amproxy.notify.message import Card

MESSAGE_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
BAD_BLOCKS = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"}
NO_DIRECT_MESSAGE = {"missing_scope", "channel_not_found"}

_USER_ID = re.compile("[UW][A-Z0-9]{2,}")


class SlackChannel:
    """Messages of a Slack app. ref = {"channel", "ts"}, the channel being the one that Slack answered with."""

    name = "slack"
    threads = True

    def __init__(self) -> None:
        self._clients = http.HttpClients()

    def person(self, global_: Global, address: str) -> SlackSettings:
        """Settings that reach one person. Raises DeliveryError (permanent) without an app token or for an address that is none."""
        read_slack_token(global_.slack)
        if not address or any(char.isspace() for char in address):
            raise DeliveryError("Slack: the contact is not a Slack member id", permanent=True)
        return msgspec.structs.replace(global_.slack, channel=address, title="", text="")

    async def send(self, settings: SlackSettings, card: Card) -> dict[str, str]:
        """Post a new message and return its ref ({} for an incoming webhook). Raises DeliveryError."""
        if not (settings.app_token or settings.app_token_file):
            await post_webhook(self._client(settings), settings, _content(settings, card, buttons=False) | _appearance(settings))
            return {}
        if not settings.channel:
            raise DeliveryError("Slack: no channel is configured", permanent=True)
        return await self._post(settings, settings.channel, card)

    async def edit(self, settings: SlackSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Change the message of `ref` and tell the card's news in its thread, or post anew where it is gone.

        Return the ref that holds now. Raises DeliveryError.
        """
        channel, ts = ref.get("channel"), ref.get("ts")
        if not channel or not ts:
            return await self.send(settings, card)
        try:
            await self._call(settings, "chat.update", {"channel": channel, "ts": ts} | _content(settings, card))
        except SlackError as error:
            if error.error in MESSAGE_GONE:
                return await self._post(settings, channel, card)
            raise
        if news := text.clean_text(card.news):
            told = {"channel": channel, "thread_ts": ts, "text": blocks.escape_mrkdwn(news)} | _appearance(settings)
            await self._call(settings, "chat.postMessage", told)
        return {"channel": channel, "ts": ts}

    async def close(self) -> None:
        await self._clients.close()

    async def _post(self, settings: SlackSettings, channel: str, card: Card) -> dict[str, str]:
        payload = {"channel": channel} | _content(settings, card) | _appearance(settings)
        try:
            answer = await self._call(settings, "chat.postMessage", payload)
        except SlackError as error:
            if error.error not in NO_DIRECT_MESSAGE or not _USER_ID.fullmatch(channel):
                raise
            payload["channel"] = await self._open(settings, channel)
            answer = await self._call(settings, "chat.postMessage", payload)
        if not isinstance(answer.get("channel"), str) or not isinstance(answer.get("ts"), str):
            raise http.unreadable_response_error("Slack")
        return {"channel": answer["channel"], "ts": answer["ts"]}

    async def _open(self, settings: SlackSettings, person: str) -> str:
        """The channel of the direct messages with a person."""
        answer = await self._call(settings, "conversations.open", {"users": person})
        channel = answer.get("channel")
        if not isinstance(channel, dict) or not isinstance(channel.get("id"), str):
            raise http.unreadable_response_error("Slack")
        return str(channel["id"])

    async def _call(self, settings: SlackSettings, method: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Call a method; a message whose blocks are refused goes out as text, because a plain page beats none."""
        try:
            return await call_slack(self._client(settings), settings, method, payload)
        except SlackError as error:
            if error.error not in BAD_BLOCKS or not payload.get("blocks"):
                raise
            return await call_slack(self._client(settings), settings, method, payload | {"blocks": []})

    def _client(self, settings: SlackSettings) -> Any:
        return self._clients.client(settings.http, settings.timeout or http.TIMEOUT)


def _content(settings: SlackSettings, card: Card, *, buttons: bool = True) -> dict[str, Any]:
    """Text and blocks; the receiver's own title and text take the place of the card's."""
    card = msgspec.structs.replace(card, title=settings.title or card.title, text=settings.text or card.text)
    return {"text": blocks.fallback_text(card), "blocks": blocks.render_blocks(card, buttons=buttons)}


def _appearance(settings: SlackSettings) -> dict[str, Any]:
    """How a new message appears: who it is from, and no previews of its links."""
    given = {"username": settings.username, "icon_emoji": settings.icon_emoji, "icon_url": settings.icon_url}
    return {"unfurl_links": False, "unfurl_media": False} | {key: value for key, value in given.items() if value}
