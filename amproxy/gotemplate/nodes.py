"""The parse tree. `str()` of a node is its template text as Go writes it back.

Escapers may change a tree before it is compiled: `Pipeline.commands` is a plain list to append
`CommandNode`s to, `ListNode.nodes` and `TextNode.text` may be replaced. `Tree.copy()` makes a tree
that may be changed without touching its origin.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from amproxy.gotemplate.quoting import WHITE_SPACE, quote


@dataclass(slots=True, eq=False)
class Tree:
    """A template: its name, the name and whole text of what it was parsed from, and its nodes."""

    name: str
    parse_name: str
    text: str = field(repr=False)
    root: ListNode = field(init=False)

    def __post_init__(self) -> None:
        self.root = ListNode(self, 0, [])

    def copy(self, name: str | None = None) -> Tree:
        """The same template, under another name if one is given, with nodes of its own."""
        # The nodes of a copy name the copied tree, which still says where they come from.
        twin = copy.deepcopy(self)
        twin.name = self.name if name is None else name
        return twin

    def place(self, node: Node) -> tuple[int, str]:
        """Line from 1 of a node, and what stands before it on that line."""
        before = self.text[: node.position]
        return before.count("\n") + 1, before[before.rfind("\n") + 1 :]

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing but white space stands in it, so that it replaces no other."""
        return is_empty(self.root)


@dataclass(slots=True, eq=False)
class Node:
    """A part of a tree; `position` is an index into `tree.text`."""

    tree: Tree = field(repr=False)
    position: int


@dataclass(slots=True, eq=False)
class ListNode(Node):
    """Nodes one after the other."""

    nodes: list[Node]

    def __str__(self) -> str:
        return "".join(map(str, self.nodes))


@dataclass(slots=True, eq=False)
class TextNode(Node):
    """Text between actions."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True, eq=False)
class ActionNode(Node):
    """{{pipeline}}"""

    pipeline: Pipeline
    line: int

    def __str__(self) -> str:
        return f"{{{{{self.pipeline}}}}}"


@dataclass(slots=True, eq=False)
class BreakNode(Node):
    """{{break}}"""

    line: int

    def __str__(self) -> str:
        return "{{break}}"


@dataclass(slots=True, eq=False)
class ContinueNode(Node):
    """{{continue}}"""

    line: int

    def __str__(self) -> str:
        return "{{continue}}"


@dataclass(slots=True, eq=False)
class BranchNode(Node):
    """The common part of if, range and with; `otherwise` is None without an else."""

    pipeline: Pipeline
    body: ListNode
    otherwise: ListNode | None
    line: int

    keyword = ""

    def __str__(self) -> str:
        otherwise = "" if self.otherwise is None else f"{{{{else}}}}{self.otherwise}"
        return f"{{{{{self.keyword} {self.pipeline}}}}}{self.body}{otherwise}{{{{end}}}}"


class IfNode(BranchNode):
    """{{if pipeline}} … {{else}} … {{end}}"""

    __slots__ = ()
    keyword = "if"


class RangeNode(BranchNode):
    """{{range pipeline}} … {{else}} … {{end}}"""

    __slots__ = ()
    keyword = "range"


class WithNode(BranchNode):
    """{{with pipeline}} … {{else}} … {{end}}"""

    __slots__ = ()
    keyword = "with"


@dataclass(slots=True, eq=False)
class TemplateNode(Node):
    """{{template "name" pipeline}}; without a pipeline the template gets nil."""

    name: str
    pipeline: Pipeline | None
    line: int

    def __str__(self) -> str:
        pipeline = "" if self.pipeline is None else f" {self.pipeline}"
        return f"{{{{template {quote(self.name)}{pipeline}}}}}"


@dataclass(slots=True, eq=False)
class Pipeline(Node):
    """Commands that each get the value of the one before as their last argument.

    `variables` are set to the value of the last: declared, or assigned to where `is_assign`.
    """

    line: int
    variables: list[VariableNode]
    commands: list[CommandNode]
    is_assign: bool = False

    def __str__(self) -> str:
        text = " | ".join(map(str, self.commands))
        if not self.variables:
            return text
        return f"{', '.join(map(str, self.variables))} {'' if self.is_assign else ':'}= {text}"


@dataclass(slots=True, eq=False)
class CommandNode(Node):
    """A function, field, variable or constant, and its arguments."""

    arguments: list[Node]

    def __str__(self) -> str:
        return " ".join(
            f"({argument})" if isinstance(argument, Pipeline) else str(argument)
            for argument in self.arguments
        )


@dataclass(slots=True, eq=False)
class IdentifierNode(Node):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True, eq=False)
class VariableNode(Node):
    """A variable and the fields asked of it: names[0] begins with a dollar sign."""

    names: list[str]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(slots=True, eq=False)
class FieldNode(Node):
    """Fields of dot: .Labels.severity"""

    names: list[str]

    def __str__(self) -> str:
        return "." + ".".join(self.names)


@dataclass(slots=True, eq=False)
class ChainNode(Node):
    """Fields of a value in parentheses or of a function: (index .Alerts 0).Labels"""

    operand: Node
    names: list[str]

    def __str__(self) -> str:
        operand = f"({self.operand})" if isinstance(self.operand, Pipeline) else str(self.operand)
        return f"{operand}.{'.'.join(self.names)}"


@dataclass(slots=True, eq=False)
class DotNode(Node):
    """The value of the moment."""

    def __str__(self) -> str:
        return "."


@dataclass(slots=True, eq=False)
class NilNode(Node):
    """The constant nil."""

    def __str__(self) -> str:
        return "nil"


@dataclass(slots=True, eq=False)
class BoolNode(Node):
    """true or false."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(slots=True, eq=False)
class NumberNode(Node):
    """A number with each value that its text can stand for; None where it cannot."""

    text: str
    integer: int | None = None
    unsigned: int | None = None
    real: float | None = None
    complex_value: complex | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True, eq=False)
class StringNode(Node):
    """A string: as written, and its value."""

    quoted: str
    value: str

    def __str__(self) -> str:
        return self.quoted


def is_empty(node: Node) -> bool:
    """Tell whether a node is white space only."""
    if isinstance(node, ListNode):
        return all(map(is_empty, node.nodes))
    return isinstance(node, TextNode) and not node.text.strip(WHITE_SPACE)
