"""Matchers: conditions on labels, with Alertmanager's two grammars, meaning and order.

The classic grammar is older and forgiving: names are ASCII, a value may hold nearly anything. In
the UTF-8 grammar names and values are either quoted, as Go quotes texts, or free of reserved
characters. A grammar only splits a text into (name, operator, value); Matcher compiles the regex.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import re2

Op = Literal["=", "!=", "=~", "!~"]
MatcherMode = Literal["classic", "utf8", "fallback"]
CLASSIC_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# The mode of this process: Alertmanager's, too, is one for all that it reads.
_in_use: Final[list[MatcherMode]] = ["fallback"]
ParsedMatcher = tuple[str, Op, str]

_OPERATORS: Final[dict[str, Op]] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}

SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
RESERVED: Final = "{}!=~,\\\"'`"

_OPERATOR_ORDER: Final[dict[Op, int]] = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_MAX_CACHED_LENGTH: Final = 128  # characters of a label value
_QUOTED_NAME: Final = frozenset(SPACES + RESERVED)  # characters that put a name in quotes

_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False  # else RE2 writes every bad pattern to stderr

# Go's \s is these five characters. The value is lazy, so that trailing blanks stay outside.
_CLASSIC = re.compile(
    r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*(.*?)[\t\n\f\r ]*",
    re.DOTALL,
)
_CLASSIC_TOKEN = re.compile(r"\\(.)|\\$|([^\\])", re.DOTALL)
_CLASSIC_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}

_BARE = re.compile(f"[^{re.escape(SPACES + RESERVED)}]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPERATOR = re.compile("=~|!~|!=|=")

_SHORT_ESCAPES = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", '"': '"'},
}
_SHORT_ESCAPE_OF = {char: f"\\{letter}" for letter, char in _SHORT_ESCAPES.items()}
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)"
)


Expected = Literal["name", "some_name", "operator", "value", "brace", "end"]
MatcherFault = Literal[
    "braces",
    "count",
    "encoding",
    "regex",
    "form",
    "quote",
    "line_end",
    "quoted_encoding",
    "byte",
    "character",
    "escape",
]


class BadMatcher(ValueError):
    """A text that is no matcher, or whose regular expression is none; the message says why.

    text: what is wrong. expected and column (from 1): what was missing where, of its grammar.
    fault: what else is wrong, by which `amproxy/text` has its words; said: what belongs to it.
    """

    def __init__(
        self,
        message: str,
        text: str,
        expected: Expected | None = None,
        column: int = 0,
        *,
        fault: MatcherFault | None = None,
        said: str = "",
    ) -> None:
        super().__init__(message)
        self.text, self.expected, self.column = text, expected, column
        self.fault, self.said = fault, said


class _TextFault(ValueError):
    """A text that is no matcher as a whole, or quoted wrongly."""

    def __init__(self, fault: MatcherFault, message: str, said: str = "") -> None:
        super().__init__(message)
        self.fault, self.said = fault, said


class _SyntaxFault(ValueError):
    """A place at which the text of matchers cannot be read any further."""

    def __init__(
        self, message: str, expected: Expected | None, column: int, fault: _TextFault | None
    ) -> None:
        super().__init__(message)
        self.expected, self.column, self.fault = expected, column, fault


class Matcher(msgspec.Struct, frozen=True):
    """One condition on one label. Making one with a bad regular expression raises BadMatcher."""

    name: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            _compile_regex(self.value)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return True if it holds for these labels; an absent label counts as ""."""
        value, op = labels.get(self.name, ""), self.op
        if op == "=":
            return value == self.value
        if op == "!=":
            return value != self.value
        return _regex_matches(self.value, value) == (op == "=~")

    def __str__(self) -> str:
        """The form in Alertmanager's group keys: `team="a"`."""
        if _QUOTED_NAME.isdisjoint(self.name):
            value = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
            return f'{self.name}{self.op}"{value}"'
        return f"{quote(self.name)}{self.op}{quote(self.value)}"


def matcher_sort_key(matcher: Matcher) -> tuple[str, str, int]:
    """Alertmanager's order of matchers: by name, value, then operator (= != =~ !~)."""
    return matcher.name, matcher.value, _OPERATOR_ORDER[matcher.op]


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Return True if every matcher holds; no matchers always do."""
    return all(matcher.matches(labels) for matcher in matchers)


def rarest_equality(
    matchers: Iterable[Matcher], crowd: Callable[[str, str], int]
) -> tuple[str, str]:
    """The name and value of the equality matcher by which some matchers are found best.

    crowd: how many others are found by a name and value: of `alertname` and `instance` the one that
    tells them apart counts. Two empty texts where there is none.
    """
    # a label that must be "" may be absent, so nothing is found by it
    pairs = [(one.name, one.value) for one in matchers if one.op == "=" and one.value]
    return min(pairs, key=lambda pair: crowd(*pair), default=("", ""))


LabelsTest = Callable[[Mapping[str, str]], bool]


def compile_matchers(matchers: Iterable[Matcher]) -> LabelsTest:
    """`all_match` of these matchers, for those that are kept: regular expressions stay compiled."""
    # the cheapest first
    tests = [_compile_matcher(one) for one in sorted(matchers, key=lambda one: "~" in one.op)]

    def matches(labels: Mapping[str, str]) -> bool:
        return all(test(labels) for test in tests)

    return tests[0] if len(tests) == 1 else matches


def _compile_matcher(matcher: Matcher) -> LabelsTest:
    name, value, op = matcher.name, matcher.value, matcher.op
    if op == "=":
        return lambda labels: labels.get(name, "") == value
    if op == "!=":
        return lambda labels: labels.get(name, "") != value
    search, wanted = _compile_regex(value).search, op == "=~"
    return lambda labels: (search(labels.get(name, "")) is not None) == wanted


def use_mode(mode: MatcherMode) -> None:
    """Have this process read matchers and names of labels in a mode from now on."""
    _in_use[0] = mode


def is_label_name(text: str) -> bool:
    """True for a name of a label: in classic mode ASCII letters, digits and underscores."""
    return bool(text) and (_in_use[0] != "classic" or CLASSIC_NAME.fullmatch(text) is not None)


def parse_matchers(text: str, mode: MatcherMode | None = None) -> list[Matcher]:
    """Matchers of a route: `team="a"`, `{team="a", severity=~"page|critical"}`; in that order.

    mode: None = the one in use. Fallback is Alertmanager's default: the UTF-8 grammar first, else
    the classic one; the classic reading where both accept the text but read it differently. Raises
    BadMatcher.
    """
    return _parse_in_mode(text, mode or _in_use[0], parse_classic_list, parse_utf8_list)


def parse_matcher(text: str, mode: MatcherMode | None = None) -> Matcher:
    """Exactly one matcher without braces, for filters of the API. Raises BadMatcher."""
    mode = mode or _in_use[0]
    if mode != "classic" and (text.startswith("{") or text.endswith("}")):
        message = f"{text!r}: one matcher is written without braces"
        raise BadMatcher(message, text, fault="braces")
    return _parse_in_mode(
        text, mode, lambda text: [parse_classic_single(text)], _parse_utf8_single
    )[0]


def _parse_utf8_single(text: str) -> list[ParsedMatcher]:
    parsed = parse_utf8_list(text)
    if len(parsed) != 1:
        message = f"expected one matcher, found {len(parsed)}"
        raise _TextFault("count", message, str(len(parsed)))
    return parsed


def _parse_in_mode(
    text: str,
    mode: MatcherMode,
    classic: Callable[[str], list[ParsedMatcher]],
    utf8: Callable[[str], list[ParsedMatcher]],
) -> list[Matcher]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadMatcher(f"{text!r}: not valid UTF-8", "", fault="encoding") from None
    if mode != "fallback":
        return _parse_with_grammar(text, classic if mode == "classic" else utf8)
    try:
        newer = _parse_with_grammar(text, utf8)
    except BadMatcher as error:
        try:
            return _parse_with_grammar(text, classic)
        except BadMatcher:
            raise error from None
    try:
        return _parse_with_grammar(text, classic)  # equal to the newer reading, or wins over it
    except BadMatcher:
        return newer


def _parse_with_grammar(text: str, grammar: Callable[[str], list[ParsedMatcher]]) -> list[Matcher]:
    try:
        return [Matcher(*parsed) for parsed in grammar(text)]
    except _SyntaxFault as error:
        inner, message = error.fault, f"{text!r}: {error}"
        raise BadMatcher(
            *(message, text, error.expected, error.column),
            fault=inner.fault if inner else None,
            said=inner.said if inner else "",
        ) from None
    except _TextFault as error:
        message = f"{text!r}: {error}"
        raise BadMatcher(message, text, fault=error.fault, said=error.said) from None


@lru_cache(maxsize=4096)
def _compile_regex(pattern: str) -> Any:
    try:
        return re2.compile(f"^(?:{pattern})$", _RE2_OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        message = f"bad regular expression {pattern!r}: {reason}"
        raise BadMatcher(message, pattern, fault="regex", said=str(reason)) from None


def _regex_matches(pattern: str, value: str) -> bool:
    # Short values (severities, teams) come again and again; long ones do not and fill the memory.
    search = _cached_search_regex if len(value) <= _MAX_CACHED_LENGTH else _search_regex
    return search(pattern, value)


def _search_regex(pattern: str, value: str) -> bool:
    return _compile_regex(pattern).search(value) is not None


_cached_search_regex = lru_cache(maxsize=16384)(_search_regex)


def parse_classic_list(text: str) -> list[ParsedMatcher]:
    """Comma-separated matchers, each outer brace optional on its own. Raises ValueError."""
    inner = text.strip(SPACES).removeprefix("{").removesuffix("}")
    return [parse_classic_single(matcher) for matcher in _split_classic(inner)]


def parse_classic_single(text: str) -> ParsedMatcher:
    """One matcher without braces; commas belong to its value. Raises ValueError."""
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise _TextFault(
            "form",
            f"not a matcher: {text!r}"
            " (expected NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX)",
            text,
        )
    name, operator, raw = found.groups()
    return name, _OPERATORS[operator], _classic_value(raw)


def _split_classic(text: str) -> list[str]:
    """Split at commas outside of quotes. Only the last matcher may be blank: it is dropped."""
    matchers, start, quoted, escaped = [], 0, False, False
    for position, char in enumerate(text):
        if char == "," and not quoted:
            matchers.append(text[start:position])
            start = position + 1
            continue
        if char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
    last = text[start:].strip(SPACES)
    return [*matchers, last] if last else matchers


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
        raise _TextFault("quote", f"the value has an unescaped double quote: {raw!r}", raw)
    return "".join(text)


def _ends_escaped(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def parse_utf8_list(text: str) -> list[ParsedMatcher]:
    """Comma-separated matchers, with both braces or none. Raises ValueError with the column."""
    scan = _MatcherScanner(text)
    braced = scan.skip("{")
    matchers: list[ParsedMatcher] = []
    while not scan.at_end() and not scan.is_at("}"):
        matchers.append(scan.matcher())
        if not scan.skip(","):
            break
    if braced and not scan.skip("}"):
        raise scan.error("brace")
    if not scan.at_end():
        raise scan.error("end")
    return matchers


_EXPECTED: Final[dict[Expected, str]] = {
    "name": "expected a label name",
    "some_name": "the label name is empty",
    "operator": "expected one of = != =~ !~",
    "value": "expected a value",
    "brace": "expected a comma or a closing brace",
    "end": "expected a comma or the end",
}


class _MatcherScanner:
    """Reads a text from left to right; blanks between tokens are skipped."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self._skip_blanks()

    def at_end(self) -> bool:
        return self.position == len(self.text)

    def is_at(self, char: str) -> bool:
        return self.text.startswith(char, self.position)

    def skip(self, char: str) -> bool:
        """Move past `char`; return False, and stay, where another one follows."""
        if not self.is_at(char):
            return False
        self._advance(self.position + len(char))
        return True

    def matcher(self) -> ParsedMatcher:
        """The next matcher. Raises ValueError that names the column."""
        name = self._word("name")
        if not name:
            raise self.error("some_name")
        operator = _OPERATOR.match(self.text, self.position)
        if operator is None:
            raise self.error("operator")
        self._advance(operator.end())
        return name, _OPERATORS[operator[0]], self._word("value")

    def error(self, expected: Expected | None, fault: _TextFault | None = None) -> ValueError:
        """The fault at the present place: what was expected, or another one."""
        rest, column = self.text[self.position :], self.position + 1
        message = f"{_EXPECTED[expected] if expected else fault} at column {column}"
        message += f", not {rest[:20]!r}" if rest else ""
        return _SyntaxFault(message, expected, column, fault)

    def _word(self, expected: Expected) -> str:
        if bare := _BARE.match(self.text, self.position):
            self._advance(bare.end())
            return bare[0]
        quoted = _QUOTED.match(self.text, self.position)
        if quoted is None:
            raise self.error(expected)
        try:
            word = unquote(quoted[0])
        except _TextFault as error:
            raise self.error(None, error) from None
        self._advance(quoted.end())
        return word

    def _advance(self, position: int) -> None:
        self.position = position
        self._skip_blanks()

    def _skip_blanks(self) -> None:
        while self.position < len(self.text) and self.text[self.position] in SPACES:
            self.position += 1


def unquote(text: str) -> str:
    """The meaning of a text in double quotes, which `text` includes.

    Raises ValueError for an escape that Go does not know, for a line end, and for bytes that are
    not UTF-8.
    """
    inner = text[1:-1]
    if "\n" in inner:
        raise _TextFault("line_end", "a quoted text must not hold a line end")
    whole, last = bytearray(), 0
    try:
        for found in _ESCAPE.finditer(inner):
            whole += inner[last : found.start()].encode() + _decode_escape(found)
            last = found.end()
        return (whole + inner[last:].encode()).decode()
    except UnicodeError:
        raise _TextFault("quoted_encoding", "a quoted text must be valid UTF-8") from None


def _decode_escape(found: re.Match[str]) -> bytes:
    short, two_hex, octal, four_hex, eight_hex = found.groups()
    if short:
        return _SHORT_ESCAPES[short].encode()
    if two_hex or octal:
        byte = int(two_hex, 16) if two_hex else int(octal, 8)
        if byte > 0xFF:
            raise _TextFault("byte", f"there is no byte {found[0]}", found[0])
        return bytes((byte,))
    if four_hex or eight_hex:
        point = int(four_hex or eight_hex, 16)
        if point > 0x10FFFF:
            raise _TextFault("character", f"there is no character {found[0]}", found[0])
        return chr(point).encode()  # a surrogate fails here, as it should
    message = "a quoted text has an unknown escape (a backslash is written \\\\)"
    raise _TextFault("escape", message)


def quote(text: str) -> str:
    """A text in double quotes as Go prints it: only unprintable characters are escaped."""
    return '"' + "".join(map(_escape_char, text)) + '"'


def _escape_char(char: str) -> str:
    if char in _SHORT_ESCAPE_OF:
        return _SHORT_ESCAPE_OF[char]
    if char.isprintable():
        return char
    point = ord(char)
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
