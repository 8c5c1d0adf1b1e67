"""The way to Redis: by the address of its URL, or by what sentinels or nodes of a cluster say.

redis-py makes the connections (URLs, TLS, sign-in), and asks sentinels.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel
from redis.crc import key_slot
from redis.exceptions import RedisError

from amproxy.errors import AmproxyError, StoreUnavailable
from amproxy.store import keys
from amproxy.text import phrase

REDIS_TIMEOUT = 5.0  # seconds without a response after which a connection counts as broken
NODE_TIMEOUT: Final = 1.0  # seconds that a node of a cluster has to say where the keys are
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SLOT: Final = key_slot(keys.P.encode())  # all keys have one hash tag, and so one slot of a cluster
# Refusals that mean that another node of a cluster has the keys, or that this one knows of too few.
ELSEWHERE: Final = ("MOVED", "CLUSTERDOWN")


class BadRedisUrl(AmproxyError):
    """An address that amproxy cannot use; the text says why."""


class RedisAddress(NamedTuple):
    """Host and port of a server."""

    host: str
    port: int


class Finder(Protocol):
    """Finds the Redis to connect to, anew for each connection."""

    options: dict[str, Any]  # of its connections

    async def find(self) -> Any:
        """A connection, not connected yet. Raises RedisError, OSError, StoreUnavailable."""

    def leave(self, refusal: str) -> StoreUnavailable | None:
        """The reason to give a connection up, where a refusal means that Redis is elsewhere."""


def find_redis(url: str) -> Finder:
    """The finder for a URL. Raises BadRedisUrl.

    redis+sentinel://[USER:PASSWORD@]HOST:26379,HOST:26379/NAME[/DB] and
    redis+cluster://[USER:PASSWORD@]HOST:6379,HOST:6379; "rediss+…" with TLS. The options after a
    "?" are those of redis-py's own URLs, and sentinel_username and sentinel_password.
    """
    scheme, _, kind = url.partition(":")[0].partition("+")
    try:
        finder: Finder
        if scheme in ("redis", "rediss") and kind == "sentinel":
            finder = _Sentinels(urlsplit(url), scheme)
        elif scheme in ("redis", "rediss") and kind == "cluster":
            finder = _Cluster(urlsplit(url), scheme)
        else:
            finder = _Single(url)
        _make_connection(finder.options)
    except (ValueError, TypeError) as error:  # TypeError: an option that redis-py does not know
        why = str(error)
        if why.startswith("Port "):  # it quotes what may be a part of the password
            why = "a port is no number; in a password / is written as %2F and @ as %40"
        raise BadRedisUrl(f"the address of Redis cannot be used: {why}") from None
    return finder


def _make_connection(options: dict[str, Any], address: RedisAddress | None = None) -> Any:
    where = address._asdict() if address else {}
    pool = ConnectionPool(
        **{"socket_connect_timeout": REDIS_TIMEOUT, **options, **where, "protocol": 2}
    )
    return pool.make_connection()  # type: ignore[no-untyped-call]


def _parse_options(parts: SplitResult, scheme: str, database: str) -> dict[str, Any]:
    """The options that all servers of a URL share, as redis-py understands those of one server."""
    people, at, _ = parts.netloc.rpartition("@")
    query = f"?{parts.query}" if parts.query else ""
    return dict(parse_url(f"{scheme}://{people}{at}/{database}{query}"))


def _parse_addresses(parts: SplitResult, port: int) -> list[RedisAddress]:
    pairs = (urlsplit(f"//{one}") for one in parts.netloc.rpartition("@")[2].split(","))
    return [RedisAddress(one.hostname or "", one.port or port) for one in pairs]


class _Single:
    """One Redis."""

    def __init__(self, url: str) -> None:
        self.options = dict(parse_url(url))

    async def find(self) -> Any:
        return _make_connection(self.options)

    def leave(self, refusal: str) -> StoreUnavailable | None:
        moved = refusal.startswith("MOVED ")
        return StoreUnavailable(phrase("refusal.redis_is_cluster")) if moved else None


class _Sentinels:
    """The master that sentinels name."""

    def __init__(self, parts: SplitResult, scheme: str) -> None:
        name, _, database = parts.path.strip("/").partition("/")
        addresses = _parse_addresses(parts, SENTINEL_PORT)
        if not all(one.host for one in addresses) or not name or not _is_database(database):
            raise BadRedisUrl("sentinels are named as redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
        self._name = name
        self.options = _parse_options(parts, scheme, database)
        # What is said of TLS holds for the sentinels, too; a password they have of their own.
        settings = {name: value for name, value in self.options.items() if name[:4] == "ssl_"}
        for name in ("username", "password"):
            settings[name] = self.options.pop(f"sentinel_{name}", None)
        settings |= {"ssl": scheme == "rediss", "socket_timeout": REDIS_TIMEOUT}
        settings["socket_connect_timeout"] = REDIS_TIMEOUT
        self._sentinel = Sentinel(addresses, sentinel_kwargs=settings)  # type: ignore[no-untyped-call]

    async def find(self) -> Any:
        host, port = await self._sentinel.discover_master(self._name)
        return _make_connection(self.options, RedisAddress(host, port))

    def leave(self, refusal: str) -> StoreUnavailable | None:
        return None


def _is_database(text: str) -> bool:
    return not text or text.isdigit()


class _Cluster:
    """The node of a cluster that has the slot of amproxy's keys."""

    def __init__(self, parts: SplitResult, scheme: str) -> None:
        self._given = _parse_addresses(parts, REDIS_PORT)
        if not all(one.host for one in self._given) or parts.path.strip("/"):
            raise BadRedisUrl("a cluster is named as redis+cluster://HOST:PORT,HOST:PORT")
        self.options = _parse_options(parts, scheme, "")
        # All that are known: those of the URL, and those that the cluster has told of.
        self._nodes = deque(self._given)
        self._used = self._given[0]
        self._moved_to: RedisAddress | None = None

    async def find(self) -> Any:
        self._used = self._moved_to or await self._ask_nodes()
        self._moved_to = None
        return _make_connection(self.options, self._used)

    def leave(self, refusal: str) -> StoreUnavailable | None:
        code, _, rest = refusal.partition(" ")
        if code not in ELSEWHERE:
            return None
        if code == "MOVED":
            # What this node says is newer than what others may have heard by now.
            host, _, port = rest.partition(" ")[2].rpartition(":")
            self._moved_to = RedisAddress(host or self._used.host, int(port))
            return StoreUnavailable(phrase("refusal.redis_moved"))
        return StoreUnavailable(phrase("refusal.redis_cluster_down"))

    async def _ask_nodes(self) -> RedisAddress:
        """The node that has the slot by the first that answers.

        Each call begins with another node: one that is cut off from the others knows no better.
        """
        failure: Exception = StoreUnavailable(phrase("refusal.redis_no_slot", slot=SLOT))
        for _ in range(len(self._nodes)):
            asked = self._nodes[0]
            self._nodes.rotate(-1)
            try:
                async with asyncio.timeout(NODE_TIMEOUT):
                    masters = await self._load_masters(asked)
            except (RedisError, OSError) as error:
                failure = error
                continue
            known = [*self._nodes, *masters.values()]
            self._nodes = deque(dict.fromkeys(known))
            for (first, last), address in masters.items():
                if first <= SLOT <= last:
                    return address
        raise failure

    async def _load_masters(self, asked: RedisAddress) -> dict[tuple[int, int], RedisAddress]:
        """First and last slot → the node that has them, as a node knows it."""
        connection = _make_connection(self.options, asked)
        try:
            await connection.connect()
            await connection.send_command("CLUSTER", "SLOTS")
            rows: Sequence[Any] = await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
        # No host: it is the one that was asked.
        return {
            (first, last): RedisAddress(master[0].decode() if master[0] else asked.host, master[1])
            for first, last, master, *_ in rows
        }
