"""Where each value of a YAML text begins and ends, so that a part can be changed and the rest stays as it is, byte for byte.

Offsets count characters from the start of the text. Alertmanager's reading of YAML, as in `tree`: the first document counts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, DocumentEndEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from amproxy.config.yaml import compose
from amproxy.errors import ConfigProblem

Data = Any  # what a part of the file says: None, a text (Plain where it is written without quotes), a list, or a dict of texts

_MOST: Final = 1_000_000  # values once aliases are written out: what `tree` takes in any case is less
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TO_DASH: Final = re.compile(r"(?:\s+|(?<!\S)#[^\n]*|[&!]\S+)*")  # what may stand before the dash of an entry


class Plain(str):
    """A value without quotes: a number or a bool, where it looks like one."""

    __slots__ = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Value:
    """One value. `end` is where its last character ends: comments after it are not part of it."""

    start: int
    end: int
    data: Data
    anchor: str = ""
    alias: str = ""  # not written here: *alias stands here
    style: str = ""  # of a text: "", "'", '"', "|" or ">"


@dataclass(slots=True, kw_only=True, eq=False)
class Element:
    """An entry of a list or a pair of a map: from its dash or key on."""

    begin: int
    key: str = ""
    value: Value


@dataclass(slots=True, kw_only=True, eq=False)
class Collection(Value):
    """A list or a map. `merged` are the keys that merge keys (<<) bring in."""

    flow: bool  # written with brackets
    column: int = 0  # where the entries of one without brackets begin, from 0
    elements: list[Element] = field(default_factory=list)
    merged: frozenset[str] = frozenset()


def layout(text: str, file: str) -> Value | None:
    """The values of the first document; None where the text holds nothing. Raises ConfigProblem for what is no YAML."""
    try:
        return _Reader(text).document(YAML(typ="safe", pure=True).parse(io.StringIO(text)))
    except (YAMLError, KeyError, OverflowError, RecursionError):
        compose(text, file)  # says where, and why
        raise ConfigProblem("not YAML that can be changed from here", file=file) from None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._anchors: dict[str, tuple[Value, int]] = {}  # and how many values are in it, aliases written out
        self._count = 0

    def document(self, events: Iterator[Any]) -> Value | None:
        for event in events:
            if isinstance(event, DocumentEndEvent):
                break
            if hasattr(event, "anchor"):
                return self._value(event, events)
        return None

    def _value(self, event: Any, events: Iterator[Any]) -> Value:
        start, end, before = event.start_mark.index, event.end_mark.index, self._count
        self._count += 1
        found: Value
        if isinstance(event, AliasEvent):
            anchored, weight = self._anchors[event.anchor]
            self._count += weight
            if self._count > _MOST:
                raise OverflowError
            return Value(start=start, end=end, data=anchored.data, alias=event.anchor)
        if isinstance(event, ScalarEvent):
            found = self._scalar(event, start, end)
        elif isinstance(event, MappingStartEvent):
            found = self._map(Collection(start=start, end=end, data={}, flow=bool(event.flow_style)), events)
        else:
            found = self._list(Collection(start=start, end=end, data=[], flow=bool(event.flow_style)), events)
        if event.anchor:
            found.anchor = event.anchor
            self._anchors[event.anchor] = found, self._count - before
        return found

    def _scalar(self, event: Any, start: int, end: int) -> Value:
        style = event.style or ""
        written = self._text[start:end]
        if written.strip():
            start, end = start + len(written) - len(written.lstrip()), start + len(written.rstrip())
        if style:
            return Value(start=start, end=end, data=event.value, style=style)
        return Value(start=start, end=end, data=None if event.value in _NULLS else Plain(event.value))

    def _list(self, found: Collection, events: Iterator[Any]) -> Collection:
        last = found.start
        for event in events:
            if isinstance(event, SequenceEndEvent):
                found.end = event.end_mark.index if found.flow else last
                break
            if found.flow:
                value = self._value(event, events)
                begin = value.start
            else:
                spaces = _TO_DASH.match(self._text, last)
                begin = spaces.end() if spaces else last
                value = self._value(event, events)
            found.elements.append(Element(begin=begin, value=value))
            found.data.append(value.data)
            last = value.end
        return self._placed(found)

    def _map(self, found: Collection, events: Iterator[Any]) -> Collection:
        last, merged = found.start, []
        for event in events:
            if isinstance(event, MappingEndEvent):
                found.end = event.end_mark.index if found.flow else last
                break
            key, value = self._value(event, events), self._value(next(events), events)
            if isinstance(key, Collection):
                raise KeyError  # `compose` says where
            found.elements.append(Element(begin=key.start, key=str(key.data or ""), value=value))
            last = max(value.end, key.end + 1)  # the colon
            if key.data == "<<" and isinstance(key.data, Plain):
                merged += value.data if isinstance(value.data, list) else [value.data]
                found.elements[-1].key = "<<"
            else:
                found.data.setdefault(found.elements[-1].key, value.data)
        for source in merged:
            found.merged |= {key for key in source if key not in found.data}
            for key, inherited in source.items():
                found.data.setdefault(key, inherited)
        return self._placed(found)

    def _placed(self, found: Collection) -> Collection:
        if found.elements and not found.flow:
            found.start = found.elements[0].begin  # after its anchor
            found.column = found.elements[0].begin - (self._text.rfind("\n", 0, found.elements[0].begin) + 1)
        return found
