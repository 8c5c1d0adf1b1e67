"""The rule of every door: whose page asks, and by which name it calls the service.

A browser reaches what the internet cannot, loopback above all, and any page may send it here.

- A page of another site shows in Sec-Fetch-Site or Origin. It may lead here, which is what a link
  does, and may read Alertmanager's API. It may change nothing, and a heartbeat is a change whatever
  its method.
- A name that somebody else made to point here (DNS rebinding) shows in Host. Who shows a token,
  password or certificate may use any name, everybody else one that the service is known by.

Programs send neither Sec-Fetch-Site nor Origin.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from amproxy.accept.body import PushRefused, Scope
from amproxy.context import Context
from amproxy.text import Phrase

# Key of a scope whose sender has shown a password or certificate of the web config file, or an API
# token: what no page can make a browser send under a name that points here.
AUTHENTICATED = "amproxy.authenticated"
FOREIGN_PAGE = Phrase("refusal.foreign_page")

_LOOKED_AT = frozenset((b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode"))


def foreign_page(scope: Scope, context: Context) -> Phrase | None:
    """The reason for refusing a change that a page of another site asks for, None = it is none."""
    given = _headers(scope)
    site, origin = given.get(b"sec-fetch-site"), given.get(b"origin")
    if site is not None:
        # none: typed or bookmarked by the person
        return None if site in (b"same-origin", b"none") else FOREIGN_PAGE
    if origin is None:
        return None  # no browser
    own = (given.get(b"host", b"").decode("latin-1"), urlsplit(context.external_url).netloc)
    is_own = _netloc(origin.decode("latin-1")) in {name.lower() for name in own if name}
    return None if is_own else FOREIGN_PAGE


def foreign_read(scope: Scope, context: Context) -> Phrase | None:
    """The reason for refusing what a page of another site loads behind its reader's back.

    None for programs, for our own pages, and for a page that the reader is led to.
    """
    given = _headers(scope)
    mode = given.get(b"sec-fetch-mode")
    loads = mode != b"navigate" if mode is not None else bool(given.get(b"origin"))
    return foreign_page(scope, context) if loads else None


def foreign_name(scope: Scope, context: Context) -> Phrase | None:
    """The reason for refusing the name that a request calls the service by, None = it may.

    For requests that prove nothing. One without Host comes from no browser.
    """
    host = _headers(scope).get(b"host")
    web = context.config.web
    if (
        host is None
        or scope.get(AUTHENTICATED)
        or _is_known(host, context.external_url, web.listen, web.hosts)
    ):
        return None
    return Phrase("refusal.foreign_name", {"host": host.decode("latin-1")[:100]})


def refuse_foreign_page(scope: Scope, context: Context) -> None:
    """Raises PushRefused(403) for a push that a page of another site asks for."""
    if reason := foreign_page(scope, context):
        raise PushRefused(403, reason)


def refuse_foreign_name(scope: Scope, context: Context) -> None:
    """Raises PushRefused(403) for a push without a credential under a name that is not ours."""
    if reason := foreign_name(scope, context):
        raise PushRefused(403, reason)


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers that tell; of a repeated one the last, which only a program can send."""
    return {name: value for name, value in scope["headers"] if name in _LOOKED_AT}


@lru_cache(maxsize=256)
def _is_known(host: bytes, external_url: str, listen: str, hosts: tuple[str, ...]) -> bool:
    name = host_name(host.decode("latin-1"))
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
        return True  # nobody can make an address point elsewhere
    except ValueError:
        own = (host_name(listen), host_name(_netloc(external_url)), *hosts)
        return bool(name) and name in own


def _netloc(url: str) -> str:
    """The host and port of a URL, in lower case; "" for nonsense."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def host_name(netloc: str) -> str:
    """The host of "host:port", "[::1]:80" or "host", in lower case; "" for nonsense."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""
