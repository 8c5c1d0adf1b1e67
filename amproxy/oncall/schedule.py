"""One schedule: layers and overrides laid over each other, at a moment and between moments. Moments in and out are in UTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from amproxy.oncall.layers import Cover, LayerCover, Stretch


class Piece(NamedTuple):
    """From `start` to `end` (exclusive) nothing changes. Neighbours may say the same."""

    start: datetime
    end: datetime
    stretch: Stretch


class Timeline:
    """Layers from the lowest to the highest, and the overrides above them, from the highest to the lowest."""

    def __init__(self, layers: Sequence[LayerCover], overrides: Sequence[Cover], nobody: str = "no layer is active") -> None:
        """`nobody`: what to say where no layer is active."""
        self._layers, self._nobody = layers, nobody
        self.covers: Sequence[Cover] = [*overrides, *reversed(layers)]  # from the highest to the lowest

    def pieces(self, start: datetime, end: datetime) -> Iterator[Piece]:
        """What holds from `start` to `end`, without gap or overlap; every change of who and why is an edge."""
        held: list[Stretch | None] = [None] * len(self.covers)
        while start < end:
            until, why = end, ""
            for position, cover in enumerate(self.covers):
                stretch = held[position]
                if stretch is None or stretch.end <= start:
                    stretch = held[position] = cover.stretch(start)
                until, why = min(until, stretch.end), why or stretch.reason
                if stretch.users:
                    break
            else:
                stretch = Stretch(until, (), f"nobody: {why or self._nobody}")
            yield Piece(start, until, stretch)
            start = until

    def turn_after(self, at: datetime) -> Stretch:
        """The people of the next turn, in its order, of the layer that is on call, or would be without override."""
        why = ""
        for layer in reversed(self._layers):
            stretch = layer.stretch(at)
            if stretch.users:
                return Stretch(stretch.end, layer.following(at), f"next turn of layer {stretch.layer}", stretch.layer)
            why = why or stretch.reason
        return Stretch(at, (), f"nobody: {why or self._nobody}")
