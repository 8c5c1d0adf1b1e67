"""The sign-in's cookies, the principal of a user or token, and the address of a client."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from amproxy.config.structs import Config, ProxyHeader, SignIn
from amproxy.grouping.rights import Principal, Role, user_teams
from amproxy.store.sign_in import ApiToken
from amproxy.web.http.middleware import PEER_SCOPE_KEY, link_root

SESSION_COOKIE = "amproxy_session"
STATE_COOKIE = "amproxy_sign_in"  # of a sign-in under way at the provider
KNOWN_COOKIE = "amproxy_known"
KNOWN_COOKIE_AGE = 180 * 86400  # seconds since the last sign-in
MAX_KNOWN_USERS = 8  # of one browser, the last ones

_ROLE_OF_SCOPE: dict[str, Role] = {"read": "viewer", "respond": "responder", "admin": "admin"}
_ROLE_ORDER: tuple[Role, ...] = ("viewer", "responder", "admin")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def cookie_name(kind: str, external_url: str) -> str:
    """The name of a cookie, with a prefix over TLS.

    A browser takes a cookie named __Host-… only from this very host over TLS, so that no sibling
    domain can plant one. It must have the path "/", which a prefix rules out.
    """
    if not external_url.startswith("https://"):
        return kind
    return f"__Secure-{kind}" if link_root(external_url) else f"__Host-{kind}"


def read_cookie(scope: Scope, kind: str, external_url: str) -> str:
    """The cookie's value, "" = none."""
    cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
    return cookies.get(cookie_name(kind, external_url), "")


def set_cookie(response: Response, kind: str, value: str, external_url: str, age: float) -> None:
    """Set a cookie for `age` seconds. An empty value deletes it."""
    response.set_cookie(
        cookie_name(kind, external_url),
        value,
        max_age=int(age) if value else 0,
        path=link_root(external_url) or "/",
        secure=external_url.startswith("https://"),
        httponly=True,
        # not "strict": links in messages lead to pages, and the provider redirects back here
        samesite="lax",
    )


class KnownBrowser(msgspec.Struct, frozen=True, array_like=True):
    """A browser and the people who have signed in from it before; id "": none has."""

    id: str = ""
    users: tuple[str, ...] = ()

    def with_user(self, user: str) -> KnownBrowser:
        others = [one for one in self.users if one != user]
        return KnownBrowser(self.id or secrets.token_urlsafe(12), (user, *others)[:MAX_KNOWN_USERS])


class KnownBrowsers:
    """Signed cookies that tell a person's own browsers from strangers, who guess passwords.

    They open nothing.
    """

    def __init__(self, key: str) -> None:
        self._serializer = URLSafeTimedSerializer(
            key,
            salt="amproxy.browsers",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def read(self, scope: Scope, external_url: str) -> KnownBrowser:
        """The browser as its cookie has it; an unknown one where that is missing or not ours."""
        cookie = read_cookie(scope, KNOWN_COOKIE, external_url)
        try:
            fields = self._serializer.loads(cookie, max_age=KNOWN_COOKIE_AGE)
            return msgspec.convert(fields, KnownBrowser)
        except (BadData, UnicodeError, msgspec.ValidationError):
            return KnownBrowser()

    def write(self, response: Response, browser: KnownBrowser, external_url: str) -> None:
        value = self._serializer.dumps([browser.id, browser.users])
        text = value if isinstance(value, str) else value.decode("ascii")
        set_cookie(response, KNOWN_COOKIE, text, external_url, KNOWN_COOKIE_AGE)


def principal_of_token(config: Config, token: ApiToken) -> Principal | None:
    """The principal of a token; None where its user is no more in the file.

    A token of a user never may more than the user; a token of nobody belongs to all teams.
    """
    roles = [_ROLE_OF_SCOPE[scope] for scope in token.scopes if scope in _ROLE_OF_SCOPE]
    role: Role | Literal["none"] = max(roles, key=_ROLE_ORDER.index) if roles else "none"
    teams = frozenset(config.teams)
    if token.user:
        user = config.users.get(token.user)
        if user is None:
            return None
        teams = user_teams(config, user.name)
        if role != "none":
            role = min(role, user.role, key=_ROLE_ORDER.index)
    return Principal(
        user=token.user,
        role=role,
        teams=teams,
        via="token",
        token=token.name,
        answers=bool({"responder", "admin"}.intersection(roles)),
    )


def is_from_proxy(scope: Scope, proxy: ProxyHeader) -> bool:
    """Check that the peer is a proxy that the file trusts."""
    return _is_within(_peer_host(scope), proxy.networks)


def client_address(scope: Scope, settings: SignIn | None) -> str:
    """The client's address; "" = unknown (a unix socket).

    X-Forwarded-For counts from `proxy_header.from` and from FORWARDED_ALLOW_IPS where that is set.
    """
    peer, proxy = _peer_host(scope), settings.proxy_header if settings else None
    forwarders = trusted_forwarders(os.environ.get("FORWARDED_ALLOW_IPS", ""))
    trusted = (*forwarders.networks, *(proxy.networks if proxy else ()))
    if not (forwarders.everybody or _is_within(peer, trusted)):
        return peer
    # Each proxy appends its own client: the last address that is no proxy of ours is the client.
    # The client may have invented those before it.
    values = [value for key, value in scope["headers"] if key == b"x-forwarded-for"]
    for text in reversed(b",".join(values).decode("latin-1").split(",")):
        address = _parse_address(text.strip())
        if address is None:
            break
        peer = str(address)
        if not _is_within(peer, trusted):
            break
    return peer


class TrustedForwarders(NamedTuple):
    """Peers whose X-Forwarded-For counts. everybody: whoever connects, but not those it names."""

    networks: tuple[IpNetwork, ...] = ()
    everybody: bool = False


@lru_cache(maxsize=8)
def trusted_forwarders(text: str) -> TrustedForwarders:
    """FORWARDED_ALLOW_IPS as uvicorn reads it: addresses and networks, or `*`; "" = nobody.

    Unlike uvicorn, no default: any program on this machine could name any address.
    """
    networks = []
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            continue  # "*", or the path of a unix socket, whose peer has no address
    return TrustedForwarders(tuple(networks), text.strip() == "*")


def _peer_host(scope: Scope) -> str:
    peer = scope.get(PEER_SCOPE_KEY, scope.get("client"))
    return str(peer[0]) if peer else ""


def _is_within(host: str, networks: tuple[IpNetwork, ...]) -> bool:
    address = _parse_address(host)
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


@lru_cache(maxsize=1024)
def _parse_address(text: str) -> IpAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # a dual-stack socket shows IPv4 addresses as IPv6 ones: ::ffff:10.0.0.1
    return getattr(address, "ipv4_mapped", None) or address
