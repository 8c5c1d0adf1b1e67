"""Matcher sets that may match an alert of which only some labels are known: pure.

A list of incidents asks so for each of them, beside thousands of silences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from amproxy.labels.matchers import Matcher, all_match

T = TypeVar("T")

_Names = tuple[str, ...]


class PartialIndex(Generic[T]):
    """Matcher sets by the labels that they need, each with what stands for it."""

    def __init__(self, sets: Iterable[tuple[T, Sequence[Matcher]]]) -> None:
        # names of the labels that a set needs → sets
        self._sets: dict[_Names, list[tuple[T, Sequence[Matcher]]]] = {}
        # the same and those of them that are known → their values → sets; made when it is asked for
        self._tables: dict[
            tuple[_Names, _Names], dict[_Names, list[tuple[T, Sequence[Matcher]]]]
        ] = {}
        for what, matchers in sets:
            self._sets.setdefault(tuple(sorted(_needs(matchers))), []).append((what, matchers))

    def possible(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Those whose sets none of the known labels contradicts."""
        for names in self._sets:
            known = tuple(name for name in names if name in labels)
            table = self._tables.get((names, known))
            if table is None:
                table = self._tables[names, known] = self._make_table(names, known)
            for what, matchers in table.get(tuple(labels[name] for name in known), ()):
                if all_match((one for one in matchers if one.name in labels), labels):
                    yield what

    def _make_table(
        self, names: _Names, known: _Names
    ) -> dict[_Names, list[tuple[T, Sequence[Matcher]]]]:
        table: dict[_Names, list[tuple[T, Sequence[Matcher]]]] = {}
        for what, matchers in self._sets[names]:
            needs = _needs(matchers)
            values = tuple(needs[name] for name in known)
            table.setdefault(values, []).append((what, matchers))
        return table


def _needs(matchers: Sequence[Matcher]) -> dict[str, str]:
    # a label that must be "" may be absent, so nothing is found by it
    return {one.name: one.value for one in matchers if one.op == "=" and one.value}
