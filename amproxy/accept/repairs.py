"""AlertRepair what is odd in an alert of a webhook: a push is not lost to the form of one value.

Each repair is noted with a code, for the timeline of the incident. Pure.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, Final

from amproxy.accept.body import (
    TOO_DEEP,
    BadTime,
    PushRefused,
    clamp_time,
    is_nested_too_deeply,
    parse_time,
)
from amproxy.accept.named import read_tags
from amproxy.accept.words import known_state
from amproxy.model import AlertRepair

MAX_REPAIRS: Final = 20  # of one alert that are noted
MAX_FINGERPRINT_LENGTH: Final = 128  # characters
LONGEST_GIVEN: Final = 80  # characters of a value that a note quotes
_TEXTS: Final = frozenset((str,))
UNNAMED: Final = "unnamed"  # the name of a label or annotation that came without one
_EARLIEST_EPOCH: Final = 10**8  # seconds; what is smaller is no time of an alert
_EPOCH_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
_LONGEST_TIME: Final = 80  # characters
MAX_PICTURE_BYTES: Final = 256 * 1024  # of a picture in an alert
_PICTURE_TYPES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_DATA_ADDRESS = re.compile(r"data:image/[a-z]+;base64,", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
# Go's String() of a time, Java's zone in brackets, and a zone in words.
_AFTER_TIME = re.compile(r"(?: m=[+-][\d.]+|\[[\w/+-]+\])$")
_ZONE_NAME = re.compile(r"(?<=\d)(?: ([+-]\d\d:?\d\d))?(?: ?(?:UTC|GMT|Z)|(?<=\d) [A-Z]{3,5})?$")


def note(repairs: list[AlertRepair], code: str, field: str, given: Any = "") -> None:
    """Note one repair. given: the value as it came. Raises PushRefused(422): nested too deeply."""
    if len(repairs) < MAX_REPAIRS:
        repairs.append(AlertRepair(code=code, field=_cut(field), given=_quoted(given)))


def _quoted(given: Any) -> str:
    return _cut(given if isinstance(given, str) else as_json_text(given))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_GIVEN else text[: LONGEST_GIVEN - 1] + "…"


def as_json_text(value: Any) -> str:
    """The JSON of a value that is not text. Raises PushRefused(422): nested too deeply."""
    if isinstance(value, list | dict) and is_nested_too_deeply(value):
        raise PushRefused(422, TOO_DEEP)
    return json.dumps(value, ensure_ascii=False)


def read_pairs(given: Any, field: str, repairs: list[AlertRepair]) -> dict[str, str]:
    """Labels or annotations as texts; {} where nothing can be read. field: of the note."""
    if isinstance(given, dict):
        # Nearly all senders are right: nothing is copied then.
        if "" not in given and _TEXTS.issuperset(map(type, given.values())):
            return given
        return _repair_pairs(given, field, repairs)
    if given is None:
        return {}
    pairs = dict(read_tags(given))
    if not pairs and field == "annotations" and isinstance(given, str | int | float) and given:
        pairs = {"description": given if isinstance(given, str) else as_json_text(given)}
    note(repairs, "pairs", field, given)
    return pairs


def _repair_pairs(given: dict[str, Any], field: str, repairs: list[AlertRepair]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for sent, value in given.items():
        name = sent or next(free for free in _names() if free not in given)
        if not sent:
            note(repairs, "name", field, value)
        if value is None:
            note(repairs, "null", f"{field}.{name}")
        elif isinstance(value, str):
            pairs[name] = value
        else:
            note(repairs, "text", f"{field}.{name}", value)
            pairs[name] = as_json_text(value)
    return pairs


def _names() -> Iterator[str]:
    yield UNNAMED
    for number in count(2):
        yield f"{UNNAMED}_{number}"


def read_text(given: Any, field: str, repairs: list[AlertRepair]) -> str:
    """A field that must be text; "" for null, and for a list or an object."""
    if isinstance(given, str):
        return given
    if given is None:
        return ""
    if isinstance(given, bool | list | dict):
        note(repairs, "left_out", field, given)
        return ""
    note(repairs, "text", field, given)
    return as_json_text(given)


def read_picture(given: Any) -> bytes:
    """A picture in base64, as an address of the scheme "data" too; b"" where it is none."""
    if not isinstance(given, str) or len(given) > 2 * MAX_PICTURE_BYTES:
        return b""
    text = _DATA_ADDRESS.sub("", given, count=1)
    try:
        picture = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return b""
    return picture if len(picture) <= MAX_PICTURE_BYTES and picture_type(picture) else b""


def picture_type(data: bytes) -> str:
    """The media type of a picture by its first bytes; "" for anything else, vector images too."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _PICTURE_TYPES if data.startswith(begin)), "")


def read_fingerprint(given: Any, repairs: list[AlertRepair]) -> str:
    """The sender's fingerprint; "" where it gave none that can be used."""
    text = read_text(given, "fingerprint", repairs)
    if len(text) <= MAX_FINGERPRINT_LENGTH:
        return text
    note(repairs, "left_out", "fingerprint", text)
    return ""


def read_status(given: Any, is_over: bool, repairs: list[AlertRepair]) -> bool:
    """Decide whether the alert fires. is_over: the end, or the group, says that it does not.

    A word that is not known fires: a page too many is better than one too few.
    """
    if given in ("firing", "resolved"):
        return bool(given == "firing")
    if given is None or given == "":
        note(repairs, "no_status", "status")
        return not is_over
    note(repairs, "status", "status", given)
    return known_state(given if isinstance(given, str) else as_json_text(given)) != "resolved"


def read_time(given: Any, field: str, repairs: list[AlertRepair]) -> tuple[int, int] | None:
    """Return ns since 1970 and the offset in minutes; None where no time is given or readable."""
    if given is None:
        return None
    if isinstance(given, str):
        try:
            return clamp_time(parse_time(given))
        except BadTime:
            pass
    found = _odd_time(given)
    note(repairs, "time" if found else "no_time", field, given)
    return clamp_time(found)


def _odd_time(given: Any) -> tuple[int, int] | None:
    """A time in a form that no alert should have; None where it cannot be read."""
    if isinstance(given, bool):
        return None
    if isinstance(given, int | float):
        return _epoch(given)
    text = given.strip() if isinstance(given, str) and len(given) <= _LONGEST_TIME else ""
    if _NUMBER.fullmatch(text) and (found := _epoch(float(text) if "." in text else int(text))):
        return found
    return _moment(text) if text else None


def _epoch(number: float) -> tuple[int, int] | None:
    """A time from seconds, milli-, micro- or nanoseconds since 1970, told apart by their size."""
    if not math.isfinite(number) or number < _EARLIEST_EPOCH:
        return None
    for below, nanoseconds in _EPOCH_UNITS:
        if number < below:
            # Whole seconds and the rest apart: a float has no room for both.
            whole = int(number)
            return whole * nanoseconds + round((number - whole) * nanoseconds), 0
    return None


def _moment(text: str) -> tuple[int, int] | None:
    tidy = _AFTER_TIME.sub("", text)
    tidy = _ZONE_NAME.sub(lambda found: found[1] or "", tidy)
    tidy = re.sub(r"^(\d{4})[/.](\d\d)[/.](\d\d)", r"\1-\2-\3", tidy, flags=re.ASCII)
    tidy = re.sub(r"(\.\d{6})\d+", r"\1", tidy, flags=re.ASCII)  # datetime has no nanoseconds
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(tidy if parse is not parsedate_to_datetime else text)
            at = at.replace(tzinfo=at.tzinfo or UTC)
            offset = at.utcoffset()
            minutes = int(offset.total_seconds() // 60) if offset else 0
            seconds = int(at.replace(microsecond=0).timestamp())
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
        return seconds * 10**9 + at.microsecond * 1000, minutes
    return None
