"""A drawing as PNG, for messages: dark, because most of them are read at night.

Pillow takes some 20 MB and a tenth of a second to import, so this module is imported for the first
picture only, in the thread that draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import pairwise
from math import hypot
from typing import Final

from PIL import Image, ImageColor, ImageDraw, ImageFont

from amproxy.notify.plots.drawing import FONT_SIZE, Drawing, Label, Line, Rectangle
from amproxy.notify.plots.palette import DARK

WIDTH, HEIGHT = 640, 320
SCALE: Final = 2  # pixels of the picture for one of the drawing: sharp on phones
OVERSAMPLING: Final = 2  # lines are drawn larger and made smaller, which smooths them
_ANCHORS: Final = {"start": "ls", "middle": "ms", "end": "rs"}
_DASH: Final = (6.0, 4.0)
_COLOURS: Final = 128  # of the picture: a third of the bytes, and no eye tells


def render_png(drawing: Drawing) -> bytes:
    """The PNG of a drawing."""
    zoom = SCALE * OVERSAMPLING
    size = drawing.width * zoom, drawing.height * zoom
    image = Image.new("RGB", size, DARK.background)
    draw = ImageDraw.Draw(image)
    for mark in drawing.marks:
        if not isinstance(mark, Label):
            _draw(draw, mark, zoom)
    image = image.reduce(OVERSAMPLING)
    draw = ImageDraw.Draw(image)
    for mark in drawing.marks:
        if isinstance(mark, Label):
            at = mark.x * SCALE, mark.y * SCALE
            colour = DARK.colours[mark.role]
            draw.text(at, mark.text, fill=colour, font=_font(), anchor=_ANCHORS[mark.anchor])
    written = BytesIO()
    image.quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(written, "PNG")
    return written.getvalue()


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE * SCALE)  # comes with Pillow: no system has to have it


def _draw(draw: ImageDraw.ImageDraw, mark: Rectangle | Line, zoom: int) -> None:
    colour = DARK.colours[mark.role]
    match mark:
        case Rectangle(x, y, width, height):
            box = (x * zoom, y * zoom, (x + width) * zoom, (y + height) * zoom)
            draw.rectangle(box, fill=_blend(colour))
        case Line(points, role, dashed):
            thick = round((1.0 if role in ("grid", "axis") else 1.75) * zoom)
            scaled = [(x * zoom, y * zoom) for x, y in points]
            for part in _dashes(scaled, zoom) if dashed else [scaled]:
                draw.line(part, fill=colour, width=thick, joint="curve")


def _blend(colour: str) -> tuple[int, ...]:
    """The colour of an area, laid thinly over the background."""
    over, under = ImageColor.getrgb(colour), ImageColor.getrgb(DARK.background)
    share = DARK.firing_opacity
    return tuple(round(o * share + u * (1 - share)) for o, u in zip(over, under, strict=True))


def _dashes(points: list[tuple[float, float]], zoom: int) -> Iterator[list[tuple[float, float]]]:
    dash, pause = (length * zoom for length in _DASH)
    for (x1, y1), (x2, y2) in pairwise(points):
        length = hypot(x2 - x1, y2 - y1)
        at = 0.0
        while at < length:
            ends = at / length, min(at + dash, length) / length
            yield [(x1 + (x2 - x1) * share, y1 + (y2 - y1) * share) for share in ends]
            at += dash + pause
