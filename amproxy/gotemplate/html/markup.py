"""The text of a page read on, from one place to the next."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace

from amproxy.gotemplate.html.context import (
    COMMENTS,
    SCRIPT_LITERALS,
    VALUE_STATES,
    Attribute,
    Delimiter,
    Element,
    EscapeFault,
    PageContext,
    State,
)
from amproxy.gotemplate.html.names import ELEMENTS, attribute_of, is_script_type
from amproxy.gotemplate.html.scripts import (
    script,
    script_block_comment,
    script_line_comment,
    script_string,
    script_template,
)
from amproxy.gotemplate.html.styles import (
    in_url,
    style,
    style_block_comment,
    style_line_comment,
    style_string,
)
from amproxy.gotemplate.quoting import quote

Move = Callable[[PageContext, str, int, int], tuple[PageContext, int]]

_TAG = re.compile(r"<(/?)([A-Za-z](?:[0-9A-Za-z]|[-:](?=[0-9A-Za-z]))*)|<!--")
_SPACES = re.compile(r"[\t\n\f\r ]*")
_NAME_END = re.compile("[\t\n\f\r >=]")
_BAD_IN_NAME = re.compile("[\"'<]")
VALUE_ENDS = {
    Delimiter.DOUBLE: re.compile('"'),
    Delimiter.SINGLE: re.compile("'"),
    Delimiter.SPACE: re.compile("[\t\n\f\r >]"),
}
_BAD_UNQUOTED = re.compile("[\"'<=`]")
_CONTENT = {
    Element.SCRIPT: State.SCRIPT,
    Element.STYLE: State.STYLE,
    Element.TEXTAREA: State.RCDATA,
    Element.TITLE: State.RCDATA,
}
_SHOWN = 32  # characters of the text that an error names
_META_URL = re.compile("url[\t\n\f\r ]*=", re.IGNORECASE)
_NUMBER = re.compile("&#(?:([0-9]+)|[xX]([0-9A-Fa-f]+));?")
_END_TAGS = {
    element: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE)
    for name, element in ELEMENTS.items()
    if element in _CONTENT
}


def read_on(context: PageContext, text: str, at: int) -> tuple[PageContext, int]:
    """The context after the next part of a text, and the end of that part.

    Raises EscapeFault for markup in which no value could be escaped.
    """
    end = len(text)
    if context.delimiter is not Delimiter.NONE:
        return _value(context, text, at, end)
    ended = content_end(context, text, at)
    if ended == at:
        return PageContext(), at
    return MOVES[context.state](context, text, at, end if ended < 0 else ended)


def content_end(context: PageContext, text: str, at: int) -> int:
    """The start of the tag that ends a script, style, title or textarea; -1 without one."""
    tag = _END_TAGS.get(context.element)
    is_script = context.element is Element.SCRIPT
    if tag is None or (
        is_script and (context.state in SCRIPT_LITERALS or context.state in COMMENTS)
    ):
        return -1
    found = tag.search(text, at)
    return found.start() if found else -1


def _value(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """Read on in the value of an attribute."""
    found = VALUE_ENDS[context.delimiter].search(text, at, end)
    stop = found.start() if found else end
    is_bare = context.delimiter is Delimiter.SPACE
    if is_bare and (bad := _BAD_UNQUOTED.search(text, at, stop)):
        raise EscapeFault(f"{quote(bad[0])} in unquoted attr: {quote(text[at:stop])}")
    if found is None:
        return _in_value(context, _unescaped(text[at:end])), end
    element = context.element
    if (
        context.attribute is Attribute.SCRIPT_TYPE
        and context.state is State.ATTRIBUTE
        and not is_script_type(text[at:stop])
    ):
        element = Element.NONE  # data for scripts, which is escaped as text
    return PageContext(State.TAG, element=element), stop if is_bare else stop + 1


def _unescaped(value: str) -> str:
    """The value that HTML means."""
    return html.unescape(_NUMBER.sub(_control, value)) if "&" in value else value


def _control(found: re.Match[str]) -> str:
    """Characters that html.unescape would leave out, and browsers do not."""
    code = int(found[1] or found[2], 10 if found[1] else 16)
    return chr(code) if 0 < code < 0x20 or code == 0x7F else found[0]


def _in_value(context: PageContext, value: str) -> PageContext:
    """The context after a part of a value."""
    at = 0
    while at < len(value):
        context, at = MOVES[context.state](context, value, at, len(value))
    return context


def _text(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    found = _TAG.search(text, at, end)
    if found is None:
        return context, end
    if found[2] is None:
        return PageContext(State.COMMENT), found.end()
    element = Element.NONE if found[1] else ELEMENTS.get(found[2].lower(), Element.NONE)
    return PageContext(State.TAG, element=element), found.end()


def _rcdata(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    return context, end


def _comment(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    stop = text.find("-->", at, end)
    return (context, end) if stop < 0 else (PageContext(), stop + 3)


def _skip_space(text: str, at: int, end: int) -> int:
    found = _SPACES.match(text, at, end)
    assert found
    return found.end()


def _tag(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    begin, at = at, _skip_space(text, at, end)
    if at == end:
        return context, end
    if text[at] == ">":
        return _in_element(context.element), at + 1
    stop = _name_end(text, at, end, begin)
    if stop == at:
        raise EscapeFault(
            f"expected space, attr name, or end of tag, but got {quote(text[at:end])}"
        )
    attribute = attribute_of(context.element, text[at:stop])
    state = State.ATTRIBUTE_NAME if stop == end else State.AFTER_NAME
    return replace(context, state=state, attribute=attribute), stop


def _in_element(element: Element) -> PageContext:
    return PageContext(_CONTENT[element], element=element) if element in _CONTENT else PageContext()


def _name_end(text: str, at: int, end: int, begin: int) -> int:
    """The end of an attribute's name; begin: of the text that an error shows."""
    found = _NAME_END.search(text, at, end)
    stop = found.start() if found else end
    if bad := _BAD_IN_NAME.search(text, at, stop):
        raise EscapeFault(f"{quote(bad[0])} in attribute name: {quote(text[begin:end][:_SHOWN])}")
    return stop


def _attribute_name(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    stop = _name_end(text, at, end, at)
    return (context if stop == end else replace(context, state=State.AFTER_NAME)), stop


def _after_name(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    at = _skip_space(text, at, end)
    if at == end:
        return context, end
    if text[at] != "=":
        return replace(context, state=State.TAG), at
    return replace(context, state=State.BEFORE_VALUE), at + 1


def _before_value(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    at = _skip_space(text, at, end)
    if at == end:
        return context, end
    delimiter = {"'": Delimiter.SINGLE, '"': Delimiter.DOUBLE}.get(text[at], Delimiter.SPACE)
    state = VALUE_STATES[context.attribute]
    after = at if delimiter is Delimiter.SPACE else at + 1
    return replace(context, state=state, delimiter=delimiter), after


def _plain_value(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    return context, end


def _url(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    return in_url(context, text[at:end]), end


def _meta(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """`0; url=…` is an address from the sign on."""
    found = _META_URL.search(text, at, end)
    return (replace(context, state=State.META_URL), found.end()) if found else (context, end)


def _meta_url(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    stop = text.find(";", at, end)
    return (context, end) if stop < 0 else (replace(context, state=State.META), stop + 1)


MOVES: dict[State, Move] = {
    State.TEXT: _text,
    State.TAG: _tag,
    State.ATTRIBUTE_NAME: _attribute_name,
    State.AFTER_NAME: _after_name,
    State.BEFORE_VALUE: _before_value,
    State.COMMENT: _comment,
    State.RCDATA: _rcdata,
    State.ATTRIBUTE: _plain_value,
    State.URL: _url,
    State.SRCSET: _url,
    State.SCRIPT: script,
    State.SCRIPT_DOUBLE: script_string,
    State.SCRIPT_SINGLE: script_string,
    State.SCRIPT_TEMPLATE: script_template,
    State.REGEXP: script_string,
    State.SCRIPT_BLOCK_COMMENT: script_block_comment,
    State.SCRIPT_LINE_COMMENT: script_line_comment,
    State.SCRIPT_COMMENT_OPEN: script_line_comment,
    State.SCRIPT_COMMENT_CLOSE: script_line_comment,
    State.STYLE: style,
    State.STYLE_DOUBLE: style_string,
    State.STYLE_SINGLE: style_string,
    State.STYLE_DOUBLE_URL: style_string,
    State.STYLE_SINGLE_URL: style_string,
    State.STYLE_URL: style_string,
    State.STYLE_BLOCK_COMMENT: style_block_comment,
    State.STYLE_LINE_COMMENT: style_line_comment,
    State.DEAD: _plain_value,
    State.META: _meta,
    State.META_URL: _meta_url,
}
