"""Readers of bools, numbers, durations and sizes."""

from __future__ import annotations

import re
from typing import Final

from amproxy.config.read.cursor import Cursor, Reader
from amproxy.config.read.values import shown, text
from amproxy.config.yaml import Scalar
from amproxy.times import format_duration, parse_duration

_TRUE: Final = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"))
_FALSE: Final = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"))
_SIZE = re.compile(r"([0-9]+) ?(B|kB|KB|KiB|MB|MiB|GB|GiB)?")
_SIZES: Final = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_INTEGER = re.compile(r"[-+]?[0-9][0-9a-fA-Fxo_]{0,30}")
_OCTAL = re.compile(r"(?<![0-9a-zA-Z])0+(?=[0-7])")  # 017 is octal, as in YAML 1.1


class Duration(float):
    """Seconds that print as a Prometheus duration."""

    def __str__(self) -> str:
        return format_duration(self)


def word(at: Cursor) -> str | None:
    """The text of what is written without quotes, or comes from the environment: a number or a bool."""
    found = text(at)
    if found is not None and isinstance(at.node, Scalar) and not at.node.plain and "${" not in at.node.text:
        at.error(f"{shown(at)} is a text because of its quotes: write it without them")
        return None
    return found


def boolean(at: Cursor) -> bool | None:
    found = word(at)
    if found is None or found in _TRUE or found in _FALSE:
        return None if found is None else found in _TRUE
    at.error(f"expected true or false, found {shown(at)}")
    return None


def integer(minimum: int | None = None) -> Reader:
    """A whole number, not below `minimum`."""

    def read(at: Cursor) -> int | None:
        found = word(at)
        if found is None:
            return None
        try:
            if not _INTEGER.fullmatch(found):
                raise ValueError
            number = int(_OCTAL.sub("0o", found.replace("_", "")), 0)
        except ValueError:
            at.error(f"expected a whole number, found {shown(at)}")
            return None
        if minimum is not None and number < minimum:
            at.error(f"{shown(at)} is too small: the least is {minimum}")
            return None
        return number

    return read


def fraction(at: Cursor) -> float | None:
    found = word(at)
    try:
        return None if found is None else float(found)
    except ValueError:
        at.error(f"expected a number, found {shown(at)}")
        return None


def duration(at: Cursor) -> Duration | None:
    """A Prometheus duration in seconds."""
    found = text(at)
    try:
        return None if found is None else Duration(parse_duration(found))
    except ValueError as error:
        at.error(str(error) if shown(at) == repr(found) else f"not a valid duration: {shown(at)}")
        return None


def span(at: Cursor) -> Duration | None:
    """A Prometheus duration that is longer than nothing."""
    found = duration(at)
    if found is not None and not found:
        at.error("must be longer than 0s")
        return None
    return found


def size(at: Cursor) -> int | None:
    """Bytes: `1048576` or `16MiB`."""
    found = text(at)
    if found is None:
        return None
    matched = _SIZE.fullmatch(found)
    if matched is None or not int(matched[1]):
        at.error(f"expected a size above 0 in bytes, such as 1048576 or 16MiB, found {shown(at)}")
        return None
    return int(matched[1]) * _SIZES[matched[2] or ""]
