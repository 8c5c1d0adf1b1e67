"""`amproxy backup` and `amproxy restore`: all of amproxy's state in Redis as lines of JSON.

The first line is a Header, the last one a Footer, and each between them a Piece of one key. So a
state can go from one Redis into another, or a cluster, of any version.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Final, Literal

import msgspec

from amproxy import __version__
from amproxy.errors import AmproxyError, StoreUnavailable
from amproxy.store import keys
from amproxy.store.embedded import EmbeddedRedis, is_running, socket_url
from amproxy.store.folder import AOF_FOLDER
from amproxy.store.replicas import load_replicas
from amproxy.store.wire import Wire

STATE_VERSION: Final = 1  # of what keys.py describes; another one when older versions misread it
CONNECT_TIMEOUT: Final = 10.0  # seconds
SCAN_COUNT: Final = 1000  # keys, or fields of a hash, that one call looks at
PIECE: Final = 500  # members of a list or stream that are read at once
AT_ONCE: Final = 100  # pieces that are written at once

Kind = Literal["string", "hash", "list", "set", "zset", "stream"]
# The command that writes a piece: its words follow the key.
WRITE: Final[dict[Kind, str]] = {
    "string": "SET",
    "hash": "HSET",
    "list": "RPUSH",
    "set": "SADD",
    "zset": "ZADD",
    "stream": "XADD",
}


class BadBackup(AmproxyError):
    """A backup that cannot be restored here, or a Redis that one cannot be made of."""


class Header(msgspec.Struct, frozen=True):
    """The first line."""

    amproxy: str  # version that wrote it
    state: int  # STATE_VERSION
    taken: float  # Unix seconds


class Binary(msgspec.Struct, frozen=True):
    """Bytes that are no UTF-8 text."""

    base64: str


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key, or a part of a large one."""

    key: str  # without the prefix
    type: Kind
    value: list[str | Binary]
    expires: int = 0  # Unix milliseconds; 0 = never


class Footer(msgspec.Struct, frozen=True):
    """The last line: without it, the file is not whole."""

    pieces: int


_encode = msgspec.json.Encoder().encode
_piece = msgspec.json.Decoder(Piece).decode
_footer = msgspec.json.Decoder(Footer).decode


@contextlib.asynccontextmanager
async def opened(where: str) -> AsyncIterator[Wire]:
    """A connection to a Redis by its URL, or by the data folder of the embedded one.

    The embedded Redis is started for this where no service runs it. Raises StoreUnavailable,
    EmbeddedRedisFailed, BadDataFolder, BadRedisUrl.
    """
    own = None
    if "://" not in where:
        folder = Path(where)
        if not is_running(folder):
            own = EmbeddedRedis(folder, "always")
            await own.start()
        where = socket_url(folder)
    wire = Wire(where)
    wire.open()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await wire.connected()
        if not wire.up:
            raise StoreUnavailable(wire.away)
        yield wire
    finally:
        await wire.close()
        if own:
            await own.stop()


def refuse_empty_folder(where: str) -> None:
    """Raises BadBackup where a data folder has no state to save."""
    if "://" not in where and not (Path(where) / AOF_FOLDER).exists():
        raise BadBackup(f"{where} is no data folder of amproxy, and no URL of Redis")


async def back_up(wire: Wire, file: IO[bytes], now: float) -> int:
    """Write all of the state; return the number of keys. Raises StoreUnavailable, OSError."""
    names, pieces = await _load_names(wire), 0
    file.write(_encode(Header(__version__, STATE_VERSION, now)) + b"\n")
    for name in sorted(names):
        async for piece in _read_key(wire, name, now):
            file.write(_encode(piece) + b"\n")
            pieces += 1
    file.write(_encode(Footer(pieces)) + b"\n")
    return len(names)


async def restore(wire: Wire, path: Path, *, replace: bool) -> int:
    """Store what a backup holds; return the number of pieces.

    replace: instead of the state that is there, which is deleted. Raises BadBackup, before anything
    is changed; StoreUnavailable; OSError.
    """
    check(path)
    if await load_replicas(wire):
        raise BadBackup("an amproxy runs on this Redis: stop all replicas first")
    names = await _load_names(wire)
    if names and not replace:
        raise BadBackup(f"this Redis has {len(names)} keys of amproxy: --replace deletes them")
    for name in names:
        await wire.call("DEL", name)
    written, waiting = 0, list[asyncio.Future[Any]]()
    for piece in _read_pieces(path):
        waiting += _write_piece(wire, piece)
        written += 1
        if written % AT_ONCE == 0:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    return written


def check(path: Path) -> None:
    """Raises BadBackup where a file is no backup, not whole, or of a later version; OSError."""
    with path.open("rb") as file:
        try:
            header = msgspec.json.decode(file.readline(), type=Header)
        except msgspec.DecodeError:
            raise BadBackup(f"{path} is no backup of amproxy") from None
    if header.state > STATE_VERSION:
        raise BadBackup(
            f"{path} is of amproxy {header.amproxy}, which stores what this cannot read"
        )
    for _ in _read_pieces(path):
        pass


async def _load_names(wire: Wire) -> set[bytes]:
    names, cursor = set[bytes](), b"0"
    while True:
        cursor, some = await wire.call("SCAN", cursor, "MATCH", f"{keys.P}*", "COUNT", SCAN_COUNT)
        names.update(some)
        if cursor == b"0":
            return names


async def _read_key(wire: Wire, name: bytes, now: float) -> AsyncIterator[Piece]:
    """The pieces of a key; none where it is gone by now."""
    asked = wire.call("TYPE", name), wire.call("PTTL", name)
    kind, left = [await answer for answer in asked]
    if kind == b"none":
        return
    expires = int(now * 1000) + left if left >= 0 else 0
    async for words in _read_values(wire, name, kind.decode()):
        value = [_to_json(word) for word in words]
        yield Piece(name.decode().removeprefix(keys.P), kind.decode(), value, expires)


async def _read_values(wire: Wire, name: bytes, kind: str) -> AsyncIterator[list[bytes]]:
    """The words of each piece, as its command of WRITE takes them."""
    if kind == "string":
        value = await wire.call("GET", name)
        if value is not None:
            yield [value]
    elif kind == "list":
        start = 0
        while some := await wire.call("LRANGE", name, start, start + PIECE - 1):
            yield some
            start += PIECE
    elif kind == "stream":
        after = "-"
        while entries := await wire.call("XRANGE", name, after, "+", "COUNT", PIECE):
            for entry, fields in entries:
                yield [entry, *fields]
            after = f"({entries[-1][0].decode()}"
    else:
        cursor, scan = b"0", {"hash": "HSCAN", "set": "SSCAN", "zset": "ZSCAN"}[kind]
        while True:
            cursor, some = await wire.call(scan, name, cursor, "COUNT", SCAN_COUNT)
            if kind == "zset":  # ZADD takes the score before the member
                some[::2], some[1::2] = some[1::2], some[::2]
            if some:
                yield some
            if cursor == b"0":
                return


def _read_pieces(path: Path) -> Iterator[Piece]:
    """Those of a file, after its header. Raises BadBackup where it is not whole, OSError."""
    with path.open("rb") as file:
        file.readline()
        for number, line in enumerate(file):
            try:
                if line.startswith(b'{"pieces"'):
                    if _footer(line).pieces == number:
                        return
                    break
                yield _piece(line)
            except msgspec.DecodeError:
                break
    raise BadBackup(f"{path} is not whole, or was changed: make another one")


def _write_piece(wire: Wire, piece: Piece) -> list[asyncio.Future[Any]]:
    key = keys.P + piece.key
    words = [_from_json(word) for word in piece.value]
    calls = [wire.call(WRITE[piece.type], key, *words)]
    if piece.expires:
        calls.append(wire.call("PEXPIREAT", key, piece.expires))
    return calls


def _to_json(word: bytes) -> str | Binary:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return Binary(base64.b64encode(word).decode())


def _from_json(word: str | Binary) -> bytes:
    return base64.b64decode(word.base64) if isinstance(word, Binary) else word.encode()
