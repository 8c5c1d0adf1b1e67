"""The tokens of a text as the parsers of its templates read them, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from amproxy.gotemplate.errors import GoParseError
from amproxy.gotemplate.lexer import Token, TokenKind
from amproxy.gotemplate.nodes import Tree
from amproxy.gotemplate.quoting import BadLiteral, unquote

_Literal = TypeVar("_Literal")
STRING_TOKENS = {TokenKind.STRING, TokenKind.RAW_STRING}


class TokenStream:
    """The tokens of a text, which the parsers of its templates read one after the other."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.furthest = -1


class TokenReader:
    """One parser at the stream of a text: its tokens from now on belong to `tree`."""

    def __init__(self, tree: Tree, stream: TokenStream) -> None:
        self.tree = tree
        self.stream = stream
        # The line of the action that is being read, 0 between actions.
        self.action_line = 0
        # The furthest token that this parser read first: Go's errors carry its line.
        self.seen = stream.tokens[min(stream.at, len(stream.tokens) - 1)]

    def next(self) -> Token:
        stream = self.stream
        at = min(stream.at, len(stream.tokens) - 1)
        token = stream.tokens[at]
        if at > stream.furthest:
            stream.furthest = at
            self.seen = token
        stream.at = at + 1
        return token

    def peek(self) -> Token:
        token = self.next()
        self.stream.at -= 1
        return token

    def next_word(self) -> Token:
        """The next token that is no space."""
        while (token := self.next()).kind is TokenKind.SPACE:
            pass
        return token

    def peek_word(self) -> Token:
        token = self.next_word()
        self.stream.at -= 1
        return token

    def error(self, reason: str) -> GoParseError:
        """An error at the furthest token."""
        position = self.seen.position
        start = self.tree.text.rfind("\n", 0, position) + 1
        column = position - start + 1
        return GoParseError(self.tree.parse_name, self.seen.line, column, reason)

    def unexpected(self, token: Token, context: str) -> GoParseError:
        if token.kind is not TokenKind.ERROR:
            return self.error(f"unexpected {token} in {context}")
        extra = ""
        if self.action_line not in (0, token.line):
            extra = f" in action started at {self.tree.parse_name}:{self.action_line}"
            if token.text.endswith(" action"):
                extra = extra.removeprefix(" in action")
        return self.error(f"{token}{extra}")

    def expect(self, kind: TokenKind, context: str) -> Token:
        token = self.next_word()
        if token.kind is not kind:
            raise self.unexpected(token, context)
        return token

    def string(self, token: Token, context: str) -> str:
        if token.kind not in STRING_TOKENS:
            raise self.unexpected(token, context)
        return self.literal(lambda: unquote(token.text))

    def literal(self, read: Callable[[], _Literal]) -> _Literal:
        try:
            return read()
        except BadLiteral as error:
            raise self.error(str(error)) from error
