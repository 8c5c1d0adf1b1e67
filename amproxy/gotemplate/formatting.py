"""Go's fmt: Sprint, Sprintf and Sprintln on the values of this package."""

from __future__ import annotations

from typing import Any

from amproxy.gotemplate.printing import PrintFlags, Room, ValuePrinter
from amproxy.gotemplate.values import (
    NIL,
    TypeKind,
    indirect,
    type_of,
)

# Widths and precisions beyond this count as none, as in Go.
_LARGEST = 1_000_000


def sprint(arguments: list[Any] | tuple[Any, ...], room: Room) -> str:
    """Arguments one after the other, with a space between two that are no strings."""
    if len(arguments) == 1 and type(arguments[0]) is str:
        return arguments[0]
    printer = ValuePrinter(room)
    was_string = True
    for index, value in enumerate(arguments):
        is_string = value is not None and type_of(value).kind is TypeKind.STRING
        if index and not is_string and not was_string:
            printer.write(" ")
        printer.argument(value, "v")
        was_string = is_string
    return printer.text()


def sprintln(arguments: list[Any] | tuple[Any, ...], room: Room) -> str:
    """Arguments with spaces between them and a line end after the last."""
    printer = ValuePrinter(room)
    for index, value in enumerate(arguments):
        if index:
            printer.write(" ")
        printer.argument(value, "v")
    printer.write("\n")
    return printer.text()


def sprintf(layout: str, arguments: list[Any] | tuple[Any, ...], room: Room) -> str:
    """Arguments in the places of a format."""
    printer = ValuePrinter(room)
    _Format(layout, arguments, printer).run()
    return printer.text()


class _Format:
    """A format on its way through its arguments."""

    def __init__(
        self, layout: str, arguments: list[Any] | tuple[Any, ...], printer: ValuePrinter
    ) -> None:
        self.layout = layout
        self.arguments = arguments
        self.printer = printer
        self.at = 0
        self.next_argument = 0
        self.good_index = True
        self.reordered = False
        self.after_index = False

    def run(self) -> None:
        layout, printer = self.layout, self.printer
        while True:
            percent = layout.find("%", self.at)
            if percent < 0:
                printer.write(layout[self.at :])
                break
            printer.write(layout[self.at : percent])
            self.at = percent + 1
            if not self._verb():
                break
        if not self.reordered and self.next_argument < len(self.arguments):
            self._extra()

    def _verb(self) -> bool:
        """One verb with its flags; false at the end of the format."""
        layout, printer = self.layout, self.printer
        flags = printer.flags = PrintFlags()
        self.good_index = True
        self.after_index = False
        while (char := layout[self.at : self.at + 1]) and char in "#0+- ":
            flags.sharp |= char == "#"
            flags.zero |= char == "0"
            flags.plus |= char == "+"
            flags.minus |= char == "-"
            flags.space |= char == " "
            self.at += 1
        self._index()
        self._width(flags)
        self._precision(flags)
        if not self.after_index:
            self._index()
        verb = layout[self.at : self.at + 1]
        if not verb:
            printer.write("%!(NOVERB)")
            return False
        self.at += 1
        shown = "\ufffd" if "\ud800" <= verb <= "\udfff" else verb
        if verb == "%":
            printer.write("%")
        elif not self.good_index:
            printer.write(f"%!{shown}(BADINDEX)")
        elif self.next_argument >= len(self.arguments):
            printer.write(f"%!{shown}(MISSING)")
        else:
            value = self.arguments[self.next_argument]
            self.next_argument += 1
            if verb == "v":
                flags.sharp_v, flags.sharp = flags.sharp, False
                flags.plus_v, flags.plus = flags.plus, False
            printer.argument(value, shown)
        return True

    def _width(self, flags: PrintFlags) -> None:
        if self.layout[self.at : self.at + 1] == "*":
            self.at += 1
            flags.width = self._argument_number()
            if flags.width is None:
                self.printer.write("%!(BADWIDTH)")
            elif flags.width < 0:
                flags.width = -flags.width
                flags.minus = True
                flags.zero = False
            self.after_index = False
        else:
            flags.width = self._number()
            if self.after_index and flags.width is not None:
                self.good_index = False

    def _precision(self, flags: PrintFlags) -> None:
        layout = self.layout
        # A dot that ends the format is a verb.
        if layout[self.at : self.at + 1] != "." or self.at + 1 >= len(layout):
            return
        self.at += 1
        if self.after_index:
            self.good_index = False
        self._index()
        if layout[self.at : self.at + 1] == "*":
            self.at += 1
            flags.precision = self._argument_number()
            if flags.precision is not None and flags.precision < 0:
                flags.precision = None
            if flags.precision is None:
                self.printer.write("%!(BADPREC)")
            self.after_index = False
        else:
            flags.precision = self._number() or 0

    def _number(self) -> int | None:
        """A number at this place; one that is too large swallows the rest of the format."""
        start = self.at
        layout = self.layout
        number = 0
        while self.at < len(layout) and layout[self.at] in "0123456789":
            if number > _LARGEST:
                self.at = len(layout)
                return None
            number = number * 10 + int(layout[self.at])
            self.at += 1
        return number if self.at > start else None

    def _argument_number(self) -> int | None:
        """An argument that stands for a width or precision."""
        if self.next_argument >= len(self.arguments):
            return None
        value = indirect(self.arguments[self.next_argument])
        self.next_argument += 1
        if value is None or type_of(value).kind not in (TypeKind.INT, TypeKind.UINT):
            return None
        return int(value) if abs(int(value)) <= _LARGEST else None

    def _index(self) -> None:
        """An explicit number of an argument: [2]"""
        layout = self.layout
        self.after_index = False
        if layout[self.at : self.at + 1] != "[":
            return
        self.reordered = True
        end = layout.find("]", self.at)
        if end < 0:
            self.good_index = False
            self.at += 1
            return
        digits = layout[self.at + 1 : end]
        self.at = end + 1
        is_number = digits.isascii() and digits.isdigit() and len(digits) < 8
        if is_number and 1 <= int(digits) <= len(self.arguments):
            self.next_argument = int(digits) - 1
            self.after_index = True
        else:
            self.good_index = False
            self.after_index = is_number

    def _extra(self) -> None:
        printer = self.printer
        printer.flags = PrintFlags()
        printer.write("%!(EXTRA ")
        for index, value in enumerate(self.arguments[self.next_argument :]):
            if index:
                printer.write(", ")
            if value is None or value is NIL:
                printer.write("<nil>")
            else:
                printer.write(f"{type_of(value).name}=")
                printer.argument(value, "v")
        printer.write(")")
