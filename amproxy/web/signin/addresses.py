"""Where a request comes from. A header says it only where a proxy that the file names has written it."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from starlette.types import Scope

from amproxy.config.structs import ProxyHeader, SignIn
from amproxy.web.http.peer import PEER

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def from_proxy(scope: Scope, proxy: ProxyHeader | None) -> bool:
    """Whether the peer is a proxy whose word counts."""
    return proxy is not None and _trusted(_peer(scope), proxy)


def client(scope: Scope, sign_in: SignIn | None) -> str:
    """The address of whoever asks; "" = unknown (a unix socket)."""
    peer, proxy = _peer(scope), sign_in.proxy_header if sign_in else None
    if proxy is None or not _trusted(peer, proxy):
        return peer
    # Each proxy adds whom it has heard at the end: the last that is none of ours is the client. What stands before it may be invented.
    forwarded = b",".join(value for key, value in scope["headers"] if key == b"x-forwarded-for").decode("latin-1")
    for said in reversed(forwarded.split(",")):
        address = _address(said.strip())
        if address is None:
            break
        peer = str(address)
        if not _trusted(peer, proxy):
            break
    return peer


def _peer(scope: Scope) -> str:
    found = scope.get(PEER, scope.get("client"))
    return str(found[0]) if found else ""


def _trusted(host: str, proxy: ProxyHeader) -> bool:
    address = _address(host)
    return address is not None and any(address.version == network.version and address in network for network in proxy.networks)


@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # a socket that takes both families shows the older one's addresses in the newer one's form
    return getattr(address, "ipv4_mapped", None) or address
