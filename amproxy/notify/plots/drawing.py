"""The layout of a picture: marks with places and roles, which SVG and PNG draw alike. Pure.

Lengths are pixels from the upper left corner. Colours belong to the roles, and to who draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.notify.plots.series import Period, Plot, Series, differing_labels
from amproxy.text import Texts
from amproxy.text.formats import clock_text
from amproxy.text.render import day_text

FONT_SIZE: Final = 12
CHARACTER: Final = 0.58  # of the font's size: the width of a character on average
MARGIN: Final = 10
LINE: Final = 18  # height of a line of text
Y_TICKS: Final = 4
X_TICK_WIDTH: Final = 80  # for "14:30" with room around it, or "12 Mar"
GAP_STEPS: Final = 2.5  # steps without a point, after which a line is broken
HEADROOM: Final = 0.08  # of the values' span, above and below
_TIME_STEPS: Final = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800)
_PREFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

# "series0" … are colours of lines; "limit" is the threshold and "fires" the time of the alert.
Role = str
Anchor = Literal["start", "middle", "end"]


class Rectangle(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    role: Role


class Line(NamedTuple):
    points: tuple[tuple[float, float], ...]
    role: Role
    dashed: bool = False


class Label(NamedTuple):
    x: float
    y: float  # of the base line
    text: str
    role: Role
    anchor: Anchor = "start"


Mark = Rectangle | Line | Label


class Drawing(NamedTuple):
    width: int
    height: int
    marks: list[Mark]


class _Frame(NamedTuple):
    """The field in which values and times have places."""

    left: float
    top: float
    right: float
    bottom: float
    period: Period
    low: float
    high: float

    def x(self, at: float) -> float:
        share = (at - self.period.begin) / (self.period.end - self.period.begin)
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)


def draw_plot(plot: Plot, width: int, height: int, zone: ZoneInfo, t: Texts) -> Drawing:
    """The picture of a plot, with times on the clock of a zone, as the reader of texts has them."""
    low, high = _value_range(plot)
    ticks = value_ticks(low, high)
    texts = _tick_texts(ticks)
    names = differing_labels(plot.series) if len(plot.series) > 1 else []
    legend = list(_legend(names, plot.left_out, width, height))
    frame = _Frame(
        left=MARGIN + max(map(_text_width, texts), default=0) + 6,
        top=MARGIN + LINE + 14,
        right=width - MARGIN,
        bottom=height - MARGIN - LINE - (LINE if legend else 0),
        period=plot.period,
        low=low,
        high=high,
    )
    marks: list[Mark] = [
        Label(MARGIN, MARGIN + FONT_SIZE, _clip(_title(plot), width - 2 * MARGIN), "title"),
        *_firing(plot, frame),
        *_value_axis(frame, ticks, texts),
        *_time_axis(frame, zone, t),
        *_lines(plot, frame),
        *_limit(plot, frame),
        *_beginning(plot, frame, zone, t),
        *legend,
    ]
    return Drawing(width, height, marks)


def draw_notice(text: str, width: int, height: int) -> Drawing:
    """A picture that says why there is none."""
    lines = _wrap(text, width - 4 * MARGIN)
    top = height / 2 - (len(lines) - 1) * LINE / 2
    return Drawing(
        width,
        height,
        [Label(width / 2, top + n * LINE, one, "text", "middle") for n, one in enumerate(lines)],
    )


def _wrap(text: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _text_width(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _title(plot: Plot) -> str:
    """The measured expression, in one line."""
    return " ".join(plot.condition.measured.split())


def _text_width(text: str) -> float:
    return len(text) * FONT_SIZE * CHARACTER


def _clip(text: str, width: float) -> str:
    most = max(1, int(width / (FONT_SIZE * CHARACTER)))
    return text if len(text) <= most else text[: most - 1] + "…"


# Values


def _value_range(plot: Plot) -> tuple[float, float]:
    """The least and the greatest value that have a place, the threshold among them.

    0 is among them where it is near.
    """
    values = [value for one in plot.series for _, value in one.points]
    if plot.condition.threshold is not None:
        values.append(plot.condition.threshold)
    low, high = min(values, default=0.0), max(values, default=1.0)
    if 0 < low <= high / 2:
        low = 0.0
    if high < 0 and high >= low / 2:
        high = 0.0
    if low == high:
        low, high = (low - 1, high + 1) if low == 0 else (low - abs(low) / 2, high + abs(low) / 2)
    span = high - low
    return low if low == 0 else low - span * HEADROOM, high + span * HEADROOM if high else 0.0


def value_ticks(low: float, high: float) -> list[float]:
    """Round values between two, about as many as Y_TICKS."""
    rough = (high - low) / Y_TICKS
    if not rough > 0 or not math.isfinite(rough):
        return []
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next((n * magnitude for n in (1, 2, 2.5, 5) if n * magnitude >= rough), 10 * magnitude)
    first = math.ceil(low / step)
    ticks = [(first + n) * step for n in range(2 * Y_TICKS + 2)]
    return [tick for tick in ticks if tick <= high]


def _tick_texts(ticks: list[float]) -> list[str]:
    """Texts of one precision, so that all differ: "0", "500k", "1M"."""
    texts = [short_number(tick, 3) for tick in ticks]
    return texts if len(set(texts)) == len(texts) else [f"{tick:.7g}" for tick in ticks]


def short_number(value: float, digits: int = 4) -> str:
    """A number for people: "1.5k", "20M", "0.05"."""
    for size, prefix in _PREFIXES:
        if size <= abs(value) < size * 1e3:
            return f"{value / size:.{digits}g}{prefix}"
    return f"{value:.{digits}g}"


def _value_axis(frame: _Frame, ticks: list[float], texts: list[str]) -> Iterator[Mark]:
    for tick, text in zip(ticks, texts, strict=True):
        y = frame.y(tick)
        yield Line(((frame.left, y), (frame.right, y)), "grid")
        yield Label(frame.left - 6, y + FONT_SIZE / 3, text, "text", "end")


# Times


def _time_axis(frame: _Frame, zone: ZoneInfo, t: Texts) -> Iterator[Mark]:
    period = frame.period
    room = max(2, int((frame.right - frame.left) / X_TICK_WIDTH))
    length = period.end - period.begin
    step = next((one for one in _TIME_STEPS if length / one <= room), _TIME_STEPS[-1])
    while length / step > room:
        step *= 2
    yield Line(((frame.left, frame.bottom), (frame.right, frame.bottom)), "axis")
    for at in _round_times(period, step, zone):
        x = frame.x(at)
        yield Line(((x, frame.bottom), (x, frame.bottom + 4)), "axis")
        text = _clip(_clock(at, zone, t, dates=step >= 86400), X_TICK_WIDTH)
        half = _text_width(text) / 2
        if x + half <= frame.right + MARGIN and x - half >= 0:
            yield Label(x, frame.bottom + LINE, text, "text", "middle")


def _round_times(period: Period, step: int, zone: ZoneInfo) -> Iterator[float]:
    """Times that are round on the clock of a zone; where it is put on or back they may be less."""
    offset = datetime.fromtimestamp(period.begin, zone).utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    at = math.ceil((period.begin + shift) / step) * step - shift
    while at <= period.end:
        yield at
        at += step


def _clock(at: float, zone: ZoneInfo, t: Texts, *, dates: bool = False) -> str:
    when = datetime.fromtimestamp(at, zone)
    return day_text(when, t) if dates else clock_text(when, t.times)


def _firing(plot: Plot, frame: _Frame) -> Iterator[Mark]:
    """The time in which it fired."""
    begin, end = frame.x(plot.began), frame.x(plot.ended or plot.period.end)
    if end > begin:
        yield Rectangle(begin, frame.top, end - begin, frame.bottom - frame.top, "fires")


def _beginning(plot: Plot, frame: _Frame, zone: ZoneInfo, t: Texts) -> Iterator[Mark]:
    """The line of the beginning with its time, and of the end; where the period has them."""
    taken = -math.inf
    for at in (plot.began, plot.ended):
        if at is None or not plot.period.begin <= at <= plot.period.end:
            continue
        x, text = frame.x(at), _clock(at, zone, t)
        yield Line(((x, frame.top), (x, frame.bottom)), "began")
        half = _text_width(text) / 2
        middle = min(max(x, frame.left + half), frame.right - half)
        if middle - half > taken:
            yield Label(middle, frame.top - 5, text, "began", "middle")
            taken = middle + half + 6


# Lines


def _lines(plot: Plot, frame: _Frame) -> Iterator[Mark]:
    # The first is the alert's own: it is drawn last, over the others.
    for number, one in reversed(list(enumerate(plot.series))):
        for part in _unbroken(one, plot.period.step):
            points = tuple((frame.x(at), frame.y(value)) for at, value in part)
            if len(points) == 1:  # a single point would not be seen
                [(x, y)] = points
                points = ((x - 1, y), (x + 1, y))
            yield Line(points, f"series{number}")


def _unbroken(series: Series, step: float) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for point in series.points:
        if part and point[0] - part[-1][0] > step * GAP_STEPS:
            yield part
            part = []
        part.append(point)
    if part:
        yield part


def _limit(plot: Plot, frame: _Frame) -> Iterator[Mark]:
    """The line of the threshold, and what the expression says of it: "> 5"."""
    threshold = plot.condition.threshold
    if threshold is None:
        return
    y = frame.y(threshold)
    yield Line(((frame.left, y), (frame.right, y)), "limit", dashed=True)
    text = f"{plot.condition.comparison} {short_number(threshold)}"
    below = y - frame.top < LINE
    yield Label(frame.left + 6, y + (FONT_SIZE + 2 if below else -5), text, "limit")


def _legend(names: list[str], left_out: int, width: int, height: int) -> Iterator[Mark]:
    """The names of several lines, in one row as far as they have room."""
    x, y = float(MARGIN), height - MARGIN / 2 - 2
    share = (width - 2 * MARGIN) / max(1, len(names) + bool(left_out))
    for number, name in enumerate(names):
        text = _clip(name or "–", share - 26)
        yield Line(((x, y - 4), (x + 14, y - 4)), f"series{number}")
        yield Label(x + 19, y, text, "text")
        x += min(share, _text_width(text) + 34)
    if left_out:
        yield Label(x, y, f"+ {left_out}", "text")
