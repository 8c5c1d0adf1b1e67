"""Files of a configuration as texts: their size and their encoding are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from amproxy.errors import ConfigProblem
from amproxy.text import Phrase

MAX_FILE_BYTES: Final = 16 * 1024 * 1024  # the largest Alertmanager files known have one million


def read_text(path: Path, limit: int = MAX_FILE_BYTES) -> str:
    """The text of a file without a byte order mark.

    Raises ConfigProblem where it cannot be read, is no UTF-8, or has more than `limit` bytes.
    """
    return decode(read_bytes(path, limit), str(path))


def read_bytes(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file. Raises ConfigProblem as `read_text` does, whatever its encoding."""
    try:
        # opened by its name each time: a ConfigMap is a symlink that is turned to another folder
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) else ""
        words = Phrase("problem.unreadable", {"reason": reason or str(error)})
        raise ConfigProblem(words, file=str(path)) from None
    if len(data) > limit:
        raise ConfigProblem(
            Phrase("problem.too_large", {"most": f"{limit >> 10:,}"}), file=str(path)
        )
    return data


def file_size(path: Path) -> int:
    """The size of a file in bytes; 0 where there is none, as whoever reads it will notice."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def decode(data: bytes, file: str, *, mark: bool = False) -> str:
    """The text of a file's bytes, with a byte order mark only if asked for it.

    Raises ConfigProblem where it is no UTF-8.
    """
    try:
        return data.decode("utf-8" if mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        words = Phrase("problem.wrong_encoding")
        raise ConfigProblem(words, file=file, line=line, column=column) from None
