"""The picture of a metric: every line is where its value and time belong."""

from __future__ import annotations

from io import BytesIO
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from amproxy.model import Alert
from amproxy.notify.plots import png
from amproxy.notify.plots.drawing import (
    Drawing,
    Label,
    Line,
    Rectangle,
    draw_notice,
    draw_plot,
    short_number,
    value_ticks,
)
from amproxy.notify.plots.expression import Measurement
from amproxy.notify.plots.series import (
    MAX_POINTS,
    MAX_SERIES,
    Period,
    Plot,
    Series,
    choose_period,
    choose_series,
    read_series,
)
from amproxy.notify.plots.svg import render_svg
from amproxy.text import load_texts

UTC = ZoneInfo("UTC")
BEGIN = 1_767_600_000.0  # 08:00 UTC
END = BEGIN + 10_000
ENGLISH = load_texts("en")
BEGAN = BEGIN + 7_500
HOSTILE = '<script>alert(1)</script>&"\x00\ud800\u202e'


def ramp(name: str = "web-1", top: float = 10.0, gap: bool = False) -> Series:
    """A line from 0 to `top` over the whole period."""
    points = [(BEGIN + n * 100, top * n / 100) for n in range(101) if not (gap and 30 < n < 60)]
    return Series({"__name__": "load", "instance": name}, points)


def plot(*series: Series, threshold: float | None = 5.0, ended: float | None = None) -> Plot:
    condition = Measurement("load", ">" if threshold is not None else "", threshold)
    return Plot(condition, Period(BEGIN, END), list(series) or [ramp()], 0, BEGAN, ended)


def lines(drawing: Drawing, role: str) -> list[Line]:
    return [mark for mark in drawing.marks if isinstance(mark, Line) and mark.role == role]


def texts(drawing: Drawing, role: str = "") -> list[str]:
    return [
        mark.text for mark in drawing.marks if isinstance(mark, Label) and role in ("", mark.role)
    ]


@pytest.mark.parametrize("size", [(720, 260), (360, 240), (640, 320)])
def test_threshold_and_beginning_stand_where_the_line_has_their_value_and_time(
    size: tuple[int, int],
) -> None:
    drawing = draw_plot(plot(), *size, UTC, ENGLISH)
    [limit], [began], [line] = (lines(drawing, role) for role in ("limit", "began", "series0"))
    (left, bottom), (right, top) = line.points[0], line.points[-1]
    assert limit.points[0][1] == pytest.approx((top + bottom) / 2)  # 5 of 0 to 10
    assert limit.points[0][1] == limit.points[1][1]
    assert limit.dashed
    assert began.points[0][0] == began.points[1][0] == pytest.approx(left + 0.75 * (right - left))
    [fires] = [mark for mark in drawing.marks if isinstance(mark, Rectangle)]
    assert (fires.x, fires.x + fires.width) == pytest.approx((began.points[0][0], right))
    assert texts(drawing, "limit") == ["> 5"]
    assert texts(drawing, "began") == ["10:05"]


@pytest.mark.parametrize("size", [(720, 260), (360, 240), (640, 320)])
def test_nothing_stands_outside_of_the_picture(size: tuple[int, int]) -> None:
    names = ["web-1", "web-2", "x" * 200, "ü" * 90, ""]
    drawn = plot(*(ramp(name, 3e9 * (n + 1)) for n, name in enumerate(names)), threshold=1e10)
    for mark in draw_plot(drawn._replace(left_out=12), *size, UTC, ENGLISH).marks:
        match mark:
            case Line(points):
                assert all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in points)
            case Label(x, y, text, _, anchor):
                width = len(text) * 12 * 0.58
                left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
                assert left >= -1, mark
                assert left + width <= size[0] + 1, mark
                assert 0 < y < size[1]


def test_a_threshold_beyond_all_values_is_in_the_picture_too() -> None:
    drawing = draw_plot(plot(threshold=1000.0), 720, 260, UTC, ENGLISH)
    [limit], [line] = lines(drawing, "limit"), lines(drawing, "series0")
    assert 0 < limit.points[0][1] < line.points[-1][1]


def test_without_a_threshold_there_is_no_line_for_it() -> None:
    drawing = draw_plot(plot(threshold=None), 720, 260, UTC, ENGLISH)
    assert not lines(drawing, "limit")
    assert not texts(drawing, "limit")


def test_an_end_closes_the_time_in_which_it_fired() -> None:
    drawing = draw_plot(plot(ended=BEGAN + 1000), 720, 260, UTC, ENGLISH)
    began, ended = lines(drawing, "began")
    [fires] = [mark for mark in drawing.marks if isinstance(mark, Rectangle)]
    assert fires.x + fires.width == pytest.approx(ended.points[0][0])
    assert began.points[0][0] < ended.points[0][0]


def test_a_gap_breaks_the_line() -> None:
    assert len(lines(draw_plot(plot(ramp(gap=True)), 720, 260, UTC, ENGLISH), "series0")) == 2


def test_several_lines_are_named_by_what_tells_them_apart() -> None:
    drawing = draw_plot(plot(ramp("web-1"), ramp("web-2")), 720, 260, UTC, ENGLISH)
    assert {"web-1", "web-2"} <= set(texts(drawing, "text"))
    assert "web-1" not in texts(draw_plot(plot(), 720, 260, UTC, ENGLISH))


@pytest.mark.parametrize(
    "points",
    [
        [(BEGIN, 0.0)],
        [(BEGIN, 5.0), (END, 5.0)],
        [(BEGIN, -1e299), (END, 1e299)],
        [(BEGIN, 1e-300), (END, 2e-300)],
        [(BEGIN, 1e16), (END, 1e16 + 2)],
        [(BEGIN - 1e9, 1.0), (END + 1e9, 2.0)],
    ],
)
def test_any_numbers_make_a_picture(points: list[tuple[float, float]]) -> None:
    drawing = draw_plot(plot(Series({}, points), threshold=None), 720, 260, UTC, ENGLISH)
    for line in lines(drawing, "series0"):
        assert all(0 <= x <= 720 and 0 <= y <= 260 for x, y in line.points)
    assert png.render_png(drawing).startswith(b"\x89PNG")


@pytest.mark.parametrize("span", [(0.0, 1.0), (-3.0, 17.0), (0.0, 3.7e9), (0.91, 0.97), (-5e-9, 0)])
def test_ticks_are_round_and_few(span: tuple[float, float]) -> None:
    ticks = value_ticks(*span)
    assert 3 <= len(ticks) <= 9
    assert all(span[0] <= tick <= span[1] for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1500, "1.5k"), (8.59e10, "85.9G"), (0.05, "0.05"), (-2e6, "-2M")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_an_svg_is_sound_and_escapes_what_comes_from_outside(theme: str) -> None:
    hostile = plot(ramp(HOSTILE), ramp("b"))._replace(condition=Measurement(HOSTILE, ">", 5.0))
    text = render_svg(draw_plot(hostile, 720, 260, UTC, ENGLISH), theme, HOSTILE, HOSTILE)  # type: ignore[arg-type]
    root = ET.fromstring(text.encode())
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "desc", "style", "text", "path", "rect"}
    assert "alert(1)" in (root.findtext("{http://www.w3.org/2000/svg}title") or "")
    assert ("prefers-color-scheme" in text) == (theme == "system")


def test_a_png_has_the_colours_of_its_lines() -> None:
    drawing = draw_plot(plot(), png.WIDTH, png.HEIGHT, UTC, ENGLISH)
    image = Image.open(BytesIO(png.render_png(drawing))).convert("RGB")
    assert image.size == (png.WIDTH * png.SCALE, png.HEIGHT * png.SCALE)
    [limit], [line] = lines(drawing, "limit"), lines(drawing, "series0")
    x, y = limit.points[0]
    red = image.getpixel((round((x + 2) * png.SCALE), round(y * png.SCALE)))
    (x, y) = line.points[20]
    blue = image.getpixel((round(x * png.SCALE), round(y * png.SCALE)))
    assert isinstance(red, tuple) and isinstance(blue, tuple)
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60


def test_a_reason_is_broken_into_lines_that_fit() -> None:
    drawing = draw_notice("word " * 40, 360, 240)
    assert len(texts(drawing)) > 3
    assert all(len(text) * 12 * 0.58 <= 360 for text in texts(drawing))


# What is asked for, and what is used of the answer


@pytest.mark.parametrize(
    ("began", "ended", "begin", "end"),
    [
        (9_000, None, -800, 10_000),  # the last three hours
        (-5_000, None, -8_600, 10_000),  # a little before a beginning that is longer ago
        (-999_999, None, -800, 10_000),  # too long ago to be seen
        (1_000, 2_000, -7_000, 3_800),  # and a little after the end
    ],
)
def test_a_period_shows_the_beginning_where_it_can(
    began: float, ended: float | None, begin: float, end: float
) -> None:
    assert choose_period(10_000, 10_800, began, ended) == pytest.approx((begin, end))


def test_a_period_asks_for_no_more_points_than_are_drawn() -> None:
    for length in (60, 10_800, 80_000, 604_800):
        assert length / Period(0, length).step <= MAX_POINTS


def alert(**labels: str) -> Alert:
    return Alert(fingerprint="f", labels={"alertname": "A"} | labels, starts_ns=1)


def test_the_alerts_own_series_are_chosen() -> None:
    found = [ramp(f"web-{n}") for n in range(9)]
    chosen, left_out = choose_series(found, [alert(instance="web-7"), alert(instance="web-2")])
    assert [one.labels["instance"] for one in chosen] == ["web-7", "web-2"]
    assert left_out == 0
    chosen, left_out = choose_series(found, [alert()])
    assert (len(chosen), left_out) == (MAX_SERIES, 9 - MAX_SERIES)
    assert choose_series([Series({}, [])], [alert()]) == ([], 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": null}',
        b'{"data": {"resultType": "vector", "result": []}}',
        b'{"data": {"resultType": "matrix", "result": [{"metric": {"a": 1}}]}}',
        b'{"data": {"resultType": "matrix", "result": [{"values": [["now", "1"]]}]}}',
        b'{"data": ' + b"[" * 100_000,
        b'{"data": {"resultType": "matrix", "result": [',
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # it has no words
        read_series(body)


def test_values_that_are_no_numbers_and_times_that_run_back_are_left_out() -> None:
    values = b'[[1,"1"],[2,"NaN"],[3,"+Inf"],[4,"1e308"],[5,"x"],[6,"6"],[5,"7"],[6,"8"]]'
    body = b'{"data":{"resultType":"matrix","result":[{"metric":{},"values":' + values + b"}]}}"
    assert read_series(body) == [Series({}, [(1, 1), (6, 6)])]
