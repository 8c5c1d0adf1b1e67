"""How a person is reached, as a page shows it: phone and mail to press, of other channels the name alone. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from amproxy.config.structs import User
from amproxy.oncall.reachable import Reach

_NOT_DIALLED = re.compile(r"[^0-9+*#]")


class Way(NamedTuple):
    channel: str
    text: str  # the address; "" = not shown
    url: str  # "tel:…", "mailto:…" or ""
    broken: bool  # the last delivery failed for good


def ways(user: User, reached: Reach, *, addresses: bool) -> Iterator[Way]:
    """Phone and mail first. addresses: whether the reader may see them."""
    failed = {contact.channel for contact in reached.contacts if contact.state == "failed"}
    for channel, address in sorted(
        user.contacts.items(), key=lambda contact: ("phone", "email").index(contact[0]) if _url(*contact) else 2
    ):
        url = _url(channel, address) if addresses else ""
        yield Way(channel, address if url else "", url, channel in failed)


def _url(channel: str, address: str) -> str:
    number = _NOT_DIALLED.sub("", address)
    if channel == "phone" and number:
        return f"tel:{quote(number, safe='+*')}"
    return f"mailto:{quote(address, safe='@+')}" if channel == "email" and "@" in address else ""
