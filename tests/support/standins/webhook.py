"""What listens to Alertmanager's webhook, on loopback: keeps every request, answers by script, and takes only what is right."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_KEYS = [
    "receiver",
    "status",
    "alerts",
    "notification_reason",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "routeLabels",
]
_KEYS += ["externalURL", "version", "groupKey", "truncatedAlerts"]
_ALERT_KEYS = [
    "status",
    "labels",
    "annotations",
    "startsAt",
    "endsAt",
    "generatorURL",
    "fingerprint",
]


@dataclass
class Answer:
    """What the next request gets instead of 200. hang: seconds before the body; drop: no answer at all."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: float = 0.0
    drop: bool = False
    length: int | None = None  # Content-Length, where it is to be a lie


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float = 0.0  # Unix seconds: when it had come whole

    @property
    def payload(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


class _Listener(ThreadingHTTPServer):
    request_queue_size = (
        256  # many callers at once: with the usual 5, the kernel lets some wait for a second
    )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet where the caller was killed; the rest is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class WebhookServer:
    """`with WebhookServer() as server:` answers at `server.url`. `answers` are used up one by one; after them, 200."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.problems: list[str] = []
        self.connections = 0
        self._ended = threading.Event()
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=lambda: self._server.serve_forever(0.05), daemon=True
        )
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)

    def assert_no_surprises(self) -> None:
        assert self.problems == []

    def answer(self, request: Request) -> Answer:
        """What a request without a problem gets."""
        return self.answers.pop(0) if self.answers else Answer()

    def problem(self, request: Request) -> str:
        """What Alertmanager would never send; "" = nothing."""
        return _problem(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body, time.time())
                server.requests.append(request)
                problem = server.problem(request)
                if problem:
                    server.problems.append(problem)
                self._answer(
                    Answer(400, body=problem.encode()) if problem else server.answer(request)
                )

            do_GET = do_PUT = do_POST

            def _answer(self, answer: Answer) -> None:
                if answer.drop:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header(
                    "Content-Length",
                    str(len(answer.body) if answer.length is None else answer.length),
                )
                with contextlib.suppress(ConnectionError):
                    self.end_headers()
                server._ended.wait(answer.hang)
                with contextlib.suppress(ConnectionError):  # the other side did not want to wait
                    self.wfile.write(answer.body)
                self.close_connection = self.close_connection or answer.length is not None

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        return Handler


def _problem(request: Request) -> str:
    """What Alertmanager would never send; "" = nothing."""
    if request.method != "POST":
        return f"method {request.method}"
    if request.headers.get("content-type") != "application/json":
        return f"content type {request.headers.get('content-type')}"
    if "content-length" not in request.headers or "transfer-encoding" in request.headers:
        return "no content length"
    if not request.body.endswith(b"}\n") or request.body.count(b"\n") != 1:
        return "not one line with its end"
    if any(
        char in request.body for char in (b"<", b">", b"&", "\u2028".encode(), "\u2029".encode())
    ):
        return "a character that Alertmanager escapes"
    try:
        message = json.loads(request.body)
    except ValueError as error:
        return f"not JSON: {error}"
    if [key for key in message if key != "incident"] != _KEYS:
        return f"keys {list(message)}"
    if any(list(alert) != _ALERT_KEYS for alert in message["alerts"]):
        return "keys of an alert"
    maps = [message[key] for key in message if key.endswith(("Labels", "Annotations"))]
    maps += [alert[key] for alert in message["alerts"] for key in ("labels", "annotations")]
    return "" if all(list(one) == sorted(one) for one in maps) else "keys out of order"
