"""A changed file put in the place of the old one, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from amproxy.edit.change import digest
from amproxy.errors import Conflict


def write(path: str | Path, data: bytes, expected: str) -> bytes:
    """Replace the file by `data`, if it still is the one with the digest `expected`; returns what it held before.

    A link is followed; mode, and owner where that is allowed, are kept. Raises Conflict where the file is another one by now, or
    cannot be written.
    """
    real = Path(path).resolve()
    try:
        with _held(real):
            before = real.read_bytes()
            if digest(before) != expected:
                raise Conflict("the file has changed since: look at the change again")
            _replace(real, data)
            return before
    except OSError as error:
        raise Conflict(f"the file cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Other processes that write the file wait; they find another file then, and read it anew."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace(path: Path, data: bytes) -> None:
    old = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):  # only root may give a file away; the folder's owner sees it as ours then
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:  # not swallowed: only the unfinished file goes
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """The new name is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
