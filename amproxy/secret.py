"""A text that never shows: in logs, errors, pages and API answers it prints as `<secret>`."""

from __future__ import annotations

from pathlib import Path


class Secret(str):
    """A str whose repr, str() and format hide it; `reveal()` gives the text itself. An empty secret prints as ""."""

    __slots__ = ()

    def reveal(self) -> str:
        return str.__str__(self)

    def __str__(self) -> str:
        return "<secret>" if len(self) else ""

    def __repr__(self) -> str:
        return "Secret(<secret>)" if len(self) else "Secret('')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def reveal(secret: Secret, file: str) -> str:
    """The text of a secret that is given in the file or by a `*_file` key, read anew each time.

    Raises OSError when the named file cannot be read.
    """
    return Path(file).read_text("utf-8").strip() if file else secret.reveal()
