"""Errors of the template language. Their texts are Go's, so that people can look them up."""

from __future__ import annotations


class GoTemplateError(Exception):
    """A template that cannot be parsed or executed; `str()` is the text that Go gives."""


class GoParseError(GoTemplateError):
    """Text that is no template. `line` and `column` (in characters) count from 1."""

    def __init__(self, name: str, line: int, column: int, reason: str) -> None:
        super().__init__(f"template: {name}:{line}: {reason}")
        self.name = name
        self.line = line
        self.column = column
        self.reason = reason


class GoExecError(GoTemplateError):
    """An execution that failed. `name` is the file or text that the place is in.

    `line` and `column` (in characters) count from 1, and are 0 where no place is known; in the
    text the column counts bytes from 0, as Go's does.
    """

    def __init__(
        self, text: str, name: str = "", line: int = 0, column: int = 0, reason: str = ""
    ) -> None:
        super().__init__(text)
        self.name = name
        self.line = line
        self.column = column
        self.reason = reason or text


class GoLimitError(GoExecError):
    """An execution that used up its steps, its output, its depth or its time."""


class GoCallError(Exception):
    """A function or method that refuses its arguments; the execution adds the place."""
