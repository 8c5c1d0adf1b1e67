"""The data folder: one user's and one amproxy's alone; and where the socket of its Redis is."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Final

from amproxy.errors import AmproxyError, os_error_words

LONGEST_SOCKET: Final = 100  # bytes of a path: kernels allow 103 to 107
AOF_FOLDER: Final = "appendonlydir"  # Redis' own name
# What amproxy and its Redis leave in a data folder: such a one may be closed to others.
OWN_ENTRIES: Final = frozenset({AOF_FOLDER, "lock", "redis.log", "redis.sock", "metrics"})


class BadDataFolder(AmproxyError):
    """A folder that cannot be used; the text says why and what to do."""


def make_private(folder: Path) -> None:
    """Make a folder that only this user may enter, or close it to others.

    Raises BadDataFolder: it cannot be made, is another user's, or holds other things.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if stat.S_IMODE(found.st_mode) & 0o077 == 0:
            return
        _refuse_foreign(folder)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        folder.chmod(0o700)
    except OSError:
        # Of a folder of somebody else's, amproxy may be in the group: then that must stay.
        if found.st_mode & stat.S_IRWXO:
            raise BadDataFolder(
                f"everybody can look into the data folder {folder}, and amproxy's user may not "
                "change that: name a folder below it (--data-dir), which amproxy makes itself"
            ) from None


def _refuse_foreign(folder: Path) -> None:
    """Raises BadDataFolder where there are only things that are not amproxy's, and OSError.

    A folder such as /tmp must not be closed to others.
    """
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries}
    if names and not names & OWN_ENTRIES:
        raise BadDataFolder(
            f"the data folder {folder} holds other things, and others can look into it: "
            "name a folder for amproxy alone (--data-dir), which it makes itself"
        )


def _unusable(folder: Path, error: OSError) -> BadDataFolder:
    return BadDataFolder(f"the data folder {folder} cannot be used: {os_error_words(error)}")


def lock_folder(folder: Path) -> IO[str]:
    """Take a data folder for as long as the file stays open. Raises BadDataFolder.

    Two servers on one append-only file would destroy it. The kernel frees the lock even after
    kill -9.
    """
    try:
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadDataFolder(f"the data folder {folder} is in use by another amproxy") from None
    return lock


def socket_path(folder: Path) -> Path:
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"amproxy-{os.getuid()}-{short}" / "redis.sock"


def make_socket_folder(folder: Path) -> None:
    """Make the folder of the socket where all users may write, which another may have made first.

    Raises BadDataFolder.
    """
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise BadDataFolder(
                f"{folder}, where the socket of the embedded Redis belongs, is not a folder of "
                "amproxy's user: remove it, or name a shorter --data-dir, which holds the socket"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, error) from None
