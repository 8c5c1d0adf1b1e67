"""What Slack takes in a message: Block Kit's limits, and no markup that pings anybody."""

from __future__ import annotations

import re
from typing import Any

LINK = re.compile(r"<https?://[^<>|\s]+(\|[^<>|]+)?>")


class Refusal(Exception):
    """An error of Slack; str() is its word."""

    def __init__(
        self, error: str, messages: list[str] | None = None, more: dict[str, Any] | None = None
    ) -> None:
        super().__init__(error)
        self.messages, self.more = messages or [], more or {}


def check_message(payload: dict[str, Any]) -> None:
    """Raises Refusal for a message that would not be taken, or that pings somebody.

    One with attachments is as the file of its receiver has it: it may name whom it likes.
    """
    text, blocks = payload.get("text"), payload.get("blocks", [])
    if attachments := payload.get("attachments"):
        _attachments(attachments)
        return
    if not isinstance(text, str) or not text.strip():
        raise Refusal("no_text")
    if len(text) > 4000:
        raise Refusal("msg_too_long")
    _mrkdwn(text, 4000, "/text")
    if not isinstance(blocks, list):
        raise Refusal("invalid_blocks_format")
    _need(len(blocks) <= 50, "no more than 50 items allowed", "/blocks")
    for place, block in enumerate(blocks):
        where = f"/blocks/{place}"
        check = CHECKS.get(block.get("type"))
        _need(check is not None, f"unsupported type: {block.get('type')}", where)
        assert check is not None
        check(block, where)


_ATTACHMENT_TEXTS = {
    *("title", "title_link", "pretext", "text", "fallback", "callback_id", "footer", "color"),
    *("image_url", "thumb_url"),
}
_ACTION_TEXTS = {"type", "text", "url", "style", "name", "value"}


def _attachments(attachments: Any) -> None:
    """Refuse what the reference of secondary attachments does not have."""
    if not isinstance(attachments, list) or len(attachments) > 20:
        raise Refusal("too_many_attachments")
    for attachment in attachments:
        known = _ATTACHMENT_TEXTS | {"fields", "actions", "mrkdwn_in"}
        if not set(attachment) <= known or not any(
            attachment.get(key) for key in ("text", "fallback", "title", "pretext", "fields")
        ):
            raise Refusal("no_text")
        for field in attachment.get("fields", ()):
            if not set(field) <= {"title", "value", "short"}:
                raise Refusal("invalid_attachments")
        for action in attachment.get("actions", ()):
            known = _ACTION_TEXTS | {"confirm"}
            if not set(action) <= known or action.get("type") != "button" or not action.get("text"):
                raise Refusal("invalid_attachments")
        texts = [attachment.get(key, "") for key in _ATTACHMENT_TEXTS]
        texts += [text for field in attachment.get("fields", ()) for text in _texts(field)]
        texts += [text for action in attachment.get("actions", ()) for text in _texts(action)]
        if not all(isinstance(text, str) for text in texts):
            raise Refusal("invalid_attachments")


def _texts(values: dict[str, Any]) -> list[Any]:
    return [value for key, value in values.items() if key not in ("short", "confirm")]


def _need(holds: object, words: str, where: str) -> None:
    if not holds:
        raise Refusal("invalid_blocks", [f"[ERROR] {words} [json-pointer:{where}]"])


def _header(block: dict[str, Any], where: str) -> None:
    _plain(block.get("text"), 150, f"{where}/text")


def _section(block: dict[str, Any], where: str) -> None:
    fields = block.get("fields", [])
    _need("text" in block or fields, "missing required field: text", where)
    if "text" in block:
        _object(block["text"], 3000, f"{where}/text")
    _need(len(fields) <= 10, "no more than 10 items allowed", f"{where}/fields")
    for place, item in enumerate(fields):
        _object(item, 2000, f"{where}/fields/{place}")


def _context(block: dict[str, Any], where: str) -> None:
    elements = block.get("elements", [])
    _need(1 <= len(elements) <= 10, "must have 1 to 10 items", f"{where}/elements")
    for place, element in enumerate(elements):
        _object(element, 3000, f"{where}/elements/{place}")


def _actions(block: dict[str, Any], where: str) -> None:
    elements = block.get("elements", [])
    _need(1 <= len(elements) <= 25, "must have 1 to 25 items", f"{where}/elements")
    actions = [element.get("action_id") for element in elements]
    _need(len(set(actions)) == len(actions), "action_id must be unique", f"{where}/elements")
    for place, element in enumerate(elements):
        spot = f"{where}/elements/{place}"
        _need(element.get("type") == "button", "unsupported type", spot)
        _plain(element.get("text"), 75, f"{spot}/text")
        _need(
            1 <= len(element.get("action_id") or "") <= 255,
            "must be 1 to 255 characters",
            f"{spot}/action_id",
        )
        _need(
            len(element.get("value", "")) <= 2000,
            "must be less than 2001 characters",
            f"{spot}/value",
        )
        _need(
            element.get("style", "primary") in {"primary", "danger"},
            "unknown style",
            f"{spot}/style",
        )


def _image(block: dict[str, Any], where: str) -> None:
    url, text = block.get("image_url", ""), block.get("alt_text", "")
    _need(re.fullmatch(r"https?://[^\s/]+\S*", url), "must be a URL", f"{where}/image_url")
    _need(len(url) <= 3000, "must be less than 3001 characters", f"{where}/image_url")
    _need(1 <= len(text) <= 2000, "must be 1 to 2000 characters", f"{where}/alt_text")


CHECKS = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "image": _image,
}


def _object(text: Any, limit: int, where: str) -> None:
    _need(isinstance(text, dict), "must be an object", where)
    if text.get("type") == "plain_text":
        _plain(text, limit, where)
    else:
        _need(text.get("type") == "mrkdwn", "unknown type", where)
        _mrkdwn(text.get("text"), limit, where)


def _plain(text: Any, limit: int, where: str) -> None:
    _need(isinstance(text, dict) and text.get("type") == "plain_text", "must be plain_text", where)
    _need(
        1 <= len(text.get("text") or "") <= limit,
        f"must be 1 to {limit} characters",
        f"{where}/text",
    )


def _mrkdwn(text: Any, limit: int, where: str) -> None:
    """Within the limit, and escaped: the only angle brackets are those of links, each ampersand starts an entity."""
    _need(isinstance(text, str) and text, "must be more than 0 characters", where)
    _need(len(text) <= limit, f"must be less than {limit + 1} characters", where)
    rest = LINK.sub("", text)
    _need(
        "<" not in rest and ">" not in rest,
        f"raw angle brackets could ping people: {rest[:80]!r}",
        where,
    )
    _need(not re.search(r"&(?!amp;|lt;|gt;)", text), "a raw ampersand", where)
