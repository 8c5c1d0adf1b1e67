"""Matchers: conditions on labels, with Alertmanager's grammar, meaning and order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import re2

from amproxy.labels.matcher_grammar import Parsed, classic_list, classic_single, utf8_list
from amproxy.labels.quoting import RESERVED, SPACES, Op, quote

Mode = Literal["classic", "utf8", "fallback"]

_ORDER: Final[dict[Op, int]] = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_REMEMBERED_LENGTH: Final = 128
_QUOTED_NAME: Final = frozenset(SPACES + RESERVED)

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # RE2 would write every bad pattern to stderr


class BadMatcher(ValueError):
    """A text that is no matcher, or a matcher whose regular expression is none; the message says why."""


class Matcher(msgspec.Struct, frozen=True):
    """One condition on one label. Making one with a bad regular expression raises BadMatcher."""

    name: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            _compiled(self.value)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds for these labels; a label that is absent counts as ""."""
        value, op = labels.get(self.name, ""), self.op
        if op == "=":
            return value == self.value
        if op == "!=":
            return value != self.value
        return _fits(self.value, value) == (op == "=~")

    def __str__(self) -> str:
        """As Alertmanager prints it in group keys: `team="a"`."""
        if _QUOTED_NAME.isdisjoint(self.name):
            value = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
            return f'{self.name}{self.op}"{value}"'
        return f"{quote(self.name)}{self.op}{quote(self.value)}"


def sort_key(matcher: Matcher) -> tuple[str, str, int]:
    """Alertmanager's order of matchers: by name, value, then operator (= != =~ !~)."""
    return matcher.name, matcher.value, _ORDER[matcher.op]


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every one of the matchers holds; none at all always hold."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse_matchers(text: str, mode: Mode = "fallback") -> list[Matcher]:
    """Matchers as routes have them: `team="a"`, `{team="a", severity=~"page|critical"}`; in the order written.

    Fallback is Alertmanager's default: the UTF-8 grammar first, else the classic one, and the classic reading where both
    read the text but differently. Raises BadMatcher.
    """
    return _parse(text, mode, classic_list, utf8_list)


def parse_matcher(text: str, mode: Mode = "fallback") -> Matcher:
    """Exactly one matcher, without braces, as an API filter has it. Raises BadMatcher."""
    if mode != "classic" and (text.startswith("{") or text.endswith("}")):
        raise BadMatcher(f"{text!r}: one matcher is written without braces")
    return _parse(text, mode, lambda text: [classic_single(text)], _utf8_single)[0]


def _utf8_single(text: str) -> list[Parsed]:
    parsed = utf8_list(text)
    if len(parsed) != 1:
        raise ValueError(f"expected one matcher, found {len(parsed)}")
    return parsed


def _parse(text: str, mode: Mode, classic: Callable[[str], list[Parsed]], utf8: Callable[[str], list[Parsed]]) -> list[Matcher]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadMatcher(f"{text!r}: not valid UTF-8") from None
    if mode != "fallback":
        return _read(text, classic if mode == "classic" else utf8)
    try:
        newer = _read(text, utf8)
    except BadMatcher as error:
        try:
            return _read(text, classic)
        except BadMatcher:
            raise error from None
    try:
        return _read(text, classic)  # equal to the newer reading, or wins over it
    except BadMatcher:
        return newer


def _read(text: str, grammar: Callable[[str], list[Parsed]]) -> list[Matcher]:
    try:
        return [Matcher(*parsed) for parsed in grammar(text)]
    except ValueError as error:
        raise BadMatcher(f"{text!r}: {error}") from None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    try:
        return re2.compile(f"^(?:{pattern})$", _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise BadMatcher(
            f"bad regular expression {pattern!r}: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
        ) from None


def _fits(pattern: str, value: str) -> bool:
    # Few values come again and again (severities, teams): remembered. Long ones do not, and would fill the memory.
    return _remembered_search(pattern, value) if len(value) <= _REMEMBERED_LENGTH else _search(pattern, value)


def _search(pattern: str, value: str) -> bool:
    return _compiled(pattern).search(value) is not None


_remembered_search = lru_cache(maxsize=16384)(_search)
