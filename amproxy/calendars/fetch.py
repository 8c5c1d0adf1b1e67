"""One look at a calendar's address. The address is a secret: nothing here quotes it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from amproxy.calendars.sources import LARGEST
from amproxy.errors import BadCalendar, DeliveryError
from amproxy.notify.channels import http

WITHIN = 15.0  # seconds for one request and its answer
REDIRECTS = 3
LONGEST_HEADER = 500
_REDIRECT = (301, 302, 303, 307, 308)


class Fetched(NamedTuple):
    """A text, and what the next look asks with."""

    text: bytes
    etag: str
    modified: str


async def fetch(clients: http.Clients, who: str, url: str, *, etag: str = "", modified: str = "") -> Fetched | None:
    """The calendar at an address; None = it has not changed since the look that gave `etag` and `modified`.

    who: what to call it in errors. Raises DeliveryError where there was no answer or not this one, BadCalendar for too large a one.
    """
    headers = {"Accept": "text/calendar, */*;q=0.1"}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": modified} if modified else {}
    client = clients.client()
    for _ in range(1 + REDIRECTS):
        answer = await http.call(client, who, url, within=WITHIN, method="GET", limit=LARGEST + 1, headers=headers)
        client.cookies.clear()  # each look stands for itself
        if answer.status not in _REDIRECT:
            break
        url = _redirected(who, url, answer.headers.get("location", ""))
    else:
        raise DeliveryError(f"{who}: more than {REDIRECTS} redirects", permanent=True)
    if answer.status == 304 and (etag or modified):
        return None
    if answer.status != 200:
        raise http.failure(answer, who)
    if len(answer.body) > LARGEST:
        raise BadCalendar(f"the calendar is larger than {LARGEST >> 20} MiB")
    return Fetched(answer.body, *(_sendable(answer.headers.get(name, "")) for name in ("etag", "last-modified")))


def _sendable(header: str) -> str:
    """What can be sent back as it is; "" for anything else, which would spoil each request to come."""
    return header if header.isascii() and header.isprintable() and len(header) <= LONGEST_HEADER else ""


def _redirected(who: str, url: str, location: str) -> str:
    """Where a redirect leads. Raises DeliveryError for one that is not followed: it must not carry a password elsewhere."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
    except ValueError:
        raise DeliveryError(f"{who}: a redirect to an address that is not valid", permanent=True) from None
    if "@" in here.netloc or "@" in there.netloc:
        raise DeliveryError(f"{who}: a redirect is not followed where an address holds a password", permanent=True)
    if not location or there.scheme not in ("http", "https") or not there.netloc:
        raise DeliveryError(f"{who}: a redirect that does not lead to http:// or https://", permanent=True)
    return there.geturl()
