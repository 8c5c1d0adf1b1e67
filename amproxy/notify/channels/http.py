"""HTTP for every channel: one client for each settings, no redirects, errors that show no URL.

URLs of Telegram, Slack and webhooks hold secrets: no text made here quotes one, and httpx's own log
lines, which would, are kept out of the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from amproxy import clock, timeouts
from amproxy.config.networks import Reach
from amproxy.config.structs import HttpSettings, OAuth2Settings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http_oauth import OAuthCredentials
from amproxy.notify.channels.http_settings import (
    ProxyTransport,
    certificate_files,
    client_options,
)
from amproxy.notify.channels.reach import LIMITS, CheckedTransport, UnresolvedName
from amproxy.notify.permit import may_have_left, obtain_permit
from amproxy.secret import Secret, file_stamp
from amproxy.text import Words, phrase

TIMEOUT = 10.0  # seconds for a whole call
CONNECT_TIMEOUT = 5.0
TOKEN_TIMEOUT = 4.0  # seconds for a token of OAuth 2, within the time of the call that needs it
BODY_LIMIT = 64 * 1024  # bytes of a response that are read
CLOSE_WAIT = 60.0  # seconds that calls under way have when a client is replaced
DRAIN_TIMEOUT = 1.0  # seconds for a body that is not used
MAX_RETRY_AFTER = 3600.0  # seconds; a longer Retry-After is cut to this

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).addFilter(lambda record: record.levelno >= logging.WARNING)


class RemoteResponse(msgspec.Struct, frozen=True):
    """The status, the headers, and the body as far as it was read."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where it is not JSON (a proxy's page, cut off)."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


class _KnownClient(NamedTuple):
    client: httpx.AsyncClient
    stamps: list[tuple[int, int, int] | None]  # of the files of its certificates, when it was made


class HttpClients:
    """The connections of one channel: a client for each http_config, made at first use.

    It is made anew when a file of its certificates has changed, and then if they can be used.
    """

    def __init__(self) -> None:
        self._clients: dict[bytes, _KnownClient] = {}
        self._replaced: dict[httpx.AsyncClient, asyncio.Task[None]] = {}  # and what closes them

    def client(
        self,
        http: HttpSettings | None = None,
        timeout: float = TIMEOUT,
        reach: Reach | None = None,
    ) -> httpx.AsyncClient:
        """The client for these settings; `timeout` (seconds) bounds the wait for a connection.

        reach: of addresses that people set; None = the file's admin wrote the address, and it may
        be any. A proxy connects by itself: what goes over one is checked beforehand, by
        `reachable_addresses`.
        """
        http = http or HttpSettings()
        # With the secrets: settings that differ in a password alone need clients of their own.
        key = msgspec.json.encode((http, timeout, reach), enc_hook=Secret.reveal)
        stamps = [file_stamp(Path(name)) for name in certificate_files(http.tls)]
        known = self._clients.get(key)
        if known is not None and known.stamps == stamps:
            return known.client
        try:
            client = _build_client(http, timeout, reach)
        except DeliveryError:
            if known is None:
                raise
            return known.client  # half of the new files may be there yet
        self._clients[key] = _KnownClient(client, stamps)
        if known is not None:
            self._replaced[known.client] = asyncio.create_task(self._close_later(known.client))
        return client

    async def _close_later(self, client: httpx.AsyncClient) -> None:
        await asyncio.sleep(CLOSE_WAIT)
        del self._replaced[client]
        await client.aclose()

    async def close(self) -> None:
        """End all connections."""
        for closing in self._replaced.values():
            closing.cancel()
        clients = [*(known.client for known in self._clients.values()), *self._replaced]
        self._clients, self._replaced = {}, {}
        for client in clients:
            await client.aclose()


def _build_client(http: HttpSettings, timeout: float, reach: Reach | None) -> httpx.AsyncClient:
    options = client_options(http)
    if http.oauth2 is not None:
        options["auth"] = _oauth(http.oauth2, min(TOKEN_TIMEOUT, timeout))
    if uses_proxy(http):
        options["transport"] = ProxyTransport(http, options["verify"])
    elif reach is not None:
        options["transport"] = CheckedTransport(options["verify"], reach)
    return httpx.AsyncClient(
        # Reads and writes have none of their own: `send_request` bounds a call by a clock that a
        # process that was held up can trust.
        timeout=httpx.Timeout(None, connect=min(CONNECT_TIMEOUT, timeout), pool=timeout),
        limits=LIMITS,
        follow_redirects=False,
        **options,
    )


def _oauth(settings: OAuth2Settings, within: float) -> OAuthCredentials:
    """The credentials of an oauth2 section. A token is fetched so rarely that no client is kept."""

    async def ask(form: Mapping[str, str], headers: Mapping[str, str]) -> RemoteResponse:
        http = HttpSettings(
            tls=settings.tls,
            proxy_url=settings.proxy_url,
            no_proxy=settings.no_proxy,
            proxy_from_environment=settings.proxy_from_environment,
            proxy_connect_header=settings.proxy_connect_header,
        )
        async with _build_client(http, within, None) as client:
            return await send_request(
                client, "OAuth2", settings.token_url, within=within, data=form, headers=headers
            )

    return OAuthCredentials(settings, ask)


def uses_proxy(http: HttpSettings) -> bool:
    return bool(http.proxy_url) or http.proxy_from_environment


async def send_request(
    client: httpx.AsyncClient,
    who: Words,
    url: str,
    *,
    within: float = TIMEOUT,
    method: str = "POST",
    ignore_body: bool = False,
    limit: int = BODY_LIMIT,
    **request: Any,
) -> RemoteResponse:
    """Send one request and read its response, whatever its status, `within` seconds in all.

    who: the other side's name for people ("Telegram"), used in errors instead of the URL.
    ignore_body: only the status counts; the body, which may be late or broken, is left out.
    limit: bytes of the body that are read; the rest is left out.
    request: arguments of httpx (json, content, headers, data …).
    Raises DeliveryError where no response came: ambiguous once the request may have been received;
    and what `obtain_permit` raises.
    """
    request["extensions"] = {"trace": _before_request}
    try:
        async with timeouts.limit(within), client.stream(method, url, **request) as response:
            body = await _drain_body(response) if ignore_body else await _read_body(response, limit)
            return RemoteResponse(response.status_code, response.headers, body)
    # `from None` everywhere: the text and the request of httpx's error may hold the URL.
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        words = phrase("failure.no_connection_in_time", service=who)
        raise DeliveryError(words, reason="timeout") from None
    except (TimeoutError, httpx.TimeoutException):
        words = phrase("failure.no_answer", service=who)
        raise DeliveryError(words, reason="timeout", ambiguous=may_have_left()) from None
    except httpx.ConnectError as error:  # its text is the socket's or the TLS error, not the URL
        said = clean_for_log(str(error))
        words = (
            phrase("failure.unresolved", service=who, said=said)
            if isinstance(error, UnresolvedName)
            else phrase("failure.no_connection", service=who, said=said)
        )
        raise DeliveryError(words, reason="network") from None
    except httpx.ProxyError:
        words = phrase("failure.proxy_refused", service=who)
        raise DeliveryError(words, reason="network") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError):
        words = phrase("failure.bad_request", service=who)
        raise DeliveryError(words, permanent=True) from None
    except httpx.RequestError as error:
        words = phrase("failure.broken", service=who, error=type(error).__name__)
        raise DeliveryError(words, reason="network", ambiguous=may_have_left()) from None


async def _before_request(event: str, info: Mapping[str, Any]) -> None:
    """Ask for the permit; httpx calls this at each step of a request."""
    if event == "http11.send_request_headers.started":
        await obtain_permit()


async def _read_body(response: httpx.Response, limit: int = BODY_LIMIT) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])


async def _drain_body(response: httpx.Response) -> bytes:
    """Read on so that the connection can be used again, but not for long."""
    with contextlib.suppress(httpx.RequestError, TimeoutError):
        async with asyncio.timeout(DRAIN_TIMEOUT):
            await _read_body(response)
    return b""


def response_error(
    response: RemoteResponse, who: Words, detail: str = "", *, status: int | None = None
) -> DeliveryError:
    """The error for a response that is not a success, by its status.

    status: in place of the response's, where the body has a better one. detail: the other side's
    own words, shortened here; they must not hold a secret.
    """
    status = response.status if status is None else status
    message = phrase("failure.status", service=who, status=status)
    if detail:
        said = clean_for_log(detail)
        message = phrase("failure.status_said", service=who, status=status, said=said)
    wait = parse_retry_after(response.headers.get("retry-after"))
    if status == 429:
        return DeliveryError(message, reason="rate_limited", retry_after=wait)
    if status in {408, 425}:
        return DeliveryError(message, reason="timeout", retry_after=wait)
    if status in {401, 403, 407}:
        return DeliveryError(message, reason="auth_error", permanent=True)
    if 300 <= status < 500:  # a redirect is a failure: followed, it would carry secrets elsewhere
        return DeliveryError(message, reason="client_error", permanent=True)
    # 504: a gateway waited in vain for the one that may have the message
    return DeliveryError(message, reason="server_error", retry_after=wait, ambiguous=status == 504)


def unreadable_response_error(who: Words) -> DeliveryError:
    """The error for a response in an unexpected form (a proxy's page, cut off).

    The message may have been delivered after all.
    """
    words = phrase("failure.unreadable", service=who)
    return DeliveryError(words, reason="server_error", ambiguous=True)


def parse_retry_after(value: object) -> float | None:
    """Seconds to wait, from a Retry-After header (seconds or an HTTP date) or a number in JSON.

    None for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(str(value))
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, MAX_RETRY_AFTER)


def _seconds_until(date: str) -> float:
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return max(0.0, at.replace(tzinfo=at.tzinfo or UTC).timestamp() - clock.now())


def clean_for_log(text: str, limit: int = 200) -> str:
    """Words from outside, fit for one line of a log."""
    return "".join(char if char.isprintable() else " " for char in text)[:limit]
