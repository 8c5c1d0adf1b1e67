"""Go's string literals: read, and written as %q does.

A Go string holds bytes, a `str` here holds characters: bytes that are no UTF-8 stand in it as the
surrogates of PEP 383, so that `decode(encode(s)) == s` for every string of the package.
"""

from __future__ import annotations

_ESCAPES = {
    "a": 7,
    "b": 8,
    "f": 12,
    "n": 10,
    "r": 13,
    "t": 9,
    "v": 11,
    "\\": 92,
    "'": 39,
    '"': 34,
}
_NAMED = {code: "\\" + name for name, code in _ESCAPES.items() if name not in "'\""}
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
REPLACEMENT = "\ufffd"
# The white space of Unicode, which Go trims. Python's own list has a few control characters more.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class BadLiteral(ValueError):
    """A literal with wrong escapes; the text is Go's."""


def encode(text: str) -> bytes:
    """The bytes of a Go string. A lone surrogate that stands for no byte becomes U+FFFD."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        clean = "".join(REPLACEMENT if _is_stray(char) else char for char in text)
        return clean.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """The string of some bytes, valid UTF-8 or not."""
    return data.decode("utf-8", "surrogateescape")


def readable(text: str) -> str:
    """The text with U+FFFD for each byte that is no UTF-8, for readers that want characters."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def byte_length(text: str) -> int:
    """The length of a Go string."""
    return len(text) if text.isascii() else len(encode(text))


def _is_stray(char: str) -> bool:
    return "\ud800" <= char <= "\udfff" and not "\udc80" <= char <= "\udcff"


def unquote(literal: str) -> str:
    """The value of a quoted or raw string literal, quotes included. Raises BadLiteral."""
    if literal[0] == "`":
        return literal[1:-1].replace("\r", "")
    body = literal[1:-1]
    if "\\" not in body:
        return body
    data = bytearray()
    position = 0
    while position < len(body):
        value, is_byte, position = _character(body, position, '"')
        data += bytes([value]) if is_byte else encode(chr(value))
    return decode(bytes(data))


def unquote_character(literal: str) -> int:
    """The code of a character constant, quotes included. Raises BadLiteral."""
    body = literal[1:]
    if body[0] == "'":
        raise BadLiteral("invalid syntax")
    value, _, position = _character(body, 0, "'")
    if body[position:] != "'":
        raise BadLiteral(f"malformed character constant: {literal}")
    return value


def _character(text: str, position: int, quote_mark: str) -> tuple[int, bool, int]:
    """The code at a position, whether it is a byte and no character, and the next position."""
    char = text[position]
    if char != "\\":
        return ord(char), False, position + 1
    letter = text[position + 1 : position + 2]
    position += 2
    if letter in ("'", '"') and letter != quote_mark:
        raise BadLiteral("invalid syntax")
    if letter and letter in _ESCAPES:
        return _ESCAPES[letter], False, position
    if letter and letter in "01234567":
        digits, base, is_byte = text[position - 1 : position + 2], 8, True
        position += 2
        wanted = 3
    elif letter and letter in _HEX_LENGTHS:
        wanted, base, is_byte = _HEX_LENGTHS[letter], 16, letter == "x"
        digits = text[position : position + wanted]
        position += wanted
    else:
        raise BadLiteral("invalid syntax")
    if len(digits) != wanted or not digits.isascii() or not digits.isalnum():
        raise BadLiteral("invalid syntax")
    try:
        value = int(digits, base)
    except ValueError as error:
        raise BadLiteral("invalid syntax") from error
    if value > (255 if is_byte else 0x10FFFF) or (not is_byte and 0xD800 <= value < 0xE000):
        raise BadLiteral("invalid syntax")
    return value, is_byte, position


def quote(text: str, ascii_only: bool = False, mark: str = '"') -> str:
    """The text as a Go literal, as %q and %+q write it."""
    if text.isascii() and text.isprintable() and mark not in text and "\\" not in text:
        return mark + text + mark
    return mark + "".join(_quoted(char, ascii_only, mark) for char in text) + mark


def _quoted(char: str, ascii_only: bool, mark: str) -> str:
    code = ord(char)
    if char in (mark, "\\"):
        return "\\" + char
    if 0xD800 <= code < 0xE000:
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "\\ufffd"
    if char.isprintable() and (code < 128 or not ascii_only):
        return char
    if code in _NAMED:
        return _NAMED[code]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote_bytes(text: str) -> str:
    """The text in quotes with each byte that is not ASCII as \\x.., as Go's time package has it."""
    parts = []
    for code in encode(text):
        char = chr(code)
        if char in '"\\':
            parts.append("\\" + char)
        else:
            parts.append(char if 0x20 <= code < 0x80 else f"\\x{code:02x}")
    return f'"{"".join(parts)}"'


def name_character(char: str) -> str:
    """A character as %#U names it: U+0025 '%'; "" stands for the end of the text."""
    if not char:
        return "U+FFFFFFFFFFFFFFFF"
    code = 0xFFFD if 0xD800 <= ord(char) < 0xE000 else ord(char)
    shown = f" '{chr(code)}'" if chr(code).isprintable() else ""
    return f"U+{code:04X}{shown}"
