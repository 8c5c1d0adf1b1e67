"""`sign_in`: the sign-in methods, and the hash of a person's password."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from amproxy.config.networks import IpNetwork, read_network
from amproxy.config.read.cursor import Cursor, Reader
from amproxy.config.read.kinds import with_file_key
from amproxy.config.read.values import (
    boolean,
    choice,
    list_of,
    name,
    positive_duration,
    raw,
    url,
    written_value,
)
from amproxy.config.structs import Oidc, ProxyHeader, SignIn
from amproxy.config.yaml import MappingNode
from amproxy.secret import Secret
from amproxy.text import Phrase

PASSWORD_HASH_FORMAT: Final = re.compile(
    r"\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}"
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]+")


def read_password_hash(at: Cursor) -> Secret | None:
    """A hash as `amproxy hash-password` prints it."""
    found = raw(at)
    if found is None or PASSWORD_HASH_FORMAT.fullmatch(found):
        return None if found is None else Secret(found)
    # The value is not quoted: it may be the password itself.
    at.error("problem.expected_password_hash")
    return None


def _read_issuer(at: Cursor) -> str | None:
    found = url(at)
    if found is None:
        return None
    parts = urlsplit(found)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        at.error("problem.issuer_scheme")
        return None
    if parts.query or parts.fragment:
        at.error("problem.issuer_query")
        return None
    return found


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_header_name(at: Cursor) -> str | None:
    found = name(at)
    if found is not None and not _HEADER_NAME.fullmatch(found):
        at.error("problem.header_name", value=written_value(at))
        return None
    return found


def _read_proxy_network(at: Cursor) -> IpNetwork | None:
    network = read_network(at)
    if network is not None and network.prefixlen == 0:
        # The header is trusted as it comes; from anywhere, anybody could set it.
        at.error("problem.proxy_from_everywhere")
        return None
    return network


_OIDC: Final[dict[str, Reader]] = {
    "issuer": _read_issuer,
    "client_id": name,
    **with_file_key("client_secret"),
    "scopes": list_of(name),
    "user_claim": name,
    "name": name,
}


def _read_oidc(at: Cursor) -> Oidc:
    section = at.section(_OIDC)
    section.require("issuer")
    section.require("client_id")
    section.exclusive("client_secret", "client_secret_file")
    if "scopes" in section:
        # Without `openid` the provider sends no ID token.
        section["scopes"] = tuple(dict.fromkeys(("openid", *section["scopes"])))
    return Oidc(**{"issuer": "", "client_id": "", **section})


def _read_proxy_header(at: Cursor) -> ProxyHeader:
    section = at.section({"header": _read_header_name, "from": list_of(_read_proxy_network)})
    section.require("from", why=Phrase("problem.why_proxy"))
    networks = tuple(section.pop("from", ()))
    if not networks and section.given("from"):
        section.error("from", "problem.empty_proxy")
    return ProxyHeader(networks=networks, **section)


def refuse_empty_sign_in(root: Cursor) -> None:
    """Record an error for an empty `sign_in`.

    Elsewhere an empty section is none at all; here that would open what somebody meant to lock.
    """
    pair = root.node.pairs.get("sign_in") if isinstance(root.node, MappingNode) else None
    if pair and root.child(pair[1], "sign_in").null:
        root.child(pair[0], "sign_in").error("problem.empty_sign_in")


def read_sign_in(at: Cursor) -> SignIn:
    """The section, with at least one sign-in method."""
    section = at.section(
        {
            "passwords": boolean,
            "oidc": _read_oidc,
            "proxy_header": _read_proxy_header,
            "session_lifetime": positive_duration,
            "anonymous": choice("none", "viewer"),
        }
    )
    if not section.get("passwords") and not section.given("oidc", "proxy_header"):
        section.cursor.error("problem.no_sign_in_method")
    if "session_lifetime" in section:
        section["session_lifetime"] = float(section["session_lifetime"])
    return SignIn(**section)
