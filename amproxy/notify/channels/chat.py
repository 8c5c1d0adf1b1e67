"""The common part of chats that take each message of a receiver as one POST of JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from amproxy import offload
from amproxy.notify.alertmanager_payload import go_json
from amproxy.notify.channels.http import TIMEOUT, RemoteResponse
from amproxy.notify.channels.receiver import EventChannel, reveal_secret
from amproxy.notify.channels.text import (
    clean_text,
    clip_text,
    entry_lines,
    is_link_url,
    one_line,
)
from amproxy.notify.message import Card
from amproxy.secret import Secret

# Statuses after which a page is tried again, whatever Alertmanager does: a group that was refused
# is told anew at its next flush, a page is not.
_RETRIED_PAGES: Final = frozenset((408, 425, 429))
# Characters. What is shorter in the path of a webhook's address is a word of it, and no secret.
_SHORTEST_TOKEN: Final = 16
_LONGEST_TITLE, _LONGEST_TEXT = 250, 2000  # characters; the second once more for a bundle's list


class ChatChannel(EventChannel):
    """A chat. An incident is told of when it begins, and when it is over."""

    # Besides 5xx: the statuses after which Alertmanager tries to tell of a group again.
    retried: frozenset[int] = frozenset()

    async def _post(
        self,
        settings: Any,
        card: Card,
        url: str,
        body: Any,
        *,
        within: float = TIMEOUT,
        headers: Mapping[str, str] | None = None,
    ) -> RemoteResponse:
        """POST the card's message and return the response, a 2xx. Raises DeliveryError.

        body: bytes, or what is to be JSON.
        """
        if not isinstance(body, bytes):
            # the text may name every alert
            body = await offload.run(len(card.alerts), go_json, body) + b"\n"
        return await self._ask(
            settings,
            url,
            retried=self.retried if card.kind == "group" else self.retried | _RETRIED_PAGES,
            within=within,
            content=body,
            headers={"Content-Type": "application/json", **(headers or {})},
        )


class IncomingWebhookChannel(ChatChannel):
    """A chat behind an address that is a secret: `webhook_url`, or the file `webhook_url_file`."""

    def destination(self, settings: Any) -> str:
        """The address. Raises DeliveryError."""
        url = reveal_secret(
            self.service, "webhook_url", settings.webhook_url, settings.webhook_url_file
        )
        _hide_tokens(url)
        return url


def _hide_tokens(url: str) -> None:
    """Keep the secret parts of an address out of every log: who refuses it may quote its path."""
    _, *pieces = re.split("[/?&=#]", url.partition("://")[2])
    for piece in pieces:
        if len(piece) >= _SHORTEST_TOKEN:
            Secret(piece)


def own_title(card: Card) -> str:
    """The title of an incident or a bundle, where the file leaves it out; of a group ""."""
    return "" if card.kind == "group" else one_line(card.title, _LONGEST_TITLE) or "(no title)"


def own_text(card: Card) -> str:
    """The text of an incident or a bundle, and the address of its page; of a group "".

    It is as long as every chat takes.
    """
    if card.kind == "group":
        return ""
    text = clip_text(clean_text(card.text[: _LONGEST_TEXT * 8]), _LONGEST_TEXT)
    entries = (one.text for one in entry_lines(card, _LONGEST_TEXT))
    return "\n".join(filter(None, (text, *entries, own_link(card))))


def own_link(card: Card) -> str:
    """The address of the page of an incident or a bundle; of a group ""."""
    return card.url if card.kind != "group" and is_link_url(card.url) else ""


def without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are not empty."""
    return {key: value for key, value in values.items() if value}
