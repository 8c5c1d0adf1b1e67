"""Values as Go's encoding/json writes them."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.floats import format_float
from amproxy.gotemplate.layouts import format_time
from amproxy.gotemplate.printing import OutputTooLarge, Room
from amproxy.gotemplate.times import GoTime
from amproxy.gotemplate.values import UINT8, GoType, TypeKind, indirect, type_of

_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_PARTS_BETWEEN_LOOKS = 1024
_UNSAFE = set("<>&\u2028\u2029")


def to_json(value: Any, room: Room) -> str:
    """The JSON text of a value, safe inside of HTML.

    Raises GoCallError for what JSON lacks, and OutputTooLarge.
    """
    writer = _Writer(room)
    writer.value(value)
    return "".join(writer.parts)


class _Writer:
    """The text so far, and the room that is left."""

    def __init__(self, room: Room) -> None:
        self.parts: list[str] = []
        self.left = room.characters
        self.look = room.look

    def write(self, text: str) -> None:
        self.left -= len(text)
        if self.left < 0:
            raise OutputTooLarge
        self.parts.append(text)
        if self.look is not None and not len(self.parts) % _PARTS_BETWEEN_LOOKS:
            self.look()

    def value(self, value: Any) -> None:
        value = indirect(value)
        if value is None or getattr(value, "is_nil", False):
            self.write("null")
            return
        if isinstance(value, GoTime):
            self.write(f'"{_time(value)}"')
            return
        go_type = type_of(value)
        kind = go_type.kind
        if kind is TypeKind.STRING:
            self.write(quoted(value))
        elif kind is TypeKind.BOOL:
            self.write("true" if value else "false")
        elif kind in (TypeKind.INT, TypeKind.UINT):
            self.write(str(int(value)))
        elif kind is TypeKind.FLOAT:
            self.write(_number(value))
        elif kind is TypeKind.SLICE:
            self._slice(go_type, value)
        elif kind is TypeKind.MAP:
            self._object([(key, value[key]) for key in sorted(value)])
        elif kind is TypeKind.STRUCT:
            # Go leaves out what begins with a small letter.
            shown = [field for field in go_type.fields if field.name[0].isupper()]
            self._object(
                [(field.json or field.name, getattr(value, field.attribute)) for field in shown]
            )
        else:
            raise GoCallError(f"json: unsupported type: {go_type}")

    def _slice(self, go_type: GoType, value: Any) -> None:
        if go_type.element is UINT8:
            self.write(f'"{b64encode(bytes(value)).decode()}"')
            return
        self.write("[")
        for index, item in enumerate(value):
            if index:
                self.write(",")
            self.value(item)
        self.write("]")

    def _object(self, entries: list[tuple[str, Any]]) -> None:
        self.write("{")
        for index, (key, item) in enumerate(entries):
            if index:
                self.write(",")
            self.write(f"{quoted(key)}:")
            self.value(item)
        self.write("}")


def _time(moment: GoTime) -> str:
    if not 0 <= moment.year <= 9999:
        raise GoCallError(
            "json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: "
            "year outside of range [0,9999]"
        )
    return format_time(moment, "2006-01-02T15:04:05.999999999Z07:00")


def _number(value: float) -> str:
    if not math.isfinite(value):
        text = format_float(value, "g", -1)
        raise GoCallError(f"json: unsupported value: {text}")
    size = abs(value)
    if size and (size < 1e-6 or size >= 1e21):
        text = format_float(value, "e", -1)
        # One digit of a negative exponent is enough here.
        return text[:-2] + text[-1] if text[-4:-1] == "e-0" else text
    return format_float(value, "f", -1)


def quoted(text: str) -> str:
    """A string as JSON."""
    return f'"{"".join(map(_character, text))}"'


def _character(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char < " " or char in _UNSAFE:
        return f"\\u{ord(char):04x}"
    if "\ud800" <= char <= "\udfff":
        return "\\ufffd"
    return char
