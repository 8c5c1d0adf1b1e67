"""Template text into tokens: one list, which ends with `TokenKind.EOF` or `TokenKind.ERROR`."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from amproxy.gotemplate.quoting import byte_length, name_character, quote

LEFT, RIGHT = "{{", "}}"
_SPACE = " \t\r\n"
_SPACES = re.compile(r"[ \t\r\n]+")
_QUOTED = {
    '"': re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'),
    "'": re.compile(r"'(?:[^'\\\n]|\\[^\n])*'"),
    "`": re.compile(r"`[^`]*`"),
}
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "'": "unterminated character constant",
    "`": "unterminated raw quoted string",
}
# What looks like a number; the parser refuses what is none ("0x", "1.2.3" never match whole).
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)


class TokenKind(enum.Enum):
    """Kinds of tokens; the values of keywords are their spelling."""

    ERROR = "error"
    BOOL = "bool"
    CHARACTER = "character"
    CHARACTER_CONSTANT = "character constant"
    COMPLEX = "complex"
    ASSIGN = "="
    DECLARE = ":="
    EOF = "EOF"
    FIELD = "field"
    IDENTIFIER = "identifier"
    LEFT_DELIMITER = "{{"
    LEFT_PAREN = "("
    NUMBER = "number"
    PIPE = "|"
    RAW_STRING = "raw string"
    RIGHT_DELIMITER = "}}"
    RIGHT_PAREN = ")"
    SPACE = "space"
    STRING = "string"
    TEXT = "text"
    VARIABLE = "variable"
    BLOCK = "block"
    BREAK = "break"
    CONTINUE = "continue"
    DOT = "."
    DEFINE = "define"
    ELSE = "else"
    END = "end"
    IF = "if"
    NIL = "nil"
    RANGE = "range"
    TEMPLATE = "template"
    WITH = "with"


KEYWORDS = {
    kind.value: kind
    for kind in (
        TokenKind.BLOCK,
        TokenKind.BREAK,
        TokenKind.CONTINUE,
        TokenKind.DEFINE,
        TokenKind.ELSE,
        TokenKind.END,
        TokenKind.IF,
        TokenKind.NIL,
        TokenKind.RANGE,
        TokenKind.TEMPLATE,
        TokenKind.WITH,
    )
}
_KEYWORD_KINDS = {*KEYWORDS.values(), TokenKind.DOT}
_PUNCTUATION = {
    "=": TokenKind.ASSIGN,
    "|": TokenKind.PIPE,
    "(": TokenKind.LEFT_PAREN,
    ")": TokenKind.RIGHT_PAREN,
}
_STRINGS = {
    '"': TokenKind.STRING,
    "'": TokenKind.CHARACTER_CONSTANT,
    "`": TokenKind.RAW_STRING,
}


class Token(NamedTuple):
    """A piece of the text; `text` of an error is its reason."""

    kind: TokenKind
    position: int
    text: str
    line: int

    def __str__(self) -> str:
        if self.kind is TokenKind.EOF:
            return "EOF"
        if self.kind is TokenKind.ERROR:
            return self.text
        if self.kind in _KEYWORD_KINDS:
            return f"<{self.text}>"
        if byte_length(self.text) > 10:
            return quote(self.text[:10]) + "..."
        return quote(self.text)


class _Failed(Exception):
    """The text cannot be read on from a position."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


def is_word(char: str) -> bool:
    """Tell whether a character may stand in a name: a letter, a decimal digit or an underscore."""
    return char == "_" or char.isalpha() or char.isdecimal()


class _Lexer:
    """The position in the text, and the tokens so far. Names in `functions` are no keywords."""

    def __init__(self, text: str, functions: frozenset[str]) -> None:
        self.text = text
        self.functions = functions
        self.position = 0
        self.tokens: list[Token] = []
        self._counted_to = 0
        self._line = 1

    def run(self) -> list[Token]:
        try:
            while self._text():
                self._action()
        except _Failed as failure:
            self._emit(TokenKind.ERROR, failure.position, failure.reason)
        else:
            self._emit(TokenKind.EOF, self.position, "EOF")
        return self.tokens

    def _emit(self, kind: TokenKind, position: int, text: str) -> None:
        self._line += self.text.count("\n", self._counted_to, position)
        self._counted_to = position
        self.tokens.append(Token(kind, position, text, self._line))

    def _text(self) -> bool:
        """Read up to the next action, over comments; false where none follows."""
        while True:
            start = self.position
            at = self.text.find(LEFT, start)
            if at < 0:
                if start < len(self.text):
                    self._emit(TokenKind.TEXT, start, self.text[start:])
                self.position = len(self.text)
                return False
            piece = self.text[start:at]
            inside = at + len(LEFT)
            trims = self._trims_left(inside)
            if trims:
                piece = piece.rstrip(_SPACE)
            if piece:
                self._emit(TokenKind.TEXT, start, piece)
            body = inside + 2 * trims
            if self.text.startswith("/*", body):
                self._comment(body)
                continue
            self._emit(TokenKind.LEFT_DELIMITER, at, LEFT)
            self.position = body
            return True

    def _comment(self, start: int) -> None:
        end = self.text.find("*/", start + 2)
        if end < 0:
            raise _Failed(start, "unclosed comment")
        end += 2
        closes, trims = self._at_right(end)
        if not closes:
            raise _Failed(start, "comment ends before closing delimiter")
        self._after_right(end + 2 * trims + len(RIGHT), trims)

    def _after_right(self, position: int, trims: bool) -> None:
        if trims and (spaces := _SPACES.match(self.text, position)):
            position = spaces.end()
        self.position = position

    def _trims_left(self, position: int) -> bool:
        mark = self.text[position : position + 2]
        return len(mark) == 2 and mark[0] == "-" and mark[1] in _SPACE

    def _at_right(self, position: int) -> tuple[bool, bool]:
        """Tell whether the right delimiter stands at a position, and whether it trims."""
        mark = self.text[position : position + 2]
        is_mark = len(mark) == 2 and mark[0] in _SPACE and mark[1] == "-"
        if is_mark and self.text.startswith(RIGHT, position + 2):
            return True, True
        return self.text.startswith(RIGHT, position), False

    def _action(self) -> None:
        """The tokens of one action, its right delimiter included."""
        depth = 0
        text = self.text
        while True:
            start = self.position
            closes, trims = self._at_right(start)
            if closes:
                if depth:
                    raise _Failed(start, "unclosed left paren")
                start += 2 * trims
                self._emit(TokenKind.RIGHT_DELIMITER, start, RIGHT)
                self._after_right(start + len(RIGHT), trims)
                return
            char = text[start : start + 1]
            if not char:
                raise _Failed(start, "unclosed action")
            if char in _SPACE:
                self._spaces(start)
            elif char in _PUNCTUATION:
                depth += (char == "(") - (char == ")")
                if depth < 0:
                    raise _Failed(start, "unexpected right paren")
                self._take(_PUNCTUATION[char], start + 1)
            elif char == ":":
                if not text.startswith(":=", start):
                    raise _Failed(start, "expected :=")
                self._take(TokenKind.DECLARE, start + 2)
            elif char in _STRINGS:
                found = _QUOTED[char].match(text, start)
                if not found:
                    raise _Failed(start, _UNTERMINATED[char])
                self._take(_STRINGS[char], found.end())
            else:
                self._word(start, char)

    def _take(self, kind: TokenKind, end: int) -> None:
        self._emit(kind, self.position, self.text[self.position : end])
        self.position = end

    def _spaces(self, start: int) -> None:
        found = _SPACES.match(self.text, start)
        assert found
        end = found.end()
        # The last space may belong to a trim marker.
        if self._at_right(end - 1) == (True, True):
            end -= 1
        if end > start:
            self._take(TokenKind.SPACE, end)

    def _word(self, start: int, char: str) -> None:
        text = self.text
        following = text[start + 1 : start + 2]
        if char == "$":
            self._name(start, TokenKind.VARIABLE, TokenKind.VARIABLE)
        elif char == "." and following and following not in "0123456789":
            self._name(start, TokenKind.FIELD, TokenKind.DOT)
        elif char in ".+-0123456789":
            self._number(start)
        elif is_word(char):
            end = self._end_of_word(start)
            self._must_end(start, end)
            word = text[start:end]
            kind = TokenKind.IDENTIFIER
            if word in ("true", "false"):
                kind = TokenKind.BOOL
            elif word in KEYWORDS and not (
                word in ("break", "continue") and word in self.functions
            ):
                kind = KEYWORDS[word]
            self._take(kind, end)
        elif char.isascii() and char.isprintable():
            self._take(TokenKind.CHARACTER, start + 1)
        else:
            raise _Failed(start, f"unrecognized character in action: {name_character(char)}")

    def _name(self, start: int, kind: TokenKind, bare: TokenKind) -> None:
        """A field or variable, whose first character is a mark."""
        if self._ends_word(start + 1):
            self._take(bare, start + 1)
            return
        end = self._end_of_word(start + 1)
        self._must_end(start, end)
        self._take(kind, end)

    def _end_of_word(self, position: int) -> int:
        text, length = self.text, len(self.text)
        while position < length and is_word(text[position]):
            position += 1
        return position

    def _must_end(self, start: int, end: int) -> None:
        if not self._ends_word(end):
            raise _Failed(start, f"bad character {name_character(self.text[end : end + 1])}")

    def _ends_word(self, position: int) -> bool:
        char = self.text[position : position + 1]
        return not char or char in " \t\r\n.,|:)(" or self.text.startswith(RIGHT, position)

    def _number(self, start: int) -> None:
        end = self._number_end(start, start)
        if self.text[end : end + 1] in ("+", "-"):
            end = self._number_end(start, end)
            if self.text[end - 1] != "i":
                raise _Failed(start, f"bad number syntax: {quote(self.text[start:end])}")
            self._take(TokenKind.COMPLEX, end)
        else:
            self._take(TokenKind.NUMBER, end)

    def _number_end(self, start: int, position: int) -> int:
        found = _NUMBER.match(self.text, position)
        assert found
        end = found.end()
        if self.text[end : end + 1] and is_word(self.text[end]):
            raise _Failed(start, f"bad number syntax: {quote(self.text[start : end + 1])}")
        return end


def tokens(text: str, functions: frozenset[str] = frozenset()) -> list[Token]:
    """The tokens of a text. `break` and `continue` are names where functions are called so."""
    return _Lexer(text, functions).run()
