"""Slack: a message with buttons by the Web API and news in its thread, or an incoming webhook.

A webhook cannot change a message that it posted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
from msgspec.structs import replace

from amproxy.config.channels import address_digest
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http
from amproxy.notify.channels.slack.api import (
    SERVICE_NAME,
    SlackError,
    call_slack,
    post_group,
    post_webhook,
    read_slack_token,
    read_webhook_url,
    upload_picture,
)
from amproxy.notify.channels.slack.attachment import attachment_message
from amproxy.notify.channels.slack.blocks import (
    escape_mrkdwn,
    fallback_text,
    render_blocks,
    without_pictures,
)
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.channels.text import clean_text
from amproxy.notify.message import Card
from amproxy.store.outbox import RateLimit
from amproxy.text import phrase

# Seconds between messages to a channel that was sent too many: one a second, says
# docs.slack.dev/apis/web-api/rate-limits.
MESSAGE_GAP = 1.1
MESSAGE_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
GROUP_MESSAGE_GONE = MESSAGE_GONE | {"thread_not_found"}
BAD_BLOCKS = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"}
NO_DIRECT_MESSAGE = {"missing_scope", "channel_not_found"}

_USER_ID = re.compile("[UW][A-Z0-9]{2,}")


class SlackChannel:
    """Messages of a Slack app.

    ref = {"channel", "ts"}, with the channel of Slack's response.
    """

    name = "slack"
    threads = True

    def __init__(self) -> None:
        self._clients = http.HttpClients()

    def person(self, global_: Global, address: str) -> SlackSettings:
        """Settings that reach one person by the app."""
        settings: SlackSettings = global_.channels.get(self.name, SlackSettings())
        return replace(settings, channel=address, title="", text="")

    def rate_limit(self, settings: SlackSettings) -> RateLimit:
        """A channel's limit, and its app's; an incoming webhook's. Raises DeliveryError."""
        if not (settings.app_token or settings.app_token_file):
            return RateLimit((f"slack:{address_digest(read_webhook_url(settings))}",), MESSAGE_GAP)
        app = address_digest(f"{settings.app_url} {read_slack_token(settings)}")
        names = (f"slack:{app}:{address_digest(settings.channel)}", f"slack:{app}")
        return RateLimit(names, MESSAGE_GAP)

    async def send(self, settings: SlackSettings, card: Card) -> dict[str, str]:
        """Post a new message; return its ref ({} for an incoming webhook). Raises DeliveryError."""
        if card.kind == "group":
            return await self._post_group(settings)
        if not (settings.app_token or settings.app_token_file):
            payload = _content(settings, card, buttons=False) | _appearance(settings)
            await self._post_to_webhook(settings, payload)
            return {}
        if not settings.channel:
            raise DeliveryError(phrase("failure.slack_no_channel"), permanent=True)
        return await self._post(settings, settings.channel, card)

    async def edit(
        self, settings: SlackSettings, ref: dict[str, str], card: Card
    ) -> dict[str, str]:
        """Change the message of `ref` and post the card's news in its thread.

        Where the message is gone, post anew. Return the ref from now on. Raises DeliveryError.
        """
        channel, ts = ref.get("channel"), ref.get("ts")
        if not channel or not ts:
            return await self.send(settings, card)
        if card.kind == "group":
            return await self._follow_up_group(settings, channel, ts)
        changed = {"channel": channel, "ts": ts} | _content(settings, card)
        try:
            await self._call(settings, "chat.update", changed)
        except SlackError as error:
            if error.error in MESSAGE_GONE:
                return await self._post(settings, channel, card)
            raise
        if news := clean_text(card.news):
            reply = {"channel": channel, "thread_ts": ts, "text": escape_mrkdwn(news)}
            await self._call(settings, "chat.postMessage", reply | _appearance(settings))
        return {"channel": channel, "ts": ts}

    async def reply_picture(
        self, settings: SlackSettings, ref: dict[str, str], picture: bytes, text: str
    ) -> None:
        """Put a picture into the thread of a message. Raises DeliveryError."""
        channel, ts = ref["channel"], ref["ts"]
        await upload_picture(self._client(settings), settings, channel, ts, picture, text)

    async def close(self) -> None:
        await self._clients.close()

    async def _post_group(self, settings: SlackSettings) -> dict[str, str]:
        """Post a group's message as Alertmanager does; return its ref, {} of an incoming webhook.

        Raises DeliveryError.
        """
        payload = attachment_message(settings)
        if settings.channel:
            payload["channel"] = settings.channel
        body = await post_group(self._client(settings), settings, "", payload)
        channel, ts = body.get("channel"), body.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            return {}
        return {"channel": channel, "ts": ts}

    async def _follow_up_group(
        self, settings: SlackSettings, channel: str, ts: str
    ) -> dict[str, str]:
        """Change a group's first message, or reply to it, or both; return its ref.

        Where the message is gone, post anew: Alertmanager would tell nothing more of the group.
        Raises DeliveryError.
        """
        client = self._client(settings)
        payload = attachment_message(settings) | {"channel": channel}
        try:
            if settings.update_message:
                await post_group(client, settings, "chat.update", payload | {"ts": ts})
            if settings.post_updates_to_thread:
                await post_group(client, settings, "", payload | {"thread_ts": ts})
        except SlackError as error:
            if error.error in GROUP_MESSAGE_GONE:
                return await self._post_group(settings)
            raise
        return {"channel": channel, "ts": ts}

    async def _post(self, settings: SlackSettings, channel: str, card: Card) -> dict[str, str]:
        payload = {"channel": channel} | _content(settings, card) | _appearance(settings)
        try:
            body = await self._call(settings, "chat.postMessage", payload)
        except SlackError as error:
            if error.error not in NO_DIRECT_MESSAGE or not _USER_ID.fullmatch(channel):
                raise
            # Some apps may post to a person only by the channel of the direct messages.
            payload["channel"] = await self._open(settings, channel)
            body = await self._call(settings, "chat.postMessage", payload)
        if not isinstance(body.get("channel"), str) or not isinstance(body.get("ts"), str):
            raise http.unreadable_response_error(SERVICE_NAME)
        return {"channel": body["channel"], "ts": body["ts"]}

    async def _open(self, settings: SlackSettings, person: str) -> str:
        """The channel of the direct messages with a person."""
        body = await self._call(settings, "conversations.open", {"users": person})
        channel = body.get("channel")
        if not isinstance(channel, dict) or not isinstance(channel.get("id"), str):
            raise http.unreadable_response_error(SERVICE_NAME)
        return str(channel["id"])

    async def _call(
        self, settings: SlackSettings, method: str, payload: dict[str, Any]
    ) -> dict[str, Any]:
        """Call a method; a message whose blocks are refused goes out as text.

        A plain page is better than none.
        """
        client = self._client(settings)
        for simpler in _simpler_messages(payload):
            try:
                return await call_slack(client, settings, method, payload)
            except SlackError as error:
                if error.error not in BAD_BLOCKS:
                    raise
            payload = simpler
        return await call_slack(client, settings, method, payload)

    async def _post_to_webhook(self, settings: SlackSettings, payload: dict[str, Any]) -> None:
        """Post by an incoming webhook; a message whose pictures are refused goes without them."""
        client = self._client(settings)
        try:
            await post_webhook(client, settings, payload)
        except DeliveryError as error:
            blocks = without_pictures(payload["blocks"])
            if not error.permanent or len(blocks) == len(payload["blocks"]):
                raise
            await post_webhook(client, settings, payload | {"blocks": blocks})

    def _client(self, settings: SlackSettings) -> httpx.AsyncClient:
        return self._clients.client(settings.http, settings.timeout or http.TIMEOUT)


def _content(settings: SlackSettings, card: Card, *, buttons: bool = True) -> dict[str, Any]:
    """Text and blocks, with the receiver's own title and text in place of the card's."""
    if settings.title:  # its own, which says what it wants to
        card = replace(card, title=settings.title, severity="", place="")
    card = replace(card, text=settings.text or card.text)
    return {"text": fallback_text(card), "blocks": render_blocks(card, buttons=buttons)}


def _simpler_messages(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message without its pictures, then without its blocks, as far as it has them."""
    blocks = payload.get("blocks")
    if not blocks:
        return
    plainer = without_pictures(blocks)
    if len(plainer) < len(blocks):
        yield payload | {"blocks": plainer}
    yield payload | {"blocks": []}


def _appearance(settings: SlackSettings) -> dict[str, Any]:
    """The sender of a new message, and no previews of its links."""
    sender = {
        "username": settings.username,
        "icon_emoji": settings.icon_emoji,
        "icon_url": settings.icon_url,
    }
    given = {key: value for key, value in sender.items() if value}
    return {"unfurl_links": False, "unfurl_media": False} | given
