"""Floating-point numbers as Go's strconv writes them."""

from __future__ import annotations

import math
from decimal import Decimal


def format_float(number: float, verb: str, precision: int, sharp: bool = False) -> str:
    """A number in the format of a verb (e E f F g G b x X); precision -1 is the shortest exact.

    `sharp` keeps the decimal point and trailing zeros. The sign stands in the text where it is
    a minus, and before Inf.
    """
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    sign = "-" if math.copysign(1, number) < 0 else ""
    number = abs(number)
    if verb == "b":
        mantissa, exponent = _binary(number)
        return f"{sign}{mantissa}p{exponent:+d}"
    if verb in "xX":
        text = _hexadecimal(number, precision)
        text = _with_point(text, "p", 0 if verb == "X" else precision) if sharp else text
        return sign + (text.upper() if verb == "X" else text)
    if verb in "fF":
        text = _plain(number, precision)
        if sharp and "." not in text:
            text += "."
        return sign + text
    if verb in "eE":
        text = _scientific(number, precision)
        if sharp and "." not in text:
            head, _, tail = text.partition("e")
            text = f"{head}.e{tail}"
    else:
        text = _general(number, precision)
        if sharp:
            text = _with_point(text, "e", precision)
    return sign + (text.upper() if verb in "EG" else text)


def shortest(number: float) -> tuple[str, int]:
    """The fewest digits that give the number back, and its exponent: 0.d1d2… × 10**exponent."""
    return _decimal(Decimal(repr(number)))


def _decimal(number: Decimal) -> tuple[str, int]:
    parts = number.as_tuple()
    digits = "".join(map(str, parts.digits)).lstrip("0")
    exponent = int(parts.exponent) + len(digits)
    digits = digits.rstrip("0")
    return (digits, exponent) if digits else ("0", 1)


def _plain(number: float, precision: int) -> str:
    if precision >= 0:
        return f"{number:.{precision}f}"
    digits, point = shortest(number)
    if point <= 0:
        return "0." + "0" * -point + digits
    whole = digits[:point].ljust(point, "0")
    rest = digits[point:]
    return f"{whole}.{rest}" if rest else whole


def _scientific(number: float, precision: int) -> str:
    if precision >= 0:
        return f"{number:.{precision}e}"
    digits, point = shortest(number)
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    exponent = point - 1 if number else 0
    return f"{digits[0]}{rest}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _general(number: float, precision: int) -> str:
    if precision < 0:
        digits, point = shortest(number)
        limit = 6
    else:
        precision = precision or 1
        digits, point = _decimal(Decimal(f"{number:.{precision - 1}e}"))
        limit = precision
        if limit > len(digits) >= point:
            limit = len(digits)
    exponent = point - 1 if number else 0
    if exponent < -4 or exponent >= limit:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{rest}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if point <= 0:
        return "0." + "0" * -point + digits
    whole = digits[:point].ljust(point, "0")
    rest = digits[point:]
    return f"{whole}.{rest}" if rest else whole


def _binary(number: float) -> tuple[int, int]:
    if not number:
        return 0, -1074
    exponent = math.frexp(number)[1]
    exponent = max(exponent - 53, -1074)
    return int(math.ldexp(number, -exponent)), exponent


def _hexadecimal(number: float, precision: int) -> str:
    if not number:
        zeros = "." + "0" * precision if precision > 0 else ""
        return f"0x0{zeros}p+00"
    mantissa, exponent = math.frexp(number)
    scaled = int(mantissa * 2**53)  # 1.xxx with 52 bits after the point
    exponent -= 1
    if 0 <= precision < 13:
        shift = 52 - 4 * precision
        half = 1 << (shift - 1)
        low = scaled & ((1 << shift) - 1)
        scaled >>= shift
        if low > half or (low == half and scaled & 1):
            scaled += 1
        if scaled >> (4 * precision + 1):
            scaled >>= 1
            exponent += 1
        digits = f"{scaled & ((1 << 4 * precision) - 1):0{precision}x}" if precision else ""
    else:
        digits = f"{scaled & ((1 << 52) - 1):013x}"
        digits = digits.rstrip("0") if precision < 0 else digits.ljust(precision, "0")
    point = f".{digits}" if digits else ""
    return f"0x1{point}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _with_point(text: str, mark: str, precision: int) -> str:
    """The text with a decimal point, and with zeros up to the precision."""
    head, found, tail = text.partition(mark)
    wanted = 6 if precision < 0 else precision
    # Of a hexadecimal number Go counts the x and all that follows.
    digits = head.replace(".", "")
    significant = digits[1:] if "x" in digits else digits.lstrip("0")
    wanted -= len(significant)
    if "." not in head:
        if head == "0":
            wanted -= 1
        head += "."
    return head + "0" * max(wanted, 0) + found + tail
