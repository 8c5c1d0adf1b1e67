"""The two grammars of Alertmanager's matchers, from text to (name, operator, value). What they mean is in matchers.py.

Classic is the older one and forgiving: names are ASCII, a value may hold nearly anything. UTF-8 is the newer one: names
and values are either quoted or free of reserved characters. No regular expression is compiled here.
"""

from __future__ import annotations

import re
from typing import Final

from amproxy.labels.quoting import RESERVED, SPACES, Op, unquote

Parsed = tuple[str, Op, str]

_OPERATORS: Final[dict[str, Op]] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}

# Go's \s is these five characters; the value runs to the end, lazily, so that trailing blanks stay outside.
_CLASSIC = re.compile(r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*(.*?)[\t\n\f\r ]*", re.DOTALL)
_CLASSIC_TOKEN = re.compile(r"\\(.)|\\$|([^\\])", re.DOTALL)
_CLASSIC_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}

_BARE = re.compile(f"[^{re.escape(SPACES + RESERVED)}]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPERATOR = re.compile("=~|!~|!=|=")


def classic_list(text: str) -> list[Parsed]:
    """Comma-separated matchers, each outer brace optional on its own. Raises ValueError."""
    return [classic_single(part) for part in _split(text.strip(SPACES).removeprefix("{").removesuffix("}"))]


def classic_single(text: str) -> Parsed:
    """One matcher without braces; commas belong to its value. Raises ValueError."""
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise ValueError(f"not a matcher: {text!r} (expected NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX)")
    name, operator, raw = found.groups()
    return name, _OPERATORS[operator], _classic_value(raw)


def _split(text: str) -> list[str]:
    """Parts between the commas that stand outside of quotes. Only the last may be blank, and is then left out."""
    parts, start, quoted, escaped = [], 0, False, False
    for position, char in enumerate(text):
        if char == "," and not quoted:
            parts.append(text[start:position])
            start = position + 1
            continue
        if char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
    last = text[start:].strip(SPACES)
    return [*parts, last] if last else parts


def _classic_value(raw: str) -> str:
    quoted = raw.startswith('"')
    inner = raw[1:-1] if quoted else raw
    stray = quoted and (len(raw) < 2 or not raw.endswith('"') or _ends_escaped(inner))
    text = []
    for found in _CLASSIC_TOKEN.finditer(inner):
        escape, plain = found.groups()
        stray = stray or plain == '"'
        text.append(plain or (_CLASSIC_ESCAPES.get(escape, found[0]) if escape else "\\"))
    if stray:
        raise ValueError(f"the value has an unescaped double quote: {raw!r}")
    return "".join(text)


def _ends_escaped(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def utf8_list(text: str) -> list[Parsed]:
    """Comma-separated matchers, with both braces or none. Raises ValueError that names the column."""
    scan = _Scan(text)
    braced = scan.take("{")
    matchers: list[Parsed] = []
    while not scan.at_end() and not scan.sees("}"):
        matchers.append(scan.matcher())
        if not scan.take(","):
            break
    if braced and not scan.take("}"):
        raise scan.error("expected a comma or a closing brace")
    if not scan.at_end():
        raise scan.error("expected a comma or the end")
    return matchers


class _Scan:
    """Reads a text from left to right; blanks between tokens are skipped."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self._skip_blanks()

    def at_end(self) -> bool:
        return self.position == len(self.text)

    def sees(self, char: str) -> bool:
        return self.text.startswith(char, self.position)

    def take(self, char: str) -> bool:
        if not self.sees(char):
            return False
        self._advance(self.position + len(char))
        return True

    def matcher(self) -> Parsed:
        name = self._word("a label name")
        if not name:
            raise self.error("the label name is empty")
        operator = _OPERATOR.match(self.text, self.position)
        if operator is None:
            raise self.error("expected one of = != =~ !~")
        self._advance(operator.end())
        return name, _OPERATORS[operator[0]], self._word("a value")

    def error(self, reason: str) -> ValueError:
        rest = self.text[self.position :]
        return ValueError(f"{reason} at column {self.position + 1}" + (f", not {rest[:20]!r}" if rest else ""))

    def _word(self, what: str) -> str:
        if bare := _BARE.match(self.text, self.position):
            self._advance(bare.end())
            return bare[0]
        quoted = _QUOTED.match(self.text, self.position)
        if quoted is None:
            raise self.error(f"expected {what}")
        try:
            word = unquote(quoted[0])
        except ValueError as error:
            raise self.error(str(error)) from None
        self._advance(quoted.end())
        return word

    def _advance(self, position: int) -> None:
        self.position = position
        self._skip_blanks()

    def _skip_blanks(self) -> None:
        while self.position < len(self.text) and self.text[self.position] in SPACES:
            self.position += 1
