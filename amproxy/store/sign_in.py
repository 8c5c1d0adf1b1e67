"""Sign-in: the sessions of browsers, API tokens, handshakes with a provider, wrong passwords.

Of the secrets of sessions and tokens only the SHA-256 is stored, so that a copy of Redis opens
nothing. Every password attempt counts as wrong until it was right: attempts made at the same moment
do not slip past the counter.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from typing import Final, Literal, NamedTuple

import msgspec

from amproxy.errors import NotFound
from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire
from amproxy.text import Phrase

SESSION_USE_INTERVAL = 60.0  # seconds: `seen` is stored no oftener
SESSION_ID_DIGITS = 16  # digits of a digest that name a session to its owner
TOKEN_PREFIX = "amp_"  # noqa: S105  no secret, only how each one begins
TOKEN_USE_INTERVAL = 60.0  # seconds: the last use is stored no oftener
HANDSHAKE_TIMEOUT = 600.0  # seconds that a person has at the provider

NAME_TRIES: Final = 5  # wrong passwords for one name from one address before these have to wait
ADDRESS_TRIES: Final = 20  # from one address for any names: a whole office may be behind it
NAME_TRIES_ANYWHERE: Final = 100  # for one name from all unknown browsers together
# Seconds without an attempt after which they are forgotten, as long as nobody had to wait.
ATTEMPT_WINDOW: Final = 60.0
MAX_ATTEMPT_WAIT: Final = 900.0  # seconds
LONGEST_GROWTH: Final = 10  # attempts after the free ones at which waits have long stopped growing

TokenScope = Literal["read", "respond", "admin", "metrics"]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser of one person. Times are Unix seconds."""

    user: str
    way: str  # "password", "oidc"
    made: float
    ends: float
    seen: float
    agent: str = ""
    address: str = ""


class SessionListItem(NamedTuple):
    """A session as its owner sees it."""

    id: str
    session: Session


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """An API token without its secret. Times are Unix seconds."""

    id: str
    name: str
    scopes: tuple[TokenScope, ...]
    user: str = ""  # as whom it acts; "" = nobody in particular
    made: float
    made_by: str = ""
    expires: float | None = None


class ApiTokenListItem(NamedTuple):
    """A token, and its last use (Unix seconds)."""

    token: ApiToken
    used: float | None


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has gone to the provider and must match when the browser comes back."""

    issuer: str
    nonce: str
    verifier: str  # PKCE
    back: str  # the page that was wanted


class AttemptCounter(NamedTuple):
    """One count of attempts. longest_wait: seconds."""

    key: str
    tries: int
    longest_wait: float = MAX_ATTEMPT_WAIT
    of_one_name: bool = True  # a right password clears it; else it takes back that attempt only


_encode = msgspec.msgpack.Encoder().encode
_session = msgspec.msgpack.Decoder(Session).decode
_token = msgspec.msgpack.Decoder(ApiToken).decode
_handshake = msgspec.msgpack.Decoder(Handshake).decode
_use_recorded_at: dict[str, float] = {}  # id of a token → when this process stored its last use


def hash_secret(secret: str) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def session_list_id(secret: str) -> str:
    """The id of the session with this secret in a list."""
    return hash_secret(secret)[:SESSION_ID_DIGITS]


async def create_session(wire: Wire, session: Session) -> str:
    """Store a new session; return the secret for the browser's cookie, 256 random bits.

    Raises StoreUnavailable.
    """
    secret = secrets.token_urlsafe(32)
    name = hash_secret(secret)
    operations, lifetime = Operations(), max(1, int((session.ends - session.made) * 1000))
    operations.do("SET", keys.session(name), _encode(session), "PX", lifetime)
    operations.do("ZREMRANGEBYSCORE", keys.sessions(session.user), "-inf", session.made)
    operations.do("ZADD", keys.sessions(session.user), session.ends, name)
    await commit(wire, operations)
    return secret


async def load_session(wire: Wire, secret: str, now: float) -> Session | None:
    """The session of a secret; None where there is none (any more). Raises StoreUnavailable."""
    data = await wire.call("GET", keys.session(hash_secret(secret)))
    if data is None:
        return None
    session = _session(data)
    return session if session.ends > now else None


async def record_session_use(
    wire: Wire, secret: str, session: Session, now: float, address: str
) -> None:
    """Store that a session was used. Raises StoreUnavailable."""
    if now - session.seen >= SESSION_USE_INTERVAL:
        # XX: a session that has ended meanwhile must stay ended
        used = msgspec.structs.replace(session, seen=now, address=address)
        await wire.call("SET", keys.session(hash_secret(secret)), _encode(used), "XX", "KEEPTTL")


async def end_session(wire: Wire, secret: str, user: str) -> None:
    """End the session of a secret. Raises StoreUnavailable."""
    await _delete_sessions(wire, user, [hash_secret(secret)])


async def load_sessions(wire: Wire, user: str) -> list[SessionListItem]:
    """A person's sessions, those used last first. Raises StoreUnavailable."""
    found = [
        (name, await wire.call("GET", keys.session(name)))
        for name in await _session_hashes(wire, user)
    ]
    listed = [
        SessionListItem(name[:SESSION_ID_DIGITS], _session(data))
        for name, data in found
        if data is not None
    ]
    return sorted(listed, key=lambda one: -one.session.seen)


async def end_session_by_id(wire: Wire, user: str, listed: str) -> bool:
    """End a session by its id in the list; False where the person has no such session.

    Raises StoreUnavailable.
    """
    names = await _session_hashes(wire, user)
    matching = [name for name in names if name[:SESSION_ID_DIGITS] == listed]
    return bool(await _delete_sessions(wire, user, matching))


async def end_all_sessions(wire: Wire, user: str, but: str = "") -> int:
    """End a person's sessions, except the one with this secret; return how many.

    Raises StoreUnavailable.
    """
    spared = hash_secret(but) if but else ""
    names = await _session_hashes(wire, user)
    return await _delete_sessions(wire, user, [name for name in names if name != spared])


async def _session_hashes(wire: Wire, user: str) -> list[str]:
    return [name.decode() for name in await wire.call("ZRANGE", keys.sessions(user), 0, -1)]


async def _delete_sessions(wire: Wire, user: str, names: list[str]) -> int:
    if names:
        operations = Operations()
        operations.do("DEL", *map(keys.session, names))
        operations.do("ZREM", keys.sessions(user), *names)
        await commit(wire, operations)
    return len(names)


async def create_token(wire: Wire, token: ApiToken) -> str:
    """Store a new token; return its secret, 256 random bits that nobody can read again.

    Raises StoreUnavailable.
    """
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await wire.call("HSET", keys.TOKENS, hash_secret(secret), _encode(token))
    return secret


async def load_token(wire: Wire, secret: str, now: float) -> ApiToken | None:
    """The token of a secret; None where there is none (any more). Raises StoreUnavailable."""
    data = await wire.call("HGET", keys.TOKENS, hash_secret(secret))
    if data is None:
        return None
    token = _token(data)
    return token if token.expires is None or token.expires > now else None


async def record_token_use(wire: Wire, token: ApiToken, now: float) -> None:
    """Store that a token was used. Raises StoreUnavailable."""
    if now - _use_recorded_at.get(token.id, 0.0) >= TOKEN_USE_INTERVAL:
        await wire.call("HSET", keys.TOKENS_USED, token.id, repr(now))
        _use_recorded_at[token.id] = now


async def load_tokens(wire: Wire) -> list[ApiTokenListItem]:
    """All tokens that are not revoked, expired ones too, newest first. Raises StoreUnavailable."""
    tokens = [_token(data) for data in await wire.call("HVALS", keys.TOKENS)]
    flat = await wire.call("HGETALL", keys.TOKENS_USED)
    used = {name.decode(): float(at) for name, at in zip(flat[::2], flat[1::2], strict=True)}
    items = (ApiTokenListItem(token, used.get(token.id)) for token in tokens)
    return sorted(items, key=lambda one: -one.token.made)


async def revoke_token(wire: Wire, token_id: str) -> ApiToken:
    """Delete a token; return it. Raises NotFound, StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.TOKENS)
    for digest, data in zip(flat[::2], flat[1::2], strict=True):
        token = _token(data)
        if token.id == token_id:
            operations = Operations()
            operations.do("HDEL", keys.TOKENS, digest)
            operations.do("HDEL", keys.TOKENS_USED, token.id)
            await commit(wire, operations)
            return token
    raise NotFound(Phrase("refusal.no_token", {"token": token_id[:60]}))


async def save_handshake(wire: Wire, state: str, handshake: Handshake) -> None:
    """Store a handshake for HANDSHAKE_TIMEOUT. Raises StoreUnavailable."""
    lifetime, key = int(HANDSHAKE_TIMEOUT * 1000), keys.handshake(hash_secret(state))
    await wire.call("SET", key, _encode(handshake), "PX", lifetime)


async def take_handshake(wire: Wire, state: str) -> Handshake | None:
    """Load and delete a handshake; None where there is none. Raises StoreUnavailable."""
    # GETDEL: each may be used once only, also by two requests at the same moment
    data = await wire.call("GETDEL", keys.handshake(hash_secret(state)))
    return None if data is None else _handshake(data)


def attempt_counters(name: str, address: str, browser: str = "") -> tuple[AttemptCounter, ...]:
    """The counters of an attempt to sign in by a name, in the order in which they are asked.

    name: in its one normal form. browser: the id of one that has signed this name in before, "" =
    an unknown one. Only its own wrong attempts count against such a browser, so that strangers
    cannot lock its person out.
    """
    hashed = hash_secret(name)[:32]
    if browser:
        return (AttemptCounter(f"browser:{hashed}:{browser}", NAME_TRIES),)
    network = client_network(address)
    return (
        AttemptCounter(f"name:{hashed}:{network}", NAME_TRIES),
        AttemptCounter(f"address:{network}", ADDRESS_TRIES, of_one_name=False),
        # Last: what the others refuse is not counted here, so that one address alone never fills
        # it. Its short wait slows many addresses down without closing the name for long.
        AttemptCounter(f"name:{hashed}", NAME_TRIES_ANYWHERE, longest_wait=ATTEMPT_WINDOW),
    )


def client_network(address: str) -> str:
    """The network that attempts from an address count for: of IPv4 itself, of IPv6 its /64.

    Whoever has an IPv6 address has 2 to the 64 of them.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found, 64), strict=False))
        found = found.ipv4_mapped
    return str(found)


def wait_after(wrong: int, tries: int, longest: float = MAX_ATTEMPT_WAIT) -> float:
    """Seconds to wait after so many wrong attempts: none, then 1, 2, 4 … minutes, 15 at most."""
    if wrong < tries:
        return 0.0
    return min(longest, ATTEMPT_WINDOW * 2.0 ** min(wrong - tries, LONGEST_GROWTH))


async def begin_attempt(wire: Wire, *counters: AttemptCounter) -> float:
    """Count an attempt; return the seconds to wait before it may be made, 0 = now.

    One that has to wait is not counted: else a flood of others' attempts, which the last counter
    slows down, would close the first two for those who try again. Raises StoreUnavailable.
    """
    asked = [(counter.key, counter.tries, _waits(counter)) for counter in counters]
    memory = int(ATTEMPT_WINDOW * 1000), int(MAX_ATTEMPT_WAIT * 1000)
    left = await wire.script("begin_attempt", keys.P, _encode(asked), *memory)
    return float(left) / 1000


def _waits(counter: AttemptCounter) -> list[int]:
    """Milliseconds to wait after the last attempt that is free, and after each one more."""
    numbers = range(counter.tries, counter.tries + LONGEST_GROWTH + 1)
    waits = [wait_after(wrong, counter.tries, counter.longest_wait) for wrong in numbers]
    return [int(wait * 1000) for wait in waits]


async def clear_attempts(wire: Wire, *counters: AttemptCounter) -> None:
    """Forget the attempts of a name whose password was right. Raises StoreUnavailable.

    Of the address only this one: whoever knows one password may not try others.
    """
    asked = [(counter.key, counter.tries, counter.of_one_name) for counter in counters]
    await wire.script("clear_attempts", keys.P, _encode(asked))
