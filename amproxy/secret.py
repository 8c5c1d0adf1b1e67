"""Texts that never show: in logs, errors, pages and API responses they print as `<secret>`."""

from __future__ import annotations

from pathlib import Path


class Secret(str):
    """A str that its repr, str() and format hide; an empty one prints as ""."""

    __slots__ = ()

    def reveal(self) -> str:
        """The text itself."""
        return str.__str__(self)

    def __str__(self) -> str:
        return "<secret>" if len(self) else ""

    def __repr__(self) -> str:
        return "Secret(<secret>)" if len(self) else "Secret('')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def file_stamp(path: Path) -> tuple[int, int, int] | None:
    """Modification time (ns), size and inode of a file, links followed; None where it is missing.

    A ConfigMap or Secret is a link that is turned to other files: their stamps differ.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def reveal(secret: Secret, file: str) -> str:
    """The text of a secret, given in the configuration or by a `*_file` key.

    The file is read at each call, so that a rotated secret takes effect. Raises OSError where it
    cannot be read.
    """
    return Path(file).read_text("utf-8").strip() if file else secret.reveal()
