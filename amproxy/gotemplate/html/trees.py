"""Templates of pages: copies of their trees that escape every value for the place it stands in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from amproxy.gotemplate.html.context import (
    SCRIPT_LITERALS,
    EscapeFault,
    PageContext,
    Slash,
    State,
    joined,
)
from amproxy.gotemplate.html.errors import GoEscapeError
from amproxy.gotemplate.html.markup import read_on
from amproxy.gotemplate.html.pipelines import add_escapers, escapers_for
from amproxy.gotemplate.nodes import (
    ActionNode,
    BranchNode,
    BreakNode,
    ContinueNode,
    ListNode,
    Node,
    RangeNode,
    TemplateNode,
    TextNode,
    Tree,
)
from amproxy.gotemplate.quoting import quote

_SIGN = re.compile("<(?!!doctype)", re.IGNORECASE)
_SCRIPT_TAG = re.compile("<(?=/?script|!--)", re.IGNORECASE)
_LINE_END = re.compile("[\n\r\u2028\u2029]")
_COMMENT_SIGNS = {State.COMMENT: 4, State.SCRIPT_COMMENT_OPEN: 4, State.SCRIPT_COMMENT_CLOSE: 3}


def escaped_trees(trees: Mapping[str, Tree], name: str) -> dict[str, Tree]:
    """The templates that one of them needs, itself among them, with escapers in their pipelines.

    A template that is used in several places has a copy for each, under a name of its own.
    Raises GoEscapeError.
    """
    plan = _Plan(trees)
    try:
        end, _ = plan.template(PageContext(), name, None)
        if end.state is not State.TEXT:
            raise EscapeFault(f"ends in a non-text context: {end}")
    except EscapeFault as fault:
        raise GoEscapeError(name, fault, plan.shared.reading) from None
    except RecursionError:
        too_deep = EscapeFault("exceeded the limit of nesting")
        raise GoEscapeError(name, too_deep, plan.shared.reading) from None
    return plan.carried_out()


@dataclass(slots=True)
class _Shared:
    """All that the plans of one escaping share."""

    trees: Mapping[str, Tree]
    copies: dict[str, Tree] = field(default_factory=dict)
    reading: Node | None = None

    def copy(self, name: str, copied_name: str) -> Tree:
        if copied_name not in self.copies:
            self.copies[copied_name] = self.trees[name].copy(copied_name)
        return self.copies[copied_name]


@dataclass(slots=True)
class _Turns:
    """The places where a break or continue leaves the body of a range."""

    breaks: list[tuple[PageContext, BreakNode | ContinueNode]] = field(default_factory=list)
    continues: list[tuple[PageContext, BreakNode | ContinueNode]] = field(default_factory=list)


class _Plan:
    """The changes to make: planned first, since a try with a wrong guess is thrown away."""

    def __init__(self, trees: Mapping[str, Tree], parent: _Plan | None = None) -> None:
        self.shared: _Shared = parent.shared if parent else _Shared(trees)
        # The places that templates end in, by the names of their copies.
        self.ends: dict[str, PageContext] = dict(parent.ends) if parent else {}
        self.called: set[str] = set()
        self.ranges: list[_Turns] = list(parent.ranges) if parent else []
        self.escapers: dict[ActionNode, list[str]] = {}
        self.texts: dict[TextNode, str] = {}
        self.names: dict[TemplateNode, str] = {}

    def carried_out(self) -> dict[str, Tree]:
        """The changed copies by their names."""
        for action, escapers in self.escapers.items():
            add_escapers(action.pipeline, escapers)
        for text, shown in self.texts.items():
            text.text = shown
        for call, name in self.names.items():
            call.name = name
        return {name: self.shared.copies[name] for name in self.called}

    def _accept(self, tried: _Plan) -> None:
        self.ends.update(tried.ends)
        self.called |= tried.called
        self.escapers.update(tried.escapers)
        self.texts.update(tried.texts)
        self.names.update(tried.names)

    # Templates

    def template(
        self, context: PageContext, name: str, call: TemplateNode | None
    ) -> tuple[PageContext, str]:
        """The place after a template has run, and the name of its copy for that place."""
        copied_name = context.template_name(name)
        self.called.add(copied_name)
        if copied_name in self.ends:
            return self.ends[copied_name], copied_name
        if name not in self.shared.trees:
            raise EscapeFault(f"no such template {quote(name)}", call)
        tree = self.shared.copy(name, copied_name)
        # A template that uses itself: guess first that it ends where it begins.
        end, fits = self._body(context, tree)
        if not fits and not self._ends_in(end, tree):
            raise EscapeFault(f"cannot compute output context for template {tree.name}", tree.root)
        return self.ends[copied_name], copied_name

    def _ends_in(self, context: PageContext, tree: Tree) -> bool:
        """Tell whether a second guess, the end that the first has led to, is right."""
        try:
            return self._body(context, tree)[1]
        except EscapeFault:
            return False

    def _body(self, context: PageContext, tree: Tree) -> tuple[PageContext, bool]:
        """The end of a body, and whether it is what was guessed, if it had to be."""
        self.ends[tree.name] = context
        tried = _Plan(self.shared.trees, self)
        end = tried.nodes(context, tree.root)
        fits = tree.name not in tried.called or end == context
        if fits:
            self._accept(tried)
            self.ends[tree.name] = end
        return end, fits

    # Nodes

    def nodes(self, context: PageContext, listed: ListNode) -> PageContext:
        """The place after some nodes."""
        for node in listed.nodes:
            self.shared.reading = node
            context = self._node(context, node)
        return context

    def _node(self, context: PageContext, node: Node) -> PageContext:
        if isinstance(node, TextNode):
            return self._text(context, node)
        if isinstance(node, ActionNode):
            return self._action(context, node)
        if isinstance(node, RangeNode):
            return self._range(context, node)
        if isinstance(node, BranchNode):
            return self._otherwise(context, self.nodes(context, node.body), node)
        if isinstance(node, TemplateNode):
            return self._template(context, node)
        if isinstance(node, BreakNode):
            self.ranges[-1].breaks.append((context, node))
            return PageContext(State.DEAD)
        assert isinstance(node, ContinueNode)
        self.ranges[-1].continues.append((context, node))
        return PageContext(State.DEAD)

    def _action(self, context: PageContext, node: ActionNode) -> PageContext:
        if node.pipeline.variables or context.state is State.DEAD:
            return context
        context = context.for_action()
        self.escapers[node] = escapers_for(context, node)
        if context.state is State.SCRIPT:
            return replace(context, slash=Slash.DIVISION)
        return context

    def _template(self, context: PageContext, node: TemplateNode) -> PageContext:
        context, name = self.template(context, node.name, node)
        if name != node.name:
            self.names[node] = name
        return context

    def _otherwise(self, context: PageContext, body: PageContext, node: BranchNode) -> PageContext:
        other = context if node.otherwise is None else self.nodes(context, node.otherwise)
        return _joined(body, other, node, node.keyword)

    def _range(self, context: PageContext, node: RangeNode) -> PageContext:
        body, turns = self._turn(context, node)
        body = _left(body, turns)
        if body != context:
            # It may run again, from where it has ended.
            try:
                again, turns = _Plan(self.shared.trees, self)._turn(body, node)
                body = _joined(body, again, node, node.keyword)
            except EscapeFault as fault:
                raise fault.told("on range loop re-entry", node.line) from None
            body = _left(body, turns)
        return self._otherwise(context, body, node)

    def _turn(self, context: PageContext, node: RangeNode) -> tuple[PageContext, _Turns]:
        """The place after the body of a range has run once, and those that leave it."""
        turns = _Turns()
        self.ranges.append(turns)
        body = self.nodes(context, node.body)
        self.ranges.pop()
        return body, turns

    # Texts

    def _text(self, context: PageContext, node: TextNode) -> PageContext:
        text = node.text
        parts: list[str] = []
        at = 0
        while at < len(text):
            self.shared.reading = Node(node.tree, node.position + at)
            after, stop = read_on(context, text, at)
            parts.append(_shown(context, after, text[at:stop]))
            context, at = after, stop
        shown = "".join(parts)
        if shown != text:
            self.texts[node] = shown
        return context


def _left(body: PageContext, turns: _Turns) -> PageContext:
    """The place after the body of a range, which some ways leave early."""
    for name, left in ("break", turns.breaks), ("continue", turns.continues):
        for place, where in left:
            try:
                body = _joined(body, place, where, RangeNode.keyword)
            except EscapeFault as fault:
                raise fault.told(f"at range loop {name}", where.line) from None
    return body


def _joined(first: PageContext, second: PageContext, node: Node, name: str) -> PageContext:
    found = joined(first, second)
    if found is None:
        raise EscapeFault(
            f"{{{{{name}}}}} branches end in different contexts: {first}, {second}", node
        )
    return found


def _shown(context: PageContext, after: PageContext, text: str) -> str:
    """A part of a text as the page shows it: without comments, and with stray < escaped."""
    if context.in_comment:
        return _instead_of_comment(context, text)
    if after.in_comment and after.state is not context.state:
        text = text[: -_COMMENT_SIGNS.get(after.state, 2)]
    if context.state in (State.TEXT, State.RCDATA):
        changes = after.state is not context.state
        tag = text.rfind("<") if changes and not after.in_comment else len(text)
        return _SIGN.sub("&lt;", text[:tag]) + text[tag:]
    if context.state in SCRIPT_LITERALS:
        return _SCRIPT_TAG.sub("\\\\x3C", text)
    return text


def _instead_of_comment(context: PageContext, text: str) -> str:
    if context.state is State.SCRIPT_BLOCK_COMMENT:
        # A comment of several lines ends a statement as a line's end does.
        return "\n" if _LINE_END.search(text) else " "
    return " " if context.state is State.STYLE_BLOCK_COMMENT else ""
