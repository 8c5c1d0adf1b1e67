"""Which lines of a YAML text belong to an entry of a list or map written without brackets: its comments go where it goes. Pure."""

from __future__ import annotations

from amproxy.config.layout import Collection, Element, Value


class Bounds:
    """Of one text. The comments right above an entry, in its column, are its own; so are deeper ones right below it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def span(self, value: Value) -> tuple[int, int]:
        """The part of the text that `value` replaces: with the comments that belong to it."""
        if not isinstance(value, Collection) or value.flow or not value.elements:
            return value.start, value.end
        if self.begins_line(value.start):
            start = value.start - value.column
            return start - sum(len(line) + 1 for line in self.above(value, 0)), self.end_of(value, len(value.elements) - 1)
        return value.start, self.end_of(value, len(value.elements) - 1)

    def begins_line(self, offset: int) -> bool:
        return not self._text[self._text.rfind("\n", 0, offset) + 1 : offset].strip(" ")

    def line_end(self, offset: int) -> int:
        found = self._text.find("\n", offset)
        return len(self._text) if found < 0 else found

    def body_end(self, element: Element) -> int:
        """Where the lines of an entry end, the deeper comments below those that stand in it included."""
        value = element.value
        if isinstance(value, Collection) and not value.flow and value.elements:
            return self.span(value)[1]
        return self.line_end(value.end)

    def end_of(self, value: Collection, position: int) -> int:
        """The same with the comments below that are deeper than the entry itself."""
        end = self.body_end(value.elements[position])
        while end < len(self._text):
            line = self._text[end + 1 : self.line_end(end + 1)]
            if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) <= value.column:
                break
            end += 1 + len(line)
        return end

    def above(self, value: Collection, position: int) -> list[str]:
        """The comments that stand right above an entry and no deeper than it."""
        lines: list[str] = []
        end = value.elements[position].begin - value.column - 1  # of the line above
        first = self.end_of(value, position - 1) if position else -1
        while end > first:
            line = self._text[self._text.rfind("\n", 0, end) + 1 : end]
            if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) != value.column:
                break
            lines.insert(0, line)
            end -= len(line) + 1
        return lines

    def blank_below(self, value: Collection) -> list[str]:
        """The blank lines between the first two entries."""
        if len(value.elements) < 2:
            return []
        return [line for line in self.between(value, 0) if not line.strip()]

    def between(self, value: Collection, position: int) -> list[str]:
        """The lines between an entry and the next one that belong to neither."""
        following = value.elements[position + 1].begin - value.column
        following -= sum(len(line) + 1 for line in self.above(value, position + 1))
        return self._text[self.end_of(value, position) + 1 : following].split("\n")[:-1]
