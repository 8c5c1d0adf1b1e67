"""The service's log: what a line looks like, what never gets into one, and what is told once."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from amproxy import repeats
from amproxy.log import LONGEST_VALUE, EventLog, LineFormatter, LogFormat, WriterHandler
from amproxy.repeats import LONGEST_TROUBLE_GAP, Flood, Trouble
from amproxy.secret import Secret
from tests.support.log_lines import log_lines, parse_logfmt
from tests.support.waiting import soon, until

HOSTILE = 'evil\nlevel=info msg=resolved incident=1 "\\ \r\x1b[31m\u2028\u202e\x85\udc80 =ok'
LOG = EventLog("amproxy.test")
Written = Callable[[LogFormat], Callable[[], list[str]]]


@pytest.fixture
def written() -> Iterator[Written]:
    """Gives a log a format; the function that it returns ends the log and gives its lines."""
    logger, handlers = logging.getLogger("amproxy.test"), list[WriterHandler]()

    def begin(style: LogFormat) -> Callable[[], list[str]]:
        stream = io.BytesIO()
        handler = WriterHandler(stream, LineFormatter(style))
        handlers.append(handler)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # pytest cannot pass half a surrogate between its processes

        def end() -> list[str]:
            logger.removeHandler(handler)
            handler.close()
            return stream.getvalue().decode().split("\n")[:-1]

        return end

    yield begin
    for handler in handlers:
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_a_line_has_time_level_message_and_fields(written: Written, style: LogFormat) -> None:
    lines = written(style)
    LOG.warning("took over", incident=12, user="Алиса", after=0.12345, ok=True, none=None, empty="")
    [line] = lines()
    [fields] = log_lines(line)
    at = fields.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at)
    if style == "json":
        wanted: dict[str, Any] = {"incident": 12, "after": 0.123, "ok": True}
    else:
        wanted = {"incident": "12", "after": "0.123", "ok": "true"}
    assert fields == {"level": "warn", "msg": "took over", "user": "Алиса", **wanted}
    assert "user=Алиса" in line or '"user":"Алиса"' in line


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_hostile_values_stay_in_their_field(written: Written, style: LogFormat) -> None:
    lines = written(style)
    LOG.info("opened", title=HOSTILE, users=[HOSTILE, "b"], long="x" * 10_000, after=float("nan"))
    logging.getLogger("amproxy.test").error("uvicorn says %s", HOSTILE)
    LOG.info("opened", tail="kept")
    first, second, third = lines()
    assert all(line.isprintable() for line in (first, second, third))
    [fields] = log_lines(first)
    assert fields["title"] == HOSTILE and fields["users"] == f"{HOSTILE},b"
    assert len(fields["long"]) == LONGEST_VALUE and fields["long"].endswith("…")
    assert fields["msg"] == "opened" and "incident" not in fields
    [other] = log_lines(second)
    assert other["msg"] == f"uvicorn says {HOSTILE}" and other["logger"] == "amproxy.test"
    assert log_lines(third)[0]["tail"] == "kept"


def test_no_secret_gets_through_however_it_came_into_a_text(written: Written) -> None:
    lines = written("logfmt")
    token = Secret('pass "word" \\ 77')
    LOG.info("refused", detail=f"there is no source {token.reveal()!r}", token=token)
    try:
        raise RuntimeError(f"GET https://hooks.example.org/{token.reveal()}")
    except RuntimeError:
        LOG.exception("channel failed")
    text = "\n".join(lines())
    assert "word" not in text and "<secret>" in text
    [_, failed] = log_lines(text)
    assert failed["error"] == "RuntimeError" and "test_log.py" in failed["traceback"]


def test_a_reader_who_stops_reading_holds_nobody_up_and_is_told_what_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amproxy.log.MAX_WAITING", 200)
    reading, writing = os.pipe()
    logger = logging.getLogger("amproxy.test")
    handler = WriterHandler(os.fdopen(writing, "wb"), LineFormatter("json"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(logger, "propagate", False)
    began = time.monotonic()
    try:
        for number in range(2000):  # 200 KiB are more than a pipe takes
            LOG.info("delivered", incident=number, text="x" * 60)
    finally:
        logger.removeHandler(handler)
    assert time.monotonic() - began < 30

    seen = bytearray()

    def accounted() -> bool:
        seen.extend(os.read(reading, 1 << 16))
        told = log_lines(seen.decode().rpartition("\n")[0])
        lost = [int(one["lines"]) for one in told if "were lost" in one["msg"]]
        return bool(lost) and sum(lost) + len(told) - len(lost) == 2000

    until(accounted)
    handler.close()
    os.close(reading)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_trouble_is_told_ever_more_seldom_and_its_end_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    trouble = Trouble(LOG, "away", "back", now=clock, channel="telegram")
    trouble.end()
    assert not caplog.records, "what was never away is not back"
    told = []
    for second in range(2000):
        clock.now = float(second)
        trouble.note("refused")
        if len(caplog.records) > len(told):
            told.append(second)
    assert told[:5] == [0, 5, 15, 35, 75]
    assert all(later - at <= LONGEST_TROUBLE_GAP for at, later in itertools.pairwise(told))
    trouble.note("timed out")
    trouble.note("timed out")
    trouble.end()
    trouble.end()
    assert messages(caplog)[0] == "away channel=telegram reason=refused"
    assert messages(caplog)[len(told) :] == [
        'away channel=telegram reason="timed out" lasted=1999.0',
        "back channel=telegram lasted=1999.0",
    ]


async def test_a_flood_is_one_line_with_the_count(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "FIRST_GAP", 0.1)
    flood = Flood(LOG, "refused")
    for _ in range(1000):
        flood.add(logging.WARNING, "a", {"source": "a"}, pushes=1, alerts=0)
    flood.add(logging.WARNING, "b", {"source": "b"}, pushes=1)
    assert messages(caplog) == ["refused source=a pushes=1", "refused source=b pushes=1"]
    await soon(lambda: len(caplog.records) == 3)
    assert messages(caplog)[2] == "refused source=a pushes=999"
    flood.add(logging.WARNING, "a", {"source": "a"}, pushes=1)
    flood.close()
    assert messages(caplog)[3:] == ["refused source=a pushes=1"]
    await asyncio.sleep(0.3)
    assert len(caplog.records) == 4


async def test_what_senders_make_up_takes_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    flood = Flood(LOG, "pushed")
    for number in range(3 * repeats.MAX_KINDS):
        flood.add(logging.WARNING, number, {"source": str(number)}, pushes=1)
    flood.close()
    counted = [int(parse_logfmt(f"msg={text}")["pushes"]) for text in messages(caplog)]
    assert len(counted) == repeats.MAX_KINDS + 2 and sum(counted) == 3 * repeats.MAX_KINDS


def test_json_numbers_are_numbers(written: Written) -> None:
    lines = written("json")
    LOG.info("delivered", incident=3, attempt=1)
    assert json.loads(lines()[0])["incident"] == 3
