"""The body of `POST /api/v2/alerts`: fast for what real senders send, forgiving and strict as Alertmanager for the rest."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from amproxy.accept.times import BadTime, parse_time


class Posted(msgspec.Struct, forbid_unknown_fields=True):
    """One alert as posted. Labels and annotations stay raw JSON until somebody needs them."""

    labels: msgspec.Raw
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    startsAt: str | None = None
    endsAt: str | None = None
    generatorURL: str = ""


class Unreadable(Exception):
    """The whole body is refused: status, and the code and message of Alertmanager's answer."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


_fast = msgspec.json.Decoder(list[Posted]).decode
_map = msgspec.json.Decoder(dict[str, str]).decode


def read(body: bytes) -> list[Posted]:
    """The alerts of a body; raises Unreadable. Times and maps in it are not looked at yet, unless the slow path did."""
    try:
        return _fast(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _slow(body)


def read_map(raw: msgspec.Raw) -> dict[str, str]:
    """Labels or annotations: text to text. Raises Unreadable."""
    try:
        return _map(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        loaded = _load(bytes(raw))
        return _strings(loaded, "labels")


def _slow(body: bytes) -> list[Posted]:
    """What Go's decoder takes as well: any case of keys, unknown keys, nulls, bad UTF-8, text after the value."""
    if not body.strip():
        raise Unreadable(422, 602, "alerts in body is required")
    loaded = _load(body)
    if loaded is None:
        return []
    if not isinstance(loaded, list):
        raise _failed(f"json: cannot unmarshal {_kind(loaded)} into Go value of type models.PostableAlerts")
    return [_alert(index, item) for index, item in enumerate(loaded)]


def _load(body: bytes) -> Any:
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:  # a JSONDecodeError, or a number with thousands of digits
        raise _failed(str(error)) from None
    return value


def _alert(index: int, item: Any) -> Posted:
    if item is None:
        raise _failed(f"alert {index} is null")
    if not isinstance(item, dict):
        raise _failed(f"json: cannot unmarshal {_kind(item)} into Go value of type models.PostableAlert")
    folded = {key.casefold(): value for key, value in item.items()}
    labels = folded.get("labels")
    if labels is None:
        raise Unreadable(422, 602, f"{index}.labels in body is required")
    return Posted(
        labels=msgspec.Raw(msgspec.json.encode(_strings(labels, "labels"))),
        annotations=msgspec.Raw(msgspec.json.encode(_strings(folded.get("annotations") or {}, "annotations"))),
        startsAt=_time(folded.get("startsat")),
        endsAt=_time(folded.get("endsat")),
        generatorURL=_string(folded.get("generatorurl"), "generatorURL"),
    )


def _strings(value: Any, field: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _failed(f"json: cannot unmarshal {_kind(value)} into Go struct field Alert.{field}")
    return {_clean(key): _string(text, field) for key, text in value.items()}


def _string(value: Any, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _failed(f"json: cannot unmarshal {_kind(value)} into Go struct field Alert.{field} of type string")
    return _clean(value)


def _clean(text: str) -> str:
    """Lone surrogates become U+FFFD, as in Go."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _time(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _failed(f"json: cannot unmarshal {_kind(value)} into a time")
    try:
        parse_time(value)
    except BadTime as error:
        raise _failed(str(error)) from None
    return value


def _failed(why: str) -> Unreadable:
    return Unreadable(400, 400, f'parsing alerts body from "" failed, because {why}')


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number", type(None): "null"}
    return names[type(value)]
