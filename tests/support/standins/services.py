"""The common part of stand-ins for services that take alerts: what came, answers by script, refusals.

A refusal is a surprise unless the test allowed it: `assert_no_surprises` tells of what the real service would not have taken.
"""

from __future__ import annotations

import ssl
from typing import Any, Self

from tests.support.standins.faults import Faults
from tests.support.standins.serving import Request, Response, Server


class RefusedRequest(Exception):
    """What the service answers to a request that it does not take."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.response = Response.json(body, status)


class ServiceStandIn:
    """`with PagerDutyStandIn() as service:` answers at `service.url`.

    `answers` are used up one by one, instead of what the service would answer. `requests` has all that came, `taken` what was taken.
    tls: the server is a proxy too, for channels whose address is fixed.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self.answers: list[Response] = []
        self.faults = Faults()
        self._server = Server(self._handle, tls)

    @property
    def url(self) -> str:
        return self._server.address

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def allow(self, text: str) -> None:
        """Expect one refusal whose description holds `text`."""
        self.faults.allow(text)

    def assert_no_surprises(self) -> None:
        self.faults.assert_no_surprises()

    async def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answers:
            return self.answers.pop(0)
        try:
            response = self.take(request)
        except RefusedRequest as refused:
            self.faults.surprise(f"{request.method} {request.path}: {refused}")
            return refused.response
        self.taken.append(request)
        return response

    def take(self, request: Request) -> Response:
        """The service's answer. Raises RefusedRequest."""
        raise NotImplementedError


def check(fine: object, status: int, body: Any) -> None:
    """Refuse a request unless something about it is as it must be."""
    if not fine:
        raise RefusedRequest(status, body)
