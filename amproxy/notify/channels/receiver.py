"""The common part of channels that serve receivers of the file only and page nobody.

Their texts come rendered: `render_settings` has filled in every field that the channel's kind names
among its `templates` before `send` sees the settings.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import quote

import httpx

from amproxy import __version__
from amproxy.config.channels import address_digest
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import (
    TIMEOUT,
    HttpClients,
    RemoteResponse,
    clean_for_log,
    parse_retry_after,
    send_request,
)
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.notify.message import Card
from amproxy.secret import Secret, hide_secrets, reveal
from amproxy.store.outbox import RateLimit
from amproxy.text import phrase

# What Go leaves as it is in a path, besides letters and digits.
_PATH_SAFE: Final = "$&+,/:;=@-_.~"
_MARKER: Final = "…"
_USER_AGENT: Final = f"amproxy/{__version__}"


class ReceiverChannel:
    """A channel without people: a message goes out anew at each change of its card."""

    name: str  # set by each channel
    service: str  # the other side's name in errors ("PagerDuty")
    threads = False

    def __init__(self) -> None:
        self._clients = HttpClients()

    def person(self, global_: Global, address: str) -> Any:
        """Nobody is paged over it."""
        words = phrase("failure.not_for_people", service=self.service)
        raise DeliveryError(words, permanent=True)

    def destination(self, settings: Any) -> str:
        """The text that tells one destination from another; it may hold secrets."""
        raise NotImplementedError

    def rate_limit(self, settings: Any) -> RateLimit:
        """The destination's, without gaps afterwards. Raises DeliveryError."""
        return RateLimit((f"{self.name}:{address_digest(self.destination(settings))}",))

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        """Send the card. Raises DeliveryError."""
        raise NotImplementedError

    async def edit(self, settings: Any, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Send the card as it is now. Raises DeliveryError."""
        return await self.send(settings, card)

    async def close(self) -> None:
        await self._clients.close()


class EventChannel(ReceiverChannel):
    """A service that keeps one event for each group, or is told of a group's beginning and end.

    An incident's message goes out anew only where the incident is over, or is open once more.
    """

    async def edit(self, settings: Any, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Tell of a change of state. Raises DeliveryError."""
        if ref == state_ref(card) or (is_resolved(card) and not settings.send_resolved):
            return ref
        return await self.send(settings, card)

    async def _ask(
        self,
        settings: Any,
        url: str,
        *,
        retried: frozenset[int] = frozenset(),
        within: float = TIMEOUT,
        **request: Any,
    ) -> RemoteResponse:
        """Send one request and return its response, a 2xx. Raises DeliveryError.

        retried: statuses besides 5xx after which Alertmanager tries again; all others are final.
        request: arguments of `send_request`.
        """
        request["headers"] = {"User-Agent": _USER_AGENT, **request.get("headers", {})}
        client = self._clients.client(settings_for_url(settings.http, url), within)
        response = await send_request(client, self.service, url, within=within, **request)
        if 200 <= response.status < 300:
            return response
        detail = hide_secrets(self._failure_words(response))
        raise status_error(self.service, response, retried, detail)

    def _failure_words(self, response: RemoteResponse) -> str:
        """The other side's own words about a failure."""
        return " ".join(response.body.decode("utf-8", "replace").split())


def status_error(
    service: str, response: RemoteResponse, retried: frozenset[int], detail: str = ""
) -> DeliveryError:
    """The error for a response that is not a success; 5xx and `retried` are worth another try.

    detail: the other side's own words, without secrets.
    """
    status = response.status
    if status == 429 or (status == 403 and status in retried):
        reason = "rate_limited"
    elif status in {401, 403}:
        reason = "auth_error"
    else:
        reason = "server_error" if status >= 500 else "client_error"
    words = phrase("failure.status", service=service, status=status)
    if detail:
        said = clean_for_log(detail)
        words = phrase("failure.status_said", service=service, status=status, said=said)
    return DeliveryError(
        words,
        permanent=status < 500 and status not in retried,
        reason=reason,
        retry_after=parse_retry_after(response.headers.get("retry-after")),
        # 504: a gateway waited in vain for the one that may have the message
        ambiguous=status == 504,
    )


def reveal_secret(service: str, key: str, secret: Secret, file: str) -> str:
    """A secret of the file, or of the file that it names. Raises DeliveryError (permanent)."""
    try:
        return reveal(secret, file)
    except (OSError, UnicodeError) as error:
        words = phrase("failure.file_unread", service=service, key=f"{key}_file", said=str(error))
        raise DeliveryError(words, permanent=True) from None


def is_resolved(card: Card) -> bool:
    """True where the message says that all is over, as Alertmanager's `.Status` "resolved" does."""
    return card.state == "resolved"


def state_ref(card: Card) -> dict[str, str]:
    """The `ref` of a message that tells only of a beginning or an end."""
    return {"state": "resolved" if is_resolved(card) else "open"}


def incident_text(card: Card, text: str) -> str:
    """A text that stands in for one that is empty, in an incident's message.

    A group's message has what the file says, be it nothing.
    """
    return "" if card.kind == "group" else text


def group_digest(card: Card) -> str:
    """The key by which other services know the group: SHA-256 of its key, as Alertmanager's.

    An incident that a person opened has no group: its own key stands in.
    """
    key = card.group_key or card.incident or card.key
    return hashlib.sha256(key.encode()).hexdigest()


def address_below(base: str, path: str) -> httpx.URL:
    """The address of a path below a service's, escaped as Go escapes paths; the query stays.

    Raises DeliveryError (permanent) where the base is no address.
    """
    try:
        url = httpx.URL(base)
    except httpx.InvalidURL:
        raise DeliveryError(phrase("failure.service_address"), permanent=True) from None
    root = url.raw_path.partition(b"?")[0].decode("ascii").rstrip("/")
    return url.copy_with(path=f"{root}/{quote(path, safe=_PATH_SAFE)}")


def truncate_runes(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut as Alertmanager cuts."""
    if len(text) <= limit:
        return text
    return text[:limit] if limit <= 3 else text[: limit - 1] + _MARKER
