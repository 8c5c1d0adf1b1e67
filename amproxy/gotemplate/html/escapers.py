"""Escapers of text, attributes and URLs.

`SafeHTML` and `SafeURL` pass where they fit. A value that could do harm is replaced by the word
that Go puts in its place, which readers can look up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from amproxy.gotemplate.casing import to_lower
from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.formatting import sprint
from amproxy.gotemplate.html.context import (
    IN_TAG,
    Delimiter,
    Element,
    EscapeFault,
    PageContext,
    State,
)
from amproxy.gotemplate.html.markup import MOVES, VALUE_ENDS, content_end
from amproxy.gotemplate.html.names import is_harmless
from amproxy.gotemplate.quoting import encode
from amproxy.gotemplate.safe import SafeHTML, SafeURL
from amproxy.gotemplate.values import indirect

# What stands in the place of a value that was refused.
REFUSED: Final = "ZgotmplZ"
REFUSED_URL: Final = "#ZgotmplZ"

_NORMAL = {
    "\0": "\ufffd",
    '"': "&#34;",
    "'": "&#39;",
    "+": "&#43;",
    "<": "&lt;",
    ">": "&gt;",
}
_BARE = {
    **_NORMAL,
    "\0": "&#xfffd;",
    **{char: f"&#{ord(char)};" for char in "\t\n\v\f\r =`"},
    # Some browsers take these for the end of a value without quotes.
    **{chr(code): f"&#x{code:x};" for code in (*range(0xFDD0, 0xFDF0), *range(0xFFF0, 0x10000))},
    # Bytes that are no UTF-8.
    **dict.fromkeys(map(chr, range(0xD800, 0xE000)), "&#xfffd;"),
}
_TEXT_TABLE = str.maketrans({**_NORMAL, "&": "&amp;"})
_NORMAL_TABLE = str.maketrans(_NORMAL)
_BARE_TABLE = str.maketrans({**_BARE, "&": "&amp;"})
_BARE_NORMAL_TABLE = str.maketrans(_BARE)
_TEXTS = frozenset({str, SafeHTML, SafeURL})
_HARMLESS_NAME = re.compile("[0-9a-z]*")
_SAFE_SCHEMES = frozenset({"http", "https", "mailto"})
_UNRESERVED = frozenset(b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_RESERVED = frozenset(b"!#$&*+,/:;=?@[]")
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_SRCSET_PART = re.compile(r"([\t\n\f\r ]*)([^\t\n\f\r ]*)(.*)", re.DOTALL)
_SRCSET_SIZE = re.compile(r"[\t\n\f\r 0-9A-Za-z]*")


def text_of(execution: Execution, values: Sequence[Any]) -> str:
    """The text of the values as print gives it; a single safe string stays one."""
    shown = [value for value in map(indirect, values) if value is not None]
    if len(values) == 1 and shown and type(shown[0]) in _TEXTS:
        found: str = shown[0]
        return found
    return printed(execution, shown)


def printed(execution: Execution, values: list[Any]) -> str:
    """Values in one text, as print gives it."""
    return execution.formatted(lambda room: sprint(values, room))


def escape_text(execution: Execution, *values: Any) -> str:
    """Text between tags."""
    text = text_of(execution, values)
    return str(text) if type(text) is SafeHTML else text.translate(_TEXT_TABLE)


def escape_rcdata(execution: Execution, *values: Any) -> str:
    """Text of an element that has no tags."""
    text = text_of(execution, values)
    return text.translate(_NORMAL_TABLE if type(text) is SafeHTML else _TEXT_TABLE)


def escape_attribute(execution: Execution, *values: Any) -> str:
    """A value in quotes."""
    text = text_of(execution, values)
    if type(text) is SafeHTML:
        return _without_tags(text).translate(_NORMAL_TABLE)
    return text.translate(_TEXT_TABLE)


def escape_bare(execution: Execution, *values: Any) -> str:
    """A value without quotes."""
    text = text_of(execution, values)
    if not text:
        return REFUSED
    if type(text) is SafeHTML:
        return _without_tags(text).translate(_BARE_NORMAL_TABLE)
    return text.translate(_BARE_TABLE)


def escape_comment(execution: Execution, *values: Any) -> str:
    """Nothing: comments are taken out."""
    return ""


def filter_name(execution: Execution, *values: Any) -> str:
    """The name of an attribute that does no harm."""
    name = to_lower(text_of(execution, values))
    is_good = name and _HARMLESS_NAME.fullmatch(name) and is_harmless(name)
    return name if is_good else REFUSED


def filter_url(execution: Execution, *values: Any) -> str:
    """The start of a URL: relative, or of a harmless scheme."""
    text = text_of(execution, values)
    # A URL that is known to be safe is still one for the escapers that follow.
    return text if type(text) is SafeURL or _is_harmless_url(text) else REFUSED_URL


def _is_harmless_url(text: str) -> bool:
    scheme, colon, _ = text.partition(":")
    return not colon or "/" in scheme or scheme.casefold() in _SAFE_SCHEMES


def normalize_url(execution: Execution, *values: Any) -> str:
    """A part of a URL before its query."""
    return _percent_encoded(text_of(execution, values), is_url=True)


def escape_url(execution: Execution, *values: Any) -> str:
    """A value in a query or fragment."""
    text = text_of(execution, values)
    return _percent_encoded(text, is_url=type(text) is SafeURL)


def _percent_encoded(text: str, is_url: bool) -> str:
    """The text as a part of a URL; is_url: what means something in URLs keeps its meaning."""
    data = encode(text)
    parts = []
    for at, code in enumerate(data):
        if code in _UNRESERVED or (is_url and (code in _RESERVED or _is_encoded(data, at))):
            parts.append(chr(code))
        else:
            parts.append(f"%{code:02x}")
    return "".join(parts)


def _is_encoded(data: bytes, at: int) -> bool:
    digits = data[at + 1 : at + 3]
    return data[at] == ord("%") and len(digits) == 2 and _HEX.issuperset(digits)


def filter_srcset(execution: Execution, *values: Any) -> str:
    """URLs of images with their sizes."""
    text = text_of(execution, values)
    if type(text) is SafeURL:
        return _percent_encoded(text, is_url=True).replace(",", "%2c")
    return ",".join(map(_srcset_part, text.split(",")))


def _srcset_part(text: str) -> str:
    found = _SRCSET_PART.fullmatch(text)
    assert found
    space, url, size = found.groups()
    if not _is_harmless_url(url) or not _SRCSET_SIZE.fullmatch(size):
        return REFUSED_URL
    return f"{space}{_percent_encoded(url, is_url=True)}{size}"


def _without_tags(text: str) -> str:
    """The text of some HTML."""
    context = PageContext()
    parts: list[str] = []
    at, has_tags = 0, False
    while at < len(text):
        try:
            after, stop = _past_tag(context, text, at)
        except EscapeFault:
            has_tags = True
            break
        if context.state in (State.TEXT, State.RCDATA):
            tag = text.rfind("<", at, stop) if after.state is not context.state else -1
            parts.append(text[at : stop if tag < 0 else tag])
        else:
            has_tags = True
        context, at = after, stop
    return "".join(parts) if has_tags else text


def _past_tag(context: PageContext, text: str, at: int) -> tuple[PageContext, int]:
    """Read on; scripts and styles count as text, which ends with them."""
    if context.delimiter is not Delimiter.NONE:
        found = VALUE_ENDS[context.delimiter].search(text, at)
        if found is None:
            return context, len(text)
        after = found.start() if context.delimiter is Delimiter.SPACE else found.end()
        return PageContext(State.TAG, element=context.element), after
    if context.element is Element.NONE or context.state in IN_TAG:
        return MOVES[context.state](context, text, at, len(text))
    end = content_end(context, text, at)
    return (context, len(text)) if end < 0 else (PageContext(), end)
