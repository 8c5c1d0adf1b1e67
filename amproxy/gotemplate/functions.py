"""The functions that every template has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from amproxy.gotemplate.comparing import INTEGERS, equal, less, less_or_equal, plain_value
from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.formatting import sprint, sprintf, sprintln
from amproxy.gotemplate.quoting import byte_length, decode, encode
from amproxy.gotemplate.values import (
    ANY,
    NIL,
    STRING,
    VALUE,
    Function,
    GoType,
    Pointer,
    Slice,
    TypeKind,
    Uint8,
    assignable,
    element,
    indirect,
    type_of,
)

_HTML = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"'}
_JS_CODES = set("<>&=")


# Elements and lengths


def _index(item: Any, *indexes: Any) -> Any:
    if plain_value(item) is None:
        raise GoCallError("index of untyped nil")
    for position in indexes:
        item = indirect(item)
        if item is None:
            raise GoCallError("index of nil pointer")
        go_type = type_of(item)
        if go_type.kind is TypeKind.SLICE or go_type.kind is TypeKind.STRING:
            item = _at(go_type, item, plain_value(position))
        elif go_type.kind is TypeKind.MAP:
            item = _entry(go_type, item, plain_value(position))
        else:
            raise GoCallError(f"can't index item of type {go_type}")
    return item


def _at(go_type: GoType, item: Any, position: Any) -> Any:
    is_string = go_type.kind is TypeKind.STRING
    length = byte_length(item) if is_string else len(item)
    number = _number(position, length)
    if number == length:
        raise GoCallError(f"reflect: {'string' if is_string else 'slice'} index out of range")
    return Uint8(encode(item)[number]) if is_string else element(go_type, item[number])


def _number(position: Any, most: int) -> int:
    """An index, which may be as large as the length."""
    if position is None:
        raise GoCallError("cannot index slice/array with nil")
    go_type = type_of(position)
    if go_type.kind not in INTEGERS:
        raise GoCallError(f"cannot index slice/array with type {go_type}")
    if not 0 <= position <= most:
        raise GoCallError(f"index out of range: {int(position)}")
    return int(position)


def _entry(go_type: GoType, mapping: Any, key: Any) -> Any:
    assert go_type.key and go_type.element
    key = prepared(key, go_type.key)
    try:
        return element(go_type, mapping[key])
    except (KeyError, TypeError):
        return go_type.element.zero()


def prepared(value: Any, go_type: GoType) -> Any:
    """A value as an argument or key of a type, integers converted. Raises GoCallError."""
    if value is None:
        if not go_type.can_be_nil:
            raise GoCallError(f"value is nil; should be of type {go_type}")
        return None if go_type is ANY or go_type is VALUE else go_type.zero()
    found = type_of(value)
    if assignable(found, go_type):
        return value
    if found.kind in INTEGERS and go_type.kind in INTEGERS:
        return go_type.make(int(value))
    raise GoCallError(f"value has type {found}; should be {go_type}")


def _slice(item: Any, *indexes: Any) -> Any:
    if plain_value(item) is None:
        raise GoCallError("slice of untyped nil")
    item = indirect(item)
    if item is None:
        raise GoCallError("slice of nil pointer")
    if len(indexes) > 3:
        raise GoCallError(f"too many slice indexes: {len(indexes)}")
    go_type = type_of(item)
    if go_type.kind is TypeKind.STRING:
        if len(indexes) == 3:
            raise GoCallError("cannot 3-index slice a string")
        data: Any = encode(item)
    elif go_type.kind is TypeKind.SLICE:
        data = item
    else:
        raise GoCallError(f"can't slice item of type {go_type}")
    numbers = [_number(plain_value(position), len(data)) for position in indexes]
    start = numbers[0] if numbers else 0
    end = numbers[1] if len(numbers) > 1 else len(data)
    for low, high in ((start, end), (end, numbers[2] if len(numbers) > 2 else end)):
        if low > high:
            raise GoCallError(f"invalid slice index: {low} > {high}")
    part = data[start:end]
    if go_type.kind is TypeKind.STRING:
        return go_type.make(decode(part))
    return Slice(go_type, part) if isinstance(item, Slice) else part


def _length(item: Any) -> int:
    target = indirect(item)
    if target is None:
        if item is NIL:
            raise GoCallError("len of nil pointer")
        raise GoCallError("reflect: call of reflect.Value.Type on zero Value")
    go_type = type_of(target)
    if go_type.kind is TypeKind.STRING:
        return byte_length(target)
    if go_type.kind in (TypeKind.SLICE, TypeKind.MAP):
        return len(target)
    raise GoCallError(f"len of type {type_of(item)}")


# Logic


def _not(value: Any) -> bool:
    return not value


def _decides(*values: Any) -> Any:
    raise AssertionError("compiled in place")


# Texts


def text_of(execution: Execution, values: tuple[Any, ...]) -> str:
    """Values as one text, as the escapers take them."""
    if len(values) == 1 and type(values[0]) is str:
        return values[0]
    shown = tuple(
        "<no value>" if value is None or value is NIL else _target(value) for value in values
    )
    return execution.formatted(lambda room: sprint(shown, room))


def _target(value: Any) -> Any:
    return indirect(value) if type(value) is Pointer else value


def _escaper(escape: Callable[[str], str]) -> Callable[..., str]:
    def run(execution: Execution, *values: Any) -> str:
        return escape(text_of(execution, values))

    return run


def escape_html(text: str) -> str:
    """The text with the characters escaped that mean something in HTML."""
    return text.translate(_HTML)


def escape_js(text: str) -> str:
    """The text as the inside of a JavaScript string."""
    return "".join(map(_js_character, text))


def _js_character(char: str) -> str:
    if char in _JS:
        return _JS[char]
    if char in _JS_CODES or char < " ":
        return f"\\u{ord(char):04X}"
    if char < "\x80" or char.isprintable() or "\udc80" <= char <= "\udcff":
        return char
    return f"\\u{ord(char):04X}"


def escape_query(text: str) -> str:
    """The text as a part of the query of a URL."""
    return quote_plus(encode(text))


def _print(execution: Execution, *values: Any) -> str:
    return execution.formatted(lambda room: sprint(values, room))


def _println(execution: Execution, *values: Any) -> str:
    return execution.formatted(lambda room: sprintln(values, room))


def _printf(execution: Execution, layout: str, *values: Any) -> str:
    return execution.formatted(lambda room: sprintf(layout, values, room))


# Calls


def call_value(callee: str, function: Any, *values: Any) -> Any:
    """Call a function that is a value; `callee` is how the template writes it."""
    function = plain_value(function)
    if function is None:
        raise GoCallError("call of nil")
    if not isinstance(function, Function):
        raise GoCallError(f"non-function {callee} of type {type_of(function)}")
    if function.refusal:
        raise GoCallError(function.refusal)
    wanted, given = len(function.parameters), len(values)
    if function.variadic is not None:
        if given < wanted:
            raise GoCallError(
                f"wrong number of args for {callee}: got {given} want at least {wanted}"
            )
    elif given != wanted:
        raise GoCallError(f"wrong number of args for {callee}: got {given} want {wanted}")
    arguments = []
    for position, value in enumerate(values):
        try:
            arguments.append(prepared(plain_value(value), function.parameter(position)))
        except GoCallError as error:
            raise GoCallError(f"arg {position}: {error}") from error
    return function.call(*arguments)


AND = Function("and", _decides, (VALUE,), VALUE)
OR = Function("or", _decides, (VALUE,), VALUE)
CALL = Function("call", _decides, (VALUE,), VALUE)

BUILTINS: dict[str, Function] = {
    function.name: function
    for function in (
        AND,
        OR,
        CALL,
        Function("not", _not, (VALUE,)),
        Function("index", _index, (VALUE,), VALUE),
        Function("slice", _slice, (VALUE,), VALUE),
        Function("len", _length, (VALUE,)),
        Function("eq", equal, (VALUE,), VALUE),
        Function("ne", lambda first, other: not equal(first, other), (VALUE, VALUE)),
        Function("lt", less, (VALUE, VALUE)),
        Function("le", less_or_equal, (VALUE, VALUE)),
        Function("gt", lambda first, other: not less_or_equal(first, other), (VALUE, VALUE)),
        Function("ge", lambda first, other: not less(first, other), (VALUE, VALUE)),
        Function("html", _escaper(escape_html), (), ANY, wants_execution=True),
        Function("js", _escaper(escape_js), (), ANY, wants_execution=True),
        Function("urlquery", _escaper(escape_query), (), ANY, wants_execution=True),
        Function("print", _print, (), ANY, wants_execution=True),
        Function("println", _println, (), ANY, wants_execution=True),
        Function("printf", _printf, (STRING,), ANY, wants_execution=True),
    )
}
