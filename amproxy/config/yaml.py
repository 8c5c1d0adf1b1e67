"""YAML text → a tree of nodes that know where they stand. Scalars keep their literal text: `17:00` is no number here.

Alertmanager's reading of YAML: only the first document counts, anchors, aliases and merge keys work. A scalar is typed
later, by the field that reads it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from amproxy.errors import ConfigProblem

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_STRING_TAG: Final = "tag:yaml.org,2002:str"
_DEEPEST: Final = 200  # readers call themselves once a level
_ALIASED: Final = 100_000  # nodes that a file may have once its aliases are written out, or ten times what it really has


@dataclass(slots=True, kw_only=True)
class Node:
    """Where a value begins; both count from 1. `weight` is the number of nodes below it, aliases written out."""

    line: int
    column: int
    weight: int = 1


@dataclass(slots=True, kw_only=True)
class Scalar(Node):
    text: str
    plain: bool  # written without quotes: only then can it be null, a number or a bool

    @property
    def null(self) -> bool:
        return self.plain and self.text in _NULLS


@dataclass(slots=True, kw_only=True)
class Sequence(Node):
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Mapping(Node):
    """Pairs as written, merge keys resolved (a key of its own wins); `repeated` are keys given twice."""

    pairs: dict[str, tuple[Node, Node]] = field(default_factory=dict)  # key → where the key stands, and the value
    repeated: list[Scalar] = field(default_factory=list)


def compose(text: str, file: str) -> Node | None:
    """The tree of the first document; None where the text holds nothing. Raises ConfigProblem with the position of what is no YAML."""
    try:
        return _Composer(file).document(YAML(typ="safe", pure=True).parse(io.StringIO(text)))
    except ReaderError as error:
        before = text[: error.position]
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _problem(file, *place, f"the character {chr(error.character)!a} is not allowed in YAML") from None
    except MarkedYAMLError as error:
        # What is never closed is noticed at the end of the text; where it was opened helps more.
        unclosed = error.context_mark is not None and error.problem == "found unexpected end of stream"
        mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.problem, error.context) if part) or "not YAML"
        message = message.replace("'<stream end>'", "the end of the file")
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        if mark and text.split("\n")[mark.line][: mark.column].endswith("$"):
            message += " (inside of { } and [ ], put ${NAME} in quotes)"
        raise _problem(file, *place, f"not YAML: {message}") from None
    except YAMLError as error:
        raise _problem(file, 0, 0, f"not YAML: {error}") from None


def _problem(file: str, line: int, column: int, message: str) -> ConfigProblem:
    return ConfigProblem(message, file=file, line=line, column=column)


class _Composer:
    """Turns the parser's events into nodes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, Node | None] = {}  # None: begun, not ended
        self._real = 0

    def document(self, events: Iterator[Any]) -> Node | None:
        for event in events:
            if isinstance(event, DocumentEndEvent):
                break
            if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
                return self._node(event, events, 0)
        return None

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        place = {"line": event.start_mark.line + 1, "column": event.start_mark.column + 1}
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor, **place)
        if depth > _DEEPEST:
            raise _problem(self._file, **place, message=f"nested deeper than {_DEEPEST} levels")
        self._real += 1
        if event.anchor:
            self._anchors[event.anchor] = None
        node: Node
        if isinstance(event, ScalarEvent):
            node = Scalar(**place, text=event.value, plain=not event.style and event.tag != _STRING_TAG)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(Sequence(**place), events, depth)
        else:
            node = self._mapping(Mapping(**place), events, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        if node.weight > _ALIASED and node.weight > 10 * self._real:
            raise _problem(self._file, **place, message="its aliases, written out, make far too large a file")
        return node

    def _alias(self, name: str, line: int, column: int) -> Node:
        if name not in self._anchors:
            raise _problem(self._file, line, column, f"there is no anchor &{name} above this alias")
        node = self._anchors[name]
        if node is None:
            raise _problem(self._file, line, column, f"the alias *{name} stands inside of its own anchor")
        return node

    def _sequence(self, node: Sequence, events: Iterator[Any], depth: int) -> Sequence:
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            item = self._node(event, events, depth + 1)
            node.items.append(item)
            node.weight += item.weight
        return node

    def _mapping(self, node: Mapping, events: Iterator[Any], depth: int) -> Mapping:
        merged: list[Node] = []
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            node.weight += 1 + value.weight
            if not isinstance(key, Scalar):
                raise _problem(self._file, key.line, key.column, "a key must be a plain text, not a list or a map")
            if key.text == "<<" and key.plain:
                merged.append(value)
            elif key.text in node.pairs:
                node.repeated.append(key)
            else:
                node.pairs[key.text] = (key, value)
        for value in merged:
            self._merge(node, value)
        return node

    def _merge(self, node: Mapping, value: Node) -> None:
        for source in value.items if isinstance(value, Sequence) else [value]:
            if not isinstance(source, Mapping):
                raise _problem(self._file, value.line, value.column, "a merge key (<<) takes a map or a list of maps")
            for key, pair in source.pairs.items():
                node.pairs.setdefault(key, pair)
