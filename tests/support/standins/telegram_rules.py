"""What Telegram takes and what it refuses, in its words."""

from __future__ import annotations

import itertools
import json
from email import message_from_bytes
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.standins.serving import Request
from tests.support.standins.telegram_html import BadMarkup, Entity, parse

PARAMETERS = {
    "getme": set[str](),
    "sendmessage": {
        *(
            "chat_id",
            "text",
            "parse_mode",
            "reply_markup",
            "message_thread_id",
            "disable_notification",
            "link_preview_options",
        ),
        # the last is the old word for link_preview_options, and still taken
        *("entities", "reply_parameters", "protect_content", "disable_web_page_preview"),
    },
    "sendphoto": {
        *("chat_id", "photo", "caption", "message_thread_id"),
        *("disable_notification", "reply_parameters"),
    },
    "editmessagetext": {
        "chat_id",
        "message_id",
        "text",
        "parse_mode",
        "reply_markup",
        "link_preview_options",
        "entities",
    },
    "answercallbackquery": {"callback_query_id", "text", "show_alert", "url", "cache_time"},
    "getupdates": {"offset", "limit", "timeout", "allowed_updates"},
}


class Refusal(Exception):
    """An error as the real one words it. quiet: a knob asked for it, so that it is no surprise."""

    def __init__(
        self,
        code: int,
        description: str,
        parameters: dict[str, Any] | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters, self.quiet = (
            code,
            description,
            parameters,
            quiet,
        )


def refused(
    code: int, description: str, parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": description} | (
        {"parameters": parameters} if parameters else {}
    )


def parameters(request: Request, method: str) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip()
    if request.method not in {"GET", "POST"}:
        raise Refusal(405, "Method Not Allowed")
    try:
        if kind == "application/json":
            call = json.loads(request.body)
        elif kind == "multipart/form-data":
            call = form_fields(content_type, request.body)
        else:
            call = {k: v[0] for k, v in parse_qs(request.query).items()}
    except ValueError:
        raise Refusal(400, "Bad Request: can't parse JSON object") from None
    unknown = call.keys() - PARAMETERS[method]
    if unknown:
        raise Refusal(
            400, f"Bad Request: parameters that {method} does not know: {sorted(unknown)}"
        )
    chat_id = call.get("chat_id")
    if isinstance(chat_id, str) and chat_id.lstrip("-").isdigit():
        call["chat_id"] = int(chat_id)  # "Integer or String"
    return dict(call)


def form_fields(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields of a form with files: texts, and the bytes of files."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = message_from_bytes(head + body, policy=HTTP)
    found: dict[str, Any] = {}
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(name)] = content if part.get_filename() else content.decode()
    return found


def text_of(call: dict[str, Any]) -> tuple[str, list[Entity]]:
    """The text after its entities are parsed, within the limits."""
    raw, mode = call.get("text", ""), call.get("parse_mode", "")
    if not isinstance(raw, str) or not raw:
        raise Refusal(400, "Bad Request: message text is empty")
    if len(raw.encode()) > 32768:
        raise Refusal(400, "Bad Request: text is too long")
    if mode not in {"", "HTML"}:
        raise Refusal(400, "Bad Request: unsupported parse_mode")
    try:
        text, entities = parse(raw) if mode == "HTML" else (raw, [])
    except BadMarkup as problem:
        raise Refusal(400, f"Bad Request: can't parse entities: {problem}") from None
    if not text.strip():
        raise Refusal(400, "Bad Request: text must be non-empty")
    if len(text.strip()) > 4096:
        raise Refusal(400, "Bad Request: message is too long")
    kept = [
        entity
        for entity in entities
        if entity.kind != "a" or "." in (urlsplit(entity.url).hostname or "")
    ]
    return text.strip(), kept[:100]


def preview_of(call: dict[str, Any]) -> str:
    """The address whose preview is shown, "" for none."""
    options = call.get("link_preview_options") or {}
    if options.keys() - {"is_disabled", "url", "prefer_large_media"}:
        raise Refusal(400, "Bad Request: unknown options of a link preview")
    url = "" if options.get("is_disabled") else options.get("url", "")
    if url and "." not in (urlsplit(url).hostname or ""):
        raise Refusal(400, "Bad Request: WEBPAGE_URL_INVALID")
    return str(url)


def keyboard_of(call: dict[str, Any]) -> list[list[dict[str, str]]]:
    markup = call.get("reply_markup") or {}
    rows = (
        json.loads(markup)["inline_keyboard"]
        if isinstance(markup, str)
        else markup.get("inline_keyboard", [])
    )
    for button in itertools.chain.from_iterable(rows):
        if not button.get("text"):
            raise Refusal(400, "Bad Request: a button without text vanishes")
        if "url" in button:
            if "." not in (urlsplit(button["url"]).hostname or ""):
                raise Refusal(
                    400,
                    f"Bad Request: inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL",
                )
        elif not 1 <= len(str(button.get("callback_data", "")).encode()) <= 64:
            raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return [list(row) for row in rows]
