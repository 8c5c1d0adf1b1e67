"""Networks that addresses which people set may lead to: the internet, and what the file allows.

amproxy stands where its people may not: a webhook contact or a redirect must not make it call the
services around it, nor the metadata of a cloud. Pure; notify/channels/reach.py asks the DNS.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import msgspec

from amproxy.config.read.cursor import Cursor
from amproxy.config.read.values import name, written_value
from amproxy.text import Phrase

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

REFUSED: Final = Phrase("undeliverable.network")
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address in its last 32 bits


class Reach(msgspec.Struct, frozen=True):
    """The hosts that may be called besides the internet.

    own_machine: also those that say in so many words that they are this machine, because whoever
    writes the file has written them: the page and the API refuse them from others.
    """

    networks: tuple[str, ...] = ()
    own_machine: bool = False


INTERNET: Final = Reach()


def read_network(at: Cursor) -> IpNetwork | None:
    """An address or a network such as 10.0.0.0/24."""
    found = name(at)
    if found is None:
        return None
    try:
        return ipaddress.ip_network(found, strict=False)
    except ValueError:
        at.error("problem.no_network", value=written_value(at))
        return None


def may_reach(host: str, address: IpAddress, reach: Reach) -> bool:
    """Decide on a call to a host at the address to which it leads."""
    if reach.own_machine and address.is_loopback and is_own_machine(host):
        return True
    inner = _inner_address(address)
    for network in map(_network, reach.networks):
        if any(one.version == network.version and one in network for one in (address, inner)):
            return True
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _GLOBAL_UNICAST:
        return False
    return inner.is_global and not inner.is_multicast


def _inner_address(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, NAT64; else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


@lru_cache(maxsize=256)
def _network(text: str) -> IpNetwork:
    return ipaddress.ip_network(text)


def is_own_machine(host: str) -> bool:
    """True for a host that says in so many words that it is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = literal_address(host)
    return address is not None and address.is_loopback


def literal_address(host: str) -> IpAddress | None:
    """The address that a host is written as; None for a name, which may be one all the same.

    "2130706433" and "0x7f.1" are names here, and addresses for the resolver.
    """
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def refused_literal(url: str, reach: Reach) -> Phrase | None:
    """The reason why a URL is never called, as far as that needs no DNS; None = none."""
    host = urlsplit(url).hostname or ""
    address = literal_address(host)
    return REFUSED if address and not may_reach(host, address, reach) else None
