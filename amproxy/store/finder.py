"""Where Redis is: a URL says it, or the sentinels that the URL names. redis-py makes the connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import Sentinel

from amproxy.errors import AmproxyError

PATIENCE = 5.0  # seconds without an answer after which a connection counts as broken
SENTINEL_PORT = 26379


class BadRedisUrl(AmproxyError):
    """An address that amproxy cannot use; the text says why."""


def finder(url: str) -> Callable[[], Awaitable[Any]]:
    """A function that makes a connection to today's Redis, not connected yet. Raises BadRedisUrl.

    redis+sentinel://[user:password@]h1:26379,h2:26379/NAME[/DB] asks the sentinels for the master each time.
    """
    scheme = url.partition(":")[0]
    if scheme == "redis+cluster":
        raise BadRedisUrl("redis+cluster:// is not supported yet: name a single Redis, or its sentinels")
    if scheme == "redis+sentinel":
        return _by_sentinels(url)
    try:
        pool = ConnectionPool.from_url(url, protocol=2, socket_connect_timeout=PATIENCE)
    except ValueError as error:
        raise BadRedisUrl(f"the address of Redis cannot be used: {error}") from None

    async def direct() -> Any:
        return pool.make_connection()  # type: ignore[no-untyped-call]

    return direct


def _by_sentinels(url: str) -> Callable[[], Awaitable[Any]]:
    parts = urlsplit(url)
    people, _, hosts = parts.netloc.rpartition("@")
    user, _, password = people.partition(":")
    name, _, database = parts.path.strip("/").partition("/")
    if not hosts or not name or (database and not database.isdigit()):
        raise BadRedisUrl("sentinels are named as redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
    addresses = [(host, int(port or SENTINEL_PORT)) for host, _, port in (pair.partition(":") for pair in hosts.split(","))]
    sentinel = Sentinel(addresses, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) or None, "db": int(database or 0)}

    async def by_sentinels() -> Any:
        host, port = await sentinel.discover_master(name)
        pool = ConnectionPool(host=host, port=port, protocol=2, socket_connect_timeout=PATIENCE, **options)
        return pool.make_connection()  # type: ignore[no-untyped-call]

    return by_sentinels
