"""A Telegram Bot API on loopback that refuses what the real one refuses, in its words, and remembers all it was told.

    with TelegramStandIn() as telegram:
        telegram.add_chat(111)
        settings = TelegramSettings(api_url=telegram.url, bot_token=Secret(telegram.token), chat_id=111)
        ...
        telegram.assert_no_surprises()

Every refusal is a surprise unless the test announced it with `allow` or provoked it with a knob. All of it may be used from
any thread.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from tests.support.standins.faults import Call, Fault, Faults, meet
from tests.support.standins.flood import FloodLimits
from tests.support.standins.serving import Request, Response, Server
from tests.support.standins.telegram_html import Entity
from tests.support.standins.telegram_rules import (
    PARAMETERS,
    Refusal,
    keyboard_of,
    parameters,
    preview_of,
    refused,
    text_of,
)

Loss = Literal["reset", "truncate", "stall"]
LOST: dict[str, Loss] = {"truncate": "truncate", "drop_after": "reset"}  # of a fault
SENDS = {"sendmessage", "sendphoto", "editmessagetext"}
TOKEN = "123456789:AAEstandinstandinstandinstandinstand"


@dataclass
class Message:
    """A message as people see it now; `history` holds what it was before, oldest first."""

    chat_id: int
    message_id: int
    text: str
    entities: list[Entity]
    keyboard: list[list[dict[str, str]]]
    thread: int = 0
    silent: bool = False
    at: float = 0.0  # Unix seconds: when it was taken
    photo: bytes = b""
    reply_to: int = 0  # the message below which it stands
    preview: str = ""  # address of what is shown below the text
    history: list[tuple[str, list[list[dict[str, str]]]]] = field(default_factory=list)

    @property
    def buttons(self) -> list[str]:
        return [button["text"] for row in self.keyboard for button in row]


@dataclass
class Chat:
    kind: str = "private"
    refusal: Refusal | None = None  # what sending to it is answered
    threads: set[int] = field(default_factory=set)
    hangs: bool = False  # nothing is taken, and nothing answered
    loses: Loss | None = None  # what becomes of each answer after the call has taken effect


class TelegramStandIn:
    """`calls`, `messages` (by chat and message id) and `answers` (to presses) say what has happened."""

    def __init__(self, token: str = TOKEN, username: str = "amproxy_bot") -> None:
        self.token, self.username = token, username
        self.calls: list[Call] = []
        self.messages: dict[tuple[int, int], Message] = {}
        self.answers: list[dict[str, Any]] = []
        self.chats: dict[int, Chat] = {}
        self.faults = Faults()
        self.limits: FloodLimits | None = None  # none = it takes as much as comes
        self._server = Server(self._handle)
        self._updates: list[dict[str, Any]] = []
        self._queries: dict[str, bool] = {}  # callback queries that can still be answered
        self._message_ids, self._update_ids = itertools.count(1), itertools.count(1000)
        self._poll: asyncio.Event | None = None  # set to end the getUpdates that is open
        self._news = asyncio.Event()

    # ------------------------------------------------------------------------------------------- for the test

    @property
    def url(self) -> str:
        return self._server.address

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def add_chat(
        self, chat_id: int, kind: str = "private", threads: set[int] | None = None
    ) -> None:
        self.chats[chat_id] = Chat(kind, threads=threads or set())

    def block(
        self, chat_id: int, description: str = "Forbidden: bot was blocked by the user"
    ) -> None:
        self.chats[chat_id].refusal = Refusal(403, description, quiet=True)

    def migrate(self, old: int, new: int) -> None:
        """The group became a supergroup with another id."""
        moved = {"migrate_to_chat_id": new}
        self.add_chat(new, "supergroup")
        self.chats[old].refusal = Refusal(
            400, "Bad Request: group chat was upgraded to a supergroup chat", moved, quiet=True
        )

    def delete(self, chat_id: int, message_id: int) -> None:
        del self.messages[chat_id, message_id]

    def rate_limit(self, times: int = 1, retry_after: int = 1, method: str = "") -> None:
        body = refused(
            429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after}
        )
        self.faults.add(
            Fault(
                "answer",
                times,
                method.lower(),
                Response.json(body, 429, Retry_After=str(retry_after)),
            )
        )

    def fail(
        self,
        times: int = 1,
        status: int = 500,
        description: str = "Internal Server Error",
        method: str = "",
    ) -> None:
        self.faults.add(
            Fault(
                "answer", times, method.lower(), Response.json(refused(status, description), status)
            )
        )

    def html(self, times: int = 1, status: int = 502, method: str = "") -> None:
        """A proxy's page instead of the API."""
        page = Response(
            status, b"<html><body>Bad Gateway</body></html>", {"Content-Type": "text/html"}
        )
        self.faults.add(Fault("answer", times, method.lower(), page))

    def hang(self, times: int = 1, method: str = "") -> None:
        self.faults.add(Fault("hang", times, method.lower()))

    def drop(self, times: int = 1, method: str = "", *, after: bool = True) -> None:
        """Close the connection without an answer, after the call has taken effect or before."""
        self.faults.add(Fault("drop_after" if after else "drop", times, method.lower()))

    def truncate(self, times: int = 1, method: str = "") -> None:
        """Take effect, then send a JSON that breaks off."""
        self.faults.add(Fault("truncate", times, method.lower()))

    def hang_chat(self, chat_id: int, hangs: bool = True) -> None:
        """Take nothing that is sent to this chat, and answer nothing, until told otherwise."""
        self.chats[chat_id].hangs = hangs

    def lose_answers(self, chat_id: int, how: Loss | None) -> None:
        """Let each call to this chat take effect, and its answer never arrive whole.

        reset: the connection ends; truncate: a JSON that breaks off; stall: no answer at all.
        """
        self.chats[chat_id].loses = how

    def press(
        self,
        chat_id: int,
        message_id: int,
        button_text: str,
        user_id: int,
        *,
        name: str = "Someone",
        accessible: bool = True,
    ) -> str:
        """Press a button as a person does; return the id of the query."""
        message = self.messages[chat_id, message_id]
        [data] = [
            button["callback_data"]
            for row in message.keyboard
            for button in row
            if button["text"] == button_text
        ]
        return self.press_raw(chat_id, message_id, data, user_id, name=name, accessible=accessible)

    def press_raw(
        self,
        chat_id: int,
        message_id: int,
        data: str,
        user_id: int,
        *,
        name: str = "Someone",
        accessible: bool = True,
    ) -> str:
        """A press of a button that may be gone by now, or that a client has made up."""
        query = str(4_000_000_000 + len(self._queries))
        self._queries[query] = True
        shown: dict[str, Any] = {"chat": self._chat(chat_id), "message_id": message_id, "date": 0}
        if accessible:
            shown |= {"date": int(time.time()), "text": self.messages[chat_id, message_id].text}
        person = {"id": user_id, "is_bot": False, "first_name": name}
        self._queue(
            {
                "callback_query": {
                    "id": query,
                    "from": person,
                    "message": shown,
                    "chat_instance": "1",
                    "data": data,
                }
            }
        )
        return query

    def expire(self, query: str) -> None:
        """The person has waited too long for the answer."""
        self._queries[query] = False

    def say(self, chat_id: int, text: str, user_id: int, **more: Any) -> None:
        person = {"id": user_id, "is_bot": False, "first_name": "Someone"}
        message = {
            "message_id": next(self._message_ids),
            "date": int(time.time()),
            "chat": self._chat(chat_id),
            "from": person,
            "text": text,
        }
        self._queue({"message": message | more})

    def queue_raw(self, update: dict[str, Any]) -> None:
        self._queue(update)

    def sent(self, chat_id: int) -> list[Message]:
        """The messages of a chat, oldest first."""
        messages = sorted(self.messages.copy().items())  # the server adds to them meanwhile
        return [message for (chat, _), message in messages if chat == chat_id]

    @property
    def pending(self) -> int:
        """Updates that have not been confirmed."""
        return len(self._updates)

    def allow(self, description: str, times: int = 1) -> None:
        self.faults.allow(description, times)

    def assert_no_surprises(self) -> None:
        self.faults.assert_no_surprises()

    # ------------------------------------------------------------------------------------------- the API

    async def _handle(self, request: Request) -> Response:
        call = Call(request.path.rpartition("/")[2], {})
        self.calls.append(call)
        try:
            method = self._method(request)
            call.method, call.payload = request.path.rpartition("/")[2], parameters(request, method)
            fault = self.faults.next(method, background=method == "getupdates")
            if fault and fault.kind in {"answer", "hang", "drop"}:
                return await meet(fault)
            loss = await self._trouble(method, call.payload)
            result = await getattr(self, f"_{method}")(call.payload)
        except Refusal as refusal:
            if not refusal.quiet:
                self.faults.surprise(f"{call.method}: {refusal.description}")
            call.status = refusal.code
            return Response.json(
                refused(refusal.code, refusal.description, refusal.parameters), refusal.code
            )
        call.status, call.answer = 200, result
        response = Response.json({"ok": True, "result": result})
        if fault and not loss:
            loss = LOST.get(fault.kind)
        call.lost = loss is not None
        if loss == "stall":
            await asyncio.Event().wait()
        if loss == "truncate":
            response.body = response.body[: len(response.body) // 2]
        response.drop = loss == "reset"
        return response

    async def _trouble(self, method: str, payload: dict[str, Any]) -> Loss | None:
        """What becomes of the answer to a call to its chat. Raises Refusal beyond the flood limits."""
        chat_id = payload.get("chat_id")
        chat = self.chats.get(chat_id) if isinstance(chat_id, int) else None
        if chat is None or chat_id is None or method not in SENDS:
            return None
        if chat.hangs:
            await asyncio.Event().wait()
        if self.limits and (wait := self.limits.refuse(chat_id, time.monotonic())):
            text = f"Too Many Requests: retry after {wait}"
            raise Refusal(429, text, {"retry_after": wait}, quiet=True)
        return chat.loses

    def _method(self, request: Request) -> str:
        bot, _, method = request.path.removeprefix("/").partition("/")
        if not bot.startswith("bot") or not method:
            raise Refusal(404, "Not Found")
        if bot != f"bot{self.token}":
            raise Refusal(
                401, "Unauthorized" if ":" in bot else "Unauthorized: invalid token specified"
            )
        if method.lower() not in PARAMETERS:
            raise Refusal(404, "Not Found: method not found")
        return method.lower()

    async def _getme(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": int(self.token.partition(":")[0]),
            "is_bot": True,
            "first_name": "amproxy",
            "username": self.username,
        }

    async def _sendmessage(self, call: dict[str, Any]) -> dict[str, Any]:
        chat_id = self._reachable(call)
        thread = int(call.get("message_thread_id", 0))
        if thread and thread not in self.chats[chat_id].threads:
            raise Refusal(400, "Bad Request: message thread not found")
        text, entities = text_of(call)
        message_id = next(self._message_ids)
        silent = bool(call.get("disable_notification"))
        self.messages[chat_id, message_id] = Message(
            *(chat_id, message_id, text, entities, keyboard_of(call), thread, silent, time.time()),
            preview=preview_of(call),
        )
        return {
            "message_id": message_id,
            "date": int(time.time()),
            "chat": self._chat(chat_id),
            "text": text,
        }

    async def _sendphoto(self, call: dict[str, Any]) -> dict[str, Any]:
        chat_id = self._reachable(call)
        photo, reply = call.get("photo"), json.loads(call.get("reply_parameters", "{}"))
        if not isinstance(photo, bytes) or not photo.startswith(b"\x89PNG"):
            raise Refusal(400, "Bad Request: IMAGE_PROCESS_FAILED")
        reply_to = int(reply.get("message_id", 0))
        if (chat_id, reply_to) not in self.messages:
            if not reply.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
            reply_to = 0
        message_id = next(self._message_ids)
        silent = call.get("disable_notification") == "true"
        self.messages[chat_id, message_id] = Message(
            *(chat_id, message_id, call.get("caption", ""), [], []),
            silent=silent,
            photo=photo,
            reply_to=reply_to,
        )
        return {"message_id": message_id, "date": int(time.time()), "chat": self._chat(chat_id)}

    async def _editmessagetext(self, call: dict[str, Any]) -> dict[str, Any]:
        chat_id = self._reachable(call)
        message = self.messages.get((chat_id, int(call.get("message_id", 0))))
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        text, entities = text_of(call)
        keyboard, preview = keyboard_of(call), preview_of(call)
        before = (message.text, message.entities, message.keyboard, message.preview)
        if (text, entities, keyboard, preview) == before:
            same = "specified new message content and reply markup are exactly the same as a current content and reply markup of the message"
            raise Refusal(400, f"Bad Request: message is not modified: {same}", quiet=True)
        message.history.append((message.text, message.keyboard))
        message.text, message.entities = text, entities
        message.keyboard, message.preview = keyboard, preview
        return {
            "message_id": message.message_id,
            "date": int(time.time()),
            "chat": self._chat(chat_id),
            "text": text,
        }

    async def _answercallbackquery(self, call: dict[str, Any]) -> bool:
        query = call.get("callback_query_id")
        if len(str(call.get("text", ""))) > 200:
            raise Refusal(400, "Bad Request: MESSAGE_TOO_LONG")
        if not self._queries.get(str(query)):
            raise Refusal(
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
            )
        self.answers.append(call)
        return True

    async def _getupdates(self, call: dict[str, Any]) -> list[dict[str, Any]]:
        if self._poll is not None:
            self._poll.set()  # the newer request ends the older one
        mine = self._poll = asyncio.Event()
        offset, until = (
            int(call.get("offset", 0)),
            time.monotonic() + min(float(call.get("timeout", 0)), 50),
        )
        if offset:
            self._updates = [update for update in self._updates if update["update_id"] >= offset]
        wanted = set(call.get("allowed_updates") or ["message", "callback_query"])
        while (
            not (found := [update for update in self._updates if wanted & update.keys()])
            and (left := until - time.monotonic()) > 0
        ):
            self._news.clear()
            waits = [asyncio.ensure_future(event.wait()) for event in (self._news, mine)]
            await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if mine.is_set():
                text = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
                raise Refusal(
                    409, text, quiet=True
                )  # most often to a connection that nobody reads any more
        self._poll = None
        return found[: int(call.get("limit", 100))]

    def _queue(self, update: dict[str, Any]) -> None:
        self._updates.append({"update_id": next(self._update_ids)} | update)
        self._server.soon(self._news.set)

    def _reachable(self, call: dict[str, Any]) -> int:
        chat_id = call.get("chat_id")
        if not isinstance(chat_id, int) or chat_id not in self.chats:
            raise Refusal(400, "Bad Request: chat not found")
        if (refusal := self.chats[chat_id].refusal) is not None:
            raise refusal
        return chat_id

    def _chat(self, chat_id: int) -> dict[str, Any]:
        return {
            "id": chat_id,
            "type": self.chats[chat_id].kind if chat_id in self.chats else "private",
        }
