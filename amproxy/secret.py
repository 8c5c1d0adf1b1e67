"""Texts that never show: in logs, errors, pages and API responses they print as `<secret>`."""

from __future__ import annotations

import html
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "<secret>"
# Characters. What is shorter is a part of too many words to be taken out of a text.
SHORTEST_HIDDEN: Final = 6
_URL_PASSWORD: Final = re.compile(r"(://)[^/@\s]+@")

# All secrets that this process has read → the forms in which they may stand in a line of the log:
# what others say of a call that failed, or what a sender took for a name, may quote one.
_known: dict[str, set[str]] = {}


class Secret(str):
    """A str that its repr, str() and format hide; an empty one prints as ""."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Secret:
        _remember(text)
        return super().__new__(cls, text)

    def reveal(self) -> str:
        """The text itself."""
        return str.__str__(self)

    def __str__(self) -> str:
        return HIDDEN if len(self) else ""

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})" if len(self) else "Secret('')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def short_lived(text: str) -> Secret:
    """A secret that is good for minutes, and fetched anew again and again.

    It hides itself, but is not looked for in lines of the log: they would take ever longer.
    """
    return str.__new__(Secret, text)


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
    return _remember(Path(file).read_text("utf-8").strip()) if file else secret.reveal()


def hide_secrets(line: str) -> str:
    """A line of quoted texts, in which no secret stands that this process has read."""
    for forms in tuple(_known.values()):
        for form in forms:
            if form in line:
                line = line.replace(form, HIDDEN)
    return line


def holds_secret(text: str) -> bool:
    """True for a text in which a secret stands that this process has read.

    As it is, or as a template may have written it: for JSON, HTML or an address.
    """
    return any(form in text for plain in tuple(_known) for form in _written_forms(plain))


def hide_url_passwords(text: str) -> str:
    """A text in which addresses have lost their user and password."""
    return _URL_PASSWORD.sub(r"\1xxxxx@", text)


@lru_cache(maxsize=10_000)
def _written_forms(plain: str) -> frozenset[str]:
    in_json = json.dumps(plain, ensure_ascii=False)[1:-1]
    return frozenset((plain, in_json, html.escape(plain), quote(plain, safe="")))


def _remember(text: str) -> str:
    if len(text) >= SHORTEST_HIDDEN and text not in _known:
        plain = str.__str__(text)
        forms = plain, repr(plain)[1:-1]
        _known[plain] = {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}
    return text
