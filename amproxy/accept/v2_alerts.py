"""The body of `POST /api/v2/alerts`, from vmalert, Prometheus and Grafana, alert by alert.

What real senders send is decoded fast; the rest is taken and refused as in Alertmanager.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

from amproxy.accept.body import (
    BIG_BODY,
    BadTime,
    check_members,
    check_separators,
    clamp_time,
    parse_time,
    replace_surrogates,
    split_list,
)
from amproxy.correlate.incoming import IncomingAlert
from amproxy.grouping.placement import Placer
from amproxy.labels.matchers import is_label_name
from amproxy.model import Alert
from amproxy.text import Phrase, Words, phrase

_REQUEST_URI = re.compile(r"(?:/|[A-Za-z][A-Za-z0-9+.-]*:)[^\x00-\x20\x7f]*")
_BLANKS: Final = " \t\r\n"  # of JSON
_NEXT = re.compile(f"[{_BLANKS}]*")
_JSON_TYPES: Final = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    type(None): "null",
}


class PostableAlert(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One alert as posted. Labels and annotations stay raw JSON until somebody needs them."""

    labels: msgspec.Raw
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    startsAt: str | None = None
    endsAt: str | None = None
    generatorURL: str = ""


class PostAlertsRequest(msgspec.Struct):
    """The alerts of a body that are stored, and the reasons why others are refused."""

    alerts: list[IncomingAlert]
    firing: int
    refused: list[str]  # of each refused one, in the words of Alertmanager's answer
    refusal: Phrase | None = None  # of the first of them


class BadAlertsBody(Exception):
    """The whole body is refused: status, and the code and words of Alertmanager's answer."""

    def __init__(self, status: int, code: int, words: Phrase) -> None:
        super().__init__(words)
        self.status, self.code, self.words = status, code, words


class _AlertTimes(msgspec.Struct, frozen=True, gc=False):
    starts_ns: int
    starts_offset: int  # minutes
    ends_ns: int
    ends_offset: int  # minutes
    timeout: bool  # the sender gave no end


class _PostedAlert(IncomingAlert, gc=False):
    """Labels and annotations are decoded only when they are needed."""

    posted: PostableAlert
    times: _AlertTimes
    source: str
    labels: dict[str, str] | None  # None: not decoded yet

    def make(self) -> Alert:
        times = self.times
        return Alert(
            fingerprint=self.placement.fingerprint,
            labels=_labels(self.posted) if self.labels is None else self.labels,
            annotations=_annotations(self.posted),
            starts_ns=times.starts_ns,
            starts_offset=times.starts_offset,
            ends_ns=times.ends_ns,
            ends_offset=times.ends_offset,
            timeout=times.timeout,
            generator_url=self.posted.generatorURL,
            source=self.source,
        )


def parse_alerts(
    body: bytes,
    placer: Placer,
    now_ns: int,
    resolve_timeout: float,
    source: str,
    behind_ns: int = 0,
) -> PostAlertsRequest:
    """Decode and place a body; resolve_timeout in seconds. Raises BadAlertsBody, PushRefused.

    behind_ns: how far the senders' clocks are behind `now_ns`, after this machine's was set back.
    """
    timeout_ns = int(resolve_timeout * 10**9)
    request = PostAlertsRequest([], 0, [])
    for index, alert in enumerate(decode_alerts(body)):
        times = _alert_times(alert, now_ns, timeout_ns, behind_ns)
        incoming = _to_incoming(index, alert, times, placer, source)
        if isinstance(incoming, Phrase):
            request.refused.append(str(incoming))
            request.refusal = request.refusal or incoming
            continue
        request.alerts.append(incoming)
        request.firing += incoming.ends_ns > now_ns
    return request


def _alert_times(alert: PostableAlert, now_ns: int, timeout_ns: int, behind_ns: int) -> _AlertTimes:
    """Without startsAt: now, or the end where one is given; without endsAt: the timeout from now.

    Raises BadAlertsBody.
    """
    try:
        starts, ends = parse_time(alert.startsAt), parse_time(alert.endsAt)
    except BadTime as error:
        raise _body_error(error.words) from None
    starts, ends = clamp_time(starts), clamp_time(ends)
    if starts is None:
        starts = ends if ends is not None else (now_ns, 0)
    if ends is None:
        return _AlertTimes(*starts, now_ns + timeout_ns, 0, True)
    # Moved with the sender's clock: an alert that fires must not count as over on arrival.
    return _AlertTimes(*starts, ends[0] + behind_ns, ends[1], False)


def _to_incoming(
    index: int, alert: PostableAlert, times: _AlertTimes, placer: Placer, source: str
) -> IncomingAlert | Phrase:
    """Return the alert, or the reason why it is refused while its neighbours are stored.

    Raises BadAlertsBody.
    """
    # A label set is decoded and placed once: a sender repeats its bytes with every push.
    raw = bytes(alert.labels)
    placement, labels = placer.known(raw), None
    if placement is None:
        if raw == b"null":
            raise _missing_labels(index)
        labels = _labels(alert)
        if refusal := _label_error(alert, labels):
            return refusal
        placement = placer.place(labels, raw)
    if times.starts_ns > times.ends_ns:
        return phrase("refusal.posted_times")
    if alert.generatorURL and not _is_request_uri(alert.generatorURL):
        words = phrase("refusal.posted_address", index=index, text=alert.generatorURL)
        raise BadAlertsBody(422, 601, words)
    content = bytes(alert.annotations) + alert.generatorURL.encode()
    return _PostedAlert(
        placement,
        times.starts_ns,
        times.ends_ns,
        times.timeout,
        0,
        hashlib.blake2b(content, digest_size=8).digest(),
        alert,
        times,
        source,
        labels,
        unheard=labels is not None,
    )


def _labels(alert: PostableAlert) -> dict[str, str]:
    """Return the labels that have a value: an empty one counts as absent."""
    return {name: value for name, value in decode_map(alert.labels).items() if value}


def _label_error(alert: PostableAlert, labels: dict[str, str]) -> Phrase | None:
    """Return the reason to refuse an alert for its labels or annotations; None = there is none."""
    if not labels:
        return phrase("refusal.posted_one_label")
    if "" in labels:
        return phrase("refusal.posted_label", name='""')
    if wrong := next((name for name in labels if not is_label_name(name)), ""):  # in classic mode
        return phrase("refusal.posted_label", name=msgspec.json.encode(wrong).decode())
    # Annotations are decoded only where their bytes could hold an empty name.
    if b'""' in bytes(alert.annotations) and "" in _annotations(alert):
        return phrase("refusal.posted_annotation")
    return None


def _annotations(alert: PostableAlert) -> dict[str, str]:
    raw = bytes(alert.annotations)
    return {} if raw in (b"{}", b"null") else decode_map(alert.annotations)


@lru_cache(maxsize=4096)
def _is_request_uri(text: str) -> bool:
    """Check whether Go's request-URI parser takes the text.

    It takes all that is absolute or has a scheme and has no blanks or control characters.
    """
    return _REQUEST_URI.fullmatch(text) is not None


_decode_strictly = msgspec.json.Decoder(list[PostableAlert]).decode
_decode_alert = msgspec.json.Decoder(PostableAlert).decode
_decode_string_map = msgspec.json.Decoder(dict[str, str]).decode


def decode_alerts(body: bytes) -> list[PostableAlert]:
    """Return the alerts of a body, the fast way if it can. Raises BadAlertsBody, PushRefused.

    The fast way leaves times and maps undecoded.
    """
    try:
        return _decode_strictly(body) if len(body) <= BIG_BODY else _decode_in_pieces(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(body)


def decode_map(raw: msgspec.Raw) -> dict[str, str]:
    """Return labels or annotations: text to text. Raises BadAlertsBody, PushRefused."""
    try:
        return _decode_string_map(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _strings(_load_json(bytes(raw)), "labels")


def _decode_in_pieces(body: bytes) -> list[PostableAlert]:
    check_separators(body)
    return [_decode_piece(index, raw) for index, raw in enumerate(split_list(body))]


def _decode_piece(index: int, raw: msgspec.Raw) -> PostableAlert:
    try:
        return _decode_alert(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_postable_alert(index, _load_json(bytes(raw)))


def _decode_leniently(body: bytes) -> list[PostableAlert]:
    """Decode all that Go's decoder takes. Raises BadAlertsBody, PushRefused.

    That is any case of keys, unknown keys, nulls, bad UTF-8, and text after the value.
    """
    if not body.strip():
        raise BadAlertsBody(422, 602, phrase("refusal.posted_required"))
    text = body.decode("utf-8", "replace").lstrip(_BLANKS)
    if text.startswith("["):
        return [_parse_postable_alert(index, item) for index, item in enumerate(_items(text))]
    loaded = _load_json(body)
    if loaded is None:
        return []
    raise _body_error(phrase("refusal.posted_no_list", kind=_kind(loaded)))


def _items(text: str) -> Iterator[Any]:
    """Decode the items of a JSON list one by one: all at once, many MB would take too long."""
    position = _NEXT.match(text, 1).end()  # type: ignore[union-attr]  # it matches nothing as well
    if text.startswith("]", position):
        return
    while True:
        try:
            value, position = _json.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise _body_error(_said(error)) from None
        yield value
        position = _NEXT.match(text, position).end()  # type: ignore[union-attr]
        if text.startswith("]", position):
            return
        if not text.startswith(",", position):
            raise _body_error(phrase("refusal.posted_comma", character=position + 1))
        position = _NEXT.match(text, position + 1).end()  # type: ignore[union-attr]


def _load_json(body: bytes) -> Any:
    check_members(body)
    try:
        value, _ = _json.raw_decode(body.decode("utf-8", "replace").lstrip(_BLANKS))
    except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
        raise _body_error(_said(error)) from None
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(phrase("refusal.posted_constant", word=name))


_json = json.JSONDecoder(parse_constant=_refuse_constant)


def _parse_postable_alert(index: int, item: Any) -> PostableAlert:
    if item is None:
        raise _body_error(phrase("refusal.posted_null", index=index))
    if not isinstance(item, dict):
        raise _body_error(phrase("refusal.posted_no_object", kind=_kind(item)))
    folded = {key.casefold(): value for key, value in item.items()}
    labels = folded.get("labels")
    if labels is None:
        raise _missing_labels(index)
    annotations = _strings(folded.get("annotations") or {}, "annotations")
    return PostableAlert(
        labels=msgspec.Raw(msgspec.json.encode(_strings(labels, "labels"))),
        annotations=msgspec.Raw(msgspec.json.encode(annotations)),
        startsAt=_check_time(folded.get("startsat")),
        endsAt=_check_time(folded.get("endsat")),
        generatorURL=_string(folded.get("generatorurl"), "generatorURL"),
    )


def _strings(value: Any, field: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _body_error(phrase("refusal.posted_no_map", kind=_kind(value), field=field))
    return {replace_surrogates(key): _string(text, field) for key, text in value.items()}


def _string(value: Any, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _body_error(phrase("refusal.posted_no_string", kind=_kind(value), field=field))
    return replace_surrogates(value)


def _check_time(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _body_error(phrase("refusal.posted_no_time", kind=_kind(value)))
    try:
        parse_time(value)
    except BadTime as error:
        raise _body_error(error.words) from None
    return value


def _missing_labels(index: int) -> BadAlertsBody:
    return BadAlertsBody(422, 602, phrase("refusal.posted_no_labels", index=index))


def _body_error(said: Words) -> BadAlertsBody:
    return BadAlertsBody(400, 400, phrase("refusal.posted_body", said=said))


def _said(error: ValueError | RecursionError) -> Words:
    """The reason of _refuse_constant, or the words of the parser."""
    reason = error.args[0] if error.args else ""
    return reason if isinstance(reason, Phrase) else phrase("refusal.quoted", text=str(error))


def _kind(value: Any) -> str:
    """The kind of a JSON value, as Go's decoder calls it."""
    return _JSON_TYPES[type(value)]
