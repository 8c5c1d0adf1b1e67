"""Scripts: where their strings, regular expressions and comments begin and end."""

from __future__ import annotations

import re
from dataclasses import replace

from amproxy.gotemplate.html.context import EscapeFault, PageContext, Slash, State
from amproxy.gotemplate.quoting import WHITE_SPACE, quote

# Without U+0085, which is white space of Unicode and not of scripts.
_SPACE = WHITE_SPACE.replace("\x85", "") + "\ufeff"
_MARK = re.compile("[\"'`/{}<\\-#]")
_WORD = re.compile(r"[$0-9A-Za-z_]+\Z")
_OPERATORS = frozenset(",<>=*%&|^?!~([:;{}")
_WORDS_BEFORE_REGEXP = (
    "break case continue delete do else finally in instanceof return throw try typeof void"
)
_BEFORE_REGEXP = frozenset(_WORDS_BEFORE_REGEXP.split())
_STRINGS = {
    '"': State.SCRIPT_DOUBLE,
    "'": State.SCRIPT_SINGLE,
    "`": State.SCRIPT_TEMPLATE,
}
_ENDS = {
    State.SCRIPT_DOUBLE: re.compile(r'[\\"]'),
    State.SCRIPT_SINGLE: re.compile(r"[\\']"),
    State.REGEXP: re.compile(r"[\\/\[\]]"),
    State.SCRIPT_TEMPLATE: re.compile(r"[\\`]|\$\{"),
}
_LINE_END = re.compile("[\n\r\u2028\u2029]")


def script(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """Read on to the next string, expression, comment or brace."""
    found = _MARK.search(text, at, end)
    stop = found.start() if found else end
    context = replace(context, slash=_slash_after(text[at:stop], context.slash))
    if found is None:
        return context, end
    mark, rest = found[0], text[stop : min(stop + 4, end)]
    if mark in _STRINGS:
        return replace(context, state=_STRINGS[mark], slash=Slash.REGEXP), stop + 1
    if mark == "/":
        return _slash(context, text, stop, end)
    if rest.startswith("<!--"):
        return replace(context, state=State.SCRIPT_COMMENT_OPEN), stop + 4
    if rest.startswith("-->"):
        return replace(context, state=State.SCRIPT_COMMENT_CLOSE), stop + 3
    if rest.startswith("#!"):
        return replace(context, state=State.SCRIPT_LINE_COMMENT), stop + 2
    if mark in "{}":
        return _brace(context, 1 if mark == "{" else -1), stop + 1
    return context, stop + 1


def _slash(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    after = text[at + 1 : min(at + 2, end)]
    if after == "/":
        return replace(context, state=State.SCRIPT_LINE_COMMENT), at + 2
    if after == "*":
        return replace(context, state=State.SCRIPT_BLOCK_COMMENT), at + 2
    if context.slash is Slash.REGEXP:
        return replace(context, state=State.REGEXP), at + 1
    if context.slash is Slash.DIVISION:
        return replace(context, slash=Slash.REGEXP), at + 1
    raise EscapeFault(f"'/' could start a division or regexp: {quote(text[at:end][:32])}")


def _brace(context: PageContext, step: int) -> PageContext:
    if not context.braces:
        return replace(context, slash=Slash.REGEXP)
    *outer, depth = context.braces
    if depth + step < 0:
        return replace(context, state=State.SCRIPT_TEMPLATE, braces=tuple(outer))
    return replace(context, slash=Slash.REGEXP, braces=(*outer, depth + step))


def _slash_after(text: str, before: Slash) -> Slash:
    """The meaning of a slash after a part of a script without strings and comments."""
    text = text.rstrip(_SPACE)
    if not text:
        return before
    last = text[-1]
    if last in "+-":
        # x++ ends a value, and x+ or x+++ wants one.
        run = len(text) - len(text.rstrip(last))
        return Slash.REGEXP if run % 2 else Slash.DIVISION
    if last == ".":
        is_number = "0" <= text[-2:-1] <= "9"
        return Slash.DIVISION if is_number else Slash.REGEXP
    if last in _OPERATORS:
        return Slash.REGEXP
    word = _WORD.search(text)
    return Slash.REGEXP if word and word[0] in _BEFORE_REGEXP else Slash.DIVISION


def script_string(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """Read on to the end of a string or a regular expression."""
    in_set = False
    place = at
    while found := _ENDS[context.state].search(text, place, end):
        mark, place = found[0], found.end()
        if mark == "\\":
            place += 1
            if place > end:
                raise _unfinished(text[at:end])
        elif mark == "[":
            in_set = True
        elif mark == "]":
            in_set = False
        elif mark == "/" and _is_script_end(text, at, found.start(), end):
            continue
        elif not in_set:
            return replace(context, state=State.SCRIPT, slash=Slash.DIVISION), place
    if in_set:
        raise EscapeFault(f"unfinished JS regexp charset: {quote(text[at:end])}")
    return context, end


def _is_script_end(text: str, begin: int, slash: int, end: int) -> bool:
    """Tell whether a slash in an expression is that of </script, which ends no expression."""
    return slash > begin and text[slash - 1 : min(slash + 7, end)].lower() == "</script"


def script_template(context: PageContext, text: str, at: int, end: int) -> tuple[PageContext, int]:
    """Read on to the end of a template literal, or to an expression in it."""
    place = at
    while found := _ENDS[State.SCRIPT_TEMPLATE].search(text, place, end):
        mark, place = found[0], found.end()
        if mark == "`":
            return replace(context, state=State.SCRIPT), place
        if mark == "${":
            return replace(context, state=State.SCRIPT, braces=(*context.braces, 0)), place
        place += 1
        if place > end:
            raise _unfinished(text[at:end])
    return context, end


def _unfinished(text: str) -> EscapeFault:
    return EscapeFault(f"unfinished escape sequence in JS string: {quote(text)}")


def script_block_comment(
    context: PageContext, text: str, at: int, end: int
) -> tuple[PageContext, int]:
    """Read on to */"""
    stop = text.find("*/", at, end)
    return (context, end) if stop < 0 else (replace(context, state=State.SCRIPT), stop + 2)


def script_line_comment(
    context: PageContext, text: str, at: int, end: int
) -> tuple[PageContext, int]:
    """Read on to the end of the line, which is no part of the comment."""
    found = _LINE_END.search(text, at, end)
    return (replace(context, state=State.SCRIPT), found.start()) if found else (context, end)
