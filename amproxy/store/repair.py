"""`amproxy repair`: cut the embedded Redis' append-only file off after its last whole command.

Redis loads a file whose last command is cut short, and refuses one with zeroes or garbage, as a
power cut may leave them. Its own tool to mend that is not shipped with every server.
"""

from __future__ import annotations

import mmap
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from amproxy import clock
from amproxy.errors import AmproxyError
from amproxy.store.embedded import refuse_running_server
from amproxy.store.folder import AOF_FOLDER, lock_folder

MANIFEST: Final = "appendonly.aof.manifest"
# Of a base that is a snapshot: how it begins, by server.
_SNAPSHOT_MAGIC: Final = (b"REDIS", b"VALKEY")
_END_OF_SNAPSHOT: Final = 0xFF  # followed by eight bytes of checksum, 0 = none
_LONGEST_LINE: Final = 32  # bytes of a length with its line's end
_MOST_WORDS, _LONGEST_WORD = 1 << 20, 512 << 20  # Redis' own limits
_COMMAND_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z|._-]*")
_WHOLE_COMMAND: Final = re.compile(rb"\*[1-9]\d*\r\n\$")

_Bytes = bytes | mmap.mmap


class CannotRepair(AmproxyError):
    """Damage that cannot be mended here, or there is nothing to mend; the text says why."""


class AofFile(NamedTuple):
    """A part of the append-only file. kind: "b" the base, "i" the commands since then."""

    path: Path
    kind: str
    line: str  # of the manifest


class WholePart(NamedTuple):
    """The beginning of a file that Redis can load."""

    end: int  # bytes
    commands: int


class Repair(NamedTuple):
    """The outcome of a repair; nothing was changed where `copy` is None."""

    copy: Path | None  # the damaged folder as it was
    file: Path | None  # the damaged file
    kept: int  # commands, of all files
    dropped_bytes: int
    dropped_commands: int  # whole ones behind the damage, or of a transaction without its end


def repair(folder: Path) -> Repair:
    """Mend the data folder's append-only file, after a copy.

    Raises CannotRepair, BadDataFolder or EmbeddedRedisFailed where the folder is in use, OSError.
    """
    aof = folder / AOF_FOLDER
    if not (aof / MANIFEST).is_file():
        raise CannotRepair(f"there is no append-only file in {folder}: {aof / MANIFEST} is missing")
    with closing(lock_folder(folder)):
        refuse_running_server(folder)
        files = read_manifest(aof)
        kept = 0
        for position, file in enumerate(files):
            with _opened(file.path) as data:
                if file.kind == "b" and data[:6].startswith(_SNAPSHOT_MAGIC):
                    _refuse_damaged_snapshot(file.path, data)
                    continue
                whole, size = find_whole_part(data), len(data)
                lost = count_commands(data, whole.end) if whole.end < size else 0
            kept += whole.commands
            if whole.end < size:
                later = files[position + 1 :]
                lost += sum(_count_of(one.path) for one in later)
                copy = _copy(aof)
                dropped = size - whole.end + sum(one.path.stat().st_size for one in later)
                _drop_files(aof, files[: position + 1], later)
                _truncate(file.path, whole.end)
                return Repair(copy, file.path, kept, dropped, lost)
        return Repair(None, None, kept, 0, 0)


def read_manifest(aof: Path) -> list[AofFile]:
    """The parts in the order in which Redis loads them. Raises CannotRepair, OSError."""
    files = []
    for line in (aof / MANIFEST).read_text("utf-8", "replace").splitlines():
        words = shlex.split(line, comments=True)
        fields = dict(zip(words[::2], words[1::2], strict=False))
        if not words or fields.get("type") == "h":  # of the past: Redis does not load it
            continue
        if not fields.keys() >= {"file", "type"} or "/" in fields["file"]:
            raise CannotRepair(f"{aof / MANIFEST} is damaged: restore the folder from a backup")
        path = aof / fields["file"]
        if not path.is_file():
            raise CannotRepair(f"{path} is missing: restore the folder from a backup")
        files.append(AofFile(path, fields["type"], line))
    if not files:
        raise CannotRepair(f"{aof / MANIFEST} is empty: restore the folder from a backup")
    return files


def find_whole_part(data: _Bytes) -> WholePart:
    """The part up to the last whole command; a transaction counts when it is whole."""
    position, commands = 0, 0
    end, transaction = 0, None  # transaction: commands before the one that is open
    while (found := _parse_command(data, position)) is not None:
        position, name = found
        commands += name != b"#"
        if name == b"MULTI":
            transaction = commands - 1
        elif name == b"EXEC":
            transaction = None
        if transaction is None:
            end = position
    return WholePart(end, commands if transaction is None else transaction)


def count_commands(data: _Bytes, start: int) -> int:
    """The whole commands from `start` on, whatever lies between them."""
    position, commands = start, 0
    while position < len(data):
        found = _parse_command(data, position)
        if found is None:
            following = _WHOLE_COMMAND.search(data, position + 1)
            if following is None:
                break
            position = following.start()
        else:
            position, name = found
            commands += name != b"#"
    return commands


def _parse_command(data: _Bytes, position: int) -> tuple[int, bytes] | None:
    """The end of a command and its name in capitals; None where there is no whole one.

    The name of a line with a note of Redis, such as a time, is "#".
    """
    if data[position : position + 1] == b"#":
        end = data.find(b"\r\n", position)
        return (end + 2, b"#") if end >= 0 else None
    words, at = _parse_length(data, position, b"*", _MOST_WORDS)
    name = b""
    if words < 1:
        return None
    for number in range(words):
        length, at = _parse_length(data, at, b"$", _LONGEST_WORD)
        end = at + length
        if length < 0 or data[end : end + 2] != b"\r\n":
            return None
        if number == 0:
            name = data[at:end].upper()
            if not _COMMAND_NAME.fullmatch(name):
                return None
        at = end + 2
    return at, name


def _parse_length(data: _Bytes, position: int, mark: bytes, most: int) -> tuple[int, int]:
    """The number of a line such as "*3", -1 for anything else, and where the line ends."""
    end = data.find(b"\r\n", position, position + _LONGEST_LINE)
    digits = data[position + 1 : end]
    if end < 0 or data[position : position + 1] != mark or not digits.isdigit():
        return -1, position
    number = int(digits)
    return (number if number <= most else -1), end + 2


def _refuse_damaged_snapshot(path: Path, data: _Bytes) -> None:
    """Raises CannotRepair: a snapshot has no commands that could be kept."""
    stored = int.from_bytes(data[-8:], "little")
    is_whole = len(data) > 18 and data[-9] == _END_OF_SNAPSHOT
    if not is_whole or (stored and stored != crc64(data[:-8])):
        raise CannotRepair(
            f"{path} is damaged, and it is the snapshot that all else builds upon: restore the "
            "folder from a backup, or move it away to begin with an empty one"
        )


def _crc64_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x95AC9329AC4BC9B5 if value & 1 else 0)
        table.append(value)
    return table


def crc64(data: bytes) -> int:
    """The checksum of snapshots: the Jones polynomial, reflected."""
    table, value = _crc64_table(), 0
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value


@contextmanager
def _opened(path: Path) -> Iterator[_Bytes]:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""  # nothing can be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _count_of(path: Path) -> int:
    with _opened(path) as data:
        return count_commands(data, 0)


def _copy(aof: Path) -> Path:
    """A copy of the folder beside it, with the time in its name; complete or not there at all."""
    stamp = clock.utc(clock.now()).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = aof.with_name(f"{aof.name}.damaged.{stamp}")
    try:
        shutil.copytree(aof, copy)
        copy.chmod(0o700)
        os.sync()
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    return copy


def _drop_files(aof: Path, kept: list[AofFile], dropped: list[AofFile]) -> None:
    """Take files out of the manifest, then remove them: they are in the copy."""
    if not dropped:
        return
    new = aof / f"{MANIFEST}.new"
    with new.open("w", encoding="utf-8") as file:
        file.writelines(f"{one.line}\n" for one in kept)
        file.flush()
        os.fsync(file.fileno())
    new.replace(aof / MANIFEST)
    for one in dropped:
        one.path.unlink()


def _truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())
