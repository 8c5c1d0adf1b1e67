"""Go's types, and the Python values that stand for Go's.

Plain Python values need no wrapper: `str`, `bool`, `int` (Go's int), `float` (float64), `complex`,
`bytes` ([]uint8), `list` and `tuple` ([]interface {}), `dict` (map[string]interface {}) and None
(nil, and what a missing key of a map gives). Any other value carries its type as `go_type`, an
attribute of its class or of itself: a `Slice`, a `Map`, a subclass of `int` or `str`, or an object
whose type lists its fields. Methods belong to the type, never to the Python class, so that a
template reaches nothing that is not listed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar


class TypeKind(enum.Enum):
    """The kinds of types that matter to templates; sizes of numbers do not."""

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    COMPLEX = "complex"
    STRING = "string"
    SLICE = "slice"
    MAP = "map"
    STRUCT = "struct"
    POINTER = "pointer"
    FUNCTION = "func"
    INTERFACE = "interface"


@dataclass(frozen=True, slots=True)
class StructField:
    """A field of a struct: Go's name, its type, the Python attribute, the name in JSON."""

    name: str
    type: GoType
    attribute: str
    json: str = ""


@dataclass(eq=False, slots=True)
class GoType:
    """A type; equal types are one object. `name` is what %T prints.

    `underlying` is the unnamed type that a named one is made of (None: itself). `make` turns a
    plain Python value, such as a constant, into one of this type; `zero` is its zero value.
    """

    name: str
    kind: TypeKind
    make: Callable[[Any], Any] = lambda value: value
    zero: Callable[[], Any] = lambda: None
    element: GoType | None = None
    key: GoType | None = None
    fields: tuple[StructField, ...] = ()
    methods: dict[str, Function] = field(default_factory=dict)
    underlying: GoType | None = None
    field_named: dict[str, StructField] = field(init=False)

    def __post_init__(self) -> None:
        self.field_named = {field.name: field for field in self.fields}

    def __repr__(self) -> str:
        return self.name

    @property
    def can_be_nil(self) -> bool:
        return self.kind in _NILABLE or self is VALUE


_NILABLE = {TypeKind.SLICE, TypeKind.MAP, TypeKind.POINTER, TypeKind.FUNCTION, TypeKind.INTERFACE}

BOOL = GoType("bool", TypeKind.BOOL, zero=lambda: False)
INT = GoType("int", TypeKind.INT, zero=lambda: 0)
FLOAT64 = GoType("float64", TypeKind.FLOAT, make=float, zero=lambda: 0.0)
COMPLEX128 = GoType("complex128", TypeKind.COMPLEX, make=complex, zero=lambda: 0j)
STRING = GoType("string", TypeKind.STRING, zero=str)
ANY = GoType("interface {}", TypeKind.INTERFACE, zero=lambda: NIL)
# The type of parameters of builtin functions, which take a value as it is.
VALUE = GoType("reflect.Value", TypeKind.STRUCT)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function that templates may call, or a method, which gets its receiver first.

    `variadic` is the type of any further arguments. `wants_execution` hands the running
    `execution.Execution` to the function before all else. `refusal` is Go's reason against
    calling it at all. `call` refuses arguments with GoCallError.
    """

    name: str
    call: Callable[..., Any]
    parameters: tuple[GoType, ...] = ()
    variadic: GoType | None = None
    wants_execution: bool = False
    refusal: str = ""
    go_type: ClassVar[GoType] = GoType("func", TypeKind.FUNCTION)

    def parameter(self, index: int) -> GoType:
        """The type of an argument. The number of arguments must fit."""
        if index < len(self.parameters):
            return self.parameters[index]
        assert self.variadic
        return self.variadic


class NilInterface:
    """A nil that came out of a list or map of anything: asking it for a field is an error."""

    __slots__ = ()
    go_type = ANY

    def __bool__(self) -> bool:
        return False


NIL: NilInterface = NilInterface()


class Slice(list[Any]):
    """A slice of a given type; `is_nil` tells a nil slice from an empty one."""

    __slots__ = ("go_type", "is_nil")

    def __init__(self, go_type: GoType, items: Iterable[Any] = (), is_nil: bool = False) -> None:
        super().__init__(items)
        self.go_type = go_type
        self.is_nil = is_nil


class Map(dict[Any, Any]):
    """A map of a given type; `is_nil` tells a nil map from an empty one."""

    __slots__ = ("go_type", "is_nil")

    def __init__(
        self, go_type: GoType, items: Mapping[Any, Any] | None = None, is_nil: bool = False
    ) -> None:
        super().__init__(items or {})
        self.go_type = go_type
        self.is_nil = is_nil


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer that is not nil."""

    target: Any

    @property
    def go_type(self) -> GoType:
        return pointer_to(type_of(self.target))


@cache
def slice_of(element: GoType) -> GoType:
    """The type []element."""
    made = GoType(f"[]{element.name}", TypeKind.SLICE, element=element)
    _make_slices(made)
    return made


@cache
def map_of(key: GoType, element: GoType) -> GoType:
    """The type map[key]element."""
    made = GoType(f"map[{key.name}]{element.name}", TypeKind.MAP, element=element, key=key)
    _make_maps(made)
    return made


@cache
def pointer_to(element: GoType) -> GoType:
    """The type *element."""
    return GoType(f"*{element.name}", TypeKind.POINTER, element=element)


def named(name: str, underlying: GoType) -> GoType:
    """A new type made of a slice or map type; methods are to be added to it."""
    made = GoType(
        name,
        underlying.kind,
        element=underlying.element,
        key=underlying.key,
        underlying=underlying,
    )
    if underlying.kind is TypeKind.SLICE:
        _make_slices(made)
    else:
        _make_maps(made)
    return made


def _make_slices(made: GoType) -> None:
    made.make = lambda items: Slice(made, items)
    made.zero = lambda: Slice(made, is_nil=True)


def _make_maps(made: GoType) -> None:
    made.make = lambda items: Map(made, items)
    made.zero = lambda: Map(made, is_nil=True)


class Int64(int):
    """Go's int64."""

    go_type: ClassVar[GoType]


class Uint8(int):
    """Go's uint8, a byte of a string."""

    go_type: ClassVar[GoType]


class Uint64(int):
    """Go's uint64."""

    go_type: ClassVar[GoType]


def _zero_of(kind: Callable[[int], int]) -> Callable[[], int]:
    return lambda: kind(0)


Int64.go_type = GoType("int64", TypeKind.INT, make=Int64, zero=_zero_of(Int64))
UINT8 = Uint8.go_type = GoType("uint8", TypeKind.UINT, make=Uint8, zero=_zero_of(Uint8))
Uint64.go_type = GoType("uint64", TypeKind.UINT, make=Uint64, zero=_zero_of(Uint64))
STRINGS = slice_of(STRING)
ANYTHINGS = slice_of(ANY)
BYTES = slice_of(UINT8)
DICT = map_of(STRING, ANY)

_PLAIN: dict[type, GoType] = {
    str: STRING,
    bool: BOOL,
    int: INT,
    float: FLOAT64,
    complex: COMPLEX128,
    list: ANYTHINGS,
    tuple: ANYTHINGS,
    dict: DICT,
    bytes: BYTES,
}


def type_of(value: Any) -> GoType:
    """The type of a value that is not None. Raises TypeError for an object without a type."""
    found = _PLAIN.get(type(value)) or getattr(value, "go_type", None)
    if not isinstance(found, GoType):
        raise TypeError(f"no Go type for a {type(value).__name__}")
    return found


def assignable(source: GoType, target: GoType) -> bool:
    """Tell whether a value of one type may be given where another is asked for."""
    if source is target or target is ANY or target is VALUE:
        return True
    if source.underlying is not None and target.underlying is not None:
        return False
    return (source.underlying or source) is (target.underlying or target)


def element(holder_type: GoType, value: Any) -> Any:
    """An element as it comes out of a slice or map."""
    return NIL if value is None and holder_type.element is ANY else value


def indirect(value: Any) -> Any:
    """The target of a pointer, or the value itself; None for a nil interface."""
    while type(value) is Pointer:
        value = value.target
    return None if value is NIL else value


def sorted_items(mapping: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The entries of a map in the order in which Go prints them."""
    try:
        return sorted(mapping.items(), key=lambda item: item[0])
    except TypeError:
        return sorted(mapping.items(), key=lambda item: (type_of(item[0]).name, item[0]))
