"""`amproxy repair` mends what a power cut leaves, with a real server before and after it."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from amproxy.store.embedded import EmbeddedRedis, EmbeddedRedisFailed
from amproxy.store.folder import lock_folder
from amproxy.store.repair import CannotRepair, find_whole_part, read_manifest, repair
from amproxy.store.wire import Wire

MANIFEST = "appendonly.aof.manifest"
INCR = "appendonly.aof.1.incr.aof"


async def ask(folder: Path, *calls: tuple[str, ...]) -> list[object]:
    """Start the embedded Redis, call it, and end it orderly."""
    redis = EmbeddedRedis(folder, "always")
    try:
        await redis.start()
        wire = Wire(redis.url)
        wire.open()
        await wire.connected()
        answers = [await wire.call(*words) for words in calls]
        await wire.close()
        return answers
    finally:
        await redis.stop()


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder with thirty keys: "0" to "29"."""
    folder = tmp_path / "data"
    await ask(folder, *(("SET", str(n), f"value {n}") for n in range(30)))
    return folder


def incr(folder: Path) -> Path:
    return folder / "appendonlydir" / INCR


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 3)


def append(tail: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("ab") as file:
            file.write(tail)

    return damage


def overwrite(path: Path) -> None:
    """Garbage over the value of key "9" and the head of the next: 19 later commands are whole."""
    at = path.read_bytes().index(b"value 9")
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\x00\xff\r\n garbage")


@pytest.mark.parametrize(
    ("damage", "kept", "dropped"),
    [
        (append(b"\0" * 4096), 30, 0),
        (append(b"garbage\r\n*3\r\n"), 30, 0),
        (append(b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\n0\r\n" + b"\0" * 9), 30, 2),
        (overwrite, 9, 19),
    ],
    ids=["zeroes", "garbage", "half a transaction", "garbage in the middle"],
)
async def test_what_redis_refuses_is_cut_off_after_a_copy(
    data: Path, damage: Callable[[Path], None], kept: int, dropped: int
) -> None:
    damage(incr(data))
    before = incr(data).read_bytes()
    with pytest.raises(EmbeddedRedisFailed) as failed:
        await ask(data)
    assert str(incr(data)) in str(failed.value)
    assert f"amproxy repair --data-dir {data}" in str(failed.value)

    done = repair(data)

    assert done.copy is not None and done.file == incr(data)
    assert (done.copy / INCR).read_bytes() == before
    assert stat.S_IMODE(done.copy.stat().st_mode) == 0o700
    assert done.dropped_bytes == len(before) - incr(data).stat().st_size > 0
    assert done.dropped_commands == dropped
    assert len((await ask(data, ("KEYS", "*")))[0]) == kept  # type: ignore[arg-type]
    assert repair(data).copy is None


async def test_half_a_command_at_the_end_is_mended_too(data: Path) -> None:
    cut(incr(data))
    done = repair(data)
    assert done.copy is not None and done.dropped_commands == 0 and done.dropped_bytes > 10
    assert len((await ask(data, ("KEYS", "*")))[0]) == 29  # type: ignore[arg-type]


async def test_where_nothing_is_damaged_nothing_is_changed(data: Path) -> None:
    before = incr(data).read_bytes()
    assert repair(data).copy is None
    assert incr(data).read_bytes() == before
    assert [path.name for path in data.glob("appendonlydir*")] == ["appendonlydir"]


async def test_files_after_the_damaged_one_leave_the_manifest(data: Path) -> None:
    """As after a rewrite that did not end: two files of commands follow the base."""
    second, manifest = incr(data).with_name("two.aof"), incr(data).with_name(MANIFEST)
    shutil.copy(incr(data), second)
    with manifest.open("a") as file:
        file.write("file two.aof seq 2 type i\n")
    append(b"\0" * 10)(incr(data))
    done = repair(data)
    assert done.dropped_bytes == 10 + (done.copy / "two.aof").stat().st_size  # type: ignore[operator]
    assert not second.exists() and "two.aof" not in manifest.read_text()
    assert len((await ask(data, ("KEYS", "*")))[0]) == 30  # type: ignore[arg-type]


async def test_a_damaged_snapshot_is_left_alone_and_named(data: Path) -> None:
    base = next(one.path for one in read_manifest(data / "appendonlydir") if one.kind == "b")
    content = bytearray(base.read_bytes())
    content[len(content) // 2] ^= 0xFF
    base.write_bytes(content)
    with pytest.raises(CannotRepair, match=f"{base} is damaged"):
        repair(data)
    assert base.read_bytes() == content


@pytest.mark.parametrize("text", ["", "\0" * 88, "file gone.aof seq 1 type i\n"])
async def test_a_manifest_that_says_nothing_is_named(data: Path, text: str) -> None:
    manifest = data / "appendonlydir" / MANIFEST
    manifest.write_text(text)
    with pytest.raises(CannotRepair, match="restore the folder from a backup"):
        repair(data)
    assert manifest.read_text() == text


async def test_it_refuses_a_folder_in_use(data: Path) -> None:
    append(b"\0")(incr(data))
    before = incr(data).read_bytes()
    with lock_folder(data):
        command = [sys.executable, "-m", "amproxy", "repair", "--data-dir", str(data)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "is in use by another amproxy" in ended.stderr
    assert incr(data).read_bytes() == before


async def test_the_command_says_what_it_did(data: Path) -> None:
    append(b"\0" * 77)(incr(data))
    command = [sys.executable, "-m", "amproxy", "repair", "--data-dir", str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert f"damaged: {incr(data)}" in ended.stdout
    assert "dropped: 77 bytes with 0 whole commands" in ended.stdout
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.startswith("fine: nothing is damaged")


SET = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
MULTI, EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"


@pytest.mark.parametrize(
    ("text", "end", "commands"),
    [
        (b"", 0, 0),
        (SET * 2, 2 * len(SET), 2),
        (SET + b"#TS:1750000000\r\n" + SET, 2 * len(SET) + 16, 2),
        (SET + b"#TS:17500000", len(SET), 1),
        (SET + MULTI + SET, len(SET), 1),
        (SET + MULTI + SET + EXEC, 2 * len(SET) + len(MULTI) + len(EXEC), 4),
        (SET + b"*3\r\n$3\r\nSET\r\n$9999999999\r\n", len(SET), 1),
        (SET + b"*-1\r\n", len(SET), 1),
        (SET + b"*0\r\n", len(SET), 1),
        (SET + b"*1\r\n$4\r\n\0\0\0\0\r\n", len(SET), 1),
    ],
)
def test_the_last_whole_command_is_found(text: bytes, end: int, commands: int) -> None:
    assert find_whole_part(text) == (end, commands)


@pytest.mark.parametrize("length", range(len(SET)))
def test_every_cut_of_a_command_is_found(length: int) -> None:
    assert find_whole_part(SET + SET[:length]).end == len(SET)
