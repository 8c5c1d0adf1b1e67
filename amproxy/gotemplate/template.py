"""Sets of templates: parsed once, rendered many times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from amproxy.gotemplate.compiler import Program, compile_tree
from amproxy.gotemplate.execution import Execution, Limits
from amproxy.gotemplate.functions import BUILTINS
from amproxy.gotemplate.nodes import Tree
from amproxy.gotemplate.parser import parse
from amproxy.gotemplate.printing import joined
from amproxy.gotemplate.quoting import quote, readable
from amproxy.gotemplate.values import Function

# A key that a map lacks gives nil, the zero value of the map's elements, or an error.
MissingKey = Literal["default", "zero", "error"]
DEFAULT_LIMITS = Limits()


class TemplateSet:
    """Templates by name that can use each other, and the functions that they may call.

    `functions` come on top of Go's own. `trees` may be read, for one to make another set of
    changed copies of them (`Tree.copy`).
    """

    def __init__(
        self,
        functions: Mapping[str, Function] | None = None,
        missing_key: MissingKey = "default",
        trees: Mapping[str, Tree] | None = None,
    ) -> None:
        self.functions: dict[str, Function] = {**BUILTINS, **(functions or {})}
        self.missing_key = missing_key
        self.trees: dict[str, Tree] = dict(trees or {})
        # Programs of trees, which many texts share.
        self._programs: dict[Tree, Program] = {}

    def add(self, name: str, text: str) -> None:
        """Parse a file: it is a template of that name itself, and defines others.

        A template replaces one of the same name that was added before, except that one of white
        space replaces none. Raises GoParseError, and adds nothing then.
        """
        self.trees = self._with(name, text)

    def _with(self, name: str, text: str) -> dict[str, Tree]:
        trees = dict(self.trees)
        for found, tree in parse(name, text, self.functions).items():
            if found not in trees or not tree.is_empty:
                trees[found] = tree
        return trees

    def text(self, text: str, name: str = "") -> Template:
        """A text as a template that can use those of the set. Raises GoParseError.

        What it defines is its own: the set stays as it is.
        """
        return Template(self, self._with(name, text), name)

    def template(self, name: str) -> Template | None:
        """A template of the set by its name."""
        return Template(self, self.trees, name) if name in self.trees else None

    def program(self, tree: Tree) -> Program:
        """The compiled form of a tree, made when it is first asked for."""
        program = self._programs.get(tree)
        if program is None:
            program = self._programs[tree] = compile_tree(tree, self.functions)
        return program


class Template:
    """A template ready to be rendered, with those that it can use."""

    def __init__(self, owner: TemplateSet, trees: dict[str, Tree], name: str) -> None:
        self.name = name
        self.trees = trees
        self._owner = owner
        self._own: dict[str, Program] = {}

    def _program(self, name: str) -> Program | None:
        program = self._own.get(name)
        if program is None and name in self.trees:
            tree = self.trees[name]
            if self._owner.trees.get(name) is tree:
                program = self._owner.program(tree)
            else:
                program = compile_tree(tree, self._owner.functions)
            self._own[name] = program
        return program

    def render(
        self,
        data: Any,
        now: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> str:
        """The text for some data. Raises GoExecError, and GoLimitError for a limit passed.

        `now` is the moment in nanoseconds since 1970 for functions that want it.
        """
        return self._render(data, now, limits, {})

    def _render(self, data: Any, now: int | None, limits: Limits, shared: dict[str, Any]) -> str:
        def render(text: str) -> str:
            return self._owner.text(text)._render(data, now, limits, shared)

        execution = Execution(
            self._program, self._owner.missing_key, limits, now, data, render, shared
        )
        execution.template = self.name
        try:
            program = self._program(self.name)
            if program is None:
                raise execution.failure(f"{quote(self.name)} is an incomplete or empty template")
            program.run(execution, data)
        except RecursionError:
            raise execution.exceeded("nesting") from None
        return readable(joined(execution.parts))
