"""Escapers of scripts and styles."""

from __future__ import annotations

import re
from typing import Any

from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.gojson import to_json
from amproxy.gotemplate.html.escapers import REFUSED, printed, text_of
from amproxy.gotemplate.html.styles import unescaped_style
from amproxy.gotemplate.times import GoTime
from amproxy.gotemplate.values import indirect, type_of

_STRING = {
    **{chr(code): f"\\u{code:04x}" for code in (*range(0x20), *b"\"&'+<>`", 0x2028, 0x2029)},
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    "/": "\\/",
    "\\": "\\\\",
}
_STRING_TABLE = str.maketrans(_STRING)
_TEMPLATE_TABLE = str.maketrans({**_STRING, **{char: f"\\u{ord(char):04x}" for char in "${}"}})
_REGEXP_TABLE = str.maketrans(
    {**_STRING, **{char: f"\\{char}" for char in "$()*-./?[\\]^{|}"}, "`": "`"}
)
_WORD_CHARACTER = re.compile("[$0-9A-Z_a-z]")
_STYLE_SPECIAL = re.compile("[\0\t\n\f\r\"&'()+/:;<>\\\\{}](?=([\t\n\f\r 0-9A-Fa-f])?|$)")
_STYLE_REFUSED = re.compile("[\0\"'()/;@\\[\\\\\\]`{}<>]|--")
_NO_STYLE_NAME = re.compile(r"[^0-9A-Z_a-z]+")
# What makes old browsers run a program.
_STYLE_PROGRAMS = ("expression", "mozbinding")


def script_value(execution: Execution, *values: Any) -> str:
    """A value of a script: JSON, set off from the words around it."""
    shown = [indirect(value) for value in values]
    value: Any = shown[0] if len(shown) == 1 else printed(execution, shown)
    if value is not None and "String" in type_of(value).methods and not isinstance(value, GoTime):
        value = printed(execution, [value])  # times have a form of their own in JSON
    try:
        text = execution.formatted(lambda room: to_json(value, room))
    except GoCallError as error:
        return f" /* {_quiet(str(error))} */null "
    if _WORD_CHARACTER.match(text[0]) or _WORD_CHARACTER.match(text[-1]):
        return f" {text} "
    return text


def _quiet(text: str) -> str:
    """A text that ends neither its comment nor the script."""
    text = text.replace("*/", "* /").replace("</script", "\\x3C/script")
    return text.replace("<!--", "\\x3C!--")


def script_string(execution: Execution, *values: Any) -> str:
    """A part of a string of a script."""
    return text_of(execution, values).translate(_STRING_TABLE)


def script_template(execution: Execution, *values: Any) -> str:
    """A part of a template literal."""
    return text_of(execution, values).translate(_TEMPLATE_TABLE)


def script_regexp(execution: Execution, *values: Any) -> str:
    """A part of a regular expression, which matches that text."""
    # An empty expression would begin a comment.
    return text_of(execution, values).translate(_REGEXP_TABLE) or "(?:)"


def style_string(execution: Execution, *values: Any) -> str:
    """A part of a string of a style."""
    return _STYLE_SPECIAL.sub(_style_escape, text_of(execution, values))


def _style_escape(found: re.Match[str]) -> str:
    char = found[0]
    if char == "\\":
        return "\\\\"
    is_last = found.end() == len(found.string)
    # A space ends the number where more digits or spaces follow, or might.
    return f"\\{ord(char):x}{' ' if found[1] or is_last else ''}"


def filter_style(execution: Execution, *values: Any) -> str:
    """A word, number or colour of a style."""
    text = unescaped_style(text_of(execution, values))
    name = _NO_STYLE_NAME.sub("", text).lower()
    if _STYLE_REFUSED.search(text) or any(word in name for word in _STYLE_PROGRAMS):
        return REFUSED
    return text
