"""Silences found by the labels that they mute, without a look at each: pure.

An index never changes: a change makes another, which shares all but a few copied tables with it. So
whoever holds one, in a thread too, sees the same silences until the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from amproxy.grouping.partial_match import PartialIndex
from amproxy.labels.matchers import (
    LabelsTest,
    Matcher,
    compile_matchers,
    rarest_equality,
)
from amproxy.model import Silence

_NO_END = 2**63  # later than any time in nanoseconds


class _Entry(NamedTuple):
    """One matcher set of a silence, compiled."""

    silence: Silence
    matchers: list[Matcher]
    matches: LabelsTest


_Entries = tuple[_Entry, ...]
_Place = tuple[str, str]  # name and value of the equality matcher it is found by; "" = neither


class SilenceIndex(Mapping[str, Silence]):
    """All silences by id, over or not. Each set is found by one of its equality matchers."""

    def __init__(self, silences: Iterable[Silence] = ()) -> None:
        self._by_id: dict[str, Silence] = {}
        # label name → value → sets that need this value; under "" those that need none
        self._entries: dict[str, dict[str, _Entries]] = {}
        self._places: dict[str, tuple[_Place, ...]] = {}  # of each silence, by its id
        self._earliest_end = _NO_END  # no silence ends before; exact after a search
        self._latest_end = 0  # of all
        filling = dict[str, dict[str, list[_Entry]]]()
        for silence in silences:
            self._by_id[silence.id] = silence
            self._note_end(silence.ends_ns)
            places = []
            for entry in _compile(silence):
                place = _choose_place(entry, filling)
                filling.setdefault(place[0], {}).setdefault(place[1], []).append(entry)
                places.append(place)
            self._places[silence.id] = tuple(places)
        self._entries = {
            name: {value: tuple(found) for value, found in by_value.items()}
            for name, by_value in filling.items()
        }

    def __getitem__(self, silence_id: str) -> Silence:
        return self._by_id[silence_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def changed(self, stored: Iterable[Silence], gone: Iterable[str] = ()) -> SilenceIndex:
        """The index with some silences stored, new or changed, and others deleted."""
        if not self:
            return SilenceIndex(stored)
        result, stored = SilenceIndex(), list(stored)
        result._by_id, result._places = self._by_id.copy(), self._places.copy()
        result._entries = self._entries.copy()
        result._earliest_end, result._latest_end = self._earliest_end, self._latest_end
        copied, was_last = set[str](), False
        for silence_id in [*gone, *(silence.id for silence in stored)]:
            if (old := result._by_id.pop(silence_id, None)) is not None:
                was_last = was_last or old.ends_ns == self._latest_end
                for place in set(result._places.pop(silence_id)):
                    found = result._entries[place[0]].get(place[1], ())
                    left = tuple(one for one in found if one.silence.id != silence_id)
                    result._replace(place, left, copied)
        for silence in stored:
            result._by_id[silence.id] = silence
            result._note_end(silence.ends_ns)
            places = []
            for entry in _compile(silence):
                place = _choose_place(entry, result._entries)
                found = result._entries.get(place[0], {}).get(place[1], ())
                result._replace(place, (*found, entry), copied)
                places.append(place)
            result._places[silence.id] = tuple(places)
        if was_last:
            result._latest_end = max((one.ends_ns for one in result._by_id.values()), default=0)
        return result

    def _note_end(self, ends_ns: int) -> None:
        self._earliest_end = min(self._earliest_end, ends_ns)
        self._latest_end = max(self._latest_end, ends_ns)

    def _replace(self, place: _Place, entries: _Entries, copied: set[str]) -> None:
        """Put other entries in a place; tables that are not `copied` are another index's."""
        name, value = place
        if name not in copied:
            self._entries[name] = self._entries.get(name, {}).copy()
            copied.add(name)
        if entries:
            self._entries[name][value] = entries
        else:
            self._entries[name].pop(value, None)

    def active_at(self, at_ns: int) -> ActiveSilences:
        """The silences in force at a time."""
        return ActiveSilences(self, at_ns)

    def matching(self, labels: Mapping[str, str], at_ns: int) -> list[str]:
        """The ids, in order, of the silences in force at a time that match an alert."""
        found = {
            entry.silence.id
            for name, by_value in self._entries.items()
            for entry in by_value.get(labels.get(name, "") if name else "", ())
            if entry.silence.starts_ns <= at_ns <= entry.silence.ends_ns and entry.matches(labels)
        }
        return sorted(found)

    def may_match(self, common_labels: Mapping[str, str], from_ns: int) -> bool:
        """Decide whether a silence may match an alert of which only some labels are known.

        Those that are over before `from_ns` do not.
        """
        return any(one.ends_ns >= from_ns for one in self._partial.possible(common_labels))

    @cached_property
    def _partial(self) -> PartialIndex[Silence]:
        return PartialIndex(
            (entry.silence, entry.matchers)
            for by_value in self._entries.values()
            for entries in by_value.values()
            for entry in entries
        )

    def is_over_at(self, at_ns: int) -> bool:
        """Decide whether all silences are over at a time."""
        return at_ns > self._latest_end

    def ended_before(self, at_ns: int) -> list[str]:
        """The ids of the silences that ended before a time; costs nothing where none did."""
        if self._earliest_end >= at_ns:
            return []
        self._earliest_end = min((one.ends_ns for one in self._by_id.values()), default=_NO_END)
        return [one.id for one in self._by_id.values() if one.ends_ns < at_ns]


class ActiveSilences(NamedTuple):
    """The silences in force at a time."""

    known: SilenceIndex  # those that are not in force too
    at_ns: int

    def __bool__(self) -> bool:
        """False where there are certainly none: all are over."""
        return not self.known.is_over_at(self.at_ns)

    def matching(self, labels: Mapping[str, str]) -> list[str]:
        """The ids of those that match an alert, in order."""
        return self.known.matching(labels, self.at_ns)


def _compile(silence: Silence) -> Iterator[_Entry]:
    for matchers in silence.matcher_sets:
        yield _Entry(silence, matchers, compile_matchers(matchers))


def _choose_place(entry: _Entry, entries: Mapping[str, Mapping[str, Collection[_Entry]]]) -> _Place:
    """The emptiest place; ("", "") where no equality matcher has one."""
    return rarest_equality(
        entry.matchers, lambda name, value: len(entries.get(name, {}).get(value, ()))
    )
