"""Go's double-quoted texts, as Alertmanager reads and prints them in matchers and group keys."""

from __future__ import annotations

import re
from typing import Final, Literal

Op = Literal["=", "!=", "=~", "!~"]

SPACES: Final = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
RESERVED: Final = "{}!=~,\\\"'`"

_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_SHORT_OF = {char: f"\\{letter}" for letter, char in _SHORT.items()}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)")


def unquote(text: str) -> str:
    """What a double-quoted text means, quotes included in `text`. Raises ValueError for an escape that Go does not know,
    for a line end, and where the bytes written out are not UTF-8."""
    inner = text[1:-1]
    if "\n" in inner:
        raise ValueError("a quoted text must not hold a line end")
    whole, last = bytearray(), 0
    try:
        for found in _ESCAPE.finditer(inner):
            whole += inner[last : found.start()].encode() + _escaped(found)
            last = found.end()
        return (whole + inner[last:].encode()).decode()
    except UnicodeError:
        raise ValueError("a quoted text must be valid UTF-8") from None


def _escaped(found: re.Match[str]) -> bytes:
    short, two_hex, octal, four_hex, eight_hex = found.groups()
    if short:
        return _SHORT[short].encode()
    if two_hex or octal:
        byte = int(two_hex, 16) if two_hex else int(octal, 8)
        if byte > 0xFF:
            raise ValueError(f"there is no byte {found[0]}")
        return bytes((byte,))
    if four_hex or eight_hex:
        point = int(four_hex or eight_hex, 16)
        if point > 0x10FFFF:
            raise ValueError(f"there is no character {found[0]}")
        return chr(point).encode()  # a surrogate fails here, as it should
    raise ValueError("a quoted text has an unknown escape (a backslash is written \\\\)")


def quote(text: str) -> str:
    """A text in double quotes as Go prints it: what cannot be seen is escaped, other letters of any script stay."""
    return '"' + "".join(map(_shown, text)) + '"'


def _shown(char: str) -> str:
    if char in _SHORT_OF:
        return _SHORT_OF[char]
    if char.isprintable():
        return char
    point = ord(char)
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
