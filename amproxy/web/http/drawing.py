"""The context in which a page is drawn, as Jinja makes one for each template of it."""

from __future__ import annotations

from typing import Any

from jinja2.runtime import Context


class DrawingContext(Context):
    """A context that can forget what it knows, once its page is drawn.

    It knows macros, which know it: all that a page was made of would stay until the collector
    finds it, and everybody would wait for that, a tenth of a second after a few large pages.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parent.get("page_contexts", []).append(self)

    def forget(self) -> None:
        self.parent = {}
        self.vars.clear()
        self.blocks.clear()
