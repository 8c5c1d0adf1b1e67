"""Places in a page: what stands before an action decides how its value is escaped.

The values of the enumerations are Go's names, which errors and the names of derived templates show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from amproxy.gotemplate.nodes import Node


class State(Enum):
    """The kind of text that is being read."""

    TEXT = "stateText"
    TAG = "stateTag"
    ATTRIBUTE_NAME = "stateAttrName"
    AFTER_NAME = "stateAfterName"
    BEFORE_VALUE = "stateBeforeValue"
    COMMENT = "stateHTMLCmt"
    RCDATA = "stateRCDATA"  # text without tags: of a title or textarea
    ATTRIBUTE = "stateAttr"
    URL = "stateURL"
    SRCSET = "stateSrcset"
    SCRIPT = "stateJS"
    SCRIPT_DOUBLE = "stateJSDqStr"
    SCRIPT_SINGLE = "stateJSSqStr"
    SCRIPT_TEMPLATE = "stateJSTmplLit"
    REGEXP = "stateJSRegexp"
    SCRIPT_BLOCK_COMMENT = "stateJSBlockCmt"
    SCRIPT_LINE_COMMENT = "stateJSLineCmt"
    SCRIPT_COMMENT_OPEN = "stateJSHTMLOpenCmt"  # <!-- comments out a line of a script
    SCRIPT_COMMENT_CLOSE = "stateJSHTMLCloseCmt"  # so does -->
    STYLE = "stateCSS"
    STYLE_DOUBLE = "stateCSSDqStr"
    STYLE_SINGLE = "stateCSSSqStr"
    STYLE_DOUBLE_URL = "stateCSSDqURL"
    STYLE_SINGLE_URL = "stateCSSSqURL"
    STYLE_URL = "stateCSSURL"
    STYLE_BLOCK_COMMENT = "stateCSSBlockCmt"
    STYLE_LINE_COMMENT = "stateCSSLineCmt"
    DEAD = "stateDead"  # after {{break}} or {{continue}}
    META = "stateMetaContent"
    META_URL = "stateMetaContentURL"


COMMENTS = frozenset(
    {
        State.COMMENT,
        State.SCRIPT_BLOCK_COMMENT,
        State.SCRIPT_LINE_COMMENT,
        State.SCRIPT_COMMENT_OPEN,
        State.SCRIPT_COMMENT_CLOSE,
        State.STYLE_BLOCK_COMMENT,
        State.STYLE_LINE_COMMENT,
    }
)
SCRIPT_LITERALS = frozenset(
    {State.SCRIPT_DOUBLE, State.SCRIPT_SINGLE, State.SCRIPT_TEMPLATE, State.REGEXP}
)
IN_TAG = frozenset(
    {State.TAG, State.ATTRIBUTE_NAME, State.AFTER_NAME, State.BEFORE_VALUE, State.ATTRIBUTE}
)


class Delimiter(Enum):
    """The end of the attribute's value that is being read; NONE outside of values."""

    NONE = "delimNone"
    DOUBLE = "delimDoubleQuote"
    SINGLE = "delimSingleQuote"
    SPACE = "delimSpaceOrTagEnd"


class UrlPart(Enum):
    """The part of a URL that has been read."""

    NONE = "urlPartNone"
    PRE_QUERY = "urlPartPreQuery"
    QUERY = "urlPartQueryOrFrag"
    UNKNOWN = "urlPartUnknown"


class Slash(Enum):
    """The meaning of a slash in a script."""

    REGEXP = "jsCtxRegexp"
    DIVISION = "jsCtxDivOp"
    UNKNOWN = "jsCtxUnknown"


class Attribute(Enum):
    """The kind of an attribute's value."""

    PLAIN = "attrNone"
    SCRIPT = "attrScript"
    SCRIPT_TYPE = "attrScriptType"
    STYLE = "attrStyle"
    URL = "attrURL"
    SRCSET = "attrSrcset"
    META = "attrMetaContent"


class Element(Enum):
    """The elements whose content is no ordinary text."""

    NONE = "elementNone"
    SCRIPT = "elementScript"
    STYLE = "elementStyle"
    TEXTAREA = "elementTextarea"
    TITLE = "elementTitle"
    META = "elementMeta"


# The state that an attribute's value begins in.
VALUE_STATES = {
    Attribute.PLAIN: State.ATTRIBUTE,
    Attribute.SCRIPT: State.SCRIPT,
    Attribute.SCRIPT_TYPE: State.ATTRIBUTE,
    Attribute.STYLE: State.STYLE,
    Attribute.URL: State.URL,
    Attribute.SRCSET: State.SRCSET,
    Attribute.META: State.META,
}


class EscapeFault(Exception):
    """A place that no value can be escaped for; `node` and `line` say where, if Go says it."""

    def __init__(self, reason: str, node: Node | None = None, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node
        self.line = line

    def told(self, when: str, line: int) -> EscapeFault:
        """The same fault as one that comes up at some turn of a loop."""
        return EscapeFault(f"{when}: {self.reason}", self.node, line)


@dataclass(frozen=True, slots=True)
class PageContext:
    """A place. `braces` counts the open braces of each ${…} around it in template literals."""

    state: State = State.TEXT
    delimiter: Delimiter = Delimiter.NONE
    url_part: UrlPart = UrlPart.NONE
    slash: Slash = Slash.REGEXP
    braces: tuple[int, ...] = ()
    attribute: Attribute = Attribute.PLAIN
    element: Element = Element.NONE

    def __str__(self) -> str:
        return (
            f"{{{self.state.value} {self.delimiter.value} {self.url_part.value}"
            f" {self.slash.value} [{self._depths}] {self.attribute.value}"
            f" {self.element.value} <nil>}}"
        )

    @property
    def _depths(self) -> str:
        return " ".join(map(str, self.braces))

    @property
    def in_comment(self) -> bool:
        """Tell whether it stands in a comment, and not in one inside an attribute's value."""
        return self.state in COMMENTS and self.delimiter is Delimiter.NONE

    def template_name(self, name: str) -> str:
        """The name of the copy of a template for this place."""
        if self.state is State.TEXT:
            return name
        parts = [f"{name}$htmltemplate_{self.state.value}"]
        if self.delimiter is not Delimiter.NONE:
            parts.append(self.delimiter.value)
        if self.url_part is not UrlPart.NONE:
            parts.append(self.url_part.value)
        if self.slash is not Slash.REGEXP:
            parts.append(self.slash.value)
        if self.braces:
            parts.append(f"jsBraceDepth([{self._depths}])")
        if self.attribute is not Attribute.PLAIN:
            parts.append(self.attribute.value)
        if self.element is not Element.NONE:
            parts.append(self.element.value)
        return "_".join(parts)

    def for_action(self) -> PageContext:
        """The place as an action finds it: in `<a x={{…}}` it is a value without quotes."""
        if self.state is State.TAG:
            return replace(self, state=State.ATTRIBUTE_NAME)
        if self.state is State.BEFORE_VALUE:
            return replace(
                self,
                state=VALUE_STATES[self.attribute],
                delimiter=Delimiter.SPACE,
                attribute=Attribute.PLAIN,
            )
        if self.state is State.AFTER_NAME:
            return replace(self, state=State.ATTRIBUTE_NAME, attribute=Attribute.PLAIN)
        return self


def joined(first: PageContext, second: PageContext) -> PageContext | None:
    """The place after one of two branches has run; None where no place is both."""
    if first.state is State.DEAD:
        return second
    if second.state is State.DEAD or first == second:
        return first
    if replace(first, url_part=second.url_part) == second:
        return replace(first, url_part=UrlPart.UNKNOWN)
    if replace(first, slash=second.slash) == second:
        return replace(first, slash=Slash.UNKNOWN)
    # `<a x={{if .}}{{.}}{{end}}`: an action has begun the value in one branch only.
    nudged = first.for_action(), second.for_action()
    return None if nudged == (first, second) else joined(*nudged)
