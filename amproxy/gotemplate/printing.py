"""Values into text as Go's fmt prints them, by a verb and its flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amproxy.gotemplate.floats import format_float
from amproxy.gotemplate.quoting import decode, encode, quote
from amproxy.gotemplate.values import (
    BYTES,
    NIL,
    GoType,
    Pointer,
    TypeKind,
    sorted_items,
    type_of,
)

_PARTS_BETWEEN_LOOKS = 1024
_INTEGER_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_FLOAT_PRECISIONS = {"g": -1, "G": -1, "b": -1, "x": -1, "X": -1, "e": 6, "E": 6, "f": 6, "F": 6}
_STRING_VERBS = frozenset("vsxXq")


class OutputTooLarge(Exception):
    """A formatted text that would be longer than the execution may write."""


@dataclass(frozen=True, slots=True)
class Room:
    """The number of characters that a text may have, and a look at the time on long ways."""

    characters: int
    look: Callable[[], None] | None = None


class PrintFlags:
    """All that stands between the % and the verb."""

    __slots__ = (
        "minus",
        "plus",
        "plus_v",
        "precision",
        "sharp",
        "sharp_v",
        "space",
        "width",
        "zero",
    )

    def __init__(self) -> None:
        self.minus = self.plus = self.sharp = self.space = self.zero = False
        self.plus_v = self.sharp_v = False
        self.width: int | None = None
        self.precision: int | None = None


class ValuePrinter:
    """Texts printed so far, and how many characters may still come."""

    def __init__(self, room: Room) -> None:
        self.parts: list[str] = []
        self.left = room.characters
        self.look = room.look
        self.flags = PrintFlags()
        self.in_error = False

    def write(self, text: str) -> None:
        self.left -= len(text)
        if self.left < 0:
            raise OutputTooLarge
        self.parts.append(text)
        if self.look is not None and not len(self.parts) % _PARTS_BETWEEN_LOOKS:
            self.look()

    def text(self) -> str:
        return joined(self.parts)

    def pad(self, text: str, zero: bool | None = None) -> None:
        width = self.flags.width
        if width:
            missing = width - len(text)
            if missing > 0:
                if self.flags.minus:
                    text += " " * missing
                else:
                    fill = self.flags.zero if zero is None else zero
                    text = ("0" if fill else " ") * missing + text
        self.write(text)

    # Values

    def argument(self, value: Any, verb: str) -> None:
        """A value as an argument of a format."""
        if value is None or value is NIL:
            if verb in "Tv":
                self.pad("<nil>")
            else:
                self.write(f"%!{verb}(<nil>)")
            return
        if verb == "T":
            self._string(type_of(value).name, "s", value)
        elif verb == "p":
            self._bad_verb(verb, value)
        else:
            self.value(value, verb, 0)

    def value(self, value: Any, verb: str, depth: int) -> None:
        """A value, or a part of one at some depth."""
        if value is None or value is NIL:
            self.write("interface {}(nil)" if self.flags.sharp_v else "<nil>")
            return
        go_type = type_of(value)
        if go_type.methods and self._own_text(go_type, value, verb):
            return
        kind = go_type.kind
        if kind is TypeKind.STRING:
            self._string(value, verb, value)
        elif kind is TypeKind.BOOL:
            if verb in "tv":
                self.pad("true" if value else "false")
            else:
                self._bad_verb(verb, value)
        elif kind is TypeKind.INT or kind is TypeKind.UINT:
            self._integer(int(value), kind is TypeKind.INT, verb, value)
        elif kind is TypeKind.FLOAT:
            self._float(value, verb, value)
        elif kind is TypeKind.COMPLEX:
            self._complex(value, verb)
        else:
            self._composite(go_type, value, verb, depth)

    def _own_text(self, go_type: GoType, value: Any, verb: str) -> bool:
        """Print a value by its own method; false where it has none or the verb asks for another."""
        if self.in_error:
            return False
        if self.flags.sharp_v:
            method = go_type.methods.get("GoString")
            if method is None:
                return False
            self.pad(self._cut(method.call(value)))
            return True
        method = go_type.methods.get("Error") or go_type.methods.get("String")
        if method is None or verb not in _STRING_VERBS:
            return False
        self._string(method.call(value), verb, value)
        return True

    def _bad_verb(self, verb: str, value: Any) -> None:
        self.in_error = True
        self.write(f"%!{verb}({type_of(value).name}=")
        self.value(value, "v", 0)
        self.write(")")
        self.in_error = False

    def _composite(self, go_type: GoType, value: Any, verb: str, depth: int) -> None:
        kind = go_type.kind
        if kind is TypeKind.SLICE:
            if go_type.element is BYTES.element and verb in "sqxX":
                self._bytes(bytes(value), verb)
            else:
                self._slice(go_type, value, verb, depth)
        elif kind is TypeKind.MAP:
            self._map(go_type, value, verb, depth)
        elif kind is TypeKind.STRUCT:
            self._struct(go_type, value, verb, depth)
        elif type(value) is Pointer and depth == 0:
            self.write("&")
            self.value(value.target, verb, depth + 1)
        elif verb == "v" and kind in (TypeKind.FUNCTION, TypeKind.POINTER):
            # Go prints an address, which nothing can depend on.
            self.write("0x0")
        else:
            self._bad_verb(verb, value)

    def _slice(self, go_type: GoType, value: Any, verb: str, depth: int) -> None:
        sharp = self.flags.sharp_v
        if sharp:
            self.write(go_type.name)
            if getattr(value, "is_nil", False):
                self.write("(nil)")
                return
        self.write("{" if sharp else "[")
        for index, item in enumerate(value):
            if index:
                self.write(", " if sharp else " ")
            self._element(item, go_type.element, verb, depth)
        self.write("}" if sharp else "]")

    def _element(self, item: Any, go_type: GoType | None, verb: str, depth: int) -> None:
        if go_type is BYTES.element and self.flags.sharp_v:
            self.write(f"0x{item:x}")
        else:
            self.value(item, verb, depth + 1)

    def _map(self, go_type: GoType, value: Any, verb: str, depth: int) -> None:
        sharp = self.flags.sharp_v
        if sharp:
            self.write(go_type.name)
            if getattr(value, "is_nil", False):
                self.write("(nil)")
                return
        self.write("{" if sharp else "map[")
        for index, (key, item) in enumerate(sorted_items(value)):
            if index:
                self.write(", " if sharp else " ")
            self.value(key, verb, depth + 1)
            self.write(":")
            self.value(item, verb, depth + 1)
        self.write("}" if sharp else "]")

    def _struct(self, go_type: GoType, value: Any, verb: str, depth: int) -> None:
        sharp = self.flags.sharp_v
        self.write(f"{go_type.name}{{" if sharp else "{")
        for index, field in enumerate(go_type.fields):
            if index:
                self.write(", " if sharp else " ")
            if sharp or self.flags.plus_v:
                self.write(f"{field.name}:")
            self.value(getattr(value, field.attribute), verb, depth + 1)
        self.write("}")

    # Strings

    def _cut(self, text: str) -> str:
        return text if self.flags.precision is None else text[: self.flags.precision]

    def _string(self, text: str, verb: str, value: Any) -> None:
        text = str.__str__(text)
        if verb == "s" or (verb == "v" and not self.flags.sharp_v):
            self.pad(self._cut(text))
        elif verb in "qv":
            self._quoted(text)
        elif verb in "xX":
            self._bytes(encode(text), verb)
        else:
            self._bad_verb(verb, value)

    def _quoted(self, text: str) -> None:
        text = self._cut(text)
        if self.flags.sharp and _can_backquote(text):
            self.pad(f"`{text}`")
        else:
            self.pad(quote(text, self.flags.plus))

    def _bytes(self, data: bytes, verb: str) -> None:
        if verb == "s":
            self.pad(self._cut(decode(data)))
            return
        if verb == "q":
            self._quoted(decode(data))
            return
        flags = self.flags
        if flags.precision is not None:
            data = data[: flags.precision]
        prefix = f"0{verb}" if flags.sharp else ""
        if not data:
            shown = ""
        elif flags.space:
            shown = " ".join(f"{prefix}{byte:02{verb}}" for byte in data)
        else:
            shown = prefix + "".join(f"{byte:02{verb}}" for byte in data)
        self.pad(shown)

    # Numbers

    def _integer(self, number: int, is_signed: bool, verb: str, value: Any) -> None:
        flags = self.flags
        if verb == "v" and flags.sharp_v and not is_signed:
            sharp, flags.sharp = flags.sharp, True
            self._digits(number, "x")
            flags.sharp = sharp
        elif verb in _INTEGER_BASES:
            self._digits(number, verb)
        elif verb == "c":
            self.pad(_character(number))
        elif verb == "q":
            self.pad(quote(_character(number), flags.plus, "'"))
        elif verb == "U":
            code = number & 0xFFFFFFFFFFFFFFFF
            text = f"U+{code:0{max(flags.precision or 0, 4)}X}"
            if flags.sharp and code <= 0x10FFFF and chr(code).isprintable():
                text += f" '{chr(code)}'"
            self.pad(text, zero=False)
        else:
            self._bad_verb(verb, value)

    def _digits(self, number: int, verb: str) -> None:
        flags = self.flags
        wanted = 0
        negative = number < 0
        if flags.precision is not None:
            wanted = flags.precision
            if not wanted and not number:
                self.write(" " * (flags.width or 0))
                return
        elif flags.zero and not flags.minus and flags.width:
            wanted = flags.width - (negative or flags.plus or flags.space)
        digits = format(abs(number), _INTEGER_BASES[verb]).rjust(wanted, "0")
        if flags.sharp:
            if verb == "b":
                digits = "0b" + digits
            elif verb in "oO":
                digits = digits if digits[0] == "0" else "0" + digits
            elif verb in "xX":
                digits = f"0{verb}{digits}"
        if verb == "O":
            digits = "0o" + digits
        sign = "-" if negative else "+" if flags.plus else " " if flags.space else ""
        self.pad(sign + digits, zero=False)

    def _float(self, number: float, verb: str, value: Any) -> None:
        shown_verb = "g" if verb == "v" else verb
        if shown_verb not in _FLOAT_PRECISIONS:
            self._bad_verb(verb, value)
            return
        flags = self.flags
        precision = _FLOAT_PRECISIONS[shown_verb]
        if flags.precision is not None:
            precision = flags.precision
        text = format_float(number, shown_verb, precision, flags.sharp)
        sign = ""
        if text[0] in "+-":
            sign, text = text[0], text[1:]
        if text in ("Inf", "NaN"):
            if not sign and (flags.plus or flags.space):
                sign = "+"
            if sign == "+" and flags.space and not flags.plus:
                sign = " "
            # Go writes +Inf without being asked, and NaN without a sign.
            self.pad(sign + text, zero=False)
            return
        if not sign:
            sign = "+" if flags.plus else " " if flags.space else ""
        if sign and flags.zero and not flags.minus and flags.width:
            text = text.rjust(flags.width - 1, "0")
        self.pad(sign + text)

    def _complex(self, value: complex, verb: str) -> None:
        if verb != "v" and verb not in _FLOAT_PRECISIONS:
            self._bad_verb(verb, value)
            return
        plus = self.flags.plus
        self.write("(")
        self._float(value.real, verb, value)
        self.flags.plus = True
        self._float(value.imag, verb, value)
        self.flags.plus = plus
        self.write("i)")


def _character(code: int) -> str:
    valid = 0 <= code <= 0x10FFFF and not 0xD800 <= code < 0xE000
    return chr(code) if valid else "\ufffd"


def _can_backquote(text: str) -> bool:
    return not any(
        (char < " " and char != "\t") or char in "`\x7f\ufeff" or "\ud800" <= char <= "\udfff"
        for char in text
    )


def joined(parts: list[str]) -> str:
    """Texts in one, in which bytes that make a character only together do so."""
    text = "".join(parts)
    if text.isascii() or len(parts) < 2 or not any("\udc80" <= c <= "\udcff" for c in text):
        return text
    return decode(encode(text))
