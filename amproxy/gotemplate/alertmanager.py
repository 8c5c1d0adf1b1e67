"""The functions of Alertmanager's templates, as of 0.35."""

from __future__ import annotations

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from amproxy.gotemplate.alertmanager_data import NotificationData
from amproxy.gotemplate.casing import title, to_lower, to_upper
from amproxy.gotemplate.durations import SECOND, GoTimeDuration, bounded, parse_duration
from amproxy.gotemplate.errors import GoCallError, GoTemplateError
from amproxy.gotemplate.execution import Execution
from amproxy.gotemplate.expressions import match, replace_all
from amproxy.gotemplate.floats import format_float
from amproxy.gotemplate.formatting import sprint
from amproxy.gotemplate.gojson import to_json
from amproxy.gotemplate.layouts import format_time
from amproxy.gotemplate.numbers import INT64_MAX, INT64_MIN, parse_float
from amproxy.gotemplate.parsing import parse_time
from amproxy.gotemplate.quoting import WHITE_SPACE, decode, encode, quote
from amproxy.gotemplate.safe import SafeHTML, SafeURL
from amproxy.gotemplate.times import TIME, ZERO_TIME, GoTime, location
from amproxy.gotemplate.values import (
    ANY,
    ANYTHINGS,
    STRING,
    STRINGS,
    Function,
    Int64,
    Pointer,
    Slice,
    TypeKind,
    type_of,
)

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_SMALL = "munpfazy"


# Texts


def _join(execution: Execution, mark: str, values: Any) -> str:
    if values is None:
        return ""
    go_type = type_of(values)
    if go_type.kind is not TypeKind.SLICE:
        raise GoCallError(f"join expects a slice or array, got {go_type}")
    parts = [
        value if type(value) is str else execution.formatted(_sprinter(value)) for value in values
    ]
    size = sum(map(len, parts)) + len(mark) * len(parts)
    if size > execution.room:
        raise execution.too_long()
    return mark.join(parts)


def _sprinter(value: Any) -> Any:
    return lambda room: sprint((value,), room)


def _string_slice(*values: str) -> Slice:
    return Slice(STRINGS, values)


def _url_unescape(text: str) -> str:
    data = encode(text)
    if b"%" not in data:
        return text.replace("+", " ")
    parts = bytearray()
    at = 0
    while at < len(data):
        if data[at : at + 1] == b"%":
            digits = data[at + 1 : at + 3]
            if not re.fullmatch(rb"[0-9a-fA-F]{2}", digits):
                raise GoCallError(f"invalid URL escape {quote(decode(data[at : at + 3]))}")
            parts.append(int(digits, 16))
            at += 3
        else:
            parts += b" " if data[at : at + 1] == b"+" else data[at : at + 1]
            at += 1
    return decode(bytes(parts))


def _base64_encode(text: str) -> str:
    return urlsafe_b64encode(encode(text)).decode()


def _base64_decode(text: str) -> str:
    data = encode(text)
    kept = _base64_characters(data)
    return decode(urlsafe_b64decode(kept))


def _base64_characters(data: bytes) -> bytes:
    """The data without line ends. Raises GoCallError where it is not whole and well padded."""
    kept = bytearray()
    padding = 0
    for position, code in enumerate(data):
        if code in b"\r\n":
            continue
        filled = len(kept) % 4
        complete = padding and not filled
        is_padding = code == ord("=") and (filled > 1 if not padding else not complete)
        if complete or not (is_padding or (code in _BASE64 and not padding)):
            raise GoCallError(f"illegal base64 data at input byte {position}")
        padding += is_padding
        kept.append(code)
    if len(kept) % 4:
        position = len(data) if padding else len(data) - len(kept) % 4
        raise GoCallError(f"illegal base64 data at input byte {position}")
    return bytes(kept)


# Times


def _now(execution: Execution) -> GoTime:
    if execution.now is None:
        raise GoCallError("no clock")
    return GoTime(execution.now)


def _since(execution: Execution, moment: GoTime) -> GoTimeDuration:
    return bounded(_now(execution).nanoseconds - moment.nanoseconds)


def _to_date(layout: str, text: str) -> GoTime:
    try:
        return parse_time(layout, text)
    except GoCallError:
        return ZERO_TIME


def _add_duration(length: str, moment: GoTime) -> Int64:
    return Int64(moment.moved(parse_duration(length)).nanoseconds // 1_000_000)


def _humanize_duration(value: Any) -> str:
    number = _seconds(value)
    if not math.isfinite(number):
        return format_float(number, "g", 4)
    if not number:
        return "-0s" if math.copysign(1, number) < 0 else "0s"
    if abs(number) < 1:
        steps = 0
        while abs(number) < 1 and steps < len(_SMALL):
            number *= 1000
            steps += 1
        return f"{format_float(number, 'g', 4)}{_SMALL[steps - 1]}s"
    sign, number = ("-", -number) if number < 0 else ("", number)
    whole = int(number)
    if whole > INT64_MAX:
        # Go's conversion gives the smallest number then.
        sign, whole = f"{sign}-", -INT64_MIN
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        inner = "-" if whole > INT64_MAX else ""
        return f"{sign}{days}d {inner}{hours}h {inner}{minutes}m {inner}{seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{format_float(number, 'g', 4)}s"


def _seconds(value: Any) -> float:
    if isinstance(value, GoTimeDuration):
        return value / SECOND
    if type(value) is str:
        number = parse_float(value)
        if number is None:
            lowered = value.lower().lstrip("+-")
            if lowered in ("inf", "infinity", "nan"):
                return float(value)
            raise GoCallError(f"strconv.ParseFloat: parsing {quote(value)}: invalid syntax")
        return number
    if type(value) in (int, float, Int64):
        return float(value)
    shown = "<nil>" if value is None else type_of(value).name
    raise GoCallError(f"can't convert {shown} to float")


# Lists, dictionaries, labels


def _list(*values: Any) -> list[Any]:
    return list(values)


def _append(values: Any, *more: Any) -> list[Any]:
    return [*values, *more]


def _dict(*values: Any) -> dict[str, Any]:
    if len(values) % 2:
        raise GoCallError("dict requires an even number of arguments")
    if not all(type(key) is str for key in values[::2]):
        raise GoCallError("dict keys must be strings")
    return dict(zip(values[::2], values[1::2], strict=True))


def _to_json(execution: Execution, value: Any) -> str:
    return execution.formatted(lambda room: to_json(value, room))


def _route_labels(execution: Execution, name: str) -> str:
    """A route label, rendered once for each message however often it is asked for."""
    data = execution.data.target if type(execution.data) is Pointer else execution.data
    if not isinstance(data, NotificationData) or name not in data.route_labels:
        return ""
    raw = data.route_labels[name]
    if data.route_labels_rendered:
        return str(raw)
    done: dict[str, str] = execution.shared.setdefault("route labels", {})
    busy: list[str] = execution.shared.setdefault("route labels in progress", [])
    if name in done:
        return done[name]
    if name in busy:
        raise GoCallError(f"route label cycle detected: {' -> '.join([*busy, name])}")
    busy.append(name)
    try:
        done[name] = execution.render(raw)
    except GoTemplateError as error:
        raise GoCallError(str(error)) from error
    finally:
        busy.pop()
    return done[name]


FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        Function("toUpper", to_upper, (STRING,)),
        Function("toLower", to_lower, (STRING,)),
        Function("title", title, (STRING,)),
        Function("trimSpace", lambda text: text.strip(WHITE_SPACE), (STRING,)),
        Function("join", _join, (STRING, ANY), wants_execution=True),
        Function("match", match, (STRING, STRING)),
        Function("safeHtml", SafeHTML, (STRING,)),
        Function("safeUrl", SafeURL, (STRING,)),
        Function("urlUnescape", _url_unescape, (STRING,)),
        Function("reReplaceAll", replace_all, (STRING, STRING, STRING), wants_execution=True),
        Function("stringSlice", _string_slice, (), STRING),
        Function("routeLabels", _route_labels, (STRING,), wants_execution=True),
        Function("date", lambda layout, moment: format_time(moment, layout), (STRING, TIME)),
        Function("tz", lambda name, moment: moment.told_in(location(name)), (STRING, TIME)),
        Function("now", _now, (), wants_execution=True),
        Function("since", _since, (TIME,), wants_execution=True),
        Function("humanizeDuration", _humanize_duration, (ANY,)),
        Function("toDate", _to_date, (STRING, STRING)),
        Function("mustToDate", parse_time, (STRING, STRING)),
        Function("addDuration", _add_duration, (STRING, TIME)),
        Function("toJson", _to_json, (ANY,), wants_execution=True),
        Function("base64encode", _base64_encode, (STRING,)),
        Function("base64decode", _base64_decode, (STRING,)),
        Function("list", _list, (), ANY),
        Function("append", _append, (ANYTHINGS,), ANY),
        Function("dict", _dict, (), ANY),
    )
}
