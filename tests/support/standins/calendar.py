"""A stand-in for a server of calendars: it answers what the test says, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.standins.serving import Request, Response, Server


@dataclass
class CalendarServer:
    """`texts`: path → what is there, with an ETag and 304s; `answers`: path → another answer; `slow`: paths that are never answered."""

    texts: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    asked: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = Server(self._answer)
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self._server.port}{path}"

    async def _answer(self, request: Request) -> Response:
        self.asked.append(request)
        if request.path in self.slow:
            await asyncio.sleep(60)
        if request.path in self.answers:
            return self.answers[request.path]
        text = self.texts.get(request.path)
        if text is None:
            return Response(404, b"nothing here")
        headers = {
            "ETag": f'"{hashlib.sha256(text).hexdigest()[:8]}"',
            "Content-Type": "text/calendar",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(304, b"", headers)
        return Response(200, text, headers)
