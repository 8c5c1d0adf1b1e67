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
from amproxy.web.http.middleware import PEER_SCOPE_KEY, link_root
from amproxy.web.http.permissions import Principal, Role

SESSION_COOKIE = "amproxy_session"
STATE_COOKIE = "amproxy_sign_in"


def cookie_name(kind: str, external_url: str) -> str:
    """How a cookie is called. A browser takes one named __Host- only from this very host, over TLS; no neighbour can plant one."""
    if not external_url.startswith("https://"):
        return kind
    return f"__Secure-{kind}" if link_root(external_url) else f"__Host-{kind}"


def read_cookie(scope: Scope, kind: str, external_url: str) -> str:
    """The value that the browser has sent, "" = none."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(cookie_name(kind, external_url), "")


def set_cookie(answer: Response, kind: str, value: str, external_url: str, age: float) -> None:
    """age: seconds. An empty value takes the cookie away."""
    answer.set_cookie(
        cookie_name(kind, external_url), value, max_age=int(age) if value else 0, path=link_root(external_url) or "/",
        secure=external_url.startswith("https://"), httponly=True,
        # "lax": links in messages lead to pages, and the provider leads back here; no other site can act with it
        samesite="lax",
    )  # fmt: skip


_ROLE_OF_SCOPE: dict[str, Role] = {"read": "viewer", "respond": "responder", "admin": "admin"}
_ROLE_ORDER: tuple[Role, ...] = ("viewer", "responder", "admin")


def find_user(config: Config, text: str) -> User | None:
    """The one user with this name or e-mail address, in any case; None where there is none, or more than one."""
    wanted = text.strip().casefold()
    if not wanted:
        return None
    found = {user.name for user in config.users.values() if wanted in (user.name.casefold(), user.contacts.get("email", "").casefold())}
    return config.users[found.pop()] if len(found) == 1 else None


def principal_of_user(config: Config, user: User, via: Literal["session", "proxy"]) -> Principal:
    return Principal(user=user.name, role=user.role, teams=_teams_of_user(config, user.name), via=via)


def principal_of_token(config: Config, token: ApiToken) -> Principal | None:
    """Who comes with a token; None where its user is no more in the file.

    One that acts as a user may never do more than the user; one that acts as nobody belongs to all teams.
    """
    roles = [_ROLE_OF_SCOPE[scope] for scope in token.scopes if scope in _ROLE_OF_SCOPE]
    role = max(roles, key=_ROLE_ORDER.index) if roles else None
    if not token.user:
        return Principal(role=role or "none", teams=frozenset(config.teams), via="token", token=token.name)
    user = config.users.get(token.user)
    if user is None:
        return None
    allowed: Role | Literal["none"] = min(role, user.role, key=_ROLE_ORDER.index) if role else "none"
    return Principal(user=user.name, role=allowed, teams=_teams_of_user(config, user.name), via="token", token=token.name)


def _teams_of_user(config: Config, user: str) -> frozenset[str]:
    return frozenset(team.name for team in config.teams.values() if user in team.members)


IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_from_proxy(scope: Scope, proxy: ProxyHeader | None) -> bool:
    """Whether the peer is a proxy whose word counts."""
    return proxy is not None and _is_trusted(_peer_host(scope), proxy)


def client_address(scope: Scope, sign_in: SignIn | None) -> str:
    """The address of whoever asks; "" = unknown (a unix socket)."""
    peer, proxy = _peer_host(scope), sign_in.proxy_header if sign_in else None
    if proxy is None or not _is_trusted(peer, proxy):
        return peer
    # Each proxy adds whom it has heard at the end: the last that is none of ours is the client. What stands before it may be invented.
    forwarded = b",".join(value for key, value in scope["headers"] if key == b"x-forwarded-for").decode("latin-1")
    for said in reversed(forwarded.split(",")):
        address = _parse_address(said.strip())
        if address is None:
            break
        peer = str(address)
        if not _is_trusted(peer, proxy):
            break
    return peer


def _peer_host(scope: Scope) -> str:
    found = scope.get(PEER_SCOPE_KEY, scope.get("client"))
    return str(found[0]) if found else ""


def _is_trusted(host: str, proxy: ProxyHeader) -> bool:
    address = _parse_address(host)
    return address is not None and any(address.version == network.version and address in network for network in proxy.networks)


@lru_cache(maxsize=1024)
def _parse_address(text: str) -> IpAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # a socket that takes both families shows the older one's addresses in the newer one's form
    return getattr(address, "ipv4_mapped", None) or address
