"""The expression of an alert, and its parts: what was measured, and the limit it was held against.

Only the outermost comparison of PromQL or MetricsQL is understood, which is what a picture needs;
the metrics server knows the rest. Pure; all of it is data from outside.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, urlsplit

import msgspec

from amproxy.model import Alert

MAX_EXPRESSION: Final = 8000  # characters
MAX_CONSTANT: Final = 200  # characters of arithmetic that is worked out
MAX_DEPTH: Final = 8  # of JSON in an address

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | \#[^\n]* )
    | (?P<string> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | `[^`]*` )
    | (?P<number> (?:0[xX][0-9a-fA-F]+ | \d[\d_]*(?:\.\d+)?[eE][+-]?\d+ | (?:\d[\d_.]*|\.\d+)\w*) )
    | (?P<word> [^\W\d][\w:.]* )
    | (?P<sign> == | != | >= | <= | =~ | !~ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMPARISONS: Final = frozenset(("==", "!=", ">", "<", ">=", "<="))
_MIRRORED: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_SET_WORDS: Final = frozenset(("and", "or", "unless", "if", "ifnot", "default"))
# Of these the left side is what is shown, where the right side holds.
_FILTER_WORDS: Final = frozenset(("and", "unless", "if", "ifnot"))
_OPENING, _CLOSING = "([{", ")]}"

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_SECONDS: Final = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604_800,
    "y": 31_536_000,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT])(i?)B?")
_SIZES: Final = {"K": 1, "M": 2, "G": 3, "T": 4}
_ARITHMETIC: Final[tuple[dict[str, Callable[[float, float], Any]], ...]] = (
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv, "%": math.fmod},
)


class Measurement(NamedTuple):
    """The measured part of an expression, and the limit that it is held against."""

    measured: str  # an expression without the comparison
    comparison: str = ""  # ">", "" = there is no limit that a line could show
    threshold: float | None = None


class VmalertIds(NamedTuple):
    """The ids by which vmalert's API knows an alert, both of digits."""

    group: str
    alert: str


class _ExpressionToken(NamedTuple):
    kind: str
    text: str
    start: int
    depth: int  # brackets around it

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def read_expression(alert: Alert) -> str:
    """The expression in the address that an alert names as its origin; "" where it has none.

    Prometheus and vmui: `g0.expr`. Grafana's Explore: JSON with `expr`, as vmalert's
    -external.alert.source writes it.
    """
    address = _split(alert.generator_url)
    if address is None:
        return ""
    for text in (address.query, address.fragment.partition("?")[2]):
        fields = _fields(text)
        for name in ("g0.expr", "expr"):
            if given := fields.get(name):
                return given if len(given) <= MAX_EXPRESSION else ""
        for name in ("left", "panes"):
            if found := _expression_in(_decode(fields.get(name, "")), MAX_DEPTH):
                return found if len(found) <= MAX_EXPRESSION else ""
    return ""


def read_vmalert_ids(alert: Alert) -> VmalertIds | None:
    """The ids in an address of vmalert's own page of the alert."""
    address = _split(alert.generator_url)
    if address is None or not address.path.endswith("/alert"):
        return None
    fields = _fields(address.query)
    ids = VmalertIds(fields.get("group_id", ""), fields.get("alert_id", ""))
    return ids if all(re.fullmatch(r"\d{1,20}", one, re.ASCII) for one in ids) else None


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _fields(text: str) -> dict[str, str]:
    try:
        found = parse_qs(text, max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _expression_in(value: Any, depth: int) -> str:
    """The first `expr` of JSON."""
    if depth == 0 or not isinstance(value, dict | list):
        return ""
    if isinstance(value, dict) and value.get("expr") and isinstance(value["expr"], str):
        return str(value["expr"])
    inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
    return next(filter(None, (_expression_in(one, depth - 1) for one in inner)), "")


def split_condition(expression: str) -> Measurement:
    """The outermost comparison with a number, taken apart.

    `rate(x[5m]) > 5` measures `rate(x[5m])`. Where there are several comparisons, or what decides
    is a set of series (`and`, `or`, `unless`), no single line is the limit.
    """
    expression = expression.strip()
    while (tokens := _scan(expression)) and _is_enclosed(tokens):
        expression = expression[1:-1].strip()
    outer = [token for token in tokens or () if token.depth == 0]
    words = [one for one in outer if one.kind == "word" and one.text.lower() in _SET_WORDS]
    if words:
        if all(one.text.lower() in _FILTER_WORDS for one in words):
            return Measurement(split_condition(expression[: words[0].start]).measured)
        return Measurement(expression)
    comparisons = [one for one in outer if one.kind == "sign" and one.text in _COMPARISONS]
    if len(comparisons) != 1:
        return Measurement(expression)
    [compares] = comparisons
    left = expression[: compares.start].strip()
    right = re.sub(r"bool\b", "", expression[compares.end :].strip(), count=1)
    if (limit := work_out(right)) is not None:
        return Measurement(left, compares.text, limit)
    if (limit := work_out(left)) is not None:
        return Measurement(right.strip(), _MIRRORED.get(compares.text, compares.text), limit)
    return Measurement(left)


def _scan(text: str) -> list[_ExpressionToken] | None:
    """The tokens of an expression, without spaces and comments; None where brackets do not fit."""
    tokens, open_ones = list[_ExpressionToken](), list[str]()
    for found in _TOKEN.finditer(text):
        kind, token = str(found.lastgroup), found[0]
        if kind == "space":
            continue
        if kind == "sign" and token in _CLOSING:
            if not open_ones or _OPENING.index(open_ones.pop()) != _CLOSING.index(token):
                return None
            tokens.append(_ExpressionToken(kind, token, found.start(), len(open_ones) + 1))
            continue
        if kind == "sign" and token in _OPENING:
            open_ones.append(token)
        tokens.append(_ExpressionToken(kind, token, found.start(), len(open_ones)))
    return None if open_ones else tokens


def _is_enclosed(tokens: list[_ExpressionToken]) -> bool:
    """True where one pair of parentheses is around all of it, `(x > 5)`."""
    return (
        tokens[0].text == "("
        and tokens[-1].text == ")"
        and all(token.depth > 0 for token in tokens)
        and sum(token.text == ")" and token.depth == 1 for token in tokens) == 1
    )


def work_out(text: str) -> float | None:
    """The value of arithmetic with numbers alone, "10 * 1024 ^ 2"; None for anything else."""
    tokens = _scan(text) if len(text) <= MAX_CONSTANT else None
    if not tokens:
        return None
    rest = [token.text for token in tokens]
    try:
        value = _sum(rest, 0)
    except (ValueError, ArithmeticError, IndexError, TypeError):
        return None
    return None if rest or not math.isfinite(value) else value


def _sum(rest: list[str], level: int) -> float:
    """Take a term off the front of the tokens. level: of _ARITHMETIC, the loosest first."""
    if level == len(_ARITHMETIC):
        return _signed(rest)
    value = _sum(rest, level + 1)
    while rest and rest[0] in _ARITHMETIC[level]:
        value = _ARITHMETIC[level][rest.pop(0)](value, _sum(rest, level + 1))
    return value


def _signed(rest: list[str]) -> float:
    if rest[0] in ("-", "+"):
        return -_signed(rest) if rest.pop(0) == "-" else _signed(rest)
    base = _number(rest)
    if rest and rest[0] == "^":
        rest.pop(0)
        return float(base ** _signed(rest))
    return base


def _number(rest: list[str]) -> float:
    text = rest.pop(0)
    if text == "(":
        value = _sum(rest, 0)
        if rest.pop(0) != ")":
            raise ValueError
        return value
    if text[:2].lower() == "0x":
        return float(int(text, 16))
    if _DURATION.fullmatch(text):
        return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text))
    if sized := _SIZE.fullmatch(text):
        return float(sized[1]) * (1024.0 if sized[3] else 1000.0) ** _SIZES[sized[2]]
    if not text[0].isdigit() and text[0] != ".":  # also "inf" and "nan": no line is there
        raise ValueError
    return float(text)
