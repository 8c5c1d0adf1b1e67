"""YAML as Alertmanager reads it: as a tree of nodes with positions, and as a layout with offsets.

The tree (`compose`) is for reading: nodes know their line, and scalars keep their literal text, to
be typed later by the field that reads them (`17:00` is no number here). The layout (`parse_layout`)
is for changing a text: it knows where each value begins and ends, in characters from the start, so
that all the rest stays byte for byte. In both only the first document counts, and anchors, aliases
and merge keys work. The scanner is libyaml, of which Alertmanager's is a port.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

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
from amproxy.text import Phrase, PhraseValue

_NULL_SCALARS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_STRING_TAG: Final = "tag:yaml.org,2002:str"
_MAX_DEPTH: Final = 200  # readers recurse once a level
_TOO_DEEP: Final = Phrase("problem.yaml_depth", {"most": _MAX_DEPTH})
# Of characters. YAML has this limit for all keys but those after a question mark; each value's path
# repeats the keys above it.
_MAX_KEY: Final = 1024
# Aliases of aliases grow exponentially ("billion laughs"). A file may have this many nodes once its
# aliases are written out, or ten times its real number.
_MAX_ALIASED_NODES: Final = 100_000
_MAX_VALUES: Final = 1_000_000  # of a layout; whatever `compose` accepts has fewer
# A colon that begins no value, so that it is part of a text; quotes and brackets may end a key.
_COLON_WITHIN: Final = re.compile(r"(?<![\"'\]}]):(?=[^\s,\[\]{}])")
_COLON: Final = "\ue000"  # for private use: no file has it
# Text that may stand before the dash of an entry: spaces, comments, anchors and tags.
_BEFORE_DASH: Final = re.compile(r"(?:\s+|(?<!\S)#[^\n]*|[&!]\S+)*")

_Read = TypeVar("_Read")


@dataclass(slots=True, kw_only=True)
class YamlNode:
    """A value that knows where it begins; line and column count from 1.

    `weight` is the number of nodes below it, aliases written out.
    """

    line: int
    column: int
    weight: int = 1


@dataclass(slots=True, kw_only=True)
class ScalarNode(YamlNode):
    text: str
    plain: bool  # written without quotes: only then can it be null, a number or a bool

    @property
    def null(self) -> bool:
        return self.plain and self.text in _NULL_SCALARS


@dataclass(slots=True, kw_only=True)
class SequenceNode(YamlNode):
    items: list[YamlNode] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class MappingNode(YamlNode):
    """Pairs as written: key → (the key's node, the value). A key of its own wins over a merged one.

    `repeated` are keys given twice, with the values that came later.
    """

    pairs: dict[str, tuple[YamlNode, YamlNode]] = field(default_factory=dict)
    repeated: list[tuple[ScalarNode, YamlNode]] = field(default_factory=list)


def compose(text: str, file: str) -> YamlNode | None:
    """The tree of the first document; None for a text without any.

    Raises ConfigProblem with the position of what is no YAML.
    """
    try:
        return _read(text, lambda events: _Composer(file).document(events))
    except ReaderError as error:
        # libyaml counts bytes
        before = text.encode()[: error.position].decode(errors="ignore")
        raise _character_problem(text, file, len(before)) from None
    except UnicodeEncodeError as error:
        raise _character_problem(text, file, error.start) from None
    except MarkedYAMLError as error:
        raise _syntax_problem(text, file, error) from None


def _read(text: str, read: Callable[[Iterator[Any]], _Read]) -> _Read:
    """Call `read` with the parser's events; their marks count lines and characters from 0."""
    try:
        return read(_parse(text))
    except MarkedYAMLError:
        # libyaml refuses colons in texts inside of brackets, such as [::1] and [17:00], which are
        # allowed today. A character of the same width stands in for them.
        standing_in = _COLON_WITHIN.sub(_COLON, text)
        if standing_in == text or _COLON in text:
            raise
    return read(map(_with_colons, _parse(standing_in)))


def _parse(text: str) -> Iterator[Any]:
    """The parser's events, by libyaml."""
    events: Iterator[Any] = YAML(typ="safe", pure=False).parse(text)
    return events


def _with_colons(event: Any) -> Any:
    if isinstance(event, ScalarEvent):
        event.value = event.value.replace(_COLON, ":")
    return event


def _character_problem(text: str, file: str, position: int) -> ConfigProblem:
    place = _place_after(text[:position])
    words = Phrase("problem.yaml_character", {"character": ascii(text[position])})
    return _problem(file, *place, words)


def _place_after(text: str) -> tuple[int, int]:
    """The line and column, from 1, of what would follow a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _syntax_problem(text: str, file: str, error: MarkedYAMLError) -> ConfigProblem:
    # An unclosed quote or bracket is noticed at the end of the text; where it opens helps more.
    unclosed = error.context_mark is not None and error.problem == "found unexpected end of stream"
    mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
    message = " ".join(filter(None, (error.problem, error.context))) or "not YAML"
    reason: PhraseValue = message
    if mark is None:
        return _problem(file, 0, 0, Phrase("problem.not_yaml", {"reason": reason}))
    if "nesting depth" in message:  # libyaml's own limit: it reads ahead of the events
        reason = _TOO_DEEP
    at_end = mark.index >= len(text.rstrip())
    key = "problem.not_yaml"
    if at_end:
        key = "problem.not_yaml_at_end"
    elif text[: mark.index].endswith("$"):
        key = "problem.not_yaml_variable"
    words = Phrase(key, {"reason": reason})
    if mark.index >= len(text):  # libyaml is in a line after the last one by then
        return _problem(file, *_place_after(text), words)
    return _problem(file, mark.line + 1, mark.column + 1, words)


def _problem(file: str, line: int, column: int, words: Phrase) -> ConfigProblem:
    return ConfigProblem(words, file=file, line=line, column=column)


class _Composer:
    """Turns the parser's events into nodes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, YamlNode | None] = {}  # None: begun, not ended
        self._real = 0  # nodes that the file has, aliases not written out

    def document(self, events: Iterator[Any]) -> YamlNode | None:
        """The root node of the first document."""
        for event in events:
            if isinstance(event, DocumentEndEvent):
                break
            if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
                return self._node(event, events, 0)
        return None

    def _problem_at(self, node: YamlNode, words: Phrase) -> ConfigProblem:
        return _problem(self._file, node.line, node.column, words)

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> YamlNode:
        place = {"line": event.start_mark.line + 1, "column": event.start_mark.column + 1}
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor, **place)
        if depth > _MAX_DEPTH:
            raise _problem(self._file, **place, words=_TOO_DEEP)
        self._real += 1
        if event.anchor:
            self._anchors[event.anchor] = None
        node: YamlNode
        if isinstance(event, ScalarEvent):
            plain = not event.style and event.tag != _STRING_TAG
            node = ScalarNode(**place, text=event.value, plain=plain)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(SequenceNode(**place), events, depth)
        else:
            node = self._mapping(MappingNode(**place), events, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        if node.weight > _MAX_ALIASED_NODES and node.weight > 10 * self._real:
            raise self._problem_at(node, Phrase("problem.yaml_aliases"))
        return node

    def _alias(self, name: str, line: int, column: int) -> YamlNode:
        if name not in self._anchors:
            words = Phrase("problem.yaml_no_anchor", {"anchor": name})
            raise _problem(self._file, line, column, words)
        node = self._anchors[name]
        if node is None:
            words = Phrase("problem.yaml_alias_inside", {"alias": name})
            raise _problem(self._file, line, column, words)
        return node

    def _sequence(self, node: SequenceNode, events: Iterator[Any], depth: int) -> SequenceNode:
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            item = self._node(event, events, depth + 1)
            node.items.append(item)
            node.weight += item.weight
        return node

    def _mapping(self, node: MappingNode, events: Iterator[Any], depth: int) -> MappingNode:
        merged: list[YamlNode] = []
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            node.weight += 1 + value.weight
            if not isinstance(key, ScalarNode):
                raise self._problem_at(key, Phrase("problem.yaml_key_kind"))
            if len(key.text) > _MAX_KEY:
                raise self._problem_at(key, Phrase("problem.yaml_key_length", {"most": _MAX_KEY}))
            if key.text == "<<" and key.plain:
                merged.append(value)
            elif key.text in node.pairs:
                node.repeated.append((key, value))
            else:
                node.pairs[key.text] = (key, value)
        # Only now: a key of its own wins, even one that follows the merge key.
        for value in merged:
            self._merge(node, value)
        return node

    def _merge(self, node: MappingNode, value: YamlNode) -> None:
        for source in value.items if isinstance(value, SequenceNode) else [value]:
            if not isinstance(source, MappingNode):
                raise self._problem_at(value, Phrase("problem.yaml_merge_key"))
            for key, pair in source.pairs.items():
                node.pairs.setdefault(key, pair)


# The data of a layout: None, a text (PlainScalar where it has no quotes), a list, a dict of texts.
YamlData = Any


class PlainScalar(str):
    """A value without quotes: a number or a bool, where it looks like one."""

    __slots__ = ()


@dataclass(slots=True, kw_only=True, eq=False)
class LayoutValue:
    """One value. `end` is the offset after its last character; comments after it are not in it."""

    start: int
    end: int
    data: YamlData
    anchor: str = ""
    alias: str = ""  # not "": *alias stands here, the value elsewhere
    style: str = ""  # of a text: "", "'", '"', "|" or ">"


@dataclass(slots=True, kw_only=True, eq=False)
class LayoutElement:
    """An entry of a list or a pair of a map: from its dash or key on."""

    begin: int
    key: str = ""
    value: LayoutValue


@dataclass(slots=True, kw_only=True, eq=False)
class LayoutCollection(LayoutValue):
    """A list or a map. `merged` are the keys that merge keys (<<) bring in."""

    flow: bool  # written with brackets
    column: int = 0  # of the entries, from 0; without brackets only
    elements: list[LayoutElement] = field(default_factory=list)
    merged: frozenset[str] = frozenset()


def parse_layout(text: str, file: str) -> LayoutValue | None:
    """The values of the first document; None for a text without any.

    Raises ConfigProblem for what is no YAML.
    """
    try:
        return _read(text, lambda events: _LayoutParser(text).document(events))
    except (YAMLError, UnicodeEncodeError, KeyError, OverflowError):
        compose(text, file)  # raises with the position and the reason
        raise ConfigProblem(Phrase("problem.yaml_unchangeable"), file=file) from None


class _LayoutParser:
    """Turns the parser's events into values; raises plain errors, which `compose` explains."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Anchor → its value, and the number of values in it, aliases written out.
        self._anchors: dict[str, tuple[LayoutValue, int]] = {}
        self._count = 0

    def document(self, events: Iterator[Any]) -> LayoutValue | None:
        """The root value of the first document."""
        for event in events:
            if isinstance(event, DocumentEndEvent):
                break
            if hasattr(event, "anchor"):
                return self._value(event, events, 0)
        return None

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> LayoutValue:
        start, end, before = event.start_mark.index, event.end_mark.index, self._count
        self._count += 1
        if depth > _MAX_DEPTH:
            raise OverflowError
        found: LayoutValue
        if isinstance(event, AliasEvent):
            anchored, weight = self._anchors[event.anchor]
            self._count += weight
            if self._count > _MAX_VALUES:
                raise OverflowError
            return LayoutValue(start=start, end=end, data=anchored.data, alias=event.anchor)
        if isinstance(event, ScalarEvent):
            found = self._scalar(event, start, end)
        elif isinstance(event, MappingStartEvent):
            empty = LayoutCollection(start=start, end=end, data={}, flow=bool(event.flow_style))
            found = self._map(empty, events, depth + 1)
        else:
            empty = LayoutCollection(start=start, end=end, data=[], flow=bool(event.flow_style))
            found = self._list(empty, events, depth + 1)
        if event.anchor:
            found.anchor = event.anchor
            self._anchors[event.anchor] = found, self._count - before
        return found

    def _scalar(self, event: Any, start: int, end: int) -> LayoutValue:
        style = event.style or ""
        written = self._text[start:end]
        if written.strip():
            start, end = start + len(written) - len(written.lstrip()), start + len(written.rstrip())
        if style:
            return LayoutValue(start=start, end=end, data=event.value, style=style)
        data = None if event.value in _NULL_SCALARS else PlainScalar(event.value)
        return LayoutValue(start=start, end=end, data=data)

    def _list(self, found: LayoutCollection, events: Iterator[Any], depth: int) -> LayoutCollection:
        last = found.start
        for event in events:
            if isinstance(event, SequenceEndEvent):
                found.end = event.end_mark.index if found.flow else last
                break
            if found.flow:
                value = self._value(event, events, depth)
                begin = value.start
            else:
                # The parser has no event for a dash: it stands after what may precede it.
                spaces = _BEFORE_DASH.match(self._text, last)
                begin = spaces.end() if spaces else last
                value = self._value(event, events, depth)
            found.elements.append(LayoutElement(begin=begin, value=value))
            found.data.append(value.data)
            last = value.end
        return self._set_column(found)

    def _map(self, found: LayoutCollection, events: Iterator[Any], depth: int) -> LayoutCollection:
        last, merged = found.start, []
        for event in events:
            if isinstance(event, MappingEndEvent):
                found.end = event.end_mark.index if found.flow else last
                break
            key = self._value(event, events, depth)
            value = self._value(next(events), events, depth)
            if isinstance(key, LayoutCollection):
                raise KeyError  # no key can be a collection; `compose` reports the position
            element = LayoutElement(begin=key.start, key=str(key.data or ""), value=value)
            found.elements.append(element)
            last = max(value.end, key.end + 1)  # + 1: the colon
            if key.data == "<<" and isinstance(key.data, PlainScalar):
                merged += value.data if isinstance(value.data, list) else [value.data]
            else:
                found.data.setdefault(element.key, value.data)
        for source in merged:
            found.merged |= {key for key in source if key not in found.data}
            for key, inherited in source.items():
                found.data.setdefault(key, inherited)
        return self._set_column(found)

    def _set_column(self, found: LayoutCollection) -> LayoutCollection:
        if found.elements and not found.flow:
            found.start = found.elements[0].begin  # after its anchor
            found.column = found.start - (self._text.rfind("\n", 0, found.start) + 1)
        return found
