"""Outputs of the event recorder: real files, and a real HTTP server in the place of a webhook."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from amproxy.config.structs import EventBatch, EventFile, EventRecorderSettings, EventWebhook
from amproxy.event_recorder import EventRecorder, startup
from amproxy.metrics import registry
from amproxy.notify.event_outputs import EventWriter
from amproxy.secret import Secret
from tests.support.standins.webhook import Answer, Request, WebhookServer
from tests.support.waiting import soon


class EventSink(WebhookServer):
    """A webhook of events: any JSON is right."""

    def problem(self, request: Request) -> str:
        json.loads(request.body)
        return ""

    @property
    def versions(self) -> list[Any]:
        """Of each request the versions of its startup events: a list where it is an array."""
        return [_versions(json.loads(request.body)) for request in self.requests]


def _versions(body: Any) -> Any:
    if isinstance(body, list):
        return [_versions(one) for one in body]
    return body["data"]["alertmanagerStartupEvent"]["version"]


class Writing:
    """A recorder whose events are written."""

    def __init__(self) -> None:
        self.recorder = EventRecorder()
        self.writer = EventWriter(self.recorder)
        self.task = asyncio.create_task(self.writer.run())

    def use(self, *outputs: EventFile | EventWebhook) -> None:
        files = tuple(one for one in outputs if isinstance(one, EventFile))
        hooks = tuple(one for one in outputs if isinstance(one, EventWebhook))
        self.recorder.use(EventRecorderSettings(files=files, webhooks=hooks))

    def record(self, *versions: str) -> None:
        for version in versions:
            self.recorder.record("alertmanager_startup_event", lambda v=version: startup(v, "c"))

    async def close(self) -> None:
        self.task.cancel()
        await self.writer.close()


@pytest.fixture
async def writing() -> AsyncIterator[Writing]:
    found = Writing()
    yield found
    await found.close()


def lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [_versions(json.loads(line)) for line in path.read_text().splitlines()]


def sample(name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_each_event_is_a_line_and_a_file_that_is_rotated_is_made_anew(
    writing: Writing, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"data":{"alertmanagerStartupEvent":{"version":"old"}}}\n')
    writing.use(EventFile(name="audit", path=str(path)))
    writing.record("1", "2")
    await soon(lambda: lines(path) == ["old", "1", "2"])
    last = path.read_text().splitlines()[-1]
    assert re.fullmatch(
        r'\{"@timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(\d{3}){1,3})?Z","instance":"[^"]+",'
        r'"data":\{"alertmanagerStartupEvent":\{"version":"2","buildContext":"c"\}\}\}',
        last,
    )
    moved = path.rename(tmp_path / "events.1")
    writing.record("3")
    await soon(lambda: lines(path) == ["3"])
    path.unlink()
    writing.record("4")
    await soon(lambda: lines(path) == ["4"])
    assert lines(moved) == ["old", "1", "2"]


async def test_a_file_that_cannot_be_written_is_tried_again_with_each_event(
    writing: Writing, tmp_path: Path
) -> None:
    path, labels = tmp_path / "later" / "events", {"event_type": "alertmanager_startup_event"}
    labels |= {"output": "file:late", "result": "error"}
    other = tmp_path / "other"
    writing.use(EventFile(name="late", path=str(path)), EventFile(name="o", path=str(other)))
    before = sample("alertmanager_events_recorded_total", **labels)
    writing.record("1")
    await soon(lambda: sample("alertmanager_events_recorded_total", **labels) == before + 1)
    await soon(lambda: lines(other) == ["1"])
    path.parent.mkdir()
    writing.record("2")
    await soon(lambda: lines(path) == ["2"])


async def test_events_are_posted_one_by_one_or_as_arrays(writing: Writing) -> None:
    with EventSink() as single, EventSink() as many:
        batch = EventBatch(max_events=3, flush_interval=0.2)
        writing.use(
            EventWebhook(name="one", url=Secret(single.url), workers=1),
            EventWebhook(name="many", url=Secret(many.url), batch=batch, workers=1),
        )
        writing.record("1", "2", "3", "4")
        await soon(lambda: len(single.requests) == 4 and len(many.requests) == 2)
        assert single.versions == ["1", "2", "3", "4"]
        assert many.versions == [["1", "2", "3"], ["4"]]
        assert many.requests[0].headers["content-type"] == "application/json"


async def test_an_array_is_no_longer_than_its_limit(writing: Writing) -> None:
    with EventSink() as sink:
        size = 500
        batch = EventBatch(max_bytes=size, flush_interval=0.2)
        writing.use(EventWebhook(name="hook", url=Secret(sink.url), batch=batch, workers=1))
        writing.record("1", "2", "3", "x" * size, "5")
        await soon(lambda: sum(map(len, sink.versions)) == 5)
        assert [one for found in sink.versions for one in found] == ["1", "2", "3", "x" * size, "5"]
        assert ["x" * size] in sink.versions
        for request, found in zip(sink.requests, sink.versions, strict=True):
            assert len(request.body) <= size or len(found) == 1
        assert len(sink.versions) < 5


async def test_a_request_is_tried_again_and_lost_events_are_counted(writing: Writing) -> None:
    with EventSink() as sink:
        sink.answers = [Answer(500), Answer(drop=True), Answer(), *[Answer(404)] * 3]
        hook = EventWebhook(name="hook", url=Secret(sink.url), workers=1, retry_backoff=0.01)
        writing.use(hook)
        lost = sample("alertmanager_event_output_drops_total", output="webhook:hook")
        writing.record("1", "2", "3")
        await soon(lambda: sink.versions[-1:] == ["3"])
        assert sink.versions == ["1", "1", "1", "2", "2", "2", "3"]
        assert sample("alertmanager_event_output_drops_total", output="webhook:hook") == lost + 1


async def test_a_webhook_that_hangs_keeps_nothing_from_the_others(
    writing: Writing, tmp_path: Path
) -> None:
    path = tmp_path / "events"
    with EventSink() as sink:
        sink.answers = [Answer(hang=60)] * 2
        hook = EventWebhook(name="stuck", url=Secret(sink.url), workers=2)
        writing.use(hook, EventFile(name="f", path=str(path)))
        lost = sample("alertmanager_event_output_drops_total", output="webhook:stuck")
        names = [str(number) for number in range(3000)]
        writing.record(*names)
        await soon(lambda: lines(path) == names)
        drops = sample("alertmanager_event_output_drops_total", output="webhook:stuck") - lost
        assert drops > 1000


async def test_what_waits_at_the_end_is_still_written(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with EventSink() as sink:
        writing = Writing()
        batch = EventBatch(flush_interval=60)
        hook = EventWebhook(name="hook", url=Secret(sink.url), batch=batch)
        writing.use(hook, EventFile(name="f", path=str(path)))
        writing.record("1")
        await soon(lambda: lines(path) == ["1"])
        writing.record("2")
        await writing.close()
        assert lines(path) == ["1", "2"]
        assert sorted(one for found in sink.versions for one in found) == ["1", "2"]


async def test_a_new_file_in_force_changes_the_outputs(writing: Writing, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    writing.use(EventFile(name="f", path=str(first)))
    writing.record("1")
    await soon(lambda: lines(first) == ["1"])
    writing.use(EventFile(name="f", path=str(second)))
    writing.record("2")
    await soon(lambda: lines(second) == ["2"])
    assert lines(first) == ["1"]


async def test_an_event_that_cannot_be_made_spares_the_others(
    writing: Writing, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events"
    writing.use(EventFile(name="f", path=str(path)))
    broken: Callable[[], dict[str, Any]] = lambda: {}["x"]  # noqa: E731
    writing.recorder.record("probe", broken)
    writing.record("1")
    await soon(lambda: lines(path) == ["1"])
    assert sample("alertmanager_event_serialize_errors_total", event_type="probe") >= 1
