"""Any JSON object into alerts, told in its own words.

What a body says is looked for in three places: the mapping of its source, the shape of a known
sender, and the names that most senders use, in nested objects too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct

from amproxy.accept import shapes
from amproxy.accept.body import BIG_BODY, TOO_DEEP, PushRefused, is_nested_too_deeply
from amproxy.accept.named import (
    MAX_NAME_LENGTH,
    NamedObject,
    find_identity,
    find_link,
    find_severity,
    find_state,
    find_title,
    first_text,
    is_about,
    named_objects,
    read_tags,
    web_link,
)
from amproxy.accept.shapes import Shape, as_text, look_up
from amproxy.accept.words import (
    IMAGES,
    LABEL_OBJECTS,
    LINKS,
    NAME,
    PLACES,
    SECRETS,
    SEVERITIES,
    TEXTS,
    TITLES,
    State,
    is_over,
    known_state,
    plain,
    title_state,
    without_state,
)
from amproxy.config.structs import SourceMapping
from amproxy.notify.templates import TemplateFailed, is_template, render_text
from amproxy.text import phrase

MAX_TITLE_LENGTH: Final = 500  # characters of a title before it is shortened to a name
MAX_QUOTE_LENGTH: Final = 800  # characters of a body that has no text of its own
MAX_LABELS: Final = 64  # of its tags, and of its labels
MAX_LABEL_LENGTH: Final = 1000  # characters
MAX_MESSAGE_LENGTH: Final = 256 * 1024  # characters of a message of SNS
MAX_TOLD: Final = 10_000  # alerts of one body


class ToldAlert(Struct, kw_only=True):
    """One alert of a foreign body."""

    identity: str  # "id:…", "title:…" or "body:…": what tells it from the source's others
    uid: str = ""  # the identity that its sender gave it
    title: str
    text: str = ""
    state: State = "firing"
    severity: str = ""
    link: str = ""
    image: str = ""
    labels: dict[str, str] = {}
    sender: str = ""  # of a known shape
    payload: dict[str, Any] = {}
    faults: list[str] = []  # fields of the mapping that failed, with the reason


class _Found(Struct):
    """The fields that were found, "" where there is none."""

    identity: str = ""
    title: str = ""
    text: str = ""
    state: str = ""
    severity: str = ""
    link: str = ""
    image: str = ""


def tell(
    payload: dict[str, Any], body: bytes, source: str, mapping: SourceMapping | None = None
) -> list[ToldAlert]:
    """Return the alerts of a body: one, or those of the list that the mapping names.

    body: as sent. Raises PushRefused(422): nested too deeply, or no such list.
    """
    if is_nested_too_deeply(payload):
        raise PushRefused(422, TOO_DEEP)
    if mapping is None or not mapping.each:
        # The bytes of a big body differ as its content does, and take less than sorting it.
        digest = _digest(body) if len(body) > BIG_BODY else _digest(_canonical(payload))
        return [_tell_one(payload, digest, source, mapping)]
    found, items = shapes.follow(payload, tuple(mapping.each.split(".")))
    if not found or not isinstance(items, list) or len(items) > MAX_TOLD:
        words = phrase("refusal.told_list", field=mapping.each, most=MAX_TOLD)
        raise PushRefused(422, words)
    return [
        _tell_one(item, _digest(_canonical(item)), source, mapping)
        for item in items
        if isinstance(item, dict)
    ]


def _tell_one(
    payload: dict[str, Any], digest: str, source: str, mapping: SourceMapping | None
) -> ToldAlert:
    outer, payload = payload, _unwrap(payload)
    shape = shapes.recognise(payload)
    objects = list(named_objects(payload))
    faults: list[str] = []
    given = _by_mapping(payload, mapping, faults) if mapping else _Found()
    shaped = _by_shape(payload, shape) if shape else _Found()
    title = given.title or shaped.title or find_title(objects) or as_text(outer.get("Subject"))
    labels = _labels(objects, payload, shape, mapping, faults)
    title = (title or labels.get("alertname", ""))[:MAX_TITLE_LENGTH]
    text = given.text or shaped.text or first_text(objects, TEXTS)
    state, stateful = _state(given, shape, shaped, objects, title)
    uid, of_rule = given.identity or shaped.identity, False
    if not uid and not (shape and shape.identity):  # else ids are those of other things
        uid, of_rule = find_identity(objects, title, text)
    places = [labels[name] for name in PLACES if name in labels]
    # An end names what it ends, and needs no more words than that.
    about = _quote(_without_secrets(payload)) if not (title or text) and state == "firing" else ""
    name = title or _first_line(text) or _place_name(labels)
    if uid:
        identity = _id_identity(uid, places if of_rule else [])
    elif ((title or places) and stateful) or (title and not _has_more(payload)):
        identity = " ".join(("title:" + without_state(title), *places))
    else:
        # What tells no state has no end that would have to be found.
        identity = f"body:{digest}"
    return ToldAlert(
        identity=identity,
        uid=uid[:MAX_NAME_LENGTH],
        title=(name or f"Alert from {source}")[:MAX_NAME_LENGTH],
        text=about or (text if text != name else ""),
        state=state,
        severity=find_severity(given.severity or shaped.severity, objects),
        link=web_link(given.link or shaped.link) or find_link(objects, LINKS),
        image=web_link(given.image) or find_link(objects, IMAGES),
        labels=labels,
        sender=shape.sender if shape else "",
        payload=_without_secrets(outer),
        faults=faults,
    )


def _id_identity(uid: str, places: list[str]) -> str:
    if len(uid) > MAX_NAME_LENGTH:
        uid = _digest(uid.encode())
    return " ".join((f"id:{uid}", *places))


def _has_more(payload: dict[str, Any]) -> bool:
    """Check for anything but a title and what does not tell alerts apart."""
    plainly = {*TITLES, NAME, *SEVERITIES, *LINKS, *IMAGES, *LABEL_OBJECTS, *PLACES}
    return any(
        value not in (None, "") and plain(key) not in plainly for key, value in payload.items()
    )


def _unwrap(payload: dict[str, Any]) -> dict[str, Any]:
    """The message of an envelope of Amazon SNS, where that is an object by itself."""
    message = payload.get("Message")
    if payload.get("Type") != "Notification" or not isinstance(message, str):
        return payload
    if len(message) > MAX_MESSAGE_LENGTH:
        return payload
    try:
        inner = msgspec.json.decode(message) if message.lstrip().startswith("{") else None
    except (msgspec.DecodeError, RecursionError):
        return payload
    if not isinstance(inner, dict) or is_nested_too_deeply(inner):
        return payload
    return inner


def _without_secrets(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if plain(key) not in SECRETS}


# Title and text


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _place_name(labels: dict[str, str]) -> str:
    """A name for what says only what it is about: "CPU on db1"."""
    service = next((labels[name] for name in ("service", "check", "monitor") if name in labels), "")
    host = next((labels[name] for name in ("host", "hostname", "instance") if name in labels), "")
    return f"{service} on {host}" if service and host else service or host


def _quote(payload: dict[str, Any]) -> str:
    """The beginning of a body as JSON."""
    quoted, length = list[str](), 0
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(payload):
        quoted.append(piece)
        length += len(piece)
        if length > MAX_QUOTE_LENGTH:
            return "".join(quoted)[: MAX_QUOTE_LENGTH - 1] + "…"
    return "".join(quoted)


# State


def _state(
    given: _Found, shape: Shape | None, shaped: _Found, objects: list[NamedObject], title: str
) -> tuple[State, bool]:
    """Return the state, and whether the sender tells states at all."""
    if given.state:
        return known_state(given.state) or "firing", True
    if shape and shaped.state:
        return _shaped_state(shape, shaped.state), True
    if found := find_state(objects):
        return found, True
    if known := title_state(title):
        return known, True
    return "firing", False


def _shaped_state(shape: Shape, state: str) -> State:
    word = plain(state)
    if word in shape.silent:
        return "unchanged"
    if word in shape.over if shape.over is not None else is_over(state):
        return "resolved"
    return "firing" if shape.fires is None or word in shape.fires else "unchanged"


# Labels


def _labels(
    objects: list[NamedObject],
    payload: dict[str, Any],
    shape: Shape | None,
    mapping: SourceMapping | None,
    faults: list[str],
) -> dict[str, str]:
    """The places, the sender's tags and labels, those of its shape and of the mapping."""
    about = [one for one in objects if is_about(one)]
    pairs = [(name, first_text(about, (name,))) for name in PLACES]
    for field in LABEL_OBJECTS:
        given = next((one.names[field] for one in about if field in one.names), None)
        pairs += islice(read_tags(given), MAX_LABELS)
    if shape:
        pairs += [(name, look_up(payload, field)) for name, field in shape.labels.items()]
    if mapping:
        pairs += [
            (name, _mapped(payload, field, f"labels.{name}", faults))
            for name, field in mapping.labels.items()
        ]
    return {name: value[:MAX_LABEL_LENGTH] for name, value in pairs if value}


# By shape and mapping


def _by_shape(payload: dict[str, Any], shape: Shape) -> _Found:
    return _Found(
        identity=look_up(payload, shape.identity),
        title=look_up(payload, shape.title),
        text=look_up(payload, shape.text),
        state=look_up(payload, shape.state),
        severity=look_up(payload, shape.severity),
        link=look_up(payload, shape.link),
    )


def _by_mapping(payload: dict[str, Any], mapping: SourceMapping, faults: list[str]) -> _Found:
    return _Found(
        **{
            name: _mapped(payload, getattr(mapping, name), name, faults)
            for name in _Found.__struct_fields__
        }
    )


def _mapped(payload: dict[str, Any], field: str, name: str, faults: list[str]) -> str:
    """The text of a template or path; "" where it fails, which is noted in `faults`."""
    if not is_template(field):
        return look_up(payload, field)
    variables = {key: value for key, value in payload.items() if key.isidentifier()}
    try:
        return render_text(field, {**variables, "payload": payload}).strip()
    except TemplateFailed as error:
        faults.append(f"{name}: {error}")
        return ""


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
