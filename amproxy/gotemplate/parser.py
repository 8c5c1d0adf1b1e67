"""Tokens into trees."""

from __future__ import annotations

from collections.abc import Collection

from amproxy.gotemplate.lexer import Token, TokenKind, tokens
from amproxy.gotemplate.nodes import (
    ActionNode,
    BoolNode,
    BranchNode,
    BreakNode,
    ChainNode,
    CommandNode,
    ContinueNode,
    DotNode,
    FieldNode,
    IdentifierNode,
    IfNode,
    ListNode,
    NilNode,
    Node,
    NumberNode,
    Pipeline,
    RangeNode,
    StringNode,
    TemplateNode,
    TextNode,
    Tree,
    VariableNode,
    WithNode,
)
from amproxy.gotemplate.numbers import number_node
from amproxy.gotemplate.quoting import quote, unquote
from amproxy.gotemplate.reader import STRING_TOKENS, TokenReader, TokenStream

_OPERANDS = {
    TokenKind.BOOL,
    TokenKind.CHARACTER_CONSTANT,
    TokenKind.COMPLEX,
    TokenKind.DOT,
    TokenKind.FIELD,
    TokenKind.IDENTIFIER,
    TokenKind.NUMBER,
    TokenKind.NIL,
    TokenKind.RAW_STRING,
    TokenKind.STRING,
    TokenKind.VARIABLE,
    TokenKind.LEFT_PAREN,
}
_NUMBERS = {TokenKind.CHARACTER_CONSTANT, TokenKind.COMPLEX, TokenKind.NUMBER}
_LITERALS = (BoolNode, StringNode, NumberNode, NilNode, DotNode)
_BRANCHES: dict[TokenKind, type[BranchNode]] = {
    TokenKind.IF: IfNode,
    TokenKind.RANGE: RangeNode,
    TokenKind.WITH: WithNode,
}


def parse(name: str, text: str, functions: Collection[str]) -> dict[str, Tree]:
    """The templates of a text by name: the text itself as `name`, and what it defines.

    `functions` are the names that may be called. Raises GoParseError.
    """
    stream = TokenStream(tokens(text, frozenset(functions)))
    trees: dict[str, Tree] = {}
    parser = _TreeParser(Tree(name, name, text), stream, frozenset(functions), trees)
    try:
        parser.whole_text()
    except RecursionError:
        raise parser.error("max expression depth exceeded") from None
    return trees


class _Stop(Node):
    """An {{end}} or {{else}}, which stands in no tree."""

    __slots__ = ("keyword",)

    def __init__(self, tree: Tree, position: int, keyword: str) -> None:
        super().__init__(tree, position)
        self.keyword = keyword

    def __str__(self) -> str:
        return f"{{{{{self.keyword}}}}}"


class _TreeParser(TokenReader):
    """The parser of one template: of a text, or of a define or block in it."""

    def __init__(
        self,
        tree: Tree,
        stream: TokenStream,
        functions: frozenset[str],
        trees: dict[str, Tree],
    ) -> None:
        super().__init__(tree, stream)
        self.functions = functions
        self.trees = trees
        self.variables = ["$"]
        self.range_depth = 0

    # Templates

    def whole_text(self) -> None:
        """Parse to the end of the text."""
        root = self.tree.root
        root.position = self.peek().position
        while self.peek().kind is not TokenKind.EOF:
            mark = self.stream.at
            opens = self.next().kind is TokenKind.LEFT_DELIMITER
            if opens and self.next_word().kind is TokenKind.DEFINE:
                self._nested("definition")._definition()
                continue
            self.stream.at = mark
            node = self._text_or_action()
            if isinstance(node, _Stop):
                raise self.error(f"unexpected {node}")
            root.nodes.append(node)
        self._add()

    def _nested(self, name: str) -> _TreeParser:
        tree = Tree(name, self.tree.parse_name, self.tree.text)
        return _TreeParser(tree, self.stream, self.functions, self.trees)

    def _definition(self) -> None:
        context = "define clause"
        self.tree.name = self.string(self.next_word(), context)
        self.expect(TokenKind.RIGHT_DELIMITER, context)
        self.tree.root, stop = self._list()
        if stop.keyword != "end":
            raise self.error(f"unexpected {stop} in {context}")
        self._add()

    def _add(self) -> None:
        name = self.tree.name
        old = self.trees.get(name)
        if old is None or old.is_empty:
            self.trees[name] = self.tree
        elif not self.tree.is_empty:
            raise self.error(f"template: multiple definition of template {quote(name)}")

    def _list(self) -> tuple[ListNode, _Stop]:
        """Nodes up to an end or else, and that."""
        nodes = ListNode(self.tree, self.peek_word().position, [])
        while self.peek_word().kind is not TokenKind.EOF:
            node = self._text_or_action()
            if isinstance(node, _Stop):
                return nodes, node
            nodes.nodes.append(node)
        raise self.error("unexpected EOF")

    def _text_or_action(self) -> Node:
        token = self.next_word()
        if token.kind is TokenKind.TEXT:
            return TextNode(self.tree, token.position, token.text)
        if token.kind is not TokenKind.LEFT_DELIMITER:
            raise self.unexpected(token, "input")
        self.action_line = token.line
        node = self._action()
        self.action_line = 0
        return node

    # Actions

    def _action(self) -> Node:
        token = self.next_word()
        kind = token.kind
        if kind in _BRANCHES:
            return self._branch(_BRANCHES[kind])
        if kind in (TokenKind.BREAK, TokenKind.CONTINUE):
            return self._jump(token)
        if kind is TokenKind.BLOCK:
            return self._block()
        if kind is TokenKind.ELSE:
            return self._else()
        if kind is TokenKind.END:
            end = self.expect(TokenKind.RIGHT_DELIMITER, "end")
            return _Stop(self.tree, end.position, "end")
        if kind is TokenKind.TEMPLATE:
            return self._template()
        self.stream.at -= 1
        token = self.peek()
        pipeline = self._pipeline("command", TokenKind.RIGHT_DELIMITER)
        return ActionNode(self.tree, token.position, pipeline, token.line)

    def _jump(self, token: Token) -> Node:
        shown = f"{{{{{token.text}}}}}"
        self.expect(TokenKind.RIGHT_DELIMITER, shown)
        if not self.range_depth:
            raise self.error(f"{shown} outside {{{{range}}}}")
        kind = BreakNode if token.kind is TokenKind.BREAK else ContinueNode
        return kind(self.tree, token.position, token.line)

    def _else(self) -> _Stop:
        # "else if" and "else with" leave their second word to the branch that they belong to.
        token = self.peek_word()
        if token.kind not in (TokenKind.IF, TokenKind.WITH):
            token = self.expect(TokenKind.RIGHT_DELIMITER, "else")
        return _Stop(self.tree, token.position, "else")

    def _branch(self, kind: type[BranchNode]) -> BranchNode:
        known = len(self.variables)
        is_range = kind is RangeNode
        pipeline = self._pipeline(kind.keyword, TokenKind.RIGHT_DELIMITER)
        self.range_depth += is_range
        body, stop = self._list()
        self.range_depth -= is_range
        otherwise: ListNode | None = None
        if stop.keyword == "else":
            chained = self.peek().kind
            if not is_range and chained in _BRANCHES and _BRANCHES[chained] is kind:
                self.next()
                otherwise = ListNode(self.tree, stop.position, [self._branch(kind)])
            else:
                otherwise, stop = self._list()
                if stop.keyword != "end":
                    raise self.error(f"expected end; found {stop}")
        del self.variables[known:]
        return kind(self.tree, pipeline.position, pipeline, body, otherwise, pipeline.line)

    def _block(self) -> TemplateNode:
        context = "block clause"
        token = self.next_word()
        name = self.string(token, context)
        pipeline = self._pipeline(context, TokenKind.RIGHT_DELIMITER)
        block = self._nested(name)
        block.tree.root, stop = block._list()
        if stop.keyword != "end":
            raise self.error(f"unexpected {stop} in {context}")
        block._add()
        return TemplateNode(self.tree, token.position, name, pipeline, token.line)

    def _template(self) -> TemplateNode:
        context = "template clause"
        token = self.next_word()
        name = self.string(token, context)
        pipeline: Pipeline | None = None
        if self.next_word().kind is not TokenKind.RIGHT_DELIMITER:
            self.stream.at -= 1
            pipeline = self._pipeline(context, TokenKind.RIGHT_DELIMITER)
        return TemplateNode(self.tree, token.position, name, pipeline, token.line)

    # Pipelines

    def _pipeline(self, context: str, end: TokenKind) -> Pipeline:
        token = self.peek_word()
        pipeline = Pipeline(self.tree, token.position, token.line, [], [])
        self._declarations(pipeline, context)
        while (token := self.next_word()).kind is not end:
            if token.kind not in _OPERANDS:
                raise self.unexpected(token, context)
            self.stream.at -= 1
            pipeline.commands.append(self._command())
        if not pipeline.commands:
            raise self.error(f"missing value for {context}")
        for stage, command in enumerate(pipeline.commands[1:], 2):
            if isinstance(command.arguments[0], _LITERALS):
                raise self.error(f"non executable command in pipeline stage {stage}")
        return pipeline

    def _declarations(self, pipeline: Pipeline, context: str) -> None:
        while (token := self.peek_word()).kind is TokenKind.VARIABLE:
            self.next()
            mark = self.stream.at
            following = self.peek_word()
            is_comma = following.kind is TokenKind.CHARACTER and following.text == ","
            if following.kind not in (TokenKind.ASSIGN, TokenKind.DECLARE) and not is_comma:
                # No declaration: the variable is the first operand.
                self.stream.at = mark - 1
                return
            self.next_word()
            pipeline.variables.append(
                VariableNode(self.tree, token.position, token.text.split("."))
            )
            self.variables.append(token.text)
            if not is_comma:
                pipeline.is_assign = following.kind is TokenKind.ASSIGN
                return
            if context != "range" or len(pipeline.variables) > 1:
                raise self.error(f"too many declarations in {context}")
            if self.peek_word().kind not in (
                TokenKind.VARIABLE,
                TokenKind.RIGHT_DELIMITER,
                TokenKind.RIGHT_PAREN,
            ):
                raise self.error("range can only initialize variables")

    def _command(self) -> CommandNode:
        command = CommandNode(self.tree, self.peek_word().position, [])
        while True:
            self.peek_word()
            operand = self._operand()
            if operand is not None:
                command.arguments.append(operand)
            token = self.next()
            if token.kind is TokenKind.SPACE:
                continue
            if token.kind in (TokenKind.RIGHT_DELIMITER, TokenKind.RIGHT_PAREN):
                self.stream.at -= 1
            elif token.kind is not TokenKind.PIPE:
                raise self.unexpected(token, "operand")
            break
        if not command.arguments:
            raise self.error("empty command")
        return command

    def _operand(self) -> Node | None:
        """A term and the fields asked of it; None where no term stands."""
        node = self._term()
        if node is None or self.peek().kind is not TokenKind.FIELD:
            return node
        position = self.peek().position
        names = []
        while self.peek().kind is TokenKind.FIELD:
            names.append(self.next().text[1:])
        if isinstance(node, FieldNode):
            return FieldNode(self.tree, position, node.names + names)
        if isinstance(node, VariableNode):
            return VariableNode(self.tree, position, node.names + names)
        if isinstance(node, _LITERALS):
            raise self.error(f"unexpected . after term {quote(str(node))}")
        return ChainNode(self.tree, position, node, names)

    def _term(self) -> Node | None:
        token = self.next_word()
        kind, text, tree, position = token.kind, token.text, self.tree, token.position
        if kind is TokenKind.IDENTIFIER:
            if text not in self.functions:
                raise self.error(f"function {quote(text)} not defined")
            return IdentifierNode(tree, position, text)
        if kind is TokenKind.DOT:
            return DotNode(tree, position)
        if kind is TokenKind.NIL:
            return NilNode(tree, position)
        if kind is TokenKind.VARIABLE:
            if text not in self.variables:
                raise self.error(f"undefined variable {quote(text)}")
            return VariableNode(tree, position, [text])
        if kind is TokenKind.FIELD:
            return FieldNode(tree, position, [text[1:]])
        if kind is TokenKind.BOOL:
            return BoolNode(tree, position, text == "true")
        if kind in _NUMBERS:
            is_complex = kind is TokenKind.COMPLEX
            return self.literal(lambda: number_node(tree, position, text, is_complex))
        if kind is TokenKind.LEFT_PAREN:
            return self._pipeline("parenthesized pipeline", TokenKind.RIGHT_PAREN)
        if kind in STRING_TOKENS:
            return StringNode(tree, position, text, self.literal(lambda: unquote(text)))
        self.stream.at -= 1
        return None
