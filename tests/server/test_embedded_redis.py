"""The embedded Redis that cannot start or be kept running, and the folder that is its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from amproxy.store import embedded
from amproxy.store.folder import BadDataFolder, make_private, make_socket_folder, socket_path
from tests.support.servers import Servers
from tests.support.waiting import until

ROUTES = "route: {receiver: r}\nreceivers: [{name: r}]\n"


def serve(tmp_path: Path, data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Start the service where it must end by itself."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    command = [sys.executable, "-m", "amproxy", "serve", "--listen", "127.0.0.1:0"]
    command += ["--config", str(tmp_path / "routes.yaml"), "--data-dir", str(data), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_damaged_file_is_named_with_the_remedy_and_the_service_ends(
    servers: Servers, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    amproxy = servers.amproxy(ROUTES, data_dir=data)
    assert amproxy.terminate() == 0
    [file] = (data / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as opened:
        opened.write(b"\0" * 1000)
    ended = serve(tmp_path, data)
    assert ended.returncode == 1
    assert f"{file} is damaged" in ended.stderr
    assert f"amproxy repair --data-dir {data}" in ended.stderr
    assert "Traceback" not in ended.stderr

    command = [sys.executable, "-m", "amproxy", "repair", "--data-dir", str(data)]
    subprocess.run(command, timeout=60, check=True, capture_output=True)
    amproxy.start()


def test_one_that_dies_and_cannot_start_again_is_given_up(servers: Servers, tmp_path: Path) -> None:
    data = tmp_path / "data"
    amproxy = servers.amproxy(ROUTES, data_dir=data)
    [file] = (data / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as opened:
        opened.write(b"\0" * 1000)
    [server] = children(amproxy.pid)
    os.kill(server, signal.SIGKILL)
    began = time.monotonic()
    assert amproxy.process is not None and amproxy.process.wait(90) == 1
    assert time.monotonic() - began > 4, "it did not wait between its attempts"
    assert f"{file} is damaged" in amproxy.tail()
    assert 4 < amproxy.stderr.count("the embedded Redis does not start") < 10


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_one_that_is_killed_again_and_again_is_started_anew(
    servers: Servers, tmp_path: Path
) -> None:
    amproxy = servers.amproxy(ROUTES, data_dir=tmp_path / "data")
    killed = set[int]()
    for _ in range(7):
        [server] = until(lambda: [pid for pid in children(amproxy.pid) if pid not in killed])
        killed.add(server)
        os.kill(server, signal.SIGKILL)
    until(lambda: [pid for pid in children(amproxy.pid) if pid not in killed])
    assert amproxy.process is not None and amproxy.process.poll() is None


def test_the_data_folder_is_amproxys_alone(servers: Servers, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    servers.amproxy(ROUTES, data_dir=data)
    assert mode(data) == 0o700
    open_to_others = [path for path in data.rglob("*") if mode(path) & 0o077 and path.is_dir()]
    assert open_to_others == []


def test_a_folder_that_is_made_is_private(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


def test_a_folder_with_other_things_is_not_closed_to_others(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "something").touch()
    with pytest.raises(BadDataFolder, match="holds other things"):
        make_private(shared)
    assert mode(shared) == 0o1777


def test_in_a_folder_with_other_things_what_is_amproxys_is_closed(
    servers: Servers, tmp_path: Path
) -> None:
    data = tmp_path / "project"
    data.mkdir()
    data.chmod(0o755)
    (data / "notes.txt").touch()
    for _ in range(2):
        amproxy = servers.amproxy(ROUTES, data_dir=data)
        assert "others can look into the data folder" in amproxy.stderr
        amproxy.stop()
    assert mode(data) == 0o755
    own = [path for path in data.rglob("*") if path.name != "notes.txt" and path.is_file()]
    assert any("aof" in path.name for path in own)
    closed = [data / "appendonlydir", *(path for path in own if path.parent == data)]
    assert [path for path in closed if mode(path) & 0o077 and path.name != "lock"] == []


def test_the_folder_of_the_socket_must_be_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = socket_path(tmp_path / ("x" * 120)).parent
    assert folder.parent == tmp_path
    folder.symlink_to(tmp_path)
    with pytest.raises(BadDataFolder, match="is not a folder of amproxy's user"):
        make_socket_folder(folder)
    folder.unlink()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    make_socket_folder(folder)
    assert mode(folder) == 0o700
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BadDataFolder, match="is not a folder of amproxy's user"):
        make_socket_folder(folder)


def test_a_path_too_long_for_a_socket_works(servers: Servers, tmp_path: Path) -> None:
    data = tmp_path / ("x" * 100)
    servers.amproxy(ROUTES, data_dir=data)
    folder = socket_path(data).parent
    assert mode(folder) == 0o700
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file", "a file of this name is there"),
        ("file/below", "a part of this path is a file"),
        ("loop", "cannot be used"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_data_folder_that_cannot_be_used_is_words(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    ended = serve(tmp_path, tmp_path / place)
    assert ended.returncode == 1 and words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_cannot_be_run_is_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(embedded.EmbeddedRedisFailed, match="install one, or name a Redis"):
        embedded.find_server()


async def test_a_system_without_processes_left_is_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("asyncio.create_subprocess_exec", refuse)
    redis = embedded.EmbeddedRedis(tmp_path / "data", "always")
    with pytest.raises(embedded.EmbeddedRedisFailed, match="no more processes"):
        await redis.start()
    await redis.stop()


async def test_a_full_disk_is_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that ends as Redis does: a real full disk takes rights that tests do not have."""
    server = tmp_path / "server"
    line = "1:M 30 Nov 2026 10:00:00.000 # Can't write the manifest: No space left on device"
    server.write_text(
        f'#!/bin/sh\nwhile [ "$1" != --logfile ]; do shift; done\necho "{line}" >> "$2"\nexit 1\n'
    )
    server.chmod(0o700)
    monkeypatch.setattr(embedded, "find_server", lambda: str(server))
    redis = embedded.EmbeddedRedis(tmp_path / "data", "always")
    with pytest.raises(embedded.EmbeddedRedisFailed, match="is full: make room and start again"):
        await redis.start()
    await redis.stop()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "127.0.0.1:99999"], "ports go up to 65535"),
        (["--listen", "203.0.113.7:9093"], "this machine has no such address"),
        (["--listen", "nosuch.invalid:9093"], "the host cannot be resolved"),
        (["--listen", f"{'a' * 80}.example:9093"], "cannot listen on"),
        (["--listen", "127.0.0.1:²"], "is no HOST:PORT"),
        (["--config", "{folder}"], "Is a directory"),
        (["--config", "{folder}/loop"], "Too many levels of symbolic links"),
        (["--web.config.file", "{folder}/none"], "No such file or directory"),
    ],
)
def test_what_the_system_refuses_at_the_start_is_words(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "open.yaml").write_text(f"{ROUTES}web: {{allow_unauthenticated: true}}\n")
    command = [sys.executable, "-m", "amproxy", "serve", "--config", str(tmp_path / "open.yaml")]
    command += [word.format(folder=tmp_path) for word in arguments]
    command += ["--data-dir", str(tmp_path / "data")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not re.search(r"Errno", ended.stderr)


@pytest.mark.parametrize("command", ["check", "explain a=b", "simulate a=b", "oncall", "quality"])
def test_commands_say_in_words_that_a_file_cannot_be_read(tmp_path: Path, command: str) -> None:
    words = [sys.executable, "-m", "amproxy", *command.split(), "--config", str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "Is a directory" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_output_to_a_full_disk_is_words(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "amproxy", "check", str(tmp_path / "routes.yaml")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1 and "disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
