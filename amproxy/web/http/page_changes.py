"""Changes between two drawings of a page, line by line, for a reader who has the first.

The service keeps numbers in the place of the lines that a reader has, so that a page of 200 kB
takes about 20. Pure.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from typing import Final

KEPT: Final = 500  # drawings that are remembered

# A text that is new, or the number of the first line and of the lines that stay.
Piece = str | tuple[int, int]


def number_lines(text: str) -> array[int]:
    """A number for each line of a text: equal for equal lines, and only within this process."""
    return array("q", map(hash, text.split("\n")))


def find_changes(known: Sequence[int], text: str) -> list[Piece]:
    """The pieces of which a text is put together. known: the numbers of the lines there are.

    Pieces are joined by line breaks.
    """
    places: dict[int, int] = {}  # of lines that are there once: only they tell where others went on
    for place, number in enumerate(known):
        places[number] = -1 if number in places else place
    pieces: list[Piece] = []
    fresh: list[str] = []
    first = end = 0  # the lines that stay, as far as they are known to
    for line in text.split("\n"):
        number = hash(line)
        place = _place(known, places, number, end)
        if place < 0:
            fresh.append(line)
            # one line in the place of another: what follows stays where it is
            pieces += [(first, end - first)] if end > first else []
            first = end = end + 1
            continue
        if fresh:
            pieces.append("\n".join(fresh))
            fresh, first, end = [], place, place
        elif place != end:
            pieces += [(first, end - first)] if end > first else []
            first = end = place
        end += 1
    pieces += [(first, end - first)] if end > first else []
    return [*pieces, "\n".join(fresh)] if fresh else pieces


def _place(known: Sequence[int], places: dict[int, int], number: int, end: int) -> int:
    """The place where a line stays, at best right behind the lines before it; -1 = nowhere."""
    if end < len(known) and known[end] == number:
        return end
    return places.get(number, -1)


class KnownPages:
    """The drawings that readers may still have, by who sees them and their tag."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[Hashable, str], array[int]] = OrderedDict()

    def add(self, sees: Hashable, tag: str, text: str) -> None:
        """Remember a drawing that a reader gets."""
        if (sees, tag) not in self._pages:
            self._pages[sees, tag] = number_lines(text)
        self._pages.move_to_end((sees, tag))
        if len(self._pages) > KEPT:
            self._pages.popitem(last=False)

    def find(self, sees: Hashable, tags: Iterator[str]) -> tuple[str, array[int]] | None:
        """The tag and lines of the first of these drawings that is remembered."""
        for tag in tags:
            if (known := self._pages.get((sees, tag))) is not None:
                return tag, known
        return None
