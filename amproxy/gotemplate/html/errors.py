"""Errors of templates whose values cannot be escaped."""

from __future__ import annotations

from amproxy.gotemplate.errors import GoTemplateError
from amproxy.gotemplate.html.context import EscapeFault
from amproxy.gotemplate.nodes import Node
from amproxy.gotemplate.quoting import byte_length


class GoEscapeError(GoTemplateError):
    """A template of a page with a place for which no value can be escaped.

    `name` is the file or text that the place is in; `line` and `column` (in characters) count
    from 1, also where Go's text has none.
    """

    def __init__(self, template: str, fault: EscapeFault, reading: Node | None) -> None:
        super().__init__(f"html/template:{_told(template, fault)}{fault.reason}")
        self.name, self.line, self.column = template, fault.line, 0
        self.reason = fault.reason
        node = fault.node or reading
        if node is not None:
            line, before = node.tree.place(node)
            self.name, self.line = node.tree.parse_name, fault.line or line
            self.column = len(before) + 1


def _told(name: str, fault: EscapeFault) -> str:
    """The place as Go tells it."""
    if fault.node is not None:
        line, before = fault.node.tree.place(fault.node)
        # Go counts columns in bytes from 0.
        return f"{fault.node.tree.parse_name}:{line}:{byte_length(before)}: "
    if fault.line:
        return f"{name}:{fault.line}: "
    return f"{name}: " if name else " "
