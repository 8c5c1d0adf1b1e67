"""Number literals of templates: every value that a literal can stand for."""

from __future__ import annotations

import math
import re

from amproxy.gotemplate.nodes import NumberNode, Tree
from amproxy.gotemplate.quoting import BadLiteral, quote, unquote_character

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UINT64_MAX = 2**64 - 1
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def number_node(tree: Tree, position: int, text: str, is_complex: bool = False) -> NumberNode:
    """The node of a number or character constant. Raises BadLiteral with Go's text."""
    node = NumberNode(tree, position, text)
    if text[0] == "'":
        code = unquote_character(text)
        node.integer = node.unsigned = code
        node.real = float(code)
    elif is_complex:
        split = max(text.rfind("+"), text.rfind("-"))
        parts = parse_float(text[:split]), parse_float(text[split:-1])
        if parts[0] is None or parts[1] is None:
            raise BadLiteral("syntax error scanning complex number")
        _simplify(node, complex(parts[0], parts[1]))
    elif text[-1] == "i" and (imaginary := parse_float(text[:-1])) is not None:
        _simplify(node, complex(0, imaginary))
    else:
        _real_number(node, text)
    return node


def _real_number(node: NumberNode, text: str) -> None:
    value = parse_integer(text)
    if value is not None:
        if (text[0] not in "+-" and value <= UINT64_MAX) or value == 0:
            node.unsigned = value
        if INT64_MIN <= value <= INT64_MAX:
            node.integer = value
    if node.integer is not None:
        node.real = float(node.integer)
    elif node.unsigned is not None:
        node.real = float(node.unsigned)
    else:
        real = parse_float(text)
        if real is None:
            raise BadLiteral(f"illegal number syntax: {quote(text)}")
        if not any(mark in text for mark in ".eEpP"):
            raise BadLiteral(f"integer overflow: {quote(text)}")
        _set_real(node, real)


def _set_real(node: NumberNode, real: float) -> None:
    node.real = real
    if real.is_integer():
        whole = int(real)
        node.integer = whole if INT64_MIN <= whole <= INT64_MAX else None
        node.unsigned = whole if 0 <= whole <= UINT64_MAX else None


def _simplify(node: NumberNode, value: complex) -> None:
    node.complex_value = value
    if value.imag == 0:
        _set_real(node, value.real)


def parse_integer(text: str) -> int | None:
    """An integer in Go's syntax of any size and base, or None."""
    sign = -1 if text[:1] == "-" else 1
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits[:1].isdigit():
        return None
    if re.fullmatch(r"0_?[0-7]+(?:_[0-7]+)*", digits):
        return sign * int(digits, 8)
    try:
        return sign * int(digits, 0)
    except ValueError:
        return None


def parse_float(text: str) -> float | None:
    """A floating-point number in Go's syntax, or None for none and for one out of range."""
    if "_" in text:
        if not re.fullmatch(r"[+-]?(?:0[xX]_?)?[0-9a-fA-F]+(?:_?[0-9a-fA-F.eEpP+-]+)*", text):
            return None
        text = text.replace("_", "")
    try:
        if _HEX_FLOAT.fullmatch(text):
            return float.fromhex(text)
        if _FLOAT.fullmatch(text):
            value = float(text)
            return None if math.isinf(value) else value
    except (ValueError, OverflowError):
        return None
    return None
