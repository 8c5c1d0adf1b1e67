"""Calls to addresses that people set: each host is resolved once, checked, and called as checked.

A name that has led to the internet may lead to this network a moment later, so that a check
beforehand is not enough. config/networks.py decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import httpx

from amproxy.config.networks import REFUSED, IpAddress, Reach, literal_address, may_reach
from amproxy.errors import DeliveryError
from amproxy.text import Words, phrase

RESOLVE_TIMEOUT = 5.0  # seconds
# Of every client of the channels. Without httpx's bound of 100 for all destinations: some that hang
# would hold it all. How many calls one destination has under way is bounded by the delivery worker.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)

# Threads of their own: a name server that never answers must not hold up passwords and files.
_RESOLVERS = ThreadPoolExecutor(8, "resolve")


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects only to addresses that pass the check; Host and certificate stay the name's."""

    def __init__(self, verify: ssl.SSLContext | bool, reach: Reach) -> None:
        self._verify = httpx.create_ssl_context() if verify is True else verify
        self._reach = reach
        # One for each host: a connection is reused by its address, and two names with the same
        # address must not share one, whose certificate was checked for the other name.
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises DeliveryError (permanent) where the host may not be reached, httpx's errors."""
        host = request.url.raw_host.decode("ascii")  # of an international name as the DNS has it
        addresses = await reachable_addresses(host, self._reach)
        if host not in self._transports:
            self._transports[host] = httpx.AsyncHTTPTransport(verify=self._verify, limits=LIMITS)
        extensions = dict(request.extensions)
        if literal_address(host) is None:
            extensions["sni_hostname"] = host
        for position, address in enumerate(addresses, 1):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,  # with the Host that httpx has made of the name
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._transports[host].handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if position == len(addresses):
                    raise
        raise httpx.ConnectError("the name has no address")

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


class UnresolvedName(httpx.ConnectError):
    """A name of which the system finds no address; the text is the system's."""


async def reachable_addresses(host: str, reach: Reach) -> list[IpAddress]:
    """The addresses of a host that may be called.

    Raises DeliveryError (permanent) where it has none of these, UnresolvedName where the name
    cannot be resolved.
    """
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT):
            addresses = await _resolve(host)
    except TimeoutError:
        raise httpx.ConnectTimeout("the name is not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise UnresolvedName(str(error)) from None
    found = [address for address in addresses if may_reach(host, address, reach)]
    if not found:
        raise DeliveryError(REFUSED, permanent=True, reason="client_error")
    return found


async def check_before_proxy(who: str, url: str, reach: Reach) -> None:
    """Raises DeliveryError where the host may not be reached. A name only the proxy knows may."""
    with contextlib.suppress(httpx.TransportError):
        try:
            await reachable_addresses(httpx.URL(url).raw_host.decode("ascii"), reach)
        except DeliveryError as error:
            words = phrase("failure.because", service=who, reason=error.words)
            raise DeliveryError(words, permanent=True, reason=error.reason) from None


async def refused_url(url: str, reach: Reach) -> Words | None:
    """The reason why a URL may not become a contact, None = it may.

    A name that cannot be resolved now passes: it is checked again at each call.
    """
    try:
        await reachable_addresses(urlsplit(url).hostname or "", reach)
    except DeliveryError as error:
        words: Words = error.words
        return words
    except (httpx.TransportError, ValueError):
        return None
    return None


async def _resolve(host: str) -> list[IpAddress]:
    literal = literal_address(host)
    if literal is not None:
        return [literal]
    ask = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, ask)
    addresses = (literal_address(str(entry[4][0])) for entry in found)
    return list(dict.fromkeys(one for one in addresses if one is not None))
