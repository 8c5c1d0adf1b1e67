"""The state of one execution: its output, its limits, and the place that errors name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amproxy.gotemplate.errors import GoCallError, GoExecError, GoLimitError
from amproxy.gotemplate.formatting import sprint
from amproxy.gotemplate.nodes import Node
from amproxy.gotemplate.printing import OutputTooLarge, Room
from amproxy.gotemplate.quoting import byte_length, quote
from amproxy.gotemplate.values import (
    ANY,
    NIL,
    STRING,
    VALUE,
    Function,
    GoType,
    Pointer,
    TypeKind,
    assignable,
    indirect,
    type_of,
)

if TYPE_CHECKING:
    from amproxy.gotemplate.compiler import Program

# How many steps pass between two looks at the time.
_STEPS_BETWEEN_LOOKS = 256
# How much longer than the output all texts on the way to it may be together.
_TEXTS_ON_THE_WAY = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that an execution may use.

    `steps` counts actions and turns of loops, `output` characters of the output, and of each text
    on the way to it, `depth` templates in templates. `out_of_time` is asked now and then.
    """

    steps: int = 1_000_000
    output: int = 1_000_000
    depth: int = 100
    out_of_time: Callable[[], bool] | None = None


class Execution:
    """One execution.

    `now` is the moment as nanoseconds since 1970, None where there is none. `render` renders
    another text for the same `data`; functions may keep what they know in `shared`, which all
    texts rendered so have in common.
    """

    __slots__ = (
        "data",
        "depth",
        "limits",
        "made",
        "missing_key",
        "node",
        "now",
        "parts",
        "programs",
        "render",
        "room",
        "shared",
        "steps",
        "template",
    )

    def __init__(
        self,
        programs: Callable[[str], Program | None],
        missing_key: str,
        limits: Limits,
        now: int | None,
        data: Any,
        render: Callable[[str], str],
        shared: dict[str, Any],
    ) -> None:
        self.programs = programs
        self.missing_key = missing_key
        self.limits = limits
        self.now = now
        self.data = data
        self.render = render
        self.shared = shared
        self.steps = limits.steps
        self.room = limits.output
        self.made = 0
        self.depth = 0
        self.parts: list[str] = []
        self.node: Node | None = None
        self.template = ""

    # Errors

    def failure(self, reason: str) -> GoExecError:
        """The error of the node of the moment."""
        return self._error(GoExecError, reason)

    def _error(self, kind: type[GoExecError], reason: str) -> GoExecError:
        node = self.node
        if node is None:
            return kind(f"template: {self.template}: {reason}", self.template, reason=reason)
        line, before = node.tree.place(node)
        name = node.tree.parse_name
        # Go counts columns in bytes from 0.
        text = (
            f"template: {name}:{line}:{byte_length(before)}: executing {quote(self.template)}"
            f" at <{node}>: {reason}"
        )
        return kind(text, name, line, len(before) + 1, reason)

    def exceeded(self, what: str) -> GoLimitError:
        """The error for a limit that is used up."""
        error = self._error(GoLimitError, f"exceeded the limit of {what}")
        assert isinstance(error, GoLimitError)
        return error

    def too_long(self) -> GoLimitError:
        """The error for a text that may not be so long."""
        return self.exceeded(f"{self.limits.output} characters")

    # Limits and output

    def look(self) -> None:
        """Raise GoLimitError where steps or time are used up."""
        if self.steps <= 0:
            raise self.exceeded(f"{self.limits.steps} steps")
        if self.limits.out_of_time is not None and self.limits.out_of_time():
            raise self.exceeded("time")

    def step(self) -> None:
        """Count a step."""
        self.steps -= 1
        if not self.steps % _STEPS_BETWEEN_LOOKS:
            self.look()

    def write(self, text: str) -> None:
        """Append to the output."""
        self.room -= len(text)
        if self.room < 0:
            raise self.too_long()
        self.parts.append(text)

    def print(self, node: Node, value: Any) -> None:
        """Write a value as an action shows it."""
        self.node = node
        if type(value) is Pointer:
            value = indirect(value)
        if value is None or value is NIL:
            self.write("<no value>")
            return
        go_type = type_of(value)
        if go_type.kind is TypeKind.FUNCTION:
            raise self.failure(f"can't print {node} of type {go_type}")
        self.write(self.formatted(lambda room: sprint((value,), room)))

    def formatted(self, form: Callable[[Room], str]) -> str:
        """A text made by a formatter that is given the room that is left."""
        try:
            return form(Room(self.room, self.look))
        except OutputTooLarge:
            raise self.too_long() from None

    # Values

    def call(self, function: Function, name: str, values: Sequence[Any], node: Node) -> Any:
        """Call a function or method; `node` is the place of its error."""
        try:
            if function.wants_execution:
                result = function.call(self, *values)
            else:
                result = function.call(*values)
        except GoCallError as error:
            self.node = node
            raise self.failure(f"error calling {name}: {error}") from error
        if isinstance(result, str):
            self._weigh(len(result))
        return result

    def _weigh(self, length: int) -> None:
        """Count a text that a function made: variables may keep it, or make a longer one of it."""
        self.made += length
        if length > self.limits.output or self.made > _TEXTS_ON_THE_WAY * self.limits.output:
            raise self.too_long()

    def checked(self, value: Any, go_type: GoType | None) -> Any:
        """A value as an argument of a type."""
        if value is None or value is NIL:
            if go_type is None or go_type is VALUE:
                return value
            if go_type is ANY:
                return None
            if value is None and go_type.can_be_nil:
                return go_type.zero()
            if value is NIL:
                raise self.failure(f"wrong type for value; expected {go_type}; got interface {{}}")
            raise self.failure(f"invalid value; expected {go_type}")
        if go_type is None or go_type is VALUE or go_type is ANY:
            return value
        found = type_of(value)
        if found is go_type or assignable(found, go_type):
            return value
        if type(value) is Pointer and assignable(type_of(value.target), go_type):
            return value.target
        raise self.failure(f"wrong type for value; expected {go_type}; got {found}")

    def field(self, receiver: Any, name: str, node: Node) -> Any:
        """A field of a struct, an entry of a map, or what a method without arguments gives."""
        method, receiver, go_type = self.find(receiver, name)
        if method is not None:
            if method.parameters:
                raise self.failure(
                    f"wrong number of args for {name}: want {len(method.parameters)} got 0"
                )
            if method.refusal:
                raise self.failure(method.refusal)
            return self.call(method, name, (receiver,), node)
        if receiver is None:
            return None
        return self.plain_field(receiver, go_type, name, has_arguments=False)

    def find(self, receiver: Any, name: str) -> tuple[Function | None, Any, GoType]:
        """The method of that name or None, what a pointer points to, and the type for errors."""
        if receiver is None:
            if self.missing_key == "error":
                raise self.failure(f"nil data; no entry for key {quote(name)}")
            return None, None, ANY
        if receiver is NIL:
            raise self.failure(f"nil pointer evaluating interface {{}}.{name}")
        go_type = type_of(receiver)
        if type(receiver) is not Pointer:
            return go_type.methods.get(name), receiver, go_type
        target = indirect(receiver)
        return type_of(target).methods.get(name), target, go_type

    def plain_field(self, receiver: Any, go_type: GoType, name: str, has_arguments: bool) -> Any:
        """A field of a struct or an entry of a map."""
        held = type_of(receiver) if go_type.kind is TypeKind.POINTER else go_type
        if held.kind is TypeKind.STRUCT:
            found = held.field_named.get(name)
            if found is not None:
                if not name[0].isupper():
                    raise self.failure(f"{name} is an unexported field of struct type {go_type}")
                if has_arguments:
                    raise self.failure(f"{name} has arguments but cannot be invoked as function")
                return getattr(receiver, found.attribute)
        elif held.kind is TypeKind.MAP and held.key in (STRING, ANY):
            if has_arguments:
                raise self.failure(f"{name} is not a method but has arguments")
            return self._entry(receiver, held, name)
        raise self.failure(f"can't evaluate field {name} in type {go_type}")

    def _entry(self, mapping: Any, go_type: GoType, name: str) -> Any:
        try:
            value = mapping[name]
        except KeyError:
            if self.missing_key == "zero":
                assert go_type.element
                return go_type.element.zero()
            if self.missing_key == "error":
                raise self.failure(f"map has no entry for key {quote(name)}") from None
            return None
        return NIL if value is None and go_type.element is ANY else value
