"""Styles and URLs: where their strings, addresses and comments begin and end."""

from __future__ import annotations

import re
from dataclasses import replace

from amproxy.gotemplate.html.context import EscapeFault, PageContext, State, UrlPart
from amproxy.gotemplate.quoting import quote

_SPACE = "\t\n\f\r "
_MARK = re.compile(r"[(\"'/]")
_AFTER_PARENTHESIS = re.compile(r"[\t\n\f\r ]*")
_URL_WORD = re.compile(r"(?<![-0-9A-Z_a-z\x80-\U0010ffff])url\Z", re.IGNORECASE | re.ASCII)
_ENDS = {
    State.STYLE_DOUBLE: re.compile(r'[\\"]'),
    State.STYLE_DOUBLE_URL: re.compile(r'[\\"]'),
    State.STYLE_SINGLE: re.compile(r"[\\']"),
    State.STYLE_SINGLE_URL: re.compile(r"[\\']"),
    State.STYLE_URL: re.compile("[\\\\\t\n\f\r )]"),
}
_LINE_END = re.compile("[\n\f\r]")
_ESCAPED = re.compile(
    r"\\(?:(10[0-9A-Fa-f]{4}|0[0-9A-Fa-f]{5}|[0-9A-Fa-f]{1,5})(?:\r\n|[\t\n\f\r ])?|(.?))",
    re.DOTALL,
)


def style(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """Read on to the next string, address or comment."""
    place = at
    while found := _MARK.search(text, place, end):
        mark, place = found[0], found.end()
        if mark == '"':
            return replace(context, state=State.STYLE_DOUBLE), place
        if mark == "'":
            return replace(context, state=State.STYLE_SINGLE), place
        if mark == "/":
            after = text[place : min(place + 1, end)]
            if after == "/":
                return replace(context, state=State.STYLE_LINE_COMMENT), place + 1
            if after == "*":
                return replace(context, state=State.STYLE_BLOCK_COMMENT), place + 1
        elif _URL_WORD.search(text[at : place - 1].rstrip(_SPACE)):
            return _address(context, text, place, end)
    return context, end


def _address(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """The context after `url(`."""
    found = _AFTER_PARENTHESIS.match(text, at, end)
    assert found
    place = found.end()
    mark = text[place : min(place + 1, end)]
    if mark == '"':
        return replace(context, state=State.STYLE_DOUBLE_URL), place + 1
    if mark == "'":
        return replace(context, state=State.STYLE_SINGLE_URL), place + 1
    return replace(context, state=State.STYLE_URL), place


def style_string(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """Read on to the end of a string or address."""
    place = at
    while found := _ENDS[context.state].search(text, place, end):
        place = found.end()
        if found[0] != "\\":
            return replace(context, state=State.STYLE), place
        place += 1
        if place > end:
            raise EscapeFault(f"unfinished escape sequence in CSS string: {quote(text[at:end])}")
        context = in_url(context, unescaped_style(text[at:place]))
    return in_url(context, unescaped_style(text[at:end])), end


def in_url(context: PageContext, text: str) -> PageContext:
    """The context after more of a URL."""
    if "#" in text or "?" in text:
        return replace(context, url_part=UrlPart.QUERY)
    if context.url_part is UrlPart.NONE and text.strip(_SPACE):
        return replace(context, url_part=UrlPart.PRE_QUERY)
    return context


def unescaped_style(text: str) -> str:
    """The text that a part of a style means."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    if not found[1]:
        return found[2]
    code = int(found[1], 16)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def style_block_comment(
    context: PageContext, text: str, at: int, end: int
) -> tuple[PageContext, int]:
    """Read on to */"""
    stop = text.find("*/", at, end)
    return (context, end) if stop < 0 else (replace(context, state=State.STYLE), stop + 2)


def style_line_comment(
    context: PageContext, text: str, at: int, end: int
) -> tuple[PageContext, int]:
    """Read on to the end of the line, which is no part of the comment."""
    found = _LINE_END.search(text, at, end)
    return (replace(context, state=State.STYLE), found.start()) if found else (context, end)
