"""Who is signed in. A browser holds a random secret; only its SHA-256 is kept, so that a copy of Redis opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

import msgspec

from amproxy.store import keys
from amproxy.store.commit import Operations, commit
from amproxy.store.wire import Wire

SEEN_EVERY = 60.0  # seconds: `seen` is written down no oftener
SHOWN = 16  # digits of a digest that name a session to its owner


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser of one person. Times are Unix seconds."""

    user: str
    way: str  # "password", "oidc"
    made: float
    ends: float
    seen: float
    agent: str = ""
    address: str = ""


class Listed(NamedTuple):
    """A session as its owner sees it."""

    id: str
    session: Session


_encode = msgspec.msgpack.Encoder().encode
_session = msgspec.msgpack.Decoder(Session).decode


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def listed_id(secret: str) -> str:
    """How the session with this secret is called in a list."""
    return digest(secret)[:SHOWN]


async def begin(wire: Wire, session: Session) -> str:
    """A new session; returns the secret for the browser's cookie, 256 random bits. Raises StoreUnavailable."""
    secret = secrets.token_urlsafe(32)
    name = digest(secret)
    operations = Operations()
    operations.do("SET", keys.session(name), _encode(session), "PX", max(1, int((session.ends - session.made) * 1000)))
    operations.do("ZREMRANGEBYSCORE", keys.sessions(session.user), "-inf", session.made)
    operations.do("ZADD", keys.sessions(session.user), session.ends, name)
    await commit(wire, operations)
    return secret


async def load(wire: Wire, secret: str, now: float) -> Session | None:
    """The session that a secret opens, None where there is none (any more). Raises StoreUnavailable."""
    data = await wire.call("GET", keys.session(digest(secret)))
    if data is None:
        return None
    session = _session(data)
    return session if session.ends > now else None


async def saw(wire: Wire, secret: str, session: Session, now: float, address: str) -> None:
    """Remember that it was used; a session that has ended meanwhile stays ended. Raises StoreUnavailable."""
    if now - session.seen >= SEEN_EVERY:
        seen = msgspec.structs.replace(session, seen=now, address=address)
        await wire.call("SET", keys.session(digest(secret)), _encode(seen), "XX", "KEEPTTL")


async def end(wire: Wire, secret: str, user: str) -> None:
    """Raises StoreUnavailable."""
    await _end(wire, user, [digest(secret)])


async def of_user(wire: Wire, user: str) -> list[Listed]:
    """A person's sessions, those used last first. Raises StoreUnavailable."""
    found = [(name, await wire.call("GET", keys.session(name))) for name in await _names(wire, user)]
    listed = [Listed(name[:SHOWN], _session(data)) for name, data in found if data is not None]
    return sorted(listed, key=lambda one: -one.session.seen)


async def end_one(wire: Wire, user: str, listed: str) -> bool:
    """End a session by its id in the list; False where the person has no such session. Raises StoreUnavailable."""
    return bool(await _end(wire, user, [name for name in await _names(wire, user) if name[:SHOWN] == listed]))


async def end_all(wire: Wire, user: str, but: str = "") -> int:
    """Sign out everywhere, but for the session with this secret; returns how many ended. Raises StoreUnavailable."""
    kept = digest(but) if but else ""
    return await _end(wire, user, [name for name in await _names(wire, user) if name != kept])


async def _names(wire: Wire, user: str) -> list[str]:
    return [name.decode() for name in await wire.call("ZRANGE", keys.sessions(user), 0, -1)]


async def _end(wire: Wire, user: str, names: list[str]) -> int:
    if names:
        operations = Operations()
        operations.do("DEL", *map(keys.session, names))
        operations.do("ZREM", keys.sessions(user), *names)
        await commit(wire, operations)
    return len(names)
