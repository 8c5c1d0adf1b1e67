"""JSON as senders write it, made into values that can be kept. Pure."""

from __future__ import annotations

from typing import Any, Final

_LEAST: Final = -(2**63)  # whole numbers that the store can write
_MOST: Final = 2**64 - 1


def storable(value: Any) -> Any:
    """The same with U+FFFD for lone surrogates, and text for whole numbers of more than 64 bits. Raises RecursionError."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case int() if not _LEAST <= value <= _MOST:
            return str(value)
        case list():
            return [storable(one) for one in value]
        case dict():
            return {storable(key): storable(one) for key, one in value.items()}
    return value
