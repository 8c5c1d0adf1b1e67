"""Render new values as YAML text, with a file's indentation and quotes only where needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from amproxy.config.yaml import LayoutCollection, LayoutValue, PlainScalar, YamlData
from amproxy.errors import Uneditable
from amproxy.text import Phrase

_MAX_INLINE_WIDTH: Final = 100  # characters; a longer list or map is written without brackets
# Texts that some reader of YAML (1.1 or 1.2) takes for a number, a bool, null or a time of day.
_TYPED_SCALAR: Final = re.compile(
    r"[-+]?\.?\d[\d_.:]*(?:e[-+]?\d+)?|[-+]?0[xob][\da-f_]+|[-+]?\.(?:inf|nan)|\d{4}-\d\d?-\d\d?"
    r"|y|n|yes|no|on|off|true|false|null|~|=|<<",
    re.IGNORECASE,
)
# Safe without quotes, in brackets too, except for what `_is_safe_unquoted` looks for.
# In brackets libyaml takes a question mark for a key, and a colon beside most signs for its end.
_SAFE_UNQUOTED: Final = re.compile(r"[\w/.(<$^;+\\](?:[^,\[\]{}?:]|(?<=[\w/.]):(?=[\w/.]))*")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class YamlIndentation(NamedTuple):
    """The indentation of a file, in columns."""

    list: int = 2  # from a key to the dashes of its list
    map: int = 2  # from a key to the keys of its map


def detect_indentation(root: LayoutValue) -> YamlIndentation:
    """The indentation of the first list and the first map of a file."""
    steps: dict[bool, int] = {}
    for above, below in _nested_collections(root):
        steps.setdefault(bool(below.elements[0].key), below.column - above.column)
    return YamlIndentation(list=steps.get(False, 2), map=steps.get(True, 2))


def _nested_collections(value: LayoutValue) -> Iterator[tuple[LayoutCollection, LayoutCollection]]:
    """Each map without brackets, with each collection without brackets under one of its keys."""
    if not isinstance(value, LayoutCollection) or value.flow:
        return
    for element in value.elements:
        below = element.value
        if isinstance(below, LayoutCollection) and not below.flow and below.elements:
            if element.key:
                yield value, below
            yield from _nested_collections(below)


def render_scalar(text: str | None, style: str = "", *, typed: bool = False) -> str:
    """A text, a number, a bool or None as YAML.

    style: the wanted quotes, used where they can hold the text. typed: it may look like a number.
    Raises Uneditable for a text that would be read from the environment.
    """
    if text is None:
        return "null"
    if "${" in text:
        raise Uneditable(Phrase("refusal.environment"))
    if isinstance(text, PlainScalar) or (
        style not in ("'", '"') and _is_safe_unquoted(text) and (typed or not looks_typed(text))
    ):
        return str(text)
    if style != '"' and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escape_character, text)) + '"'


def looks_typed(text: str) -> bool:
    """Decide whether YAML reads this as a number, a bool or a date where it has no quotes."""
    return _TYPED_SCALAR.fullmatch(text) is not None


def _is_safe_unquoted(text: str) -> bool:
    unsafe = " #" in text or text.endswith(" ") or text.lower() in ("null", "~")
    return text.isprintable() and _SAFE_UNQUOTED.fullmatch(text) is not None and not unsafe


def _escape_character(character: str) -> str:
    if character in _ESCAPES or character.isprintable():
        return _ESCAPES.get(character, character)
    return f"\\U{ord(character):08X}"


def render_inline(data: YamlData) -> str:
    """A value on one line, lists and maps with brackets."""
    if isinstance(data, dict):
        pairs = (f"{render_scalar(key)}: {render_inline(value)}" for key, value in data.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(render_inline, data)) + "]"
    return render_scalar(data)


def render_pair(key: str, data: YamlData, column: int, indentation: YamlIndentation) -> list[str]:
    """The lines of a key in `column` and its value; the first line is not indented."""
    if _fits_on_one_line(data):
        return [f"{render_scalar(key)}: {render_inline(data)}"]
    lines = [f"{render_scalar(key)}:"]
    if isinstance(data, dict):
        below = column + indentation.map
        for name, value in data.items():
            lines += _indent_first_line(render_pair(name, value, below, indentation), below)
    else:
        below = column + indentation.list
        for value in data:
            lines += _indent_first_line(render_entry(value, below, indentation), below)
    return lines


def render_entry(data: YamlData, column: int, indentation: YamlIndentation) -> list[str]:
    """The lines of a list's entry whose dash stands in `column`; the first line is not indented."""
    if not isinstance(data, dict) or not data:
        return [f"- {render_inline(data)}"]
    below = column + 2
    lines = [
        line
        for name, value in data.items()
        for line in _indent_first_line(render_pair(name, value, below, indentation), below)
    ]
    return ["- " + lines[0].lstrip(), *lines[1:]]


def _indent_first_line(lines: list[str], column: int) -> list[str]:
    return [" " * column + lines[0], *lines[1:]]


def _fits_on_one_line(data: YamlData) -> bool:
    """Return True where a value reads well on one line: not too long, no list of maps in it."""
    return not _has_list_of_maps(data) and (
        not isinstance(data, list | dict) or len(render_inline(data)) <= _MAX_INLINE_WIDTH
    )


def _has_list_of_maps(data: YamlData) -> bool:
    if isinstance(data, list):
        return any(isinstance(value, dict) or _has_list_of_maps(value) for value in data)
    return isinstance(data, dict) and any(map(_has_list_of_maps, data.values()))
