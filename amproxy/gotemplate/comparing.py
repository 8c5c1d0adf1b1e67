"""The comparisons eq, ne, lt, le, gt and ge."""

from __future__ import annotations

from typing import Any

from amproxy.gotemplate.errors import GoCallError
from amproxy.gotemplate.formatting import sprintf
from amproxy.gotemplate.printing import OutputTooLarge, Room
from amproxy.gotemplate.values import (
    NIL,
    GoType,
    TypeKind,
    type_of,
)

INTEGERS = {TypeKind.INT, TypeKind.UINT}
_BASIC = {*INTEGERS, TypeKind.BOOL, TypeKind.FLOAT, TypeKind.COMPLEX, TypeKind.STRING}


def plain_value(value: Any) -> Any:
    """The value, None for a nil of any kind of interface."""
    return None if value is NIL else value


def _kind(value: Any) -> TypeKind | None:
    """The kind of a value that can be compared by itself."""
    if value is None:
        return None
    kind = type_of(value).kind
    return kind if kind in _BASIC else None


def equal(first: Any, *others: Any) -> bool:
    first = plain_value(first)
    if not others:
        raise GoCallError("missing argument for comparison")
    kind = _kind(first)
    return any(_same(first, kind, plain_value(other)) for other in others)


def _same(first: Any, kind: TypeKind | None, other: Any) -> bool:
    other_kind = _kind(other)
    if kind is not other_kind:
        if kind in INTEGERS and other_kind in INTEGERS:
            return bool(first == other)
        if first is not None and other is not None:
            raise _incompatible(first, other)
        return False
    if kind is not None:
        return bool(first == other)
    return _same_composite(first, other)


def _same_composite(first: Any, other: Any) -> bool:
    if first is not None and other is not None:
        one, two = type_of(first), type_of(other)
        if one.kind is not two.kind:
            raise GoCallError(
                f"non-comparable types {_shown(first)}: {one}, {two}: {_shown(other, '%v')}"
            )
    if _is_nil(first) or _is_nil(other):
        return _is_nil(first) and _is_nil(other)
    if two.kind in (TypeKind.SLICE, TypeKind.MAP, TypeKind.FUNCTION) or _holds_uncomparable(two):
        raise GoCallError(f"non-comparable type {_shown(other)}: {two}")
    return one is two and bool(first == other)


def _holds_uncomparable(go_type: GoType) -> bool:
    return any(
        field.type.kind in (TypeKind.SLICE, TypeKind.MAP) or _holds_uncomparable(field.type)
        for field in go_type.fields
    )


def _shown(value: Any, layout: str = "%s") -> str:
    try:
        return sprintf(layout, (value,), Room(1000))
    except OutputTooLarge:
        return "…"


def _is_nil(value: Any) -> bool:
    return value is None or bool(getattr(value, "is_nil", False))


def _incompatible(first: Any, other: Any) -> GoCallError:
    return GoCallError(f"incompatible types for comparison: {type_of(first)} and {type_of(other)}")


def less(first: Any, other: Any) -> bool:
    first, other = plain_value(first), plain_value(other)
    kind, other_kind = _kind(first), _kind(other)
    if kind is None or other_kind is None:
        raise GoCallError("invalid type for comparison")
    if kind is not other_kind and not (kind in INTEGERS and other_kind in INTEGERS):
        raise _incompatible(first, other)
    if kind in (TypeKind.BOOL, TypeKind.COMPLEX):
        raise GoCallError("invalid type for comparison")
    return bool(first < other)


def less_or_equal(first: Any, other: Any) -> bool:
    return less(first, other) or equal(first, other)
