"""The icons of the app that a phone installs: `python -m tools.icons` draws them into web/static/.

A line as of a pulse, on a square. SVG where a browser takes it, PNG in the sizes that phones want;
both from the same numbers, so that no image program is needed.
"""

from __future__ import annotations

import argparse
import math
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent.parent / "amproxy" / "web" / "static"
# In a square of 32: the corners of the line, half its width, and the rounding of the square.
PULSE: Final = ((5.0, 17.0), (10.0, 17.0), (13.5, 8.0), (19.5, 24.0), (22.5, 17.0), (27.0, 17.0))
SIDE, HALF_WIDTH, ROUNDING = 32.0, 1.5, 9.0
GROUND: Final = (0x24, 0x50, 0xD0)
LINE: Final = (0xFF, 0xFF, 0xFF)

Colour = tuple[int, int, int]


class Icon(NamedTuple):
    """A PNG: its name, pixels a side, and its form."""

    name: str
    pixels: int
    rounding: float = ROUNDING  # 0 = the system cuts the corners
    scale: float = 1.0  # of the line, around the centre
    ground: Colour | None = GROUND


ICONS: Final = (
    Icon("icon-192.png", 192),
    Icon("icon-512.png", 512),
    # Systems cut a circle or another form out of it: the line stays within four fifths.
    Icon("icon-maskable-512.png", 512, rounding=0.0, scale=0.75),
    Icon("icon-apple-180.png", 180, rounding=0.0, scale=0.85),
    # Of a status bar, which takes the shape alone.
    Icon("badge-96.png", 96, scale=1.1, ground=None),
)


def svg() -> str:
    """The icon as SVG."""
    (x, y), *rest = PULSE
    path = f"M{x:g} {y:g}" + "".join(f"L{x:g} {y:g}" for x, y in rest)
    ground = "#" + "".join(f"{part:02x}" for part in GROUND)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE:g} {SIDE:g}">'
        f'<rect width="{SIDE:g}" height="{SIDE:g}" rx="{ROUNDING:g}" fill="{ground}"/>'
        f'<path d="{path}" fill="none" stroke="#fff" stroke-width="{2 * HALF_WIDTH:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/></svg>\n'
    )


def png(icon: Icon) -> bytes:
    """The icon as PNG, with transparency."""
    rows = b"".join(b"\0" + bytes(_row(icon, row)) for row in range(icon.pixels))
    header = struct.pack(">IIBBBBB", icon.pixels, icon.pixels, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _row(icon: Icon, row: int) -> Iterator[int]:
    """Red, green, blue and opacity of each pixel of a row."""
    pixel = SIDE / icon.pixels
    y = (row + 0.5) * pixel
    for column in range(icon.pixels):
        x = (column + 0.5) * pixel
        line = _cover(_line_distance(x, y, icon.scale), pixel)
        ground = _cover(_square_distance(x, y, icon.rounding), pixel) if icon.ground else line
        below = icon.ground or LINE
        yield from (round(b + (a - b) * line) for a, b in zip(LINE, below, strict=True))
        yield round(255 * ground)


def _cover(distance: float, pixel: float) -> float:
    """The share of a pixel within a form, by the distance of its centre; below 0 = inside."""
    return min(1.0, max(0.0, 0.5 - distance / pixel))


def _line_distance(x: float, y: float, scale: float) -> float:
    x, y = ((x - SIDE / 2) / scale + SIDE / 2, (y - SIDE / 2) / scale + SIDE / 2)
    nearest = min(_segment_distance(x, y, *pair) for pair in pairwise(PULSE))
    return scale * (nearest - HALF_WIDTH)


def _segment_distance(
    x: float, y: float, start: tuple[float, float], end: tuple[float, float]
) -> float:
    along = (end[0] - start[0], end[1] - start[1])
    part = (x - start[0]) * along[0] + (y - start[1]) * along[1]
    part = min(1.0, max(0.0, part / (along[0] ** 2 + along[1] ** 2)))
    return math.hypot(x - start[0] - part * along[0], y - start[1] - part * along[1])


def _square_distance(x: float, y: float, rounding: float) -> float:
    outer = [abs(one - SIDE / 2) - SIDE / 2 + rounding for one in (x, y)]
    beyond = math.hypot(*(max(0.0, one) for one in outer))
    return beyond + min(0.0, max(outer)) - rounding


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    (FOLDER / "icon.svg").write_text(svg(), "utf-8")
    for icon in ICONS:
        (FOLDER / icon.name).write_bytes(png(icon))


if __name__ == "__main__":
    main()
