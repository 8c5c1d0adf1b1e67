"""Closures that evaluate: constants, variables, fields and calls.

They take the execution, the frame (the values of the variables of a template) and dot, and set
`execution.node` where Go does, so that errors name the same place as Go's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.functions import call_value
from amproxy.gotemplate.nodes import (
    BoolNode,
    IdentifierNode,
    Node,
    NumberNode,
    Pipeline,
    StringNode,
    VariableNode,
)
from amproxy.gotemplate.values import (
    ANY,
    VALUE,
    Function,
    GoType,
    TypeKind,
)

Frame = list[Any]
Evaluate = Callable[[Execution, Frame, Any], Any]
# With the value of the command before, which is the last argument.
EvaluatePiped = Callable[[Execution, Frame, Any, Any], Any]
# An argument, once the type of its parameter is known.
Typed = Callable[[GoType | None], Evaluate]


class UnsetVariable:
    """The value of a variable whose declaration was not reached, and of no piped value."""


UNSET = UnsetVariable()


@dataclass(frozen=True, slots=True)
class CallPlan:
    """The way to call a function from one place, or the reason why it cannot be called."""

    refusal: str
    evaluate: tuple[Evaluate, ...] = ()
    last_type: GoType | None = None


def plan_call(function: Function, name: str, typed: list[Typed], piped: bool) -> CallPlan:
    """The way to call a function with some arguments, and with a piped value if there is one."""
    given = len(typed) + piped
    fixed = len(function.parameters)
    if function.variadic is not None:
        if given < fixed:
            return CallPlan(
                f"wrong number of args for {name}: want at least {fixed} got {len(typed)}"
            )
    elif given != fixed:
        return CallPlan(f"wrong number of args for {name}: want {fixed} got {given}")
    if function.refusal:
        return CallPlan(function.refusal)
    return CallPlan(
        "",
        tuple(argument(function.parameter(index)) for index, argument in enumerate(typed)),
        function.parameter(given - 1) if piped else None,
    )


def plain_dot(execution: Execution, frame: Frame, dot: Any) -> Any:
    return dot


def dot_at(node: Node) -> Evaluate:
    def run(execution: Execution, frame: Frame, dot: Any) -> Any:
        execution.node = node
        return dot

    return run


def failing(node: Node, reason: str) -> Evaluate:
    def run(execution: Execution, frame: Frame, dot: Any) -> Any:
        execution.node = node
        raise execution.failure(reason)

    return run


def no_function(word: Node) -> EvaluatePiped:
    """A constant, variable or pipeline that is given arguments."""
    marks = not isinstance(word, Pipeline)

    def run(execution: Execution, frame: Frame, dot: Any, value: Any) -> Any:
        if marks:
            execution.node = word
        raise execution.failure(f"can't give argument to non-function {word}")

    return run


def fields(
    node: Node, start: Evaluate, names: list[str], typed: list[Typed], piped: bool
) -> EvaluatePiped:
    """Fields one after the other; the last gets the arguments where it is a method."""
    sets_node = not isinstance(node, VariableNode)
    *path, last = names
    plans: dict[Function, CallPlan] = {}

    def receiver_of(execution: Execution, frame: Frame, dot: Any) -> Any:
        if sets_node:
            execution.node = node
        value = start(execution, frame, dot)
        for name in path:
            value = execution.field(value, name, node)
        return value

    def plain(execution: Execution, frame: Frame, dot: Any, value: Any) -> Any:
        return execution.field(receiver_of(execution, frame, dot), last, node)

    def run(execution: Execution, frame: Frame, dot: Any, value: Any) -> Any:
        found = receiver_of(execution, frame, dot)
        method, receiver, go_type = execution.find(found, last)
        if method is None:
            if receiver is None:
                return None
            return execution.plain_field(receiver, go_type, last, has_arguments=True)
        plan = plans.get(method)
        if plan is None:
            plan = plans[method] = plan_call(method, last, typed, piped)
        if plan.refusal:
            raise execution.failure(plan.refusal)
        values = [receiver, *(evaluate(execution, frame, dot) for evaluate in plan.evaluate)]
        if piped:
            values.append(execution.checked(value, plan.last_type))
        return execution.call(method, last, values, node)

    return run if typed or piped else plain


def ordinary_call(
    word: Node, place: Node, function: Function, plan: CallPlan, piped: bool
) -> EvaluatePiped:
    name, evaluators, last_type = function.name, plan.evaluate, plan.last_type
    assert isinstance(word, IdentifierNode)
    name = word.name

    def run(execution: Execution, frame: Frame, dot: Any, value: Any) -> Any:
        execution.node = word
        values = [evaluate(execution, frame, dot) for evaluate in evaluators]
        if piped:
            values.append(execution.checked(value, last_type))
        return execution.call(function, name, values, place)

    return run


def logic_call(
    word: Node, evaluators: tuple[Evaluate, ...], stops_at: bool, piped: bool
) -> EvaluatePiped:
    """`and` and `or`, which evaluate no argument after the one that decides."""

    def run(execution: Execution, frame: Frame, dot: Any, value: Any) -> Any:
        execution.node = word
        result = None
        for evaluate in evaluators:
            result = evaluate(execution, frame, dot)
            if bool(result) == stops_at:
                return result
        return execution.checked(value, VALUE) if piped else result

    return run


def call_of_value(
    word: Node, place: Node, plan: CallPlan, callee: str, piped: bool
) -> EvaluatePiped:
    function = Function("call", call_value, (ANY, VALUE), VALUE)

    def run(execution: Execution, frame: Frame, dot: Any, value: Any) -> Any:
        execution.node = word
        values = [evaluate(execution, frame, dot) for evaluate in plan.evaluate]
        if piped:
            values.append(execution.checked(value, plan.last_type))
        return execution.call(function, "call", [callee, *values], place)

    return run


def checked_argument(node: Node, evaluate: Evaluate, go_type: GoType | None) -> Evaluate:
    def run(execution: Execution, frame: Frame, dot: Any) -> Any:
        execution.node = node
        return execution.checked(evaluate(execution, frame, dot), go_type)

    def free(execution: Execution, frame: Frame, dot: Any) -> Any:
        execution.node = node
        return evaluate(execution, frame, dot)

    return free if go_type is None or go_type is VALUE else run


def nil_constant(node: Node, go_type: GoType | None) -> Evaluate:
    if go_type is None or not go_type.can_be_nil:
        return failing(node, f"cannot assign nil to {go_type}")
    value = None if go_type is ANY or go_type is VALUE else go_type.zero()

    def run(execution: Execution, frame: Frame, dot: Any) -> Any:
        execution.node = node
        return value

    return run


def constant(node: Node, go_type: GoType | None) -> Evaluate:
    """A literal as a value of a type; of the type that its spelling says where any may stand."""
    kind = TypeKind.INTERFACE if go_type is None or go_type is VALUE else go_type.kind
    value: Any = None
    wanted = ""
    if kind is TypeKind.INTERFACE:
        value, reason = _ideal(node)
        if reason:
            return failing(node, reason)
    elif kind is TypeKind.STRING:
        value, wanted = node.value if isinstance(node, StringNode) else None, "string"
    elif kind is TypeKind.BOOL:
        value, wanted = node.value if isinstance(node, BoolNode) else None, "bool"
    elif kind is TypeKind.INT:
        value, wanted = node.integer if isinstance(node, NumberNode) else None, "integer"
    elif kind is TypeKind.UINT:
        value = node.unsigned if isinstance(node, NumberNode) else None
        wanted = "unsigned integer"
    elif kind is TypeKind.FLOAT:
        value, wanted = node.real if isinstance(node, NumberNode) else None, "float"
    elif kind is TypeKind.COMPLEX:
        value, wanted = node.complex_value if isinstance(node, NumberNode) else None, "complex"
    else:
        return failing(node, f"can't handle {node} for arg of type {go_type}")
    if wanted:
        if value is None:
            return failing(node, f"expected {wanted}; found {node}")
        assert go_type
        value = go_type.make(value)

    def run(execution: Execution, frame: Frame, dot: Any) -> Any:
        execution.node = node
        return value

    return run


def _ideal(node: Node) -> tuple[Any, str]:
    """The value of a literal by its spelling, or the reason why it has none."""
    if isinstance(node, StringNode | BoolNode):
        return node.value, ""
    assert isinstance(node, NumberNode)
    text = node.text
    if node.complex_value is not None:
        return node.complex_value, ""
    is_hex = len(text) > 2 and text[:2] in ("0x", "0X") and not set(text) & {"p", "P"}
    is_real = not is_hex and text[0] != "'" and bool(set(text) & set(".eEpP"))
    if node.real is not None and is_real:
        return node.real, ""
    if node.integer is not None:
        return node.integer, ""
    return None, f"{text} overflows int" if node.unsigned is not None else ""
