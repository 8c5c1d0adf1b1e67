"""New values as YAML text, in the manner of a file: its indentation, and quotes only where YAML or its readers need them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from amproxy.config.yaml import LayoutCollection, LayoutValue, PlainScalar, YamlData
from amproxy.errors import Uneditable

_MAX_INLINE_WIDTH: Final = 100  # characters of a value with brackets; what is longer is written without
_TYPED_SCALAR: Final = re.compile(  # what some reader of YAML takes for a number, a bool or a time of day
    r"[-+]?\.?\d[\d_.:]*(?:e[-+]?\d+)?|[-+]?0[xob][\da-f_]+|[-+]?\.(?:inf|nan)|\d{4}-\d\d?-\d\d?|y|n|yes|no|on|off|true|false|null|~|=|<<",
    re.IGNORECASE,
)
_SAFE_UNQUOTED: Final = re.compile(r"[\w/.(<$^;+\\][^,\[\]{}]*")  # safe without quotes, in brackets too, but for what `_bare` looks for
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class YamlIndentation(NamedTuple):
    """How a file is indented, in columns."""

    list: int = 2  # from a key to the dashes of its list
    map: int = 2  # from a key to the keys of its map


def detect_indentation(root: LayoutValue) -> YamlIndentation:
    """The first list and the first map of a file say how the others are to be."""
    steps: dict[bool, int] = {}
    for above, below in _nested_collections(root):
        steps.setdefault(bool(below.elements[0].key), below.column - above.column)
    return YamlIndentation(list=steps.get(False, 2), map=steps.get(True, 2))


def _nested_collections(value: LayoutValue) -> Iterator[tuple[LayoutCollection, LayoutCollection]]:
    """Each map written without brackets, with each collection of that kind that stands under one of its keys."""
    for element in value.elements if isinstance(value, LayoutCollection) and not value.flow else ():
        below = element.value
        if (
            isinstance(value, LayoutCollection)
            and element.key
            and isinstance(below, LayoutCollection)
            and not below.flow
            and below.elements
        ):
            yield value, below
        yield from _nested_collections(below)


def render_scalar(text: str | None, style: str = "", *, typed: bool = False) -> str:
    """A text, a number, a bool or None. style: the quotes it is to have, where they can hold it; typed: it may look like a number.

    Raises Uneditable for a text that would be read from the environment.
    """
    if text is None:
        return "null"
    if "${" in text:
        raise Uneditable("a value that comes from the environment (${…}) is written in the file itself")
    if isinstance(text, PlainScalar) or (
        style not in ("'", '"') and _is_safe_unquoted(text) and (typed or not _TYPED_SCALAR.fullmatch(text))
    ):
        return str(text)
    if style != '"' and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escape_character(character) for character in text) + '"'


def _is_safe_unquoted(text: str) -> bool:
    unsafe = ": " in text or " #" in text or text.endswith((":", " ")) or text.lower() in ("null", "~")
    return text.isprintable() and _SAFE_UNQUOTED.fullmatch(text) is not None and not unsafe


def _escape_character(character: str) -> str:
    if character in _ESCAPES or character.isprintable():
        return _ESCAPES.get(character, character)
    return f"\\U{ord(character):08X}"


def render_inline(data: YamlData) -> str:
    """A value on one line, lists and maps with brackets."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{render_scalar(key)}: {render_inline(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(render_inline, data)) + "]"
    return render_scalar(data)


def render_pair(key: str, data: YamlData, column: int, manner: YamlIndentation) -> list[str]:
    """The lines of a key and its value; the first is not indented, the others as they stand below a key in `column`."""
    if _fits_on_one_line(data):
        return [f"{render_scalar(key)}: {render_inline(data)}"]
    lines = [f"{render_scalar(key)}:"]
    if isinstance(data, dict):
        below = column + manner.map
        for name, value in data.items():
            lines += _indent_first_line(render_pair(name, value, below, manner), below)
    else:
        below = column + manner.list
        for value in data:
            lines += _indent_first_line(render_entry(value, below, manner), below)
    return lines


def render_entry(data: YamlData, column: int, manner: YamlIndentation) -> list[str]:
    """The lines of an entry of a list whose dash stands in `column`; the first is not indented."""
    if not isinstance(data, dict) or not data:
        return [f"- {render_inline(data)}"]
    below = column + 2
    lines = [line for name, value in data.items() for line in _indent_first_line(render_pair(name, value, below, manner), below)]
    return ["- " + lines[0].lstrip(), *lines[1:]]


def _indent_first_line(lines: list[str], column: int) -> list[str]:
    return [" " * column + lines[0], *lines[1:]]


def _fits_on_one_line(data: YamlData) -> bool:
    """Whether it reads well on one line: no list of maps in it, and not too long."""
    return not _has_list_of_maps(data) and (not isinstance(data, list | dict) or len(render_inline(data)) <= _MAX_INLINE_WIDTH)


def _has_list_of_maps(data: YamlData) -> bool:
    if isinstance(data, list):
        return any(isinstance(value, dict) or _has_list_of_maps(value) for value in data)
    return isinstance(data, dict) and any(map(_has_list_of_maps, data.values()))
