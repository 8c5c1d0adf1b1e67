"""The two cookies of the sign-in: the session's, and that of a sign-in under way at the provider.

From what a sign-in knows of somebody to a user of the file, and from the user to what they may do.

Where a request comes from. A header says it only where a proxy that the file names has written it.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from amproxy.config.structs import Config, ProxyHeader, SignIn, User
from amproxy.store.sign_in import ApiToken
from amproxy.web.http.middleware import PEER, root_of
from amproxy.web.http.permissions import Principal, Role

SESSION = "amproxy_session"
STATE = "amproxy_sign_in"


def name(kind: str, external_url: str) -> str:
    """How a cookie is called. A browser takes one named __Host- only from this very host, over TLS; no neighbour can plant one."""
    if not external_url.startswith("https://"):
        return kind
    return f"__Secure-{kind}" if root_of(external_url) else f"__Host-{kind}"


def read(scope: Scope, kind: str, external_url: str) -> str:
    """The value that the browser has sent, "" = none."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(name(kind, external_url), "")


def put(answer: Response, kind: str, value: str, external_url: str, age: float) -> None:
    """age: seconds. An empty value takes the cookie away."""
    answer.set_cookie(
        name(kind, external_url), value, max_age=int(age) if value else 0, path=root_of(external_url) or "/",
        secure=external_url.startswith("https://"), httponly=True,
        # "lax": links in messages lead to pages, and the provider leads back here; no other site can act with it
        samesite="lax",
    )  # fmt: skip


_OF_SCOPE: dict[str, Role] = {"read": "viewer", "respond": "responder", "admin": "admin"}
_ORDER: tuple[Role, ...] = ("viewer", "responder", "admin")


def named(config: Config, text: str) -> User | None:
    """The one user with this name or e-mail address, in any case; None where there is none, or more than one."""
    wanted = text.strip().casefold()
    if not wanted:
        return None
    found = {user.name for user in config.users.values() if wanted in (user.name.casefold(), user.contacts.get("email", "").casefold())}
    return config.users[found.pop()] if len(found) == 1 else None


def person(config: Config, user: User, via: Literal["session", "proxy"]) -> Principal:
    return Principal(user=user.name, role=user.role, teams=_teams(config, user.name), via=via)


def program(config: Config, token: ApiToken) -> Principal | None:
    """Who comes with a token; None where its user is no more in the file.

    One that acts as a user may never do more than the user; one that acts as nobody belongs to all teams.
    """
    roles = [_OF_SCOPE[scope] for scope in token.scopes if scope in _OF_SCOPE]
    role = max(roles, key=_ORDER.index) if roles else None
    if not token.user:
        return Principal(role=role or "none", teams=frozenset(config.teams), via="token", token=token.name)
    user = config.users.get(token.user)
    if user is None:
        return None
    allowed: Role | Literal["none"] = min(role, user.role, key=_ORDER.index) if role else "none"
    return Principal(user=user.name, role=allowed, teams=_teams(config, user.name), via="token", token=token.name)


def _teams(config: Config, user: str) -> frozenset[str]:
    return frozenset(team.name for team in config.teams.values() if user in team.members)


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
