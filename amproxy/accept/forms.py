"""Bodies that are not JSON in UTF-8 made so: other charsets, forms, and plain text."""

from __future__ import annotations

import json
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from amproxy.accept.body import PushRefused, is_charset, tidy_json
from amproxy.text import phrase

MAX_FIELDS: Final = 1000  # of a form
_TOO_MANY_FIELDS: Final = phrase("refusal.form_fields", most=MAX_FIELDS)
_UTF8: Final = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"


def to_json(body: bytes, content_type: str, content_encoding: str = "") -> bytes:
    """Return the body as JSON in UTF-8 where it is something else by its headers.

    What is declared as JSON, or not at all, stays what it is. Raises PushRefused: 400 where the
    body does not fit its charset or its form, 413 for too many fields.
    """
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    body = _to_utf8(body, _charset(parameters, content_encoding))
    is_form = kind in (_FORM, _MULTIPART)
    if not (is_form or kind.startswith("text/")) or _is_json(body):
        return body
    fields = _form_fields(body, content_type, kind) if is_form else {}
    if not fields:
        fields = text_payload(body.decode("utf-8", "replace"))
    # Slack's and GitHub's forms have one field, and JSON in it.
    values = list(fields.values()) if len(fields) == 1 else [fields.get("payload", "")]
    for inner in map(str.encode, values):
        if _is_json(inner):
            return inner
    return json.dumps(fields).encode() if fields else body


def text_payload(text: str) -> dict[str, str]:
    """A plain text as a body whose first line is the title; {} of a blank one."""
    title, _, rest = text.removeprefix("\ufeff").strip().partition("\n")
    named = {"title": title.strip(), "message": rest.strip()}
    return {name: value for name, value in named.items() if value}


def _charset(parameters: str, content_encoding: str) -> str:
    """The declared charset in lower case; "" where none is that can be read."""
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", parameters, re.IGNORECASE)
    given = [found[1]] if found else [one.strip() for one in content_encoding.split(",")]
    return next((name.lower() for name in given if is_charset(name)), "")


def _to_utf8(body: bytes, charset: str) -> bytes:
    if not charset or charset.startswith(("utf-16", "utf-32", "utf16", "utf32")):
        # A mark at the beginning, or the zeros of JSON's first characters, say more than a header.
        found = json.detect_encoding(body)
        if found.startswith(("utf-16", "utf-32")):
            charset = found
    if not charset or charset in _UTF8:
        return body
    try:
        return str(body, charset, "replace").removeprefix("\ufeff").encode("utf-8", "replace")
    except LookupError:
        return body
    except ValueError as error:
        words = phrase("refusal.charset", charset=charset, said=str(error))
        raise PushRefused(400, words) from None


def _is_json(body: bytes) -> bool:
    """Check for a JSON object or list."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        return False
    for attempt in (body, tidy_json(body)):
        try:
            msgspec.json.decode(attempt, type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        return True
    return False


def _form_fields(body: bytes, content_type: str, kind: str) -> dict[str, str]:
    """The fields of a form; {} where the body is none. Raises PushRefused(413)."""
    pairs = _parts(body, content_type) if kind == _MULTIPART else _pairs(body)
    if len(pairs) > MAX_FIELDS:
        raise PushRefused(413, _TOO_MANY_FIELDS)
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name:
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    text = body.decode("utf-8", "replace").strip()
    if "=" not in text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise PushRefused(413, _TOO_MANY_FIELDS) from None


def _parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The texts of a multipart form; files are not read."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = message_from_bytes(head + body, policy=policy.HTTP)
    assert isinstance(message, EmailMessage)  # of this policy
    pairs = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes) and part.get_filename() is None:
            pairs.append((name, content.decode("utf-8", "replace")))
    return pairs
