"""Regular expressions by RE2, with Go's replacements and words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2

from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.quoting import decode, encode, quote

# Go's words for what the C++ library calls otherwise.
_RE2_WORDS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
}
_REFERENCE = re.compile(rb"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)


# A compiled expression may take megabytes, a short one seldom does.
_LONGEST_KEPT = 500


def _expression(pattern: str) -> Any:
    """A compiled expression. Raises GoCallError."""
    return _compiled(pattern) if len(pattern) > _LONGEST_KEPT else _kept(pattern)


@lru_cache(maxsize=256)
def _kept(pattern: str) -> Any:
    return _compiled(pattern)


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
    except UnicodeEncodeError:
        reason = "invalid UTF-8: "
    word, _, part = reason.partition(": ")
    if word.startswith("trailing \\"):
        word, part = "trailing backslash at end of expression", ""
    raise GoCallError(f"error parsing regexp: {_RE2_WORDS.get(word, word)}: `{part}`")


def match(pattern: str, text: str) -> bool:
    """Tell whether an expression is found anywhere in a text."""
    return _expression(pattern).search(encode(text)) is not None


def replace_all(execution: Execution, pattern: str, replacement: str, text: str) -> str:
    """The text with each match replaced; $1, ${1}, $name and $$ in the replacement are filled."""
    try:
        expression = _expression(pattern)
    except GoCallError as error:
        shown = f"`{pattern}`" if "`" not in pattern else quote(pattern)
        raise GoCallError(f"regexp: Compile({shown}): {error}") from error
    data, pieces = encode(text), _pieces(encode(replacement), expression)
    parts: list[bytes] = []
    room = execution.room
    end = at = 0
    while at <= len(data):
        found = expression.search(data, at)
        if found is None:
            break
        execution.step()
        start, stop = found.span()
        parts.append(data[end:start])
        # An empty match right behind another match does not count.
        if stop > end or start == 0:
            for piece in pieces:
                part = piece if isinstance(piece, bytes) else found.group(piece) or b""
                room -= len(part)
                if room < 0:
                    raise execution.too_long()
                parts.append(part)
        end = stop
        at = stop if stop > at else at + _width(data, at)
    parts.append(data[end:])
    return decode(b"".join(parts))


def _pieces(form: bytes, expression: Any) -> list[bytes | int]:
    """A replacement as texts and numbers of groups."""
    pieces: list[bytes | int] = []
    at = 0
    for reference in _REFERENCE.finditer(form):
        pieces.append(form[at : reference.start()])
        at = reference.end()
        if reference[1]:
            pieces.append(b"$")
            continue
        name = (reference[2] or reference[3]).decode()
        # What names no group stands for nothing.
        number = int(name[:9]) if name.isdigit() else expression.groupindex.get(name, -1)
        if 0 <= number <= expression.groups:
            pieces.append(number)
    pieces.append(form[at:])
    return pieces


def _width(data: bytes, at: int) -> int:
    """The length of the character at a place, 1 at the end and for what is no UTF-8."""
    width = 1
    while width < 4 and at + width < len(data) and data[at + width] & 0xC0 == 0x80:
        width += 1
    return width
