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
from amproxy.log import EventLog

log = EventLog(__name__)

LONGEST_SOCKET: Final = 100  # bytes of a path: kernels allow 103 to 107
AOF_FOLDER: Final = "appendonlydir"  # Redis' own name
# What amproxy and its Redis leave in a data folder: one with nothing else is closed to others.
OWN_ENTRIES: Final = frozenset({AOF_FOLDER, "lock", "redis.log", "redis.sock", "metrics"})


class BadDataFolder(AmproxyError):
    """A folder that cannot be used; the text says why and what to do."""


def make_private(folder: Path) -> None:
    """Make a folder that only this user may enter, or close it to others.

    One that holds other things stays open, and what is amproxy's in it is closed. Raises
    BadDataFolder: it cannot be made, is another user's, or everybody may write to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if stat.S_IMODE(found.st_mode) & 0o077 == 0:
            return
        if _holds_foreign(folder):
            _close_own(folder, found.st_mode)
            return
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


def _holds_foreign(folder: Path) -> bool:
    """True where there is something that is not amproxy's. Raises OSError."""
    with os.scandir(folder) as entries:
        return any(entry.name not in OWN_ENTRIES for entry in entries)


def _close_own(folder: Path, mode: int) -> None:
    """Make private what Redis will write in a folder such as /etc, which must stay open to others.

    Raises BadDataFolder for a folder such as /tmp, and OSError.
    """
    if mode & stat.S_IWOTH:
        raise BadDataFolder(
            f"everybody may write to {folder}, which holds other things: "
            "name a folder for amproxy alone (--data-dir), which it makes itself"
        )
    log.warning("others can look into the data folder, but not into amproxy's files", folder=folder)
    (folder / AOF_FOLDER).mkdir(mode=0o700, exist_ok=True)


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
