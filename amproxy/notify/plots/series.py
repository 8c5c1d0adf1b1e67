"""Series of a metrics server: the period that is asked for, and what is used of an answer. Pure.

An answer comes from outside: it may have a hundred thousand series, or numbers that are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from amproxy.model import Alert
from amproxy.notify.plots.expression import Measurement

MAX_SERIES: Final = 5  # that a picture shows
MAX_POINTS: Final = 240  # of one series that are asked for
MAX_KEPT_POINTS: Final = 2 * MAX_POINTS
MIN_STEP: Final = 15.0  # seconds
LARGEST: Final = 1e300  # of a value: sums and differences of such are numbers still
# A beginning that is longer ago than this many times the range would leave no shape to see.
MAX_RANGES: Final = 8
LEAD: Final = 1 / 3  # of the range that is shown before the beginning
TRAIL: Final = 1 / 6  # and after the end


class Series(NamedTuple):
    """One series: its labels, and points by time (Unix seconds)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class Period(NamedTuple):
    """The time that is asked for, in Unix seconds."""

    begin: float
    end: float

    @property
    def step(self) -> float:
        return float(max(MIN_STEP, math.ceil((self.end - self.begin) / MAX_POINTS)))


class Plot(NamedTuple):
    """All that a picture shows."""

    condition: Measurement
    period: Period
    series: list[Series]
    left_out: int  # series besides those
    began: float  # Unix seconds: when the first of its alerts began to fire
    ended: float | None  # None = it fires


class _Result(msgspec.Struct):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Result]


class _Answer(msgspec.Struct):
    data: _Data


_ANSWERS: Final = msgspec.json.Decoder(_Answer)


def choose_period(now: float, length: float, began: float, ended: float | None) -> Period:
    """The period of a picture, `length` seconds up to now or a little beyond the end.

    It is longer where the beginning, with something before it, would not be seen otherwise.
    """
    end = now if ended is None else min(now, ended + length * TRAIL)
    begin = min(end - length, began - length * LEAD)
    return Period(begin if end - begin <= length * MAX_RANGES else end - length, end)


def read_series(body: bytes) -> list[Series]:
    """The series of an answer of query_range. Raises ValueError where it is none."""
    try:
        answer = _ANSWERS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError from None
    if answer.data.result_type != "matrix":
        raise ValueError
    return [Series(one.metric, _points(one.values[:MAX_KEPT_POINTS])) for one in answer.data.result]


def _points(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    points = list[tuple[float, float]]()
    for at, text in values:
        try:
            value = float(text)
        except ValueError:
            continue
        # in order, so that a line never runs back
        if abs(value) <= LARGEST and (not points or at > points[-1][0]):
            points.append((at, value))
    return points


def choose_series(found: Iterable[Series], alerts: Sequence[Alert]) -> tuple[list[Series], int]:
    """The alerts' own series where any are, in the order of the alerts; and the number left out.

    A series is an alert's own where no label of it says otherwise.
    """
    drawable = [one for one in found if one.points]
    own = dict[int, Series]()
    for alert in alerts:
        for one in drawable:
            if _agree(one.labels, alert.labels):
                own.setdefault(id(one), one)
    chosen = list(own.values()) or drawable
    return chosen[:MAX_SERIES], max(0, len(chosen) - MAX_SERIES)


def _agree(series: dict[str, str], alert: dict[str, str]) -> bool:
    return all(alert.get(name, value) == value for name, value in series.items())


def differing_labels(series: Sequence[Series]) -> list[str]:
    """For each series the values of the labels that tell it from the others, "web-1 /dev/sda1"."""
    names = {name: None for one in series for name in one.labels if name != "__name__"}
    telling = [name for name in names if len({one.labels.get(name) for one in series}) > 1]
    return [" ".join(filter(None, (one.labels.get(n, "") for n in telling))) for one in series]
