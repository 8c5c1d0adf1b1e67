"""The loops of the service: one that ends begins anew, and nothing is promised meanwhile."""

from __future__ import annotations

import asyncio
import json

import pytest

from amproxy.config.loader import load_text
from amproxy.server import service as service_module
from amproxy.server.address import Address
from amproxy.server.service import Service
from tests.support.config.configs import ONCALL


@pytest.fixture
def service(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(service_module, "RESTART_WAITS", (0.01, 0.02))
    return Service(load_text(ONCALL), redis_url, address=Address(listen="127.0.0.1:9"))


async def push(service: Service) -> int:
    """The status of a push of one alert."""
    alert = {"status": "firing", "labels": {"alertname": "Down"}}
    body = json.dumps({"alerts": [alert]}).encode()
    scope = {"type": "http", "method": "POST", "path": "/webhook/any", "headers": []}
    scope |= {"query_string": b"", "client": ("127.0.0.1", 1)}
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await service.endpoints.webhook(scope, receive, send)
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status


async def test_a_loop_that_ends_begins_anew_again_and_again(service: Service) -> None:
    begun, works = 0, asyncio.Event()

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 4:
            raise TypeError("a defect")
        works.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(service._keep_running("delivery", loop))
    async with asyncio.timeout(30):
        await works.wait()
    assert begun == 4 and not service.stopped
    running.cancel()


async def test_while_a_loop_does_not_run_pushes_are_refused_and_ready_is_false(
    service: Service,
) -> None:
    await service.start()
    try:
        assert service.ready and await push(service) == 200
        service.stopped.add("delivery")
        assert not service.ready and await push(service) == 503
        service.stopped.discard("delivery")
        assert service.ready and await push(service) == 200
    finally:
        await service.stop()
