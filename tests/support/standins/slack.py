"""A Slack on loopback: Web API, incoming webhooks and button presses, refusing what the real one refuses.

    with SlackStandIn() as slack:
        slack.add_channel("C111")
        settings = SlackSettings(app_url=slack.app_url, app_token=Secret(slack.token), channel="C111")
        ...
        slack.assert_no_surprises()

Every refusal is a surprise unless the test announced it with `allow` or provoked it with a knob.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlencode

import httpx

from tests.support.standins.faults import Call, Fault, Faults, meet
from tests.support.standins.serving import Request, Response, Server
from tests.support.standins.slack_rules import Refusal, check_message

TOKEN = "xoxb-stand-in-token"
SECRET = "stand-in-signing-secret"
UPLOADS = {"files.getUploadURLExternal", "files.completeUploadExternal"}
METHODS = {"chat.postMessage", "chat.update", "conversations.open", *UPLOADS}


@dataclass
class Message:
    """A message as people see it now; `history` holds its earlier texts and blocks."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str = ""
    attachments: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [
            element
            for block in self.blocks
            if block["type"] == "actions"
            for element in block["elements"]
        ]


class SlackStandIn:
    """`calls`, `messages` (by channel and ts), `hooked` (payloads of the webhook) and `replies` say what has happened."""

    def __init__(self, token: str = TOKEN, secret: str = SECRET) -> None:
        self.token, self.secret = token, secret
        self.calls: list[Call] = []
        self.messages: dict[tuple[str, str], Message] = {}
        self.hooked: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []  # what came to response_url
        self.channels: dict[
            str, str
        ] = {}  # a channel or a person → the channel that it is answered with
        self.unopened: dict[
            str, str
        ] = {}  # people whose direct messages need conversations.open → their channel
        self.files: dict[str, bytes] = {}  # by id
        self.shared: list[dict[str, Any]] = []  # files in channels, as they were asked for
        self.file_scope = True  # the app may write files
        self._lengths: dict[str, int] = {}  # of files that are announced
        self.faults = Faults()
        self._stamps = itertools.count(1)
        self._server = Server(self._handle)

    # ------------------------------------------------------------------------------------------- for the test

    @property
    def app_url(self) -> str:
        return f"{self._server.address}/api/chat.postMessage"

    @property
    def webhook_url(self) -> str:
        return f"{self._server.address}/services/T1/B1/secret"

    @property
    def response_url(self) -> str:
        return f"{self._server.address}/actions/T1/1/secret"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def add_channel(self, name: str, channel_id: str = "") -> None:
        """A channel; "#name" is answered with its id."""
        self.channels[name] = self.channels[channel_id or name] = channel_id or name

    def add_person(self, user_id: str, *, open_first: bool = False) -> str:
        """A person to whom one can write; return the channel of the direct messages."""
        direct = f"D{user_id[1:]}"
        (self.unopened if open_first else self.channels)[user_id] = direct
        self.channels[direct] = direct
        return direct

    def delete(self, channel: str, ts: str) -> None:
        del self.messages[channel, ts]

    def rate_limit(self, times: int = 1, retry_after: str = "1", method: str = "") -> None:
        response = Response.json(
            {"ok": False, "error": "ratelimited"}, 429, Retry_After=retry_after
        )
        self.faults.add(Fault("answer", times, method, response))

    def fail(self, error: str, times: int = 1, method: str = "", status: int = 200) -> None:
        """Answer ok: false with this error."""
        self.faults.add(
            Fault("answer", times, method, Response.json({"ok": False, "error": error}, status))
        )

    def answer(self, status: int, body: bytes, times: int = 1, method: str = "") -> None:
        """Answer with bytes that are not Slack's: a proxy's page, a webhook's refusal."""
        self.faults.add(
            Fault("answer", times, method, Response(status, body, {"Content-Type": "text/plain"}))
        )

    def hang(self, times: int = 1, method: str = "") -> None:
        self.faults.add(Fault("hang", times, method))

    def drop(self, times: int = 1, method: str = "", *, after: bool = True) -> None:
        self.faults.add(Fault("drop_after" if after else "drop", times, method))

    def sent(self, channel: str) -> list[Message]:
        """The messages of a channel, oldest first."""
        return [
            message
            for (where, _), message in sorted(self.messages.copy().items())
            if where == channel
        ]

    def allow(self, error: str, times: int = 1) -> None:
        self.faults.allow(error, times)

    def assert_no_surprises(self) -> None:
        self.faults.assert_no_surprises()

    async def press(
        self,
        url: str,
        channel: str,
        ts: str,
        button_text: str,
        user_id: str,
        *,
        name: str = "someone",
    ) -> httpx.Response:
        """Press a button: post the signed request to `url` and return what it answered."""
        body, headers = self.press_request(channel, ts, button_text, user_id, name=name)
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            return await client.post(url, content=body, headers=headers)

    def press_request(
        self, channel: str, ts: str, button_text: str, user_id: str, *, name: str = "someone"
    ) -> tuple[bytes, dict[str, str]]:
        """The body and headers of a press, signed now."""
        message = self.messages[channel, ts]
        [button] = [button for button in message.buttons if button["text"]["text"] == button_text]
        payload = {
            "type": "block_actions",
            "user": {"id": user_id, "username": name, "name": name, "team_id": "T1"},
            "container": {"type": "message", "message_ts": ts, "channel_id": channel},
            "trigger_id": "1.2.3",
            "channel": {"id": channel, "name": "channel"},
            "message": {
                "type": "message",
                "ts": ts,
                "text": message.text,
                "blocks": message.blocks,
            },
            "response_url": self.response_url,
            "actions": [button | {"block_id": "b1", "action_ts": "1.0"}],
        }
        body = urlencode({"payload": json.dumps(payload)}).encode()
        return body, self.sign(body)

    def sign(self, body: bytes, at: float | None = None) -> dict[str, str]:
        """The headers of a request that carries `body`."""
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(
            self.secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256
        ).hexdigest()
        signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}
        return signed | {"Content-Type": "application/x-www-form-urlencoded"}

    # ------------------------------------------------------------------------------------------- the API

    async def _handle(self, request: Request) -> Response:
        method = (
            request.path.removeprefix("/api/")
            if request.path.startswith("/api/")
            else request.path.split("/")[1]
        )
        call = Call(method, {})
        self.calls.append(call)
        fault = self.faults.next(method, background=False)
        if fault and fault.kind != "drop_after":
            return await meet(fault)
        try:
            call.payload = self._payload(request)
            response = self._dispatch(request, method, call.payload)
        except Refusal as refusal:
            self.faults.surprise(f"{method}: {refusal} {refusal.messages}")
            body = {
                "ok": False,
                "error": str(refusal),
                "response_metadata": {"messages": refusal.messages},
            }
            response = (
                Response.json(body | refusal.more)
                if method in METHODS
                else Response(400, str(refusal).encode())
            )
        call.status, call.answer = response.status, response.body
        response.drop = fault is not None
        return response

    def _payload(self, request: Request) -> dict[str, Any]:
        if request.path.startswith("/upload/"):
            return {"file": request.path.rpartition("/")[2], "content": request.body}
        if request.path == "/api/files.getUploadURLExternal":  # takes no JSON
            return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        kind, _, charset = request.headers.get("content-type", "").partition(";")
        if request.path.startswith("/api/") and charset.replace(" ", "").lower() != "charset=utf-8":
            raise Refusal("missing_charset")
        if kind.strip() != "application/json":
            raise Refusal("invalid_form_data")
        try:
            return dict(json.loads(request.body))
        except ValueError:
            raise Refusal("invalid_json") from None

    def _dispatch(self, request: Request, method: str, payload: dict[str, Any]) -> Response:
        if method == "services":
            check_message(payload)
            self.hooked.append(payload)
            return Response(200, b"ok", {"Content-Type": "text/html"})
        if method == "actions":
            self.replies.append(payload)
            return Response(200, b"ok")
        if method == "upload":
            return self._upload(request, payload)
        if method not in METHODS:
            raise Refusal("unknown_method")
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refusal("invalid_auth")
        if method == "conversations.open":
            return self._open(payload)
        if method in UPLOADS and not self.file_scope:
            raise Refusal("missing_scope", more={"needed": "files:write", "provided": "chat:write"})
        if method == "files.getUploadURLExternal":
            return self._announce(payload)
        if method == "files.completeUploadExternal":
            return self._share(payload)
        check_message(payload)
        return self._update(payload) if method == "chat.update" else self._post(payload)

    def _post(self, payload: dict[str, Any]) -> Response:
        channel = payload.get("channel")
        if channel in self.unopened:
            raise Refusal("missing_scope", more={"needed": "im:write", "provided": "chat:write"})
        if channel not in self.channels:
            raise Refusal("channel_not_found")
        ts = f"1700000000.{next(self._stamps):06d}"
        where, thread = self.channels[channel], payload.get("thread_ts", "")
        if thread and (where, thread) not in self.messages:
            raise Refusal("thread_not_found")
        message = self.messages[where, ts] = Message(
            *(where, ts, payload.get("text", ""), payload.get("blocks", []), thread),
            payload.get("attachments", []),
        )
        return Response.json(
            {"ok": True, "channel": where, "ts": ts, "message": {"text": message.text}}
        )

    def _update(self, payload: dict[str, Any]) -> Response:
        message = self.messages.get((payload.get("channel", ""), payload.get("ts", "")))
        if message is None:
            known = payload.get("channel") in self.channels.values()
            raise Refusal("message_not_found" if known else "channel_not_found")
        message.history.append((message.text, message.blocks))
        message.text = payload.get("text", "")
        message.blocks = payload.get("blocks", message.blocks)
        message.attachments = payload.get("attachments", message.attachments)
        return Response.json(
            {"ok": True, "channel": message.channel, "ts": message.ts, "text": message.text}
        )

    def _announce(self, payload: dict[str, Any]) -> Response:
        if not payload.get("filename") or not payload.get("length", "").isdigit():
            raise Refusal("invalid_arguments")
        file = f"F{len(self._lengths) + 1:04}"
        self._lengths[file] = int(payload["length"])
        url = f"{self._server.address}/upload/v1/{file}"
        return Response.json({"ok": True, "upload_url": url, "file_id": file})

    def _upload(self, request: Request, payload: dict[str, Any]) -> Response:
        assert "authorization" not in request.headers, "the token is not for this address"
        if self._lengths.get(payload["file"]) != len(payload["content"]):
            return Response(400, b"length mismatch")
        self.files[payload["file"]] = payload["content"]
        return Response(200, b"OK")

    def _share(self, payload: dict[str, Any]) -> Response:
        if any(file["id"] not in self.files for file in payload.get("files", ())):
            raise Refusal("file_not_found")
        if payload.get("channel_id") not in self.channels.values():
            raise Refusal("channel_not_found")
        if (payload["channel_id"], payload.get("thread_ts")) not in self.messages:
            raise Refusal("thread_not_found")
        self.shared.append(payload)
        return Response.json({"ok": True, "files": payload["files"]})

    def _open(self, payload: dict[str, Any]) -> Response:
        direct = self.unopened.get(payload.get("users", "")) or self.channels.get(
            payload.get("users", "")
        )
        if direct is None:
            raise Refusal("user_not_found")
        return Response.json({"ok": True, "channel": {"id": direct}})
